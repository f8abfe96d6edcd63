//! The backups and restores beside the passes: a pass plans which of them run, and what becomes of them wakes the next
//! pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_vitals::chain;
use tokio_util::sync::CancellationToken;

use super::AgentConfig;
use crate::backup::{AT_ONCE, BackupTools};
use crate::credentials::CredentialKeeper;
use crate::jobs::{Job, JobOutcome, Jobs};
use crate::journal::Journal;
use crate::retry::Backoff;

/// How soon it is reported that one has begun.
const SOON: Duration = Duration::from_millis(200);
/// How often their progress is reported.
const PROGRESS: Duration = Duration::from_mins(1);

/// The backups of a host, or its restores.
#[derive(Debug)]
pub(super) struct VolumeJobs<J: Job> {
    jobs: Jobs<J>,
    /// What the last pass has planned, by UID, until it is followed.
    planned: Option<BTreeMap<String, J>>,
    backoff: Backoff,
}

impl<J: Job<Tools = BackupTools>> VolumeJobs<J> {
    pub(super) fn new(
        config: &AgentConfig,
        journal: &Journal,
        credentials: &CredentialKeeper,
        stop: &CancellationToken,
    ) -> Self {
        let effects = config.effects.clone();
        let tools = BackupTools {
            endpoint: config.endpoint.clone(),
            store: credentials.watch(),
            ledger: Arc::clone(journal.ledger()),
            effects: effects.clone(),
            state_dir: config.state_dir.clone(),
        };
        Self {
            jobs: Jobs::new(journal, effects, AT_ONCE, stop.clone(), tools),
            planned: None,
            backoff: Backoff::default(),
        }
    }

    /// Returns how far the running ones are, in words, by UID.
    pub(super) fn details(&self) -> BTreeMap<String, String> {
        self.jobs.details()
    }

    /// Takes what a pass has planned.
    pub(super) fn plan(&mut self, wanted: BTreeMap<String, J>) {
        self.planned = Some(wanted);
    }

    /// Starts and stops them as planned. Returns how long the next pass waits, if it is needed.
    pub(super) async fn follow(&mut self) -> Option<Duration> {
        let wanted = self.planned.take()?;
        let (before, is_any) = (self.details(), !wanted.is_empty());
        if let Err(err) = self.jobs.want(wanted).await {
            tracing::error!(
                error = chain(&err),
                "the jobs in the journal cannot be read"
            );
        }
        let has_begun = self.details().keys().any(|uid| !before.contains_key(uid));
        is_any.then_some(if has_begun { SOON } else { PROGRESS })
    }

    /// Waits until one ends, and returns how long the next pass waits; `None` if none runs.
    pub(super) async fn ended(&mut self) -> Option<Duration> {
        let (uid, outcome) = self.jobs.next().await?;
        Some(match outcome {
            JobOutcome::Done | JobOutcome::Cancelled | JobOutcome::Stopped => {
                self.backoff.reset();
                Duration::ZERO
            }
            JobOutcome::Failed(error) => {
                tracing::warn!(uid, error, "the result of a job could not be kept");
                self.backoff.next()
            }
        })
    }
}
