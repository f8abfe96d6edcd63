//! What the deletion of a resource, or of a host with `removal: Clean`, means for hosts.
//!
//! If an object is deleted because its namespace or CRD is deleted, nobody asked for a change on a
//! host, so nothing may be removed there. This reads from the API server and not from a cache,
//! which may not know yet that the namespace is being deleted.

use dockfleet_crds::DockerHost;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::kinds::deletion_note;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt as _};

use super::{JobContext, in_time};
use crate::error::CallError;
use crate::kinds;
use crate::notice::Notice;
use crate::parent::Parent;

/// Decides what a resource's deletion means for its hosts. A failed call decides nothing.
pub(super) async fn decide(
    ctx: &JobContext,
    parent: &Parent,
) -> Result<(Lifecycle, Notice), CallError> {
    let crd = kinds::crd_name(parent.kind());
    let (namespace, kind) = (parent.namespace(), parent.kind().as_str());
    if let Some(why) = cascade(ctx, namespace, crd, kind).await? {
        let note = format!("{why}: nothing is removed on any host");
        return Ok((Lifecycle::Cascaded, Notice::normal("Retained", note)));
    }
    let note = deletion_note(parent.kind());
    Ok((Lifecycle::Deleted, Notice::normal("Deleting", note)))
}

/// Decides what the deletion of a host with `removal: Clean` means for it.
pub(super) async fn decide_host(
    ctx: &JobContext,
    host: &DockerHost,
) -> Result<(Lifecycle, Notice), CallError> {
    let namespace = host.metadata.namespace.as_deref().unwrap_or_default();
    let (crd, kind) = (DockerHost::crd_name(), "DockerHost");
    if let Some(why) = cascade(ctx, namespace, crd, kind).await? {
        let note = format!("{why}: nothing is removed on the host");
        return Ok((Lifecycle::Cascaded, Notice::normal("Retained", note)));
    }
    let note = "the host removes or releases what it has, as each deletionPolicy says";
    Ok((Lifecycle::Deleted, Notice::normal("Cleaning", note)))
}

/// Returns why an object is deleted by a cascade: with its namespace or its CRD.
async fn cascade(
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
        return Ok(Some(format!(
            "namespace {name} is deleted or being deleted"
        )));
    }
    let crds: Api<CustomResourceDefinition> = Api::all(ctx.client.clone());
    let crd = in_time(crds.get_metadata_opt(crd)).await?;
    if crd.is_none_or(|crd| crd.metadata.deletion_timestamp.is_some()) {
        return Ok(Some(format!(
            "the CRD of kind {kind} is deleted or being deleted"
        )));
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
    fn a_namespace_is_being_deleted_by_its_timestamp_or_its_phase() {
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
