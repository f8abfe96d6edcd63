//! PrunePolicies: unused objects are listed in the status, and removed after that.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;
use serde_json::{Value, json};

use crate::test_cluster::{FLEET, TestCluster, condition, event, network, ready_reason, resource};

/// How long it takes from the list to the removal.
const LISTED: Duration = Duration::from_mins(3);

fn policy(name: &str, spec: &str) -> String {
    let spec = format!("{{hostSelector: {{}}, minUnusedFor: 0s, {spec}}}");
    resource("PrunePolicy", &format!("{FLEET}/{name}"), &spec)
}

/// Waits until the status of a policy has these numbers.
fn counts(cluster: &TestCluster, name: &str, expected: &Value) -> Result<Value> {
    eventually(&format!("{name} to report {expected}"), LISTED, || {
        let policy = cluster.get(&format!("dprune/{name} -n {FLEET}"));
        let policy = policy.map_err(|err| err.to_string())?;
        let status = &policy["status"];
        let fields = expected.as_object().into_iter().flatten();
        let mut same = fields.map(|(field, want)| status[field] == *want);
        same.all(|same| same)
            .then(|| status.clone())
            .ok_or_else(|| status.to_string())
    })
}

#[test]
fn what_is_unused_is_listed_first_and_removed_when_it_is_enforced() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    for host in [h1, h2] {
        host.engine.import_busybox()?;
        for name in ["free-1", "free-2", "needed"] {
            host.engine.docker(["network", "create", name])?;
        }
        let keep = [
            "network",
            "create",
            "--label",
            "io.dockfleet.keep=true",
            "keep",
        ];
        host.engine.docker(keep)?;
        host.engine.docker([
            "create",
            "--name",
            "later",
            "--network",
            "needed",
            "busybox:local",
        ])?;
        host.engine.docker(["volume", "create"])?;
        host.engine.docker(["volume", "create", "named"])?;
    }
    cluster.make(&[network("ours", "{hostSelector: {}}")])?;

    cluster.apply(&policy("nets", "kind: Network"))?;
    cluster.apply(&policy("vols", "kind: Volume"))?;
    let of_policy = format!("dprune/nets -n {FLEET}");
    cluster.ready(&of_policy)?;
    let listed = counts(&cluster, "nets", &json!({"candidates": 4, "removed": 0}))?;
    let named = |status: &Value| -> Vec<(String, String)> {
        let objects = status["objects"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        objects
            .map(|o| (text(&o["host"]), text(&o["name"])))
            .collect()
    };
    let of = |host: &str, name: &str| (host.to_owned(), name.to_owned());
    let expected = [
        ("h1", "free-1"),
        ("h1", "free-2"),
        ("h2", "free-1"),
        ("h2", "free-2"),
    ];
    assert_eq!(named(&listed), expected.map(|(host, name)| of(host, name)));
    counts(&cluster, "vols", &json!({"candidates": 2, "nonEmpty": 0}))?;
    let columns = cluster.kubectl(&format!("get dprune -n {FLEET}"))?;
    ensure!(
        columns.contains("CANDIDATES") && columns.contains("DryRun"),
        "{columns}"
    );
    let before = cluster.objects()?;

    // With a new agent too, the time in the list goes on.
    h1.kill_agent()?;
    h1.start_agent()?;
    cluster.patch(
        &of_policy,
        r#"{"spec": {"mode": "Enforce", "suspend": true}}"#,
    )?;
    cluster.until(&of_policy, &ready_reason("Suspended"))?;
    assert_eq!(cluster.objects()?, before);
    cluster.patch(&of_policy, r#"{"spec": {"suspend": false}}"#)?;
    counts(&cluster, "nets", &json!({"candidates": 0, "removed": 4}))?;
    event(&cluster, "Normal", "unused network")?;
    cluster.ready(&of_policy)?;
    let mut left = before;
    left.retain(|name, _| !name.contains(" free-"));
    assert_eq!(cluster.objects()?, left);
    for host in [h1, h2] {
        host.engine.docker(["start", "later"])?;
    }

    // A policy that is deleted leaves nothing behind.
    cluster.kubectl(&format!("delete dprune --all -n {FLEET} --timeout=60s"))?;
    cluster.assigned(h1, &["ours"])?;
    assert_eq!(cluster.objects()?, left);
    Ok(())
}

#[test]
fn a_policy_that_would_remove_most_of_a_host_stops_and_asks() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    for number in 1..=12 {
        h1.engine
            .docker(["network", "create", &format!("free-{number}")])?;
    }
    let before = cluster.objects()?;
    cluster.apply(&policy(
        "nets",
        "kind: Network, mode: Enforce, maxPerRun: 5",
    ))?;
    let of_policy = format!("dprune/nets -n {FLEET}");
    cluster.until(&of_policy, &ready_reason("RemovalBraked"))?;
    let policy = cluster.get(&of_policy)?;
    let stalled = condition(&policy, "Stalled");
    assert_eq!(stalled["status"], "True");
    assert_eq!(cluster.objects()?, before);
    let message = stalled["message"].as_str().context("no message")?;
    let command = message.split("kubectl ").last().context("no command")?;
    cluster.kubectl(command)?;
    cluster.ready(&of_policy)?;
    counts(&cluster, "nets", &json!({"candidates": 7, "removed": 5}))?;
    Ok(())
}
