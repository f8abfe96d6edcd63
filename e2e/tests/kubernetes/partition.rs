//! A host that is cut off.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::bench::{Bench, network, volume};

/// invariant 7.
#[test]
fn a_host_that_is_cut_off_holds_up_nobody_and_catches_up() -> Result<()> {
    let bench = Bench::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let [h1, h2] = bench.hosts()?;
    let changed = |subnet: &str| {
        let block = format!("ipam: {{config: [{{subnet: {subnet}}}]}}");
        network(
            "changed",
            &format!("{{hostSelector: {{}}, updatePolicy: WhenUnused, {block}}}"),
        )
    };
    let subnet = |network: &serde_json::Value| network["IPAM"]["Config"][0]["Subnet"].clone();
    bench.apply(
        &[
            changed("10.70.0.0/24"),
            network("old", "{hostSelector: {}}"),
        ]
        .concat(),
    )?;
    bench.ready("dnet/changed")?;
    bench.ready("dnet/old")?;
    let before = h2.objects()?;

    h2.host.cut()?;
    bench.apply(
        &[
            changed("10.71.0.0/24"),
            network("new", "{hostSelector: {}}"),
        ]
        .concat(),
    )?;
    bench.apply(&volume("data", "{hostSelector: {}}"))?;
    bench.kubectl("delete dnet/old --timeout=60s")?;
    h1.await_no_network("old")?;
    for what in ["dnet/new", "dvol/data", "dnet/changed"] {
        // Ready on the other one, and neither ready nor failed as a whole.
        bench.until(what, "{.status.observedGeneration}")?;
        bench.until(what, "{.status.hosts.pending}=1")?;
        bench.until(what, "{.status.hosts.ready}=1")?;
        bench.until(
            what,
            "{.status.conditions[?(@.type==\"Ready\")].status}=Unknown",
        )?;
    }
    assert_eq!(
        subnet(&h1.network("changed")?.context("it is gone")?),
        "10.71.0.0/24"
    );
    assert_eq!(h2.objects()?, before, "the cut is one");

    h2.host.join()?;
    for what in ["dnet/new", "dvol/data", "dnet/changed"] {
        bench.until(what, "{.status.hosts.ready}=2")?;
        bench.ready(what)?;
    }
    h2.await_no_network("old")?;
    assert_eq!(
        subnet(&h2.network("changed")?.context("it is gone")?),
        "10.71.0.0/24"
    );
    h2.network_id("new")?;
    assert!(h2.volume("data")?.is_some());
    bench.assigned(h2, &["changed", "data", "new"])
}
