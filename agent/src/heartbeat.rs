//! The heartbeat of an agent: it renews the Lease of its host.
//!
//! It is a separate task, which shares nothing with passes and reports: neither an engine that hangs nor a
//! report that fails delays it. The time in the Lease is that of this host's clock, but the controller does
//! not read it: only the change counts.

use std::time::Duration;

use dockfleet_vitals::{BootTime, chain};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
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

/// After so many intervals without a renewal, the host may be offline soon. A controller waits for three at least.
const SILENT_INTERVALS: u32 = 2;

/// The renewals so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heartbeats {
    /// When the last one that succeeded was sent.
    last: Option<BootTime>,
    /// Counts the times that the host may have been offline meanwhile.
    pub(crate) gaps: u64,
}

impl Heartbeats {
    /// Whether the controller cannot have found the host offline by now.
    pub(crate) fn are_regular(self, interval: Duration, now: BootTime) -> bool {
        let limit = SILENT_INTERVALS * interval;
        self.last.is_some_and(|last| now < last + limit)
    }

    /// Adds a renewal that was sent at this time.
    fn add(&mut self, interval: Duration, sent: BootTime) {
        if self.last.is_some() && !self.are_regular(interval, sent) {
            self.gaps += 1;
        }
        self.last = Some(sent);
    }
}

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
    heartbeats: watch::Sender<Heartbeats>,
    metrics: AgentMetrics,
    shutdown: CancellationToken,
) {
    let leases: Api<Lease> = Api::namespaced(client, &namespace);
    let mut backoff = Backoff::new(FIRST_RETRY.min(interval), interval);
    let mut failing = false;
    while !shutdown.is_cancelled() {
        let sent = BootTime::now();
        let wait = match renew(&leases, &host).await {
            Ok(()) => {
                heartbeats.send_modify(|all| all.add(interval, sent));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_heartbeat_is_a_gap() {
        let interval = Duration::from_secs(1);
        let mut all = Heartbeats::default();
        assert!(
            !all.are_regular(interval, BootTime::at(0)),
            "there was none"
        );
        for sent in [5_000, 6_999] {
            all.add(interval, BootTime::at(sent));
            assert!(all.are_regular(interval, BootTime::at(sent)));
        }
        assert!(all.are_regular(interval, BootTime::at(8_998)));
        assert!(!all.are_regular(interval, BootTime::at(8_999)));
        assert_eq!(all.gaps, 0);
        all.add(interval, BootTime::at(8_999));
        assert_eq!(all.gaps, 1);
        assert!(all.are_regular(interval, BootTime::at(9_000)));
    }
}
