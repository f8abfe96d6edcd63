use std::time::Duration;

use anyhow::{Result, bail};
use dockfleet_e2e::{Engine, Fleet, Generation, Host, at_once, eventually};

fn reaches(from: &Host, to: &Host) -> Result<bool> {
    let to = to.address().to_string();
    Ok(from
        .run("busybox", ["ping", "-c", "1", "-W", "1", &to])?
        .success())
}

#[test]
fn a_cut_stops_traffic_and_joining_restores_it() -> Result<()> {
    let fleet = Fleet::new()?;
    let (one, two, three) = (fleet.host("one")?, fleet.host("two")?, fleet.host("three")?);
    assert!(reaches(&one, &two)?);
    two.cut()?;
    assert!(!reaches(&one, &two)?);
    assert!(!reaches(&two, &three)?);
    assert!(reaches(&one, &three)?, "the others are not cut off");
    two.join()?;
    eventually(
        "traffic after joining",
        Duration::from_secs(10),
        || match reaches(&one, &two) {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
}

#[test]
fn fleets_made_at_once_do_not_share_a_subnet() -> Result<()> {
    let fleets = at_once([(); 6], |()| Fleet::new())?;
    let mut subnets: Vec<_> = fleets.iter().map(Fleet::subnet).collect();
    subnets.sort();
    subnets.dedup();
    assert_eq!(subnets.len(), fleets.len());
    Ok(())
}

fn macvlan_spans_two_hosts(generation: Generation) -> Result<()> {
    let fleet = Fleet::new()?;
    let mut engines = Vec::new();
    for number in ["1", "2"] {
        let engine = Engine::start(&fleet.host(&format!("h{number}"))?, generation)?;
        engine.import_busybox()?;
        let range = format!("10.200.0.{}/28", number.parse::<u8>()? * 16);
        engine.docker([
            "network",
            "create",
            "--driver",
            "macvlan",
            "--opt",
            "parent=eth0",
            "--subnet",
            "10.200.0.0/24",
            "--gateway",
            "10.200.0.1",
            "--ip-range",
            &range,
            "lan",
        ])?;
        engine.run_container("box", &["--network", "lan"], &[])?;
        engines.push(engine);
    }
    let [first, second] = engines.as_slice() else {
        bail!("two hosts were asked for");
    };
    let address = "{{.NetworkSettings.Networks.lan.IPAddress}}";
    let there = second.docker(["inspect", "--format", address, "box"])?;
    assert!(there.starts_with("10.200.0."), "{there}");
    first.docker(["exec", "box", "ping", "-c", "1", "-W", "3", &there])?;
    Ok(())
}

#[test]
fn macvlan_spans_two_hosts_on_20() -> Result<()> {
    macvlan_spans_two_hosts(Generation::Debian20)
}

#[test]
fn macvlan_spans_two_hosts_on_the_newest() -> Result<()> {
    macvlan_spans_two_hosts(Generation::Newest)
}

#[test]
fn an_overlay_network_spans_a_swarm_of_two_hosts() -> Result<()> {
    for generation in Generation::ALL {
        let fleet = Fleet::new()?;
        let (first, second) = (fleet.host("h1")?, fleet.host("h2")?);
        let here = Engine::start(&first, generation)?;
        let there = Engine::start(&second, generation)?;
        here.docker([
            "swarm",
            "init",
            "--advertise-addr",
            &first.address().to_string(),
        ])?;
        let token = here.docker(["swarm", "join-token", "--quiet", "worker"])?;
        let manager = format!("{}:2377", first.address());
        there.docker(["swarm", "join", "--token", &token, &manager])?;
        here.docker([
            "network",
            "create",
            "--driver",
            "overlay",
            "--attachable",
            "span",
        ])?;
        for (engine, name) in [(&here, "one"), (&there, "two")] {
            engine.import_busybox()?;
            engine.run_container(name, &["--network", "span"], &[])?;
        }
        eventually(
            "traffic by name over the overlay",
            Duration::from_secs(30),
            || {
                here.docker(["exec", "one", "ping", "-c", "1", "-W", "1", "two"])
                    .map_err(|e| e.to_string())
            },
        )?;
    }
    Ok(())
}
