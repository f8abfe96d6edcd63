//! Makes the backups of this host, and restores its volumes: each is a [job](crate::jobs) of its own, and its result goes
//! into the journal.
//!
//! A backup that was cut off is made again from its beginning. What it had stored already is not stored again.

mod downtime;
mod place;
mod repository;
mod restore;
mod run;
mod volume;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::backup::HostBackup;
use dockfleet_crds::{Entry, Open, Reason};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::kinds::backup::DesiredBackup;
use dockfleet_planner::plan::{JournalChange, bounded, recorded_backup};
use dockfleet_planner::record::RecordKey;
use dockfleet_vitals::chain;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use self::downtime::Downtime;
use crate::effect::Effects;
use crate::engine::Endpoint;
use crate::jobs::{Job, JobControl};
use crate::journal::Ledger;

/// How many backups a host makes at the same time: two would wait for the same disk.
pub(crate) const AT_ONCE: usize = 1;

/// The folder of the files about containers that are paused or stopped, in the agent's folder.
pub(crate) const INTERRUPTIONS: &str = "interruptions";
/// The folder of the locks of volumes.
const LOCKS: &str = "volumes";
/// The folder of what is known of repositories.
const REPOSITORIES: &str = "repositories";

pub(crate) use self::restore::RestoreJob;

/// The backups and restores that run or begin now, by UID.
#[derive(Debug, Default)]
pub(crate) struct WantedJobs {
    pub(crate) backups: BTreeMap<String, BackupJob>,
    pub(crate) restores: BTreeMap<String, RestoreJob>,
}

/// One backup of a volume of this host. It has no secrets: it is in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BackupJob {
    /// The entry that asks for it.
    entry: Entry,
    /// What it asks for.
    want: DesiredBackup,
}

/// What backups need beside their entry.
#[derive(Clone, Debug)]
pub(crate) struct BackupTools {
    /// The engine with the volume.
    pub(crate) endpoint: Endpoint,
    /// The credentials that the agent has.
    pub(crate) store: watch::Receiver<Arc<CredentialStore>>,
    /// Where results are kept.
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) effects: Effects,
    /// The agent's folder.
    pub(crate) state_dir: PathBuf,
}

impl BackupJob {
    /// Creates the backup that an entry asks for.
    pub(crate) fn new(entry: &Entry, want: DesiredBackup) -> Self {
        Self {
            entry: entry.clone(),
            want,
        }
    }
}

impl Job for BackupJob {
    const TYPE: &'static str = "backup";
    type Tools = BackupTools;

    async fn step(self, control: &JobControl, tools: &BackupTools) -> Result<Option<Self>, String> {
        if has_ended(&self.entry, tools) {
            return Ok(None);
        }
        let want = &self.want;
        let timeout = Duration::from_secs(want.timeout.unsigned_abs());
        let limit = Duration::from_secs(want.max_downtime.unsigned_abs());
        let folder = tools.state_dir.join(INTERRUPTIONS);
        let mut downtime = Downtime::new(&want.volume, want.consistency, limit, folder);
        let mut so_far = None;
        let made = run::make(
            &self.entry,
            want,
            control,
            tools,
            &mut downtime,
            &mut so_far,
        );
        let result = tokio::select! {
            made = tokio::time::timeout(timeout, made) => Some(made),
            () = control.ended() => None,
        };
        // A snapshot counts, even if there was no time to remove older ones.
        let result = match (result, so_far) {
            (Some(Ok(made)), _) | (Some(Err(_)) | None, Some(made)) => Some(Ok(made)),
            (late, None) => late,
        };
        // The process of the job has ended.
        downtime.end().await;
        let Some(result) = result else {
            return Err("the agent stops, or the backup is deleted".to_owned());
        };
        let mut result = result.unwrap_or_else(|_| {
            let message = format!("it was not done within {} s (timeout)", timeout.as_secs());
            run::failed(Reason::Interrupted.into(), message)
        });
        if let Some(left) = downtime.left() {
            let reason = &mut result.reason;
            reason.get_or_insert_with(|| Reason::Interrupted.into());
            result.message = bounded(format!("{left}; {}", result.message));
        }
        keep(&self.entry, &self.want.volume, &result, tools).await?;
        Ok(None)
    }

    /// The process of the backup has ended; what it has stored is found again by the next one.
    async fn clean_up(self, _: &BackupTools) -> Result<(), String> {
        Ok(())
    }
}

/// Whether the journal has a result: a plan from before it may still ask for the job.
fn has_ended(entry: &Entry, tools: &BackupTools) -> bool {
    let records = tools.ledger.records();
    let record = records.get(&RecordKey::object(&entry.uid));
    record.is_some_and(|r| r.progress::<HostBackup>().is_some())
}

/// Keeps what a host has in the end.
async fn keep(
    entry: &Entry,
    volume: &str,
    result: &HostBackup,
    tools: &BackupTools,
) -> Result<(), String> {
    log(entry, volume, result);
    let change = JournalChange::Put {
        record: recorded_backup(entry, result),
        instead_of: None,
    };
    let kept = tools.ledger.commit(vec![change], &tools.effects).await;
    kept.map_err(|err| chain(&err))
}

fn log(entry: &Entry, volume: &str, result: &HostBackup) {
    let kind = entry.kind.as_str();
    let (namespace, name) = (&entry.namespace, &entry.name);
    let reason = result.reason.as_ref().map(Open::as_str);
    match reason {
        None => tracing::info!(
            kind,
            namespace,
            name,
            volume,
            snapshot = result.snapshot_id,
            seconds = result.seconds,
            "done"
        ),
        Some(reason) => tracing::warn!(
            kind,
            namespace,
            name,
            volume,
            reason,
            snapshot = result.snapshot_id,
            message = result.message,
            "not whole"
        ),
    }
}
