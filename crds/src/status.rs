//! The status of a resource with many hosts: counters and a short list, never all hosts.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::assignment::Reason;
use crate::open::Open;
use crate::schema::unobserved;

/// Maximum number of failing hosts in a status. The counters have the total.
pub const MAX_FAILING_HOSTS: usize = 10;

/// Status of a DockerNetwork or DockerVolume over all its hosts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct ResourceStatus {
    /// Generation of the spec that this status is about; -1 before the controller has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Numbers of hosts by state.
    #[serde(default)]
    pub hosts: HostCounts,
    /// Up to ten hosts that are not ready, with the reasons, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub failing: Vec<FailingHost>,
    /// Last value of the annotation `dockfleet.io/reconcile-requested-at` that every host has
    /// handled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The conditions Ready, Reconciling, Stalled and Accepted, by the conventions of kstatus.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Numbers of hosts by the state of one resource on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostCounts {
    /// Hosts that the resource selects, including hosts that do not allow its namespace.
    #[serde(default)]
    pub desired: i32,
    /// Hosts whose object matches the resource.
    #[serde(default)]
    pub ready: i32,
    /// Hosts that are in progress or have not reported on the current revision yet.
    #[serde(default)]
    pub pending: i32,
    /// Hosts whose object differs and is not changed, because of a policy.
    #[serde(default)]
    pub drifted: i32,
    /// Hosts where the resource could not be applied.
    #[serde(default)]
    pub failed: i32,
    /// Hosts that are offline, whatever they reported last.
    #[serde(default)]
    pub offline: i32,
    /// Hosts that still have to remove or release the object, including offline hosts.
    #[serde(default)]
    pub removing: i32,
}

/// One host that is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailingHost {
    /// Name of the DockerHost, or `NAMESPACE/NAME` if it is not in the first namespace of hosts
    /// (`--fleet-namespace`).
    pub host: String,
    /// Why the host is not ready, in one word, such as `InUse`.
    pub reason: Open<Reason>,
    /// Why the host is not ready, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
