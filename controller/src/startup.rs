//! What must be so before a controller can start.

use dockfleet_crds::{DockerHost, DockerNetwork, DockerVolume, HostAssignment};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Resource};

use crate::error::ControllerError;
use crate::jobs::in_time;

/// The namespace whose UID is the identity of a cluster: it is made with the cluster and cannot be
/// deleted.
const HUB_NAMESPACE: &str = "kube-system";

/// Checks that the API server serves every resource.
pub(crate) async fn check_resources(client: &Client) -> Result<(), ControllerError> {
    let answers = [
        (
            DockerHost::plural(&()),
            is_served::<DockerHost>(client).await?,
        ),
        (
            DockerNetwork::plural(&()),
            is_served::<DockerNetwork>(client).await?,
        ),
        (
            DockerVolume::plural(&()),
            is_served::<DockerVolume>(client).await?,
        ),
        (
            HostAssignment::plural(&()),
            is_served::<HostAssignment>(client).await?,
        ),
    ];
    let missing: Vec<String> = answers
        .into_iter()
        .filter(|(_, served)| !served)
        .map(|(plural, _)| format!("{plural}.{}", dockfleet_crds::GROUP))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(ControllerError::NotInstalled { missing })
    }
}

/// Returns the identity of the cluster, which agents know their controller by.
pub(crate) async fn hub(client: &Client) -> Result<String, ControllerError> {
    let api: Api<Namespace> = Api::all(client.clone());
    let doing = "read the identity of the cluster (namespace kube-system)";
    let namespace = in_time(api.get_metadata(HUB_NAMESPACE))
        .await
        .map_err(|source| ControllerError::Call { doing, source })?;
    namespace
        .metadata
        .uid
        .filter(|uid| !uid.is_empty())
        .ok_or(ControllerError::NoHub)
}

async fn is_served<K>(client: &Client) -> Result<bool, ControllerError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    match in_time(api.list_metadata(&ListParams::default().limit(1))).await {
        Ok(_) => Ok(true),
        Err(err) if err.is_not_found() => Ok(false),
        Err(source) => Err(ControllerError::Call {
            doing: "ask for the resources",
            source,
        }),
    }
}
