//! What an engine shows in other words than the resource is no drift.

use anyhow::Result;
use dockfleet_e2e::{Engine, Fleet, Generation};
use serde_json::json;

use crate::cli_env::{CliEnv, on_each_engine, solo};
use crate::{have, manifest};

on_each_engine!(
    the_order_of_address_blocks_does_not_matter,
    what_the_engine_fills_in_is_no_drift_also_after_a_restart,
    absent_and_empty_maps_are_the_same,
    upper_case_and_long_addresses_are_the_same,
);

fn the_order_of_address_blocks_does_not_matter(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let spec = "driver: macvlan
macvlan: {parent: eth0}
enableIPv6: true
ipam: {config: [{subnet: 'fd00:41::/64'}, {subnet: 10.42.0.0/24}, {subnet: 10.41.0.0/24}]}";
    let yaml = manifest::network("lan", spec);
    cli.apply(&yaml)?.all_ready()?;
    let made = have::network(engine, "lan")?;
    let first = &made["IPAM"]["Config"][0]["Subnet"];
    assert_ne!(first, "fd00:41::/64", "the engine has an order of its own");
    cli.is_settled(&yaml)?;

    // The same blocks in another order are the same resource.
    let spec = spec.replace(
        "{subnet: 10.42.0.0/24}, {subnet: 10.41.0.0/24}",
        "{subnet: 10.41.0.0/24}, {subnet: 10.42.0.0/24}",
    );
    cli.is_settled(&manifest::network("lan", &spec))?;
    assert_eq!(have::network(engine, "lan")?["Id"], made["Id"]);
    Ok(())
}

fn what_the_engine_fills_in_is_no_drift_also_after_a_restart(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let yaml = [
        manifest::network("automatic", ""),
        manifest::subnet("bare", "10.43.0.0/24", ""),
        manifest::subnet("six", "fd00:43::/64", "enableIPv6: true"),
        manifest::subnet(
            "lan",
            "10.44.0.0/24",
            "driver: macvlan\nmacvlan: {parent: eth0}",
        ),
    ]
    .concat();
    cli.apply(&yaml)?.all_ready()?;
    cli.is_settled(&yaml)?;
    let before = have::network_ids(engine)?;
    engine.stop()?;
    engine.start_again()?;
    cli.is_settled(&yaml)?;
    engine.lose_power()?;
    engine.start_again()?;
    cli.is_settled(&yaml)?;
    assert_eq!(have::network_ids(engine)?, before);
    Ok(())
}

fn absent_and_empty_maps_are_the_same(engine: &Engine, cli: &CliEnv) -> Result<()> {
    for (number, empty) in [json!(null), json!({})].into_iter().enumerate() {
        let network = json!({
            "Name": format!("net{number}"),
            "Options": empty,
            "Labels": empty,
            "IPAM": {"Driver": "default", "Options": empty},
        });
        have::make_network(engine, &network)?;
        let volume = json!({"Name": format!("vol{number}"), "DriverOpts": empty, "Labels": empty});
        have::make_volume(engine, &volume)?;
    }
    let adopt = "adoptionPolicy: IfMatching\nlabels: {}\noptions: {}";
    let mut yaml = String::new();
    for number in 0..2 {
        let network = format!("{adopt}\nipam: {{driver: default, options: {{}}}}");
        yaml += &manifest::network(&format!("net{number}"), &network);
        yaml += &manifest::volume(&format!("vol{number}"), adopt);
    }
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.changed(), Some(0), "taking over changes nothing");
    cli.is_settled(&yaml)
}

fn upper_case_and_long_addresses_are_the_same(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let spec = "enableIPv6: true
ipam:
  config:
  - subnet: FD00:0045:0:0::/64
    ipRange: FD00:45::/80
    gateway: FD00:45:0::0A
    auxAddresses: {box: 'FD00:45::00FF'}";
    let yaml = manifest::network("six", spec);
    cli.apply(&yaml)?.all_ready()?;
    let made = have::network_id(engine, "six")?;
    cli.is_settled(&yaml)?;
    let short = spec
        .replace("FD00:0045:0:0::/64", "fd00:45::/64")
        .replace("FD00:45::/80", "fd00:45::/80")
        .replace("FD00:45:0::0A", "fd00:45::a")
        .replace("FD00:45::00FF", "fd00:45::ff");
    cli.is_settled(&manifest::network("six", &short))?;
    assert_eq!(have::network_id(engine, "six")?, made);
    Ok(())
}

#[test]
fn host_bits_that_20_keeps_are_the_same_subnet() -> Result<()> {
    let engine = solo(Generation::Debian20)?;
    let cli = CliEnv::at(&engine)?;
    let body = json!({"Name": "old", "IPAM": {"Config": [
        {"Subnet": "10.46.0.7/24", "IPRange": "10.46.0.130/25"},
    ]}});
    let id = have::make_network(&engine, &body)?;
    let spec = "adoptionPolicy: IfMatching\nipam: {config: [{subnet: 10.46.0.0/24, ipRange: 10.46.0.128/25}]}";
    let yaml = manifest::network("old", spec);
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.row("old")?["id"], id.as_str());
    assert_eq!(have::network_id(&engine, "old")?, id);
    let shown = &have::network(&engine, "old")?["IPAM"]["Config"][0]["Subnet"];
    assert_eq!(
        shown, "10.46.0.7/24",
        "the engine keeps what it was reported"
    );
    cli.is_settled(&yaml)
}

#[test]
fn default_options_of_the_daemon_are_no_drift() -> Result<()> {
    let host = Fleet::new()?.host("solo")?;
    let mtu = "com.docker.network.driver.mtu";
    let default = format!("bridge={mtu}=1400");
    let engine = Engine::start_with(
        &host,
        Generation::Newest,
        &["--default-network-opt", &default],
    )?;
    let cli = CliEnv::at(&engine)?;
    let yaml = manifest::network("plain", "") + &manifest::network("own", "bridge: {mtu: 1300}");
    cli.apply(&yaml)?.all_ready()?;
    assert_eq!(have::network(&engine, "plain")?["Options"][mtu], "1400");
    assert_eq!(have::network(&engine, "own")?["Options"][mtu], "1300");
    cli.is_settled(&yaml)
}

#[test]
fn an_ipv6_subnet_that_the_engine_chose_is_no_drift() -> Result<()> {
    let engine = solo(Generation::Newest)?;
    let cli = CliEnv::at(&engine)?;
    let yaml = manifest::subnet("both", "10.47.0.0/24", "enableIPv6: true");
    cli.apply(&yaml)?.all_ready()?;
    let blocks = &have::network(&engine, "both")?["IPAM"]["Config"];
    assert_eq!(blocks.as_array().map(Vec::len), Some(2), "{blocks}");
    cli.is_settled(&yaml)
}
