//! One host of `apply --watch`: a pass whenever its engine, the files or a timer say so.

use std::sync::Arc;
use std::time::Duration;

use dockfleet_agent::engine::Engine;
use futures::StreamExt;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::SETTLE;
use crate::standalone::{Claims, Files, Goal, HostReport, Target, Work};

/// Time between two passes when nothing is heard: events can be lost across a restart of an engine.
const RELIST: Duration = Duration::from_secs(300);
/// Time after a failed pass before the next; with more failures it doubles up to [`RELIST`].
const RETRY: Duration = Duration::from_secs(2);

/// What became of a host in one pass.
pub(super) struct Done {
    pub(super) host: String,
    pub(super) report: anyhow::Result<HostReport>,
}

/// A host that is followed.
pub(super) struct Host {
    pub(super) target: Target,
    pub(super) goal: Goal,
    pub(super) claims: Claims,
    /// How long another process may hold the journal.
    pub(super) patience: Duration,
    pub(super) files: watch::Receiver<Arc<Files>>,
    pub(super) done: mpsc::Sender<Done>,
    pub(super) stop: CancellationToken,
}

impl Host {
    /// Makes passes until it is told to stop, and finishes the step that it is at. A task that had
    /// the host before has its journal until it ends.
    pub(super) async fn follow(mut self, earlier: Option<JoinHandle<()>>) {
        self.work(earlier).await;
        self.claims.release(self.target.name());
    }

    async fn work(&mut self, earlier: Option<JoinHandle<()>>) {
        if let Some(earlier) = earlier {
            let _ = self.stop.run_until_cancelled(earlier).await;
        }
        // The journal is held for as long as the engine answers.
        let mut held: Option<Work> = None;
        let mut retry = RETRY;
        while !self.stop.is_cancelled() {
            let files = self.files.borrow_and_update().clone();
            let wake = Arc::new(Notify::new());
            let _listening = self.listen(&wake).drop_guard();
            let report = self.pass(&mut held, &files).await;
            let fine = report.as_ref().is_ok_and(HostReport::is_fine);
            let done = Done {
                host: self.target.name().to_owned(),
                report,
            };
            if self.done.send(done).await.is_err() {
                return;
            }
            let pause = if fine { RELIST } else { retry };
            retry = if fine { RETRY } else { (retry * 2).min(RELIST) };
            let stop = self.stop.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.files.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = wake.notified() => {
                    stop.run_until_cancelled(tokio::time::sleep(SETTLE)).await;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn pass(&self, held: &mut Option<Work>, files: &Files) -> anyhow::Result<HostReport> {
        let mut work = match held.take() {
            Some(work) => work,
            None => match self.stop.run_until_cancelled(self.target.connect()).await {
                Some(engine) => self.begin(engine).await?,
                None => anyhow::bail!("stopped before the engine answered"),
            },
        };
        let mut show = |p: &_| crate::commands::apply::show(self.target.name(), p);
        let report = work.apply(files, &self.goal, &mut show, &self.stop).await?;
        // It may come back as another version, and is asked anew what it can do.
        if !report.engine_is_gone() {
            *held = Some(work);
        }
        Ok(report)
    }

    async fn begin(&self, engine: anyhow::Result<Engine>) -> anyhow::Result<Work> {
        let engine = engine?;
        self.claims.claim(self.target.name(), &engine)?;
        let begun = Work::begin(&self.target, Some(Ok(engine)), self.patience);
        let Some(begun) = self.stop.run_until_cancelled(begun).await else {
            anyhow::bail!("stopped before anything was done");
        };
        begun
    }

    /// Says so when the engine reports a change, until the result is cancelled.
    fn listen(&self, wake: &Arc<Notify>) -> CancellationToken {
        let stop = self.stop.child_token();
        let (target, wake) = (self.target.clone(), wake.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            // A host that cannot be heard is looked at again by the timer.
            let Ok(engine) = target.reach().await else {
                return;
            };
            let mut events = std::pin::pin!(engine.events());
            while events.next().await.is_some_and(|e| e.is_ok()) {
                wake.notify_one();
            }
            // The engine goes, or the way to it: what happens from now on is not heard. An engine
            // that never lets anybody listen does not make a loop of it.
            tokio::time::sleep(RETRY).await;
            wake.notify_one();
        }));
        stop
    }
}
