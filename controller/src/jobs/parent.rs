//! Calls about one resource: its finalizer, its lifecycle, its status.

use std::fmt::Debug;

use dockfleet_crds::VolumeBackup;
use dockfleet_planner::resource::Makes;
use kube::api::{DeleteParams, Patch, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::{debug, info};

use super::{JobContext, JobResult, Learned, apply, finalizer, in_time, lifecycle};
use crate::error::CallError;
use crate::index::{ParentStep, ParentWork, WrittenStatus};
use crate::kinds;
use crate::lanes::LaneKey;
use crate::parent::{FINALIZER, Parent};

/// How a resource is written.
pub(crate) enum ParentWrite {
    /// Its finalizer, by a JSON patch that applies only to the known version.
    Finalizer(Value),
    /// Its status, by a server-side apply.
    Status(Value),
}

/// Does the work on a resource.
pub(crate) async fn work_on_parent(ctx: JobContext, work: ParentWork) -> JobResult {
    let ParentWork { mut parent, steps } = work;
    let key = LaneKey::Parent(parent.uid().to_owned());
    let mut learned = Vec::new();
    let mut failed = None;
    for step in steps {
        let asked_with = parent.metadata().resource_version.clone();
        match work_on_step(&ctx, &parent, step).await {
            Ok(answer) => {
                if let Answer::Written(written) = &answer {
                    parent = written.clone();
                }
                learned.extend(answer.learned(&parent, asked_with));
            }
            // It was deleted; the watch will report it.
            Err(err) if err.is_not_found() => debug!("gone before it was written"),
            Err(err) => failed = Some(err),
        }
    }
    JobResult {
        key,
        learned,
        failed,
    }
}

/// The result of one step.
enum Answer {
    Written(Parent),
    Lifecycle(dockfleet_planner::assignment::Lifecycle),
    /// Another resource was made, or was there already.
    Made(Option<Parent>),
}

impl Answer {
    fn learned(self, parent: &Parent, asked_with: Option<String>) -> Option<Learned> {
        Some(match self {
            Self::Written(parent) => Learned::Parent { asked_with, parent },
            Self::Lifecycle(lifecycle) => Learned::Lifecycle {
                uid: parent.uid().to_owned(),
                lifecycle,
            },
            Self::Made(made) => Learned::Parent {
                asked_with: None,
                parent: made?,
            },
        })
    }
}

async fn work_on_step(
    ctx: &JobContext,
    parent: &Parent,
    step: ParentStep,
) -> Result<Answer, CallError> {
    match step {
        ParentStep::DecideLifecycle => {
            let (lifecycle, notice) = lifecycle::decide(ctx, parent).await?;
            info!(?lifecycle, "deletion begins");
            ctx.events.publish(parent, [notice]);
            Ok(Answer::Lifecycle(lifecycle))
        }
        ParentStep::AddFinalizer => {
            let patch = finalizer::added(parent.metadata(), FINALIZER);
            write(&ctx.client, parent, ParentWrite::Finalizer(patch)).await
        }
        ParentStep::RemoveFinalizer => {
            let patch = finalizer::removed(parent.metadata(), FINALIZER);
            let answer = write(&ctx.client, parent, ParentWrite::Finalizer(patch)).await?;
            info!("finalizer removed");
            Ok(answer)
        }
        ParentStep::Make(makes) => make(ctx, parent, makes).await,
        ParentStep::WriteStatus(status, notices) => {
            let answer = write(
                &ctx.client,
                parent,
                ParentWrite::Status(status_object(parent, &status)),
            )
            .await?;
            ctx.events.publish(parent, notices);
            Ok(answer)
        }
    }
}

/// Makes or deletes a VolumeBackup. What exists already is what an earlier call has made.
async fn make(ctx: &JobContext, parent: &Parent, makes: Makes) -> Result<Answer, CallError> {
    let api: Api<VolumeBackup> = Api::namespaced(ctx.client.clone(), parent.namespace());
    match makes {
        Makes::Create(backup) => match in_time(api.create(&PostParams::default(), &backup)).await {
            Ok(made) => {
                info!(name = made.metadata.name, "made");
                Ok(Answer::Made(Some(kinds::parent(made))))
            }
            Err(err) if err.is_conflict() => Ok(Answer::Made(None)),
            Err(err) => Err(err),
        },
        Makes::Delete(name) => {
            in_time(api.delete(&name, &DeleteParams::default())).await?;
            info!(name, "deleted: it is over the limit of the history");
            Ok(Answer::Made(None))
        }
    }
}

/// Returns the object to apply to the status. The UID protects a resource that was created again,
/// the version protects later writes, such as those of another controller.
fn status_object(parent: &Parent, status: &WrittenStatus) -> Value {
    let resource = &**parent;
    json!({
        "apiVersion": format!("{}/{}", dockfleet_crds::GROUP, dockfleet_crds::VERSION),
        "kind": resource.kind().as_str(),
        "metadata": {
            "namespace": resource.namespace(),
            "name": resource.name(),
            "uid": resource.uid(),
            "resourceVersion": resource.metadata().resource_version,
        },
        "status": status,
    })
}

async fn write(client: &Client, parent: &Parent, write: ParentWrite) -> Result<Answer, CallError> {
    let written = kinds::write(client, &**parent, write).await?;
    Ok(Answer::Written(written))
}

/// Writes to a resource of a kind.
pub(crate) async fn write_as<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    write: ParentWrite,
) -> Result<K, CallError>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    match write {
        ParentWrite::Finalizer(patch) => finalizer::write(&api, name, patch).await,
        ParentWrite::Status(object) => {
            in_time(api.patch_status(name, &apply(), &Patch::Apply(object))).await
        }
    }
}
