//! The process of a job, and the other side of it.
//!
//! Each job is a process of its own: the library panics in places, cannot be cancelled, and its memory goes back
//! when the process ends. Request and events are lines of JSON in pipes. The process ends when its standard input
//! does, so it never outlives the agent or command that started it.

use std::borrow::Cow;
use std::io::{self, BufRead as _, Write};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::error::{Reason, VaultError};
use crate::job::{Event, Outcome, Request, Secret, Task, Waits};
use crate::lock::{Lock, Mode, Times};
use crate::repository::Creator;
use crate::tally::{Progress, Tally};
use crate::{backup, maintenance, repository, restore, snapshot, store};

/// The argument that makes the program the process of a job.
pub const ARGUMENT: &str = "backup-job";
/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(500);
/// CPUs of a job: the memory of the library grows with their number.
const CPUS: usize = 2;
/// A backup is never more important than what the host is for.
const NICE: i32 = 10;

/// The line that lets a job go on.
const GO: &[u8] = b"go\n";

/// The first line that the process of a job gets.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order<'a> {
    pub(crate) request: Cow<'a, Request>,
    pub(crate) waits: Waits,
}

/// Runs the process of a job: reads the request from standard input, writes events to standard output.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let text = format!("stopped by a bug in the program; please report it: {panic}");
        say(&Event::Failed(VaultError::new(Reason::Internal, text)));
        std::process::exit(1);
    }));
    limit();
    let mut line = String::new();
    let order = io::stdin()
        .lock()
        .read_line(&mut line)
        .ok()
        .and_then(|_| serde_json::from_str::<Order<'_>>(&line).ok());
    let Some(order) = order else {
        let text = "this command is for dockfleet itself; see `dockfleet backup --help`";
        say(&Event::Failed(VaultError::new(Reason::Internal, text)));
        return ExitCode::FAILURE;
    };
    let go = end_with_standard_input();
    let tally = Arc::new(Tally::default());
    let done = with_progress(&tally, || run(&order, &tally, &go));
    match done {
        Ok(outcome) => {
            say(&Event::Done(outcome));
            ExitCode::SUCCESS
        }
        Err(err) => {
            say(&Event::Failed(err));
            ExitCode::FAILURE
        }
    }
}

/// Does what a request asks for. `go` has the permissions to go on.
pub(crate) fn run(
    order: &Order<'_>,
    tally: &Arc<Tally>,
    go: &Receiver<()>,
) -> Result<Outcome, VaultError> {
    let (request, waits) = (&*order.request, order.waits);
    let purpose = request.task.purpose();
    let store = store::open(&request.repository, &request.access, purpose)?;
    let mut times = Times::default();
    times.wait = waits.lock.unwrap_or(times.wait);
    let on_wait = |who: &str| say(&Event::Waits(who.to_owned()));
    let creator = Creator {
        host: &request.host,
        wait: times.wait,
        on_wait: &on_wait,
    };
    let creator = request.create.then_some(&creator);
    let opened = repository::open(store, &request.secret, creator)?;
    let lock = |mode| Lock::take(&opened, mode, &request.host, times, &on_wait);
    let lock_to_read = || match lock(Mode::Shared) {
        // A store that can only be read can be restored from, and checked.
        Err(err) if err.reason == Reason::StoreRefused => Ok(None),
        other => other.map(Some),
    };
    let ready = || {
        if !waits.go {
            return Ok(());
        }
        say(&Event::Ready);
        let text = "nobody lets the job go on";
        go.recv()
            .map_err(|_| VaultError::new(Reason::Interrupted, text))
    };
    Ok(match &request.task {
        Task::Open => Outcome::Opened(Secret::Key(Box::new(opened.repository.key()))),
        Task::Backup(task) => {
            let lock = lock(Mode::Shared)?;
            let read = || say(&Event::SourceRead);
            Outcome::Backup(backup::run(opened, &lock, task, tally, ready, read)?)
        }
        Task::Restore(task) => {
            let _lock = lock_to_read()?;
            Outcome::Restore(restore::run(opened, task, tally, ready)?)
        }
        Task::List(filter) => {
            let all = snapshot::list(&opened.repository, &opened.backend, filter)?;
            Outcome::List(all.into_iter().map(|(snapshot, _)| snapshot).collect())
        }
        Task::Check(task) => {
            let _lock = lock_to_read()?;
            Outcome::Check(maintenance::check(&opened, *task)?)
        }
        Task::Forget(ids) => {
            let _lock = lock(Mode::Shared)?;
            Outcome::Forget(maintenance::forget(&opened, ids)?)
        }
        Task::Prune => {
            let _lock = lock(Mode::Exclusive)?;
            Outcome::Prune(maintenance::prune(&opened)?)
        }
    })
}

/// Keeps the memory of this process, which has secrets, from the disk of the host and from other processes of the user.
pub fn protect() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior};

    // The second is for programs that collect what crashed processes leave: no limit holds for them.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Leaves most of the host to others, and no memory of secrets on its disk.
fn limit() {
    use rustix::process::Resource;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    protect();
    // What fails here only makes a job less polite.
    let _ = rustix::process::setpriority_process(None, NICE);
    // Each folder between the root and a file is open.
    let mut files = rustix::process::getrlimit(Resource::Nofile);
    files.current = files.maximum;
    let _ = rustix::process::setrlimit(Resource::Nofile, files);
    if let Ok(allowed) = sched_getaffinity(None) {
        let mut some = CpuSet::new();
        let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        // The last ones: the first serve most interrupts.
        cpus.rev().take(CPUS).for_each(|cpu| some.set(cpu));
        let _ = sched_setaffinity(None, &some);
    }
}

/// Ends the process when the other side of standard input is gone. Returns what each further line of it is: a
/// permission to go on.
fn end_with_standard_input() -> Receiver<()> {
    let (sender, go) = channel();
    std::thread::spawn(move || {
        let mut rest = String::new();
        while io::stdin()
            .read_line(&mut rest)
            .is_ok_and(|length| length > 0)
        {
            rest.clear();
            // A job that waits for nothing has no use for it.
            let _ = sender.send(());
        }
        std::process::exit(1);
    });
    go
}

/// Tells the progress while `work` runs.
fn with_progress<T>(tally: &Tally, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut last = Progress::default();
            while is_done.recv_timeout(PROGRESS) == Err(RecvTimeoutError::Timeout) {
                let now = tally.progress();
                if now != last {
                    say(&Event::Progress(now));
                    last = now;
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}

fn say(event: &Event) {
    if let Ok(mut line) = serde_json::to_vec(event) {
        line.push(b'\n');
        // Without a reader there is nobody to tell.
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// A running job. It ends when it is dropped.
#[derive(Debug)]
pub struct Job {
    child: Child,
    input: ChildStdin,
    events: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Job {
    /// Starts a job in a process of this program.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub async fn start(request: &Request) -> Result<Self, VaultError> {
        Self::start_with(request, Waits::default()).await
    }

    /// Starts a job that waits for something.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub async fn start_with(request: &Request, waits: Waits) -> Result<Self, VaultError> {
        let failed = |err: io::Error| {
            let text = format!("the process of the job cannot be started: {err}");
            VaultError::new(Reason::Interrupted, text)
        };
        // Not the path of the program: it may be replaced by a newer one meanwhile.
        let mut child = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .env_clear()
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(io::ErrorKind::BrokenPipe.into()));
        };
        let request = Cow::Borrowed(request);
        let order = Order { request, waits };
        let mut line = serde_json::to_vec(&order).map_err(|err| failed(err.into()))?;
        line.push(b'\n');
        input.write_all(&line).await.map_err(failed)?;
        input.flush().await.map_err(failed)?;
        Ok(Self {
            child,
            input,
            events: BufReader::new(output).lines(),
        })
    }

    /// Lets a job go on that has said [`Event::Ready`].
    ///
    /// # Errors
    /// If its process has ended.
    pub async fn go(&mut self) -> Result<(), VaultError> {
        let gone = |err: io::Error| {
            let text = format!("the process of the job does not take its orders: {err}");
            VaultError::new(Reason::Interrupted, text)
        };
        self.input.write_all(GO).await.map_err(gone)?;
        self.input.flush().await.map_err(gone)
    }

    /// Returns the next event. The last one is [`Event::Done`]. If the call is dropped, no event is lost.
    ///
    /// # Errors
    /// If the job fails, or its process ends without a result.
    pub async fn next(&mut self) -> Result<Event, VaultError> {
        while let Ok(Some(line)) = self.events.next_line().await {
            match serde_json::from_str(&line) {
                Ok(Event::Failed(err)) => return Err(err),
                Ok(event) => return Ok(event),
                // A newer program says more.
                Err(_) => {}
            }
        }
        let end = self.child.wait().await;
        let end = end.map_or_else(|err| err.to_string(), |status| status.to_string());
        Err(VaultError::new(
            Reason::Interrupted,
            format!("the process of the job ended without a result ({end})"),
        ))
    }
}
