//! The checks before a controller can start.

use std::time::Duration;

use dockfleet_crds::{DockerHost, HostAssignment};
use dockfleet_vitals::chain;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use tracing::warn;

use crate::error::{CallError, ControllerError};
use crate::jobs::in_time;
use crate::kinds;

/// The namespace whose UID is the identity of a cluster: it is created with the cluster and cannot
/// be deleted.
const HUB_NAMESPACE: &str = "kube-system";

/// How long to wait after a failed attempt.
const RETRY: Duration = Duration::from_secs(2);

/// Returns the identity of the cluster, which agents know their controller by, once the API server
/// is reachable, grants this controller access, and serves every resource.
///
/// An installation creates the rights and the controller at the same time, and a booting machine
/// starts everything at once, so this waits for both. Resources that are not served are an error,
/// because only a person can fix that.
pub(crate) async fn hub(client: &Client) -> Result<String, ControllerError> {
    loop {
        match ask(client).await {
            Ok(hub) => return hub,
            Err(err) => {
                let (error, retry_in_s) = (chain(&err), RETRY.as_secs());
                warn!(error, retry_in_s, "cannot start yet");
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Checks the resources and reads the identity of the cluster once. The outer error is that of a
/// call.
async fn ask(client: &Client) -> Result<Result<String, ControllerError>, CallError> {
    let mut answers = vec![
        (
            DockerHost::plural(&()),
            is_served::<DockerHost>(client).await?,
        ),
        (
            HostAssignment::plural(&()),
            is_served::<HostAssignment>(client).await?,
        ),
    ];
    answers.extend(kinds::served(client).await?);
    let missing: Vec<String> = answers
        .into_iter()
        .filter(|(_, served)| !served)
        .map(|(plural, _)| format!("{plural}.{}", dockfleet_crds::GROUP))
        .collect();
    if !missing.is_empty() {
        return Ok(Err(ControllerError::NotInstalled { missing }));
    }
    let api: Api<Namespace> = Api::all(client.clone());
    let uid = in_time(api.get_metadata(HUB_NAMESPACE)).await?.metadata.uid;
    Ok(uid
        .filter(|uid| !uid.is_empty())
        .ok_or(ControllerError::NoHub))
}

/// Whether the API server serves a resource.
pub(crate) async fn is_served<K>(client: &Client) -> Result<bool, CallError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::all(client.clone());
    match in_time(api.list_metadata(&ListParams::default().limit(1))).await {
        Ok(_) => Ok(true),
        Err(err) if err.is_not_found() => Ok(false),
        Err(err) => Err(err),
    }
}
