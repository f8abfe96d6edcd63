//! Conditions by the conventions of the Kubernetes API: typed names and stable transition times.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Whether the resource is applied on every host. `Unknown` while this is in progress.
pub const READY: &str = "Ready";
/// Present and `True` only while a step is in progress or is retried.
pub const RECONCILING: &str = "Reconciling";
/// Present and `True` only when nothing will change until somebody acts.
pub const STALLED: &str = "Stalled";
/// Whether the selected hosts accept the resource.
pub const ACCEPTED: &str = "Accepted";

/// Whether the agent of a host sends heartbeats.
pub const REACHABLE: &str = "Reachable";
/// Present and `True` only while a host is paused.
pub const PAUSED: &str = "Paused";

/// Present and `False` only while a host that is being deleted is not clean yet.
pub const CLEAN: &str = "Clean";

/// The three values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// `True`.
    True,
    /// `False`.
    False,
    /// `Unknown`.
    Unknown,
}

impl ConditionStatus {
    /// Returns the value as in a condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its transition time, which [`merge`] fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCondition {
    /// One of the names in this module.
    pub type_: &'static str,
    /// Its value.
    pub status: ConditionStatus,
    /// One word in CamelCase.
    pub reason: String,
    /// A sentence for users.
    pub message: String,
}

impl NewCondition {
    /// Creates a condition without a time.
    pub fn new(
        type_: &'static str,
        status: ConditionStatus,
        reason: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status,
            reason: reason.into(),
            message: message.into(),
        }
    }
}

/// Gives each condition its transition time: the old time if the value did not change, otherwise
/// `now`.
///
/// Conditions that are not in `new` are dropped: an abnormal condition is present only while it is
/// true.
pub fn merge(
    old: &[Condition],
    new: &[NewCondition],
    generation: Option<i64>,
    now: &Time,
) -> Vec<Condition> {
    new.iter()
        .map(|v| {
            let before = old
                .iter()
                .find(|c| c.type_ == v.type_ && c.status == v.status.as_str());
            Condition {
                type_: v.type_.to_owned(),
                status: v.status.as_str().to_owned(),
                reason: v.reason.clone(),
                message: v.message.clone(),
                observed_generation: generation,
                last_transition_time: before
                    .map_or_else(|| now.clone(), |c| c.last_transition_time.clone()),
            }
        })
        .collect()
}
