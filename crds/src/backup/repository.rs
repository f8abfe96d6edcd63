//! BackupRepository: where backups of volumes are stored, and what opens them.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use crate::policy::{AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, Policies};
use crate::schema::{duration, plain_options, unobserved};
use crate::status::ResourceStatus;

/// How many hosts use a repository at the same time if it does not say it.
const MAX_CONCURRENT: i32 = 4;

/// Spec of a BackupRepository.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "BackupRepository",
    plural = "backuprepositories",
    namespaced,
    status = "BackupRepositoryStatus",
    shortname = "drepo",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "A place for backups of volumes, in the format of restic. It is in the namespace of the hosts.",
    printcolumn(name = "Address", type_ = "string", json_path = ".status.address"),
    printcolumn(name = "Layout", type_ = "string", json_path = ".spec.layout"),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.running"),
    printcolumn(
        name = "Last success",
        type_ = "date",
        json_path = ".status.lastSuccessfulTime"
    ),
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
#[schemars(transform = rules::repository)]
pub struct BackupRepositorySpec {
    /// A folder that each host has at the same path, such as one of an NFS server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathStore>,
    /// A bucket of an S3 server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Store>,
    /// A REST server of restic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<RestStore>,
    /// The Secret with the password of the repository and the credentials of its store.
    pub secret: RepositorySecret,
    /// `PerHost` (default): each host has a repository of its own in the store, with a password of its
    /// own, so that no host can read the backups of another one. `Shared`: all hosts use one
    /// repository and its password. It stores the same data of several hosts once, but each host can
    /// read the data of all.
    #[serde(default)]
    pub layout: Layout,
    /// Whether a repository is created where there is none. `IfMissing` (default): the agent creates
    /// it in an empty place, but never twice: one that was there before and is gone is an error.
    /// `Never`: it must exist.
    #[serde(default)]
    pub create: CreatePolicy,
    /// How many hosts make a backup at the same time at most. The others wait for their turn. 1 to
    /// 64. Default: 4.
    #[serde(default = "max_concurrent")]
    #[schemars(range(min = 1, max = 64))]
    pub max_concurrent: i32,
    /// How much each host sends and receives at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Which snapshots of a volume stay after a backup of it in which nothing is missing. Without it,
    /// all stay. The last complete one always stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionRules>,
}

/// The defaults of the schema.
impl Default for BackupRepositorySpec {
    fn default() -> Self {
        Self {
            path: None,
            s3: None,
            rest: None,
            secret: RepositorySecret::default(),
            layout: Layout::default(),
            create: CreatePolicy::default(),
            max_concurrent: max_concurrent(),
            bandwidth: None,
            retention: None,
        }
    }
}

impl BackupRepositorySpec {
    /// Returns the policies in the form that planner and agent read. It has no object on a host.
    pub fn policies(&self) -> Policies {
        Policies {
            deletion: DeletionPolicy::Retain,
            suspend: false,
            update_when_unused: false,
            drift: DriftPolicy::Enforce,
            adoption: AdoptionPolicy::Never,
            management: ManagementPolicy::Manage,
        }
    }
}

fn max_concurrent() -> i32 {
    MAX_CONCURRENT
}

/// A folder of each host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::path)]
pub struct PathStore {
    /// The absolute path. The folder must exist: one that is not there may be a disk that is not
    /// mounted.
    #[schemars(length(min = 2, max = 1024))]
    pub folder: String,
    /// Whether the folder may be on the disk of the system or of the volume. A backup there is lost
    /// with the disk, and a network disk that is not mounted looks like this. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_same_disk: bool,
}

/// A bucket of an S3 server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::s3)]
pub struct S3Store {
    /// Address of the server, such as `https://s3.example.com`.
    #[schemars(length(min = 1, max = 512))]
    pub endpoint: String,
    /// Name of the bucket. It must exist.
    #[schemars(length(min = 3, max = 63))]
    pub bucket: String,
    /// What the names of all objects begin with, such as `backups/shop`. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub prefix: Option<String>,
    /// Region of the bucket. Default: `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,
    /// Certificates as PEM, of the only authorities that the server is trusted by. Default: those of
    /// the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub ca_bundle: Option<String>,
}

/// A REST server of restic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::rest)]
pub struct RestStore {
    /// Address of the server, such as `https://backup.example.com:8000/shop`.
    #[schemars(length(min = 1, max = 512))]
    pub url: String,
    /// Certificates as PEM, of the only authorities that the server is trusted by. Default: those of
    /// the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub ca_bundle: Option<String>,
}

/// Refers to the Secret of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::secret_name)]
pub struct RepositorySecret {
    /// Name of the Secret, in the same namespace. It must have the key `RESTIC_PASSWORD`, for `s3` also
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and may have `RESTIC_REST_USERNAME` and
    /// `RESTIC_REST_PASSWORD` for `rest`. It must have the label `dockfleet.io/credentials: "true"`,
    /// which allows Dockfleet to copy it to hosts.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Whether hosts share a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Layout {
    /// Each host has its own, with its own password.
    #[default]
    PerHost,
    /// All hosts use one.
    Shared,
}

/// Whether a repository is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CreatePolicy {
    /// Where there is none, once.
    #[default]
    IfMissing,
    /// It must exist.
    Never,
}

/// How much a host sends and receives at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = plain_options)]
pub struct Bandwidth {
    /// Bytes a second to the store, such as `10Mi`. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), transform = rules::quantity)]
    pub upload: Option<String>,
    /// Bytes a second from the store. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), transform = rules::quantity)]
    pub download: Option<String>,
}

/// Which snapshots stay: of each period that has one, the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::retention)]
pub struct RetentionRules {
    /// The last N snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub last: Option<i32>,
    /// The last one of each of N hours that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub hourly: Option<i32>,
    /// The last one of each of N days that have one. Days begin at midnight UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub daily: Option<i32>,
    /// The last one of each of N weeks that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub weekly: Option<i32>,
    /// The last one of each of N months that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub monthly: Option<i32>,
    /// The last one of each of N years that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub yearly: Option<i32>,
    /// All that are at most this much older than the newest, such as `36h` or `7d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 7), transform = duration)]
    pub within: Option<String>,
}

/// Status of a BackupRepository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct BackupRepositoryStatus {
    /// What every resource's status has.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// How it is used.
    #[serde(flatten)]
    pub usage: RepositoryState,
}

/// How a repository is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryState {
    /// Its address, as restic writes it. With the layout `PerHost`, each host has a folder
    /// `NAMESPACE_HOST` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Number of hosts that make a backup in it now.
    #[serde(default)]
    pub running: i32,
    /// When a VolumeBackup last ended in which nothing is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::BackupRepositorySpec;

    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let least: BackupRepositorySpec =
            serde_json::from_str(r#"{"secret":{"name":""}}"#).unwrap();
        assert_eq!(BackupRepositorySpec::default(), least);
    }
}
