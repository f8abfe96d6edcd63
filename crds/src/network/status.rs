//! The status of a network.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::unobserved;
use crate::status::ResourceStatus;

/// Status of a DockerNetwork.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct DockerNetworkStatus {
    /// What every resource's status has.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// The state of a network with the driver `overlay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<OverlayState>,
}

/// The state of an overlay network, which is one network for all hosts of a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverlayState {
    /// The manager that creates the network, as `NAMESPACE/NAME` of its DockerHost.
    pub writer: String,
    /// ID of the swarm.
    #[serde(rename = "clusterID")]
    pub cluster_id: String,
    /// ID of the network, if it was created.
    #[serde(default, rename = "networkID", skip_serializing_if = "Option::is_none")]
    pub network_id: Option<String>,
}
