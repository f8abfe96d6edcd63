//! What the commands for backups share: the password, a job with its progress, and tables.

use std::fs;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::Path;

use anyhow::{Context as _, bail};
use bytesize::ByteSize;
use dockfleet_vault::{Job, Outcome, Problems, Progress, Request, Snapshot};
use tabwriter::TabWriter;

use crate::args::Output;
use crate::result::OutputDocument;

/// Reads the password of a repository.
pub(super) fn password(file: &Path) -> anyhow::Result<String> {
    let unread = || format!("the password cannot be read from {}", file.display());
    let text = fs::read_to_string(file).with_context(unread)?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("{}: its first line is empty", unread());
    }
    Ok(password.to_owned())
}

/// Runs a job, and shows its progress on a terminal.
pub(super) async fn run(request: &Request) -> anyhow::Result<Outcome> {
    let job = Job::start(request).await?;
    let shows = stderr().is_terminal();
    let outcome = job.wait(|progress| {
        if shows {
            show(progress);
        }
    });
    let outcome = outcome.await;
    if shows {
        anstream::eprint!("\r\x1b[K");
    }
    Ok(outcome?)
}

fn show(progress: Progress) {
    anstream::eprint!(
        "\r\x1b[K{} files, {}, of which {} moved",
        progress.files,
        size(progress.bytes),
        size(progress.moved)
    );
    // A terminal that is gone shows nothing.
    let _ = stderr().flush();
}

/// Returns a number of bytes as people write it.
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().si().to_string()
}

/// Prints results: as a table, or for programs.
pub(super) fn print<R: serde::Serialize>(
    output: Output,
    results: &[R],
    header: &str,
    row: impl Fn(&R) -> String,
) -> anyhow::Result<()> {
    if output.is_for_programs() {
        let document = OutputDocument {
            changed: None,
            results,
            failures: &[],
        };
        return document.print(output);
    }
    let mut table = TabWriter::new(Vec::new()).padding(3);
    writeln!(table, "{header}")?;
    for result in results {
        writeln!(table, "{}", row(result))?;
    }
    let bytes = table.into_inner().map_err(|err| anyhow::anyhow!("{err}"))?;
    anstream::print!("{}", String::from_utf8(bytes)?);
    Ok(())
}

/// Prints what a job could not do with single files.
pub(super) fn warn(problems: &Problems, doing: &str) {
    if problems.failed > 0 {
        anstream::eprintln!("warning: {} files could not be {doing}", problems.failed);
    }
    if problems.changed > 0 {
        anstream::eprintln!(
            "warning: {} files changed while they were read",
            problems.changed
        );
    }
    for problem in &problems.first {
        anstream::eprintln!("  {problem}");
    }
}

/// Returns whether a snapshot is whole and was checked.
pub(super) fn state(snapshot: &Snapshot) -> &'static str {
    match (snapshot.partial, snapshot.verified) {
        (true, _) => "Partial",
        (false, true) => "Verified",
        (false, false) => "Complete",
    }
}
