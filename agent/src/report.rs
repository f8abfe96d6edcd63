//! Writes the reports of an agent to the API server, independent of its other work: a slow or unreachable
//! server blocks nothing on the host.

mod limit;
mod older_crd;

use std::fmt::Debug;
use std::sync::Arc;

use dockfleet_crds::assignment::HostAssignmentStatus;
use dockfleet_crds::condition::{CLEAN, REACHABLE, STALLED};
use dockfleet_crds::host::DockerHostStatus;
use dockfleet_crds::{DockerHost, EntryStatus, GROUP, HostAssignment, VERSION};
use dockfleet_vitals::{CALL_TIMEOUT, chain};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) use self::limit::limited;
use crate::effect::{Effect, Effects};
use crate::host::DockerHostReport;
use crate::metrics::AgentMetrics;
use crate::retry::Backoff;

/// The field manager of an agent.
const FIELD_MANAGER: &str = "dockfleet-agent";

/// The conditions of a DockerHost that the controller writes. The agent does not compare them with its own.
const OF_THE_CONTROLLER: [&str; 3] = [REACHABLE, CLEAN, STALLED];

/// How often a status is adapted to an older CRD: an API server first reports unknown fields, and only then
/// unknown values.
const FITS: usize = 3;

/// The report of an agent.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) host: DockerHostReport,
    /// `None` before the first assignment.
    pub(crate) assignment: Option<AssignmentReport>,
}

/// The report on an assignment.
#[derive(Debug, PartialEq)]
pub(crate) struct AssignmentReport {
    /// UID of the HostAssignment, so that another one of the same name is not changed.
    pub(crate) uid: String,
    pub(crate) generation: i64,
    pub(crate) entries: Vec<EntryStatus>,
}

/// The error of a call to the API server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the API server did not answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout,
    #[error("the API server refused")]
    Api(#[source] Box<kube::Error>),
}

/// Writes one status. Each writer has its own task, so that a refused status does not delay the other.
pub(crate) trait Writer: Send + 'static {
    /// Writes the report on its object, if the status differs from the present one.
    fn write(&mut self, report: &Report) -> impl Future<Output = Result<(), ApiError>> + Send;
}

/// Writes the newest report, and retries until it is written or there is a newer one. When the channel is
/// closed, the last report is tried once more if it is not written yet.
pub(crate) async fn keep_writing(
    mut writer: impl Writer,
    mut reports: watch::Receiver<Option<Arc<Report>>>,
    metrics: AgentMetrics,
) {
    let mut backoff = Backoff::default();
    let mut open = true;
    let mut failing = false;
    while open {
        open = reports.changed().await.is_ok();
        loop {
            let Some(report) = reports.borrow_and_update().clone() else {
                break;
            };
            match writer.write(&report).await {
                Ok(()) => {
                    if failing {
                        tracing::info!("reports reach the API server again");
                    }
                    failing = false;
                    backoff.reset();
                    break;
                }
                Err(err) if failing => {
                    metrics.report_failed();
                    tracing::debug!(error = %chain(&err), "report failed again");
                }
                Err(err) => {
                    metrics.report_failed();
                    failing = true;
                    tracing::warn!(error = %chain(&err), "report failed; retrying");
                }
            }
            if !open {
                break;
            }
            let closed = async { while reports.changed().await.is_ok() {} };
            if tokio::time::timeout(backoff.next(), closed).await.is_ok() {
                open = false;
            }
        }
    }
}

/// Writes the status of the DockerHost.
pub(crate) struct HostWriter {
    hosts: Api<DockerHost>,
    name: String,
    effects: Effects,
    /// The status as it was last read or written.
    last: Option<DockerHostStatus>,
}

impl HostWriter {
    pub(crate) fn new(client: Client, namespace: &str, name: String, effects: Effects) -> Self {
        Self {
            hosts: Api::namespaced(client, namespace),
            name,
            effects,
            last: None,
        }
    }
}

impl Writer for HostWriter {
    async fn write(&mut self, report: &Report) -> Result<(), ApiError> {
        let before = if let Some(status) = self.last.take() {
            status
        } else {
            let found = call(self.hosts.get(&self.name)).await?;
            let mut status = found.status.unwrap_or_default();
            // They stay, whatever the agent writes.
            let is_own = |c: &Condition| !OF_THE_CONTROLLER.contains(&c.type_.as_str());
            status.conditions.retain(is_own);
            status
        };
        let now = Time(jiff::Timestamp::now());
        let status = report.host.status(&before, &now);
        if status == before {
            self.last = Some(status);
            return Ok(());
        }
        let target = Target {
            api: &self.hosts,
            name: &self.name,
            kind: "DockerHost",
            metadata: json!({"name": self.name}),
        };
        target.apply(&status).await?;
        self.effects.happened(Effect::ApiWrite);
        self.last = Some(status);
        Ok(())
    }
}

/// Writes the status of the HostAssignment.
pub(crate) struct AssignmentWriter {
    assignments: Api<HostAssignment>,
    name: String,
    effects: Effects,
    /// The status as it was last read or written, with the UID of its assignment.
    last: Option<(String, HostAssignmentStatus)>,
}

impl AssignmentWriter {
    pub(crate) fn new(client: Client, namespace: &str, name: String, effects: Effects) -> Self {
        Self {
            assignments: Api::namespaced(client, namespace),
            name,
            effects,
            last: None,
        }
    }
}

impl Writer for AssignmentWriter {
    async fn write(&mut self, report: &Report) -> Result<(), ApiError> {
        let Some(report) = &report.assignment else {
            return Ok(());
        };
        let before = match self.last.take() {
            Some((uid, status)) if uid == report.uid => status,
            _ => {
                let found = call(self.assignments.get(&self.name)).await?;
                found.status.unwrap_or_default()
            }
        };
        let unchanged = before.observed_generation == Some(report.generation)
            && before.entries == report.entries;
        let status = if unchanged {
            before
        } else {
            let status = HostAssignmentStatus {
                observed_generation: Some(report.generation),
                entries: report.entries.clone(),
            };
            let target = Target {
                api: &self.assignments,
                name: &self.name,
                kind: "HostAssignment",
                metadata: json!({"name": self.name, "uid": report.uid}),
            };
            target.apply(&status).await?;
            self.effects.happened(Effect::ApiWrite);
            status
        };
        self.last = Some((report.uid.clone(), status));
        Ok(())
    }
}

/// The applied object, with the fields that the agent owns.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Applied<'a, S> {
    api_version: String,
    kind: &'static str,
    metadata: &'a Value,
    status: &'a S,
}

/// The object whose status is applied.
struct Target<'a, K> {
    api: &'a Api<K>,
    name: &'a str,
    kind: &'static str,
    metadata: Value,
}

impl<K: Clone + DeserializeOwned + Debug> Target<'_, K> {
    /// Applies a status; if the CRD of the API server is older, without the fields and values that it does
    /// not have.
    async fn apply(&self, status: &(impl Serialize + Debug)) -> Result<(), ApiError> {
        let mut refusal = match self.apply_once(status).await {
            Err(ApiError::Api(err)) => err,
            other => return other,
        };
        let Ok(mut fitted) = serde_json::to_value(status) else {
            return Err(ApiError::Api(refusal));
        };
        for _ in 0..FITS {
            let kube::Error::Api(answer) = refusal.as_ref() else {
                break;
            };
            if !older_crd::fit(&mut fitted, answer) {
                break;
            }
            tracing::warn!(
                kind = self.kind,
                error = answer.message,
                "the CRD is older than this agent; fields and values that it does not have are left out; apply the newer CRDs"
            );
            refusal = match self.apply_once(&fitted).await {
                Err(ApiError::Api(err)) => err,
                other => return other,
            };
        }
        Err(ApiError::Api(refusal))
    }

    async fn apply_once(&self, status: &(impl Serialize + Debug)) -> Result<(), ApiError> {
        let patch = Patch::Apply(Applied {
            api_version: format!("{GROUP}/{VERSION}"),
            kind: self.kind,
            metadata: &self.metadata,
            status,
        });
        // No other client should write these fields.
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patched = call(self.api.patch_status(self.name, &params, &patch)).await;
        patched.map(drop)
    }
}

/// Waits for a call with a timeout.
pub(crate) async fn call<T>(answer: impl Future<Output = kube::Result<T>>) -> Result<T, ApiError> {
    match tokio::time::timeout(CALL_TIMEOUT, answer).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(err)) => Err(ApiError::Api(Box::new(err))),
        Err(_) => Err(ApiError::Timeout),
    }
}
