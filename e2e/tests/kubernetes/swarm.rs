//! SwarmCluster: hosts form one swarm, and an overlay network connects their containers.

mod faults;
mod idle;
mod loss;
mod reach;
mod removal;
mod settings;
mod writer;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Dockfleet, eventually};
use serde_json::Value;

use crate::canary::{found_nowhere, secrets_with};
use crate::test_cluster::{FLEET, SOON, TestCluster, event, network, volume};
use crate::test_host::TestHost;
use crate::vitals::{get, served};

/// The manifest of a swarm.
fn swarm(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: dockfleet.io/v1alpha1\nkind: SwarmCluster\n\
         metadata: {{name: {name}, namespace: {FLEET}}}\nspec: {spec}\n---\n"
    )
}

/// Starts the controller and the agents of a cluster that was prepared.
fn start(cluster: &TestCluster) -> Result<()> {
    cluster.start_controller()?;
    for host in &cluster.hosts {
        host.join(&cluster.plane)?;
        host.start_agent()?;
    }
    Ok(())
}

/// Applies a swarm with this spec, waits until this part of its status holds and it is ready, and gives its name for
/// kubectl.
fn form(cluster: &TestCluster, spec: &str, holds: &str) -> Result<String> {
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.apply(&swarm("prod", spec))?;
    cluster.until(&what, holds)?;
    cluster.ready(&what)?;
    Ok(what)
}

/// Waits until the status of a resource has all these words.
fn says(cluster: &TestCluster, what: &str, words: &[&str]) -> Result<()> {
    eventually("some words in a status", SOON, || {
        let status = cluster.get(what).map_err(|e| e.to_string())?["status"].to_string();
        let are_said = words.iter().all(|word| status.contains(word));
        are_said.then_some(()).ok_or(status)
    })
    .with_context(|| cluster.report())
}

/// Gives what an engine says about its swarm.
fn info(host: &TestHost) -> Result<Value> {
    Ok(host.engine.get("/info")?["Swarm"].clone())
}

/// Gives the ID of a host's node.
fn node(host: &TestHost) -> Result<String> {
    let id = info(host)?["NodeID"].take();
    Ok(id.as_str().context("no node ID")?.to_owned())
}

/// Gives the IDs of the nodes of all hosts.
fn nodes(cluster: &TestCluster) -> Result<BTreeSet<String>> {
    cluster.hosts.iter().map(node).collect()
}

/// Waits until a manager lists these nodes and no others, and reaches all of them.
fn await_nodes(cluster: &TestCluster, manager: &TestHost, nodes: &BTreeSet<String>) -> Result<()> {
    eventually("the nodes of the swarm", SOON, || {
        let all = manager.engine.get("/nodes").map_err(|e| e.to_string())?;
        let listed = all
            .as_array()
            .context("no list")
            .map_err(|e| e.to_string())?;
        let is_reached = |n: &&Value| {
            let of_manager = &n["ManagerStatus"]["Reachability"];
            n["Status"]["State"] == "ready" && (of_manager.is_null() || of_manager == "reachable")
        };
        let reached = listed.iter().filter(is_reached);
        let ids: BTreeSet<&str> = reached.filter_map(|n| n["ID"].as_str()).collect();
        (ids.len() == listed.len() && ids.iter().eq(nodes))
            .then_some(())
            .ok_or_else(|| all.to_string())
    })
    .with_context(|| cluster.report())
}

/// Waits until the engine of a host is in no swarm.
fn inactive(cluster: &TestCluster, host: &TestHost) -> Result<()> {
    eventually("a host in no swarm", SOON, || {
        let state = info(host).map_err(|e| e.to_string())?["LocalNodeState"].clone();
        (state == "inactive")
            .then_some(())
            .ok_or_else(|| state.to_string())
    })
    .with_context(|| cluster.report())
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

/// Gives the events about a swarm with this reason.
fn heard(cluster: &TestCluster, reason: &str) -> Result<Vec<String>> {
    let all = cluster.get(&format!("events -n {FLEET}"))?;
    let items = all["items"].as_array().into_iter().flatten();
    let of_swarm = items.filter(|e| e["involvedObject"]["kind"] == "SwarmCluster");
    let with_reason = of_swarm.filter(|e| e["reason"] == reason);
    Ok(with_reason.map(|e| e["message"].to_string()).collect())
}

/// Checks that the controller shows these metrics.
fn counted(cluster: &TestCluster, metrics: &[&str]) -> Result<()> {
    let address = served(&cluster.controller_log_path()?, Ipv4Addr::LOCALHOST)?;
    let (_, text) = get(address, "/metrics")?;
    for metric in metrics {
        let line = format!("dockfleet_controller_{metric}");
        ensure!(text.lines().any(|l| l == line), "not {line}: {text}");
    }
    Ok(())
}

/// Five hosts with engines of both generations, and a container on each.
#[test]
fn hosts_form_one_swarm_with_the_managers_that_are_asked_for() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{role: manager}"),
        ("h2", Newest, "{role: manager}"),
        ("h3", Newest, "{role: manager}"),
        ("h4", Newest, "{}"),
        ("h5", Debian20, "{}"),
    ])?;
    reach::prepare(&cluster)?;
    let begin = Instant::now();
    let prod = swarm(
        "prod",
        "{hostSelector: {}, managers: {count: 3, hostSelector: {matchLabels: {role: manager}}}, \
         advertiseAddress: eth0}",
    );
    let mesh = network("mesh", "{hostSelector: {}, driver: overlay}");
    cluster.apply(&(prod + &mesh))?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.until(&what, "{.status.workers}=2")?;
    cluster.ready(&what)?;
    cluster.until("dnet/mesh", "{.status.hosts.ready}=5")?;
    cluster.ready("dnet/mesh")?;
    println!(
        "a swarm of 3 managers and 2 workers, and an overlay network on it: {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let status = cluster.get(&what)?["status"].clone();
    let mut managers = members(&status, "Manager");
    managers.append(&mut members(&status, "Leader"));
    assert_eq!(managers, ["h1", "h2", "h3"].into());
    assert_eq!(members(&status, "Worker"), ["h4", "h5"].into());
    let id = one_swarm(&cluster, &status)?;
    counted(
        &cluster,
        &[
            "swarm_members{state=\"Leader\"} 1",
            "swarm_members{state=\"Manager\"} 2",
            "swarm_members{state=\"Worker\"} 2",
            "swarm_members{state=\"Foreign\"} 0",
            "swarms{quorum=\"Available\"} 1",
            "swarms{quorum=\"Lost\"} 0",
        ],
    )?;
    event(&cluster, "Normal", "host h1 was chosen to create the swarm")?;
    event(&cluster, "Normal", &format!("host h1 created swarm {id}"))?;
    event(&cluster, "Normal", "joined the swarm")?;
    // One after the other, and perhaps both in one report.
    eventually("events of both", SOON, || {
        let heard = heard(&cluster, "HostsPromoted").map_err(|e| e.to_string())?;
        let all_are = ["h2", "h3"]
            .iter()
            .all(|h| heard.iter().any(|e| e.contains(h)));
        all_are.then_some(()).ok_or_else(|| format!("{heard:?}"))
    })?;
    // However many statuses there were.
    for reason in ["HostChosen", "SwarmCreated"] {
        assert_eq!(heard(&cluster, reason)?.len(), 1, "{reason}");
    }
    let joined = heard(&cluster, "HostsJoined")?;
    assert!(!joined.iter().any(|e| e.contains("h1")), "{joined:?}");
    reach::run_containers(&cluster, "mesh")?;
    reach::all_reach_all(&cluster)?;
    // All show the same network now, and all are still ready.
    let id = cluster.get("dnet/mesh")?["status"]["overlay"]["networkID"].clone();
    for host in &cluster.hosts {
        assert_eq!(host.network_id("mesh")?, id);
    }
    cluster.until("dnet/mesh", "{.status.hosts.ready}=5")
}

/// Invariant 9: the tokens of the swarm are nowhere, not even in a Secret once all hosts have joined.
#[test]
fn i9_no_token_of_a_swarm_is_left_anywhere() -> Result<()> {
    let dockfleet = Dockfleet::find()?.with_env("DOCKFLEET_LOG", "trace");
    let hosts = [("h1", Debian20, "{}"), ("h2", Newest, "{}")];
    let cluster = TestCluster::prepare_with(dockfleet, &hosts)?;
    start(&cluster)?;
    form(
        &cluster,
        "{hostSelector: {}, advertiseAddress: eth0}",
        "{.status.workers}=1",
    )?;
    // Every kind is looked into.
    cluster.make(&[
        volume("data", "{hostSelector: {}}"),
        network("mesh", "{hostSelector: {}, driver: overlay}"),
    ])?;
    let [h1, h2] = cluster.hosts()?;
    let tokens = h1.engine.get("/swarm")?["JoinTokens"].take();
    let token = |role: &str| tokens[role].as_str().context("no token").map(str::to_owned);
    let (worker, manager) = (token("Worker")?, token("Manager")?);
    let tokens = [worker.as_str(), manager.as_str()];
    eventually("Secrets without a token", SOON, || {
        let with = secrets_with(&tokens, &cluster).map_err(|e| e.to_string())?;
        with.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{with:?}"))
    })
    .with_context(|| cluster.report())?;
    let places = found_nowhere(&tokens, &cluster, &[h1, h2])?;
    println!("the tokens are in none of {places} places");
    Ok(())
}

/// Invariant 14: a swarm is created once, whoever is killed meanwhile.
#[test]
fn i14_a_killed_controller_and_killed_agents_leave_one_swarm() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.apply(&swarm(
        "prod",
        "{hostSelector: {}, managers: {count: 3}, advertiseAddress: eth0}",
    ))?;
    // The controller ends as soon as its permission is there, and the agent that has it as soon as its engine
    // has a swarm, before anybody has heard of it.
    cluster.until(&what, "{.status.bootstrap.host}=h1")?;
    cluster.kill_controller()?;
    let [h1, h2, h3] = cluster.hosts()?;
    h1.kill_agent()?;
    cluster.start_controller()?;
    h1.start_agent()?;
    cluster.until(&what, "{.status.clusterID}")?;
    let id = cluster.get(&what)?["status"]["clusterID"].clone();
    for host in [h2, h3, h1] {
        host.kill_agent()?;
        cluster.kill_controller()?;
        cluster.start_controller()?;
        host.start_agent()?;
    }
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].clone();
    assert_eq!(status["clusterID"], id);
    // A controller that is killed between a status and its events loses these, and none repeats them.
    for reason in ["HostChosen", "SwarmCreated"] {
        let heard = heard(&cluster, reason)?;
        ensure!(heard.len() <= 1, "{heard:?}");
    }
    one_swarm(&cluster, &status).map(drop)
}

/// Invariant 3: a swarm that somebody else formed is not touched.
#[test]
fn i3_a_host_in_a_foreign_swarm_stays_in_it() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Debian20, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    h1.engine
        .docker(["swarm", "init", "--advertise-addr", "eth0"])?;
    let before = info(h1)?;
    cluster.apply(&swarm("prod", "{hostSelector: {}, advertiseAddress: eth0}"))?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.until(&what, "{.status.managers}=1")?;
    cluster.not_ready(&what, "False", "Conflict")?;
    let status = cluster.get(&what)?["status"].clone();
    assert_eq!(members(&status, "Foreign"), ["h1"].into());
    assert_eq!(members(&status, "Leader"), ["h2"].into());
    assert_ne!(info(h2)?["Cluster"]["ID"], before["Cluster"]["ID"]);
    cluster.patch(&what, r#"{"spec": {"removedHosts": "Leave"}}"#)?;
    cluster.kubectl(&format!("delete {what} --timeout=90s"))?;
    inactive(&cluster, h2)?;
    let after = info(h1)?;
    assert_eq!(after["Cluster"]["ID"], before["Cluster"]["ID"]);
    assert_eq!(after["NodeID"], before["NodeID"]);
    Ok(())
}
