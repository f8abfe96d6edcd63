//! Containers on an overlay network that reach each other by name.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::{Engine, at_once, eventually};

use super::swarm;
use crate::test_cluster::{FLEET, SOON, TestCluster, network};

fn engines(cluster: &TestCluster) -> Vec<&Engine> {
    cluster.hosts.iter().map(|h| &h.engine).collect()
}

/// The name of the container of an engine's host.
fn container(engine: &Engine) -> String {
    format!("on-{}", engine.host().name())
}

/// Loads the image of the containers on all hosts.
pub(super) fn prepare(cluster: &TestCluster) -> Result<()> {
    at_once(engines(cluster), Engine::import_busybox).map(drop)
}

/// Runs a container on each host, on this network.
pub(super) fn run_containers(cluster: &TestCluster, network: &str) -> Result<()> {
    let run = |engine: &Engine| {
        let options = ["--network", network];
        engine.run_container(&container(engine), &options, &[])
    };
    at_once(engines(cluster), run)
        .map(drop)
        .with_context(|| cluster.report())
}

/// Waits until each container reaches every other one by its name.
#[expect(clippy::print_stdout, reason = "how long it takes is a result")]
pub(super) fn all_reach_all(cluster: &TestCluster) -> Result<()> {
    let begin = Instant::now();
    let all = engines(cluster);
    let names: Vec<String> = all.iter().map(|e| container(e)).collect();
    let pairs = at_once(all, |engine| {
        let own = container(engine);
        let others: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|n| *n != own)
            .collect();
        // Which ones do not answer is what it prints.
        let script = "for name; do ping -c 1 -W 5 $name >/dev/null 2>&1 || echo $name; done";
        let mut command = vec!["exec", &own, "sh", "-c", script, "sh"];
        command.extend(&others);
        eventually(&format!("answers to {own}"), SOON, || {
            let silent = engine.docker(&command).map_err(|e| format!("{e:#}"))?;
            let silent: Vec<&str> = silent.lines().collect();
            silent
                .is_empty()
                .then_some(())
                .ok_or_else(|| format!("no answer of {silent:?}"))
        })?;
        Ok(others.len())
    })?;
    println!(
        "{} pairs of containers reach each other by name: {:.1} s",
        pairs.iter().sum::<usize>(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

/// An overlay network goes only when no container of any host uses it.
#[test]
fn an_overlay_network_stays_while_a_container_of_any_host_uses_it() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), ("h2", Newest, "{}")])?;
    prepare(&cluster)?;
    cluster.apply(&swarm("prod", "{hostSelector: {}, advertiseAddress: eth0}"))?;
    cluster.apply(&network("mesh", "{hostSelector: {}, driver: overlay}"))?;
    cluster.until("dnet/mesh", "{.status.hosts.ready}=2")?;
    cluster.ready("dnet/mesh")?;
    let [h1, h2] = cluster.hosts()?;
    run_containers(&cluster, "mesh")?;
    all_reach_all(&cluster)?;
    let uid = cluster.uid("dnet/mesh")?;
    cluster.kubectl("delete dnet/mesh --timeout=90s")?;
    let entry = cluster.entry_with(h1, &uid, "InUse")?;
    ensure!(entry["message"].to_string().contains("on-h1"), "{entry}");
    h1.engine.docker(["rm", "--force", "on-h1"])?;
    // The container of the other host is named too.
    let id = h2
        .engine
        .docker(["ps", "--quiet", "--filter", "name=on-h2"])?;
    let named = format!("in use by container {id} on node ");
    let what = format!("hassign/h1 -n {FLEET}");
    eventually("the container of the other host", SOON, || {
        let assignment = cluster.get(&what).map_err(|e| e.to_string())?;
        let said = assignment["status"]["entries"].to_string();
        said.contains(&named).then_some(()).ok_or(said)
    })?;
    h2.engine.docker(["rm", "--force", "on-h2"])?;
    h1.await_no_network("mesh")?;
    h2.await_no_network("mesh")
}
