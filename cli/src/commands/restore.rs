//! `dockfleet restore`

use anyhow::bail;
use dockfleet_agent::volume_data;
use dockfleet_vault::{Filter, Outcome, Request, Restore, Task};

use super::repository;
use crate::args::backup::RestoreArgs;
use crate::exit::Exit;
use crate::standalone;

/// Writes a backup into an empty volume of this host.
pub(crate) async fn run(args: RestoreArgs) -> anyhow::Result<Exit> {
    let password = repository::password(&args.password.password_file)?;
    let engine = standalone::local_engine().await?;
    let target = args.to_volume.unwrap_or_else(|| args.volume.clone());
    let data = volume_data::find_or_create(&engine, &target).await?;
    if let Some(container) = data.running.first() {
        bail!(
            "container {container} runs and uses volume {target}; stop it, so that it does not see half of the data"
        );
    }
    let request = Request {
        repository: args.from,
        password,
        create: false,
        task: Task::Restore(Restore {
            snapshot: args.snapshot,
            filter: Filter {
                host: args.host,
                volume: Some(args.volume),
            },
            folder: data.folder,
        }),
    };
    let outcome = repository::run(&request).await;
    let Outcome::Restore(done) = outcome.map_err(|err| err.context(format!("volume {target}")))?
    else {
        bail!("the job answered another question");
    };
    let header = "SNAPSHOT\tVOLUME\tTO\tFILES\tSIZE";
    repository::print(args.output, std::slice::from_ref(&done), header, |done| {
        format!(
            "{}\t{}\t{target}\t{}\t{}",
            done.snapshot.short_id(),
            done.snapshot.volume,
            done.written.files,
            repository::size(done.written.bytes)
        )
    })?;
    repository::warn(&done.problems, "restored as they were");
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
