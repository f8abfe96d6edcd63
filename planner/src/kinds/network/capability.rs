//! The features of networks that not every supported engine has.
//!
//! An older engine accepts an option that it does not know and ignores it, so the table is checked before the
//! engine is called. Source: the version history of the Engine API and the release notes of moby.

use super::desired::DesiredNetwork;
use super::options;
use crate::capability::{ApiVersion, Capability};

/// Every capability, oldest first.
pub const CAPABILITIES: [Capability<DesiredNetwork>; 8] = [
    Capability {
        name: "IpvlanFlag",
        since: ApiVersion(1, 42),
        engine: "23.0",
        asks: |n| field(n, &[(options::IPVLAN_FLAG, "ipvlan.flag")], any),
    },
    Capability {
        name: "IpvlanL3s",
        since: ApiVersion(1, 42),
        engine: "23.0",
        asks: |n| field(n, &[(options::IPVLAN_MODE, "ipvlan.mode")], |m| m == "l3s"),
    },
    Capability {
        name: "HostIPv6",
        since: ApiVersion(1, 44),
        engine: "25.0",
        asks: |n| field(n, &[(options::HOST_IPV6, "bridge.hostIPv6")], any),
    },
    Capability {
        name: "GatewayMode",
        since: ApiVersion(1, 46),
        engine: "27.0",
        asks: |n| field(n, &GATEWAY_MODES, any),
    },
    Capability {
        name: "GatewayModeIsolated",
        since: ApiVersion(1, 48),
        engine: "28.0",
        asks: |n| {
            field(n, &GATEWAY_MODES, |m| {
                matches!(m, "nat-unprotected" | "isolated")
            })
        },
    },
    Capability {
        name: "AdvertiseAddress",
        since: ApiVersion(1, 48),
        engine: "28.0",
        asks: |n| field(n, &ADVERTISE, any),
    },
    Capability {
        name: "DisableIPv4",
        since: ApiVersion(1, 48),
        engine: "28.0",
        asks: |n| (n.enable_ipv4 == Some(false)).then_some("enableIPv4"),
    },
    Capability {
        name: "TrustedHostInterfaces",
        since: ApiVersion(1, 50),
        engine: "28.2",
        asks: |n| {
            let trusted = (
                options::TRUSTED_HOST_INTERFACES,
                "bridge.trustedHostInterfaces",
            );
            field(n, &[trusted], any)
        },
    },
];

/// An option's key and the field that sets it.
type Setting = (&'static str, &'static str);

const GATEWAY_MODES: [Setting; 2] = [
    (options::GATEWAY_MODE_IPV4, "bridge.gatewayModeIPv4"),
    (options::GATEWAY_MODE_IPV6, "bridge.gatewayModeIPv6"),
];
const ADVERTISE: [Setting; 2] = [
    (options::ADVERTISE_ADDR_MESSAGES, "advertiseAddrMessages"),
    (
        options::ADVERTISE_ADDR_INTERVAL,
        "advertiseAddrIntervalMilliseconds",
    ),
];

/// Returns the first field whose option has a value for which `such` is true.
fn field(
    network: &DesiredNetwork,
    settings: &[Setting],
    such: fn(&str) -> bool,
) -> Option<&'static str> {
    let mut settings = settings.iter();
    settings.find_map(|(key, field)| such(network.options.get(*key)?).then_some(*field))
}

fn any(_value: &str) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::map;

    fn missing(desired: &DesiredNetwork, api: ApiVersion) -> Option<String> {
        crate::capability::missing(&CAPABILITIES, desired, api)
    }

    fn ask(key: &str, value: &str) -> DesiredNetwork {
        DesiredNetwork {
            options: map(&[(key, value)]),
            ..DesiredNetwork::default()
        }
    }

    #[test]
    fn each_field_needs_its_engine() {
        let mode = "com.docker.network.bridge.gateway_mode_ipv6";
        let cases = [
            (
                ask("ipvlan_flag", "vepa"),
                42,
                "ipvlan.flag needs Engine 23.0",
            ),
            (
                ask("com.docker.network.host_ipv6", "::1"),
                44,
                "bridge.hostIPv6 needs Engine 25.0",
            ),
            (
                ask(mode, "routed"),
                46,
                "bridge.gatewayModeIPv6 needs Engine 27.0",
            ),
            (
                ask(mode, "isolated"),
                48,
                "bridge.gatewayModeIPv6 needs Engine 28.0",
            ),
            (
                ask(
                    "com.docker.network.bridge.gateway_mode_ipv4",
                    "nat-unprotected",
                ),
                48,
                "bridge.gatewayModeIPv4 needs Engine 28.0",
            ),
            (
                ask("com.docker.network.advertise_addr_ms", "100"),
                48,
                "advertiseAddrIntervalMilliseconds needs Engine 28.0",
            ),
            (
                ask("com.docker.network.bridge.trusted_host_interfaces", "eth0"),
                50,
                "bridge.trustedHostInterfaces needs Engine 28.2",
            ),
            (
                DesiredNetwork {
                    enable_ipv4: Some(false),
                    ..DesiredNetwork::default()
                },
                48,
                "enableIPv4 needs Engine 28.0",
            ),
        ];
        for (desired, since, wanted) in cases {
            let (before, at) = (ApiVersion(1, since - 1), ApiVersion(1, since));
            assert_eq!(missing(&desired, at), None, "{wanted}");
            assert_eq!(
                missing(&desired, before),
                Some(format!("{wanted} (API {at}); this host has API {before}"))
            );
        }
    }

    #[test]
    fn a_feature_of_every_engine_is_never_missing() {
        let oldest = ApiVersion(1, 41);
        assert_eq!(
            missing(&ask("com.docker.network.driver.mtu", "1400"), oldest),
            None
        );
        assert_eq!(
            missing(
                &DesiredNetwork {
                    enable_ipv4: Some(true),
                    ..DesiredNetwork::default()
                },
                oldest
            ),
            None
        );
    }
}
