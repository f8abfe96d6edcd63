//! `dockfleet delete`

use std::time::Duration;

use dockfleet_planner::assignment::Lifecycle;

use super::apply::Begin;
use super::diff;
use crate::args::DeleteArgs;
use crate::exit::Exit;
use crate::standalone::{self, CommandGoal, Prune};

/// Removes or releases the objects of the resources in the files, by their deletionPolicy.
pub(crate) async fn run(args: DeleteArgs) -> anyhow::Result<Exit> {
    let files = match standalone::load_to_delete(&args.files, args.output) {
        Ok(files) => files,
        Err(exit) => return Ok(exit),
    };
    let goal = CommandGoal {
        lifecycle: Lifecycle::Deleted,
        prune: Prune::Nothing,
    };
    if args.dry_run {
        return diff::dry_run(files, &goal, args.output).await;
    }
    let begin = Begin {
        files,
        goal: &goal,
        patience: args.lock.lock_timeout,
        wait: if args.wait {
            args.timeout
        } else {
            Duration::ZERO
        },
    };
    begin.everywhere(args.output).await
}
