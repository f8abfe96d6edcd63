//! What would let go of much at once stops and asks.

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::eventually;

use crate::bench::{Bench, SOON, condition, event, network, ready_reason, volume};

const BRAKED: &str = "RemovalBraked";

#[test]
fn a_selector_typo_that_unselects_every_host_stops_and_asks() -> Result<()> {
    let bench = Bench::start(&[
        ("h1", Newest, "{site: berlin}"),
        ("h2", Newest, "{site: berlin}"),
    ])?;
    let [h1, h2] = bench.hosts()?;
    let at = |site: &str| {
        let spec = format!("{{hostSelector: {{matchLabels: {{site: {site}}}}}}}");
        network("front", &spec)
    };
    bench.apply(&at("berlin"))?;
    bench.ready("dnet/front")?;
    let before = bench.objects()?;

    bench.apply(&at("belrin"))?;
    bench.until("dnet/front", &ready_reason(BRAKED))?;
    event(&bench, "Warning", "2 of 2 hosts are no longer selected")?;
    let front = bench.get("dnet/front")?;
    let stalled = condition(&front, "Stalled");
    assert_eq!(
        (&stalled["status"], &stalled["reason"]),
        (&"True".into(), &BRAKED.into())
    );
    // A controller that starts again asks on.
    bench.kill_controller()?;
    bench.start_controller()?;
    bench.everybody_goes_on("other")?;
    for host in [h1, h2] {
        ensure!(
            host.network("front")?.is_some(),
            "it is gone from {}",
            host.name()
        );
    }

    // Put right, it is as if nothing had been.
    bench.apply(&at("berlin"))?;
    bench.ready("dnet/front")?;
    let mut after = bench.objects()?;
    after.retain(|key, _| !key.ends_with(" other"));
    assert_eq!(after, before);

    // And with the command of the message it goes.
    bench.apply(&at("belrin"))?;
    bench.until("dnet/front", &ready_reason(BRAKED))?;
    allow(&bench, "dnet/front")?;
    for host in [h1, h2] {
        host.await_no_network("front")?;
    }
    bench.until("dnet/front", &ready_reason("NoHosts"))
}

/// Does as the message says.
fn allow(bench: &Bench, what: &str) -> Result<()> {
    let object = bench.get(what)?;
    let stalled = condition(&object, "Stalled");
    let message = stalled["message"].as_str().context("no message")?;
    let command = message.split("kubectl ").last().context("no command")?;
    bench.kubectl(command).map(drop)
}

#[test]
fn a_namespace_that_goes_with_fifty_resources_stops_and_asks() -> Result<()> {
    let bench = Bench::start(&[("h1", Newest, "{}")])?;
    let [h1] = bench.hosts()?;
    bench.kubectl("create namespace shop")?;
    let networks = (0..26).map(|n| network(&format!("shop/net{n:02}"), "{hostSelector: {}}"));
    let volumes = (0..24).map(|n| volume(&format!("shop/vol{n:02}"), "{hostSelector: {}}"));
    bench.apply(&networks.chain(volumes).collect::<String>())?;
    let all = |holds: &str| bench.until("dnet,dvol --all -n shop", holds);
    all(&ready_reason("Ready"))?;

    // One by itself goes.
    bench.kubectl("delete dnet/net00 -n shop --timeout=60s")?;
    h1.await_no_network("net00")?;
    let before = h1.objects()?;

    // A prune of every network is stopped before the first of them.
    bench.kubectl("delete dnet --all -n shop --wait=false")?;
    bench.until("dnet --all -n shop", &ready_reason(BRAKED))?;
    assert_eq!(h1.objects()?, before);
    // The namespace with all that is in it is, too.
    bench.plane.start_controllers(&["namespace-controller"])?;
    bench.kubectl("delete namespace shop --wait=false")?;
    all(&ready_reason(BRAKED))?;
    // A namespace that goes takes no event any more: the condition has to say it.
    for what in ["dnet/net01", "dvol/vol00"] {
        eventually(&format!("word of {what}"), SOON, || {
            let object = bench.get(&format!("{what} -n shop"));
            let object = object.map_err(|e| e.to_string())?;
            let said = condition(&object, "Stalled")["message"].to_string();
            let why = "is being deleted with 49 resources";
            said.contains(why).then_some(()).ok_or(said)
        })?;
    }
    bench.everybody_goes_on("other")?;
    ensure!(
        bench.get("dnet,dvol -n shop")?["items"]
            .as_array()
            .is_some_and(|i| i.len() == 49)
    );

    let uid = bench.uid("namespace/shop")?;
    bench.kubectl(&format!(
        "annotate namespace/shop dockfleet.io/allow-removal={uid}"
    ))?;
    eventually("the end of namespace shop", SOON, || {
        match bench.kubectl("get namespace/shop --ignore-not-found") {
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
