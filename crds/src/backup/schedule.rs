//! VolumeBackupSchedule: backups that are made again and again.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;
use super::volume_backup::VolumeBackupSpec;
use crate::policy::{AdoptionPolicy, DeletionPolicy, DriftPolicy, ManagementPolicy, Policies};
use crate::schema::{duration, unobserved};
use crate::status::ResourceStatus;

/// The label of a VolumeBackup with the name of the schedule that made it.
pub const SCHEDULE_LABEL: &str = "dockfleet.io/schedule";

/// The annotation of a VolumeBackup with the time for which a schedule made it.
pub const SCHEDULED_AT: &str = "dockfleet.io/scheduled-at";

/// The annotation of a VolumeBackup with the value of `runNow` for which a schedule made it.
pub const RUN_NOW: &str = "dockfleet.io/run-now";

/// The time zone of a schedule that sets none.
const UTC: &str = "Etc/UTC";

/// How late a run may begin if a schedule does not say it.
const STARTING_DEADLINE: &str = "6h";

/// Spec of a VolumeBackupSchedule.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "VolumeBackupSchedule",
    namespaced,
    status = "VolumeBackupScheduleStatus",
    shortname = "dschedule",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "Backups of a volume that are made again and again. It is in the namespace of its hosts.",
    printcolumn(name = "Schedule", type_ = "string", json_path = ".spec.schedule"),
    printcolumn(name = "Time zone", type_ = "string", json_path = ".spec.timeZone"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Active", type_ = "string", json_path = ".status.active"),
    printcolumn(
        name = "Last success",
        type_ = "date",
        json_path = ".status.lastSuccessfulTime"
    ),
    printcolumn(name = "Last phase", type_ = "string", json_path = ".status.lastPhase"),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextScheduleTime"
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
#[schemars(transform = rules::schedule)]
pub struct VolumeBackupScheduleSpec {
    /// When a backup is made, in the form of cron: minute, hour, day of the month, month, day of the
    /// week, such as `0 2 * * *`; or `@hourly`, `@daily`, `@weekly`, `@monthly`. Where clocks go
    /// forward over a time, the backup is made after that; where they go back, it is made once.
    #[schemars(length(min = 1, max = 128))]
    pub schedule: String,
    /// Time zone of `schedule`, such as `Europe/Berlin`. Default: `Etc/UTC`.
    #[serde(default = "utc")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: String,
    /// The longest delay of a backup after its time, such as `30m`. Each schedule has a delay of its
    /// own, always the same, so that many schedules with one time do not begin together. Default:
    /// `0s`.
    #[serde(default = "none")]
    #[schemars(length(max = 7), transform = duration)]
    pub spread: String,
    /// How late a backup may begin, because the controller did not run or the backup before was not
    /// done, such as `12h`. One later than that is not made. Of several that are late, one is made.
    /// Default: `6h`.
    #[serde(default = "starting_deadline")]
    #[schemars(length(max = 7), transform = duration)]
    pub starting_deadline: String,
    /// If true, no backup is made. Those that were due meanwhile are not made later. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// Any text, such as a date. If it changes, a backup is made now. `status.lastRunNow` has the last
    /// one for which that was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub run_now: Option<String>,
    /// How many VolumeBackups in which nothing is missing are kept, beside the last. Their snapshots
    /// are a matter of the repository. 1 to 100. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub successful_history_limit: i32,
    /// How many other VolumeBackups that have ended are kept. 1 to 100. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub failed_history_limit: i32,
    /// The spec of the VolumeBackups.
    pub template: VolumeBackupSpec,
}

/// The defaults of the schema.
impl Default for VolumeBackupScheduleSpec {
    fn default() -> Self {
        Self {
            schedule: String::new(),
            time_zone: utc(),
            spread: none(),
            starting_deadline: starting_deadline(),
            suspend: false,
            run_now: None,
            successful_history_limit: three(),
            failed_history_limit: three(),
            template: VolumeBackupSpec::default(),
        }
    }
}

impl VolumeBackupScheduleSpec {
    /// Returns the policies in the form that planner and agent read. It has no object on a host.
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

fn utc() -> String {
    UTC.to_owned()
}

fn none() -> String {
    "0s".to_owned()
}

fn starting_deadline() -> String {
    STARTING_DEADLINE.to_owned()
}

fn three() -> i32 {
    3
}

/// Status of a VolumeBackupSchedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct VolumeBackupScheduleStatus {
    /// What every resource's status has.
    #[serde(flatten)]
    pub resource: ResourceStatus,
    /// What was made, and what is next.
    #[serde(flatten)]
    pub runs: ScheduleState,
}

/// What a schedule has made, and what is next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleState {
    /// When the controller first saw it, by its own clock. Times before that are none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_time: Option<String>,
    /// The last time of the schedule for which a backup was made, or was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<String>,
    /// The next time of the schedule, with its delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<String>,
    /// The VolumeBackup that is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// When a VolumeBackup last ended in which nothing is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<String>,
    /// The phase of the VolumeBackup that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_phase: Option<String>,
    /// The last value of `runNow` for which a backup was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_now: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::VolumeBackupScheduleSpec;

    #[test]
    fn the_defaults_are_those_of_the_schema() {
        let least: VolumeBackupScheduleSpec =
            serde_json::from_str(r#"{"schedule":"","template":{"volumeName":"","repository":""}}"#)
                .unwrap();
        assert_eq!(VolumeBackupScheduleSpec::default(), least);
    }
}
