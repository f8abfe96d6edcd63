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
    if args.prune && files.resources(Fate::Live).is_empty() {
        anstream::eprintln!(
            "error: no DockerNetwork or DockerVolume is in the files, so --prune would let go of \
             everything; use dockfleet delete for that"
        );
        return Ok(Exit::BadInput);
    }
    if args.dry_run {
        return diff::dry_run(&files, goal, args.output).await;
    }
    if args.prune && !args.yes && !confirmed(&files)? {
        return Ok(Exit::BadInput);
    }
    if args.watch {
        if args.files.files.iter().any(|f| f == "-") {
            anstream::eprintln!("error: standard input cannot be watched; name files or folders");
            return Ok(Exit::BadInput);
        }
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
fn confirmed(files: &Files) -> anyhow::Result<bool> {
    let mut lines = Vec::new();
    for target in &files.targets {
        lines.extend(standalone::prunable(target, files)?);
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
