//! Long jobs of entries, such as a backup. They run beside the passes, a few at a time.
//!
//! A job is data: its task and its progress. It is saved in the journal before its first step and after each
//! step, so that it is resumed after the process has ended. A job that is no longer wanted is cancelled and
//! cleaned up, even if an earlier process began it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;

use dockfleet_vitals::chain;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::effect::Effects;
use crate::journal::{Journal, JournalError, Ledger};

/// The maximum length of a job's detail in bytes. The status of its entry contains it.
pub const MAX_DETAIL: usize = 200;

/// A long job of one entry: its task and its progress.
pub trait Job: Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of this type of job, which never changes: an entry has at most one job of a type.
    const TYPE: &'static str;

    /// What its steps need and the journal must not have.
    type Tools: Clone + Debug + Send + Sync + 'static;

    /// Does the next step, and returns the job with its new progress, or `None` if it is done. A step must be
    /// repeatable, because a process may end before the step is saved. It ends early when `control` ends the
    /// job. An error is a sentence without secrets.
    fn step(
        self,
        control: &JobControl,
        tools: &Self::Tools,
    ) -> impl Future<Output = Result<Option<Self>, String>> + Send;

    /// Removes everything that the steps have left behind, as far as it exists.
    fn clean_up(self, tools: &Self::Tools) -> impl Future<Output = Result<(), String>> + Send;
}

/// The control of a job during a step.
#[derive(Debug)]
pub struct JobControl {
    end: CancellationToken,
    detail: watch::Sender<String>,
}

impl JobControl {
    /// Returns when the job must end, because it is cancelled or the agent stops.
    pub async fn ended(&self) {
        self.end.cancelled().await;
    }

    /// Reports the progress of the job, in at most [`MAX_DETAIL`] bytes; the rest is cut off.
    pub fn detail(&self, text: &str) {
        let mut end = text.len().min(MAX_DETAIL);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let text = text.get(..end).unwrap_or_default();
        self.detail.send_replace(text.to_owned());
    }
}

/// How a job ended.
#[derive(Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// It is done.
    Done,
    /// It was cancelled and cleaned up.
    Cancelled,
    /// A step or the clean-up failed, for this reason. The job stays in the journal, and is resumed when it
    /// is wanted again.
    Failed(String),
    /// The agent stops. The job stays in the journal, and the next process resumes it.
    Stopped,
}

/// A job in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedJob<J> {
    job: J,
    /// It is being cleaned up, and is never resumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    cancelled: bool,
}

/// The long jobs of one type, of which a limited number runs at the same time.
#[derive(Debug)]
pub struct Jobs<J: Job> {
    tools: J::Tools,
    ledger: Arc<Ledger>,
    effects: Effects,
    most: usize,
    stop: CancellationToken,
    /// Jobs that wait to be started, as the journal has them.
    queue: VecDeque<(String, SavedJob<J>)>,
    running: BTreeMap<String, RunningJob>,
    tasks: JoinSet<(String, JobOutcome)>,
}

#[derive(Debug)]
struct RunningJob {
    cancel: CancellationToken,
    detail: watch::Receiver<String>,
}

impl<J: Job> Jobs<J> {
    /// Creates a lane for at most `most` jobs at the same time, until `stop`. Nothing runs before
    /// [`Jobs::want`] is called.
    pub fn new(
        journal: &Journal,
        effects: Effects,
        most: usize,
        stop: CancellationToken,
        tools: J::Tools,
    ) -> Self {
        Self {
            tools,
            ledger: Arc::clone(journal.ledger()),
            effects,
            most,
            stop,
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Sets the wanted jobs, by the UID of the entry. Jobs that do not run yet are started or resumed as soon
    /// as the limit allows it; all others are cancelled. A job in the journal that this version does not
    /// understand is logged and not changed. It is an error if the journal cannot be read.
    pub async fn want(&mut self, wanted: BTreeMap<String, J>) -> Result<(), JournalError> {
        for (uid, running) in &self.running {
            if !wanted.contains_key(uid) {
                running.cancel.cancel();
            }
        }
        let mut saved = BTreeMap::new();
        for (uid, body) in self.ledger.jobs(J::TYPE).await? {
            let job = serde_json::from_str::<SavedJob<J>>(&body).ok();
            if job.is_none() {
                tracing::warn!(
                    uid,
                    job = J::TYPE,
                    "a job in the journal is not understood and is left as it is; upgrade the agent"
                );
            }
            saved.insert(uid, job);
        }
        let is_wanted = |uid: &String| wanted.contains_key(uid);
        self.queue.clear();
        for (uid, job) in &saved {
            // Clean-ups come first: their leftovers may block other jobs.
            if let Some(job) = job
                && (job.cancelled || !is_wanted(uid))
            {
                let cancelled = SavedJob {
                    cancelled: true,
                    ..job.clone()
                };
                self.queue.push_back((uid.clone(), cancelled));
            }
        }
        for (uid, job) in wanted {
            let job = match saved.remove(&uid) {
                None => SavedJob {
                    job,
                    cancelled: false,
                },
                Some(Some(saved)) if !saved.cancelled => saved,
                // It is cleaned up first, or another version wrote it.
                Some(_) => continue,
            };
            self.queue.push_back((uid, job));
        }
        let running = &self.running;
        self.queue.retain(|(uid, _)| !running.contains_key(uid));
        self.begin();
        Ok(())
    }

    /// Waits until a job ends, and returns the UID of its entry and how it ended; `None` if no job runs.
    pub async fn next(&mut self) -> Option<(String, JobOutcome)> {
        let (uid, outcome) = match self.tasks.join_next().await? {
            Ok(ended) => ended,
            Err(err) => match err.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return None,
            },
        };
        self.running.remove(&uid);
        self.begin();
        Some((uid, outcome))
    }

    /// Returns the details of the running jobs, by the UID of the entry.
    pub fn details(&self) -> BTreeMap<String, String> {
        let running = self.running.iter();
        running
            .map(|(uid, r)| (uid.clone(), r.detail.borrow().clone()))
            .collect()
    }

    /// Starts waiting jobs, up to the limit.
    fn begin(&mut self) {
        while self.running.len() < self.most && !self.stop.is_cancelled() {
            let Some((uid, saved)) = self.queue.pop_front() else {
                return;
            };
            // A step ends early when its job is cancelled, and when the agent stops.
            let cancel = self.stop.child_token();
            let (detail, receiver) = watch::channel(String::new());
            let work = JobWork {
                uid: uid.clone(),
                ledger: Arc::clone(&self.ledger),
                effects: self.effects.clone(),
                cancel: cancel.clone(),
                stop: self.stop.clone(),
            };
            let running = RunningJob {
                cancel,
                detail: receiver,
            };
            self.running.insert(uid.clone(), running);
            let tools = self.tools.clone();
            self.tasks.spawn(async move {
                let outcome = work.run(saved, detail, &tools).await;
                (uid, outcome.unwrap_or_else(JobOutcome::Failed))
            });
        }
    }
}

/// The context of a running job.
struct JobWork {
    uid: String,
    ledger: Arc<Ledger>,
    effects: Effects,
    cancel: CancellationToken,
    stop: CancellationToken,
}

impl JobWork {
    async fn run<J: Job>(
        &self,
        mut saved: SavedJob<J>,
        detail: watch::Sender<String>,
        tools: &J::Tools,
    ) -> Result<JobOutcome, String> {
        let control = JobControl {
            end: self.cancel.clone(),
            detail,
        };
        self.save(&saved).await?;
        loop {
            if saved.cancelled {
                return self.clean_up(saved, tools).await;
            }
            if self.stop.is_cancelled() {
                return Ok(JobOutcome::Stopped);
            }
            if self.cancel.is_cancelled() {
                return self.clean_up(saved, tools).await;
            }
            match saved.job.clone().step(&control, tools).await {
                Ok(None) => {
                    self.drop_saved::<J>().await?;
                    return Ok(JobOutcome::Done);
                }
                Ok(Some(job)) => saved.job = job,
                // It ended early as requested.
                Err(_) if control.end.is_cancelled() => continue,
                Err(why) => return Ok(JobOutcome::Failed(why)),
            }
            self.save(&saved).await?;
        }
    }

    async fn clean_up<J: Job>(
        &self,
        mut saved: SavedJob<J>,
        tools: &J::Tools,
    ) -> Result<JobOutcome, String> {
        if !saved.cancelled {
            saved.cancelled = true;
            self.save(&saved).await?;
        }
        saved.job.clean_up(tools).await?;
        self.drop_saved::<J>().await?;
        Ok(JobOutcome::Cancelled)
    }

    async fn save<J: Job>(&self, saved: &SavedJob<J>) -> Result<(), String> {
        let body = serde_json::to_string(saved).map_err(|err| err.to_string())?;
        let ledger = &self.ledger;
        let saved = ledger.keep_job(J::TYPE, self.uid.clone(), body, &self.effects);
        saved.await.map_err(|err| chain(&err))
    }

    async fn drop_saved<J: Job>(&self) -> Result<(), String> {
        let ledger = &self.ledger;
        let dropped = ledger.end_job(J::TYPE, self.uid.clone(), &self.effects);
        dropped.await.map_err(|err| chain(&err))
    }
}

#[cfg(test)]
mod tests;
