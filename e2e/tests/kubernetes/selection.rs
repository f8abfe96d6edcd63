//! Which hosts a resource goes to, and what happens when that changes.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::test_cluster::{FLEET, TestCluster, condition, network, ready_reason, volume};

#[test]
fn a_host_that_is_no_longer_selected_lets_go() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{site: berlin}"),
        ("h2", Newest, "{site: berlin}"),
    ])?;
    let [h1, h2] = cluster.hosts()?;
    let berlin = "{hostSelector: {matchLabels: {site: berlin}}}";
    cluster.make(&[network("front", berlin), volume("data", berlin)])?;
    h2.write_into_volume("data", "precious")?;
    let before = h1.objects()?;

    cluster.kubectl(&format!("label dhost/h2 -n {FLEET} --overwrite site=paris"))?;
    h2.await_no_network("front")?;
    cluster.assigned(h2, &[])?;
    for what in ["dnet/front", "dvol/data"] {
        cluster.until(what, "{.status.hosts.desired}=1")?;
        cluster.ready(what)?;
        assert_eq!(cluster.get(what)?["status"]["hosts"]["removing"], 0);
    }
    assert_eq!(h1.objects()?, before, "nothing changed on the other host");
    assert_eq!(
        h2.read_from_volume("data")?,
        "precious",
        "volumes stay by default"
    );

    cluster.kubectl(&format!(
        "label dhost/h2 -n {FLEET} --overwrite site=berlin"
    ))?;
    for what in ["dnet/front", "dvol/data"] {
        cluster.until(what, "{.status.hosts.ready}=2")?;
        cluster.ready(what)?;
    }
    h2.network_id("front")?;
    assert_eq!(
        h2.read_from_volume("data")?,
        "precious",
        "it is taken up again"
    );
    Ok(())
}

#[test]
fn a_host_takes_resources_of_allowed_namespaces_only() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    let set = |spec: &str| cluster.patch(&format!("dhost/h1 -n {FLEET}"), spec);
    set("{\"spec\": {\"allowedNamespaces\": null}}")?;
    cluster.kubectl("create namespace shop")?;
    cluster.apply(&network("shop/front", "{hostSelector: {}}"))?;
    let front = "dnet/front -n shop";
    cluster.not_ready(front, "False", "NotAllowed")?;
    let reported = cluster.get(front)?;
    assert_eq!(condition(&reported, "Accepted")["status"], "False");
    assert_eq!(reported["status"]["failing"][0]["host"], "h1");
    let message = reported["status"]["failing"][0]["message"].to_string();
    assert!(
        message.contains("namespace shop") && message.contains("allowedNamespaces"),
        "{message}"
    );
    // The host's own namespace is allowed by default.
    cluster.apply(&network(&format!("{FLEET}/own"), "{hostSelector: {}}"))?;
    cluster.ready(&format!("dnet/own -n {FLEET}"))?;
    assert!(h1.network("front")?.is_none());

    set(
        "{\"spec\": {\"allowedNamespaces\": {\"from\": \"Selector\", \"selector\": {\"matchLabels\": {\"tier\": \"shop\"}}}}}",
    )?;
    cluster.kubectl("label namespace shop tier=shop")?;
    cluster.ready(front)?;
    let id = h1.network_id("front")?;

    assert!(
        h1.network("own")?.is_some(),
        "the selector does not select it, and it stays"
    );

    // A host that is closed again keeps what it has.
    cluster.kubectl("label namespace shop tier-")?;
    cluster.until(front, &ready_reason("NotAllowed"))?;
    cluster.assigned(h1, &[])?;
    assert_eq!(h1.network_id("front")?, id);
    cluster.kubectl("label namespace shop tier=shop")?;
    cluster.ready(front)?;
    assert_eq!(h1.network_id("front")?, id, "it is taken up again");
    cluster
        .kubectl("delete dnet/front -n shop --timeout=60s")
        .context("it is ours again, and to be removed")?;
    h1.await_no_network("front")
}
