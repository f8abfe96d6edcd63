//! `dockfleet get`

use crate::args::{FileArgs, GetArgs};
use crate::exit::Exit;
use crate::standalone::{self, Engines, HostReport, Work};

/// Shows how everything that was applied stands now.
pub(crate) async fn run(args: GetArgs) -> anyhow::Result<Exit> {
    let files = if args.files.is_empty() {
        standalone::local(&args.state)?
    } else {
        let files = FileArgs {
            files: args.files,
            recursive: args.recursive,
            state: args.state,
        };
        let Some(files) = standalone::load(&files) else {
            return Ok(Exit::BadInput);
        };
        files
    };
    let Some(mut engines) = Engines::connect(&files).await else {
        return Ok(Exit::BadInput);
    };
    let summary = standalone::gather(files.targets.iter().map(|target| {
        let engine = engines.take(target);
        let work = async move {
            let rows = Work::look(target, engine).await?.standing().await?;
            Ok(HostReport {
                rows,
                ..HostReport::default()
            })
        };
        (target.name().to_owned(), work)
    }))
    .await;
    summary.print(args.output)?;
    Ok(summary.exit())
}
