//! Hosts that are heard of, and hosts that are not.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;
use serde_json::Value;

use crate::bench::{Bench, FLEET, SOON, condition, event, network, volume};
use crate::member::Member;

/// A controller and agents that are quick to see who is offline, on two hosts.
fn quick() -> Result<Bench> {
    let bench = Bench::prepare(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    bench.hurry();
    Ok(bench)
}

fn start(bench: &Bench) -> Result<()> {
    bench.start_controller()?;
    for member in &bench.members {
        member.start_agent()?;
    }
    for member in &bench.members {
        reachable(bench, member, "True")?;
    }
    Ok(())
}

fn reachable(bench: &Bench, host: &Member, status: &str) -> Result<()> {
    bench.until(
        &format!("dhost/{} -n {FLEET}", host.name()),
        &format!("{{.status.conditions[?(@.type==\"Reachable\")].status}}={status}"),
    )
}

fn lease(bench: &Bench, host: &Member) -> Result<Value> {
    bench.get(&format!("lease/{} -n {FLEET}", host.name()))
}

/// invariant 7.
#[test]
fn a_host_that_is_offline_holds_up_nothing_and_catches_up() -> Result<()> {
    let bench = quick()?;
    start(&bench)?;
    let [h1, h2] = bench.hosts()?;
    let changed = |subnet: &str| {
        let spec = "hostSelector: {}, updatePolicy: WhenUnused";
        let block = format!("ipam: {{config: [{{subnet: {subnet}}}]}}");
        network("changed", &format!("{{{spec}, {block}}}"))
    };
    let subnet = |host: &Member| -> Result<Value> {
        let network = host.network("changed")?.context("it is gone")?;
        Ok(network["IPAM"]["Config"][0]["Subnet"].clone())
    };
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

    // In the middle of it: nobody has been told yet.
    h2.host.cut()?;
    bench.apply(
        &[
            changed("10.71.0.0/24"),
            network("new", "{hostSelector: {}}"),
            network("strict", "{hostSelector: {}, readyPolicy: All}"),
            volume("data", "{hostSelector: {}}"),
        ]
        .concat(),
    )?;
    bench.kubectl("delete dnet/old --timeout=60s")?;
    h1.await_no_network("old")?;
    reachable(&bench, h2, "False")?;
    event(&bench, "Warning", "no heartbeat since")?;
    for what in ["dnet/changed", "dnet/new", "dvol/data"] {
        bench.ready(what)?;
        bench.until(what, "{.status.hosts.offline}=1")?;
        bench.until(what, "{.status.hosts.ready}=1")?;
    }
    bench.not_ready("dnet/strict", "Unknown", "Offline")?;
    reachable(&bench, h1, "True")?;
    assert_eq!(subnet(h1)?, "10.71.0.0/24");
    assert_eq!(h2.objects()?, before, "the cut is one");
    // A new controller takes nothing back, and judges nobody before it has listened.
    bench.kill_controller()?;
    bench.start_controller()?;
    bench.apply(&network("late", "{hostSelector: {}}"))?;
    bench.ready("dnet/late")?;
    bench.kubectl("delete dnet/late --timeout=60s")?;

    h2.host.join()?;
    reachable(&bench, h2, "True")?;
    for what in ["dnet/changed", "dnet/new", "dnet/strict", "dvol/data"] {
        bench.until(what, "{.status.hosts.ready}=2")?;
        bench.until(what, "{.status.hosts.offline}=0")?;
        bench.ready(what)?;
    }
    h2.await_no_network("old")?;
    assert_eq!(subnet(h2)?, "10.71.0.0/24");
    bench.assigned(h2, &["changed", "data", "new", "strict"])
}

/// The clocks of the agents go wrong by an hour, each to its side. That of an engine cannot be set
/// apart from the machine's (it reads the time past the C library), and is not used.
#[test]
fn a_wrong_clock_makes_no_host_offline() -> Result<()> {
    let bench = quick()?;
    let [h1, h2] = bench.hosts()?;
    for (host, wrong) in [(h1, "+1h"), (h2, "-1h")] {
        host.set_env("LD_PRELOAD", &libfaketime()?.display().to_string());
        host.set_env("FAKETIME", wrong);
        host.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    start(&bench)?;
    let since: Vec<Value> = [h1, h2]
        .iter()
        .map(|host| told(&bench, host))
        .collect::<Result<_>>()?;
    // Sixteen of them take longer than a host may be silent.
    for _ in 0..16 {
        for host in [h1, h2] {
            await_beat(&bench, host)?;
        }
    }
    for (host, since) in [h1, h2].iter().zip(since) {
        assert_eq!(told(&bench, host)?, since, "{}", host.name());
    }
    let now =
        |host| -> Result<String> { Ok(lease(&bench, host)?["spec"]["renewTime"].to_string()) };
    ensure!(now(h1)? > now(h2)?, "the clocks differ");
    bench.everybody_goes_on("front")
}

/// The condition Reachable, which is to be True.
fn told(bench: &Bench, host: &Member) -> Result<Value> {
    let object = bench.get(&format!("dhost/{} -n {FLEET}", host.name()))?;
    let reachable = condition(&object, "Reachable");
    ensure!(reachable["status"] == "True", "{reachable}");
    Ok(reachable)
}

fn await_beat(bench: &Bench, host: &Member) -> Result<()> {
    let before = lease(bench, host)?["spec"]["renewTime"].clone();
    eventually(&format!("a heartbeat of {}", host.name()), SOON, || {
        let now = lease(bench, host).map_err(|e| e.to_string())?;
        let now = now["spec"]["renewTime"].clone();
        (now != before).then_some(()).ok_or_else(|| now.to_string())
    })
}

fn libfaketime() -> Result<PathBuf> {
    let mut folders = std::fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let found = folders.find_map(|f| {
        let path = f.path().join("faketime/libfaketime.so.1");
        path.exists().then_some(path)
    });
    found.context("no libfaketime.so.1 below /usr/lib; run `make deps`")
}
