//! Programs run to their end against the clock.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// What a program that ran to its end has left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// From just before its start until it was gone.
    pub(crate) wall: Duration,
    /// Its standard output.
    pub(crate) stdout: String,
}

/// Runs `command` without input to its end. Anything but an exit with 0 within `limit` is an error.
///
/// Nothing stands between the clock and the program, not even `timeout`: a millisecond is much for
/// one that takes ten.
pub(crate) fn timed(command: &mut Command, limit: Duration) -> Result<Finished> {
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
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let output = child.wait_with_output();
        // Nobody waits for a program that took too long.
        let _ = sender.send((output, begin.elapsed()));
    });
    let Ok((output, wall)) = receiver.recv_timeout(limit) else {
        // It has not been waited for, so the id is still its own.
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

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
        .join("\n")
}
