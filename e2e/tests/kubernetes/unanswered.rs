//! A volume plugin that hangs holds up its own volumes and nothing else on the host.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::{VolumePlugin, eventually};

use crate::test_cluster::{FLEET, SOON, TestCluster, condition, network, volume};

const NETWORKS: usize = 20;
const VOLUMES: usize = 50;
/// How long heartbeats are watched while the plugin hangs.
const WATCHED: Duration = Duration::from_secs(20);

/// Applies networks and waits until all of them are ready; returns how long that took.
fn time_to_ready(cluster: &TestCluster, name: &str, block: u8, beside: &str) -> Result<Duration> {
    let mut yaml = beside.to_owned();
    for n in 0..NETWORKS {
        // An engine has 30 subnets of its own to give away.
        let ipam = format!("ipam: {{config: [{{subnet: 10.{block}.{n}.0/24}}]}}");
        let spec = format!("{{hostSelector: {{}}, {ipam}}}");
        yaml += &network(&format!("{name}-{n:02}"), &spec);
    }
    let begin = Instant::now();
    cluster.apply(&yaml)?;
    for n in 0..NETWORKS {
        cluster.ready(&format!("dnet/{name}-{n:02}"))?;
    }
    Ok(begin.elapsed())
}

#[test]
fn i7_a_plugin_that_hangs_holds_up_no_network_no_heartbeat_and_no_pause() -> Result<()> {
    let cluster = TestCluster::prepare(&[("h1", Newest, "{}")])?;
    cluster.hurry();
    cluster.start_controller()?;
    let [host] = cluster.hosts()?;
    host.join(&cluster.plane)?;
    host.start_agent()?;
    cluster.ready(&format!("dhost/h1 -n {FLEET}"))?;
    let plugin = VolumePlugin::start(&host.engine, "sleepy")?;
    let usual = time_to_ready(&cluster, "usual", 61, "")?;

    let mut volumes = String::new();
    for n in 0..VOLUMES {
        let name = format!("v-{n:02}");
        let _ = write!(
            volumes,
            "{}",
            volume(&name, "{hostSelector: {}, driver: sleepy}")
        );
    }
    let beside = time_to_ready(&cluster, "beside", 62, &volumes)?;
    assert_eq!(plugin.creates(), 1, "the first volume is still waited for");

    // Heartbeats go on: the Lease changes, and never takes much longer than its interval to do so.
    let mut changes = vec![Instant::now()];
    let mut seen = BTreeSet::new();
    while changes[0].elapsed() < WATCHED {
        let what = format!("lease/h1 -n {FLEET}");
        let renewed = eventually("a beat", SOON, || {
            let lease = cluster.get(&what).map_err(|e| e.to_string())?;
            let renewed = lease["spec"]["renewTime"].to_string();
            (!seen.contains(&renewed))
                .then_some(renewed)
                .ok_or_else(|| "the same".to_owned())
        })?;
        seen.insert(renewed);
        changes.push(Instant::now());
    }
    let gaps = changes.windows(2).map(|w| w[1] - w[0]);
    let longest = gaps.max().context("no beats")?;
    println!(
        "{NETWORKS} networks ready in {usual:?}, beside {VOLUMES} volumes of a plugin that hangs in {beside:?}; \
         {} heartbeats every 2 s in {WATCHED:?}, the longest gap {longest:?}",
        seen.len()
    );
    assert!(longest < WATCHED / 2, "a gap of {longest:?}");

    // A pause is reported at once, and takes effect before the next volume.
    cluster.patch(
        &format!("dhost/h1 -n {FLEET}"),
        r#"{"spec":{"paused":true}}"#,
    )?;
    eventually("the pause", SOON, || {
        let host = cluster.get(&format!("dhost/h1 -n {FLEET}"));
        let host = host.map_err(|e| e.to_string())?;
        let paused = condition(&host, "Paused");
        (paused["status"] == "True")
            .then_some(())
            .ok_or_else(|| paused.to_string())
    })?;
    assert_eq!(plugin.creates(), 1);
    plugin.release();
    cluster.until("dvol/v-49", "{.status.failing[0].reason}=Paused")?;
    assert_eq!(plugin.creates(), 1, "nothing was begun after the pause");

    cluster.patch(
        &format!("dhost/h1 -n {FLEET}"),
        r#"{"spec":{"paused":false}}"#,
    )?;
    for n in 0..VOLUMES {
        cluster.ready(&format!("dvol/v-{n:02}"))?;
    }
    assert_eq!(plugin.creates(), VOLUMES);
    Ok(())
}
