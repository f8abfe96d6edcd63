//! What the deletion of a resource, or of a host that is to be cleaned, means for hosts.
//!
//! What goes because its namespace or its CRD goes was not deleted by anybody who asked for a change
//! on a host, so that nothing may be removed there. This is asked of the API server and
//! not of a cache, which may not know yet that the namespace goes.

use dockfleet_crds::DockerHost;
use dockfleet_planner::assignment::Lifecycle;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt as _};

use super::{JobContext, in_time};
use crate::error::CallError;
use crate::kinds;
use crate::notice::Notice;
use crate::parent::Parent;

/// Asks what a resource's deletion means for its hosts. That an answer is missing means nothing.
pub(super) async fn decide(
    ctx: &JobContext,
    parent: &Parent,
) -> Result<(Lifecycle, Notice), CallError> {
    let crd = kinds::crd_name(parent.kind());
    let (namespace, kind) = (parent.namespace(), parent.kind().as_str());
    if let Some(why) = swept_away(ctx, namespace, crd, kind).await? {
        let note = format!("{why}: nothing is removed on any host");
        return Ok((Lifecycle::Cascaded, Notice::normal("Retained", note)));
    }
    let note = "hosts are told to let go of it by its deletionPolicy";
    Ok((Lifecycle::Deleted, Notice::normal("Deleting", note)))
}

/// Asks what the deletion of a host that is to be cleaned means for it.
pub(super) async fn decide_host(
    ctx: &JobContext,
    host: &DockerHost,
) -> Result<(Lifecycle, Notice), CallError> {
    let namespace = host.metadata.namespace.as_deref().unwrap_or_default();
    let (crd, kind) = (DockerHost::crd_name(), "DockerHost");
    if let Some(why) = swept_away(ctx, namespace, crd, kind).await? {
        let note = format!("{why}: nothing is removed on the host");
        return Ok((Lifecycle::Cascaded, Notice::normal("Retained", note)));
    }
    let note = "the host is told to let go of what it has, each by its deletionPolicy";
    Ok((Lifecycle::Deleted, Notice::normal("Cleaning", note)))
}

/// Returns what takes an object of a kind with it, if anything does.
async fn swept_away(
    ctx: &JobContext,
    name: &str,
    crd: &str,
    kind: &str,
) -> Result<Option<String>, CallError> {
    let namespaces: Api<Namespace> = Api::all(ctx.client.clone());
    if in_time(namespaces.get_opt(name))
        .await?
        .is_none_or(|ns| is_namespace_going(&ns))
    {
        return Ok(Some(format!("namespace {name} is going away")));
    }
    let crds: Api<CustomResourceDefinition> = Api::all(ctx.client.clone());
    let crd = in_time(crds.get_metadata_opt(crd)).await?;
    if crd.is_none_or(|crd| crd.metadata.deletion_timestamp.is_some()) {
        return Ok(Some(format!("the CRD of kind {kind} is going away")));
    }
    Ok(None)
}

fn is_namespace_going(namespace: &Namespace) -> bool {
    let phase = namespace.status.as_ref().and_then(|s| s.phase.as_deref());
    namespace.metadata.deletion_timestamp.is_some() || phase == Some("Terminating")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_namespace_goes_once_it_says_so_in_either_way() {
        let namespace = |value| serde_json::from_value::<Namespace>(value).unwrap();
        let active = json!({ "metadata": { "name": "a" }, "status": { "phase": "Active" } });
        assert!(!is_namespace_going(&namespace(active)));
        let going = json!({ "metadata": { "name": "a" }, "status": { "phase": "Terminating" } });
        assert!(is_namespace_going(&namespace(going)));
        let marked =
            json!({ "metadata": { "name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z" } });
        assert!(is_namespace_going(&namespace(marked)));
    }
}
