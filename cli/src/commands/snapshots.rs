//! `dockfleet snapshots`

use dockfleet_vault::{Filter, Outcome, Task};

use super::vault::{self, OpenRepository};
use crate::args::backup::SnapshotsArgs;
use crate::exit::Exit;

/// Lists the backups in a repository. No engine is needed.
pub(crate) async fn run(args: SnapshotsArgs) -> anyhow::Result<Exit> {
    let repository = OpenRepository::open(args.from, &args.password, false, "").await?;
    let task = Task::List(Filter {
        host: args.host,
        volume: args.volume,
    });
    let Outcome::List(all) = repository.ask(task).await? else {
        return vault::another();
    };
    let header = "SNAPSHOT\tTIME\tHOST\tVOLUME\tFILES\tSIZE\tADDED\tSTATE";
    vault::print(args.output, &all, header, |snapshot| {
        format!(
            "{}\t{:.0}\t{}\t{}\t{}\t{}\t{}\t{}",
            snapshot.short_id(),
            snapshot.time,
            vault::shown(&snapshot.host),
            vault::shown(&snapshot.volume),
            snapshot.files,
            vault::size(snapshot.bytes),
            vault::size(snapshot.added),
            vault::state(snapshot)
        )
    })?;
    Ok(Exit::Ready)
}
