//! What an engine must be to do what an entry asks: the one table of engine differences.
//!
//! An older engine takes an option that it does not know and ignores it, so the table is asked before
//! the engine is. Source: the version history of the Engine API and the release notes of moby.

use std::fmt;
use std::str::FromStr;

use crate::desired::{Desired, DesiredNetwork};
use crate::options;

/// A version of the Engine API, such as 1.41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u32, pub u32);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A text that is no API version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an API version such as 1.41")]
pub struct NoApiVersion(String);

impl FromStr for ApiVersion {
    type Err = NoApiVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| NoApiVersion(text.to_owned()))
    }
}

/// One feature that not every supported engine has.
#[derive(Debug)]
pub struct Capability {
    /// Its name in the status of a host.
    pub name: &'static str,
    /// The oldest API version that has it.
    pub since: ApiVersion,
    /// The engine release of that version, for people.
    pub engine: &'static str,
    /// Returns the field that asks for it, where one does.
    asks: fn(&DesiredNetwork) -> Option<&'static str>,
}

/// Every capability, oldest first.
pub const CAPABILITIES: [Capability; 8] = [
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

/// Returns the first field that sets its option to such a value.
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

/// Returns the names of what an engine can do above the oldest supported one.
pub fn of(api: ApiVersion) -> Vec<String> {
    CAPABILITIES
        .iter()
        .filter(|c| api >= c.since)
        .map(|c| c.name.to_owned())
        .collect()
}

/// Returns why an engine cannot do what is asked, naming the field, the needed and the actual
/// version; `None` where it can.
pub fn missing(desired: &Desired, api: ApiVersion) -> Option<String> {
    let Desired::Network(network) = desired else {
        // Every option of a volume works on the oldest supported engine.
        return None;
    };
    CAPABILITIES.iter().filter(|c| api < c.since).find_map(|c| {
        let field = (c.asks)(network)?;
        Some(format!(
            "{field} needs Engine {} (API {}); this host has API {api}",
            c.engine, c.since
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::map;

    fn ask(key: &str, value: &str) -> Desired {
        Desired::Network(DesiredNetwork {
            options: map(&[(key, value)]),
            ..DesiredNetwork::default()
        })
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
                Desired::Network(DesiredNetwork {
                    enable_ipv4: Some(false),
                    ..DesiredNetwork::default()
                }),
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
    fn what_every_engine_can_do_is_never_missing() {
        let oldest = ApiVersion(1, 41);
        assert_eq!(
            missing(&ask("com.docker.network.driver.mtu", "1400"), oldest),
            None
        );
        assert_eq!(
            missing(
                &Desired::Volume(crate::desired::DesiredVolume::default()),
                oldest
            ),
            None
        );
        assert_eq!(
            missing(
                &Desired::Network(DesiredNetwork {
                    enable_ipv4: Some(true),
                    ..DesiredNetwork::default()
                }),
                oldest
            ),
            None
        );
    }

    #[test]
    fn capabilities_grow_with_the_version() {
        assert_eq!(of(ApiVersion(1, 41)), Vec::<String>::new());
        assert_eq!(
            of(ApiVersion(1, 45)),
            ["IpvlanFlag", "IpvlanL3s", "HostIPv6"]
        );
        assert_eq!(of(ApiVersion(2, 0)).len(), CAPABILITIES.len());
    }

    #[test]
    fn versions_are_numbers_and_not_text() {
        assert!("1.9".parse::<ApiVersion>().unwrap() < "1.41".parse().unwrap());
        assert_eq!(
            "latest".parse::<ApiVersion>().unwrap_err().to_string(),
            "\"latest\" is not an API version such as 1.41"
        );
    }
}
