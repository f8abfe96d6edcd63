//! `dockfleet diff`

use dockfleet_crds::EntryState;
use dockfleet_planner::assignment::Fate;

use crate::args::{DiffArgs, Output};
use crate::exit::Exit;
use crate::result::HostFailure;
use crate::standalone::{self, Change, Engines, Files, Goal, Prune, Work};

/// Shows what apply would change.
pub(crate) async fn run(args: DiffArgs) -> anyhow::Result<Exit> {
    let Some(files) = standalone::load(&args.files) else {
        return Ok(Exit::BadInput);
    };
    show(
        &files,
        &Goal {
            fate: Fate::Live,
            prune: if args.prune {
                Prune::All
            } else {
                Prune::Nothing
            },
        },
        args.output,
    )
    .await
}

/// Prints what would be done, for `--dry-run`: that there is something to do is no failure.
pub(super) async fn dry_run(files: &Files, goal: &Goal, output: Output) -> anyhow::Result<Exit> {
    Ok(match show(files, goal, output).await? {
        Exit::Changes => Exit::Ready,
        exit => exit,
    })
}

/// Prints what would be done on every host.
async fn show(files: &Files, goal: &Goal, output: Output) -> anyhow::Result<Exit> {
    let mut changes: Vec<Change> = Vec::new();
    let mut failures: Vec<HostFailure> = Vec::new();
    let Some(mut engines) = Engines::connect(files).await else {
        return Ok(Exit::BadInput);
    };
    for target in &files.targets {
        let engine = engines.take(target);
        let found = async { Work::look(target, engine).await?.preview(files, goal).await }.await;
        match found {
            Ok(found) => changes.extend(found),
            Err(err) => failures.push(HostFailure {
                host: target.name().to_owned(),
                message: format!("{err:#}"),
            }),
        }
    }
    let differs = |c: &Change| !c.action.is_empty() || c.row.state != EntryState::Ready;
    changes.retain(differs);
    match output {
        Output::Json => anstream::println!("{}", serde_json::to_string_pretty(&changes)?),
        Output::Yaml => anstream::print!("{}", serde_saphyr::to_string(&changes)?),
        // Nothing is known of a host that was not reached.
        Output::Table | Output::Wide if changes.is_empty() && !failures.is_empty() => {}
        Output::Table | Output::Wide => print(&changes),
    }
    for failure in &failures {
        anstream::eprintln!("error: host {}: {}", failure.host, failure.message);
    }
    Ok(if !failures.is_empty() {
        Exit::Failed
    } else if changes.iter().any(|c| !c.action.is_empty()) {
        Exit::Changes
    } else if changes.is_empty() {
        Exit::Ready
    } else {
        Exit::Failed
    })
}

fn print(changes: &[Change]) {
    if changes.is_empty() {
        anstream::println!("no change");
        return;
    }
    for Change { row, action } in changes {
        let (sign, style) = sign(action);
        let verb = if action.is_empty() {
            row.reason.as_ref().map_or("", |r| r.as_str())
        } else {
            action
        };
        let kind = row.kind.object();
        anstream::println!(
            "{style}{sign} {}: {verb} {kind} {}{style:#} ({}/{}){}",
            row.host,
            row.object,
            row.namespace,
            row.name,
            if row.message.is_empty() {
                String::new()
            } else {
                format!(": {}", row.message)
            },
        );
        for field in &row.diff {
            anstream::println!("    {field}");
        }
    }
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
