//! DockerNetwork: a network that exists on every selected host.

mod ipam;
mod options;
mod rules;
mod status;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use ipam::{Ipam, IpamConfig};
pub use options::{
    BridgeOptions, GatewayMode, IpvlanFlag, IpvlanMode, IpvlanOptions, MacvlanMode, MacvlanOptions,
    OverlayOptions,
};
pub use status::{DockerNetworkStatus, OverlayState};

use crate::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, NetworkUpdatePolicy, Policies,
    ReadyPolicy,
};
use crate::schema::{Rule, bounded_map, overrides_hosts, plain_options, rules, selector};

/// Spec of a DockerNetwork.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "DockerNetwork",
    namespaced,
    status = "DockerNetworkStatus",
    shortname = "dnet",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "A Docker network that exists on every selected host.",
    validation = kube::core::Rule::new("has(self.spec.networkName) || !(self.metadata.name in ['bridge', 'host', 'none'])")
        .message(kube::core::Message::Expression(
            "'the name %s is one of the engine\\'s own networks; choose another name or set networkName'.format([self.metadata.name])".to_owned()
        ))
        .field_path(".spec.networkName"),
    printcolumn(name = "Driver", type_ = "string", json_path = ".spec.driver", priority = 1),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.hosts.desired"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.hosts.ready"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.hosts.failed"),
    printcolumn(name = "Offline", type_ = "integer", json_path = ".status.hosts.offline"),
    printcolumn(name = "Drifted", type_ = "integer", json_path = ".status.hosts.drifted", priority = 1),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::spec)]
pub struct DockerNetworkSpec {
    /// Selects hosts by their labels. `{}` selects every host. The hosts in `hostNames` are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Selects hosts by name, in addition to `hostSelector`. Each item is `NAME`, for every host of
    /// that name in all namespaces of hosts, or `NAMESPACE/NAME`. At most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 317)))]
    pub host_names: Vec<String>,
    /// Name of the network on the host. Default: the name of the resource. The name cannot be
    /// changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), transform = network_name)]
    pub network_name: Option<String>,
    /// Network driver of the engine. Default: `bridge`.
    #[serde(default)]
    pub driver: NetworkDriver,
    /// Options of the driver `bridge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeOptions>,
    /// Options of the driver `macvlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macvlan: Option<MacvlanOptions>,
    /// Options of the driver `ipvlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipvlan: Option<IpvlanOptions>,
    /// Options of the driver `overlay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<OverlayOptions>,
    /// Number of unsolicited ARP and neighbour advertisement messages that are sent when a
    /// container gets an address, 0 to 3. Needs Engine 28.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3))]
    pub advertise_addr_messages: Option<i32>,
    /// Time between the messages of `advertiseAddrMessages` in milliseconds, 100 to 2000. Needs
    /// Engine 28.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 2000))]
    pub advertise_addr_interval_milliseconds: Option<i32>,
    /// Driver options in the engine's own form, for options without a field, such as
    /// `com.docker.network.driver.mtu: "1400"`. The engine ignores unknown keys, so Dockfleet warns
    /// about a key that the driver does not know. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub options: BTreeMap<String, String>,
    /// Labels of the network on the host. Keys that start with `io.dockfleet.` are reserved. At
    /// most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub labels: BTreeMap<String, String>,
    /// Isolates the network from external networks. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Allows containers that belong to no service to connect to a network of a swarm. The engine
    /// stores this flag for every network. Default: true for the driver `overlay`, false for
    /// others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachable: Option<bool>,
    /// Gives containers IPv4 addresses. The engine's default is true. False needs Engine 28.0 and
    /// `enableIPv6: true`.
    #[serde(
        default,
        rename = "enableIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_ipv4: Option<bool>,
    /// Gives containers IPv6 addresses. The engine's default is false.
    #[serde(
        default,
        rename = "enableIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_ipv6: Option<bool>,
    /// IP address management. If it is not set, the engine chooses a free subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
    /// Different values for some hosts. The first item that names or selects a host applies to it.
    /// At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub host_overrides: Vec<HostOverride>,
    /// Whether a network that differs from the spec is replaced on the host. `Never` (default) only
    /// reports the difference. `WhenUnused` replaces the network as soon as no running or stopped
    /// container uses it.
    #[serde(default)]
    pub update_policy: NetworkUpdatePolicy,
    /// Whether manual changes and removals are repaired. `Enforce` (default) repairs them, as far
    /// as the other policies allow. `Observe` only reports them.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// What to do if a network of that name exists and Dockfleet did not create it. `Never`
    /// (default) reports a conflict. `IfMatching` takes the network over if it matches this
    /// resource. `Force` takes it over as it is. With `updatePolicy: WhenUnused`, a network that
    /// differs is then replaced as soon as nothing uses it.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What happens to the network when this resource is deleted or no longer selects the host.
    /// `Delete` (default) removes it as soon as nothing uses it. `Retain` keeps it on the host.
    #[serde(default = "delete")]
    pub deletion_policy: DeletionPolicy,
    /// Whether Dockfleet changes objects on hosts. `Manage` (default) changes them. `Observe` only
    /// compares them and reports.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// Which hosts must have the object before this resource is ready. `Reachable` (default) means
    /// all hosts that are not offline, at least one. `All` means all hosts.
    #[serde(default)]
    pub ready_policy: ReadyPolicy,
    /// If true, nothing is changed on any host. Checks and reports continue. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// A network driver of the engine.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum NetworkDriver {
    /// A Linux bridge with NAT on the host.
    #[default]
    Bridge,
    /// Each container has its own MAC address on a host interface.
    Macvlan,
    /// All containers share the MAC address of a host interface.
    Ipvlan,
    /// One network across the hosts of a swarm.
    Overlay,
}

impl NetworkDriver {
    /// Returns the engine's name of the driver.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Overlay => "overlay",
        }
    }
}

/// Different values for some hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = override_rules)]
pub struct HostOverride {
    /// Selects hosts by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Selects hosts by name, in the form of `hostNames` of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 317)))]
    pub host_names: Vec<String>,
    /// Parent interface on these hosts, such as `eth0`. It replaces `parent` of `macvlan` or
    /// `ipvlan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), transform = options::interface)]
    pub parent: Option<String>,
    /// Address blocks on these hosts. They replace `ipam.config`. At most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), transform = ipam::disjoint)]
    pub ipam_config: Vec<IpamConfig>,
    /// Driver options on these hosts. They replace options with the same key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub options: BTreeMap<String, String>,
}

impl DockerNetworkSpec {
    /// Returns the policies in the form that planner and agent read.
    pub fn policies(&self) -> Policies {
        Policies {
            update_when_unused: self.update_policy == NetworkUpdatePolicy::WhenUnused,
            drift: self.drift_policy,
            adoption: self.adoption_policy,
            deletion: self.deletion_policy,
            management: self.management_policy,
            suspend: self.suspend,
        }
    }
}

fn delete() -> DeletionPolicy {
    DeletionPolicy::Delete
}

fn network_name(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^[a-zA-Z0-9][a-zA-Z0-9_.-]*$')",
            message: "'a network name has letters, digits, _, . and -, and starts with a letter or digit, such as lab-net'",
        }],
    );
}

fn override_rules(schema: &mut Schema) {
    plain_options(schema);
    overrides_hosts(schema);
}

#[cfg(test)]
mod tests {
    use super::DockerNetworkSpec;

    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let empty: DockerNetworkSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(DockerNetworkSpec::default(), empty);
    }
}
