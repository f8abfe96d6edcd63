//! The server of a store: with its sessions, which are processes of their own where it is an ssh
//! server.

use std::fs;
use std::net::{SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use crate::fleet::Fleet;
use crate::owned::complain;
use crate::process::{Process, send, tail};
use crate::server::when_ready;
use crate::wait::eventually;

/// How long a probe may wait for a server that does not answer, and the kernel for one that ends or
/// halts.
const PROBE: Duration = Duration::from_secs(5);

/// A server that can be started as often as it takes; dropping it ends it.
#[derive(Debug)]
pub(super) struct Server {
    process: Mutex<Option<Process>>,
    command: Command,
    socket: SocketAddrV4,
    log: PathBuf,
    /// Keeps the bridge that it listens on.
    _fleet: Option<Fleet>,
}

impl Server {
    /// Starts `command`, which listens at `socket`.
    pub(super) fn start(
        command: Command,
        socket: SocketAddrV4,
        log: PathBuf,
        fleet: Option<Fleet>,
    ) -> Result<Self> {
        let server = Self {
            process: Mutex::default(),
            command,
            socket,
            log,
            _fleet: fleet,
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it when it does not run, and waits until it takes connections.
    pub(super) fn start_again(&self) -> Result<()> {
        let mut process = self.process();
        if process.is_none() {
            let started = Process::start(&self.command, &self.log)?;
            let ready = when_ready("the store", started, || {
                Ok(TcpStream::connect_timeout(&self.socket.into(), PROBE)?)
            });
            *process = Some(ready?);
        }
        Ok(())
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::pid)
    }

    /// Kills it with all its sessions, and waits until they are gone.
    pub(super) fn kill(&self) -> Result<()> {
        let process = self.process().take().context("the store does not run")?;
        let family = family(process.pid(), |_| Ok(()))?;
        process.kill()?;
        eventually("the end of the store", PROBE, || {
            let mut left = family.iter().map(|pid| format!("/proc/{pid}"));
            left.find(|path| Path::new(path).exists())
                .map_or(Ok(()), Err)
        })
    }

    /// Stops it and its sessions in their tracks.
    pub(super) fn pause(&self) -> Result<()> {
        self.each(|pid| {
            send(pid, Signal::STOP)?;
            // Until then it may answer, or start a session.
            eventually("the halt of the store", PROBE, || is_halted(pid))
        })
    }

    /// Lets them go on.
    pub(super) fn resume(&self) -> Result<()> {
        self.each(|pid| send(pid, Signal::CONT))
    }

    pub(super) fn log(&self) -> String {
        tail(&self.log)
    }

    fn each(&self, act: impl FnMut(u32) -> Result<()>) -> Result<()> {
        let process = self.process();
        let process = process.as_ref().context("the store does not run")?;
        family(process.pid(), act).map(drop)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.pid().is_some() {
            complain(self.kill());
        }
    }
}

/// Acts on a process and then on those that it has started; gives them all.
fn family(pid: u32, mut act: impl FnMut(u32) -> Result<()>) -> Result<Vec<u32>> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(&pid) = all.get(next) {
        act(pid)?;
        // One that has ended has none.
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        all.extend(children.split_whitespace().flat_map(str::parse::<u32>));
        next += 1;
    }
    Ok(all)
}

/// Succeeds when all threads of a process are stopped.
fn is_halted(pid: u32) -> Result<(), String> {
    // What has ended is as good.
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Ok(());
    };
    for task in tasks.flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in brackets and may have some in it.
        let state = stat.rsplit_once(") ").map_or("T", |(_, rest)| rest);
        if !state.starts_with(['T', 'Z', 'X']) {
            return Err(stat);
        }
    }
    Ok(())
}
