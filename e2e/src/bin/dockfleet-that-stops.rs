//! The agent or the controller, stopped at one of its effects on the world outside, as it is told
//! before or while it runs.
//!
//! `dockfleet-that-stops FOLDER agent HOST NAMESPACE` is `dockfleet agent` (with `KUBECONFIG` and
//! `DOCKER_HOST`), with its journal in FOLDER/state; `dockfleet-that-stops FOLDER controller LEASE RENEW
//! RETRY` is `dockfleet controller` (with `KUBECONFIG`, and an election with these times in
//! milliseconds). Both add a line to FOLDER/trace for every effect: what the agent has done, and each
//! write of the controller that begins or has ended. Where they stop is what FOLDER/order says, from
//! the next effect on.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::abort;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::{Endpoint, Timeouts};
use dockfleet_agent::{AgentConfig, AgentVitals};
use dockfleet_controller::effect::{WriteHook, WriteStage};
use dockfleet_controller::election::ElectionTimes;
use dockfleet_controller::{ControllerConfig, ControllerVitals, ElectionConfig};
use dockfleet_e2e::faults::{How, ORDER, Order, TRACE, TracedEffect, now};
use rustix::process::{Signal, getpid, kill_process};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

const USAGE: &str =
    "usage: dockfleet-that-stops FOLDER (agent HOST NAMESPACE | controller LEASE RENEW RETRY)";
/// How long reports are collected: less than the shipped second, which would only be waited for.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Longer than any run: nobody plays the agents of idle hosts.
const OFFLINE_AFTER: Duration = Duration::from_hours(1);
/// How long a signal to this process may take, on a busy machine.
const TAKES_EFFECT: Duration = Duration::from_millis(200);

fn main() -> Result<()> {
    let filter: Targets = "warn,dockfleet_agent=info,dockfleet_controller=info".parse()?;
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .finish()
        .with(filter)
        .init();
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (folder, args) = args.split_first().context(USAGE)?;
    let folder = PathBuf::from(folder);
    let stopper = Stopper::new(&folder)?;
    // The runtimes are those of `dockfleet`.
    match *args {
        ["agent", host, namespace] => Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(agent(host, namespace, &folder, stopper)),
        ["controller", lease, renew, retry] => Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(controller([lease, renew, retry], stopper)),
        _ => bail!(USAGE),
    }
}

async fn agent(host: &str, namespace: &str, folder: &Path, stopper: Stopper) -> Result<()> {
    let hook = move |effect| stopper.passes(true, &format!("{effect:?}"));
    let config = AgentConfig {
        client: kube::Client::try_from(kube::Config::infer().await?)?,
        namespace: namespace.to_owned(),
        host: host.to_owned(),
        endpoint: Endpoint::from_env()?,
        timeouts: Timeouts::default(),
        state_dir: folder.join("state"),
        heartbeat: dockfleet_agent::heartbeat::INTERVAL,
        effects: Effects::new(hook),
        vitals: AgentVitals::new()?,
    };
    Ok(Box::pin(dockfleet_agent::run(config, until_terminated()?)).await?)
}

async fn controller(times: [&str; 3], stopper: Stopper) -> Result<()> {
    let ms = |text: &str| anyhow::Ok(Duration::from_millis(text.parse().context(USAGE)?));
    let [lease, renew, retry] = times;
    let times = ElectionTimes {
        lease_duration: ms(lease)?,
        renew_deadline: ms(renew)?,
        retry_period: ms(retry)?,
    };
    times.check()?;
    let election = ElectionConfig::new("dockfleet-system".to_owned(), "stops", times);
    let hook = move |stage, what: &str| stopper.passes(stage == WriteStage::Ended, what);
    let config = ControllerConfig {
        debounce: DEBOUNCE,
        offline_after: OFFLINE_AFTER,
        election: Some(election),
        effects: WriteHook::new(hook),
        ..ControllerConfig::new(kube::Config::infer().await?, ControllerVitals::new()?)
    };
    Ok(Box::pin(dockfleet_controller::run(config, until_terminated()?)).await?)
}

/// Gives what is cancelled when this process is asked to end.
fn until_terminated() -> Result<CancellationToken> {
    let token = CancellationToken::new();
    let shutdown = token.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        token.cancel();
    });
    Ok(shutdown)
}

/// Writes every effect down, and stops the process where it was told to.
struct Stopper {
    folder: PathBuf,
    trace: File,
    progress: Mutex<Progress>,
}

/// How far an order is carried out.
#[derive(Default)]
struct Progress {
    order: Option<Order>,
    seen: usize,
}

impl Stopper {
    fn new(folder: &Path) -> Result<Self> {
        if let Some(Order { how, number: 0, .. }) = order(folder)? {
            stop(how);
        }
        let mut options = File::options();
        let trace = options.create(true).append(true).open(folder.join(TRACE))?;
        Ok(Self {
            folder: folder.to_owned(),
            trace,
            progress: Mutex::default(),
        })
    }

    /// Takes in an effect that begins or has ended.
    fn passes(&self, ended: bool, what: &str) {
        // Before the lock: who waits there while the process is halted came before.
        let (time, what) = (now(), what.to_owned());
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut effect = TracedEffect {
            time,
            ended,
            what,
            stopped: false,
        };
        let how = self.stops(&mut progress, &mut effect);
        // An effect that nobody counts would be a crash point that nobody tries.
        match how {
            Ok(None) => {}
            Ok(Some(how)) => stop(how),
            Err(_) => abort(),
        }
    }

    /// Writes an effect down, and says whether it is the one to stop at, and how.
    fn stops(&self, progress: &mut Progress, effect: &mut TracedEffect) -> Result<Option<How>> {
        let order = order(&self.folder)?;
        if order != progress.order {
            *progress = Progress { order, seen: 0 };
        }
        let order = progress.order.as_ref().filter(|o| o.counts(effect));
        progress.seen += usize::from(order.is_some());
        let how = order.filter(|o| o.number == progress.seen).map(|o| o.how);
        effect.stopped = how.is_some();
        (&self.trace).write_all(format!("{}\n", serde_json::to_string(effect)?).as_bytes())?;
        Ok(how)
    }
}

fn order(folder: &Path) -> Result<Option<Order>> {
    match fs::read(folder.join(ORDER)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Stops the process: kills it as a power switch would, with nothing closed, flushed or said; or halts
/// it until it is resumed.
fn stop(how: How) {
    let signal = match how {
        How::Killed => Signal::KILL,
        How::Halted | How::Held => Signal::STOP,
    };
    if kill_process(getpid(), signal).is_err() {
        abort();
    }
    // The signal takes effect on another thread first, and this one would go on.
    thread::sleep(TAKES_EFFECT);
}
