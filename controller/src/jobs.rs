//! The API calls that the index asks for, and their results.
//!
//! A job has everything it needs and decides nothing. Every call has a timeout.

mod credentials;
mod finalizer;
mod heartbeat;
mod host;
mod lifecycle;
mod parent;
mod secret;

use std::collections::BTreeMap;
use std::time::Duration;

use dockfleet_crds::{DockerHost, HostAssignment};
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_vitals::CALL_TIMEOUT;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Client, api::PatchParams};

use crate::FIELD_MANAGER;
use crate::error::CallError;
use crate::event_publisher::EventPublisher;
use crate::index::{SecretReading, Uid};
use crate::lanes::LaneKey;
use crate::notice::Notice;
use crate::object::Name;
use crate::parent::Parent;

/// What all jobs share.
#[derive(Clone)]
pub(crate) struct JobContext {
    client: Client,
    events: EventPublisher,
}

/// The result of a job.
#[derive(Debug)]
pub(crate) struct JobResult {
    /// The processed key.
    pub(crate) key: LaneKey,
    /// The responses of the API server, in order.
    pub(crate) learned: Vec<Learned>,
    /// The error, if any.
    pub(crate) failed: Option<CallError>,
}

/// A response of the API server.
#[derive(Debug)]
pub(crate) enum Learned {
    /// An assignment was written.
    AssignmentWritten {
        host: Name,
        asked_with: Option<String>,
        assignment: Box<HostAssignment>,
    },
    /// An assignment was read; it may not exist.
    AssignmentRead {
        host: Name,
        asked_with: Option<String>,
        assignment: Option<Box<HostAssignment>>,
    },
    /// Credentials were written: the versions that the Secret of a host has now.
    SecretSynced {
        host: Name,
        had: BTreeMap<Uid, String>,
    },
    /// A Secret that resources name was read, or cannot be read.
    Secret { name: Name, reading: SecretReading },
    /// A resource was written.
    Parent {
        asked_with: Option<String>,
        parent: Parent,
    },
    /// A Lease was created or read; it may not exist.
    Lease {
        host: Name,
        lease: Option<Box<Lease>>,
    },
    /// A host was written: its status, or its finalizers.
    Host(Box<DockerHost>),
    /// What the deletion of the host with this UID means for it was decided.
    HostLifecycle {
        host: Name,
        uid: Option<String>,
        lifecycle: Lifecycle,
    },
    /// What the deletion of a resource means for hosts was decided.
    Lifecycle { uid: Uid, lifecycle: Lifecycle },
}

impl JobContext {
    /// Creates the context of all jobs.
    pub(crate) fn new(client: Client, events: EventPublisher) -> Self {
        Self { client, events }
    }
}

impl JobContext {
    /// Publishes events about an object.
    pub(crate) fn publish(&self, object: &ObjectReference, notices: Vec<Notice>) {
        self.events.publish_for(object, notices);
    }
}

/// Returns the parameters of a server-side apply.
fn apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// Runs a call with the default timeout.
pub(crate) async fn in_time<T>(
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    in_time_of(CALL_TIMEOUT, call).await
}

/// Runs a call with a timeout.
pub(crate) async fn in_time_of<T>(
    limit: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(CallError::from),
        Err(_) => Err(CallError::Timeout(limit)),
    }
}

pub(crate) use credentials::sync_secret;
pub(crate) use heartbeat::work_on_heartbeat;
pub(crate) use host::work_on_host;
pub(crate) use parent::{ParentWrite, work_on_parent, write_as};
pub(crate) use secret::read_secret;
