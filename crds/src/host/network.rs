//! What the agent of a host reports about the host's network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostNetwork {
    /// Network interfaces with an address, sorted by name, without those that Docker makes. At most
    /// 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub interfaces: Vec<Interface>,
    /// Which ports of other hosts it reaches, sorted by host, while one of them is to join a swarm. At
    /// most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub port_checks: Vec<PortCheck>,
    /// Ports of a swarm that another program uses on this host, such as `4789/udp`, while it is to
    /// join one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub ports_in_use: Vec<String>,
}

/// Which ports of another host a host reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortCheck {
    /// Name of the other host.
    pub host: String,
    /// Its address.
    pub address: String,
    /// Ports that do not answer, such as `4789/udp`. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub closed: Vec<String>,
    /// By how much its clock is ahead of the clock of this host, rounded to ten minutes, if it is more
    /// than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_minutes: Option<i64>,
}

/// A network interface of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Name of the interface, such as `eth0`.
    pub name: String,
    /// Addresses with the prefix length of their subnet, such as `10.1.2.3/24`. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub addresses: Vec<String>,
    /// The size of the largest packet, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<i32>,
}
