//! The status of a resource that goes to many hosts: counters and a short list, never all hosts.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::assignment::Reason;
use crate::open::Open;
use crate::schema::unobserved;

/// The most failing hosts a status names; the counters say how many there are.
pub const MAX_FAILING_HOSTS: usize = 10;

/// Status of a DockerNetwork or DockerVolume over all hosts it goes to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct ResourceStatus {
    /// Generation of the spec that this status speaks of; -1 before there was a look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many hosts are in which state.
    #[serde(default)]
    pub hosts: HostCounts,
    /// Up to ten hosts that are not ready and why, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub failing: Vec<FailingHost>,
    /// Value of the annotation `dockfleet.io/reconcile-requested-at` of the last request that every
    /// host has handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready, Reconciling, Stalled and Accepted, by the conventions of Kubernetes and kstatus.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Numbers of hosts by the state of one resource on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostCounts {
    /// Hosts the resource selects, those that refuse it among them.
    #[serde(default)]
    pub desired: i32,
    /// Hosts that have it as the resource says.
    #[serde(default)]
    pub ready: i32,
    /// Hosts that are being worked on or have not yet reported on the present revision.
    #[serde(default)]
    pub pending: i32,
    /// Hosts where it differs from the resource and stays so by policy.
    #[serde(default)]
    pub drifted: i32,
    /// Hosts where it could not be made so.
    #[serde(default)]
    pub failed: i32,
    /// Hosts that have not been heard of for long, whatever they last said.
    #[serde(default)]
    pub offline: i32,
    /// Hosts that still have to let go of it, those that are offline among them.
    #[serde(default)]
    pub removing: i32,
}

/// One host that is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingHost {
    /// Name of the DockerHost; `NAMESPACE/NAME` where it is not in the first namespace of hosts
    /// (`--fleet-namespace`).
    pub host: String,
    /// Why, in one word.
    pub reason: Open<Reason>,
    /// Why, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
