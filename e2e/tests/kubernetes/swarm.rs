//! SwarmCluster: hosts form one swarm, and an overlay network connects their containers.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use serde_json::Value;

use crate::test_cluster::{FLEET, TestCluster};
use crate::test_host::TestHost;

/// The manifest of a swarm.
fn swarm(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: dockfleet.io/v1alpha1\nkind: SwarmCluster\n\
         metadata: {{name: {name}, namespace: {FLEET}}}\nspec: {spec}\n---\n"
    )
}

/// Gives what an engine says about its swarm.
fn info(host: &TestHost) -> Result<Value> {
    Ok(host.engine.get("/info")?["Swarm"].clone())
}

/// Gives the names of the members in this state, by the status of the swarm.
fn members<'a>(status: &'a Value, state: &str) -> BTreeSet<&'a str> {
    let members = status["members"].as_array().into_iter().flatten();
    let found = members.filter(|m| m["state"] == state);
    found.filter_map(|m| m["host"].as_str()).collect()
}

/// Checks that all engines are in the swarm that the status names, and gives its ID.
fn one_swarm(cluster: &TestCluster, status: &Value) -> Result<String> {
    let id = status["clusterID"].as_str().context("no cluster ID")?;
    let mut nodes = BTreeSet::new();
    for host in &cluster.hosts {
        let info = info(host)?;
        ensure!(
            info["LocalNodeState"] == "active",
            "{}: {info}",
            host.name()
        );
        if info["ControlAvailable"] == true {
            ensure!(info["Cluster"]["ID"] == id, "{}: {info}", host.name());
        }
        nodes.insert(info["NodeID"].as_str().unwrap_or_default().to_owned());
    }
    let first = cluster
        .hosts
        .iter()
        .find(|h| info(h).is_ok_and(|info| info["ControlAvailable"] == true));
    let listed = first.context("no manager")?.engine.get("/nodes")?;
    let listed: BTreeSet<String> = listed
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|n| n["ID"].as_str().map(str::to_owned))
        .collect();
    ensure!(
        listed == nodes,
        "the manager lists {listed:?}, the hosts are {nodes:?}"
    );
    Ok(id.to_owned())
}

/// No token of a swarm is in any Secret.
fn no_token_is_left(cluster: &TestCluster) -> Result<()> {
    let secrets = cluster.get(&format!("secrets -n {FLEET}"))?;
    for secret in secrets["items"].as_array().into_iter().flatten() {
        let keys = secret["data"].as_object().into_iter().flatten();
        let keys: Vec<&String> = keys.map(|(key, _)| key).collect();
        ensure!(keys.is_empty(), "{}: {keys:?}", secret["metadata"]["name"]);
    }
    Ok(())
}

#[test]
fn hosts_form_one_swarm_with_the_managers_that_are_asked_for() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{role: manager}"),
        ("h2", Newest, "{role: manager}"),
        ("h3", Newest, "{role: manager}"),
        ("h4", Newest, "{}"),
        ("h5", Debian20, "{}"),
    ])?;
    let begin = Instant::now();
    cluster.apply(&swarm(
        "prod",
        "{hostSelector: {}, managers: {count: 3, hostSelector: {matchLabels: {role: manager}}}, \
         advertiseAddress: eth0}",
    ))?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.until(&what, "{.status.workers}=2")?;
    cluster.ready(&what)?;
    println!(
        "a swarm of 3 managers and 2 workers: {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let status = cluster.get(&what)?["status"].clone();
    let mut managers = members(&status, "Manager");
    managers.append(&mut members(&status, "Leader"));
    assert_eq!(managers, ["h1", "h2", "h3"].into());
    assert_eq!(members(&status, "Worker"), ["h4", "h5"].into());
    one_swarm(&cluster, &status)?;
    no_token_is_left(&cluster)
}
