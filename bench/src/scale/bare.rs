//! The bare loop: the objects of an edit written again, as fast as the API server takes them, to
//! twins that nobody watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::http::{Method, Request, header};
use dockfleet_crds::{HostAssignment, VERSION};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, CustomResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::agents;
use crate::lab::Lab;

/// The namespace of the twins.
pub(crate) const NAMESPACE: &str = "twins";
/// The API group of the twins.
const TWINS: &str = "bare.dockfleet.io";
/// Under these names an assignment's halves are written.
const CONTROLLER: &str = "dockfleet-controller";
const AGENT: &str = "dockfleet-agent";

/// Gives the CRD of the twins: that of assignments under another group.
pub(crate) fn definition() -> CustomResourceDefinition {
    let mut definition = HostAssignment::crd();
    TWINS.clone_into(&mut definition.spec.group);
    // Short names and categories are one space for all groups.
    definition.spec.names.short_names = None;
    definition.spec.names.categories = None;
    let plural = &definition.spec.names.plural;
    definition.metadata.name = Some(format!("{plural}.{TWINS}"));
    definition
}

/// Both halves of one assignment, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Twin {
    name: String,
    spec: String,
    status: String,
}

/// How large assignments are, in bytes, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sizes {
    /// The specs.
    pub(crate) specs: usize,
    /// The statuses.
    pub(crate) statuses: usize,
    /// All that the API server keeps, its notes on who owns which field included.
    pub(crate) whole: usize,
}

/// Reads every assignment of a fleet.
pub(crate) async fn read(lab: &Lab) -> Result<(Vec<Twin>, Sizes)> {
    let resource = ApiResource::erase::<HostAssignment>(&());
    let (mut twins, mut sizes) = (Vec::new(), Sizes::default());
    for site in &lab.sites {
        let namespace = &site.namespace;
        let api: Api<DynamicObject> =
            Api::namespaced_with(lab.client.clone(), namespace, &resource);
        for object in api.list(&ListParams::default()).await? {
            sizes.whole += serde_json::to_string(&object)?.len();
            let name = object
                .metadata
                .name
                .context("an assignment without a name")?;
            let owners = object.metadata.owner_references;
            let half = |key| object.data.get(key).cloned().unwrap_or_default();
            let (spec, status) = (half("spec"), half("status"));
            sizes.specs += spec.to_string().len();
            sizes.statuses += status.to_string().len();
            twins.push(Twin {
                spec: body(
                    &json!({"name": name, "ownerReferences": owners}),
                    "spec",
                    &spec,
                ),
                status: body(&json!({"name": name}), "status", &status),
                name,
            });
        }
    }
    Ok((twins, sizes))
}

fn body(metadata: &Value, half: &str, value: &Value) -> String {
    json!({
        "apiVersion": format!("{TWINS}/{VERSION}"),
        "kind": "HostAssignment",
        "metadata": metadata,
        half: value,
    })
    .to_string()
}

/// Connections that write twins.
pub(crate) struct Writers(Vec<Client>);

impl Writers {
    /// Makes so many.
    pub(crate) async fn new(lab: &Lab, count: u32) -> Result<Self> {
        let kubeconfig = agents::read(&lab.plane.kubeconfig())?;
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(agents::client(kubeconfig.clone()).await?);
        }
        Ok(Self(clients))
    }

    /// Writes every twin, spec before status, and gives how long that took.
    pub(crate) async fn write(&self, twins: Vec<Twin>) -> Result<Duration> {
        let twins = Arc::new(twins);
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        let mut writers = JoinSet::new();
        for client in &self.0 {
            let (client, twins, next) = (client.clone(), Arc::clone(&twins), Arc::clone(&next));
            writers.spawn(async move {
                while let Some(twin) = twins.get(next.fetch_add(1, Ordering::Relaxed)) {
                    apply(&client, &twin.name, "", CONTROLLER, &twin.spec).await?;
                    apply(&client, &twin.name, "/status", AGENT, &twin.status).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = writers.join_next().await {
            ended??;
        }
        Ok(begin.elapsed())
    }
}

async fn apply(client: &Client, name: &str, half: &str, manager: &str, body: &str) -> Result<()> {
    let uri = format!(
        "/apis/{TWINS}/{VERSION}/namespaces/{NAMESPACE}/hostassignments/{name}{half}\
         ?fieldManager={manager}&force=true"
    );
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(uri)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/apply-patch+yaml")
        .body(body.as_bytes().to_vec())?;
    client
        .request_text(request)
        .await
        .with_context(|| format!("a twin of {name} was not taken"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_have_the_schema_of_assignments_and_a_group_of_their_own() {
        let (twin, real) = (definition(), HostAssignment::crd());
        assert_eq!(twin.spec.versions, real.spec.versions);
        assert_ne!(twin.spec.group, real.spec.group);
        let name = twin.metadata.name.unwrap();
        assert_eq!(name, "hostassignments.bare.dockfleet.io");
    }

    #[test]
    fn a_half_is_what_is_applied() {
        let written: Value =
            serde_json::from_str(&body(&json!({"name": "a"}), "spec", &json!({"hub": "h"})))
                .unwrap();
        let expected = json!({
            "apiVersion": "bare.dockfleet.io/v1alpha1",
            "kind": "HostAssignment",
            "metadata": {"name": "a"},
            "spec": {"hub": "h"},
        });
        assert_eq!(written, expected);
    }
}
