//! What the controller records about a swarm, beside what every resource's status has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::open::Open;
use crate::schema::unobserved;
use crate::status::ResourceStatus;
use crate::swarm::Availability;

/// Status of a SwarmCluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct SwarmClusterStatus {
    /// What every resource's status has.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// The state of the swarm.
    #[serde(flatten)]
    pub swarm: SwarmState,
}

/// The state of a swarm. What is not recorded here is not done: a host creates the swarm only after
/// `bootstrap` names it, and never again after `clusterID` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwarmState {
    /// ID of the swarm.
    #[serde(default, rename = "clusterID", skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
    /// The one host that may create the swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,
    /// The manager whose agent changes the nodes of the swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// Number of managers that the swarm reaches.
    #[serde(default)]
    pub managers: i32,
    /// Number of workers that the swarm reaches.
    #[serde(default)]
    pub workers: i32,
    /// Whether more than half of the managers reach each other: `Available`, `Lost` or `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Open<Quorum>>,
    /// The last value of `tokenRotation` for which the join tokens were rotated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_rotation: Option<String>,
    /// How often the join tokens had to be rotated. The swarm has this number in its label
    /// `io.dockfleet.token-epoch` when it is done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub token_epoch: i64,
    /// The oldest and the newest engine version of the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_versions: Option<String>,
    /// The last recovery from a lost quorum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// IDs of the managers without which the swarm went on. Their hosts must leave the swarm before
    /// they can join again, because together they could form a majority of their own. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub given_up: Vec<String>,
    /// The hosts, sorted by name. At most 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "atomic"))]
    pub members: Vec<Member>,
    /// IDs of nodes that the writer removes from the swarm, because their host has left it or has
    /// another node ID now. At most 1000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "atomic"))]
    pub removed_nodes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The permission to create a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// Name of the host.
    pub host: String,
    /// Identity of the attempt. The agent writes it into its journal before it creates the swarm.
    pub attempt: String,
}

/// The permission of one manager to go on without the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Name of the host with the manager.
    pub host: String,
    /// The annotation that permits it.
    pub permission: String,
    /// Whether it is done. The annotation then permits nothing any more.
    #[serde(default)]
    pub done: bool,
    /// IDs of the managers that it gives up. They are in `givenUp` of the status when it is done. At
    /// most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub given_up: Vec<String>,
}

/// Whether the managers of a swarm have a majority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum Quorum {
    /// More than half of them reach each other.
    Available,
    /// They do not, so the swarm cannot be changed.
    Lost,
    /// No manager can be asked.
    #[default]
    Unknown,
}

/// One host of a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Name of the host.
    pub host: String,
    /// State of the host in the swarm, such as `Worker` or `Joining`.
    pub state: Open<MemberState>,
    /// The role that the host must have.
    pub role: Open<NodeRole>,
    /// Its node ID in the swarm.
    #[serde(default, rename = "nodeID", skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// The address, with the port, by which other hosts reach a manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The availability that the node must have, if the spec sets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Open<Availability>>,
    /// The labels that the node must have. At most 64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(length(max = 64))]
    pub node_labels: BTreeMap<String, String>,
    /// What is tried before the host joins, as long as it is in no swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Preflight>,
}

/// What is tried before a host joins: whether other hosts reach its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// Address at which the other hosts try it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Names of the hosts that try it. At most 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "atomic"))]
    pub tried_by: Vec<String>,
    /// Why the host does not join. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub failures: Vec<String>,
    /// Whether the host may join.
    #[serde(default)]
    pub passed: bool,
}

/// The role of a node in a swarm.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray,
)]
pub enum NodeRole {
    /// It runs containers.
    #[default]
    Worker,
    /// It also keeps the state of the swarm.
    Manager,
}

/// The state of a host in a swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum MemberState {
    /// It is in no swarm, or its agent has not reported yet.
    #[default]
    Absent,
    /// It is to join, or has joined and is not confirmed by a manager yet.
    Joining,
    /// A worker.
    Worker,
    /// A manager.
    Manager,
    /// The manager that leads the others.
    Leader,
    /// A node of the swarm that the managers do not reach.
    Unreachable,
    /// It is in a swarm that this resource did not create. It is not changed.
    Foreign,
    /// It is to leave the swarm.
    Leaving,
}
