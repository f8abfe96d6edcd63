//! Nothing is changed on a host that is paused, and everything else goes on.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::eventually;

use crate::test_cluster::{FLEET, SOON, TestCluster, network};

const HOST: &str = "dhost/h1 -n dockfleet-hosts";
const PAUSED: &str = "{.status.conditions[?(@.type==\"Paused\")].reason}";

#[test]
fn a_paused_host_is_looked_at_and_left_as_it_is() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    cluster.make(&[
        network("there", "{hostSelector: {}}"),
        network("old", "{hostSelector: {}}"),
    ])?;

    cluster.patch(HOST, r#"{"spec": {"paused": true}}"#)?;
    cluster.until(HOST, &format!("{PAUSED}=SpecPaused"))?;
    let before = h1.objects()?;
    cluster.apply(&network("new", "{hostSelector: {}}"))?;
    cluster.not_ready("dnet/new", "Unknown", "Paused")?;
    cluster.kubectl("delete dnet/old --timeout=60s")?;
    // What it says of what is there is as fresh as ever.
    let id = h1.network_id("there")?;
    h1.engine.docker(["network", "rm", "there"])?;
    cluster.not_ready("dnet/there", "Unknown", "Paused")?;
    let mut left = before.clone();
    left.retain(|_, have| *have != id);
    assert_eq!(h1.objects()?, left);

    // Both at once, and then the file alone, with its text.
    std::fs::write(h1.state_dir().join("paused"), "new disks")?;
    cluster.patch(HOST, r#"{"spec": {"paused": false}}"#)?;
    cluster.until(HOST, &format!("{PAUSED}=PauseFile"))?;
    let host = cluster.get(HOST)?;
    let said = crate::test_cluster::condition(&host, "Paused")["message"].to_string();
    assert!(said.contains("paused: new disks"), "{said}");
    assert_eq!(
        host["status"]["observedGeneration"],
        host["metadata"]["generation"]
    );
    assert_eq!(h1.objects()?, left);

    // It outlasts the agent and the API server's absence: the journal has the one, the disk the other.
    h1.kill_agent()?;
    h1.start_agent()?;
    cluster.until(HOST, &format!("{PAUSED}=PauseFile"))?;
    assert_eq!(h1.objects()?, left);

    std::fs::remove_file(h1.state_dir().join("paused"))?;
    cluster.ready("dnet/new")?;
    cluster.ready("dnet/there")?;
    h1.await_no_network("old")?;
    eventually("the end of the condition Paused", SOON, || {
        let host = cluster.get(HOST).map_err(|e| e.to_string())?;
        let paused = crate::test_cluster::condition(&host, "Paused");
        paused
            .is_null()
            .then_some(())
            .ok_or_else(|| paused.to_string())
    })?;
    cluster.assigned(h1, &["new", "there"]).context(FLEET)
}
