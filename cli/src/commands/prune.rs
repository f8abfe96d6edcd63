//! `dockfleet prune`: unused volumes and networks that no resource manages. What `apply --prune` removes is another
//! thing: objects of resources that are no longer in the files.

use std::collections::BTreeMap;
use std::io::Write as _;

use dockfleet_crds::prune::{PruneMode, PrunedKind};
use dockfleet_planner::kinds::prune::DesiredPrune;
use serde::Serialize;
use tabwriter::TabWriter;

use super::question::{self, Answer};
use super::until_interrupted;
use crate::args::{FileArgs, Output, PruneArgs, PruneKind};
use crate::exit::Exit;
use crate::result::{Failure, OutputDocument, bad_input};
use crate::standalone::{self, Engines, Files, KeptRow, PruneGoal, UnusedObject, UnusedState};

/// One object of a host, for programs.
#[derive(Serialize)]
#[serde(untagged)]
enum Row<'a> {
    Unused(&'a UnusedObject),
    Kept(&'a KeptRow),
}

/// What was found and done on all hosts.
#[derive(Default)]
struct Found {
    unused: Vec<UnusedObject>,
    kept: Vec<KeptRow>,
    failures: Vec<Failure>,
}

/// Lists unused objects, asks, and removes them.
pub(crate) async fn run(args: PruneArgs) -> anyhow::Result<Exit> {
    let output = args.output;
    if output.is_for_programs() && !args.yes && !args.dry_run {
        let problem =
            "prune asks before it removes; add --dry-run or --yes to an output for programs";
        return Ok(bad_input(vec![problem.to_owned()], output));
    }
    let goal = goal(&args);
    let (is_dry, is_agreed) = (args.dry_run, args.yes);
    let files = match hosts(args) {
        Ok(files) => files,
        Err(exit) => return Ok(exit),
    };
    let mut engines = match Engines::connect(&files, output).await {
        Ok(engines) => engines,
        Err(exit) => return Ok(exit),
    };
    let mut found = Found::default();
    let mut braked = Vec::new();
    let looks = files.targets.iter().map(|target| {
        let look = target.unused(engines.take(target), &goal);
        (target.name().to_owned(), look)
    });
    for (host, report) in standalone::gather(looks).await {
        match report {
            Ok(report) => {
                braked.extend(report.braked.map(|why| format!("host {host}: {why}")));
                found.unused.extend(report.unused);
                found.kept.extend(report.kept);
            }
            Err(err) => found.failures.push(Failure::of_host(&host, &err)),
        }
    }
    if is_dry || found.unused.is_empty() {
        return found.print(output);
    }
    if is_agreed {
        if !braked.is_empty() {
            return Ok(bad_input(braked, output));
        }
    } else {
        found.print(output)?;
        match question::go_on()? {
            Answer::Yes => {}
            Answer::No => return Ok(Exit::BadInput),
            Answer::Nobody => {
                let problem = "prune asks before it removes; add --yes if there is no terminal";
                return Ok(bad_input(vec![problem.to_owned()], output));
            }
        }
    }
    found.remove(&files, &goal).await?;
    found.print(output)
}

/// Returns the hosts of files, or the local engine.
fn hosts(args: PruneArgs) -> Result<Files, Exit> {
    if args.files.is_empty() {
        return standalone::local(&args.state, args.output);
    }
    let files = FileArgs {
        files: args.files,
        recursive: args.recursive,
        state: args.state,
        extra: Vec::new(),
    };
    standalone::load(&files, args.output)
}

fn goal(args: &PruneArgs) -> PruneGoal {
    let kinds = match args.kind {
        None => vec![PrunedKind::Volume, PrunedKind::Network],
        Some(PruneKind::Volume) => vec![PrunedKind::Volume],
        Some(PruneKind::Network) => vec![PrunedKind::Network],
    };
    let seconds = args.min_unused_for.as_secs();
    let want = |kind| DesiredPrune {
        name: "dockfleet prune".to_owned(),
        kind,
        mode: PruneMode::Enforce,
        selector: args.selector.clone(),
        min_unused_for: i64::try_from(seconds).unwrap_or(i64::MAX),
        max_per_run: args.max_per_run.unwrap_or(usize::MAX),
        only_anonymous: kind == PrunedKind::Volume && args.only_anonymous,
        include_non_empty: args.include_non_empty,
        ..DesiredPrune::default()
    };
    PruneGoal {
        wants: kinds.into_iter().map(want).collect(),
        allowed: args.allow_removal.unwrap_or_default(),
        patience: args.lock.lock_timeout,
    }
}

impl Found {
    /// Removes what is listed, host by host at the same time.
    async fn remove(&mut self, files: &Files, goal: &PruneGoal) -> anyhow::Result<()> {
        let stop = until_interrupted()?;
        let mut by_host: BTreeMap<String, Vec<UnusedObject>> = BTreeMap::new();
        for row in std::mem::take(&mut self.unused) {
            by_host.entry(row.host.clone()).or_default().push(row);
        }
        let works = files.targets.iter().map(|target| {
            let listed = by_host.remove(target.name()).unwrap_or_default();
            let work = target.prune(None, goal, listed, &stop);
            (target.name().to_owned(), work)
        });
        for (host, rows) in standalone::gather(works).await {
            match rows {
                Ok(rows) => self.unused.extend(rows),
                Err(err) => self.failures.push(Failure::of_host(&host, &err)),
            }
        }
        Ok(())
    }

    fn count(&self, state: UnusedState) -> usize {
        self.unused.iter().filter(|row| row.state == state).count()
    }

    fn print(&self, output: Output) -> anyhow::Result<Exit> {
        match output {
            Output::Table => self.print_table(false)?,
            Output::Wide => self.print_table(true)?,
            Output::Json | Output::Yaml => {
                let unused = self.unused.iter().map(Row::Unused);
                let rows: Vec<Row<'_>> = unused.chain(self.kept.iter().map(Row::Kept)).collect();
                let document = OutputDocument {
                    changed: Some(self.count(UnusedState::Removed)),
                    results: &rows,
                    failures: &self.failures,
                };
                document.print(output)?;
            }
        }
        let is_fine = self.failures.is_empty() && self.count(UnusedState::Failed) == 0;
        Ok(if is_fine { Exit::Ready } else { Exit::Failed })
    }

    fn print_table(&self, wide: bool) -> anyhow::Result<()> {
        let mut table = TabWriter::new(Vec::new()).padding(3);
        let mut is_begun = false;
        let mut line = |cells: [&str; 6]| -> std::io::Result<()> {
            if !std::mem::replace(&mut is_begun, true) {
                writeln!(table, "HOST\tKIND\tNAME\tCREATED\tSTATE\tMESSAGE")?;
            }
            writeln!(table, "{}", cells.join("\t"))
        };
        for row in &self.unused {
            let created = row.object.created.as_deref().unwrap_or("-");
            let state = match row.state {
                UnusedState::Candidate => "Candidate",
                UnusedState::Removed => "Removed",
                UnusedState::Changed => "Changed",
                UnusedState::Failed => "Failed",
            };
            line([
                &row.host,
                row.kind,
                &row.object.name,
                created,
                state,
                &row.message,
            ])?;
        }
        for row in self.kept.iter().filter(|_| wide) {
            line([&row.host, row.kind, &row.name, "-", row.state, row.reason])?;
        }
        table.flush()?;
        let bytes = table.into_inner().map_err(|err| anyhow::anyhow!("{err}"))?;
        for text in String::from_utf8(bytes)?.lines() {
            anstream::println!("{}", text.trim_end());
        }
        for failure in &self.failures {
            anstream::eprintln!("error: {failure}");
        }
        anstream::println!("{}", self.sentence());
        Ok(())
    }

    /// Returns the last line, a summary.
    fn sentence(&self) -> String {
        let parts = [
            (self.count(UnusedState::Candidate), "unused"),
            (self.count(UnusedState::Removed), "removed"),
            (self.count(UnusedState::Changed), "changed meanwhile"),
            (self.count(UnusedState::Failed), "failed"),
            (self.kept.len(), "kept"),
            (self.failures.len(), "not reached"),
        ];
        let said = parts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = said.map(|(n, what)| format!("{n} {what}")).collect();
        if words.is_empty() {
            "nothing here".to_owned()
        } else {
            words.join(", ")
        }
    }
}
