//! What would let go of much at once stops and asks.

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::eventually;

use crate::test_cluster::{SOON, TestCluster, condition, event, network, ready_reason, volume};

const BRAKED: &str = "RemovalBraked";

#[test]
fn a_selector_typo_that_unselects_every_host_stops_and_asks() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Newest, "{site: berlin}"),
        ("h2", Newest, "{site: berlin}"),
    ])?;
    let [h1, h2] = cluster.hosts()?;
    let at = |site: &str| {
        let spec = format!("{{hostSelector: {{matchLabels: {{site: {site}}}}}}}");
        network("front", &spec)
    };
    cluster.make(&[at("berlin")])?;
    let before = cluster.objects()?;

    cluster.apply(&at("belrin"))?;
    cluster.until("dnet/front", &ready_reason(BRAKED))?;
    event(&cluster, "Warning", "2 of 2 hosts are no longer selected")?;
    let front = cluster.get("dnet/front")?;
    let stalled = condition(&front, "Stalled");
    assert_eq!(
        (&stalled["status"], &stalled["reason"]),
        (&"True".into(), &BRAKED.into())
    );
    // A controller that starts again asks on.
    cluster.kill_controller()?;
    cluster.start_controller()?;
    cluster.everybody_goes_on("other")?;
    for host in [h1, h2] {
        ensure!(
            host.network("front")?.is_some(),
            "it is gone from {}",
            host.name()
        );
    }

    // Put right, it is as if nothing had been.
    cluster.make(&[at("berlin")])?;
    let mut after = cluster.objects()?;
    after.retain(|key, _| !key.ends_with(" other"));
    assert_eq!(after, before);

    // And with the command of the message it goes.
    cluster.apply(&at("belrin"))?;
    cluster.until("dnet/front", &ready_reason(BRAKED))?;
    allow(&cluster, "dnet/front")?;
    for host in [h1, h2] {
        host.await_no_network("front")?;
    }
    cluster.until("dnet/front", &ready_reason("NoHosts"))
}

/// Does as the message says.
fn allow(cluster: &TestCluster, what: &str) -> Result<()> {
    let object = cluster.get(what)?;
    let stalled = condition(&object, "Stalled");
    let message = stalled["message"].as_str().context("no message")?;
    let command = message.split("kubectl ").last().context("no command")?;
    cluster.kubectl(command).map(drop)
}

#[test]
fn a_namespace_that_goes_with_fifty_resources_stops_and_asks() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    cluster.kubectl("create namespace shop")?;
    let networks = (0..26).map(|n| network(&format!("shop/net{n:02}"), "{hostSelector: {}}"));
    let volumes = (0..24).map(|n| volume(&format!("shop/vol{n:02}"), "{hostSelector: {}}"));
    cluster.apply(&networks.chain(volumes).collect::<String>())?;
    let all = |holds: &str| cluster.until("dnet,dvol --all -n shop", holds);
    all(&ready_reason("Ready"))?;

    // One by itself goes.
    cluster.kubectl("delete dnet/net00 -n shop --timeout=60s")?;
    h1.await_no_network("net00")?;
    let before = h1.objects()?;

    // A prune of every network is stopped before the first of them.
    cluster.kubectl("delete dnet --all -n shop --wait=false")?;
    cluster.until("dnet --all -n shop", &ready_reason(BRAKED))?;
    assert_eq!(h1.objects()?, before);
    // The namespace with all that is in it is, too.
    cluster.plane.start_controllers(&["namespace-controller"])?;
    cluster.kubectl("delete namespace shop --wait=false")?;
    all(&ready_reason(BRAKED))?;
    // A namespace that goes takes no event any more: the condition has to say it.
    for what in ["dnet/net01", "dvol/vol00"] {
        eventually(&format!("word of {what}"), SOON, || {
            let object = cluster.get(&format!("{what} -n shop"));
            let object = object.map_err(|e| e.to_string())?;
            let said = condition(&object, "Stalled")["message"].to_string();
            let why = "is being deleted with 49 resources";
            said.contains(why).then_some(()).ok_or(said)
        })?;
    }
    cluster.everybody_goes_on("other")?;
    ensure!(
        cluster.get("dnet,dvol -n shop")?["items"]
            .as_array()
            .is_some_and(|i| i.len() == 49)
    );

    let uid = cluster.uid("namespace/shop")?;
    cluster.kubectl(&format!(
        "annotate namespace/shop dockfleet.io/allow-removal={uid}"
    ))?;
    eventually("the end of namespace shop", SOON, || {
        match cluster.kubectl("get namespace/shop --ignore-not-found") {
            Ok(said) if said.is_empty() => Ok(()),
            Ok(said) => Err(said),
            Err(err) => Err(format!("{err:#}")),
        }
    })?;
    let mut after = h1.objects()?;
    after.retain(|key, _| !key.ends_with(" other"));
    assert_eq!(after, before, "what goes with its namespace stays on hosts");
    Ok(())
}
