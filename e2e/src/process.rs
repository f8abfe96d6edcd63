//! Child processes that end with their handle, and with the test process however that ends.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use crate::owned::{Folder, complain};
use crate::program;
use crate::wait::eventually;

/// How much of a log a failure shows, in bytes.
const TAIL: u64 = 16 * 1024;

/// A running program with a log file; dropping it kills it and waits until it is gone.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    child: Mutex<Child>,
    /// Holds the log of a process that was given no other place for it.
    _folder: Option<Folder>,
}

impl Process {
    /// Starts `command` and appends its standard output and error to the file `log`.
    ///
    /// The kernel kills it when this test process ends, even by SIGKILL.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        Self::start_with(command, log.to_owned(), None)
    }

    /// Starts `command` with a log in a folder of its own that goes with the handle.
    pub fn start_alone(command: &Command) -> Result<Self> {
        let folder = Folder::new()?;
        Self::start_with(command, folder.file("log"), Some(folder))
    }

    fn start_with(command: &Command, log: PathBuf, folder: Option<Folder>) -> Result<Self> {
        let name = Path::new(command.get_program())
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("could not open {}", log.display()))?;
        program::require("setpriv")?;
        // setpriv replaces itself by the program, so the pid is the program's own.
        let mut whole = program::behind(&["setpriv", "--pdeathsig", "KILL", "--"], command);
        whole
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = spawn(whole).with_context(|| format!("could not start {name}"))?;
        Ok(Self {
            name,
            pid: child.id(),
            log,
            child: Mutex::new(child),
            _folder: folder,
        })
    }

    /// Gives its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Says whether it still runs (a paused process does).
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none()
    }

    /// Gives how it ended; `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }

    /// Waits until it ends by itself.
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus> {
        eventually(&format!("the end of {}", self.name), timeout, || {
            self.exit_status().ok_or_else(|| "it still runs".into())
        })
        .with_context(|| format!("its log ends with:\n{}", self.log()))
    }

    /// Ends it by SIGKILL and waits until it is gone; nothing happens when it has ended before.
    pub fn kill(&self) -> Result<()> {
        let mut child = self.child();
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub fn terminate(&self, timeout: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        // A paused process would see the request only when it goes on.
        self.signal(Signal::CONT)?;
        self.wait(timeout)
    }

    /// Stops it in its tracks (SIGSTOP); it keeps its memory, connections and locks.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Gives the end of its log, at most 16 KiB.
    pub fn log(&self) -> String {
        tail(&self.log)
    }

    /// Gives the path of its log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Sends a signal while the process is known not to be reaped, so that its pid cannot be
    /// another's.
    fn signal(&self, signal: Signal) -> Result<()> {
        let mut child = self.child();
        if child.try_wait()?.is_none() {
            send(self.pid, signal)?;
        }
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        complain(self.kill());
    }
}

/// Sends `signal` to the process `pid`.
pub(crate) fn send(pid: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .with_context(|| format!("{pid} is no process id"))?;
    kill_process(id, signal).with_context(|| format!("could not signal process {pid}"))
}

/// Gives the end of a text file, and says so instead when it cannot be read.
pub(crate) fn tail(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("({}: {error})", path.display()))
}

struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// Starts `command` from a thread that lives as long as this process.
///
/// The kernel ties the parent's death to the *thread* that started a child: a child of a test's own
/// thread would die with that test although others share it.
fn spawn(command: Command) -> Result<Child> {
    static ORDERS: Mutex<Option<Sender<Order>>> = Mutex::new(None);
    let (reply, answer) = channel();
    {
        let mut orders = ORDERS.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &mut *orders {
            Some(sender) => sender,
            none => {
                let (sender, receiver) = channel();
                thread::Builder::new()
                    .name("spawner".into())
                    .spawn(move || carry_out(&receiver))?;
                none.insert(sender)
            }
        };
        sender
            .send(Order { command, reply })
            .map_err(|_| anyhow!("the spawner thread has ended"))?;
    }
    Ok(answer.recv()??)
}

fn carry_out(orders: &Receiver<Order>) {
    for Order { mut command, reply } in orders {
        // Whoever does not wait for the answer any more has no use for the child either.
        if let Err(unread) = reply.send(command.spawn())
            && let Ok(mut child) = unread.0
        {
            complain(child.kill().map_err(Into::into));
        }
    }
}
