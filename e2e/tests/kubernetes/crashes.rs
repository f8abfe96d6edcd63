//! Engines, agents and the controller that end when it suits nobody, and come back.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;

use crate::test_cluster::{FLEET, SOON, TestCluster, network, ready_reason, volume};
use crate::test_host::TestHost;

fn two_hosts() -> [(&'static str, dockfleet_e2e::Generation, &'static str); 2] {
    [("h1", Debian20, "{}"), ("h2", Newest, "{}")]
}

#[test]
fn an_engine_that_comes_back_is_found_as_it_was() -> Result<()> {
    let cluster = TestCluster::start(&two_hosts())?;
    let [h1, h2] = cluster.hosts()?;
    cluster.make(&[
        network("front", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}}"),
    ])?;
    let before = cluster.objects()?;

    h1.engine.kill()?;
    h2.engine.stop()?;
    for host in [h1, h2] {
        let what = format!("dhost/{} -n {FLEET}", host.name());
        cluster.until(&what, &ready_reason("EngineUnreachable"))?;
    }
    cluster.apply(&network("back", "{hostSelector: {}}"))?;
    cluster.until("dnet/back", "{.status.hosts.desired}=2")?;
    cluster.until("dnet/back", "{.status.hosts.ready}=0")?;
    for host in [h1, h2] {
        host.engine.start_again()?;
    }
    cluster.ready("dnet/back")?;
    for what in ["dnet/front", "dvol/data"] {
        cluster.ready(what)?;
    }
    let mut after = cluster.objects()?;
    after.retain(|key, _| !key.ends_with(" back"));
    // An engine that starts makes the networks that nobody chose anew.
    let mut before = before;
    for objects in [&mut before, &mut after] {
        objects.retain(|key, _| !key.ends_with(" none") && !key.ends_with(" host"));
    }
    assert_eq!(after, before);
    for host in [h1, h2] {
        cluster.ready(&format!("dhost/{} -n {FLEET}", host.name()))?;
    }
    Ok(())
}

/// invariant 2.
#[test]
fn an_engine_that_lost_its_data_gets_its_networks_and_tells_of_its_volumes() -> Result<()> {
    let cluster = TestCluster::start(&two_hosts())?;
    let hosts: [_; 2] = cluster.hosts()?;
    let all = [
        network("front", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}}"),
        volume("scratch", "{hostSelector: {}, tmpfs: {}}"),
        volume("cache", "{hostSelector: {}, lossPolicy: Recreate}"),
    ];
    cluster.make(&all)?;
    for host in hosts {
        host.engine.stop()?;
        fs::remove_dir_all(host.engine.data_root())?;
        host.engine.start_again()?;
    }
    cluster.not_ready("dvol/data", "False", "Lost")?;
    cluster.until("dvol/data", "{.status.hosts.failed}=2")?;
    for host in hosts {
        host.await_network("front")?;
        for made_again in ["scratch", "cache"] {
            eventually(made_again, SOON, || match host.volume(made_again) {
                Ok(Some(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            })?;
        }
        assert!(
            host.volume("data")?.is_none(),
            "an empty one would hide the loss"
        );
    }
    for what in ["dnet/front", "dvol/scratch", "dvol/cache"] {
        cluster.ready(what)?;
    }
    // Somebody has read it, and begins anew.
    cluster.patch("dvol/data", "{\"spec\": {\"lossPolicy\": \"Recreate\"}}")?;
    cluster.ready("dvol/data")
}

const MANY: usize = 12;

fn many(spec: &str) -> String {
    (0..MANY)
        .map(|i| network(&format!("many-{i}"), spec) + &volume(&format!("many-{i}"), spec))
        .collect()
}

/// The names of the networks of [`many`] on a host; two of one name are an error.
fn many_on(host: &TestHost) -> Result<usize> {
    let objects = host.objects()?;
    let prefix = format!("{} network many-", host.name());
    Ok(objects.keys().filter(|k| k.starts_with(&prefix)).count())
}

fn await_many(host: &TestHost, enough: impl Fn(usize) -> bool) -> Result<()> {
    let what = format!("networks on {}", host.name());
    eventually(&what, SOON, || match many_on(host) {
        Ok(count) if enough(count) => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

/// invariant 5.
#[test]
fn what_is_killed_in_the_middle_leaves_nothing_double_and_nothing_out() -> Result<()> {
    let cluster = TestCluster::start(&two_hosts())?;
    let hosts: [_; 2] = cluster.hosts()?;
    cluster.apply(&many("{hostSelector: {}}"))?;
    for least in [1, MANY / 2] {
        for host in hosts {
            await_many(host, |count| count >= least)?;
            host.kill_agent()?;
            host.start_agent()?;
        }
    }
    for host in hosts {
        host.engine.kill()?;
        host.engine.start_again()?;
    }
    for i in 0..MANY {
        cluster.ready(&format!("dnet/many-{i} dvol/many-{i}"))?;
    }
    for host in hosts {
        assert_eq!(many_on(host)?, MANY);
    }

    // The same on the way out.
    cluster.kubectl("delete dnet --all --timeout=60s")?;
    for most in [MANY - 1, MANY / 2] {
        for host in hosts {
            await_many(host, |count| count <= most)?;
            host.kill_agent()?;
            host.start_agent()?;
        }
    }
    for host in hosts {
        await_many(host, |count| count == 0)?;
        let volumes = host.objects()?;
        assert_eq!(
            volumes
                .keys()
                .filter(|k| k.contains(" volume many-"))
                .count(),
            MANY
        );
    }
    Ok(())
}

#[test]
fn a_controller_that_is_late_or_killed_loses_nothing() -> Result<()> {
    let cluster = TestCluster::prepare(&two_hosts())?;
    let hosts: [_; 2] = cluster.hosts()?;
    cluster.apply(&network("early", "{hostSelector: {}}"))?;
    for host in hosts {
        host.start_agent()?;
        // Its agent has looked, and there is no assignment for it.
        cluster.until(
            &format!("dhost/{} -n {FLEET}", host.name()),
            "{.status.engine.version}",
        )?;
    }
    cluster.start_controller()?;
    cluster.ready("dnet/early")?;

    // Killed at some point on the way, both ways.
    cluster.make(&[network("gone", "{hostSelector: {}}")])?;
    cluster.apply(&many("{hostSelector: {}}"))?;
    cluster.kill_controller()?;
    cluster.start_controller()?;
    cluster.kubectl("delete dnet/gone --wait=false")?;
    cluster.kill_controller()?;
    let meanwhile = network("early", "{hostNames: [h2]}");
    cluster.apply(&meanwhile)?;
    cluster.start_controller()?;
    let [h1, h2] = hosts;
    h1.await_no_network("early")?;
    for host in hosts {
        host.await_no_network("gone")?;
        await_many(host, |count| count == MANY)?;
    }
    h2.network_id("early")?;
    cluster.until("dnet/early", "{.status.hosts.desired}=1")?;
    cluster.ready("dnet/early")?;
    for i in 0..MANY {
        cluster.ready(&format!("dnet/many-{i} dvol/many-{i}"))?;
    }
    let gone = cluster.plane.kubectl(["get", "dnet/gone"])?;
    ensure!(gone.stderr.contains("NotFound"), "{gone:?}");
    let names: Vec<String> = cluster.assignment(h1)?["spec"]["entries"]
        .as_array()
        .context("no entries")?
        .iter()
        .map(|e| e["name"].to_string())
        .collect();
    assert_eq!(names.len(), 2 * MANY, "{names:?}");
    Ok(())
}
