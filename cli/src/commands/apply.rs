//! `dockfleet apply`

mod watch;

use std::io::{IsTerminal, Write};

use dockfleet_agent::pass::Progress;
use dockfleet_planner::assignment::Fate;

use tokio_util::sync::CancellationToken;

use crate::args::ApplyArgs;
use crate::commands::diff;
use crate::exit::Exit;
use crate::result::Summary;
use crate::standalone::{self, Engines, Files, Goal, Prunable, Prune, Work};

/// Makes the hosts as the files say.
pub(crate) async fn run(args: ApplyArgs) -> anyhow::Result<Exit> {
    let Some(files) = standalone::load(&args.files) else {
        return Ok(Exit::BadInput);
    };
    let mut goal = Goal {
        fate: Fate::Live,
        prune: if args.prune {
            Prune::All
        } else {
            Prune::Nothing
        },
    };
    if args.prune && files.resources(Fate::Live).is_empty() {
        anstream::eprintln!(
            "error: no DockerNetwork or DockerVolume is in the files, so --prune would let go of \
             everything; use dockfleet delete for that"
        );
        return Ok(Exit::BadInput);
    }
    if args.dry_run {
        return diff::dry_run(&files, &goal, args.output).await;
    }
    if args.prune && !args.yes {
        let Some(agreed) = agreed(&files)? else {
            return Ok(Exit::BadInput);
        };
        goal.prune = Prune::Agreed(agreed);
    }
    if args.watch {
        if args.files.paths().iter().any(|f| f.as_os_str() == "-") {
            anstream::eprintln!("error: standard input cannot be watched; name files or folders");
            return Ok(Exit::BadInput);
        }
        return watch::run(&args, files, goal).await;
    }
    let Some(mut summary) = apply(&files, &goal).await else {
        return Ok(Exit::BadInput);
    };
    summary.unselected = files.unselected().len();
    summary.print(args.output)?;
    Ok(summary.exit())
}

/// Works on every host of the files; on none, and there is no result, where two are one engine.
pub(super) async fn apply(files: &Files, goal: &Goal) -> Option<Summary> {
    let never = &CancellationToken::new();
    let mut engines = Engines::connect(files).await?;
    let works = files.targets.iter().map(|target| {
        let engine = engines.take(target);
        let work = async move {
            Work::begin(target, engine)
                .await?
                .apply(files, goal, &mut |p| show(target.name(), p), never)
                .await
        };
        (target.name().to_owned(), work)
    });
    Some(standalone::gather(works).await)
}

/// Shows what is being done, to a person and not to a log file.
pub(super) fn show(host: &str, progress: &Progress) {
    if std::io::stderr().is_terminal() {
        anstream::eprintln!("{host}: {progress}");
    }
}

/// Asks before anything is let go of, and returns what a person agreed to. Without a terminal nobody
/// can answer.
fn agreed(files: &Files) -> anyhow::Result<Option<Vec<Prunable>>> {
    let mut shown = standalone::prunable(files)?;
    while !shown.is_empty() {
        anstream::eprintln!("not in the files any more, to be let go of (deletionPolicy):");
        for what in &shown {
            anstream::eprintln!("  {}", what.line);
        }
        if !std::io::stdin().is_terminal() {
            anstream::eprintln!(
                "error: --prune asks before it removes; add --yes where nobody can answer"
            );
            return Ok(None);
        }
        anstream::eprint!("go on? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(None);
        }
        // Somebody may have applied other files while the question stood there.
        let now = standalone::prunable(files)?;
        if now == shown {
            break;
        }
        anstream::eprintln!("that changed meanwhile.");
        shown = now;
    }
    Ok(Some(shown))
}
