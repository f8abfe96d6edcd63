//! `dockfleet backup`

use anyhow::{anyhow, bail};
use dockfleet_agent::volume_data;
use dockfleet_vault::{Backup, Outcome, Reason, Request, Task, VaultError};

use super::repository;
use crate::args::backup::BackupArgs;
use crate::exit::Exit;
use crate::standalone;

/// Backs up a volume of this host.
pub(crate) async fn run(args: BackupArgs) -> anyhow::Result<Exit> {
    let password = repository::password(&args.password.password_file)?;
    let engine = standalone::local_engine().await?;
    let data = volume_data::find(&engine, &args.volume).await?;
    let Some(host) = args.host.or_else(|| engine.facts().hostname.clone()) else {
        bail!("the engine does not tell the name of its host; give it with --host");
    };
    let request = Request {
        repository: args.to,
        password,
        create: args.create,
        task: Task::Backup(Backup {
            folder: data.folder,
            volume: args.volume,
            host,
            tags: Vec::new(),
            verify: args.verify.into(),
        }),
    };
    let outcome = repository::run(&request).await;
    let outcome = outcome.map_err(|err| match err.downcast_ref::<VaultError>() {
        Some(cause) if cause.reason == Reason::NoRepository => {
            anyhow!("{cause}; to create one, add --create")
        }
        _ => err,
    });
    let Outcome::Backup(made) = outcome? else {
        bail!("the job answered another question");
    };
    let header = "SNAPSHOT\tVOLUME\tFILES\tSIZE\tREAD\tADDED\tSTATE";
    repository::print(args.output, std::slice::from_ref(&made), header, |made| {
        let snapshot = &made.snapshot;
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}",
            snapshot.short_id(),
            snapshot.volume,
            snapshot.files,
            repository::size(snapshot.bytes),
            repository::size(made.read),
            repository::size(made.written),
            repository::state(snapshot)
        )
    })?;
    repository::warn(&made.problems, "read");
    Ok(if made.problems.is_empty() {
        Exit::Ready
    } else {
        Exit::Failed
    })
}
