//! Restores: everything about a VolumeRestore in the planner.
//!
//! As a backup, it is done once, by the one host that it names, when the controller has released that.

mod desired;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::backup::{BackupState, RecordedRepository};
use dockfleet_crds::policy::{DeletionPolicy, ReadyPolicy};
use dockfleet_crds::{DockerHost, FieldDiff, ResourceStatus, VolumeRestore, duration};
use serde_json::{Map, Value};

use super::backup::state::{self, Once, Words};
use super::nothing::NoObject;
use super::{ObjectKind, Work, backup, repository};
use crate::credentials::{Credentials, SecretForm};
use crate::desired::{Behaviour, fields};
use crate::plan::DesiredJob;
use crate::render::RenderError;
use crate::resource::{CommonSpec, OwnStatus, RenderedAnew, Resource, StatusContext};

pub use desired::DesiredRestore;

/// The words for a restore.
const RESTORE: Words = Words {
    thing: "restore",
    events: [
        "RestoreStarted",
        "RestoreCompleted",
        "RestorePartiallyFailed",
        "RestoreFailed",
    ],
};

/// The object of a VolumeRestore on a host: there is none.
pub type NoRestore = NoObject<{ Kind::VolumeRestore as usize }>;

impl ObjectKind for VolumeRestore {
    const KIND: Kind = Kind::VolumeRestore;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    const IS_FOR_OWN_NAMESPACE: bool = true;
    const IS_OBSERVED_ALWAYS: bool = false;
    const WORK: Work = Work::Restores;
    const SECRET_FORM: SecretForm = SecretForm::Repository;
    const NEEDS_CLUSTER: Option<&'static str> =
        Some("without Kubernetes, use `dockfleet restore` on the host");
    const DELETION_NOTE: &'static str =
        "a host that still restores stops; what is in the volume stays";

    type Desired = DesiredRestore;
    type Observed = NoRestore;
    type Change = NoRestore;

    fn common_spec(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: None,
            host_names: std::slice::from_ref(&self.spec.host),
            object_name: None,
            ready_policy: ReadyPolicy::Reachable,
            policies: self.spec.policies(),
            credentials_secret: recorded(self).map(|r| r.spec.secret.name.as_str()),
        }
    }

    fn common_status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref().map(|s| &s.resource)
    }

    fn own_status(&self) -> Map<String, Value> {
        fields(&of(self).cloned().unwrap_or_default())
    }

    fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus {
        let spec = &self.spec;
        let once = Once {
            recorded: of(self),
            starting_deadline: &spec.starting_deadline,
            timeout: &spec.timeout,
            repository: &spec.repository,
            begins: format!("restore of volume {}", target(self)),
            words: RESTORE,
        };
        state::status(&once, context)
    }

    fn repository(&self) -> Option<&str> {
        Some(&self.spec.repository)
    }

    fn is_over(&self) -> bool {
        of(self).is_some_and(BackupState::is_over)
    }

    fn is_released_on(&self, host: &DockerHost) -> bool {
        let name = host.metadata.name.as_deref().unwrap_or_default();
        of(self).is_some_and(|state| state.running.iter().any(|running| running == name))
    }

    fn rendered_anew(&self, before: &Self) -> RenderedAnew {
        backup::rendered_anew(of(before), of(self))
    }

    fn waits_for_record(&self) -> bool {
        recorded(self).is_none()
    }

    /// The host gets the password of the repository that it reads: for this one restore, that of another host.
    fn credentials_on(&self, _: &DockerHost, all: &Credentials) -> Credentials {
        match recorded(self) {
            Some(recorded) if recorded.is_per_host() => {
                let resource: &dyn Resource = self;
                repository::of_host(all, resource.namespace(), source(self))
            }
            Some(_) | None => all.clone(),
        }
    }

    fn render(
        &self,
        _: &DockerHost,
        credentials: Option<&str>,
    ) -> Result<DesiredRestore, RenderError> {
        let resource: &dyn Resource = self;
        let spec = &self.spec;
        let recorded = recorded(self).ok_or_else(|| RenderError {
            field: "repository",
            value: spec.repository.clone(),
            wanted: "recorded in the status yet",
        })?;
        let timeout = duration::seconds(&spec.timeout).ok_or_else(|| RenderError {
            field: "timeout",
            value: spec.timeout.clone(),
            wanted: "a duration such as 24h",
        })?;
        Ok(DesiredRestore {
            name: resource.name().to_owned(),
            source_host: backup::in_snapshots(recorded, resource.namespace(), source(self)),
            source_volume: spec.volume_name.clone(),
            volume: target(self).to_owned(),
            snapshot: spec.snapshot.clone(),
            repository: backup::desired_repository(recorded, resource.namespace(), source(self))?,
            timeout,
            credentials: credentials.map(str::to_owned),
            policy: Behaviour::of(spec.policies(), Self::DEFAULT_DELETION),
            ..DesiredRestore::default()
        })
    }

    fn job(want: &DesiredRestore) -> Option<DesiredJob> {
        Some(DesiredJob::Restore(Box::new(want.clone())))
    }

    fn never_replaced(_: &DesiredRestore, have: &NoRestore) -> Option<&'static str> {
        match *have {}
    }

    fn diff(_: &DesiredRestore, have: &NoRestore, _: Option<&Credentials>) -> Vec<FieldDiff> {
        match *have {}
    }
}

fn of(restore: &VolumeRestore) -> Option<&BackupState> {
    restore.status.as_ref().map(|s| &s.restore)
}

fn recorded(restore: &VolumeRestore) -> Option<&RecordedRepository> {
    of(restore)?.repository.as_ref()
}

fn source(restore: &VolumeRestore) -> &str {
    let spec = &restore.spec;
    spec.source_host.as_deref().unwrap_or(&spec.host)
}

fn target(restore: &VolumeRestore) -> &str {
    let spec = &restore.spec;
    spec.target_volume.as_deref().unwrap_or(&spec.volume_name)
}
