//! Which hosts a resource goes to, and what happens when that changes.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::bench::{Bench, FLEET, condition, network, ready_reason, volume};

#[test]
fn a_host_that_is_no_longer_selected_lets_go() -> Result<()> {
    let bench = Bench::start(&[
        ("h1", Debian20, "{site: berlin}"),
        ("h2", Newest, "{site: berlin}"),
    ])?;
    let [h1, h2] = bench.hosts()?;
    let berlin = "{hostSelector: {matchLabels: {site: berlin}}}";
    bench.apply(&[network("front", berlin), volume("data", berlin)].concat())?;
    bench.ready("dnet/front")?;
    bench.ready("dvol/data")?;
    h2.write_into_volume("data", "precious")?;
    let before = h1.objects()?;

    bench.kubectl(&format!("label dhost/h2 -n {FLEET} --overwrite site=paris"))?;
    h2.await_no_network("front")?;
    bench.assigned(h2, &[])?;
    for what in ["dnet/front", "dvol/data"] {
        bench.until(what, "{.status.hosts.desired}=1")?;
        bench.ready(what)?;
        assert_eq!(bench.get(what)?["status"]["hosts"]["removing"], 0);
    }
    assert_eq!(h1.objects()?, before, "nothing changed on the other host");
    assert_eq!(
        h2.read_from_volume("data")?,
        "precious",
        "volumes stay by default"
    );

    bench.kubectl(&format!(
        "label dhost/h2 -n {FLEET} --overwrite site=berlin"
    ))?;
    for what in ["dnet/front", "dvol/data"] {
        bench.until(what, "{.status.hosts.ready}=2")?;
        bench.ready(what)?;
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
    let bench = Bench::start(&[("h1", Newest, "{}")])?;
    let [h1] = bench.hosts()?;
    let set = |spec: &str| bench.patch(&format!("dhost/h1 -n {FLEET}"), spec);
    set("{\"spec\": {\"allowedNamespaces\": null}}")?;
    bench.kubectl("create namespace shop")?;
    bench.apply(&network("shop/front", "{hostSelector: {}}"))?;
    let front = "dnet/front -n shop";
    bench.not_ready(front, "False", "NotAllowed")?;
    let told = bench.get(front)?;
    assert_eq!(condition(&told, "Accepted")["status"], "False");
    assert_eq!(told["status"]["failing"][0]["host"], "h1");
    let message = told["status"]["failing"][0]["message"].to_string();
    assert!(
        message.contains("namespace shop") && message.contains("allowedNamespaces"),
        "{message}"
    );
    // The host's own namespace is allowed by default.
    bench.apply(&network(&format!("{FLEET}/own"), "{hostSelector: {}}"))?;
    bench.ready(&format!("dnet/own -n {FLEET}"))?;
    assert!(h1.network("front")?.is_none());

    set(
        "{\"spec\": {\"allowedNamespaces\": {\"from\": \"Selector\", \"selector\": {\"matchLabels\": {\"tier\": \"shop\"}}}}}",
    )?;
    bench.kubectl("label namespace shop tier=shop")?;
    bench.ready(front)?;
    let id = h1.network_id("front")?;

    assert!(
        h1.network("own")?.is_some(),
        "the selector does not select it, and it stays"
    );

    // A host that is closed again keeps what it has.
    bench.kubectl("label namespace shop tier-")?;
    bench.until(front, &ready_reason("NotAllowed"))?;
    bench.assigned(h1, &[])?;
    assert_eq!(h1.network_id("front")?, id);
    bench.kubectl("label namespace shop tier=shop")?;
    bench.ready(front)?;
    assert_eq!(h1.network_id("front")?, id, "it is taken up again");
    bench
        .kubectl("delete dnet/front -n shop --timeout=60s")
        .context("it is ours again, and to be removed")?;
    h1.await_no_network("front")
}
