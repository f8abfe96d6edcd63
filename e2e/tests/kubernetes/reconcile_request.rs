//! `dockfleet.io/reconcile-requested-at`: every host looks again, and the status says when all have.

use anyhow::Result;
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;
use serde_json::Value;

use crate::test_cluster::{FLEET, SOON, TestCluster, condition, network, volume};
use crate::test_host::TestHost;

fn ask(cluster: &TestCluster, what: &str, value: &str) -> Result<()> {
    let words = format!("annotate {what} --overwrite dockfleet.io/reconcile-requested-at={value}");
    cluster.kubectl(&words).map(drop)
}

fn handled(cluster: &TestCluster, what: &str) -> Result<Value> {
    Ok(cluster.get(what)?["status"]["lastHandledReconcileAt"].clone())
}

/// Waits until the host's agent says that it has handled what its entry asks for.
fn looked(cluster: &TestCluster, host: &TestHost, uid: &str) -> Result<()> {
    let what = format!("another look of {}", host.name());
    eventually(&what, SOON, || {
        let assignment = cluster.assignment(host).map_err(|e| e.to_string())?;
        let field = |list: &str, field: &str| {
            let mut entries = assignment[list]["entries"].as_array().into_iter().flatten();
            let entry = entries.find(|e| e["uid"] == uid);
            entry.map(|e| e[field].clone()).unwrap_or_default()
        };
        let asked = field("spec", "request");
        (asked.is_string() && field("status", "handled") == asked)
            .then_some(())
            .ok_or_else(|| assignment.to_string())
    })
}

#[test]
fn a_request_makes_every_host_look_again_and_says_when_all_have() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), ("h2", Debian20, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    let both = ["front", "back"].map(|name| network(name, "{hostSelector: {}}"));
    cluster.apply(&[both.concat(), volume("data", "{hostSelector: {}}")].concat())?;
    let all = ["dnet/front", "dnet/back", "dvol/data"];
    for what in all {
        cluster.ready(what)?;
    }
    let before = cluster.get("dnet/front")?;
    assert_eq!(handled(&cluster, "dnet/front")?, Value::Null);
    for host in [h1, h2] {
        let assignment = cluster.assignment(host)?.to_string();
        assert!(!assignment.contains("request") && !assignment.contains("handled"));
    }

    // An engine that hangs cannot be looked at: its host has not handled it, the other has.
    let uid = cluster.uid("dnet/front")?;
    h2.engine.pause()?;
    ask(&cluster, "dnet/front", "2026-01-02T03:04:05Z")?;
    looked(&cluster, h1, &uid)?;
    assert_eq!(handled(&cluster, "dnet/front")?, Value::Null);
    h2.engine.resume()?;
    let done = "{.status.lastHandledReconcileAt}=2026-01-02T03:04:05Z";
    cluster.until("dnet/front", done)?;
    looked(&cluster, h2, &uid)?;
    // Nothing changed, and nobody was told that something did.
    let after = cluster.get("dnet/front")?;
    assert_eq!(condition(&after, "Ready"), condition(&before, "Ready"));
    for other in ["dnet/back", "dvol/data"] {
        assert_eq!(handled(&cluster, other)?, Value::Null);
    }

    // The same for a volume; any value will do, and the same value asks for nothing.
    ask(&cluster, "dvol/data", "again")?;
    cluster.until("dvol/data", "{.status.lastHandledReconcileAt}=again")?;
    let written = |host| anyhow::Ok(cluster.assignment(host)?["metadata"]["generation"].clone());
    let generations = (written(h1)?, written(h2)?);
    cluster.kill_controller()?;
    cluster.start_controller()?;
    ask(&cluster, "dvol/data", "again")?;
    cluster.kubectl(&format!("label dhost/h1 -n {FLEET} looked=again"))?;
    cluster.everybody_goes_on("probe")?;
    let more = |generation: Value| generation.as_i64().map(|g| g + 1).into();
    let (one, two): (Value, Value) = (more(generations.0), more(generations.1));
    assert_eq!(
        (written(h1)?, written(h2)?),
        (one, two),
        "only the probe came"
    );
    assert_eq!(handled(&cluster, "dvol/data")?, "again");
    Ok(())
}
