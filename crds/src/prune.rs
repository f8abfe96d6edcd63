//! PrunePolicy: unused volumes or networks of Docker hosts, which nobody manages, are listed or removed.

mod rules;
mod state;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

pub use state::{MAX_CANDIDATES, PruneCandidate, PrunePolicyStatus, PruneState};

use crate::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, Policies, ReadyPolicy,
};
use crate::schema::{duration, selector};

/// How long an object must be unused if a policy does not say it.
pub const MIN_UNUSED_FOR: &str = "24h";

/// How many objects one run removes at most if a policy does not say it.
pub const MAX_PER_RUN: i32 = 10;

/// Spec of a PrunePolicy.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "PrunePolicy",
    plural = "prunepolicies",
    namespaced,
    status = "PrunePolicyStatus",
    shortname = "dprune",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "Lists or removes unused volumes or networks of hosts that nobody manages. It is in the namespace of its hosts.",
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Hosts", type_ = "integer", json_path = ".status.hosts.desired"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.hosts.ready"),
    printcolumn(
        name = "Candidates",
        type_ = "integer",
        json_path = ".status.candidates"
    ),
    printcolumn(name = "Removed", type_ = "integer", json_path = ".status.removed"),
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
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::spec)]
pub struct PrunePolicySpec {
    /// Selects hosts of the same namespace by their labels. `{}` selects every host. The hosts in
    /// `hostNames` are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Selects hosts of the same namespace by name, in addition to `hostSelector`. At most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub host_names: Vec<String>,
    /// What is pruned: `Volume` or `Network`. Cannot be changed.
    pub kind: PrunedKind,
    /// `DryRun` (default): candidates are listed in the status, and nothing is removed. `Enforce`:
    /// candidates are removed after they were in the status for at least a minute.
    #[serde(default)]
    pub mode: PruneMode,
    /// Selects volumes or networks by their Docker labels. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub selector: Option<LabelSelector>,
    /// How long the agent must have observed that no container, running or stopped, uses an object,
    /// such as `72h` or `30d`. The agent begins again if it could not observe for 15 minutes. Default:
    /// `24h`.
    #[serde(default = "min_unused_for")]
    #[schemars(length(max = 7), transform = duration)]
    pub min_unused_for: String,
    /// How many objects are removed on a host at most in one run. Runs are at least 10 minutes apart.
    /// 1 to 1000. Default: 10.
    #[serde(default = "max_per_run")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_per_run: i32,
    /// Whether only anonymous volumes are candidates: those that a container created without a name.
    /// Only for volumes. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_anonymous: Option<bool>,
    /// Whether volumes with data are candidates. A volume of which the agent cannot know whether it is
    /// empty counts as one with data. Only for volumes. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_non_empty: bool,
    /// Which hosts must follow this policy before this resource is ready. `Reachable` (default) means
    /// all hosts that are not offline, at least one. `All` means all hosts.
    #[serde(default)]
    pub ready_policy: ReadyPolicy,
    /// If true, nothing is removed on any host. Candidates are still listed. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
}

/// What a PrunePolicy is about.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
pub enum PrunedKind {
    /// Volumes.
    #[default]
    Volume,
    /// Networks.
    Network,
}

impl PrunedKind {
    /// Returns the engine's word for it.
    pub fn object(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Network => "network",
        }
    }
}

/// What a PrunePolicy does with its candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PruneMode {
    /// They are listed.
    #[default]
    DryRun,
    /// They are listed, and then removed.
    Enforce,
}

/// The defaults of the schema.
impl Default for PrunePolicySpec {
    fn default() -> Self {
        Self {
            host_selector: None,
            host_names: Vec::new(),
            kind: PrunedKind::default(),
            mode: PruneMode::default(),
            selector: None,
            min_unused_for: min_unused_for(),
            max_per_run: max_per_run(),
            only_anonymous: None,
            include_non_empty: false,
            ready_policy: ReadyPolicy::default(),
            suspend: false,
        }
    }
}

fn min_unused_for() -> String {
    MIN_UNUSED_FOR.to_owned()
}

fn max_per_run() -> i32 {
    MAX_PER_RUN
}

impl PrunePolicySpec {
    /// Returns the policies in the form that planner and agent read. The resource has no object, so
    /// nothing is removed with it.
    pub fn policies(&self) -> Policies {
        Policies {
            deletion: DeletionPolicy::Retain,
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
    use super::PrunePolicySpec;

    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let least: PrunePolicySpec = serde_json::from_str(r#"{"kind":"Volume"}"#).unwrap();
        assert_eq!(PrunePolicySpec::default(), least);
    }
}
