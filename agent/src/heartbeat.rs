//! The heartbeat of an agent: it renews the Lease of its host.
//!
//! It is a separate task, which shares nothing with passes and reports: neither an engine that hangs nor a
//! report that fails delays it. The time in the Lease is that of this host's clock, but the controller does
//! not read it: only the change counts.

use std::time::Duration;

use dockfleet_vitals::chain;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::metrics::AgentMetrics;
use crate::retry::{Backoff, jittered};

/// How often a Lease is renewed. If five renewals are missing, the controller marks the host as offline.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// Jitter, as a share of the interval.
const SHARE: f64 = 0.1;
/// Timeout of a renewal: long enough for a small write, and well below the interval.
const CALL: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_secs(1);
const FIELD_MANAGER: &str = "dockfleet-agent";

/// Why a Lease was not renewed.
#[derive(Debug, thiserror::Error)]
enum HeartbeatError {
    #[error("the API server did not answer within {} s", CALL.as_secs())]
    Timeout,
    #[error("the API server refused to renew the Lease: {0}")]
    Refused(String),
    #[error("the Lease cannot be written")]
    Api(#[source] Box<kube::Error>),
}

/// Renews the Lease of a host until `shutdown`. The controller creates it. While it does not exist, and after
/// a failure, the next renewal is tried sooner.
pub(crate) async fn run(
    client: Client,
    namespace: String,
    host: String,
    interval: Duration,
    metrics: AgentMetrics,
    shutdown: CancellationToken,
) {
    let leases: Api<Lease> = Api::namespaced(client, &namespace);
    let mut backoff = Backoff::new(FIRST_RETRY.min(interval), interval);
    let mut failing = false;
    while !shutdown.is_cancelled() {
        let wait = match renew(&leases, &host).await {
            Ok(()) => {
                if failing {
                    tracing::info!("heartbeats reach the API server again");
                }
                failing = false;
                backoff.reset();
                jittered(interval, SHARE)
            }
            Err(err) => {
                metrics.heartbeat_failed();
                let error = chain(&err);
                if failing {
                    tracing::debug!(error, "heartbeat failed again");
                } else {
                    tracing::warn!(error, "heartbeat failed; retrying");
                }
                failing = true;
                backoff.next()
            }
        };
        shutdown.run_until_cancelled(tokio::time::sleep(wait)).await;
    }
}

async fn renew(leases: &Api<Lease>, host: &str) -> Result<(), HeartbeatError> {
    let now = jiff::Timestamp::now();
    let spec = json!({ "holderIdentity": host, "renewTime": format!("{now:.6}") });
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    // A merge patch changes an existing object and never creates one.
    let patch = Patch::Merge(json!({ "spec": spec }));
    match tokio::time::timeout(CALL, leases.patch(host, &params, &patch)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(HeartbeatError::Refused(status.message)),
        Ok(Err(err)) => Err(HeartbeatError::Api(Box::new(err))),
        Err(_) => Err(HeartbeatError::Timeout),
    }
}
