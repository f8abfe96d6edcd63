//! Restores one volume: into an empty one that no running container uses.

use std::time::Duration;

use dockfleet_crds::backup::HostBackup;
use dockfleet_crds::{Entry, Reason};
use dockfleet_planner::kinds::restore::DesiredRestore;
use dockfleet_planner::plan::bounded;
use dockfleet_vault::{Filter, Outcome, Restore, RestoreOutcome, Task};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::place::Refused;
use super::repository::{OpenRepository, another};
use super::run::{failed, in_words};
use super::volume::{find, lock};
use super::{BackupTools, has_ended, keep};
use crate::engine::Engine;
use crate::jobs::{Job, JobControl};
use crate::volume_data::{self, VolumeData};

/// One restore of a volume of this host. It has no secrets: it is in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RestoreJob {
    /// The entry that asks for it.
    entry: Entry,
    /// What it asks for.
    want: DesiredRestore,
}

impl RestoreJob {
    /// Creates the restore that an entry asks for.
    pub(crate) fn new(entry: &Entry, want: DesiredRestore) -> Self {
        Self {
            entry: entry.clone(),
            want,
        }
    }
}

impl Job for RestoreJob {
    const TYPE: &'static str = "restore";
    type Tools = BackupTools;

    async fn step(self, control: &JobControl, tools: &BackupTools) -> Result<Option<Self>, String> {
        if has_ended(&self.entry, tools) {
            return Ok(None);
        }
        let begun = Instant::now();
        let timeout = Duration::from_secs(self.want.timeout.unsigned_abs());
        let made = restore(&self.entry, &self.want, control, tools);
        let made = tokio::select! {
            made = tokio::time::timeout(timeout, made) => made,
            () = control.ended() => {
                return Err("the agent stops, or the restore is deleted".to_owned());
            }
        };
        let made = made.unwrap_or_else(|_| {
            let text = format!("it was not done within {} s (timeout)", timeout.as_secs());
            Err((Reason::Interrupted.into(), text))
        });
        let result = made.unwrap_or_else(|(reason, message)| failed(reason, message));
        let result = HostBackup {
            seconds: begun.elapsed().as_secs().try_into().unwrap_or(i64::MAX),
            message: bounded(result.message),
            ..result
        };
        keep(&self.entry, &self.want.volume, &result, tools).await?;
        Ok(None)
    }

    /// The process of the restore has ended; what it has written is in a folder of its own, which the next restore removes.
    async fn clean_up(self, _: &BackupTools) -> Result<(), String> {
        Ok(())
    }
}

async fn restore(
    entry: &Entry,
    want: &DesiredRestore,
    control: &JobControl,
    tools: &BackupTools,
) -> Result<HostBackup, Refused> {
    let _lock = lock(&want.volume, "restore", control, tools).await?;
    let (engine, data, is_new) = target(want, control, tools).await?;
    let done = write(entry, want, &data, control, tools).await;
    if done.is_err() && is_new {
        // It would be an empty volume in the place of lost data.
        let removed = volume_data::remove_new(&engine, &want.volume, &data).await;
        if let Err(err) = removed {
            tracing::warn!(
                volume = want.volume,
                error = err.sentence(),
                "the new volume stays"
            );
        }
    }
    done.map(|done| result(&done))
}

/// Finds the volume that is written, or creates it. Returns whether it is new.
async fn target(
    want: &DesiredRestore,
    control: &JobControl,
    tools: &BackupTools,
) -> Result<(Engine, VolumeData, bool), Refused> {
    let found = find(&want.volume, control, tools).await;
    let (engine, data, is_new) = match found {
        Ok((engine, data)) => (engine, data, false),
        Err((reason, _)) if reason == Reason::NoVolume => {
            let refused = |text: String| (Reason::TargetUnwritable.into(), text);
            let engine = Engine::connect(&tools.endpoint).await;
            let engine = engine.map_err(|err| refused(err.sentence()))?;
            let data = volume_data::find_or_create(&engine, &want.volume).await;
            (engine, data.map_err(|err| refused(err.to_string()))?, true)
        }
        Err(refused) => return Err(refused),
    };
    if let Some(container) = data.running.first() {
        let text = format!(
            "container {} uses volume {}; stop it first",
            container.name, want.volume
        );
        return Err((Reason::InUse.into(), text));
    }
    Ok((engine, data, is_new))
}

async fn write(
    entry: &Entry,
    want: &DesiredRestore,
    data: &VolumeData,
    control: &JobControl,
    tools: &BackupTools,
) -> Result<RestoreOutcome, Refused> {
    let who = (entry.uid.as_str(), want.source_host.as_str());
    let repository = OpenRepository::open(&want.repository, who, false, control, tools).await?;
    let task = Task::Restore(Restore {
        snapshot: want.snapshot.clone(),
        filter: Filter {
            host: Some(want.source_host.clone()),
            volume: Some(want.source_volume.clone()),
        },
        folder: data.folder.clone(),
    });
    match repository.ask(task, control).await? {
        Outcome::Restore(done) => Ok(done),
        _ => Err(another()),
    }
}

fn result(done: &RestoreOutcome) -> HostBackup {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let problems = &done.problems;
    HostBackup {
        snapshot_id: Some(done.snapshot.id.clone()),
        files: number(done.written.files),
        bytes: number(done.written.bytes),
        problems: number(problems.failed + problems.changed),
        reason: (!problems.is_empty()).then(|| Reason::PartiallyFailed.into()),
        message: in_words(problems, "restored as they were"),
        ..HostBackup::default()
    }
}
