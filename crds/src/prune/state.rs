//! What the hosts of a PrunePolicy report, added up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::unobserved;
use crate::status::ResourceStatus;

/// Maximum number of candidates in the status of a PrunePolicy. The counter has the total.
pub const MAX_CANDIDATES: usize = 20;

/// Status of a PrunePolicy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct PrunePolicyStatus {
    /// What every resource's status has.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// What the hosts report.
    #[serde(flatten)]
    pub pruning: PruneState,
}

/// What the hosts of a PrunePolicy report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneState {
    /// Number of unused objects that the policy removes, or would remove in the mode `Enforce`.
    #[serde(default)]
    pub candidates: i64,
    /// Number of unused objects that are no candidates yet, because they were not observed as unused
    /// for `minUnusedFor`.
    #[serde(default)]
    pub recent: i64,
    /// Number of unused volumes that are no candidates, because they have data or it is not known
    /// whether they have.
    #[serde(default)]
    pub non_empty: i64,
    /// Number of objects that this policy has removed on the hosts that it selects.
    #[serde(default)]
    pub removed: i64,
    /// Up to 20 candidates, by host and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub objects: Vec<PruneCandidate>,
}

/// One unused object on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PruneCandidate {
    /// Name of the DockerHost.
    pub host: String,
    /// Name of the volume or network.
    pub name: String,
    /// ID of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When the engine says that it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Since when the agent observes that nothing uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<String>,
}
