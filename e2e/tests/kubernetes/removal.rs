//! What becomes of a host's networks and volumes when its DockerHost is deleted.

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;

use crate::test_cluster::{
    FLEET, SOON, TestCluster, condition, event, network, ready_reason, volume,
};
use crate::test_host::TestHost;

const FINALIZER: &str = "dockfleet.io/clean";

fn set_removal(cluster: &TestCluster, host: &TestHost, to: &str) -> Result<()> {
    let spec = format!("{{\"spec\": {{\"removal\": \"{to}\"}}}}");
    cluster.patch(&dhost(host), &spec)
}

fn dhost(host: &TestHost) -> String {
    format!("dhost/{} -n {FLEET}", host.name())
}

/// Has a host cleaned when it goes.
fn clean(cluster: &TestCluster, host: &TestHost) -> Result<()> {
    set_removal(cluster, host, "Clean")?;
    cluster.until(
        &dhost(host),
        &format!("{{.metadata.finalizers[0]}}={FINALIZER}"),
    )
}

fn delete(cluster: &TestCluster, host: &TestHost, wait: &str) -> Result<()> {
    cluster
        .kubectl(&format!("delete {} {wait}", dhost(host)))
        .map(drop)
}

/// Waits until nothing of this is there.
fn gone(cluster: &TestCluster, what: &str) -> Result<()> {
    eventually(&format!("the end of {what}"), SOON, || {
        match cluster.kubectl(&format!("get {what} --ignore-not-found")) {
            Ok(said) if said.is_empty() => Ok(()),
            Ok(said) => Err(said),
            Err(err) => Err(format!("{err:#}")),
        }
    })
}

/// Waits until the condition of a host that is not clean yet has this reason; gives its message.
fn waits(cluster: &TestCluster, host: &TestHost, reason: &str) -> Result<String> {
    let holds = format!("{{.status.conditions[?(@.type==\"Clean\")].reason}}={reason}");
    cluster.until(&dhost(host), &holds)?;
    let clean = condition(&cluster.get(&dhost(host))?, "Clean");
    Ok(clean["message"].as_str().unwrap_or_default().to_owned())
}

/// Does as the end of a message says.
fn obey(cluster: &TestCluster, message: &str) -> Result<()> {
    let command = message.split("kubectl ").last().context("no command")?;
    cluster.kubectl(&command.replace('\'', "")).map(drop)
}

#[test]
fn a_host_goes_clean_or_as_it_is() -> Result<()> {
    let cluster = TestCluster::prepare(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
        ("h4", Debian20, "{}"),
    ])?;
    cluster.hurry();
    cluster.start_controller()?;
    let [h1, h2, h3, h4] = cluster.hosts()?;
    for host in [h1, h2, h3] {
        clean(&cluster, host)?;
    }
    for host in [h1, h2, h3, h4] {
        host.join(&cluster.plane)?;
        host.start_agent()?;
    }
    let controllers = ["garbage-collector-controller", "namespace-controller"];
    cluster.plane.start_controllers(&controllers)?;
    cluster.apply(
        &[
            network("front", "{hostSelector: {}}"),
            volume("data", "{hostSelector: {}}"),
            volume("cache", "{hostSelector: {}, deletionPolicy: Delete}"),
        ]
        .concat(),
    )?;
    for what in ["dnet/front", "dvol/data", "dvol/cache"] {
        cluster.until(what, "{.status.hosts.ready}=4")?;
    }
    for host in [h1, h2, h3, h4] {
        host.write_into_volume("data", "precious")?;
    }
    let before = cluster.objects()?;

    // By default nothing is removed, and nobody is waited for.
    delete(&cluster, h4, "--timeout=30s")?;
    // Nobody is there to clean this one.
    h3.kill_agent()?;
    delete(&cluster, h3, "--wait=false")?;
    let message = waits(&cluster, h3, "Cleaning")?;
    ensure!(message.contains("3 entries left (Docker"), "{message}");
    let front = cluster.uid("dnet/front")?;
    let reported = format!("{{.spec.entries[?(@.uid==\"{front}\")].intent}}=Absent");
    cluster.until(&format!("hassign/h3 -n {FLEET}"), &reported)?;

    // As Argo CD does it.
    delete(&cluster, h1, "--cascade=foreground --timeout=60s")?;
    event(
        &cluster,
        "Normal",
        "the host has removed or released what it had",
    )?;
    let names: Vec<String> = h1.objects()?.into_keys().collect();
    let rest = before.keys().filter(|key| {
        key.starts_with("h1 ") && !key.ends_with(" front") && !key.ends_with(" cache")
    });
    assert_eq!(names, rest.cloned().collect::<Vec<_>>());
    assert_eq!(h1.read_from_volume("data")?, "precious");
    for kind in "secret sa role rolebinding lease hassign".split(' ') {
        gone(&cluster, &format!("{kind}/h1 -n {FLEET}"))?;
    }

    let message = waits(&cluster, h3, "HostOffline")?;
    event(
        &cluster,
        "Warning",
        "so no agent can remove or release anything",
    )?;
    obey(&cluster, &message)?;
    gone(&cluster, &dhost(h3))?;

    // A namespace of hosts that goes is no permission.
    cluster.kubectl(&format!("delete namespace {FLEET} --timeout=60s"))?;
    let id = h2.network_id("front")?;
    h2.engine.docker(["network", "rm", "front"])?;
    let again = h2.await_network("front")?;
    assert_ne!(again["Id"], id.as_str(), "the agent goes on");
    let mut after = cluster.objects()?;
    after.insert("h2 network front".to_owned(), id);
    let untouched = |key: &String| !key.starts_with("h1 ");
    after.retain(|key, _| untouched(key));
    let mut expected = before;
    expected.retain(|key, _| untouched(key));
    assert_eq!(after, expected);
    Ok(())
}

#[test]
fn several_clean_hosts_at_once_stop_and_ask() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), ("h2", Newest, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    cluster.make(&[network("front", "{hostSelector: {}}")])?;
    for host in [h1, h2] {
        clean(&cluster, host)?;
    }
    let before = cluster.objects()?;
    cluster.kubectl(&format!("delete dhost --all -n {FLEET} --wait=false"))?;
    cluster.until("dnet/front", &ready_reason("RemovalBraked"))?;
    for host in [h1, h2] {
        let message = waits(&cluster, host, "RemovalBraked")?;
        let why = "1 entry left (DockerNetwork default/front: RemovalBraked)";
        ensure!(message.starts_with(why), "{message}");
    }
    // A controller that starts again asks on.
    cluster.kill_controller()?;
    cluster.start_controller()?;
    cluster.apply(&network("later", "{hostSelector: {}}"))?;
    cluster.until("dnet/later", &ready_reason("NoHosts"))?;
    assert_eq!(cluster.objects()?, before);

    let stalled = condition(&cluster.get("dnet/front")?, "Stalled");
    obey(&cluster, stalled["message"].as_str().context("no message")?)?;
    for host in [h1, h2] {
        gone(&cluster, &dhost(host))?;
        ensure!(host.network("front")?.is_none(), "{}", host.name());
    }
    Ok(())
}
