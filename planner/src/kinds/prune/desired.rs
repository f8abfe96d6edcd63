//! A PrunePolicy as one host must follow it.

use std::collections::BTreeMap;

use dockfleet_crds::prune::{PruneMode, PrunedKind};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::{Deserialize, Serialize};

use crate::desired::{Behaviour, is_default};
use crate::kinds::DesiredObject;

/// A PrunePolicy as one host must follow it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredPrune {
    /// Name of the resource.
    pub name: String,
    /// What is pruned.
    pub kind: PrunedKind,
    /// Whether candidates are removed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: PruneMode,
    /// Selects objects by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// How long an object must be unused, in seconds.
    pub min_unused_for: i64,
    /// How many objects one run removes at most.
    pub max_per_run: usize,
    /// Whether only anonymous volumes are candidates.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_anonymous: bool,
    /// Whether volumes with data are candidates.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_non_empty: bool,
    /// Generation of the resource, for the text of the permission that the brake waits for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub generation: i64,
    /// How many candidates a person has allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<usize>,
    /// Nothing is created, so nothing gets labels.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
    /// The policies.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

impl DesiredObject for DesiredPrune {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &'static str {
        ""
    }

    fn policy(&self) -> Behaviour {
        self.policy
    }

    fn policy_mut(&mut self) -> &mut Behaviour {
        &mut self.policy
    }

    fn labels_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.labels
    }
}
