//! Schedules: everything about a VolumeBackupSchedule in the planner.
//!
//! It selects no host. It makes VolumeBackups, which do.

mod state;
mod times;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::backup::ScheduleState;
use dockfleet_crds::policy::{DeletionPolicy, ReadyPolicy};
use dockfleet_crds::{DockerHost, FieldDiff, ResourceStatus, VolumeBackupSchedule};
use serde_json::{Map, Value};

use super::nothing::{DesiredNothing, NoObject};
use super::{ObjectKind, Work};
use crate::credentials::Credentials;
use crate::desired::fields;
use crate::render::RenderError;
use crate::resource::{CommonSpec, OwnStatus, StatusContext};

/// The object of a VolumeBackupSchedule on a host: there is none.
pub type NoSchedule = NoObject<{ Kind::VolumeBackupSchedule as usize }>;

impl ObjectKind for VolumeBackupSchedule {
    const KIND: Kind = Kind::VolumeBackupSchedule;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    const IS_FOR_OWN_NAMESPACE: bool = true;
    const IS_OBSERVED_ALWAYS: bool = false;
    const WORK: Work = Work::Nothing;
    const NEEDS_CLUSTER: Option<&'static str> =
        Some("without Kubernetes, call `dockfleet backup` by cron or a systemd timer");
    const DELETION_NOTE: &'static str =
        "no more backups are made; its VolumeBackups are deleted, and their snapshots stay";

    type Desired = DesiredNothing<{ Kind::VolumeBackupSchedule as usize }>;
    type Observed = NoSchedule;
    type Change = NoSchedule;

    fn common_spec(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: None,
            host_names: &[],
            object_name: None,
            ready_policy: ReadyPolicy::default(),
            policies: self.spec.policies(),
            credentials_secret: None,
        }
    }

    fn common_status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref().map(|s| &s.resource)
    }

    fn own_status(&self) -> Map<String, Value> {
        fields(&of(self).cloned().unwrap_or_default())
    }

    fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus {
        state::status(self, context)
    }

    fn render(&self, _: &DockerHost, _: Option<&str>) -> Result<Self::Desired, RenderError> {
        Ok(DesiredNothing::default())
    }

    fn never_replaced(_: &Self::Desired, have: &NoSchedule) -> Option<&'static str> {
        match *have {}
    }

    fn diff(_: &Self::Desired, have: &NoSchedule, _: Option<&Credentials>) -> Vec<FieldDiff> {
        match *have {}
    }
}

fn of(schedule: &VolumeBackupSchedule) -> Option<&ScheduleState> {
    schedule.status.as_ref().map(|s| &s.runs)
}
