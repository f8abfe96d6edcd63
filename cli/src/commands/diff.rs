//! `dockfleet diff`

use dockfleet_crds::FieldDiff;
use dockfleet_planner::assignment::Lifecycle;

use crate::args::{DiffArgs, Output};
use crate::exit::Exit;
use crate::result::{Document, Failure, Row};
use crate::standalone::{self, Change, Engines, Files, Goal, Prune, Work};

/// Shows what apply would change.
pub(crate) async fn run(args: DiffArgs) -> anyhow::Result<Exit> {
    let files = match standalone::load_to_apply(&args.files, args.output) {
        Ok(files) => files,
        Err(exit) => return Ok(exit),
    };
    let goal = Goal {
        lifecycle: Lifecycle::Live,
        prune: if args.prune {
            Prune::All
        } else {
            Prune::Nothing
        },
    };
    let found = match Found::on(&files, &goal, args.output).await {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    found.print(args.output)?;
    Ok(found.exit())
}

/// Prints what would be done, for `--dry-run`, and ends as doing it would, as far as can be known.
pub(super) async fn dry_run(files: &Files, goal: &Goal, output: Output) -> anyhow::Result<Exit> {
    let found = match Found::on(files, goal, output).await {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    found.print(output)?;
    Ok(found.exit_of_doing_it())
}

/// What would be done on every host.
struct Found {
    changes: Vec<Change>,
    failures: Vec<Failure>,
}

impl Found {
    async fn on(files: &Files, goal: &Goal, output: Output) -> Result<Self, Exit> {
        let mut engines = Engines::connect(files, output).await?;
        let looks = files.targets.iter().map(|target| {
            let engine = engines.take(target);
            let look = async move { Work::look(target, engine).await?.preview(files, goal).await };
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
        // What is as it is to be, or is not there as it is not to be, is no news.
        found
            .changes
            .retain(|c| !c.action.is_empty() || !c.row.is_fine());
        Ok(found)
    }

    fn print(&self, output: Output) -> anyhow::Result<()> {
        let document = Document {
            changed: Some(0),
            results: &self.changes,
            failures: &self.failures,
        };
        document.print(output)?;
        match output {
            Output::Json | Output::Yaml => {}
            // Nothing is known of a host that was not reached.
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

fn show(change: &Change) {
    let Change { row, action, .. } = change;
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

/// Returns the message without the fields that differ: each of them gets a line of its own.
fn without_fields(row: &Row) -> &str {
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
