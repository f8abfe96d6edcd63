//! Makes the backups of this host: each is a [job](crate::jobs) of its own, and its result goes into the journal.
//!
//! A backup that was cut off is made again from its beginning. What it had stored already is not stored again.

mod downtime;
mod place;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::backup::HostBackup;
use dockfleet_crds::{Entry, Open, Reason};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::kinds::backup::DesiredBackup;
use dockfleet_planner::plan::{JournalChange, bounded, recorded_backup};
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

/// The backups that run or begin now, by UID.
pub(crate) type WantedBackups = BTreeMap<String, BackupJob>;

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
        let want = &self.want;
        let timeout = Duration::from_secs(want.timeout.unsigned_abs());
        let limit = Duration::from_secs(want.max_downtime.unsigned_abs());
        let folder = tools.state_dir.join(INTERRUPTIONS);
        let mut downtime = Downtime::new(&want.volume, want.consistency, limit, folder);
        let made = run::make(&self.entry, want, control, tools, &mut downtime);
        let result = tokio::select! {
            made = tokio::time::timeout(timeout, made) => Some(made),
            () = control.ended() => None,
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
        log(&self.entry, &self.want, &result);
        let record = recorded_backup(&self.entry, &self.want, &result);
        let change = JournalChange::Put {
            record,
            instead_of: None,
        };
        let kept = tools.ledger.commit(vec![change], &tools.effects).await;
        kept.map_err(|err| chain(&err))?;
        Ok(None)
    }

    /// The process of the backup has ended; what it has stored is found again by the next one.
    async fn clean_up(self, _: &BackupTools) -> Result<(), String> {
        Ok(())
    }
}

fn log(entry: &Entry, want: &DesiredBackup, result: &HostBackup) {
    let (namespace, name, volume) = (&entry.namespace, &entry.name, &want.volume);
    let reason = result.reason.as_ref().map(Open::as_str);
    match reason {
        None => tracing::info!(
            namespace,
            name,
            volume,
            snapshot = result.snapshot_id,
            seconds = result.seconds,
            "backup made"
        ),
        Some(reason) => tracing::warn!(
            namespace,
            name,
            volume,
            reason,
            snapshot = result.snapshot_id,
            message = result.message,
            "backup not whole"
        ),
    }
}
