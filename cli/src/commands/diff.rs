//! `dockfleet diff`

use dockfleet_crds::FieldDiff;
use dockfleet_planner::assignment::Lifecycle;

use crate::args::{DiffArgs, Output};
use crate::exit::Exit;
use crate::result::{Failure, OutputDocument, ResultRow};
use crate::standalone::{self, CommandGoal, Engines, Files, HostSession, PlannedChange, Prune};

/// Shows what apply would change.
pub(crate) async fn run(args: DiffArgs) -> anyhow::Result<Exit> {
    let files = match standalone::load_to_apply(&args.files, args.output) {
        Ok(files) => files,
        Err(exit) => return Ok(exit),
    };
    let goal = CommandGoal {
        lifecycle: Lifecycle::Live,
        prune: if args.prune {
            Prune::All
        } else {
            Prune::Nothing
        },
    };
    let found = match DiffResult::on(files, &goal, args.output).await {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    found.print(args.output)?;
    Ok(found.exit())
}

/// Prints what would be done, for `--dry-run`. The exit code is that of the real command, as far as
/// it can be known.
pub(super) async fn dry_run(
    files: Files,
    goal: &CommandGoal,
    output: Output,
) -> anyhow::Result<Exit> {
    let found = match DiffResult::on(files, goal, output).await {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    found.print(output)?;
    Ok(found.exit_of_doing_it())
}

/// The planned changes on all hosts.
struct DiffResult {
    changes: Vec<PlannedChange>,
    failures: Vec<Failure>,
}

impl DiffResult {
    async fn on(mut files: Files, goal: &CommandGoal, output: Output) -> Result<Self, Exit> {
        files.assume_next();
        let files = &files;
        let mut engines = Engines::connect(files, output).await?;
        let looks = files.targets.iter().map(|target| {
            let engine = engines.take(target);
            let look = async move {
                HostSession::open_to_read(target, engine)
                    .await?
                    .preview(files, goal)
                    .await
            };
            (target.name().to_owned(), look)
        });
        let mut found = Self {
            changes: Vec::new(),
            failures: Vec::new(),
        };
        for (host, result) in standalone::gather(looks).await {
            match result {
                Ok(changes) => found.changes.extend(changes),
                Err(err) => found.failures.push(Failure::of_host(&host, &err)),
            }
        }
        // Objects that match, and tombstones that are completed, are not listed.
        found
            .changes
            .retain(|c| !c.action.is_empty() || !c.row.is_fine());
        Ok(found)
    }

    fn print(&self, output: Output) -> anyhow::Result<()> {
        let document = OutputDocument {
            changed: Some(0),
            results: &self.changes,
            failures: &self.failures,
        };
        document.print(output)?;
        match output {
            Output::Json | Output::Yaml => {}
            // The changes of a host that was not reached are unknown.
            Output::Table | Output::Wide if self.changes.is_empty() => {
                if self.failures.is_empty() {
                    anstream::println!("no change");
                }
            }
            Output::Table | Output::Wide => {
                for change in &self.changes {
                    show(change);
                }
            }
        }
        for failure in &self.failures {
            anstream::eprintln!("error: {failure}");
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        if !self.failures.is_empty() {
            Exit::Failed
        } else if self.changes.iter().any(|c| !c.action.is_empty()) {
            Exit::Changes
        } else if self.changes.is_empty() {
            Exit::Ready
        } else {
            Exit::Failed
        }
    }

    fn exit_of_doing_it(&self) -> Exit {
        if self.failures.is_empty() && !self.changes.iter().any(|c| c.fails) {
            Exit::Ready
        } else {
            Exit::Failed
        }
    }
}

fn show(change: &PlannedChange) {
    let PlannedChange { row, action, .. } = change;
    let (sign, style) = sign(action);
    let verb = if action.is_empty() {
        row.reason.as_ref().map_or("", |r| r.as_str())
    } else {
        action
    };
    let kind = row.kind.object();
    let message = without_fields(row);
    anstream::println!(
        "{style}{sign} {}: {verb} {kind} {}{style:#} ({}/{}){}{message}",
        row.host,
        row.object,
        row.namespace,
        row.name,
        if message.is_empty() { "" } else { ": " },
    );
    for field in &row.diff {
        anstream::println!("    {field}");
    }
}

/// Returns the message without the fields that differ: each of them is printed on its own line.
fn without_fields(row: &ResultRow) -> &str {
    let first = row.diff.first().map(FieldDiff::to_string);
    first
        .and_then(|first| row.message.split_once(&format!(": {first}")))
        .map_or(row.message.as_str(), |(before, _)| before)
}

fn sign(action: &str) -> (char, anstyle::Style) {
    use anstyle::AnsiColor;
    match action {
        "create" => ('+', AnsiColor::Green.on_default()),
        "remove" => ('-', AnsiColor::Red.on_default()),
        "replace" => ('~', AnsiColor::Yellow.on_default()),
        "adopt" | "retain" => ('=', AnsiColor::Cyan.on_default()),
        _ => ('!', AnsiColor::Red.on_default()),
    }
}
