//! Every typed option of a network arrives on the engine with its exact key and value, or is
//! refused by name where the engine is too old for it.

use anyhow::{Context as _, Result};
use dockfleet_e2e::{Engine, Generation};
use serde_json::{Value, json};

use crate::cli_env::{CliEnv, on_each_engine};
use crate::{have, manifest};

on_each_engine!(
    every_option_of_a_bridge_arrives,
    every_mode_of_macvlan_arrives,
    every_mode_of_ipvlan_arrives,
    several_address_blocks_arrive,
    raw_options_arrive_and_unknown_ones_are_warned_about,
    what_only_newer_engines_can_do_is_refused_by_name_on_older_ones,
);

fn every_option_of_a_bridge_arrives(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let spec = format!(
        "bridge:
  mtu: 1400
  containerInterfacePrefix: net
  hostIPv4: {}
  bridgeName: br-shop
  enableIPMasquerade: false
  enableICC: false
  hostBindingIPv4: 127.0.0.1
  inhibitIPv4: true
networkName: shop-net
attachable: true
enableIPv4: true
enableIPv6: true
labels: {{team: shop, empty: ''}}
ipam:
  driver: default
  serial: true
  options: {{com.example.note: kept}}
  config:
  - subnet: 10.30.0.0/24
    ipRange: 10.30.0.128/25
    gateway: 10.30.0.254
    auxAddresses: {{router: 10.30.0.2, printer: 10.30.0.3}}
  - subnet: fd00:30::/64
    ipRange: fd00:30::/80
    gateway: fd00:30::1
    auxAddresses: {{router: 'fd00:30::2'}}",
        engine.host().address()
    );
    let yaml = manifest::network("shop", &spec);
    let report = cli.apply(&yaml)?.all_ready()?;

    let made = have::network(engine, "shop-net")?;
    let row = report.row("shop")?;
    assert_eq!(
        (&row["object"], &row["id"]),
        (&json!("shop-net"), &made["Id"])
    );
    assert_eq!(made["Driver"], "bridge");
    assert_eq!(made["Attachable"], true);
    assert_eq!(made["Internal"], false);
    assert_eq!(made["EnableIPv6"], true);
    let options = json!({
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.container_iface_prefix": "net",
        "com.docker.network.host_ipv4": engine.host().address().to_string(),
        "com.docker.network.bridge.name": "br-shop",
        "com.docker.network.bridge.enable_ip_masquerade": "false",
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
        "com.docker.network.bridge.inhibit_ipv4": "true",
    });
    assert_eq!(made["Options"], options);
    let ipam = json!({
        "Driver": "default",
        "Options": {"com.docker.network.ipam.serial": "true", "com.example.note": "kept"},
        "Config": [
            {
                "Subnet": "10.30.0.0/24",
                "IPRange": "10.30.0.128/25",
                "Gateway": "10.30.0.254",
                "AuxiliaryAddresses": {"router": "10.30.0.2", "printer": "10.30.0.3"},
            },
            {
                "Subnet": "fd00:30::/64",
                "IPRange": "fd00:30::/80",
                "Gateway": "fd00:30::1",
                "AuxiliaryAddresses": {"router": "fd00:30::2"},
            },
        ],
    });
    assert_eq!(made["IPAM"], ipam);
    assert_eq!(made["Labels"]["team"], "shop");
    assert_eq!(made["Labels"]["empty"], "");
    assert_eq!(made["Labels"]["io.dockfleet.managed"], "true");
    assert_eq!(made["Labels"]["io.dockfleet.namespace"], "default");
    assert_eq!(made["Labels"]["io.dockfleet.name"], "shop");
    cli.is_settled(&yaml)
}

/// Gives the engine's host one more interface, as parent of one more network.
fn parent(engine: &Engine, name: &str) -> Result<()> {
    let link = ["link", "add", name, "type", "veth", "peer", "name"];
    let peer = format!("{name}-peer");
    engine
        .host()
        .run("ip", [&link[..], &[&peer]].concat())?
        .ok()?;
    Ok(())
}

fn every_mode_of_macvlan_arrives(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let mut yaml = String::new();
    let modes = ["bridge", "vepa", "private", "passthru"];
    for mode in modes {
        parent(engine, mode)?;
        let spec = format!("driver: macvlan\nmacvlan: {{parent: {mode}, mode: {mode}}}");
        yaml += &manifest::network(&format!("m-{mode}"), &spec);
    }
    cli.apply(&yaml)?.all_ready()?;
    for mode in modes {
        let made = have::network(engine, &format!("m-{mode}"))?;
        assert_eq!(made["Driver"], "macvlan");
        assert_eq!(
            made["Options"],
            json!({"parent": mode, "macvlan_mode": mode})
        );
    }
    cli.is_settled(&yaml)
}

fn every_mode_of_ipvlan_arrives(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let mut yaml = String::new();
    let modes = ["l2", "l3"];
    for mode in modes {
        let link = format!("{mode}-link");
        parent(engine, &link)?;
        let spec = format!("driver: ipvlan\nipvlan: {{parent: {link}, mode: {mode}}}");
        yaml += &manifest::network(&format!("i-{mode}"), &spec);
    }
    cli.apply(&yaml)?.all_ready()?;
    for mode in modes {
        let made = have::network(engine, &format!("i-{mode}"))?;
        assert_eq!(made["Driver"], "ipvlan");
        let options = json!({"parent": format!("{mode}-link"), "ipvlan_mode": mode});
        assert_eq!(made["Options"], options);
    }
    cli.is_settled(&yaml)
}

fn several_address_blocks_arrive(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let spec = "driver: macvlan
macvlan: {parent: eth0}
enableIPv6: true
ipam:
  config:
  - {subnet: 10.31.0.0/24, gateway: 10.31.0.1, ipRange: 10.31.0.64/26}
  - {subnet: 10.32.0.0/24, gateway: 10.32.0.1, auxAddresses: {host: 10.32.0.9}}
  - {subnet: 'fd00:31::/64', gateway: 'fd00:31::1'}";
    let yaml = manifest::network("lan", spec);
    cli.apply(&yaml)?.all_ready()?;
    let made = have::network(engine, "lan")?;
    let blocks = json!([
        {"Subnet": "10.31.0.0/24", "IPRange": "10.31.0.64/26", "Gateway": "10.31.0.1"},
        {
            "Subnet": "10.32.0.0/24",
            "Gateway": "10.32.0.1",
            "AuxiliaryAddresses": {"host": "10.32.0.9"},
        },
        {"Subnet": "fd00:31::/64", "Gateway": "fd00:31::1"},
    ]);
    assert_eq!(made["IPAM"]["Config"], blocks);
    cli.is_settled(&yaml)
}

fn raw_options_arrive_and_unknown_ones_are_warned_about(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    let spec = "options: {com.docker.network.driver.mtu: '1350', com.docker.network.mtu: '9000'}";
    let yaml = manifest::network("raw", spec);
    let report = cli.apply(&yaml)?.all_ready()?;
    let made = have::network(engine, "raw")?;
    let options = json!({
        "com.docker.network.driver.mtu": "1350",
        "com.docker.network.mtu": "9000",
    });
    assert_eq!(made["Options"], options);
    let warnings: Vec<_> = report
        .stderr
        .lines()
        .filter(|l| l.contains("warning"))
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("default/raw"), "{warnings:?}");
    assert!(
        warnings[0].contains("com.docker.network.mtu"),
        "{warnings:?}"
    );
    cli.is_settled(&yaml)
}

/// What a newer engine is needed for.
struct Newer {
    name: &'static str,
    spec: &'static str,
    field: &'static str,
    /// Engine and API that have it first.
    since: (&'static str, &'static str),
    /// Where and how it shows on the engine.
    shows: Value,
}

fn newer() -> [Newer; 9] {
    let bridge =
        |mode: &str, value: &str| json!({"Options": {format!("com.docker.network.{mode}"): value}});
    [
        Newer {
            name: "host6",
            spec: "bridge: {hostIPv6: '2001:db8::10'}\nenableIPv6: true\nipam: {config: [{subnet: 'fd00:61::/64'}]}",
            field: "bridge.hostIPv6",
            since: ("25.0", "1.44"),
            shows: bridge("host_ipv6", "2001:db8::10"),
        },
        Newer {
            name: "routed",
            spec: "bridge: {gatewayModeIPv4: routed, gatewayModeIPv6: nat}",
            field: "bridge.gatewayModeIPv4",
            since: ("27.0", "1.46"),
            shows: json!({"Options": {
                "com.docker.network.bridge.gateway_mode_ipv4": "routed",
                "com.docker.network.bridge.gateway_mode_ipv6": "nat",
            }}),
        },
        Newer {
            name: "unprotected",
            spec: "bridge: {gatewayModeIPv4: nat-unprotected}",
            field: "bridge.gatewayModeIPv4",
            since: ("27.0", "1.46"),
            shows: bridge("bridge.gateway_mode_ipv4", "nat-unprotected"),
        },
        Newer {
            name: "isolated",
            spec: "bridge: {gatewayModeIPv4: isolated}\ninternal: true",
            field: "bridge.gatewayModeIPv4",
            since: ("27.0", "1.46"),
            shows: bridge("bridge.gateway_mode_ipv4", "isolated"),
        },
        Newer {
            name: "trusted",
            spec: "bridge: {trustedHostInterfaces: [eth0, lo]}",
            field: "bridge.trustedHostInterfaces",
            since: ("28.2", "1.50"),
            shows: bridge("bridge.trusted_host_interfaces", "eth0:lo"),
        },
        Newer {
            name: "advertised",
            spec: "advertiseAddrMessages: 2\nadvertiseAddrIntervalMilliseconds: 500",
            field: "advertiseAddrMessages",
            since: ("28.0", "1.48"),
            shows: json!({"Options": {
                "com.docker.network.advertise_addr_nmsgs": "2",
                "com.docker.network.advertise_addr_ms": "500",
            }}),
        },
        Newer {
            name: "only6",
            spec: "enableIPv4: false\nenableIPv6: true\nipam: {config: [{subnet: 'fd00:62::/64'}]}",
            field: "enableIPv4",
            since: ("28.0", "1.48"),
            shows: json!({"EnableIPv4": false, "EnableIPv6": true}),
        },
        Newer {
            name: "flagged",
            spec: "driver: ipvlan\nipvlan: {parent: flagged, flag: private}",
            field: "ipvlan.flag",
            since: ("23.0", "1.42"),
            shows: json!({"Options": {"parent": "flagged", "ipvlan_flag": "private"}}),
        },
        Newer {
            name: "tracked",
            spec: "driver: ipvlan\nipvlan: {parent: tracked, mode: l3s}",
            field: "ipvlan.mode",
            since: ("23.0", "1.42"),
            shows: json!({"Options": {"parent": "tracked", "ipvlan_mode": "l3s"}}),
        },
    ]
}

fn what_only_newer_engines_can_do_is_refused_by_name_on_older_ones(
    engine: &Engine,
    cli: &CliEnv,
) -> Result<()> {
    parent(engine, "flagged")?;
    parent(engine, "tracked")?;
    let mut yaml = manifest::network("plain", "") + &manifest::volume("data", "");
    for case in newer() {
        yaml += &manifest::network(case.name, case.spec);
    }
    let report = cli.apply(&yaml)?;
    // One that cannot be made blocks no other (7).
    assert!(have::has_network(engine, "plain")?);
    assert!(have::has_volume(engine, "data")?);
    if engine.generation() == Generation::Newest {
        report.all_ready()?;
        for case in newer() {
            let made = have::network(engine, case.name)?;
            let shown = case.shows.as_object().context("an object")?;
            for (key, value) in shown {
                assert_eq!(&made[key], value, "{}", case.name);
            }
        }
        return cli.is_settled(&yaml);
    }
    for name in ["plain", "data"] {
        assert_eq!(report.row(name)?["state"], "Ready", "{name}");
    }
    for case in newer() {
        let message = report.stands(case.name, "Failed", "Unsupported")?;
        let (release, api) = case.since;
        let field = case.field;
        let wanted = format!("{field} needs Engine {release} (API {api}); this host has API 1.41");
        assert_eq!(message, wanted, "{}", case.name);
        assert!(!have::has_network(engine, case.name)?, "{}", case.name);
    }
    let again = cli.apply(&yaml)?.ended_with(1)?;
    assert_eq!(again.changed(), Some(0));
    cli.with(&yaml, &["diff"])?.ended_with(1)?;
    Ok(())
}
