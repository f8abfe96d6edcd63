//! What the commands for backups share: an open repository, the progress of a job, and tables.

use std::fs;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::Path;

use anyhow::{Context as _, bail};
use bytesize::ByteSize;
use dockfleet_vault::{
    Access, Address, Event, Job, Outcome, Problems, Progress, Request, Secret, Snapshot, Task,
};
use tabwriter::TabWriter;

use super::store_access;
use crate::args::Output;
use crate::args::backup::PasswordArgs;
use crate::result::OutputDocument;

/// A repository that was opened.
#[derive(Debug)]
pub(super) struct OpenRepository {
    address: Address,
    access: Access,
    secret: Secret,
    host: String,
}

impl OpenRepository {
    /// Opens a repository; with `create`, an empty folder gets one first. `host` is the name of this host, for others
    /// that wait for it.
    pub(super) async fn open(
        address: Address,
        password: &PasswordArgs,
        create: bool,
        host: &str,
    ) -> anyhow::Result<Self> {
        let access = store_access::read(&password.store, &address)?;
        let password = read_password(&password.password_file)?;
        let request = Request {
            repository: address,
            access,
            secret: Secret::Password(password),
            create,
            host: host.to_owned(),
            task: Task::Open,
        };
        let Outcome::Opened(secret) = run(&request, async || {}).await? else {
            return another();
        };
        Ok(Self {
            address: request.repository,
            access: request.access,
            secret,
            host: request.host,
        })
    }

    /// Does a task, and shows its progress on a terminal.
    pub(super) async fn ask(&self, task: Task) -> anyhow::Result<Outcome> {
        self.ask_and(task, async || {}).await
    }

    /// Does a backup as [`OpenRepository::ask`] does. When all files are read, `on_source_read` is called.
    pub(super) async fn ask_and(
        &self,
        task: Task,
        on_source_read: impl AsyncFnMut(),
    ) -> anyhow::Result<Outcome> {
        let request = Request {
            repository: self.address.clone(),
            access: self.access.clone(),
            secret: self.secret.clone(),
            create: false,
            host: self.host.clone(),
            task,
        };
        run(&request, on_source_read).await
    }
}

/// An outcome of another task is a bug.
pub(super) fn another<T>() -> anyhow::Result<T> {
    bail!("the process of the job answered another question; please report it")
}

/// Reads a password from the first line of a file.
pub(super) fn read_password(file: &Path) -> anyhow::Result<String> {
    let unread = || format!("the password cannot be read from {}", file.display());
    let text = fs::read_to_string(file).with_context(unread)?;
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("{}: its first line is empty", unread());
    }
    Ok(password.to_owned())
}

async fn run(request: &Request, mut on_source_read: impl AsyncFnMut()) -> anyhow::Result<Outcome> {
    let mut job = Job::start(request).await?;
    let shows = stderr().is_terminal();
    let ended = loop {
        match job.next().await {
            Ok(Event::Progress(progress)) if shows => show(progress),
            Ok(Event::Waits(who)) => anstream::eprintln!("waiting: {who} in this repository"),
            Ok(Event::SourceRead) => on_source_read().await,
            Ok(Event::Done(outcome)) => break Ok(outcome),
            Ok(Event::Progress(_) | Event::Failed(_)) => {}
            Err(err) => break Err(err),
        }
    };
    if shows {
        anstream::eprint!("\r\x1b[K");
    }
    Ok(ended?)
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
