//! Hosts that are heard of, and hosts that are not.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;
use serde_json::Value;

use crate::test_cluster::{FLEET, SOON, TestCluster, condition, event, network, volume};
use crate::test_host::TestHost;

/// A controller and agents that are quick to see who is offline, on two hosts.
fn quick() -> Result<TestCluster> {
    let cluster = TestCluster::prepare(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    cluster.hurry();
    Ok(cluster)
}

fn start(cluster: &TestCluster) -> Result<()> {
    cluster.start_controller()?;
    for host in &cluster.hosts {
        host.start_agent()?;
    }
    for host in &cluster.hosts {
        reachable(cluster, host, "True")?;
    }
    Ok(())
}

fn reachable(cluster: &TestCluster, host: &TestHost, status: &str) -> Result<()> {
    cluster.until(
        &format!("dhost/{} -n {FLEET}", host.name()),
        &format!("{{.status.conditions[?(@.type==\"Reachable\")].status}}={status}"),
    )
}

fn lease(cluster: &TestCluster, host: &TestHost) -> Result<Value> {
    cluster.get(&format!("lease/{} -n {FLEET}", host.name()))
}

/// invariant 7.
#[test]
fn a_host_that_is_offline_holds_up_nothing_and_catches_up() -> Result<()> {
    let cluster = quick()?;
    start(&cluster)?;
    let [h1, h2] = cluster.hosts()?;
    let changed = |subnet: &str| {
        let spec = "hostSelector: {}, updatePolicy: WhenUnused";
        let block = format!("ipam: {{config: [{{subnet: {subnet}}}]}}");
        network("changed", &format!("{{{spec}, {block}}}"))
    };
    let subnet = |host: &TestHost| -> Result<Value> {
        let network = host.network("changed")?.context("it is gone")?;
        Ok(network["IPAM"]["Config"][0]["Subnet"].clone())
    };
    cluster.make(&[
        changed("10.70.0.0/24"),
        network("old", "{hostSelector: {}}"),
    ])?;
    let before = h2.objects()?;

    // In the middle of it: nobody has been told yet.
    h2.host.cut()?;
    cluster.apply(
        &[
            changed("10.71.0.0/24"),
            network("new", "{hostSelector: {}}"),
            network("strict", "{hostSelector: {}, readyPolicy: All}"),
            volume("data", "{hostSelector: {}}"),
        ]
        .concat(),
    )?;
    cluster.kubectl("delete dnet/old --timeout=60s")?;
    h1.await_no_network("old")?;
    reachable(&cluster, h2, "False")?;
    event(&cluster, "Warning", "no heartbeat since")?;
    for what in ["dnet/changed", "dnet/new", "dvol/data"] {
        cluster.ready(what)?;
        cluster.until(what, "{.status.hosts.offline}=1")?;
        cluster.until(what, "{.status.hosts.ready}=1")?;
    }
    cluster.not_ready("dnet/strict", "Unknown", "Offline")?;
    reachable(&cluster, h1, "True")?;
    assert_eq!(subnet(h1)?, "10.71.0.0/24");
    assert_eq!(h2.objects()?, before, "the cut is one");
    // A new controller takes nothing back, and judges nobody before it has listened.
    cluster.kill_controller()?;
    cluster.start_controller()?;
    cluster.make(&[network("late", "{hostSelector: {}}")])?;
    cluster.kubectl("delete dnet/late --timeout=60s")?;

    h2.host.join()?;
    reachable(&cluster, h2, "True")?;
    for what in ["dnet/changed", "dnet/new", "dnet/strict", "dvol/data"] {
        cluster.until(what, "{.status.hosts.ready}=2")?;
        cluster.until(what, "{.status.hosts.offline}=0")?;
        cluster.ready(what)?;
    }
    h2.await_no_network("old")?;
    assert_eq!(subnet(h2)?, "10.71.0.0/24");
    cluster.assigned(h2, &["changed", "data", "new", "strict"])
}

/// The clocks of the agents go wrong by an hour, each to its side. That of an engine cannot be set
/// apart from the machine's (it reads the time past the C library), and is not used.
#[test]
fn a_wrong_clock_makes_no_host_offline() -> Result<()> {
    let cluster = quick()?;
    let [h1, h2] = cluster.hosts()?;
    for (host, wrong) in [(h1, "+1h"), (h2, "-1h")] {
        host.set_env("LD_PRELOAD", &libfaketime()?.display().to_string());
        host.set_env("FAKETIME", wrong);
        host.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    start(&cluster)?;
    let since: Vec<Value> = [h1, h2]
        .iter()
        .map(|host| reported(&cluster, host))
        .collect::<Result<_>>()?;
    // Sixteen of them take longer than a host may be silent.
    for _ in 0..16 {
        for host in [h1, h2] {
            await_beat(&cluster, host)?;
        }
    }
    for (host, since) in [h1, h2].iter().zip(since) {
        assert_eq!(reported(&cluster, host)?, since, "{}", host.name());
    }
    let now =
        |host| -> Result<String> { Ok(lease(&cluster, host)?["spec"]["renewTime"].to_string()) };
    ensure!(now(h1)? > now(h2)?, "the clocks differ");
    cluster.everybody_goes_on("front")
}

/// The condition Reachable, which is to be True.
fn reported(cluster: &TestCluster, host: &TestHost) -> Result<Value> {
    let object = cluster.get(&format!("dhost/{} -n {FLEET}", host.name()))?;
    let reachable = condition(&object, "Reachable");
    ensure!(reachable["status"] == "True", "{reachable}");
    Ok(reachable)
}

fn await_beat(cluster: &TestCluster, host: &TestHost) -> Result<()> {
    let before = lease(cluster, host)?["spec"]["renewTime"].clone();
    eventually(&format!("a heartbeat of {}", host.name()), SOON, || {
        let now = lease(cluster, host).map_err(|e| e.to_string())?;
        let now = now["spec"]["renewTime"].clone();
        (now != before).then_some(()).ok_or_else(|| now.to_string())
    })
}

fn libfaketime() -> Result<PathBuf> {
    let mut folders = std::fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let found = folders.find_map(|f| {
        let path = f.path().join("faketime/libfaketime.so.1");
        path.exists().then_some(path)
    });
    found.context("no libfaketime.so.1 below /usr/lib; run `make deps`")
}
