//! Runs programs to their end and measures the time.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::fs::syncfs;

/// The result of a program that ran to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Time from its start to its end.
    pub(crate) wall: Duration,
    /// Its standard output.
    pub(crate) stdout: String,
}

/// Runs `command` without input to its end. It must exit with 0 within `limit`.
///
/// The program is started directly, without `timeout`: a millisecond is a lot for a program that
/// takes ten.
pub(crate) fn timed(command: &mut Command, limit: Duration) -> Result<Finished> {
    timed_with(command, limit, |_| {})
}

/// The same, and calls `on_start` with its process ID.
pub(crate) fn timed_with(
    command: &mut Command,
    limit: Duration,
    on_start: impl FnOnce(u32),
) -> Result<Finished> {
    let name = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let begin = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("could not run {name}"))?;
    let pid = child.id();
    on_start(pid);
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let output = child.wait_with_output();
        // A program that takes too long is killed.
        let _ = sender.send((output, begin.elapsed()));
    });
    let Ok((output, wall)) = receiver.recv_timeout(limit) else {
        // It was not waited for, so its id is still valid.
        Command::new("kill")
            .arg("-KILL")
            .arg(pid.to_string())
            .status()?;
        bail!("{name} took longer than {limit:?}");
    };
    let output = output?;
    ensure!(
        output.status.success(),
        "{name} failed ({})\n{}",
        output.status,
        said(&output)
    );
    Ok(Finished {
        wall,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
    })
}

/// Waits until earlier writes are on the disk. Otherwise a short measurement would include them.
pub(crate) fn written_back() -> Result<()> {
    let ended = Command::new("sync").status()?;
    ensure!(ended.success(), "sync: {ended}");
    Ok(())
}

/// The same for the file system of a folder only: what others write elsewhere is not waited for.
pub(crate) fn written_back_in(folder: &Path) -> Result<()> {
    Ok(syncfs(File::open(folder)?)?)
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
        .join("\n")
}
