//! Options of the built-in network drivers, one field for each key that the engine knows.
//!
//! The keys themselves are in the planner, which renders them; what a key needs of an engine is in
//! the planner's capability table.

use crate::schema::{Rule, plain_options, rules, rules_at};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// Options of the bridge driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = bridge_rules)]
pub struct BridgeOptions {
    /// Size of the largest packet in bytes, 68 to 65535, such as `1400`
    /// (`com.docker.network.driver.mtu`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 65535))]
    pub mtu: Option<i32>,
    /// Prefix of the interface names inside containers, instead of `eth`
    /// (`com.docker.network.container_iface_prefix`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 12), transform = interface_prefix)]
    pub container_interface_prefix: Option<String>,
    /// Source address of IPv4 packets that leave the host (`com.docker.network.host_ipv4`).
    #[serde(default, rename = "hostIPv4", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45))]
    pub host_ipv4: Option<String>,
    /// Source address of IPv6 packets that leave the host (`com.docker.network.host_ipv6`).
    /// Needs Engine 25.0.
    #[serde(default, rename = "hostIPv6", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45))]
    pub host_ipv6: Option<String>,
    /// Name of the Linux bridge on the host, such as `br-shop`. At most 15 characters
    /// (`com.docker.network.bridge.name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), transform = interface)]
    pub bridge_name: Option<String>,
    /// Replaces the source address of packets that leave the host with the host's address
    /// (`com.docker.network.bridge.enable_ip_masquerade`). The engine's default is true.
    #[serde(
        default,
        rename = "enableIPMasquerade",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_ip_masquerade: Option<bool>,
    /// Allows containers of the network to connect to each other
    /// (`com.docker.network.bridge.enable_icc`). The engine's default is true.
    #[serde(default, rename = "enableICC", skip_serializing_if = "Option::is_none")]
    pub enable_icc: Option<bool>,
    /// Host address that published ports bind to by default, such as `127.0.0.1`
    /// (`com.docker.network.bridge.host_binding_ipv4`).
    #[serde(
        default,
        rename = "hostBindingIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 45))]
    pub host_binding_ipv4: Option<String>,
    /// Creates the Linux bridge without an IPv4 address (`com.docker.network.bridge.inhibit_ipv4`).
    /// The engine's default is false.
    #[serde(
        default,
        rename = "inhibitIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub inhibit_ipv4: Option<bool>,
    /// How the host forwards IPv4 packets of containers
    /// (`com.docker.network.bridge.gateway_mode_ipv4`). Needs Engine 27.0; `nat-unprotected` and
    /// `isolated` need 28.0.
    #[serde(
        default,
        rename = "gatewayModeIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub gateway_mode_ipv4: Option<GatewayMode>,
    /// How the host forwards IPv6 packets of containers
    /// (`com.docker.network.bridge.gateway_mode_ipv6`). Needs Engine 27.0; `nat-unprotected` and
    /// `isolated` need 28.0.
    #[serde(
        default,
        rename = "gatewayModeIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub gateway_mode_ipv6: Option<GatewayMode>,
    /// Host interfaces from which containers can be reached directly, such as `eth1`
    /// (`com.docker.network.bridge.trusted_host_interfaces`). Needs Engine 28.2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 15)), transform = trusted_interfaces)]
    pub trusted_host_interfaces: Vec<String>,
}

/// How the host forwards packets of containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// With the host's address (NAT), published ports only.
    Nat,
    /// With their own addresses, published ports only.
    Routed,
    /// With the host's address (NAT), every port open to the host's network.
    NatUnprotected,
    /// The host has no address in the network. Needs an internal network.
    Isolated,
}

impl GatewayMode {
    /// Returns the engine's word for the mode.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Routed => "routed",
            Self::NatUnprotected => "nat-unprotected",
            Self::Isolated => "isolated",
        }
    }
}

/// Options of the macvlan driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MacvlanOptions {
    /// Parent interface on the host, such as `eth0`. `eth0.50` creates the VLAN interface if it is
    /// missing. Without a parent, the network is internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), transform = interface)]
    pub parent: Option<String>,
    /// How containers on the same parent interface reach each other. The engine's default is
    /// `bridge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<MacvlanMode>,
}

/// How containers on the same macvlan parent reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    /// Directly.
    Bridge,
    /// Through the external switch.
    Vepa,
    /// Not at all.
    Private,
    /// One container has the parent interface for itself.
    Passthru,
}

impl MacvlanMode {
    /// Returns the engine's word for the mode.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Vepa => "vepa",
            Self::Private => "private",
            Self::Passthru => "passthru",
        }
    }
}

/// Options of the overlay driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = plain_options)]
pub struct OverlayOptions {
    /// Name of the SwarmCluster in whose swarm the network is, as `NAME` or `NAMESPACE/NAME`. Default:
    /// the swarm of the first selected host that is a manager. Set it if the selected hosts are in
    /// several swarms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub swarm: Option<String>,
    /// Encrypts the traffic between hosts with IPsec (`encrypted`). Needs ESP in the kernel of every
    /// host, and protocol 50 between them. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypted: bool,
    /// Size of the largest packet on the network between the hosts in bytes, 68 to 65535
    /// (`com.docker.network.driver.mtu`). The engine's default is 1500. The engine subtracts what it
    /// needs itself: packets of containers have 50 bytes less, and with `encrypted` about 80 bytes
    /// less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 68, max = 65535))]
    pub mtu: Option<i32>,
    /// VXLAN network identifiers, one for each subnet, 256 to 16777215
    /// (`com.docker.network.driver.overlay.vxlanid_list`). Default: the engine chooses them. At most
    /// 8.
    #[serde(default, rename = "vxlanIDs", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(range(min = 256, max = 16_777_215)))]
    pub vxlan_ids: Vec<i32>,
    /// Makes it the network by which published ports of services are reached on every node
    /// (`--ingress`). A swarm has one, and creates it by itself as `ingress`: remove that one first
    /// (`docker network rm ingress`). No container can connect to it. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ingress: bool,
}

/// Options of the ipvlan driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpvlanOptions {
    /// Parent interface on the host, such as `eth0`; one ipvlan network per interface. Without a
    /// parent, the network is internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), transform = interface)]
    pub parent: Option<String>,
    /// Layer at which packets are switched. The engine's default is `l2`. `l3s` needs Engine 23.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<IpvlanMode>,
    /// How containers on the same parent interface reach each other. The engine's default is
    /// `bridge`. Needs Engine 23.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<IpvlanFlag>,
}

/// The layer at which ipvlan switches packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    /// Ethernet.
    L2,
    /// IP routing.
    L3,
    /// IP routing with connection tracking.
    L3s,
}

impl IpvlanMode {
    /// Returns the engine's word for the mode.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        }
    }
}

/// How containers on the same ipvlan parent reach each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanFlag {
    /// Directly.
    Bridge,
    /// Not at all.
    Private,
    /// Through the external switch.
    Vepa,
}

impl IpvlanFlag {
    /// Returns the engine's word for the flag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
        }
    }
}

/// The name of a Linux network interface, VLAN suffix included (`eth0.50`).
pub(super) fn interface(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^[^/\\\\s]*$') && !(self in ['.', '..'])",
            message: "'an interface name has neither spaces nor slashes; write one such as eth0 or eth0.50'",
        }],
    );
}

fn interface_prefix(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^[a-zA-Z][a-zA-Z0-9_-]*$')",
            message: "'a prefix has letters, digits, _ and -, and starts with a letter, such as net'",
        }],
    );
}

fn trusted_interfaces(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            // The engine expects one string, joined with colons.
            rule: "self.all(i, i.matches('^[^/:\\\\s]*$'))",
            message: "'%s is not the name of an interface; write one without spaces, slashes and colons, such as eth0'.format([self.filter(i, !i.matches('^[^/:\\\\s]*$'))[0]])",
        }],
    );
}

fn bridge_rules(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".hostIPv4",
        &[Rule {
            rule: "!has(self.hostIPv4) || isIP(self.hostIPv4) && ip(self.hostIPv4).family() == 4",
            message: "'hostIPv4 %s is not an IPv4 address; write one of the host, such as 192.0.2.10'.format([self.hostIPv4])",
        }],
    );
    rules_at(
        schema,
        ".hostIPv6",
        &[Rule {
            rule: "!has(self.hostIPv6) || isIP(self.hostIPv6) && ip(self.hostIPv6).family() == 6",
            message: "'hostIPv6 %s is not an IPv6 address; write one of the host, such as 2001:db8::10'.format([self.hostIPv6])",
        }],
    );
    rules_at(
        schema,
        ".hostBindingIPv4",
        &[Rule {
            rule: "!has(self.hostBindingIPv4) || isIP(self.hostBindingIPv4) && ip(self.hostBindingIPv4).family() == 4",
            message: "'hostBindingIPv4 %s is not an IPv4 address; write one of the host, such as 127.0.0.1'.format([self.hostBindingIPv4])",
        }],
    );
}
