//! Calls for one host's heartbeat: they create or read its Lease, and write its conditions.

use dockfleet_crds::condition::{CLEAN, REACHABLE, STALLED};
use dockfleet_crds::{DockerHost, GROUP, VERSION};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PostParams};
use kube::{Api, Resource as _};
use serde_json::json;
use tracing::{info, warn};

use super::{JobContext, JobResult, Learned, apply, in_time};
use crate::error::CallError;
use crate::index::HeartbeatWork;
use crate::lanes::LaneKey;
use crate::notice::Notice;
use crate::object::Name;

/// Does the work on a host's Lease and conditions.
pub(crate) async fn work_on_heartbeat(
    ctx: JobContext,
    host: Name,
    work: HeartbeatWork,
) -> JobResult {
    let (learned, failed) = match call(&ctx, &host, work).await {
        Ok(learned) => (vec![learned], None),
        Err(err) => (Vec::new(), Some(err)),
    };
    JobResult {
        key: LaneKey::Heartbeat(host),
        learned,
        failed,
    }
}

async fn call(ctx: &JobContext, host: &Name, work: HeartbeatWork) -> Result<Learned, CallError> {
    let leases: Api<Lease> = Api::namespaced(ctx.client.clone(), &host.namespace);
    let lease = match work {
        HeartbeatWork::CreateLease(lease) => {
            let made = in_time(leases.create(&PostParams::default(), &lease)).await?;
            Some(made)
        }
        HeartbeatWork::ReadLease => in_time(leases.get_opt(&host.name)).await?,
        HeartbeatWork::Write(before, conditions) => {
            let host = write(ctx, host, *before, &conditions).await?;
            return Ok(Learned::Host(Box::new(host)));
        }
    };
    Ok(Learned::Lease {
        host: host.clone(),
        lease: lease.map(Box::new),
    })
}

async fn write(
    ctx: &JobContext,
    name: &Name,
    before: DockerHost,
    conditions: &[Condition],
) -> Result<DockerHost, CallError> {
    let hosts: Api<DockerHost> = Api::namespaced(ctx.client.clone(), &name.namespace);
    // The UID protects a host that was created again, the version protects later writes, such as
    // those of another controller.
    let patch = Patch::Apply(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": DockerHost::kind(&()),
        "metadata": {
            "name": name.name,
            "uid": before.metadata.uid,
            "resourceVersion": before.metadata.resource_version,
        },
        "status": { "conditions": conditions },
    }));
    let written = in_time(hosts.patch_status(&name.name, &apply(), &patch)).await?;
    for condition in conditions.iter().filter(|c| is_news(&before, c)) {
        let reason = &condition.reason;
        match condition.type_.as_str() {
            REACHABLE => info!(reachable = condition.status, reason, "reachability changed"),
            STALLED => warn!(reason, message = condition.message, "nothing is changed"),
            _ => info!(reason, "the host is not clean yet"),
        }
        ctx.events
            .publish_for(&before.object_ref(&()), notice(&before, condition));
    }
    Ok(written)
}

fn condition_of<'a>(host: &'a DockerHost, type_: &str) -> Option<&'a Condition> {
    let mut conditions = host.status.iter().flat_map(|s| &s.conditions);
    conditions.find(|c| c.type_ == type_)
}

/// Whether a condition has another reason than before.
fn is_news(before: &DockerHost, condition: &Condition) -> bool {
    condition_of(before, &condition.type_).is_none_or(|c| c.reason != condition.reason)
}

/// Returns the event for a changed condition: the host is offline, is back, cannot be cleaned, or
/// is stalled.
fn notice(before: &DockerHost, condition: &Condition) -> Option<Notice> {
    let was = condition_of(before, &condition.type_);
    match condition.status.as_str() {
        "True" if condition.type_ == STALLED => {
            Some(Notice::warning(&condition.reason, &*condition.message))
        }
        "False" if condition.type_ == CLEAN && condition.reason == "Cleaning" => None,
        "False" => Some(Notice::warning(&condition.reason, &*condition.message)),
        "True" if was.is_some_and(|c| c.status == "False") => {
            Some(Notice::normal(&condition.reason, &*condition.message))
        }
        _ => None,
    }
}
