//! Letting go: when a resource is deleted, on hosts that are there and on hosts that are not.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::test_cluster::{TestCluster, network, volume};

/// `kubectl delete` and its wait for the resource to be gone.
fn delete(cluster: &TestCluster, what: &str) -> Result<()> {
    cluster
        .kubectl(&format!("delete {what} --timeout=60s"))
        .map(drop)
}

#[test]
fn deleting_does_not_wait_for_a_host_that_is_off() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    cluster.make(&[
        network("front", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}}"),
    ])?;
    for host in [h1, h2] {
        host.write_into_volume("data", "precious")?;
    }
    let uid = cluster.uid("dnet/front")?;
    let old = h2.network_id("front")?;

    h2.host.cut()?;
    h2.kill_agent()?;
    h2.engine.stop()?;
    delete(&cluster, "dnet/front dvol/data")?;
    h1.await_no_network("front")?;
    assert_eq!(
        h1.read_from_volume("data")?,
        "precious",
        "volumes stay by default"
    );
    let data = h1.volume("data")?.context("no volume data")?;
    assert_eq!(data["Labels"]["io.dockfleet.name"], "data");
    let waiting = cluster.assignment(h2)?["spec"]["entries"].clone();
    let tombstone = waiting
        .as_array()
        .and_then(|all| all.iter().find(|e| e["uid"] == uid.as_str()));
    let tombstone = tombstone.context("no tombstone waits for h2")?;
    assert_eq!(tombstone["intent"], "Absent");
    assert_eq!(tombstone["id"], old.as_str(), "it names what it is for");

    // Meanwhile another resource takes the name.
    cluster.apply(&network("second", "{hostSelector: {}, networkName: front}"))?;
    h1.await_network("front")?;
    cluster.until("dnet/second", "{.status.hosts.ready}=1")?;
    let new = h1.network_id("front")?;

    h2.engine.start_again()?;
    assert_eq!(h2.network_id("front")?, old);
    h2.host.join()?;
    h2.start_agent()?;
    cluster.ready("dnet/second")?;
    assert_ne!(h2.network_id("front")?, old, "the tombstone was delivered");
    assert_eq!(h1.network_id("front")?, new);
    assert_eq!(h2.read_from_volume("data")?, "precious");
    for host in [h1, h2] {
        let front = host.network("front")?.context("no network front")?;
        assert_eq!(front["Labels"]["io.dockfleet.name"], "second");
        cluster.assigned(host, &["second"])?;
    }
    Ok(())
}

#[test]
fn a_tombstone_hits_only_what_it_names() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let hosts: [_; 2] = cluster.hosts()?;
    let both = [
        network("front", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}, deletionPolicy: Delete}"),
    ];
    cluster.make(&both)?;
    let mut by_hand = Vec::new();
    for host in hosts {
        host.kill_agent()?;
        for command in [["network", "rm", "front"], ["volume", "rm", "data"]] {
            host.engine.docker(command)?;
        }
        host.engine.docker(["network", "create", "front"])?;
        host.engine.docker(["volume", "create", "data"])?;
        by_hand.push(host.objects()?);
    }
    delete(&cluster, "dnet/front dvol/data")?;
    for (host, before) in hosts.iter().zip(&by_hand) {
        host.start_agent()?;
        cluster.assigned(host, &[])?;
        assert_eq!(&host.objects()?, before);
    }
    Ok(())
}

#[test]
fn what_is_in_use_stays_until_its_container_is_gone() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let hosts: [_; 2] = cluster.hosts()?;
    let both = [
        network("front", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}, deletionPolicy: Delete}"),
    ];
    cluster.make(&both)?;
    let uids = [cluster.uid("dnet/front")?, cluster.uid("dvol/data")?];
    for host in hosts {
        host.engine.import_busybox()?;
        let options = ["--network", "front", "--volume", "data:/data"];
        host.engine.run_container("shop-web-1", &options, &[])?;
    }
    let before = cluster.objects()?;
    delete(&cluster, "dnet/front dvol/data")?;
    for host in hosts {
        for uid in &uids {
            let entry = cluster.entry_with(host, uid, "InUse")?;
            let message = entry["message"].as_str().unwrap_or_default();
            assert!(message.contains("shop-web-1"), "{entry}");
        }
    }
    assert_eq!(cluster.objects()?, before);
    for host in hosts {
        let reach = ["exec", "shop-web-1", "ip", "link", "show", "eth0"];
        host.engine.docker(reach)?;
        host.engine.docker(["rm", "--force", "shop-web-1"])?;
        host.await_no_network("front")?;
        host.await_no_volume("data")?;
        cluster.assigned(host, &[])?;
    }
    Ok(())
}
