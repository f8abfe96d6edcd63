//! What the controller records about a backup, beside what every resource's status has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::repository::{BackupRepositorySpec, Layout};
use crate::assignment::Reason;
use crate::open::Open;
use crate::schema::{opaque_object, unobserved};
use crate::status::ResourceStatus;

/// Maximum number of hosts whose result is in the status of a VolumeBackup. The counters have the total.
pub const MAX_RESULTS: usize = 100;

/// Status of a VolumeBackup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct VolumeBackupStatus {
    /// What every resource's status has.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// The state of the backup.
    #[serde(flatten)]
    pub backup: BackupState,
}

/// The state of a backup over all its hosts. A host begins only after `running` names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupState {
    /// How far it is: `Pending`, `Running`, `Completed`, `PartiallyFailed` or `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Open<BackupPhase>>,
    /// When the controller first saw it, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_time: Option<String>,
    /// The repository, as it was when the backup began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<RecordedRepository>,
    /// When the first host was told to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Until when hosts are waited for that were told to begin and are not heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_time: Option<String>,
    /// When the last host had ended, or was missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// The hosts that make their backup now, sorted by name. At most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub running: Vec<String>,
    /// Number of hosts with a backup in which nothing is missing.
    #[serde(default)]
    pub succeeded: i32,
    /// Number of hosts with a backup in which files are missing.
    #[serde(default)]
    pub partial: i32,
    /// Number of hosts without a backup.
    #[serde(default)]
    pub failed: i32,
    /// Number of hosts that did not begin before the deadline.
    #[serde(default)]
    pub missed: i32,
    /// The size of all files in the snapshots, such as `1.2 GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// The results of up to 100 hosts, those without a whole backup first, then by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub results: Vec<HostBackup>,
}

impl BackupState {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.completion_time.is_some()
    }

    /// Whether it has ended, and nothing is missing on any host.
    pub fn is_whole(&self) -> bool {
        self.phase
            .as_ref()
            .is_some_and(|phase| *phase == BackupPhase::Completed)
    }
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum BackupPhase {
    /// No host has begun.
    #[default]
    Pending,
    /// Hosts make their backups, or wait for their turn.
    Running,
    /// Every host has a backup in which nothing is missing.
    Completed,
    /// Some hosts have one.
    PartiallyFailed,
    /// No host has one.
    Failed,
}

/// A repository as it was when a backup began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRepository {
    /// UID of the BackupRepository.
    pub uid: String,
    /// Its address, as restic writes it.
    pub address: String,
    /// Its spec.
    #[schemars(transform = opaque_object)]
    pub spec: BackupRepositorySpec,
}

impl RecordedRepository {
    /// Whether each host has a repository of its own in it.
    pub fn is_per_host(&self) -> bool {
        self.spec.layout == Layout::PerHost
    }
}

/// What one host has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostBackup {
    /// Name of the DockerHost.
    pub host: String,
    /// ID of the snapshot.
    #[serde(
        default,
        rename = "snapshotID",
        skip_serializing_if = "Option::is_none"
    )]
    pub snapshot_id: Option<String>,
    /// Number of files in it.
    #[serde(default)]
    pub files: i64,
    /// Their size in bytes.
    #[serde(default)]
    pub bytes: i64,
    /// Bytes that were added to the repository.
    #[serde(default)]
    pub added: i64,
    /// Files that are missing in it, or that changed while they were read.
    #[serde(default)]
    pub problems: i64,
    /// How long it took, in seconds.
    #[serde(default)]
    pub seconds: i64,
    /// Whether what was stored was read back.
    #[serde(default)]
    pub verified: bool,
    /// Why there is none, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Open<Reason>>,
    /// Why there is none, or what is missing, in a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}
