//! Invariant 6: what a control plane says after it was set back is not taken for news.

use anyhow::Result;
use dockfleet_e2e::Generation::{Debian20, Newest};

use crate::test_cluster::{FLEET, TestCluster, log_says, network};

/// Both hosts had let go of the network when the copy was taken, or were about to; then they were
/// given it again. The copy still says that it has to go.
#[test]
fn an_older_assignment_is_ignored() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{site: berlin}"),
        ("h2", Newest, "{site: berlin}"),
    ])?;
    let hosts: [_; 2] = cluster.hosts()?;
    cluster.make(&[network(
        "front",
        "{hostSelector: {matchLabels: {site: berlin}}}",
    )])?;
    let uid = cluster.uid("dnet/front")?;
    for host in hosts {
        host.engine.import_busybox()?;
        host.engine
            .run_container("user", &["--network", "front"], &[])?;
    }
    cluster.kubectl(&format!(
        "label dhost --all -n {FLEET} --overwrite site=paris"
    ))?;
    // Losing both hosts at once is more than the brake lets pass.
    cluster.kubectl("annotate dnet/front dockfleet.io/allow-removal=1-2")?;
    for host in hosts {
        cluster.entry_with(host, &uid, "InUse")?;
    }
    let older = cluster.plane.snapshot()?;

    cluster.kubectl(&format!(
        "label dhost --all -n {FLEET} --overwrite site=berlin"
    ))?;
    cluster.until("dnet/front", "{.status.hosts.ready}=2")?;
    cluster.ready("dnet/front")?;
    for host in hosts {
        host.engine.docker(["rm", "--force", "user"])?;
    }
    let before = cluster.objects()?;
    cluster.kill_controller()?;
    cluster.plane.restore(&older)?;
    for host in hosts {
        assert_eq!(
            cluster.assignment(host)?["spec"]["entries"][0]["intent"],
            "Absent"
        );
    }

    // A watch that was there before goes on at a version that the copy has not reached yet, as
    // etcd's own documentation warns: only who starts anew reads what the copy says.
    for host in hosts {
        host.kill_agent()?;
        host.start_agent()?;
        log_says(host, "older")?;
    }
    assert_eq!(cluster.objects()?, before);

    // By the next wish the network is wanted again, and it is still there.
    cluster.start_controller()?;
    cluster.kubectl(&format!(
        "label dhost --all -n {FLEET} --overwrite site=berlin"
    ))?;
    cluster.everybody_goes_on("beacon")?;
    cluster.ready("dnet/front")?;
    let mut after = cluster.objects()?;
    after.retain(|key, _| !key.ends_with(" beacon"));
    assert_eq!(after, before);
    Ok(())
}

/// The generations of assignments start over from the copy, behind what the agents have seen.
#[test]
fn a_fleet_goes_on_after_its_control_plane_was_set_back() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let hosts: [_; 2] = cluster.hosts()?;
    cluster.everybody_goes_on("first")?;
    let older = cluster.plane.snapshot()?;
    for later in ["later-1", "later-2", "later-3"] {
        cluster.everybody_goes_on(later)?;
    }
    let before = cluster.objects()?;

    cluster.kill_controller()?;
    cluster.plane.restore(&older)?;
    cluster.start_controller()?;
    for host in hosts {
        host.kill_agent()?;
        host.start_agent()?;
    }
    cluster.everybody_goes_on("beacon")?;
    let mut after = cluster.objects()?;
    after.retain(|key, _| !key.ends_with(" beacon"));
    assert_eq!(after, before, "what the copy does not know stays");
    Ok(())
}
