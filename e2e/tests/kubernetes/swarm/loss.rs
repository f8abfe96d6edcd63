//! Managers of a swarm that are lost.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;

use super::{form, info, one_swarm, start, swarm};
use crate::test_cluster::{FLEET, SOON, TestCluster, condition};

/// The manager that created the swarm is lost: another one goes on, and nobody creates a second swarm.
#[test]
fn i14_the_loss_of_the_first_manager_makes_no_second_swarm() -> Result<()> {
    let cluster = TestCluster::prepare(&[
        ("h1", Newest, "{in: prod}"),
        ("h2", Newest, "{in: prod}"),
        ("h3", Newest, "{in: prod}"),
        ("h4", Debian20, "{}"),
    ])?;
    cluster.hurry();
    start(&cluster)?;
    let what = form(
        &cluster,
        "{hostSelector: {matchLabels: {in: prod}}, managers: {count: 3}, advertiseAddress: eth0}",
        "{.status.managers}=3",
    )?;
    let id = cluster.get(&what)?["status"]["clusterID"].clone();
    let [h1, ..] = cluster.hosts::<4>()?;
    assert_eq!(cluster.get(&what)?["status"]["writer"], "h1");
    h1.kill_agent()?;
    h1.engine.kill()?;
    cluster.until(&what, "{.status.members[0].state}=Unreachable")?;
    // Another host joins through another manager.
    cluster.kubectl(&format!("label dhost/h4 -n {FLEET} in=prod"))?;
    cluster.until(&what, "{.status.workers}=1")?;
    let status = cluster.get(&what)?["status"].clone();
    assert_eq!(status["clusterID"], id);
    assert_ne!(status["writer"], "h1");
    assert_eq!(status["managers"], 2);
    Ok(())
}

/// The host that may create the swarm is lost before it has: another one does it only by permission.
#[test]
fn i14_a_swarm_is_created_by_another_host_only_by_permission() -> Result<()> {
    let cluster = TestCluster::prepare(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    cluster.hurry();
    cluster.start_controller()?;
    cluster.apply(&swarm(
        "prod",
        // Else the host that is lost is not chosen.
        "{hostSelector: {}, advertiseAddress: eth0, preflight: Skip}",
    ))?;
    let what = format!("dswarm/prod -n {FLEET}");
    let [h1, h2] = cluster.hosts()?;
    h1.join(&cluster.plane)?;
    h1.start_agent()?;
    let uid = cluster.uid(&what)?;
    cluster.entry_with(h1, &uid, "Progressing")?;
    h1.kill_agent()?;
    // The controller does not know of its end yet.
    h2.join(&cluster.plane)?;
    h2.start_agent()?;
    cluster.until(&what, "{.status.bootstrap.host}=h1")?;
    let attempt = cluster.get(&what)?["status"]["bootstrap"]["attempt"].clone();
    let attempt = attempt.as_str().context("no attempt")?;
    let advice = format!("dockfleet.io/allow-swarm-creation={attempt}");
    eventually("advice", SOON, || {
        let swarm = cluster.get(&what).map_err(|e| e.to_string())?;
        let said = condition(&swarm, "Ready")["message"].to_string();
        said.contains(&advice).then_some(()).ok_or(said)
    })
    .with_context(|| cluster.report())?;
    assert_eq!(info(h2)?["LocalNodeState"], "inactive");
    cluster.kubectl(&format!("annotate {what} {advice}"))?;
    cluster.until(&what, "{.status.managers}=1")?;
    assert_eq!(info(h2)?["LocalNodeState"], "active");
    assert_eq!(info(h1)?["LocalNodeState"], "inactive");
    // The first host joins when it is back.
    h1.start_agent()?;
    cluster.until(&what, "{.status.workers}=1")?;
    let status = cluster.get(&what)?["status"].clone();
    one_swarm(&cluster, &status).map(drop)
}

/// A swarm whose managers have lost their majority is left as it is; one manager goes on alone by permission
/// only, and the others leave before they join again.
#[test]
fn a_lost_quorum_is_told_and_ended_by_permission_only() -> Result<()> {
    let cluster = TestCluster::prepare(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    cluster.hurry();
    start(&cluster)?;
    let what = form(
        &cluster,
        "{hostSelector: {}, managers: {count: 3}, advertiseAddress: eth0}",
        "{.status.managers}=3",
    )?;
    cluster.until(&what, "{.status.quorum}=Available")?;
    let id = cluster.get(&what)?["status"]["clusterID"].clone();
    let id = id.as_str().context("no cluster ID")?;
    let [h1, h2, h3] = cluster.hosts()?;
    let node = info(h2)?["NodeID"].clone();
    for host in [h1, h2] {
        host.kill_agent()?;
        host.engine.kill()?;
    }
    cluster.until(&what, "{.status.quorum}=Lost")?;
    let permission = format!("dockfleet.io/force-new-cluster=h3/{id}");
    let advice = format!("(h1, h2); only if they are lost for good, the annotation {permission} ");
    eventually("advice", SOON, || {
        let swarm = cluster.get(&what).map_err(|e| e.to_string())?;
        let said = condition(&swarm, "Ready")["message"].to_string();
        said.contains(&advice).then_some(()).ok_or(said)
    })
    .with_context(|| cluster.report())?;
    cluster.not_ready(&what, "Unknown", "NoQuorum")?;
    cluster.kubectl(&format!("annotate {what} {permission}"))?;
    cluster.until(&what, "{.status.quorum}=Available")?;
    cluster.until(&what, "{.status.recovery.done}=true")?;
    cluster.until(&what, "{.status.writer}=h3")?;
    assert_eq!(info(h3)?["Cluster"]["ID"], id);
    // The two others would have a majority of the old managers.
    for host in [h1, h2] {
        host.engine.start_again()?;
        host.start_agent()?;
    }
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].clone();
    assert_eq!(status["clusterID"], id);
    assert_ne!(info(h2)?["NodeID"], node);
    one_swarm(&cluster, &status).map(drop)
}
