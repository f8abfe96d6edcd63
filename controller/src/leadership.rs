//! Runs the leader election: reads and writes the Lease, and opens and closes the fence.
//!
//! `election` decides the steps. This module has its own client, so that it does not wait for other
//! requests of the controller.

use std::time::Duration;

use dockfleet_vitals::{BootTime, chain};
use futures::{Stream, StreamExt as _};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{PartialObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info, warn};

use crate::FIELD_MANAGER;
use crate::config::ElectionConfig;
use crate::effect::WriteHook;
use crate::election::{Decision, ElectionTimes, Loss, ObservedLease, claimed, decide, released};
use crate::error::{CallError, ControllerError};
use crate::jobs::in_time_of;
use crate::write_fence::{FenceState, WriteFence};

/// Name of the Lease.
pub(crate) const LEASE: &str = "dockfleet-controller";

/// The leader election task of this controller.
pub(crate) struct Leadership {
    /// Ends with an error when the leadership is lost; never by itself otherwise.
    task: Option<AbortOnDropHandle<Result<(), Loss>>>,
    stop: CancellationToken,
    fence: WriteFence,
}

impl Leadership {
    /// Starts the task, if there is an election.
    pub(crate) fn start(
        client: Client,
        config: Option<ElectionConfig>,
        fence_state: watch::Sender<FenceState>,
        fence: WriteFence,
        effects: WriteHook,
    ) -> Self {
        let stop = CancellationToken::new();
        let task = config.map(|config| {
            let candidate = Candidate {
                api: Api::namespaced(client, &config.namespace),
                me: config.identity,
                namespace: config.namespace,
                times: config.times,
                fence_state,
                effects,
                renewed: None,
                failing: false,
            };
            AbortOnDropHandle::new(tokio::spawn(candidate.run(stop.clone())))
        });
        Self { task, stop, fence }
    }

    /// Waits until the leadership is lost or the task fails. Never returns without an election.
    pub(crate) async fn lost(&mut self) -> ControllerError {
        let Some(task) = &mut self.task else {
            return std::future::pending().await;
        };
        let part = "the election";
        match task.await {
            Ok(Err(loss)) => loss.into(),
            // The task was not stopped.
            Ok(Ok(())) => ControllerError::Ended { part, source: None },
            Err(err) => ControllerError::Ended {
                part,
                source: Some(err),
            },
        }
    }

    /// Ends the task. The Lease is released at once if no request of this controller can still be
    /// under way; otherwise it expires.
    pub(crate) async fn end(self, all_ended: bool) {
        let Some(task) = self.task else {
            return;
        };
        if all_ended && !self.fence.may_be_under_way() {
            self.stop.cancel();
            // Every call has a timeout, so this ends.
            if task.await.is_err() {
                warn!("the Lease was not released");
            }
        } else {
            info!("the Lease is not released; it expires by itself");
            task.abort();
        }
    }
}

/// A leader or standby.
struct Candidate {
    api: Api<Lease>,
    me: String,
    namespace: String,
    times: ElectionTimes,
    fence_state: watch::Sender<FenceState>,
    effects: WriteHook,
    /// When the last successful claim was sent; `None` for a standby.
    renewed: Option<BootTime>,
    /// The last call failed and was logged.
    failing: bool,
}

impl Candidate {
    async fn run(mut self, stop: CancellationToken) -> Result<(), Loss> {
        let lease = format!("{}/{LEASE}", self.namespace);
        info!(lease, identity = self.me, "joins the leader election");
        let mut changes = self.lease_changes();
        let mut seen: Option<ObservedLease> = None;
        let mut logged_holder: Option<String> = None;
        // Whether the observation is up to date, as far as a holder can know.
        let mut fresh = false;
        while !stop.is_cancelled() {
            if !fresh {
                match self.read().await {
                    Ok(lease) => {
                        let now = BootTime::now();
                        seen = Some(ObservedLease::next(seen.as_ref(), lease, now, &self.times));
                    }
                    Err(err) => {
                        self.log_failure("look at", &err);
                        self.pause(&stop, self.times.retry_period).await;
                    }
                }
            }
            let Some(observed) = &seen else {
                continue;
            };
            let holder = observed.holder().filter(|holder| *holder != self.me);
            if holder.is_some() && holder != logged_holder.as_deref() {
                info!(holder, "waits as a standby");
                logged_holder = holder.map(str::to_owned);
            }
            match decide(
                &self.me,
                observed,
                self.renewed,
                BootTime::now(),
                &self.times,
            ) {
                Decision::Lost(loss) => {
                    self.fence_state.send_replace(FenceState::Closed);
                    return Err(loss);
                }
                Decision::Claim => match self.claim(observed).await {
                    Ok(granted) => {
                        let now = BootTime::now();
                        seen = Some(ObservedLease::next(
                            seen.as_ref(),
                            Some(granted),
                            now,
                            &self.times,
                        ));
                        fresh = true;
                    }
                    Err(err) => {
                        fresh = false;
                        // Another candidate was faster, or the response to an earlier claim was
                        // lost.
                        if !err.is_conflict() {
                            self.log_failure("claim", &err);
                            self.pause(&stop, self.times.retry_period / 2).await;
                        }
                    }
                },
                Decision::Wait(until) => {
                    let leads = self.renewed.is_some();
                    tokio::select! {
                        () = self.pause(&stop, BootTime::now().until(until)) => {}
                        // A leader ignores the watch: it would see its own writes.
                        _ = changes.next(), if !leads => {}
                    }
                    fresh = leads;
                }
            }
        }
        self.fence_state.send_replace(FenceState::Closed);
        if let (Some(_), Some(observed)) = (self.renewed, &seen) {
            self.release(observed).await;
        }
        Ok(())
    }

    /// Wakes a standby when the Lease is written. The content is not used, and a missed change does
    /// no harm: the Lease is read periodically anyway.
    fn lease_changes(&self) -> impl Stream<Item = ()> + Unpin + use<> {
        let client = self.api.clone().into_client();
        let api: Api<PartialObjectMeta<Lease>> = Api::namespaced(client, &self.namespace);
        let seen = watcher::watch_object(api, LEASE).default_backoff();
        Box::pin(seen.filter_map(async |seen| seen.ok().map(drop)))
    }

    async fn pause(&self, stop: &CancellationToken, time: Duration) {
        let _ = stop.run_until_cancelled(tokio::time::sleep(time)).await;
    }

    async fn read(&self) -> Result<Option<Lease>, CallError> {
        in_time_of(self.times.call(), self.api.get_opt(LEASE)).await
    }

    /// Claims the Lease for this controller, and opens the fence on success.
    async fn claim(&mut self, observed: &ObservedLease) -> Result<Lease, CallError> {
        let (time, seen) = (MicroTime(Timestamp::now()), observed.lease.as_ref());
        let wanted = claimed(&self.me, LEASE, seen, time, &self.times);
        // The lease duration counts from here: nobody can have seen the claim earlier.
        let sent = BootTime::now();
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let granted = if seen.is_some() {
            in_time_of(self.times.call(), self.api.replace(LEASE, &params, &wanted)).await?
        } else {
            in_time_of(self.times.call(), self.api.create(&params, &wanted)).await?
        };
        self.fence_state.send_replace(FenceState::Open {
            begin_by: sent + self.times.renew_deadline,
            end_by: sent + self.times.lease_duration,
        });
        if self.renewed.is_none() {
            let transitions = granted.spec.as_ref().and_then(|s| s.lease_transitions);
            info!(transitions, "leads");
            self.effects.happened("acquired leases");
        } else {
            if self.failing {
                info!("the Lease is renewed again");
            }
            self.effects.happened("renewed leases");
        }
        self.failing = false;
        self.renewed = Some(sent);
        Ok(granted)
    }

    /// Releases the Lease, so that others need not wait until it expires.
    async fn release(&self, observed: &ObservedLease) {
        let Some(lease) = observed.lease.as_ref() else {
            return;
        };
        let free = released(lease, MicroTime(Timestamp::now()));
        let params = PostParams::default();
        let answer = self.api.replace(LEASE, &params, &free);
        match in_time_of(self.times.call(), answer).await {
            Ok(_) => {
                info!("the Lease is released");
                self.effects.happened("vacated leases");
            }
            Err(err) => warn!(
                error = chain(&err),
                "the Lease is not released; it expires by itself"
            ),
        }
    }

    fn log_failure(&mut self, doing: &'static str, err: &CallError) {
        let error = chain(err);
        if self.failing {
            debug!(doing, error, "the Lease still cannot be used");
            return;
        }
        self.failing = true;
        let hint = match err {
            CallError::Refused(status) if status.is_forbidden() => {
                "allow get, list, watch, create and update of leases there"
            }
            err if err.is_not_found() => {
                "create the namespace, or set another one with --leader-election-namespace"
            }
            _ => "the call is retried",
        };
        let namespace = &self.namespace;
        warn!(doing, namespace, error, hint, "the Lease cannot be used");
    }
}

#[cfg(test)]
mod tests {
    use dockfleet_vitals::chain;

    use super::*;

    fn leadership(task: impl Future<Output = Result<(), Loss>> + Send + 'static) -> Leadership {
        Leadership {
            task: Some(AbortOnDropHandle::new(tokio::spawn(task))),
            stop: CancellationToken::new(),
            fence: WriteFence::new(FenceState::Closed).1,
        }
    }

    #[tokio::test]
    async fn a_panic_is_not_a_lost_claim() {
        let err = leadership(async { panic!("no such branch") }).lost().await;
        assert!(matches!(err, ControllerError::Ended { .. }), "{err:?}");
        let text = chain(&err);
        assert!(
            text.starts_with("the election ended unexpectedly: "),
            "{text}"
        );
        assert!(
            text.contains("panicked with message \"no such branch\""),
            "{text}"
        );

        let err = leadership(async { Err(Loss::Cleared) }).lost().await;
        assert!(
            matches!(err, ControllerError::Lost(Loss::Cleared)),
            "{err:?}"
        );
    }
}
