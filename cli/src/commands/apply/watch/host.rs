//! One host of `apply --watch`: it runs a pass after an event of its engine, a change of the files, or
//! a timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dockfleet_agent::engine::{Engine, EngineEvent};
use dockfleet_planner::examination::Occasion;
use futures::StreamExt;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::SETTLE;
use crate::standalone::{CommandGoal, EngineHosts, Files, HostReport, HostSession, HostTarget};

/// Time between two passes without events: events can be lost during a restart of an engine.
const RELIST: Duration = Duration::from_mins(5);
/// The same with a PrunePolicy: an engine has no event when a container stops to use a volume for good, and only what
/// is looked at without a gap is known to be unused.
const RELIST_UNUSED: Duration = Duration::from_mins(1);
/// Time before the retry of a failed pass. It doubles with each failure, up to [`RELIST`].
const RETRY: Duration = Duration::from_secs(2);

/// The result of one pass on a host.
pub(super) struct Done {
    pub(super) host: String,
    pub(super) report: anyhow::Result<HostReport>,
}

/// What the events of an engine tell between two passes.
#[derive(Default)]
struct Wake {
    /// A pass is due.
    due: Notify,
    /// Containers were created or started.
    containers: AtomicBool,
    /// A container may change an object of the files.
    watching: AtomicBool,
}

impl Wake {
    fn hear(&self, event: EngineEvent) {
        if event == EngineEvent::Container {
            self.containers.store(true, Ordering::Relaxed);
        }
        self.notify(event != EngineEvent::Container);
    }

    fn notify(&self, is_due: bool) {
        let by_containers =
            || self.watching.load(Ordering::Relaxed) && self.containers.load(Ordering::Relaxed);
        if is_due || by_containers() {
            self.due.notify_one();
        }
    }

    /// Records whether a container may change an object of the files.
    fn watch(&self, is_watching: bool) {
        self.watching.store(is_watching, Ordering::Relaxed);
        // Events came during the pass.
        self.notify(false);
    }
}

/// A watched host.
pub(super) struct Host {
    pub(super) target: HostTarget,
    pub(super) goal: CommandGoal,
    pub(super) claims: EngineHosts,
    /// How long to wait for a journal that another process has locked.
    pub(super) patience: Duration,
    pub(super) files: watch::Receiver<Arc<Files>>,
    pub(super) done: mpsc::Sender<Done>,
    pub(super) stop: CancellationToken,
}

impl Host {
    /// Runs passes until it is stopped, and finishes its current action. A former task of the host
    /// has its journal until that task ends.
    pub(super) async fn follow(mut self, earlier: Option<JoinHandle<()>>) {
        self.work(earlier).await;
        self.claims.release(self.target.name());
    }

    async fn work(&mut self, earlier: Option<JoinHandle<()>>) {
        if let Some(earlier) = earlier {
            let _ = self.stop.run_until_cancelled(earlier).await;
        }
        // The journal stays locked as long as the engine answers.
        let mut held: Option<HostSession> = None;
        let mut retry = RETRY;
        let wake = Arc::new(Wake::default());
        while !self.stop.is_cancelled() {
            let files = self.files.borrow_and_update().clone();
            let _listening = self.listen(&wake).drop_guard();
            if wake.containers.swap(false, Ordering::Relaxed)
                && let Some(session) = &mut held
            {
                session.may_have_changed(Occasion::Containers);
            }
            let report = self.pass(&mut held, &files).await;
            wake.watch(report.as_ref().is_ok_and(|r| r.watching > 0));
            let fine = report.as_ref().is_ok_and(HostReport::is_fine);
            let done = Done {
                host: self.target.name().to_owned(),
                report,
            };
            if self.done.send(done).await.is_err() {
                return;
            }
            let relist = if files.prune() { RELIST_UNUSED } else { RELIST };
            let pause = if fine { relist } else { retry.min(relist) };
            retry = if fine { RETRY } else { (retry * 2).min(RELIST) };
            let stop = self.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.files.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = wake.due.notified() => {
                    stop.run_until_cancelled(tokio::time::sleep(SETTLE)).await;
                }
                () = tokio::time::sleep(pause) => {
                    if let Some(session) = &mut held {
                        session.may_have_changed(Occasion::Start);
                    }
                }
            }
        }
    }

    async fn pass(
        &self,
        held: &mut Option<HostSession>,
        files: &Files,
    ) -> anyhow::Result<HostReport> {
        let mut work = match held.take() {
            Some(work) => work,
            None => match self.stop.run_until_cancelled(self.target.connect()).await {
                Some(engine) => self.begin(engine).await?,
                None => anyhow::bail!("stopped before the engine answered"),
            },
        };
        let mut show = |p: &_| crate::commands::apply::show(self.target.name(), p);
        let report = work.apply(files, &self.goal, &mut show, &self.stop).await?;
        // The engine may come back as another version, so its capabilities are read again.
        if !report.engine_is_gone() {
            *held = Some(work);
        }
        Ok(report)
    }

    async fn begin(&self, engine: anyhow::Result<Engine>) -> anyhow::Result<HostSession> {
        let engine = engine?;
        self.claims.claim(self.target.name(), &engine)?;
        let begun = HostSession::open(&self.target, Some(Ok(engine)), self.patience);
        let Some(begun) = self.stop.run_until_cancelled(begun).await else {
            anyhow::bail!("stopped before anything was changed");
        };
        begun
    }

    /// Sends a message when the engine reports a change, until the result is cancelled.
    fn listen(&self, wake: &Arc<Wake>) -> CancellationToken {
        let stop = self.stop.child_token();
        let (target, wake) = (self.target.clone(), wake.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            // Without events, the timer starts the next pass.
            let Ok(engine) = target.reach().await else {
                return;
            };
            let mut events = std::pin::pin!(engine.events());
            while let Some(Ok(event)) = events.next().await {
                wake.hear(event);
            }
            // The engine or the connection has failed, so later events are lost. An engine without
            // events does not cause a busy loop.
            tokio::time::sleep(RETRY).await;
            wake.notify(true);
        }));
        stop
    }
}
