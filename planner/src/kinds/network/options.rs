//! The keys of the driver options of networks that engines know.
//!
//! Source: moby `daemon/libnetwork/netlabel` and the drivers' own label files; `docs/options.md` has
//! the table for users.

use dockfleet_crds::network::DockerNetworkSpec;

use crate::resource::SpecWarning;

/// MTU of bridge networks, in bytes.
pub const MTU: &str = "com.docker.network.driver.mtu";
/// Prefix of interface names inside containers.
pub const CONTAINER_INTERFACE_PREFIX: &str = "com.docker.network.container_iface_prefix";
/// Source address of IPv4 packets that leave the host.
pub const HOST_IPV4: &str = "com.docker.network.host_ipv4";
/// Source address of IPv6 packets that leave the host.
pub const HOST_IPV6: &str = "com.docker.network.host_ipv6";
/// Name of the Linux bridge.
pub const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// Masquerading of outgoing packets.
pub const ENABLE_IP_MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
/// Traffic between the network's containers.
pub const ENABLE_ICC: &str = "com.docker.network.bridge.enable_icc";
/// Default address of published ports.
pub const HOST_BINDING_IPV4: &str = "com.docker.network.bridge.host_binding_ipv4";
/// No IPv4 address for the Linux bridge.
pub const INHIBIT_IPV4: &str = "com.docker.network.bridge.inhibit_ipv4";
/// How IPv4 packets pass the host.
pub const GATEWAY_MODE_IPV4: &str = "com.docker.network.bridge.gateway_mode_ipv4";
/// How IPv6 packets pass the host.
pub const GATEWAY_MODE_IPV6: &str = "com.docker.network.bridge.gateway_mode_ipv6";
/// Interfaces from which containers can be reached directly.
pub const TRUSTED_HOST_INTERFACES: &str = "com.docker.network.bridge.trusted_host_interfaces";
/// Number of unsolicited address announcements.
pub const ADVERTISE_ADDR_MESSAGES: &str = "com.docker.network.advertise_addr_nmsgs";
/// Time between them, in milliseconds.
pub const ADVERTISE_ADDR_INTERVAL: &str = "com.docker.network.advertise_addr_ms";
/// IPv4, for a daemon's default options.
const ENABLE_IPV4: &str = "com.docker.network.enable_ipv4";
/// IPv6, for a daemon's default options.
const ENABLE_IPV6: &str = "com.docker.network.enable_ipv6";
/// Parent interface of macvlan and ipvlan.
pub const PARENT: &str = "parent";
/// Mode of macvlan.
pub const MACVLAN_MODE: &str = "macvlan_mode";
/// Mode of ipvlan.
pub const IPVLAN_MODE: &str = "ipvlan_mode";
/// Flag of ipvlan.
pub const IPVLAN_FLAG: &str = "ipvlan_flag";
/// Encryption of overlay networks.
pub const ENCRYPTED: &str = "encrypted";
/// VXLAN network identifiers of an overlay network, with commas between them.
pub const VXLAN_IDS: &str = "com.docker.network.driver.overlay.vxlanid_list";
/// Direct server return of services, without a value.
const DSR: &str = "dsr";
/// Serial allocation of addresses, an option of IPAM.
pub const IPAM_SERIAL: &str = "com.docker.network.ipam.serial";

const ANY: [&str; 4] = [
    ADVERTISE_ADDR_MESSAGES,
    ADVERTISE_ADDR_INTERVAL,
    ENABLE_IPV4,
    ENABLE_IPV6,
];
const BRIDGE: [&str; 12] = [
    MTU,
    CONTAINER_INTERFACE_PREFIX,
    HOST_IPV4,
    HOST_IPV6,
    BRIDGE_NAME,
    ENABLE_IP_MASQUERADE,
    ENABLE_ICC,
    HOST_BINDING_IPV4,
    INHIBIT_IPV4,
    GATEWAY_MODE_IPV4,
    GATEWAY_MODE_IPV6,
    TRUSTED_HOST_INTERFACES,
];
const MACVLAN: [&str; 2] = [PARENT, MACVLAN_MODE];
const IPVLAN: [&str; 3] = [PARENT, IPVLAN_MODE, IPVLAN_FLAG];
const OVERLAY: [&str; 4] = [MTU, ENCRYPTED, VXLAN_IDS, DSR];

/// Whether a built-in network driver knows an option's key.
pub fn is_known(driver: &str, key: &str) -> bool {
    let own: &[&str] = match driver {
        "bridge" => &BRIDGE,
        "macvlan" => &MACVLAN,
        "ipvlan" => &IPVLAN,
        "overlay" => &OVERLAY,
        // A plugin defines its own keys.
        _ => return true,
    };
    own.contains(&key) || ANY.contains(&key)
}

/// Returns a warning for each option that the engine would accept without an error and ignore.
pub(super) fn warnings(spec: &DockerNetworkSpec) -> Vec<SpecWarning> {
    let driver = spec.driver.as_str();
    let overrides = spec.host_overrides.iter().flat_map(|o| o.options.keys());
    let mut keys: Vec<&String> = spec.options.keys().chain(overrides).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| !is_known(driver, key))
        .map(|key| SpecWarning {
            reason: "UnknownOption",
            message: format!(
                "options: driver {driver} does not know {key}; the engine takes it and ignores it"
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::network::HostOverride;

    use super::*;
    use crate::fixtures::map;

    #[test]
    fn an_option_that_the_driver_does_not_know_is_warned_about_once() {
        let spec = DockerNetworkSpec {
            options: map(&[
                (MTU, "1400"),
                ("com.docker.network.mtu", "1400"),
                (PARENT, "eth0"),
            ]),
            host_overrides: vec![HostOverride {
                options: map(&[("com.docker.network.mtu", "9000"), (ENABLE_IPV6, "true")]),
                ..HostOverride::default()
            }],
            ..DockerNetworkSpec::default()
        };
        let messages: Vec<String> = warnings(&spec).into_iter().map(|w| w.message).collect();
        assert_eq!(
            messages,
            [
                "options: driver bridge does not know com.docker.network.mtu; the engine takes it \
                 and ignores it",
                "options: driver bridge does not know parent; the engine takes it and ignores it",
            ]
        );
        assert!(is_known("some/plugin", "anything"));
        assert!(is_known("ipvlan", IPVLAN_FLAG) && !is_known("macvlan", IPVLAN_FLAG));
    }
}
