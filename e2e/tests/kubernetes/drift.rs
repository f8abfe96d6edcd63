//! What somebody changes by hand on an engine.

use std::time::Duration;

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;
use serde_json::json;

use crate::test_cluster::{TestCluster, network, ready_reason, volume};

/// An agent that looks by the clock only would take minutes.
const AT_ONCE: Duration = Duration::from_secs(15);

#[test]
fn drift_is_repaired_at_once_or_told_with_the_difference() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let hosts: [_; 2] = cluster.hosts()?;
    let observe = "{hostSelector: {}, driftPolicy: Observe}";
    cluster.make(&[
        network("front", "{hostSelector: {}, labels: {team: web}}"),
        network("seen", observe),
        volume("scratch", "{hostSelector: {}, tmpfs: {}}"),
        volume("data", "{hostSelector: {}}"),
        volume("seen", observe),
    ])?;
    for host in hosts {
        let id = host.network_id("front")?;
        host.engine.docker(["network", "rm", "front", "seen"])?;
        host.engine
            .docker(["volume", "rm", "scratch", "data", "seen"])?;
        let front = eventually("network front", AT_ONCE, || {
            let front = host.network("front").map_err(|e| e.to_string())?;
            front.ok_or_else(|| host.agent_log())
        })?;
        assert_ne!(front["Id"], id.as_str());
        assert_eq!(front["Labels"]["team"], "web");
        eventually("volume scratch", AT_ONCE, || match host.volume("scratch") {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        })?;
    }
    cluster.until("dnet/seen", &ready_reason("Missing"))?;
    cluster.until("dvol/data", &ready_reason("Lost"))?;
    cluster.until("dnet/seen", "{.status.hosts.drifted}=2")?;
    cluster.until("dvol/data", "{.status.hosts.failed}=2")?;
    for what in ["dnet/front", "dvol/scratch"] {
        cluster.ready(what)?;
    }
    for host in hosts {
        assert!(host.network("seen")?.is_none());
        assert!(host.volume("data")?.is_none() && host.volume("seen")?.is_none());
        let uid = cluster.uid("dnet/seen")?;
        let reported = cluster.entry_with(host, &uid, "Missing")?;
        let gone = json!([{"field": "network", "want": "seen", "have": ""}]);
        assert_eq!(reported["diff"], gone);
    }

    // Somebody puts another thing in its place.
    for host in hosts {
        host.engine
            .docker(["network", "create", "--internal", "seen"])?;
    }
    cluster.until("dnet/seen", &ready_reason("Conflict"))?;
    cluster.until("dnet/seen", "{.status.hosts.failed}=2")?;
    for host in hosts {
        let made = host.network("seen")?.context("it is gone")?;
        assert_eq!(made["Internal"], true);
        host.engine.docker(["network", "rm", "seen"])?;
    }
    cluster.apply(&network("seen", "{hostSelector: {}}"))?;
    cluster
        .ready("dnet/seen")
        .context("it may be made again now")?;

    // The resource changes, and policy says to leave the network: the difference is told.
    let other = "{hostSelector: {}, internal: true, labels: {team: web}, driftPolicy: Observe}";
    cluster.apply(&network("seen", other))?;
    cluster.not_ready("dnet/seen", "False", "Drifted")?;
    for host in hosts {
        let reported = cluster.entry_with(host, &cluster.uid("dnet/seen")?, "Drifted")?;
        let want = json!([
            {"field": "internal", "want": "true", "have": "false"},
            {"field": "labels[team]", "want": "web", "have": ""},
        ]);
        assert_eq!(reported["diff"], want);
        assert_eq!(
            host.network("seen")?.context("it is gone")?["Internal"],
            false
        );
    }
    Ok(())
}
