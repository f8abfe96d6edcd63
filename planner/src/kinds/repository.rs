//! Repositories: everything about a BackupRepository in the planner.
//!
//! It selects no host. Backups record it when they begin, and go to hosts with it.

mod password;

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::backup::{BackupRepositorySpec, RepositoryState};
use dockfleet_crds::condition::ConditionStatus;
use dockfleet_crds::policy::{DeletionPolicy, ReadyPolicy};
use dockfleet_crds::{BackupRepository, DockerHost, FieldDiff, Reason, ResourceStatus};
use serde_json::{Map, Value};

use super::nothing::{DesiredNothing, NoObject};
use super::{ObjectKind, Work};
use crate::credentials::{Credentials, SecretForm};
use crate::desired::fields;
use crate::render::RenderError;
use crate::resource::{CommonSpec, Conclusion, OwnStatus, StatusContext};

pub use password::{PASSWORD_KEY, host_password};

/// The object of a BackupRepository on a host: there is none.
pub type NoRepository = NoObject<{ Kind::BackupRepository as usize }>;

impl ObjectKind for BackupRepository {
    const KIND: Kind = Kind::BackupRepository;
    const DEFAULT_DELETION: DeletionPolicy = DeletionPolicy::Retain;
    const IS_FOR_OWN_NAMESPACE: bool = true;
    const IS_OBSERVED_ALWAYS: bool = false;
    const WORK: Work = Work::Nothing;
    const SECRET_FORM: SecretForm = SecretForm::Repository;
    const NEEDS_CLUSTER: Option<&'static str> =
        Some("without Kubernetes, `dockfleet backup` has the repository in its arguments");
    const DELETION_NOTE: &'static str = "what is stored in it stays";

    type Desired = DesiredNothing<{ Kind::BackupRepository as usize }>;
    type Observed = NoRepository;
    type Change = NoRepository;

    fn common_spec(&self) -> CommonSpec<'_> {
        CommonSpec {
            host_selector: None,
            host_names: &[],
            object_name: None,
            ready_policy: ReadyPolicy::default(),
            policies: self.spec.policies(),
            credentials_secret: Some(&self.spec.secret.name),
        }
    }

    fn common_status(&self) -> Option<&ResourceStatus> {
        self.status.as_ref().map(|s| &s.resource)
    }

    fn own_status(&self) -> Map<String, Value> {
        let status = self.status.as_ref();
        fields(&status.map(|s| s.usage.clone()).unwrap_or_default())
    }

    fn next_own_status(&self, context: &StatusContext<'_>) -> OwnStatus {
        let before = self
            .status
            .as_ref()
            .and_then(|s| s.usage.last_successful_time.as_deref());
        let last = context.usage.last_success.as_deref().max(before);
        let usage = RepositoryState {
            address: Some(address(&self.spec)),
            running: i32::try_from(context.usage.running).unwrap_or(i32::MAX),
            last_successful_time: last.map(str::to_owned),
        };
        let conclusion = match &context.unusable_secret {
            None => Conclusion {
                ready: ConditionStatus::True,
                reason: "Ready".to_owned(),
                message: String::new(),
            },
            Some(why) => Conclusion {
                ready: ConditionStatus::False,
                reason: Reason::CredentialsMissing.as_str().to_owned(),
                message: why.clone(),
            },
        };
        OwnStatus {
            fields: fields(&usage),
            conclusion: Some(conclusion),
            ..OwnStatus::default()
        }
    }

    fn render(&self, _: &DockerHost, _: Option<&str>) -> Result<Self::Desired, RenderError> {
        Ok(DesiredNothing::default())
    }

    fn never_replaced(_: &Self::Desired, have: &NoRepository) -> Option<&'static str> {
        match *have {}
    }

    fn diff(_: &Self::Desired, have: &NoRepository, _: Option<&Credentials>) -> Vec<FieldDiff> {
        match *have {}
    }
}

/// Returns the address of a repository as restic writes it. It has no secrets.
pub(crate) fn address(spec: &BackupRepositorySpec) -> String {
    let BackupRepositorySpec { path, s3, rest, .. } = spec;
    match (path, s3, rest) {
        (Some(path), _, _) => path.folder.trim_end_matches('/').to_owned(),
        (_, Some(s3), _) => {
            let prefix = s3.prefix.as_ref().map(|p| format!("/{p}"));
            format!(
                "s3:{}/{}{}",
                s3.endpoint,
                s3.bucket,
                prefix.unwrap_or_default()
            )
        }
        (_, _, Some(rest)) => format!("rest:{}", rest.url.trim_end_matches('/')),
        (None, None, None) => String::new(),
    }
}

/// Returns the credentials that one host gets.
pub(crate) fn of_host(all: &Credentials, namespace: &str, host: &str) -> Credentials {
    let mut values: BTreeMap<String, String> = all.values().clone();
    if let Some(password) = values.get_mut(PASSWORD_KEY) {
        *password = host_password(password, namespace, host);
    }
    Credentials::of_values(values)
}
