//! `dockfleet restore`

use anyhow::bail;
use dockfleet_agent::volume_data;
use dockfleet_vault::{Filter, LATEST, Outcome, Restore, Snapshot, Task};

use super::vault::{self, OpenRepository};
use crate::args::StateArgs;
use crate::args::backup::RestoreArgs;
use crate::exit::Exit;
use crate::standalone;

/// Writes a backup into an empty volume of this host.
pub(crate) async fn run(args: RestoreArgs) -> anyhow::Result<Exit> {
    let engine = standalone::local_target(&StateArgs::default())?
        .connect()
        .await?;
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
    let data = volume_data::find_or_create(&engine, &target).await?;
    if let Some(container) = data.running.first() {
        bail!(
            "container {} runs and uses volume {target}; stop it, so that it does not see half of the data",
            container.name
        );
    }
    let task = Task::Restore(Restore {
        snapshot: args.snapshot,
        filter,
        folder: data.folder,
    });
    let outcome = repository.ask(task).await;
    let outcome = outcome.map_err(|err| err.context(format!("volume {target}")))?;
    let Outcome::Restore(done) = outcome else {
        return vault::another();
    };
    let header = "SNAPSHOT\tHOST\tVOLUME\tTO\tFILES\tSIZE";
    vault::print(args.output, std::slice::from_ref(&done), header, |done| {
        format!(
            "{}\t{}\t{}\t{target}\t{}\t{}",
            done.snapshot.short_id(),
            done.snapshot.host,
            done.snapshot.volume,
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
