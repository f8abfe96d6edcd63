//! Two that want one name, and things that were there before.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::test_cluster::{TestCluster, condition, network, ready_reason, volume};

/// The reasons and texts of the events on a resource.
fn events(cluster: &TestCluster, kind: &str, namespace: &str, name: &str) -> Result<Vec<String>> {
    let which = format!("involvedObject.kind={kind},involvedObject.name={name}");
    let all = cluster.get(&format!("events -n {namespace} --field-selector {which}"))?;
    let items = all["items"].as_array().context("no list")?;
    Ok(items
        .iter()
        .map(|e| format!("{} {} {}", e["type"], e["reason"], e["message"]))
        .collect())
}

/// invariant 3.
#[test]
fn the_first_to_claim_a_name_keeps_it_and_both_are_told() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    cluster.kubectl("create namespace shop")?;
    cluster.make(&[network(
        "default/first",
        "{hostSelector: {}, networkName: front}",
    )])?;
    let before = cluster.objects()?;

    // The second one has a host where nobody else claims the name, once the first lets go of it.
    cluster.apply(&network(
        "shop/second",
        "{hostSelector: {}, networkName: front}",
    ))?;
    cluster.not_ready("dnet/second -n shop", "False", "Conflict")?;
    let second = cluster.get("dnet/second -n shop")?;
    let message = condition(&second, "Ready")["message"].to_string();
    assert!(message.contains("belongs to default/first"), "{message}");
    assert_eq!(second["status"]["hosts"]["failed"], 2);
    cluster.until(
        "dnet/first",
        "{.status.conditions[?(@.type==\"Accepted\")].reason}=AcceptedWithWarnings",
    )?;
    let first = cluster.get("dnet/first")?;
    let message = condition(&first, "Accepted")["message"].to_string();
    assert!(message.contains("shop/second also asks for"), "{message}");
    assert_eq!(condition(&first, "Ready")["status"], "True");
    assert_eq!(cluster.objects()?, before);
    for (namespace, name) in [("default", "first"), ("shop", "second")] {
        let events = events(&cluster, "DockerNetwork", namespace, name)?;
        let reported = events
            .iter()
            .any(|e| e.starts_with("\"Warning\"") && e.contains("front"));
        assert!(reported, "{name}: {events:?}");
    }

    cluster.patch(
        "dnet/first",
        "{\"spec\": {\"hostSelector\": null, \"hostNames\": [\"h1\"]}}",
    )?;
    cluster.until("dnet/second -n shop", "{.status.hosts.ready}=1")?;
    let front = h2.network("front")?.context("no network front")?;
    assert_eq!(front["Labels"]["io.dockfleet.name"], "second");
    assert_eq!(
        h1.objects()?,
        before
            .into_iter()
            .filter(|(k, _)| k.starts_with("h1 "))
            .collect()
    );
    cluster.kubectl("delete dnet/first --timeout=60s")?;
    cluster.ready("dnet/second -n shop")?;
    let front = h1.network("front")?.context("no network front")?;
    assert_eq!(front["Labels"]["io.dockfleet.name"], "second");
    Ok(())
}

/// invariant 3.
#[test]
fn what_was_made_by_hand_is_left_alone_unless_adoption_allows_it() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    for host in [h1, h2] {
        let label = "com.docker.compose.project=shop";
        host.engine.docker([
            "network",
            "create",
            "--label",
            label,
            "--subnet",
            "10.40.0.0/24",
            "front",
        ])?;
        host.engine.docker(["volume", "create", "data"])?;
        host.write_into_volume("data", "precious")?;
    }
    let before = cluster.objects()?;
    let front = |more: &str| {
        let block = "ipam: {config: [{subnet: 10.40.0.0/24}]}";
        network("front", &format!("{{hostSelector: {{}}, {block}{more}}}"))
    };
    cluster.apply(&[front(""), volume("data", "{hostSelector: {}}")].concat())?;
    for what in ["dnet/front", "dvol/data"] {
        cluster.not_ready(what, "False", "Conflict")?;
    }
    let message = condition(&cluster.get("dnet/front")?, "Ready")["message"].to_string();
    assert!(message.contains("compose project shop"), "{message}");
    assert_eq!(cluster.objects()?, before);

    // It differs: only Force takes it, and as it is.
    cluster.apply(&front(", internal: true, adoptionPolicy: IfMatching"))?;
    cluster.until("dnet/front", "{.status.failing[0].message}")?;
    cluster.not_ready("dnet/front", "False", "Conflict")?;
    let message = condition(&cluster.get("dnet/front")?, "Ready")["message"].to_string();
    assert!(
        message.contains("internal: want true, have false"),
        "{message}"
    );
    cluster.apply(&front(", internal: true, adoptionPolicy: Force"))?;
    cluster.not_ready("dnet/front", "False", "Drifted")?;
    cluster.make(&[front(", adoptionPolicy: Force")])?;
    cluster.make(&[volume(
        "data",
        "{hostSelector: {}, adoptionPolicy: IfMatching}",
    )])?;
    assert_eq!(cluster.objects()?, before, "taken over as they were");

    // What was given to us is ours: it goes and stays by the deletion policy.
    cluster.kubectl("delete dnet/front dvol/data --timeout=60s")?;
    for host in [h1, h2] {
        host.await_no_network("front")?;
        assert_eq!(host.read_from_volume("data")?, "precious");
    }
    Ok(())
}

#[test]
fn a_resource_that_fails_holds_up_no_other() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}")])?;
    let [h1] = cluster.hosts()?;
    // Needs a newer engine; overlaps with another network; has no such parent; is all right.
    cluster.apply(
        &[
            network(
                "routed",
                "{hostSelector: {}, bridge: {gatewayModeIPv4: routed}}",
            ),
            network(
                "one",
                "{hostSelector: {}, ipam: {config: [{subnet: 10.50.0.0/24}]}}",
            ),
            network(
                "parentless",
                "{hostSelector: {}, driver: macvlan, macvlan: {parent: nosuch0.7}}",
            ),
            network("fine", "{hostSelector: {}}"),
        ]
        .concat(),
    )?;
    cluster.ready("dnet/one")?;
    cluster.ready("dnet/fine")?;
    cluster.until("dnet/routed", &ready_reason("Unsupported"))?;
    let message = condition(&cluster.get("dnet/routed")?, "Ready")["message"].to_string();
    assert!(
        message.contains("bridge.gatewayModeIPv4 needs Engine 27.0"),
        "{message}"
    );
    cluster.until("dnet/parentless", &ready_reason("EngineRefused"))?;

    cluster.apply(&network(
        "two",
        "{hostSelector: {}, ipam: {config: [{subnet: 10.50.0.0/25}]}}",
    ))?;
    cluster.until("dnet/two", &ready_reason("EngineRefused"))?;
    cluster.kubectl("delete dnet/one dnet/parentless --timeout=60s")?;
    h1.await_no_network("one")?;
    cluster
        .ready("dnet/two")
        .context("it is tried again by itself")
}
