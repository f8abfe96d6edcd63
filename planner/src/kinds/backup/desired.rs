//! A backup as one host must make it.

use std::collections::BTreeMap;

use dockfleet_crds::backup::{Consistency, RetentionRules, Verify};
use serde::{Deserialize, Serialize};

use crate::desired::{Behaviour, is_default};
use crate::kinds::DesiredObject;

/// A backup as one host must make it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredBackup {
    /// Name of the resource.
    pub name: String,
    /// Name of the volume.
    pub volume: String,
    /// The repository.
    pub repository: DesiredRepository,
    /// Name of the host in snapshots.
    pub host: String,
    /// How the backup is checked.
    #[serde(default, skip_serializing_if = "is_default")]
    pub verify: Verify,
    /// More tags for the snapshot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What happens to the containers that use the volume.
    #[serde(default, skip_serializing_if = "is_default")]
    pub consistency: Consistency,
    /// How long they may be paused or stopped, in seconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_downtime: i64,
    /// How long it may take, in seconds.
    pub timeout: i64,
    /// Version of the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// Nothing is created on the engine, so nothing gets labels.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
    /// The policies.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

/// A repository as one host uses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredRepository {
    /// Its address, as restic writes it.
    pub address: String,
    /// The folder of hosts in which it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Whether that folder may be on the disk of the system or of the volume.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_same_disk: bool,
    /// The region of its bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The certificates that its server is trusted by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Whether it is created if it was never there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub create: bool,
    /// Bytes a second that are sent at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<u64>,
    /// Bytes a second that are received at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download: Option<u64>,
    /// Which snapshots stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionRules>,
}

impl DesiredObject for DesiredBackup {
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
