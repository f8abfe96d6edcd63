//! The heartbeat of an agent: it renews the Lease of its host.
//!
//! It is a separate task, which shares nothing with passes and reports: neither an engine that hangs nor a
//! report that fails delays it. The time in the Lease is that of this host's clock, but the controller does
//! not read it: only the change counts.

use std::sync::Arc;
use std::time::Duration;

use dockfleet_vitals::{BootTime, chain};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::{Notify, watch};
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
/// A host without a Lease and an assignment waits this number of intervals.
const NEW_HOST: u32 = 10;
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
    #[error("the Lease does not exist yet")]
    Absent,
    #[error("the API server refused to renew the Lease: {0}")]
    Refused(String),
    #[error("the Lease cannot be written")]
    Api(#[source] Box<kube::Error>),
}

/// Renews the Lease of a host until `shutdown`. The controller creates it, at about the same time as the host's
/// assignment. So a new host waits until it is `assigned`, or for some minutes: when thousands of hosts are new, an API
/// server that refuses all their heartbeats would have no time left for the controller. After another failure, the next
/// renewal is tried sooner.
pub(crate) async fn run(
    leases: Api<Lease>,
    host: String,
    interval: Duration,
    heartbeats: watch::Sender<Heartbeats>,
    metrics: AgentMetrics,
    assigned: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let mut failures = Backoff::new(FIRST_RETRY.min(interval), interval);
    let for_a_new_host = interval.saturating_mul(NEW_HOST);
    let mut absences = Backoff::new(for_a_new_host, for_a_new_host);
    let mut failing = false;
    let mut is_absent = true;
    let mut wait = absences.next();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = assigned.notified(), if is_absent => {
                absences = Backoff::new(FIRST_RETRY.min(interval), interval);
            }
            () = tokio::time::sleep(wait) => {}
        }
        let sent = BootTime::now();
        let renewed = renew(&leases, &host).await;
        is_absent = matches!(renewed, Err(HeartbeatError::Absent));
        wait = match renewed {
            Ok(()) => {
                heartbeats.send_modify(|all| all.add(interval, sent));
                if failing {
                    tracing::info!("heartbeats reach the API server again");
                }
                failing = false;
                failures.reset();
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
                if is_absent {
                    absences.next()
                } else {
                    failures.next()
                }
            }
        };
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
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Err(HeartbeatError::Absent),
        Ok(Err(kube::Error::Api(status))) => Err(HeartbeatError::Refused(status.message)),
        Ok(Err(err)) => Err(HeartbeatError::Api(Box::new(err))),
        Err(_) => Err(HeartbeatError::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::{Request, Response};
    use kube::Client;
    use kube::client::Body;
    use tower::service_fn;

    use super::*;
    use crate::vitals::AgentVitals;

    /// An API server without Leases, which counts its requests.
    fn client(requests: &Arc<AtomicUsize>) -> Client {
        let requests = Arc::clone(requests);
        let answer =
            json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
        let service = service_fn(move |_: Request<Body>| {
            requests.fetch_add(1, Ordering::Relaxed);
            let body = Body::from(answer.to_string().into_bytes());
            std::future::ready(Response::builder().status(404).body(body))
        });
        Client::new(service, "default")
    }

    /// Starts the heartbeat of a new host.
    fn start(requests: &Arc<AtomicUsize>) -> Arc<Notify> {
        let assigned = Arc::new(Notify::new());
        tokio::spawn(run(
            Api::namespaced(client(requests), "dockfleet-hosts"),
            "h1".to_owned(),
            INTERVAL,
            watch::channel(Heartbeats::default()).0,
            AgentVitals::new().unwrap().metrics.clone(),
            Arc::clone(&assigned),
            CancellationToken::new(),
        ));
        assigned
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_host_waits_for_its_assignment() {
        let requests = Arc::default();
        let assigned = start(&requests);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(requests.load(Ordering::Relaxed), 0);
        assigned.notify_one();
        // The Lease may be created a little later.
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(requests.load(Ordering::Relaxed) > 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_assignment_it_is_tried_every_few_minutes() {
        let requests = Arc::default();
        let _assigned = start(&requests);
        tokio::time::sleep(Duration::from_hours(1)).await;
        let in_an_hour = requests.load(Ordering::Relaxed);
        assert!((12..=24).contains(&in_an_hour), "{in_an_hour}");
    }

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
