//! `dockfleet apply`

mod watch;

use std::io::{IsTerminal, Write};

use dockfleet_agent::pass::Progress;
use dockfleet_planner::assignment::Fate;

use crate::args::ApplyArgs;
use crate::commands::diff;
use crate::exit::Exit;
use crate::result::Summary;
use crate::standalone::{self, Files, Goal, Work};

/// Makes the hosts as the files say.
pub(crate) async fn run(args: ApplyArgs) -> anyhow::Result<Exit> {
    let Some(files) = standalone::load(&args.files) else {
        return Ok(Exit::BadInput);
    };
    let goal = Goal {
        fate: Fate::Live,
        prune: args.prune,
    };
    if args.dry_run {
        diff::show(&files, goal, args.output).await?;
        return Ok(Exit::Ready);
    }
    if args.prune && !args.yes && !confirmed(&files).await? {
        return Ok(Exit::BadInput);
    }
    if args.watch {
        return watch::run(&args, files, goal).await;
    }
    let summary = apply(&files, goal).await;
    summary.print(args.output)?;
    Ok(summary.exit())
}

/// Works on every host of the files.
pub(super) async fn apply(files: &Files, goal: Goal) -> Summary {
    standalone::gather(files.targets.iter().map(|target| {
        let work = async move {
            Work::begin(target)
                .await?
                .apply(files, goal, &mut |p| show(target.name(), p))
                .await
        };
        (target.name().to_owned(), work)
    }))
    .await
}

/// Shows what is being done, to a person and not to a log file.
fn show(host: &str, progress: &Progress) {
    if std::io::stderr().is_terminal() {
        anstream::eprintln!("{host}: {progress}");
    }
}

/// Asks before anything is let go of. Without a terminal nobody can answer.
async fn confirmed(files: &Files) -> anyhow::Result<bool> {
    let mut lines = Vec::new();
    for target in &files.targets {
        lines.extend(Work::look(target).await?.prunable(files));
    }
    if lines.is_empty() {
        return Ok(true);
    }
    anstream::eprintln!("not in the files any more, to be let go of (deletionPolicy):");
    for line in &lines {
        anstream::eprintln!("  {line}");
    }
    if !std::io::stdin().is_terminal() {
        anstream::eprintln!(
            "error: --prune asks before it removes; add --yes where nobody can answer"
        );
        return Ok(false);
    }
    anstream::eprint!("go on? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
