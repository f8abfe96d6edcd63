use dockfleet_crds::network::{
    BridgeOptions, DockerNetworkSpec, GatewayMode, HostOverride, Ipam, IpamConfig, IpvlanFlag,
    IpvlanMode, IpvlanOptions, MacvlanMode, MacvlanOptions, NetworkDriver,
};
use dockfleet_crds::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, NetworkUpdatePolicy,
};

use super::*;
use crate::fixtures::{self, host, map, selector};

fn rendered(spec: DockerNetworkSpec) -> DesiredNetwork {
    network(
        &fixtures::network("lab", spec),
        &host("h1", &[("site", "berlin")]),
    )
}

fn plain(driver: &str, options: &[(&str, &str)]) -> DesiredNetwork {
    DesiredNetwork {
        name: "lab".to_owned(),
        driver: driver.to_owned(),
        options: map(options),
        ..DesiredNetwork::default()
    }
}

#[test]
fn every_option_of_bridge_has_its_key() {
    let spec = DockerNetworkSpec {
        bridge: Some(BridgeOptions {
            mtu: Some(1400),
            container_interface_prefix: Some("net".to_owned()),
            host_ipv4: Some("192.0.2.10".to_owned()),
            host_ipv6: Some("2001:db8::10".to_owned()),
            bridge_name: Some("br-lab".to_owned()),
            enable_ip_masquerade: Some(false),
            enable_icc: Some(true),
            host_binding_ipv4: Some("127.0.0.1".to_owned()),
            inhibit_ipv4: Some(true),
            gateway_mode_ipv4: Some(GatewayMode::NatUnprotected),
            gateway_mode_ipv6: Some(GatewayMode::Routed),
            trusted_host_interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
        }),
        advertise_addr_messages: Some(2),
        advertise_addr_interval_milliseconds: Some(300),
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(spec),
        plain(
            "bridge",
            &[
                ("com.docker.network.driver.mtu", "1400"),
                ("com.docker.network.container_iface_prefix", "net"),
                ("com.docker.network.host_ipv4", "192.0.2.10"),
                ("com.docker.network.host_ipv6", "2001:db8::10"),
                ("com.docker.network.bridge.name", "br-lab"),
                ("com.docker.network.bridge.enable_ip_masquerade", "false"),
                ("com.docker.network.bridge.enable_icc", "true"),
                ("com.docker.network.bridge.host_binding_ipv4", "127.0.0.1"),
                ("com.docker.network.bridge.inhibit_ipv4", "true"),
                (
                    "com.docker.network.bridge.gateway_mode_ipv4",
                    "nat-unprotected"
                ),
                ("com.docker.network.bridge.gateway_mode_ipv6", "routed"),
                (
                    "com.docker.network.bridge.trusted_host_interfaces",
                    "eth0:eth1"
                ),
                ("com.docker.network.advertise_addr_nmsgs", "2"),
                ("com.docker.network.advertise_addr_ms", "300"),
            ]
        )
    );
}

#[test]
fn macvlan_and_ipvlan_have_their_keys() {
    let macvlan = DockerNetworkSpec {
        driver: NetworkDriver::Macvlan,
        macvlan: Some(MacvlanOptions {
            parent: Some("eth0.50".to_owned()),
            mode: Some(MacvlanMode::Vepa),
        }),
        ..DockerNetworkSpec::default()
    };
    let ipvlan = DockerNetworkSpec {
        driver: NetworkDriver::Ipvlan,
        ipvlan: Some(IpvlanOptions {
            parent: Some("eth1".to_owned()),
            mode: Some(IpvlanMode::L3s),
            flag: Some(IpvlanFlag::Private),
        }),
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(macvlan),
        plain(
            "macvlan",
            &[("parent", "eth0.50"), ("macvlan_mode", "vepa")]
        )
    );
    assert_eq!(
        rendered(ipvlan),
        plain(
            "ipvlan",
            &[
                ("parent", "eth1"),
                ("ipvlan_mode", "l3s"),
                ("ipvlan_flag", "private")
            ]
        )
    );
}

#[test]
fn fields_that_are_not_options_are_rendered_too() {
    let spec = DockerNetworkSpec {
        network_name: Some("lab-net".to_owned()),
        labels: map(&[("team", "lab")]),
        internal: true,
        attachable: Some(true),
        enable_ipv4: Some(true),
        enable_ipv6: Some(false),
        ipam: Some(Ipam {
            driver: Some("default".to_owned()),
            serial: Some(true),
            options: map(&[("x", "y")]),
            config: vec![IpamConfig {
                subnet: "10.20.0.0/24".to_owned(),
                ip_range: Some("10.20.0.128/25".to_owned()),
                gateway: Some("10.20.0.1".to_owned()),
                aux_addresses: map(&[("router", "10.20.0.2")]),
            }],
        }),
        update_policy: NetworkUpdatePolicy::WhenUnused,
        drift_policy: DriftPolicy::Observe,
        adoption_policy: AdoptionPolicy::Force,
        deletion_policy: DeletionPolicy::Retain,
        management_policy: ManagementPolicy::Observe,
        suspend: true,
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(spec),
        DesiredNetwork {
            name: "lab-net".to_owned(),
            driver: "bridge".to_owned(),
            options: map(&[]),
            labels: map(&[("team", "lab")]),
            internal: true,
            attachable: true,
            ingress: false,
            enable_ipv4: Some(true),
            enable_ipv6: Some(false),
            ipam_driver: Some("default".to_owned()),
            ipam_options: map(&[("x", "y"), ("com.docker.network.ipam.serial", "true")]),
            ipam: vec![AddressBlock {
                subnet: "10.20.0.0/24".to_owned(),
                ip_range: Some("10.20.0.128/25".to_owned()),
                gateway: Some("10.20.0.1".to_owned()),
                aux_addresses: map(&[("router", "10.20.0.2")]),
            }],
            shared: None,
            policy: Behaviour {
                update_when_unused: true,
                drift: DriftPolicy::Observe,
                adoption: AdoptionPolicy::Force,
                management: ManagementPolicy::Observe,
                suspend: true,
                deletion: Some(DeletionPolicy::Retain),
            },
        }
    );
}

fn block(subnet: &str) -> IpamConfig {
    IpamConfig {
        subnet: subnet.to_owned(),
        ..IpamConfig::default()
    }
}

fn special(names: &[&str], labels: Option<&[(&str, &str)]>, parent: &str) -> HostOverride {
    HostOverride {
        host_names: names.iter().map(|n| (*n).to_owned()).collect(),
        host_selector: labels.map(selector),
        parent: Some(parent.to_owned()),
        ..HostOverride::default()
    }
}

#[test]
fn the_first_override_that_fits_the_host_applies() {
    let spec = |overrides| DockerNetworkSpec {
        driver: NetworkDriver::Macvlan,
        macvlan: Some(MacvlanOptions {
            parent: Some("eth0".to_owned()),
            mode: None,
        }),
        host_overrides: overrides,
        ..DockerNetworkSpec::default()
    };
    let parent = |overrides| rendered(spec(overrides)).options.remove("parent").unwrap();
    let berlin: &[(&str, &str)] = &[("site", "berlin")];
    assert_eq!(parent(vec![]), "eth0");
    assert_eq!(parent(vec![special(&["h2"], None, "a")]), "eth0");
    assert_eq!(
        parent(vec![
            special(&["h2"], None, "a"),
            special(&["h1"], None, "b")
        ]),
        "b"
    );
    assert_eq!(
        parent(vec![
            special(&[], Some(berlin), "c"),
            special(&["h1"], None, "b")
        ]),
        "c"
    );
}

#[test]
fn an_override_replaces_blocks_and_merges_options() {
    let spec = DockerNetworkSpec {
        options: map(&[("a", "1"), ("b", "1")]),
        ipam: Some(Ipam {
            config: vec![block("10.20.0.0/24")],
            ..Ipam::default()
        }),
        host_overrides: vec![HostOverride {
            host_names: vec!["h1".to_owned()],
            options: map(&[("b", "2"), ("c", "2")]),
            ipam_config: vec![block("10.21.0.0/24"), block("fd00:21::/64")],
            ..HostOverride::default()
        }],
        ..DockerNetworkSpec::default()
    };
    let rendered = rendered(spec);
    assert_eq!(rendered.options, map(&[("a", "1"), ("b", "2"), ("c", "2")]));
    let subnets: Vec<_> = rendered.ipam.iter().map(|b| b.subnet.as_str()).collect();
    assert_eq!(subnets, ["10.21.0.0/24", "fd00:21::/64"]);
}

#[test]
fn a_typed_option_wins_over_a_raw_one() {
    let spec = DockerNetworkSpec {
        options: map(&[("com.docker.network.driver.mtu", "1"), ("x", "y")]),
        bridge: Some(BridgeOptions {
            mtu: Some(1400),
            ..BridgeOptions::default()
        }),
        ..DockerNetworkSpec::default()
    };
    assert_eq!(
        rendered(spec).options,
        map(&[("com.docker.network.driver.mtu", "1400"), ("x", "y")])
    );
}
