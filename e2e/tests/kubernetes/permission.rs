//! Invariant 1: nothing is removed because something is not there.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::test_cluster::{FLEET, TestCluster, host, install_crds, network, volume};
use crate::test_host::TestHost;

fn two_hosts() -> Result<TestCluster> {
    TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])
}

/// Resources of both kinds and with every deletion policy, on every host.
fn resources(namespace: &str) -> String {
    [
        network(&format!("{namespace}/front"), "{hostSelector: {}}"),
        network(
            &format!("{namespace}/kept"),
            "{hostSelector: {}, deletionPolicy: Retain, ipam: {config: [{subnet: 10.60.0.0/24}]}}",
        ),
        volume(&format!("{namespace}/data"), "{hostSelector: {}}"),
        volume(
            &format!("{namespace}/cache"),
            "{hostSelector: {}, deletionPolicy: Delete}",
        ),
    ]
    .concat()
}

fn all_ready(cluster: &TestCluster, namespace: &str) -> Result<()> {
    for what in ["dnet/front", "dnet/kept", "dvol/data", "dvol/cache"] {
        let what = format!("{what} -n {namespace}");
        cluster.until(&what, "{.status.hosts.ready}=2")?;
        cluster.ready(&what)?;
    }
    Ok(())
}

fn apply_all(cluster: &TestCluster, namespace: &str) -> Result<()> {
    cluster.apply(&resources(namespace))?;
    all_ready(cluster, namespace)?;
    for host in &cluster.hosts {
        host.write_into_volume("data", "precious")?;
        host.write_into_volume("cache", "dear")?;
    }
    Ok(())
}

/// Removes a network by hand and waits until the agent has made it again, which shows that it has
/// gone through everything that it has and knows.
fn agent_repairs(host: &TestHost, name: &str) -> Result<()> {
    let id = host.network_id(name)?;
    host.engine.docker(["network", "rm", name])?;
    let again = host.await_network(name)?;
    assert_ne!(again["Id"], id.as_str());
    Ok(())
}

#[test]
fn removing_the_crds_removes_nothing() -> Result<()> {
    let cluster = two_hosts()?;
    apply_all(&cluster, "default")?;
    let before = cluster.objects()?;

    let crds = cluster.plane.kubeconfig().with_file_name("crds");
    cluster.kubectl(&format!("delete --timeout=60s -f {}", crds.display()))?;
    assert_eq!(cluster.objects()?, before);

    install_crds(&cluster.plane, &cluster.dockfleet)?;
    cluster.apply(&[host("h1", "{}", "All"), host("h2", "{}", "All")].concat())?;
    cluster.everybody_goes_on("beacon")?;
    let during: Vec<_> = before.keys().cloned().collect();
    let after = cluster.objects()?;
    for key in &during {
        assert_eq!(after.get(key), before.get(key), "{key}");
    }
    // The same resources take up the same objects.
    cluster.apply(&resources("default"))?;
    all_ready(&cluster, "default")?;
    let mut after = cluster.objects()?;
    after.retain(|key, _| !key.ends_with(" beacon"));
    assert_eq!(after, before);
    cluster.kubectl("delete dnet/front --timeout=60s")?;
    for host in &cluster.hosts {
        host.await_no_network("front").context("it is ours again")?;
    }
    Ok(())
}

#[test]
fn removing_a_namespace_removes_nothing() -> Result<()> {
    let cluster = two_hosts()?;
    cluster.plane.start_controllers(&["namespace-controller"])?;
    cluster.kubectl("create namespace shop")?;
    apply_all(&cluster, "shop")?;
    let before = cluster.objects()?;

    cluster.kubectl("delete namespace shop --timeout=90s")?;
    cluster.everybody_goes_on("beacon")?;
    let kept = |cluster: &TestCluster| -> Result<_> {
        let mut objects = cluster.objects()?;
        objects.retain(|key, _| !key.ends_with(" beacon"));
        Ok(objects)
    };
    assert_eq!(kept(&cluster)?, before);

    cluster.kubectl("create namespace shop")?;
    cluster.apply(&resources("shop"))?;
    all_ready(&cluster, "shop")?;
    assert_eq!(kept(&cluster)?, before);
    Ok(())
}

#[test]
fn losing_an_assignment_removes_nothing() -> Result<()> {
    let cluster = two_hosts()?;
    let [h1, h2] = cluster.hosts()?;
    apply_all(&cluster, "default")?;
    let mut before = cluster.objects()?;

    // Nobody puts it back: the agents are alone with what is left.
    cluster.kill_controller()?;
    cluster.kubectl(&format!("delete hassign/h1 -n {FLEET} --timeout=60s"))?;
    agent_repairs(h1, "front")?;
    before.insert("h1 network front".to_owned(), h1.network_id("front")?);
    assert_eq!(cluster.objects()?, before);
    cluster.patch(
        &format!("hassign/h2 -n {FLEET}"),
        "{\"spec\": {\"entries\": []}}",
    )?;
    cluster.assignment_seen(h2)?;
    let uid = cluster.uid("dnet/front")?;
    let reported = cluster.entry_with(h2, &uid, "Unassigned")?;
    assert!(
        reported["message"].to_string().contains("default/front"),
        "{reported}"
    );
    assert_eq!(cluster.objects()?, before);

    cluster.start_controller()?;
    all_ready(&cluster, "default")?;
    cluster.everybody_goes_on("beacon")?;
    let mut after = cluster.objects()?;
    after.retain(|key, _| !key.ends_with(" beacon"));
    assert_eq!(after, before);
    Ok(())
}

#[test]
fn removing_a_host_removes_nothing() -> Result<()> {
    let cluster = two_hosts()?;
    let [h1, h2] = cluster.hosts()?;
    cluster
        .plane
        .start_controllers(&["garbage-collector-controller"])?;
    apply_all(&cluster, "default")?;
    let before = cluster.objects()?;

    cluster.kubectl(&format!("delete dhost/h2 -n {FLEET} --timeout=60s"))?;
    for what in ["dnet/front", "dvol/data"] {
        cluster.until(what, "{.status.hosts.desired}=1")?;
        cluster.ready(what)?;
    }
    // The agent of the host that is gone goes on by its journal, whatever is left of its objects.
    agent_repairs(h2, "kept")?;
    let mut now = cluster.objects()?;
    now.insert(
        "h2 network kept".to_owned(),
        before["h2 network kept"].clone(),
    );
    assert_eq!(now, before);
    // What is deleted meanwhile was deleted for the hosts that are there.
    cluster.kubectl("delete dnet/front --timeout=60s")?;
    h1.await_no_network("front")?;
    h2.network_id("front")?;

    cluster.apply(&host("h2", "{}", "All"))?;
    // Its credential went with it; the agent that runs takes up the new one.
    h2.join(&cluster.plane)?;
    cluster.apply(&resources("default"))?;
    all_ready(&cluster, "default")?;
    assert_eq!(h2.network_id("front")?, before["h2 network front"]);
    assert_eq!(h2.read_from_volume("data")?, "precious");
    Ok(())
}
