//! Calls for one host: its assignment is written or read, and its finalizer is added or removed.

use dockfleet_crds::{DockerHost, HostAssignment};
use kube::api::{DeleteParams, Patch, PostParams, Preconditions};
use kube::{Api, Resource as _};
use serde_json::Value;
use tracing::{debug, info, warn};

use super::{JobContext, JobResult, Learned, apply, finalizer, in_time, lifecycle};
use crate::error::CallError;
use crate::index::{CLEAN_FINALIZER, HostCall, HostWork};
use crate::lanes::LaneKey;
use crate::notice::Notice;
use crate::object::Name;

/// Does the work on a host.
pub(crate) async fn work_on_host(ctx: JobContext, host: Name, work: HostWork) -> JobResult {
    let HostWork { call, asked_with } = work;
    let (learned, failed) = match make(&ctx, &host, call, asked_with).await {
        Ok(learned) => (learned.into_iter().collect(), None),
        Err(err) => (Vec::new(), Some(err)),
    };
    JobResult {
        key: LaneKey::Host(host),
        learned,
        failed,
    }
}

async fn make(
    ctx: &JobContext,
    host: &Name,
    call: HostCall,
    asked_with: Option<String>,
) -> Result<Option<Learned>, CallError> {
    let api: Api<HostAssignment> = Api::namespaced(ctx.client.clone(), &host.namespace);
    let learned = match call {
        HostCall::Write(assignment) => {
            let written = in_time(assign(&api, &host.name, &assignment)).await?;
            info!(
                entries = written.spec.entries.len(),
                generation = written.metadata.generation,
                "assigned"
            );
            Learned::AssignmentWritten {
                host: host.clone(),
                asked_with,
                assignment: Box::new(written),
            }
        }
        HostCall::ReadAssignment => {
            let seen = in_time(api.get_opt(&host.name)).await?;
            Learned::AssignmentRead {
                host: host.clone(),
                asked_with,
                assignment: seen.map(Box::new),
            }
        }
        HostCall::DeleteAssignment(uid) => {
            discard(&api, &host.name, uid).await?;
            warn!("the API server has an older assignment than the agent; it is created again");
            Learned::AssignmentRead {
                host: host.clone(),
                asked_with,
                assignment: None,
            }
        }
        HostCall::DecideLifecycle(known) => {
            let (lifecycle, notice) = lifecycle::decide_host(ctx, &known).await?;
            info!(?lifecycle, "the host is being deleted");
            ctx.events.publish_for(&known.object_ref(&()), [notice]);
            Learned::HostLifecycle {
                host: host.clone(),
                uid: known.metadata.uid,
                lifecycle,
            }
        }
        HostCall::AddFinalizer(known) => {
            let patch = finalizer::added(&known.metadata, CLEAN_FINALIZER);
            return write(ctx, host, patch).await;
        }
        HostCall::RemoveFinalizer {
            host: known,
            clean,
            discard: uid,
        } => {
            if let Some(uid) = uid {
                discard(&api, &host.name, uid).await?;
            }
            let patch = finalizer::removed(&known.metadata, CLEAN_FINALIZER);
            let written = write(ctx, host, patch).await?;
            if clean {
                info!("the host is clean; its deletion continues");
                let notice =
                    Notice::normal("Cleaned", "the host has removed or released what it had");
                ctx.events.publish_for(&known.object_ref(&()), [notice]);
            }
            return Ok(written);
        }
    };
    Ok(Some(learned))
}

/// Deletes the assignment with this UID, if it exists.
async fn discard(api: &Api<HostAssignment>, name: &str, uid: String) -> Result<(), CallError> {
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: Some(uid),
        resource_version: None,
    });
    in_time(async {
        match api.delete(name, &params).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    })
    .await
}

async fn write(ctx: &JobContext, host: &Name, patch: Value) -> Result<Option<Learned>, CallError> {
    let api: Api<DockerHost> = Api::namespaced(ctx.client.clone(), &host.namespace);
    match finalizer::write(&api, &host.name, patch).await {
        // It may be deleted with its last finalizer; the watch reports that.
        Ok(written) if written.metadata.deletion_timestamp.is_some() => Ok(None),
        Ok(written) => Ok(Some(Learned::Host(Box::new(written)))),
        // It was deleted; the watch will report it.
        Err(err) if err.is_not_found() => {
            debug!("gone before it was written");
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

/// Writes an assignment. A missing one is first created without entries: an apply without a
/// resource version cannot conflict, so a delayed one could revert later writes. The created fields
/// are not owned by the apply, so only fields that never go away are created.
async fn assign(
    api: &Api<HostAssignment>,
    name: &str,
    assignment: &HostAssignment,
) -> kube::Result<HostAssignment> {
    let params = apply();
    if assignment.metadata.resource_version.is_some() {
        return api.patch(name, &params, &Patch::Apply(assignment)).await;
    }
    let mut whole = assignment.clone();
    let mut empty = HostAssignment::new(name, whole.spec.clone());
    empty.spec.entries.clear();
    let create = PostParams {
        field_manager: params.field_manager.clone(),
        ..PostParams::default()
    };
    let made = api.create(&create, &empty).await?;
    whole.metadata.uid = made.metadata.uid;
    whole.metadata.resource_version = made.metadata.resource_version;
    api.patch(name, &params, &Patch::Apply(&whole)).await
}
