//! The writer of a swarm that loses the API server, and not its swarm.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;

use super::{form, one_swarm, start};
use crate::test_cluster::{FLEET, SOON, TestCluster, network};
use crate::test_host::TestHost;

/// Adds or removes the rules that drop what a host and the API server send each other.
fn drop_calls(cluster: &TestCluster, host: &TestHost, action: &str) -> Result<()> {
    let url = cluster.plane.url();
    let (address, port) = url
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once(':'))
        .context("no port")?;
    for (chain, of_address, of_port) in [("OUTPUT", "-d", "--dport"), ("INPUT", "-s", "--sport")] {
        let packets = ["-p", "tcp", of_address, address, of_port, port];
        let rule = [&["-w", action, chain], &packets[..], &["-j", "DROP"]].concat();
        host.host.run("iptables", rule)?.ok()?;
    }
    Ok(())
}

/// Waits until every node has this label, as a manager lists them.
fn await_site(cluster: &TestCluster, manager: &TestHost, site: &str) -> Result<()> {
    eventually(&format!("site {site} everywhere"), SOON, || {
        let nodes = manager.engine.get("/nodes").map_err(|e| e.to_string())?;
        let all = nodes.as_array().cloned().unwrap_or_default();
        let is_set = |n: &serde_json::Value| n["Spec"]["Labels"]["site"] == site;
        let is_done = all.len() == cluster.hosts.len() && all.iter().all(is_set);
        is_done.then_some(()).ok_or_else(|| nodes.to_string())
    })
    .with_context(|| cluster.report())
}

/// Counts what the agent of a host has logged about its membership: passes, and changes.
fn logged(host: &TestHost) -> Result<(usize, usize)> {
    let log = fs::read_to_string(host.agent_log_path()?)?;
    let about = || log.lines().filter(|l| l.contains("SwarmCluster"));
    let passes = about().filter(|l| l.contains("pass done")).count();
    Ok((
        passes,
        about().filter(|l| l.contains("\"action\":")).count(),
    ))
}

/// The controller chooses another writer. The old one changes nothing in the swarm meanwhile, and keeps its own host
/// in order.
#[test]
fn i14_a_writer_without_the_api_server_leaves_the_swarm_to_the_next_one() -> Result<()> {
    let cluster = TestCluster::prepare(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    cluster.hurry();
    let [h1, h2, h3] = cluster.hosts()?;
    h1.set_env("DOCKFLEET_LOG", "debug");
    start(&cluster)?;
    let what = form(
        &cluster,
        "{hostSelector: {}, managers: {count: 3}, advertiseAddress: eth0, nodeLabels: {site: a}}",
        "{.status.managers}=3",
    )?;
    cluster.make(&[
        network("mesh", "{hostSelector: {}, driver: overlay}"),
        network("front", "{hostSelector: {}}"),
    ])?;
    cluster.until(&what, "{.status.writer}=h1")?;
    let creator = format!("{{.status.overlay.writer}}={FLEET}/h1");
    cluster.until("dnet/mesh", &creator)?;
    await_site(&cluster, h1, "a")?;

    let (_, changes) = logged(h1)?;
    ensure!(changes > 0, "it was the writer");
    drop_calls(&cluster, h1, "-A")?;
    cluster.until(&what, "{.status.writer}=h2")?;
    let creator = format!("{{.status.overlay.writer}}={FLEET}/h2");
    cluster.until("dnet/mesh", &creator)?;
    cluster.patch(&what, r#"{"spec": {"nodeLabels": {"site": "b"}}}"#)?;
    await_site(&cluster, h2, "b")?;
    cluster.kubectl("delete dnet/mesh --timeout=60s")?;
    h1.await_no_network("mesh")?;
    // The last assignment of the old writer has the old label and the network, and it looks at both.
    let (before, _) = logged(h1)?;
    h1.engine.docker(["network", "rm", "front"])?;
    h1.await_network("front")?;
    eventually("a pass over the membership", SOON, || {
        let (now, _) = logged(h1).map_err(|e| e.to_string())?;
        (now > before).then_some(()).ok_or_else(|| now.to_string())
    })?;
    assert_eq!(logged(h1)?.1, changes, "{}", h1.agent_log());
    ensure!(
        h1.network("mesh")?.is_none(),
        "the old writer made it again"
    );

    // It is heard of again, and is the writer again when the others are not.
    drop_calls(&cluster, h1, "-D")?;
    cluster.until(
        &format!("dhost/h1 -n {FLEET}"),
        "{.status.conditions[?(@.type==\"Reachable\")].status}=True",
    )?;
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].take();
    assert_eq!(status["writer"], "h2");
    one_swarm(&cluster, &status)?;
    await_site(&cluster, h1, "b")?;
    for host in [h2, h3] {
        host.kill_agent()?;
    }
    cluster.until(&what, "{.status.writer}=h1")?;
    cluster.patch(&what, r#"{"spec": {"nodeLabels": {"site": "c"}}}"#)?;
    await_site(&cluster, h1, "c")
}
