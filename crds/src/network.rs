//! DockerNetwork: a network that every selected host has.

mod ipam;
mod options;
mod rules;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use ipam::{Ipam, IpamConfig};
pub use options::{
    BridgeOptions, GatewayMode, IpvlanFlag, IpvlanMode, IpvlanOptions, MacvlanMode, MacvlanOptions,
};

use crate::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, NetworkUpdatePolicy, Policies,
    ReadyPolicy,
};
use crate::schema::{Rule, plain_options, rules, selector};
use crate::status::ResourceStatus;

/// Spec of a DockerNetwork.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "DockerNetwork",
    namespaced,
    status = "ResourceStatus",
    shortname = "dnet",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "A Docker network that every selected host has.",
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
    /// Hosts by their labels; `{}` selects every host. Joined with `hostNames`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Hosts by name, in addition to those that `hostSelector` selects: `NAME` in any namespace of
    /// hosts, or `NAMESPACE/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 317)))]
    pub host_names: Vec<String>,
    /// Name of the network on the host; the resource's own name when left out. Cannot change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), transform = network_name)]
    pub network_name: Option<String>,
    /// Network driver of the engine.
    #[serde(default)]
    pub driver: NetworkDriver,
    /// Options of the bridge driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeOptions>,
    /// Options of the macvlan driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macvlan: Option<MacvlanOptions>,
    /// Options of the ipvlan driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipvlan: Option<IpvlanOptions>,
    /// Number of unsolicited ARP and neighbour advertisement messages sent when a container gets
    /// an address, 0 to 3. Needs Engine 28.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3))]
    pub advertise_addr_messages: Option<i32>,
    /// Time between those messages in milliseconds, 100 to 2000. Needs Engine 28.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 2000))]
    pub advertise_addr_interval_milliseconds: Option<i32>,
    /// Driver options as the engine takes them, for those without a field here. The engine takes
    /// unknown keys in silence, so a key that the driver does not know is warned about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub options: BTreeMap<String, String>,
    /// Labels of the network on the host. Those that start with `io.dockfleet.` are set by Dockfleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub labels: BTreeMap<String, String>,
    /// No way in or out of the network but through its own containers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Containers outside of a swarm service may be connected by hand (a flag of swarm networks,
    /// kept by the engine on all).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attachable: bool,
    /// Gives containers IPv4 addresses; the engine's default is true. False needs Engine 28.0.
    #[serde(
        default,
        rename = "enableIPv4",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_ipv4: Option<bool>,
    /// Gives containers IPv6 addresses; the engine's default is false.
    #[serde(
        default,
        rename = "enableIPv6",
        skip_serializing_if = "Option::is_none"
    )]
    pub enable_ipv6: Option<bool>,
    /// Address management; the engine chooses a free subnet when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
    /// What differs on some hosts; the first item that names or selects a host applies to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub host_overrides: Vec<HostOverride>,
    /// May a changed network be replaced on the host? `Never` reports the difference,
    /// `WhenUnused` replaces it once no container, running or stopped, uses it.
    #[serde(default)]
    pub update_policy: NetworkUpdatePolicy,
    /// `Enforce` repairs what was changed or removed by hand, `Observe` only reports it.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// What to do when a network of that name exists and is not ours: `Never` reports a conflict,
    /// `IfMatching` takes it over when it is as this resource says, `Force` as it is.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,
    /// What happens on the host when this resource is deleted or no longer selects it: `Delete`
    /// removes the network once nothing uses it, `Retain` leaves it.
    #[serde(default = "delete")]
    pub deletion_policy: DeletionPolicy,
    /// `Observe` compares and reports, and never changes anything on a host.
    #[serde(default)]
    pub management_policy: ManagementPolicy,
    /// Which hosts this resource waits for before it is ready: `Reachable` those that are heard of,
    /// as long as there is one, `All` those that are offline too.
    #[serde(default)]
    pub ready_policy: ReadyPolicy,
    /// No change on any host while true; looking and reporting go on.
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
    /// Containers with MAC addresses of their own on a host interface.
    Macvlan,
    /// Containers that share the MAC address of a host interface.
    Ipvlan,
}

impl NetworkDriver {
    /// Returns the engine's name of the driver.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }
}

/// What is different on some hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = override_rules)]
pub struct HostOverride {
    /// Hosts by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Hosts by name, as in `hostNames` above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 317)))]
    pub host_names: Vec<String>,
    /// Parent interface on these hosts (macvlan, ipvlan), in place of the driver block's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), transform = options::interface)]
    pub parent: Option<String>,
    /// Address blocks on these hosts, in place of `ipam.config`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), transform = ipam::disjoint)]
    pub ipam_config: Vec<IpamConfig>,
    /// Driver options on these hosts, over those of `options` with the same key.
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

/// Bounds the values of a map of strings, so that rules over it stay within the API server's
/// cost limit.
pub(crate) fn bounded_map(schema: &mut Schema) {
    let map = schema.ensure_object();
    // schemars bounds a map with minProperties and maxProperties only through an extension.
    if let Some(max) = map.remove("maxItems") {
        map.insert("maxProperties".to_owned(), max);
    }
    map.entry("maxProperties").or_insert_with(|| 64.into());
    map.insert(
        "additionalProperties".to_owned(),
        serde_json::json!({"type": "string", "maxLength": 1024}),
    );
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
    rules(
        schema,
        &[Rule {
            rule: "has(self.hostSelector) || has(self.hostNames) && self.hostNames.size() > 0",
            message: "'a host override names no host; set hostNames or hostSelector'",
        }],
    );
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
