//! Backups: everything about a VolumeBackup in the planner.
//!
//! It has no object of its own on a host. A host makes its backup once, when the controller has released it: `state`
//! says which hosts may begin, and what all of them have in the end.

mod desired;
mod detail;
pub(super) mod state;

use std::collections::BTreeSet;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::backup::{BackupState, Consistency, CreatePolicy, RecordedRepository};
use dockfleet_crds::policy::{DeletionPolicy, ReadyPolicy};
use dockfleet_crds::{DockerHost, FieldDiff, ResourceStatus, VolumeBackup, duration, quantity};
use serde_json::{Map, Value};

use super::nothing::NoObject;
use super::{ObjectKind, Work, repository};
use crate::credentials::{Credentials, SecretForm};
use crate::desired::{Behaviour, fields};
use crate::plan::DesiredJob;
use crate::render::RenderError;
use crate::resource::{CommonSpec, OwnStatus, RenderedAnew, Resource, StatusContext};

use state::Once;

pub use desired::{DesiredBackup, DesiredRepository};
pub use detail::BackupDetail;

/// The object of a VolumeBackup on a host: there is none.
pub type NoBackup = NoObject<{ Kind::VolumeBackup as usize }>;

impl ObjectKind for VolumeBackup {
    const KIND: Kind = Kind::VolumeBackup;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    // Who may read the data of a host's volumes has the host.
    const IS_FOR_OWN_NAMESPACE: bool = true;
    const IS_OBSERVED_ALWAYS: bool = false;
    const WORK: Work = Work::Backups;
    const SECRET_FORM: SecretForm = SecretForm::Repository;
    const NEEDS_CLUSTER: Option<&'static str> =
        Some("without Kubernetes, use `dockfleet backup` on the host");
    const DELETION_NOTE: &'static str =
        "hosts that still make their backup stop; snapshots stay in the repository";

    type Desired = DesiredBackup;
    type Observed = NoBackup;
    type Change = NoBackup;

    fn common_spec(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: self.spec.host_selector.as_ref(),
            host_names: &self.spec.host_names,
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
        let once = Once {
            recorded: of(self),
            starting_deadline: &self.spec.starting_deadline,
            timeout: &self.spec.timeout,
            repository: &self.spec.repository,
            begins: format!("backup of volume {}", self.spec.volume_name),
            words: state::BACKUP,
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
        rendered_anew(of(before), of(self))
    }

    fn waits_for_record(&self) -> bool {
        recorded(self).is_none()
    }

    fn credentials_on(&self, host: &DockerHost, all: &Credentials) -> Credentials {
        match recorded(self) {
            Some(recorded) if recorded.is_per_host() => {
                let resource: &dyn Resource = self;
                let name = host.metadata.name.as_deref().unwrap_or_default();
                repository::of_host(all, resource.namespace(), name)
            }
            Some(_) | None => all.clone(),
        }
    }

    fn render(
        &self,
        host: &DockerHost,
        credentials: Option<&str>,
    ) -> Result<DesiredBackup, RenderError> {
        let resource: &dyn Resource = self;
        let spec = &self.spec;
        let host = host.metadata.name.as_deref().unwrap_or_default();
        let recorded = recorded(self).ok_or_else(|| RenderError {
            field: "repository",
            value: spec.repository.clone(),
            wanted: "recorded in the status yet",
        })?;
        let seconds = |field, text: &str| {
            duration::seconds(text).ok_or_else(|| RenderError {
                field,
                value: text.to_owned(),
                wanted: "a duration such as 24h",
            })
        };
        Ok(DesiredBackup {
            name: resource.name().to_owned(),
            volume: spec.volume_name.clone(),
            repository: desired_repository(recorded, resource.namespace(), host)?,
            host: in_snapshots(recorded, resource.namespace(), host),
            verify: spec.verify,
            tags: spec.tags.clone(),
            consistency: spec.consistency,
            max_downtime: match spec.consistency {
                Consistency::None => 0,
                Consistency::Pause | Consistency::Stop => {
                    seconds("maxDowntime", &spec.max_downtime)?
                }
            },
            timeout: seconds("timeout", &spec.timeout)?,
            credentials: credentials.map(str::to_owned),
            policy: Behaviour::of(spec.policies(), Self::DEFAULT_DELETION),
            ..DesiredBackup::default()
        })
    }

    fn job(want: &DesiredBackup) -> Option<DesiredJob> {
        Some(DesiredJob::Backup(Box::new(want.clone())))
    }

    fn never_replaced(_: &DesiredBackup, have: &NoBackup) -> Option<&'static str> {
        match *have {}
    }

    fn diff(_: &DesiredBackup, have: &NoBackup, _: Option<&Credentials>) -> Vec<FieldDiff> {
        match *have {}
    }
}

/// Returns where entries must be rendered again because of what is recorded.
pub(super) fn rendered_anew(was: Option<&BackupState>, is: Option<&BackupState>) -> RenderedAnew {
    let repository = |state: Option<&BackupState>| state.and_then(|s| s.repository.clone());
    if was.map(BackupState::is_over) != is.map(BackupState::is_over)
        || repository(was) != repository(is)
    {
        return RenderedAnew::Everywhere;
    }
    let running = |state: Option<&BackupState>| -> BTreeSet<String> {
        state.into_iter().flat_map(|s| s.running.clone()).collect()
    };
    let (was, is) = (running(was), running(is));
    RenderedAnew::On(was.symmetric_difference(&is).cloned().collect())
}

fn of(backup: &VolumeBackup) -> Option<&BackupState> {
    backup.status.as_ref().map(|s| &s.backup)
}

fn recorded(backup: &VolumeBackup) -> Option<&RecordedRepository> {
    of(backup)?.repository.as_ref()
}

/// Returns the name of a host in snapshots. In a repository that hosts of several namespaces may share, it has the
/// namespace, so that nothing of one is taken for the other's.
pub(super) fn in_snapshots(recorded: &RecordedRepository, namespace: &str, host: &str) -> String {
    if recorded.is_per_host() {
        host.to_owned()
    } else {
        format!("{namespace}_{host}")
    }
}

/// Returns the repository as one host uses it.
pub(super) fn desired_repository(
    recorded: &RecordedRepository,
    namespace: &str,
    host: &str,
) -> Result<DesiredRepository, RenderError> {
    let spec = &recorded.spec;
    let bytes = |text: Option<&String>| {
        let bytes = |text: &String| {
            quantity::bytes(text).ok_or_else(|| RenderError {
                field: "bandwidth",
                value: text.clone(),
                wanted: "a size such as 10Mi",
            })
        };
        text.map(bytes).transpose()
    };
    let address = if recorded.is_per_host() {
        // One folder, because some REST servers have no more. No namespace has the character between the two.
        format!("{}/{namespace}_{host}", recorded.address)
    } else {
        recorded.address.clone()
    };
    let bandwidth = spec.bandwidth.clone().unwrap_or_default();
    let ca = |s3: Option<&String>, rest: Option<&String>| s3.or(rest).cloned();
    Ok(DesiredRepository {
        address,
        base: spec.path.as_ref().map(|p| p.folder.clone()),
        allow_same_disk: spec.path.as_ref().is_some_and(|p| p.allow_same_disk),
        region: spec.s3.as_ref().and_then(|s3| s3.region.clone()),
        ca: ca(
            spec.s3.as_ref().and_then(|s3| s3.ca_bundle.as_ref()),
            spec.rest.as_ref().and_then(|rest| rest.ca_bundle.as_ref()),
        ),
        create: spec.create == CreatePolicy::IfMissing,
        upload: bytes(bandwidth.upload.as_ref())?,
        download: bytes(bandwidth.download.as_ref())?,
        retention: spec.retention.clone(),
    })
}
