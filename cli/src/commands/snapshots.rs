//! `dockfleet snapshots`

use anyhow::bail;
use dockfleet_vault::{Filter, Outcome, Request, Task};

use super::repository;
use crate::args::backup::SnapshotsArgs;
use crate::exit::Exit;

/// Lists the backups in a repository. No engine is needed.
pub(crate) async fn run(args: SnapshotsArgs) -> anyhow::Result<Exit> {
    let request = Request {
        repository: args.from,
        password: repository::password(&args.password.password_file)?,
        create: false,
        task: Task::List(Filter {
            host: args.host,
            volume: args.volume,
        }),
    };
    let Outcome::List(all) = repository::run(&request).await? else {
        bail!("the job answered another question");
    };
    let header = "SNAPSHOT\tTIME\tHOST\tVOLUME\tFILES\tSIZE\tADDED\tSTATE";
    repository::print(args.output, &all, header, |snapshot| {
        format!(
            "{}\t{:.0}\t{}\t{}\t{}\t{}\t{}\t{}",
            snapshot.short_id(),
            snapshot.time,
            snapshot.host,
            snapshot.volume,
            snapshot.files,
            repository::size(snapshot.bytes),
            repository::size(snapshot.added),
            repository::state(snapshot)
        )
    })?;
    Ok(Exit::Ready)
}
