//! A process that lets containers run again, should the backup that paused or stopped them be killed.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use dockfleet_agent::interruption;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::STATE_DIR;
use crate::args::backup::GuardArgs;
use crate::commands::store_access;
use crate::exit::Exit;
use crate::standalone;

/// How often an engine that does not answer is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How often in all: an engine that is being upgraded is back by then.
const TRIES: u32 = 120;

/// A guard that runs. It sees when this process ends, or drops it. Then it ends too, as soon as nothing is left to do:
/// an engine that does not answer now may do so in some minutes.
#[derive(Debug)]
pub(super) struct Guard(#[expect(dead_code, reason = "its standard input is what matters")] Child);

impl Guard {
    /// Starts the guard of a backup.
    ///
    /// # Errors
    /// If it cannot be started; then no container must be touched.
    pub(super) fn start(folder: &Path, volume: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("backup-guard").arg(folder).arg(volume);
        command.env(STATE_DIR, folder);
        // It needs no secrets of a store.
        for name in store_access::VARIABLES {
            command.env_remove(name);
        }
        // What a terminal sends to the backup is not for its guard.
        command.process_group(0);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Ok(Self(
            child.context("the guard of the backup cannot be started")?,
        ))
    }
}

/// Waits for the end of the other side of standard input.
pub(crate) async fn run(args: GuardArgs) -> anyhow::Result<Exit> {
    // A service manager ends all processes of a service: this one has something to do then.
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ] {
        drop(signal(kind)?);
    }
    let mut nothing = Vec::new();
    // An error means the same as the end.
    let _ = std::io::stdin().read_to_end(&mut nothing);
    let target = standalone::local_target(&args.state)?;
    for _ in 0..TRIES {
        if let Ok(engine) = target.connect().await {
            let said = interruption::put_back_when_left(&engine, &args.folder, &args.volume).await;
            for sentence in &said {
                anstream::eprintln!("{sentence}");
            }
            if !interruption::is_left(&args.folder, &args.volume) {
                return Ok(Exit::Ready);
            }
        }
        tokio::time::sleep(RETRY).await;
    }
    Ok(Exit::Failed)
}
