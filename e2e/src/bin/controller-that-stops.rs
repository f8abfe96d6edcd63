//! A controller that is killed, or halted, at one of its writes, as it is told while it runs.
//!
//! `controller-that-stops FOLDER LEASE RENEW RETRY` is `dockfleet controller` (with `KUBECONFIG` and an
//! election with these times, in milliseconds). It adds a line to FOLDER/trace for every write that
//! begins or has ended: the time in microseconds since 1970, `Begins` or `Ended`, what it was, and `!`
//! where it stopped then. Where it stops is what FOLDER/order says, from the next write on:
//! `HOW N WHAT`, such as `kill 3`: after the third write, those that renew the Lease left out;
//! `halt 1 renewed leases`: after the first one that is called so; `hold 3`: halted when the third one
//! was let through, before it is sent.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::abort;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use dockfleet_controller::effect::{WriteHook, WriteStage};
use dockfleet_controller::election::ElectionTimes;
use dockfleet_controller::{ControllerConfig, ControllerVitals, ElectionConfig, run};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

const USAGE: &str = "usage: controller-that-stops FOLDER LEASE RENEW RETRY";
/// How long reports are collected: less than the shipped second, which would only be waited for.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Longer than any run: nobody plays the agents of idle hosts.
const OFFLINE_AFTER: Duration = Duration::from_secs(3600);
/// How long a signal to this process may take, on a busy machine.
const TAKES_EFFECT: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("warn,dockfleet_controller=info"))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut args = env::args().skip(1);
    let mut next = || args.next().context(USAGE);
    let folder = PathBuf::from(next()?);
    let mut ms = || anyhow::Ok(Duration::from_millis(next()?.parse().context(USAGE)?));
    let times = ElectionTimes {
        lease_duration: ms()?,
        renew_deadline: ms()?,
        retry_period: ms()?,
    };
    times.check()?;
    let election = ElectionConfig::new("dockfleet-system".to_owned(), "stops", times);
    let config = ControllerConfig {
        debounce: DEBOUNCE,
        offline_after: OFFLINE_AFTER,
        election: Some(election),
        effects: effects(&folder)?,
        ..ControllerConfig::new(kube::Config::infer().await?, ControllerVitals::new()?)
    };
    let token = CancellationToken::new();
    let shutdown = token.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        token.cancel();
    });
    Ok(Box::pin(run(config, shutdown)).await?)
}

/// Writes every write down, and stops the process where it was told to.
fn effects(folder: &Path) -> Result<WriteHook> {
    let trace = File::options()
        .create(true)
        .append(true)
        .open(folder.join("trace"))?;
    let order = folder.join("order");
    let progress = Mutex::new(Progress::default());
    Ok(WriteHook::new(move |stage, what| {
        // Before the lock: who waits there while the process is halted came before.
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let how = progress.stops(&order, stage, what);
        let mark = if how.is_some() { " !" } else { "" };
        let micros = time.unwrap_or_default().as_micros();
        // A write that nobody counts would be a crash point that nobody tries.
        if writeln!(&trace, "{micros} {stage:?} {what}{mark}").is_err() {
            abort();
        }
        if let Some(how) = how {
            if kill_process(getpid(), how).is_err() {
                abort();
            }
            // The signal takes effect on another thread first, and this one would go on.
            thread::sleep(TAKES_EFFECT);
        }
    }))
}

/// How far an order is carried out.
#[derive(Default)]
struct Progress {
    order: String,
    seen: usize,
}

impl Progress {
    /// Takes a write into account, and says whether it is the one to stop at, and how.
    fn stops(&mut self, file: &Path, stage: WriteStage, what: &str) -> Option<Signal> {
        let order = match fs::read_to_string(file) {
            Ok(order) => order,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(_) => abort(),
        };
        if order != self.order {
            *self = Self { order, seen: 0 };
        }
        let mut words = self.order.trim_end().splitn(3, ' ');
        let (at, how) = match words.next()? {
            "kill" => (WriteStage::Ended, Signal::KILL),
            "halt" => (WriteStage::Ended, Signal::STOP),
            "hold" => (WriteStage::Begins, Signal::STOP),
            _ => return None,
        };
        let n: usize = words.next()?.parse().ok()?;
        let counts = match words.next() {
            Some(name) => what == name,
            None => what != "renewed leases",
        };
        if stage != at || !counts {
            return None;
        }
        self.seen += 1;
        (self.seen == n).then_some(how)
    }
}
