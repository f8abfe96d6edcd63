//! What an agent reports about a policy, beside the state of its entry.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keep::Keep;
use super::object::Identity;
use super::selection::{Candidate, Selected};
use crate::desired::fields;

/// Maximum number of candidates that a host reports by name: the status of an assignment stays small.
const MAX_LISTED: usize = 10;

/// What an agent reports about a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PruneDetail {
    /// Number of candidates.
    #[serde(default)]
    pub candidates: i64,
    /// Number of objects that are not unused for long enough.
    #[serde(default)]
    pub recent: i64,
    /// Number of volumes with data, or of which that is not known.
    #[serde(default)]
    pub non_empty: i64,
    /// Number of objects that were removed.
    #[serde(default)]
    pub removed: i64,
    /// Some candidates, the next ones to be removed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ListedObject>,
}

/// One candidate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedObject {
    /// Its name.
    pub name: String,
    /// ID of a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was created, as the engine says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Since when it is unused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_since: Option<String>,
}

impl PruneDetail {
    /// Returns what is reported of a policy.
    pub(crate) fn of(selected: &Selected) -> Self {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            candidates: number(selected.candidates.len()),
            recent: number(selected.kept_as(Keep::Recent)),
            non_empty: number(selected.kept_as(Keep::NonEmpty)),
            removed: selected.observation.removed,
            objects: selected
                .candidates
                .iter()
                .take(MAX_LISTED)
                .map(ListedObject::of)
                .collect(),
        }
    }

    /// Returns it in the form of an entry's status.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        fields(self)
    }

    /// Reads it from an entry's status; `None` if the agent has not reported it.
    pub fn read(detail: Option<&Map<String, Value>>) -> Option<Self> {
        let fields = detail?.clone();
        serde_json::from_value(Value::Object(fields)).ok()
    }
}

impl ListedObject {
    /// Returns what is reported of a candidate.
    pub fn of(candidate: &Candidate) -> Self {
        let since = Timestamp::from_second(candidate.unused.since);
        let created = Some(candidate.object.created.clone());
        Self {
            name: candidate.object.name.clone(),
            id: match &candidate.object.identity {
                Identity::Volume { .. } => None,
                Identity::Network { id } => Some(id.clone()),
            },
            created: created.filter(|text| !text.is_empty()),
            unused_since: since.ok().map(|at| at.to_string()),
        }
    }
}
