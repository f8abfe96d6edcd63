//! Invariant 1: nothing is removed because something is not there.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::bench::{Bench, FLEET, host, install_crds, network, volume};
use crate::member::Member;

fn two_hosts() -> Result<Bench> {
    Bench::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])
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

fn all_ready(bench: &Bench, namespace: &str) -> Result<()> {
    for what in ["dnet/front", "dnet/kept", "dvol/data", "dvol/cache"] {
        let what = format!("{what} -n {namespace}");
        bench.until(&what, "{.status.hosts.ready}=2")?;
        bench.ready(&what)?;
    }
    Ok(())
}

fn apply_all(bench: &Bench, namespace: &str) -> Result<()> {
    bench.apply(&resources(namespace))?;
    all_ready(bench, namespace)?;
    for member in &bench.members {
        member.write_into_volume("data", "precious")?;
        member.write_into_volume("cache", "dear")?;
    }
    Ok(())
}

/// Removes a network by hand and waits until the agent has made it again, which shows that it has
/// gone through everything that it has and knows.
fn agent_repairs(member: &Member, name: &str) -> Result<()> {
    let id = member.network_id(name)?;
    member.engine.docker(["network", "rm", name])?;
    let again = member.await_network(name)?;
    assert_ne!(again["Id"], id.as_str());
    Ok(())
}

#[test]
fn removing_the_crds_removes_nothing() -> Result<()> {
    let bench = two_hosts()?;
    apply_all(&bench, "default")?;
    let before = bench.objects()?;

    let crds = bench.plane.kubeconfig().with_file_name("crds");
    bench.kubectl(&format!("delete --timeout=60s -f {}", crds.display()))?;
    assert_eq!(bench.objects()?, before);

    install_crds(&bench.plane, &bench.dockfleet)?;
    bench.apply(&[host("h1", "{}", "All"), host("h2", "{}", "All")].concat())?;
    bench.everybody_goes_on("beacon")?;
    let during: Vec<_> = before.keys().cloned().collect();
    let after = bench.objects()?;
    for key in &during {
        assert_eq!(after.get(key), before.get(key), "{key}");
    }
    // The same resources take up the same objects.
    bench.apply(&resources("default"))?;
    all_ready(&bench, "default")?;
    let mut after = bench.objects()?;
    after.retain(|key, _| !key.ends_with(" beacon"));
    assert_eq!(after, before);
    bench.kubectl("delete dnet/front --timeout=60s")?;
    for member in &bench.members {
        member
            .await_no_network("front")
            .context("it is ours again")?;
    }
    Ok(())
}

#[test]
fn removing_a_namespace_removes_nothing() -> Result<()> {
    let bench = two_hosts()?;
    bench.plane.start_controllers(&["namespace-controller"])?;
    bench.kubectl("create namespace shop")?;
    apply_all(&bench, "shop")?;
    let before = bench.objects()?;

    bench.kubectl("delete namespace shop --timeout=90s")?;
    bench.everybody_goes_on("beacon")?;
    let kept = |bench: &Bench| -> Result<_> {
        let mut objects = bench.objects()?;
        objects.retain(|key, _| !key.ends_with(" beacon"));
        Ok(objects)
    };
    assert_eq!(kept(&bench)?, before);

    bench.kubectl("create namespace shop")?;
    bench.apply(&resources("shop"))?;
    all_ready(&bench, "shop")?;
    assert_eq!(kept(&bench)?, before);
    Ok(())
}

#[test]
fn losing_an_assignment_removes_nothing() -> Result<()> {
    let bench = two_hosts()?;
    let [h1, h2] = bench.hosts()?;
    apply_all(&bench, "default")?;
    let mut before = bench.objects()?;

    // Nobody puts it back: the agents are alone with what is left.
    bench.kill_controller()?;
    bench.kubectl(&format!("delete hassign/h1 -n {FLEET} --timeout=60s"))?;
    agent_repairs(h1, "front")?;
    before.insert("h1 network front".to_owned(), h1.network_id("front")?);
    assert_eq!(bench.objects()?, before);
    bench.patch(
        &format!("hassign/h2 -n {FLEET}"),
        "{\"spec\": {\"entries\": []}}",
    )?;
    bench.assignment_seen(h2)?;
    let uid = bench.uid("dnet/front")?;
    let told = bench.entry_with(h2, &uid, "Unassigned")?;
    assert!(
        told["message"].to_string().contains("default/front"),
        "{told}"
    );
    assert_eq!(bench.objects()?, before);

    bench.start_controller()?;
    all_ready(&bench, "default")?;
    bench.everybody_goes_on("beacon")?;
    let mut after = bench.objects()?;
    after.retain(|key, _| !key.ends_with(" beacon"));
    assert_eq!(after, before);
    Ok(())
}

#[test]
fn removing_a_host_removes_nothing() -> Result<()> {
    let bench = two_hosts()?;
    let [h1, h2] = bench.hosts()?;
    bench
        .plane
        .start_controllers(&["garbage-collector-controller"])?;
    apply_all(&bench, "default")?;
    let before = bench.objects()?;

    bench.kubectl(&format!("delete dhost/h2 -n {FLEET} --timeout=60s"))?;
    for what in ["dnet/front", "dvol/data"] {
        bench.until(what, "{.status.hosts.desired}=1")?;
        bench.ready(what)?;
    }
    // The agent of the host that is gone goes on by its journal, whatever is left of its objects.
    agent_repairs(h2, "kept")?;
    let mut now = bench.objects()?;
    now.insert(
        "h2 network kept".to_owned(),
        before["h2 network kept"].clone(),
    );
    assert_eq!(now, before);
    // What is deleted meanwhile was deleted for the hosts that are there.
    bench.kubectl("delete dnet/front --timeout=60s")?;
    h1.await_no_network("front")?;
    h2.network_id("front")?;

    bench.apply(&host("h2", "{}", "All"))?;
    // Its credential went with it; the agent that runs takes up the new one.
    h2.join(&bench.plane)?;
    bench.apply(&resources("default"))?;
    all_ready(&bench, "default")?;
    assert_eq!(h2.network_id("front")?, before["h2 network front"]);
    assert_eq!(h2.read_from_volume("data")?, "precious");
    Ok(())
}
