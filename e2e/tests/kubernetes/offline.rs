//! Without the API server: the journal is what an agent goes by.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::test_cluster::{TestCluster, network, volume};

#[test]
fn an_agent_keeps_its_host_in_order_without_the_api_server() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let hosts: [_; 2] = cluster.hosts()?;
    cluster.make(&[
        network("front", "{hostSelector: {}, labels: {team: web}}"),
        network("back", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}}"),
        volume("scratch", "{hostSelector: {}, tmpfs: {}}"),
    ])?;
    let before = cluster.objects()?;

    cluster.plane.kill()?;
    for host in hosts {
        let id = host.network_id("front")?;
        host.engine.docker(["network", "rm", "front"])?;
        host.engine.docker(["volume", "rm", "data"])?;
        let front = host.await_network("front")?;
        assert_ne!(front["Id"], id.as_str());
        assert_eq!(front["Labels"]["team"], "web");
    }
    // Its journal is all that an agent has that starts now.
    for host in hosts {
        host.kill_agent()?;
        host.engine.docker(["network", "rm", "back"])?;
        host.engine.docker(["volume", "rm", "scratch"])?;
        host.start_agent()?;
        host.await_network("back")?;
        dockfleet_e2e::eventually("volume scratch", crate::test_cluster::SOON, || {
            match host.volume("scratch") {
                Ok(Some(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        // An empty volume in place of one that held data would hide that it is lost.
        assert!(host.volume("data")?.is_none());
        let names: Vec<String> = host.objects()?.into_keys().collect();
        let all = before
            .keys()
            .filter(|k| k.starts_with(host.name()) && !k.ends_with(" data"));
        assert_eq!(names, all.cloned().collect::<Vec<_>>());
    }

    cluster.plane.start_again()?;
    cluster.not_ready("dvol/data", "False", "Lost")?;
    cluster
        .everybody_goes_on("beacon")
        .context("they find back")?;
    for what in ["dnet/front", "dnet/back", "dvol/scratch"] {
        cluster.ready(what)?;
    }
    Ok(())
}
