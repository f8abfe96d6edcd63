//! `dockfleet restore`

use std::path::Path;

use anyhow::bail;
use dockfleet_agent::engine::Engine;
use dockfleet_agent::volume_data::{self, RunningContainer, VolumeDataError};
use dockfleet_agent::volume_lock::VolumeLock;
use dockfleet_vault::{Filter, LATEST, Outcome, Restore, Snapshot, Task};

use super::vault::{self, OpenRepository, Step};
use crate::args::backup::RestoreArgs;
use crate::exit::Exit;
use crate::standalone;

/// Writes a backup into an empty volume of this host.
pub(crate) async fn run(args: RestoreArgs) -> anyhow::Result<Exit> {
    let host_target = standalone::local_target(&args.state)?;
    let engine = host_target.connect().await?;
    let host = engine.facts().hostname.clone().unwrap_or_default();
    // Before a volume is created: a wrong password or name is more likely than anything else.
    let repository = OpenRepository::open(args.from, &args.password, false, &host).await?;
    let filter = Filter {
        host: args.host,
        volume: Some(args.volume.clone()),
    };
    let Outcome::List(all) = repository.ask(Task::List(filter.clone())).await? else {
        return vault::another();
    };
    let fits = |s: &Snapshot| args.snapshot == LATEST || s.id.starts_with(&args.snapshot);
    if !all.iter().any(fits) {
        bail!(
            "there is no snapshot {} of volume {} in the repository",
            args.snapshot,
            args.volume
        );
    }
    let target = args.to_volume.unwrap_or_else(|| args.volume.clone());
    let is_new = matches!(
        volume_data::find(&engine, &target).await,
        Err(VolumeDataError::NoVolume(_))
    );
    let data = volume_data::find_or_create(&engine, &target).await?;
    let locks = host_target.volume_locks();
    let task = Restore {
        snapshot: args.snapshot,
        filter,
        folder: data.folder.clone(),
    };
    let outcome = write(&engine, &repository, task, &target, &locks).await;
    if outcome.is_err() && is_new {
        // An empty volume would be taken for the data, by people and by backups. If it stays, it is in use.
        let _ = volume_data::remove_new(&engine, &target, &data).await;
    }
    let outcome = outcome.map_err(|err| err.context(format!("volume {target}")))?;
    let Outcome::Restore(done) = outcome else {
        return vault::another();
    };
    let header = "SNAPSHOT\tHOST\tVOLUME\tTO\tFILES\tSIZE";
    vault::print(args.output, std::slice::from_ref(&done), header, |done| {
        format!(
            "{}\t{}\t{}\t{target}\t{}\t{}",
            done.snapshot.short_id(),
            vault::shown(&done.snapshot.host),
            vault::shown(&done.snapshot.volume),
            done.written.files,
            vault::size(done.written.bytes)
        )
    })?;
    vault::warn(&done.problems, "restored as they were");
    if done.snapshot.partial {
        anstream::eprintln!(
            "warning: the snapshot itself is partial: some files were not read for it"
        );
    }
    Ok(if done.problems.is_empty() {
        Exit::Ready
    } else {
        Exit::Failed
    })
}

/// Restores, unless a container uses the volume by the time when the first file would be written.
async fn write(
    engine: &Engine,
    repository: &OpenRepository,
    task: Restore,
    target: &str,
    locks: &Path,
) -> anyhow::Result<Outcome> {
    let _lock = VolumeLock::take(locks, target, "restore")?;
    unused(&volume_data::running(engine, target).await?, target)?;
    let mut task = repository.start(Task::Restore(task), true).await?;
    loop {
        match task.next().await? {
            Step::Ready => {
                unused(&volume_data::running(engine, target).await?, target)?;
                task.go().await?;
            }
            Step::SourceRead => {}
            Step::Done(outcome) => return Ok(*outcome),
        }
    }
}

/// Checks that no container runs that uses a volume.
fn unused(running: &[RunningContainer], volume: &str) -> anyhow::Result<()> {
    let Some(container) = running.first() else {
        return Ok(());
    };
    bail!(
        "container {} runs and uses volume {volume}; stop it, so that it does not see half of the data",
        container.name
    )
}
