//! VolumeBackup: one backup of a volume on each of some hosts.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::state::VolumeBackupStatus;
use crate::policy::{AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, Policies};
use crate::schema::{duration, selector, volume_name};

/// How long hosts may begin a backup if it does not say it.
const STARTING_DEADLINE: &str = "1h";

/// How long containers may be paused or stopped if it does not say it.
const MAX_DOWNTIME: &str = "1h";

/// How long the backup of a host may take if it does not say it.
const TIMEOUT: &str = "24h";

/// Spec of a VolumeBackup.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "VolumeBackup",
    namespaced,
    status = "VolumeBackupStatus",
    shortname = "dbackup",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "One backup of a volume on each of some hosts. It is in the namespace of its hosts.",
    printcolumn(name = "Volume", type_ = "string", json_path = ".spec.volumeName"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Hosts", type_ = "integer", json_path = ".status.hosts.desired"),
    printcolumn(name = "Succeeded", type_ = "integer", json_path = ".status.succeeded"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Completed",
        type_ = "date",
        json_path = ".status.completionTime",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules::backup)]
pub struct VolumeBackupSpec {
    /// Selects hosts of the same namespace by their labels. `{}` selects every host. The hosts in
    /// `hostNames` are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub host_selector: Option<LabelSelector>,
    /// Selects hosts of the same namespace by name, in addition to `hostSelector`. At most 500.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 253)))]
    pub host_names: Vec<String>,
    /// Name of the Docker volume on the hosts.
    #[schemars(length(min = 2, max = 128), transform = volume_name)]
    pub volume_name: String,
    /// Name of the BackupRepository, in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub repository: String,
    /// What happens to the running containers that use the volume, while it is read. `None` (default):
    /// they go on running. `Pause`: they are paused. `Stop`: they are stopped and started again.
    #[serde(default)]
    pub consistency: Consistency,
    /// How long containers may be paused or stopped, such as `5m`. After that they run again, and the
    /// backup of the host has failed. Default: `1h`.
    #[serde(default = "max_downtime")]
    #[schemars(length(max = 7), transform = duration)]
    pub max_downtime: String,
    /// How a backup is checked before it counts. `None`: not at all. `Metadata` (default): every file
    /// of the repository that it needs is there, in its size. `ReadData`: all that was written is
    /// read back, too.
    #[serde(default)]
    pub verify: Verify,
    /// More tags for the snapshots. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128)))]
    pub tags: Vec<String>,
    /// How long after its creation hosts may begin, such as `30m`. A host that is offline or waits for
    /// its turn until then is missed. Default: `1h`.
    #[serde(default = "starting_deadline")]
    #[schemars(length(max = 7), transform = duration)]
    pub starting_deadline: String,
    /// How long the backup of a host may take, such as `6h`. After that it has failed. Default: `24h`.
    #[serde(default = "timeout")]
    #[schemars(length(max = 7), transform = duration)]
    pub timeout: String,
}

/// The defaults of the schema.
impl Default for VolumeBackupSpec {
    fn default() -> Self {
        Self {
            host_selector: None,
            host_names: Vec::new(),
            volume_name: String::new(),
            repository: String::new(),
            consistency: Consistency::default(),
            max_downtime: max_downtime(),
            verify: Verify::default(),
            tags: Vec::new(),
            starting_deadline: starting_deadline(),
            timeout: timeout(),
        }
    }
}

impl VolumeBackupSpec {
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

fn starting_deadline() -> String {
    STARTING_DEADLINE.to_owned()
}

fn max_downtime() -> String {
    MAX_DOWNTIME.to_owned()
}

fn timeout() -> String {
    TIMEOUT.to_owned()
}

/// What happens to the running containers that use a volume, while it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Consistency {
    /// They go on running.
    #[default]
    None,
    /// They are paused.
    Pause,
    /// They are stopped, and started again.
    Stop,
}

/// How a backup is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verify {
    /// Not at all.
    None,
    /// Everything that it needs is in the store, in its size.
    #[default]
    Metadata,
    /// What was written is read back, too.
    ReadData,
}

#[cfg(test)]
mod tests {
    use super::VolumeBackupSpec;

    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let least: VolumeBackupSpec =
            serde_json::from_str(r#"{"volumeName":"","repository":""}"#).unwrap();
        assert_eq!(VolumeBackupSpec::default(), least);
    }
}
