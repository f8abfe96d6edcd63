//! A restore as one host must do it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::desired::Behaviour;
use crate::kinds::DesiredObject;
use crate::kinds::backup::DesiredRepository;

/// A restore as one host must do it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredRestore {
    /// Name of the resource.
    pub name: String,
    /// Name of the host in the snapshot.
    pub source_host: String,
    /// Name of the volume in the snapshot.
    pub source_volume: String,
    /// Name of the volume that is written.
    pub volume: String,
    /// `latest`, or the first digits of an ID.
    pub snapshot: String,
    /// The repository.
    pub repository: DesiredRepository,
    /// How long it may take, in seconds.
    pub timeout: i64,
    /// Version of the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Nothing gets labels.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
    /// The policies.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

impl DesiredObject for DesiredRestore {
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

    fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }
}
