//! SwarmCluster: Docker hosts that form one swarm.

mod rules;
mod state;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

pub use state::{
    Bootstrap, Member, MemberState, NodeRole, Preflight, Quorum, Recovery, SwarmClusterStatus,
    SwarmState,
};

use crate::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, Policies, ReadyPolicy,
};
use crate::schema::{bounded_map, plain_options, selector};

/// Spec of a SwarmCluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "SwarmCluster",
    namespaced,
    status = "SwarmClusterStatus",
    shortname = "dswarm",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "Docker hosts that form one swarm. It is in the namespace of its hosts.",
    printcolumn(name = "Hosts", type_ = "integer", json_path = ".status.hosts.desired"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.hosts.ready"),
    printcolumn(name = "Managers", type_ = "integer", json_path = ".status.managers"),
    printcolumn(name = "Workers", type_ = "integer", json_path = ".status.workers"),
    printcolumn(name = "Quorum", type_ = "string", json_path = ".status.quorum"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Cluster ID",
        type_ = "string",
        json_path = ".status.clusterID",
        priority = 1
    ),
    printcolumn(
        name = "Engines",
        type_ = "string",
        json_path = ".status.engineVersions",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::spec)]
pub struct SwarmClusterSpec {
    /// Selects hosts of the same namespace by their labels. `{}` selects every host. The hosts in
    /// `hostNames` are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Selects hosts of the same namespace by name, in addition to `hostSelector`. At most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub host_names: Vec<String>,
    /// Which hosts are managers of the swarm. Default: one of all hosts.
    #[serde(default)]
    pub managers: Managers,
    /// Address, name of a network interface, or subnet in which a host has one address, by which the
    /// other hosts reach it, such as `eth1` or `10.20.0.0/16`. Default: the engine chooses it, which
    /// works if the host has one address only. It is used when a host joins. A subnet needs an agent
    /// that shares the network of its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), transform = rules::address)]
    pub advertise_address: Option<String>,
    /// Address, name of a network interface, or subnet in which a host has one address, for the
    /// traffic between containers. Default: that of `advertiseAddress`. It is used when a host joins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), transform = rules::address)]
    pub data_path_address: Option<String>,
    /// Whether the other hosts must reach the ports of a host before it joins. `Require` (default):
    /// the agents try it, and a host with a port that is closed does not join. `Skip`: nothing is
    /// tried. Agents that do not share the network of their host do not take part.
    #[serde(default)]
    pub preflight: PreflightPolicy,
    /// Whether containers that use a network of the swarm may start on the hosts. `Active`: yes.
    /// `Pause`: no new ones, also none of `docker run`. `Drain`: no new ones, and the running ones of
    /// services move to other hosts. Default: it is not changed, and a host joins as `Active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// Labels of the nodes in the swarm, for the placement of services. Other labels are not
    /// changed. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub node_labels: BTreeMap<String, String>,
    /// Different values for some hosts. The first item that names or selects a host applies to it.
    /// At most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub host_overrides: Vec<SwarmHostOverride>,
    /// ID of a swarm that exists, which this resource takes over. No host creates a swarm then. Set
    /// it when you create the resource, and `managers` to what the swarm has.
    #[serde(
        default,
        rename = "adoptClusterID",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 25), transform = rules::cluster_id)]
    pub adopt_cluster_id: Option<String>,
    /// Subnets from which overlay networks get theirs if they set none, in CIDR form. The engine's
    /// default is `10.0.0.0/8`. Set when the swarm is created, and cannot be changed. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 43)))]
    pub default_address_pools: Vec<String>,
    /// Prefix length of the subnets from `defaultAddressPools`, 8 to 29. The engine's default is 24.
    /// Set when the swarm is created, and cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 29))]
    pub subnet_size: Option<i32>,
    /// UDP port of the traffic between containers, 1024 to 49151. The engine's default is 4789. Set
    /// when the swarm is created, and cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 49151))]
    pub data_path_port: Option<i32>,
    /// Whether a manager that restarts must be unlocked, because it encrypts its keys. Its agent
    /// unlocks it, with the key in the Secret of the host. Default: it is not changed; a new swarm
    /// does not lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_lock: Option<bool>,
    /// How long the certificate of a node is valid, in hours, such as `2160h`. Nodes renew it
    /// before. Default: it is not changed; the engine's default is `2160h`, which is 90 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 6), transform = rules::hours)]
    pub certificate_expiry: Option<String>,
    /// Any text, such as a date. If it changes, the join tokens of the swarm are rotated. They are
    /// also rotated after a host has left the swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub token_rotation: Option<String>,
    /// What happens on a host that is no longer selected, or when this resource is deleted. `Keep`
    /// (default): the host stays in the swarm. `Leave`: the host leaves the swarm.
    #[serde(default)]
    pub removed_hosts: RemovedHosts,
    /// Which hosts must be in the swarm before this resource is ready. `Reachable` (default) means
    /// all hosts that are not offline, at least one. `All` means all hosts.
    #[serde(default)]
    pub ready_policy: ReadyPolicy,
    /// If true, nothing is changed on any host. Checks and reports continue. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// Which hosts are managers of a swarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = plain_options)]
pub struct Managers {
    /// Number of managers: 1, 3, 5 or 7. With 3, the swarm still works after the loss of one, with 5
    /// after the loss of two. Default: 1.
    #[serde(default = "one")]
    #[schemars(transform = rules::odd)]
    pub count: i32,
    /// Selects the hosts that may be managers by their labels. Default: all hosts of the swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Key of a label of DockerHosts, such as `rack`. New managers are chosen so that as few as
    /// possible of them have the same value. Hosts that are managers stay managers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub spread_by: Option<String>,
}

/// Different values for some hosts of a swarm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::host_override)]
pub struct SwarmHostOverride {
    /// Selects hosts by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Selects hosts by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub host_names: Vec<String>,
    /// Address, interface or subnet on these hosts. It replaces `advertiseAddress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), transform = rules::address)]
    pub advertise_address: Option<String>,
    /// Address, interface or subnet on these hosts. It replaces `dataPathAddress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), transform = rules::address)]
    pub data_path_address: Option<String>,
    /// Whether containers may start on these hosts. It replaces `availability`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// Labels of these nodes. They replace labels with the same key. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64), transform = bounded_map)]
    pub node_labels: BTreeMap<String, String>,
}

/// Whether services may start containers on a node.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
pub enum Availability {
    /// They may.
    #[default]
    Active,
    /// They start no new ones.
    Pause,
    /// They start no new ones, and the running ones move to other nodes.
    Drain,
}

/// The defaults of the schema.
impl Default for Managers {
    fn default() -> Self {
        Self {
            count: one(),
            host_selector: None,
            spread_by: None,
        }
    }
}

fn one() -> i32 {
    1
}

/// Whether the other hosts must reach the ports of a host before it joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PreflightPolicy {
    /// They must.
    #[default]
    Require,
    /// Nobody tries.
    Skip,
}

/// What happens on a host that is no longer selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RemovedHosts {
    /// The host stays in the swarm, and is released.
    #[default]
    Keep,
    /// The host leaves the swarm.
    Leave,
}

impl SwarmClusterSpec {
    /// Returns the policies in the form that planner and agent read.
    pub fn policies(&self) -> Policies {
        Policies {
            deletion: match self.removed_hosts {
                RemovedHosts::Keep => DeletionPolicy::Retain,
                RemovedHosts::Leave => DeletionPolicy::Delete,
            },
            suspend: self.suspend,
            update_when_unused: false,
            drift: DriftPolicy::Enforce,
            adoption: AdoptionPolicy::Never,
            management: ManagementPolicy::Manage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SwarmClusterSpec;

    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let empty: SwarmClusterSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(SwarmClusterSpec::default(), empty);
    }
}
