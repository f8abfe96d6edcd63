//! VolumeRestore: a snapshot that is written into an empty volume of a host, once.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::state::BackupState;
use crate::policy::{AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, Policies};
use crate::schema::{duration, unobserved, volume_name};
use crate::status::ResourceStatus;

/// The newest snapshot in which nothing is missing.
const LATEST: &str = "latest";

/// Spec of a VolumeRestore.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "VolumeRestore",
    namespaced,
    status = "VolumeRestoreStatus",
    shortname = "drestore",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "A snapshot that is written into an empty volume of a host, once. It is in the namespace of the host.",
    printcolumn(name = "Volume", type_ = "string", json_path = ".spec.volumeName"),
    printcolumn(name = "Host", type_ = "string", json_path = ".spec.host"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Snapshot",
        type_ = "string",
        json_path = ".status.results[0].snapshotID"
    ),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
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
#[schemars(transform = rules::restore)]
pub struct VolumeRestoreSpec {
    /// Name of the host whose volume is written, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Name of the host whose backup it is. Default: `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub source_host: Option<String>,
    /// Name of the volume that was backed up.
    #[schemars(length(min = 2, max = 128), transform = volume_name)]
    pub volume_name: String,
    /// Name of the volume that is written. It must be empty, and is created if it does not exist.
    /// Default: `volumeName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 128), transform = volume_name)]
    pub target_volume: Option<String>,
    /// Name of the BackupRepository, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub repository: String,
    /// The snapshot: the first digits of its ID, or `latest` (default) for the newest one in which
    /// nothing is missing.
    #[serde(default = "latest")]
    #[schemars(length(min = 4, max = 64))]
    pub snapshot: String,
    /// How long after its creation the host may begin, such as `30m`. Default: `1h`.
    #[serde(default = "starting_deadline")]
    #[schemars(length(max = 7), transform = duration)]
    pub starting_deadline: String,
    /// How long the restore may take, such as `6h`. After that it has failed. Default: `24h`.
    #[serde(default = "timeout")]
    #[schemars(length(max = 7), transform = duration)]
    pub timeout: String,
}

/// The defaults of the schema.
impl Default for VolumeRestoreSpec {
    fn default() -> Self {
        Self {
            host: String::new(),
            source_host: None,
            volume_name: String::new(),
            target_volume: None,
            repository: String::new(),
            snapshot: latest(),
            starting_deadline: starting_deadline(),
            timeout: timeout(),
        }
    }
}

impl VolumeRestoreSpec {
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

fn latest() -> String {
    LATEST.to_owned()
}

fn starting_deadline() -> String {
    "1h".to_owned()
}

fn timeout() -> String {
    "24h".to_owned()
}

/// Status of a VolumeRestore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct VolumeRestoreStatus {
    /// What every resource's status has.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// The state of the restore, in the form of a backup.
    #[serde(flatten)]
    pub restore: BackupState,
}

#[cfg(test)]
mod tests {
    use super::VolumeRestoreSpec;

    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let least: VolumeRestoreSpec =
            serde_json::from_str(r#"{"host":"","volumeName":"","repository":""}"#).unwrap();
        assert_eq!(VolumeRestoreSpec::default(), least);
    }
}
