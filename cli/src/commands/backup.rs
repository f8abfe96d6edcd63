//! `dockfleet backup`

mod downtime;
pub(crate) mod guard;

use std::collections::BTreeSet;

use anyhow::{anyhow, bail};
use dockfleet_agent::volume_lock::VolumeLock;
use dockfleet_agent::{interruption, volume_data};
use dockfleet_planner::retention::{Candidate, Retention};
use dockfleet_vault::{Backup, BackupOutcome, Filter, Outcome, Reason, Snapshot, Task, VaultError};
use serde::Serialize;

use self::downtime::Downtime;
use super::vault::{self, OpenRepository};
use crate::args::Output;
use crate::args::backup::BackupArgs;
use crate::exit::Exit;
use crate::standalone;

/// A backup, and what it made superfluous.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(flatten)]
    backup: BackupOutcome,
    /// IDs of the snapshots that were removed.
    removed: Vec<String>,
}

/// Backs up a volume of this host.
pub(crate) async fn run(args: BackupArgs) -> anyhow::Result<Exit> {
    let target = standalone::local_target(&args.state)?;
    let engine = target.connect().await?;
    for sentence in interruption::put_back_left(&engine, &target.interruptions()).await {
        anstream::eprintln!("{sentence}");
    }
    let data = volume_data::find(&engine, &args.volume).await?;
    let _lock = VolumeLock::take(&target.volume_locks(), &args.volume, "backup")?;
    let Some(host) = args.host.or_else(|| engine.facts().hostname.clone()) else {
        bail!("the engine does not tell the name of its host; give it with --host");
    };
    let repository = OpenRepository::open(args.to, &args.password, args.create, &host).await;
    let repository = repository.map_err(|err| match err.downcast_ref::<VaultError>() {
        Some(cause) if cause.reason == Reason::NoRepository => {
            anyhow!("{cause}; to create one, add --create")
        }
        _ => err,
    })?;
    let filter = Filter {
        host: Some(host.clone()),
        volume: Some(args.volume.clone()),
    };
    let task = Task::Backup(Backup {
        folder: data.folder,
        volume: args.volume.clone(),
        host,
        tags: Vec::new(),
        verify: args.verify.into(),
    });
    let downtime = Downtime {
        engine: &engine,
        volume: &args.volume,
        consistency: args.consistency.into(),
        limit: args.max_downtime,
        folder: &target.interruptions(),
    };
    let Outcome::Backup(backup) = downtime.during(&repository, task).await? else {
        return vault::another();
    };
    let is_whole = backup.problems.is_empty();
    let mut made = Made {
        backup,
        removed: Vec::new(),
    };
    let mut is_done = is_whole;
    // After a partial one too, which takes the place of earlier partial ones only.
    match forget(&repository, filter, args.keep.retention()).await {
        Ok(removed) => made.removed = removed,
        // The snapshot was made all the same.
        Err(err) => {
            is_done = false;
            anstream::eprintln!("warning: older snapshots were not removed: {err:#}");
        }
    }
    print(args.output, &made)?;
    vault::warn(&made.backup.problems, "read");
    Ok(if is_done { Exit::Ready } else { Exit::Failed })
}

fn print(output: Output, made: &Made) -> anyhow::Result<()> {
    let header = "SNAPSHOT\tVOLUME\tFILES\tSIZE\tREAD\tADDED\tREMOVED\tSTATE";
    vault::print(output, std::slice::from_ref(made), header, |made| {
        let snapshot = &made.backup.snapshot;
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            snapshot.short_id(),
            snapshot.volume,
            snapshot.files,
            vault::size(snapshot.bytes),
            vault::size(made.backup.read),
            vault::size(made.backup.written),
            made.removed.len(),
            vault::state(snapshot)
        )
    })
}

/// Removes the snapshots that the rules do not keep, and returns their IDs.
async fn forget(
    repository: &OpenRepository,
    filter: Filter,
    retention: Retention,
) -> anyhow::Result<Vec<String>> {
    if retention.is_empty() {
        return Ok(Vec::new());
    }
    let Outcome::List(all) = repository.ask(Task::List(filter)).await? else {
        return vault::another();
    };
    let candidate = |snapshot: &Snapshot| Candidate {
        id: snapshot.id.clone(),
        time: snapshot.time,
        is_good: !snapshot.partial,
    };
    let all: Vec<Candidate> = all.iter().map(candidate).collect();
    let (now, zone) = (jiff::Timestamp::now(), jiff::tz::TimeZone::system());
    let gone: BTreeSet<String> = retention.removed(&all, now, &zone);
    if gone.is_empty() {
        return Ok(Vec::new());
    }
    let Outcome::Forget(done) = repository.ask(Task::Forget(gone)).await? else {
        return vault::another();
    };
    Ok(done.removed.into_iter().map(|s| s.id).collect())
}
