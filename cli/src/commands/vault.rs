//! What the commands for backups share: an open repository, the progress of a job, and tables.

use std::fs;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytesize::ByteSize;
use dockfleet_vault::{
    Access, Address, Event, Job, Outcome, Problems, Progress, Request, Secret, Snapshot, Task,
    Waits,
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
    lock_wait: Duration,
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
        dockfleet_vault::process::protect();
        let access = store_access::read(&password.store, &address)?;
        let lock_wait = password.store.lock_wait;
        let password = read_password(&password.password_file)?;
        let request = Request {
            repository: address,
            access,
            secret: Secret::Password(password),
            create,
            host: host.to_owned(),
            task: Task::Open,
        };
        let task = RunningTask::start(&request, waits(false, lock_wait)).await?;
        let Outcome::Opened(secret) = task.end().await? else {
            return another();
        };
        Ok(Self {
            address: request.repository,
            access: request.access,
            secret,
            host: request.host,
            lock_wait,
        })
    }

    /// Does a task, and shows its progress on a terminal.
    pub(super) async fn ask(&self, task: Task) -> anyhow::Result<Outcome> {
        self.start(task, false).await?.end().await
    }

    /// Starts a task. If it `stops`, it waits for [`RunningTask::go`] before it reads or writes a volume.
    pub(super) async fn start(&self, task: Task, stops: bool) -> anyhow::Result<RunningTask> {
        let request = Request {
            repository: self.address.clone(),
            access: self.access.clone(),
            secret: self.secret.clone(),
            create: false,
            host: self.host.clone(),
            task,
        };
        RunningTask::start(&request, waits(stops, self.lock_wait)).await
    }
}

fn waits(go: bool, lock: Duration) -> Waits {
    Waits {
        go,
        lock: Some(lock),
    }
}

/// A step of a task.
#[derive(Debug)]
pub(super) enum Step {
    /// It waits for [`RunningTask::go`].
    Ready,
    /// All files of the volume are read.
    SourceRead,
    /// The end.
    Done(Box<Outcome>),
}

/// A task that runs. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct RunningTask {
    job: Job,
    /// Whether its progress is shown.
    shows: bool,
}

impl RunningTask {
    async fn start(request: &Request, waits: Waits) -> anyhow::Result<Self> {
        Ok(Self {
            job: Job::start_with(request, waits).await?,
            shows: stderr().is_terminal(),
        })
    }

    /// Returns its next step, and shows what it says before. If the call is dropped, no step is lost.
    pub(super) async fn next(&mut self) -> anyhow::Result<Step> {
        loop {
            match self.job.next().await? {
                Event::Progress(progress) if self.shows => show(progress),
                Event::Waits(who) => {
                    self.clear();
                    anstream::eprintln!("waiting: {who}");
                }
                Event::Ready => return Ok(Step::Ready),
                Event::SourceRead => return Ok(Step::SourceRead),
                Event::Done(outcome) => return Ok(Step::Done(Box::new(outcome))),
                Event::Progress(_) | Event::Failed(_) => {}
            }
        }
    }

    /// Lets a task go on that is ready.
    pub(super) async fn go(&mut self) -> anyhow::Result<()> {
        Ok(self.job.go().await?)
    }

    /// Returns its outcome. It waits for nothing before.
    async fn end(mut self) -> anyhow::Result<Outcome> {
        loop {
            match self.next().await? {
                Step::Done(outcome) => return Ok(*outcome),
                Step::Ready => self.go().await?,
                Step::SourceRead => {}
            }
        }
    }

    fn clear(&self) {
        if self.shows {
            anstream::eprint!("\r\x1b[K");
        }
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.clear();
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

/// Returns a text of a repository for a table: everybody who has its password may have written it.
pub(super) fn shown(text: &str) -> String {
    text.escape_debug().to_string()
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
