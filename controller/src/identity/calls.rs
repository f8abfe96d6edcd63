//! The calls of the API server about one host's identity.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use dockfleet_crds::DockerHost;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, CustomResourceExt as _, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::info;

use super::state::Make;
use super::wanted::{self, MANAGED_BY, PieceKind};
use crate::FIELD_MANAGER;
use crate::error::CallError;
use crate::jobs::in_time;

/// Why the identity of a host could not be updated.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An object of another owner has the name.
    #[error(
        "{kind} {namespace}/{name} is not Dockfleet's (label {}={} is missing), and host {name} has \
         no agent that could join before it is gone; delete it, or name the host otherwise",
        MANAGED_BY.0, MANAGED_BY.1
    )]
    Taken {
        /// The kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// The result of deleting an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    /// It was deleted.
    Yes,
    /// The host exists.
    No,
    /// The host is deleted with its CRD or namespace, and not by itself.
    Cascaded,
}

/// Creates or restores the objects of a host's identity, each independent of the others; returns
/// the first failure.
pub(super) async fn make(
    client: Client,
    namespace: String,
    host: String,
    pieces: BTreeMap<PieceKind, Make>,
) -> Result<(), IdentityError> {
    let (ns, name) = (namespace.as_str(), host.as_str());
    let mut first = Ok(());
    let pieces = PieceKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, *pieces.get(&kind)?)));
    for (kind, how) in pieces {
        let done = match kind {
            PieceKind::Secret => put(&client, kind, how, &wanted::secret(ns, name)).await,
            PieceKind::ServiceAccount => {
                put(&client, kind, how, &wanted::service_account(ns, name)).await
            }
            PieceKind::Role => put(&client, kind, how, &wanted::role(ns, name)).await,
            PieceKind::RoleBinding => {
                put(&client, kind, how, &wanted::role_binding(ns, name)).await
            }
        };
        match done {
            Ok(()) => info!(
                host,
                kind = kind.as_str(),
                how = how.done(),
                "identity written"
            ),
            Err(err) => first = first.and(Err(err)),
        }
    }
    first
}

async fn put<K>(
    client: &Client,
    kind: PieceKind,
    how: Make,
    object: &K,
) -> Result<(), IdentityError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    match how {
        Make::Repair => {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            // The type of an object is left out of its own serialization.
            let mut body = serde_json::to_value(object).map_err(kube::Error::SerdeError);
            if let Ok(serde_json::Value::Object(fields)) = &mut body {
                fields.insert("apiVersion".to_owned(), K::api_version(&()).into());
                fields.insert("kind".to_owned(), K::kind(&()).into());
            }
            let body = body.map_err(CallError::from)?;
            in_time(api.patch(&name, &params, &Patch::Apply(body))).await?;
        }
        // No apply: it would take over an object of another owner with the name.
        Make::Create => {
            let params = PostParams {
                field_manager: Some(FIELD_MANAGER.to_owned()),
                ..PostParams::default()
            };
            match in_time(api.create(&params, object)).await {
                Ok(_) => {}
                Err(CallError::Refused(status)) if status.is_already_exists() => {
                    // The watch may be late, or does not see an object of another owner.
                    let there = in_time(api.get_metadata_opt(&name)).await?;
                    let is_ours = there.is_none_or(|o| {
                        o.labels().get(MANAGED_BY.0).map(String::as_str) == Some(MANAGED_BY.1)
                    });
                    if !is_ours {
                        return Err(IdentityError::Taken {
                            kind: kind.as_str(),
                            namespace,
                            name,
                        });
                    }
                }
                Err(err) => return Err(err.into()),
            }
        }
    }
    Ok(())
}

/// Deletes the identity of a deleted host, after a read of the API server confirms the deletion: a
/// watch may be late, and a deleted CRD deletes hosts that nobody meant to delete.
pub(super) async fn remove(
    client: Client,
    namespace: String,
    host: String,
    pieces: BTreeSet<PieceKind>,
) -> Result<Removed, IdentityError> {
    if is_cascade(&client, &namespace).await? {
        return Ok(Removed::Cascaded);
    }
    let hosts: Api<DockerHost> = Api::namespaced(client.clone(), &namespace);
    if in_time(hosts.get_metadata_opt(&host)).await?.is_some() {
        return Ok(Removed::No);
    }
    // The tokens become invalid first.
    for kind in pieces {
        match kind {
            PieceKind::Secret => delete::<Secret>(&client, &namespace, &host).await?,
            PieceKind::ServiceAccount => {
                delete::<ServiceAccount>(&client, &namespace, &host).await?;
            }
            PieceKind::Role => delete::<Role>(&client, &namespace, &host).await?,
            PieceKind::RoleBinding => delete::<RoleBinding>(&client, &namespace, &host).await?,
        }
    }
    delete::<Lease>(&client, &namespace, &host).await?;
    info!(host, "the host is gone, and its identity with it");
    Ok(Removed::Yes)
}

/// Whether hosts are deleted because their namespace or CRD is.
async fn is_cascade(client: &Client, namespace: &str) -> Result<bool, CallError> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let namespace = in_time(namespaces.get_metadata_opt(namespace)).await?;
    let crd = in_time(crds.get_metadata_opt(DockerHost::crd_name())).await?;
    let stays = namespace.is_some_and(|n| n.metadata.deletion_timestamp.is_none())
        && crd.is_some_and(|c| c.metadata.deletion_timestamp.is_none());
    Ok(!stays)
}

/// Deletes the present object, and none that is created under its name later: a request may be
/// delayed.
async fn delete<K>(client: &Client, namespace: &str, name: &str) -> Result<(), CallError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let Some(there) = in_time(api.get_metadata_opt(name)).await? else {
        return Ok(());
    };
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: there.uid(),
        resource_version: None,
    });
    match in_time(api.delete(name, &params)).await {
        Err(err) if !err.is_not_found() => Err(err),
        _ => Ok(()),
    }
}
