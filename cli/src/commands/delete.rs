//! `dockfleet delete`

use dockfleet_planner::assignment::Fate;

use super::{apply, diff};
use crate::args::DeleteArgs;
use crate::exit::Exit;
use crate::standalone::{self, Goal, Prune};

/// Lets go of what the files say, each by its deletionPolicy.
pub(crate) async fn run(args: DeleteArgs) -> anyhow::Result<Exit> {
    let Some(files) = standalone::load(&args.files) else {
        return Ok(Exit::BadInput);
    };
    let goal = Goal {
        fate: Fate::Deleted,
        prune: Prune::Nothing,
    };
    if args.dry_run {
        return diff::dry_run(&files, &goal, args.output).await;
    }
    let Some(summary) = apply::apply(&files, &goal).await else {
        return Ok(Exit::BadInput);
    };
    summary.print(args.output)?;
    Ok(summary.exit())
}
