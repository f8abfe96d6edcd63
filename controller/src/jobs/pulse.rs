//! Calls about one host's life: its Lease is made or read, and what it says is written.

use dockfleet_crds::condition::REACHABLE;
use dockfleet_crds::{DockerHost, GROUP, VERSION};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PostParams};
use kube::{Api, Resource as _};
use serde_json::json;
use tracing::info;

use super::{Context, Done, Key, Learned, apply, in_time};
use crate::error::CallError;
use crate::index::PulseWork;
use crate::notice::Notice;
use crate::object::Name;

/// Does what is to be done about a host's Lease.
pub(crate) async fn work_on_pulse(ctx: Context, host: Name, work: PulseWork) -> Done {
    let (learned, failed) = match call(&ctx, &host, work).await {
        Ok(learned) => (vec![learned], None),
        Err(err) => (Vec::new(), Some(err)),
    };
    Done {
        key: Key::Pulse(host),
        learned,
        failed,
    }
}

async fn call(ctx: &Context, host: &Name, work: PulseWork) -> Result<Learned, CallError> {
    let leases: Api<Lease> = Api::namespaced(ctx.client.clone(), &host.namespace);
    let lease = match work {
        PulseWork::MakeLease(lease) => {
            let made = in_time(leases.create(&PostParams::default(), &lease)).await?;
            Some(made)
        }
        PulseWork::ReadLease => in_time(leases.get_opt(&host.name)).await?,
        PulseWork::Write(before, condition) => {
            let host = write(ctx, host, *before, &condition).await?;
            return Ok(Learned::Host(Box::new(host)));
        }
    };
    Ok(Learned::Lease {
        host: host.clone(),
        lease: lease.map(Box::new),
    })
}

async fn write(
    ctx: &Context,
    name: &Name,
    before: DockerHost,
    condition: &Condition,
) -> Result<DockerHost, CallError> {
    let hosts: Api<DockerHost> = Api::namespaced(ctx.client.clone(), &name.namespace);
    // The UID keeps it from a host made anew.
    let patch = Patch::Apply(json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": DockerHost::kind(&()),
        "metadata": { "name": name.name, "uid": before.metadata.uid },
        "status": { "conditions": [condition] },
    }));
    let written = in_time(hosts.patch_status(&name.name, &apply(), &patch)).await?;
    info!(
        reachable = condition.status,
        reason = condition.reason,
        "judged"
    );
    ctx.teller
        .tell_of(&before.object_ref(&()), notice(&before, condition));
    Ok(written)
}

/// Returns what a person is told of: that a host is gone, and that it is back.
fn notice(before: &DockerHost, condition: &Condition) -> Option<Notice> {
    let conditions = before.status.iter().flat_map(|s| &s.conditions);
    let was = conditions.into_iter().find(|c| c.type_ == REACHABLE);
    match condition.status.as_str() {
        "False" => Some(Notice::warning(&condition.reason, &*condition.message)),
        "True" if was.is_some_and(|c| c.status == "False") => {
            Some(Notice::normal(&condition.reason, &*condition.message))
        }
        _ => None,
    }
}
