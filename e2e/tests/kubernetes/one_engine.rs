//! Two DockerHosts, two agents, one engine: the older host goes on, and the younger one waits.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Generation, eventually};

use crate::test_cluster::{FLEET, SOON, TestCluster, condition, event, network};
use crate::test_host::TestHost;

#[test]
fn one_engine_20_is_one_host() -> Result<()> {
    one_engine_is_one_host(Debian20)
}

#[test]
fn one_engine_of_the_newest_is_one_host() -> Result<()> {
    one_engine_is_one_host(Newest)
}

/// How the name of a DockerHost is given to kubectl.
fn named(host: &TestHost) -> String {
    format!("dhost/{} -n {FLEET}", host.name())
}

fn one_engine_is_one_host(generation: Generation) -> Result<()> {
    let cluster = TestCluster::prepare(&[("h1", generation, "{}"), ("h2", generation, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    // The second agent is led to the first engine.
    h2.set_env("DOCKER_HOST", &h1.engine.docker_host());
    cluster.start_controller()?;
    h1.start_agent()?;
    h2.start_agent()?;
    let seniority = |host: &&TestHost| -> Result<(String, String)> {
        let meta = cluster.get(&named(host))?["metadata"].take();
        Ok((
            meta["creationTimestamp"].to_string(),
            meta["uid"].to_string(),
        ))
    };
    let [older, younger] = if seniority(&h1)? < seniority(&h2)? {
        [h1, h2]
    } else {
        [h2, h1]
    };
    let shared = "{.status.conditions[?(@.type==\"Stalled\")].reason}=EngineShared";
    cluster.until(&named(younger), shared)?;
    let said = condition(&cluster.get(&named(younger))?, "Stalled")["message"].to_string();
    let id = h1.engine.get("/info")?["ID"].to_string().replace('"', "");
    let both = format!(
        "hosts {} and {} are one engine (ID {id}, ",
        older.name(),
        younger.name()
    );
    assert!(said.contains(&both), "{said}");
    assert!(condition(&cluster.get(&named(older))?, "Stalled").is_null());
    event(&cluster, "Warning", &both)?;

    cluster.apply(&network("front", "{hostSelector: {}}"))?;
    cluster.not_ready("dnet/front", "False", "EngineShared")?;
    cluster.until("dnet/front", "{.status.hosts.ready}=1")?;
    let id = h1.network_id("front")?;

    cluster.kubectl(&format!("delete {} --timeout=60s", named(older)))?;
    cluster
        .ready("dnet/front")
        .context("the younger host goes on")?;
    eventually("the end of the condition", SOON, || {
        let host = cluster.get(&named(younger)).map_err(|e| e.to_string())?;
        let stalled = condition(&host, "Stalled");
        stalled
            .is_null()
            .then_some(())
            .ok_or_else(|| stalled.to_string())
    })?;
    // Nothing was made anew.
    assert_eq!(h1.network_id("front")?, id);
    Ok(())
}
