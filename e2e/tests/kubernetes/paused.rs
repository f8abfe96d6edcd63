//! Nothing is changed on a host that is paused, and everything else goes on.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::eventually;

use crate::bench::{Bench, FLEET, SOON, network};

const HOST: &str = "dhost/h1 -n dockfleet-hosts";
const PAUSED: &str = "{.status.conditions[?(@.type==\"Paused\")].reason}";

#[test]
fn a_paused_host_is_looked_at_and_left_as_it_is() -> Result<()> {
    let bench = Bench::start(&[("h1", Newest, "{}")])?;
    let [h1] = bench.hosts()?;
    bench.apply(
        &[
            network("there", "{hostSelector: {}}"),
            network("old", "{hostSelector: {}}"),
        ]
        .concat(),
    )?;
    bench.ready("dnet/there")?;
    bench.ready("dnet/old")?;

    bench.patch(HOST, r#"{"spec": {"paused": true}}"#)?;
    bench.until(HOST, &format!("{PAUSED}=SpecPaused"))?;
    let before = h1.objects()?;
    bench.apply(&network("new", "{hostSelector: {}}"))?;
    bench.not_ready("dnet/new", "Unknown", "Paused")?;
    bench.kubectl("delete dnet/old --timeout=60s")?;
    // What it says of what is there is as fresh as ever.
    let id = h1.network_id("there")?;
    h1.engine.docker(["network", "rm", "there"])?;
    bench.not_ready("dnet/there", "Unknown", "Paused")?;
    let mut left = before.clone();
    left.retain(|_, have| *have != id);
    assert_eq!(h1.objects()?, left);

    // Both at once, and then the file alone, with its text.
    std::fs::write(h1.state_dir().join("paused"), "new disks")?;
    bench.patch(HOST, r#"{"spec": {"paused": false}}"#)?;
    bench.until(HOST, &format!("{PAUSED}=PauseFile"))?;
    let host = bench.get(HOST)?;
    let said = crate::bench::condition(&host, "Paused")["message"].to_string();
    assert!(said.contains("says: new disks"), "{said}");
    assert_eq!(
        host["status"]["observedGeneration"],
        host["metadata"]["generation"]
    );
    assert_eq!(h1.objects()?, left);

    // It outlasts the agent and the API server's absence: the journal has the one, the disk the other.
    h1.kill_agent()?;
    h1.start_agent()?;
    bench.until(HOST, &format!("{PAUSED}=PauseFile"))?;
    assert_eq!(h1.objects()?, left);

    std::fs::remove_file(h1.state_dir().join("paused"))?;
    bench.ready("dnet/new")?;
    bench.ready("dnet/there")?;
    h1.await_no_network("old")?;
    eventually("the end of the condition Paused", SOON, || {
        let host = bench.get(HOST).map_err(|e| e.to_string())?;
        let paused = crate::bench::condition(&host, "Paused");
        paused
            .is_null()
            .then_some(())
            .ok_or_else(|| paused.to_string())
    })?;
    bench.assigned(h1, &["new", "there"]).context(FLEET)
}
