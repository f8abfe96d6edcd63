//! The agent of one host, killed right after one of its effects on the world outside.
//!
//! `agent-that-stops HOST NAMESPACE STATE TRACE [N]` is `dockfleet agent` (with `KUBECONFIG` and
//! `DOCKER_HOST`) that adds a line to the file TRACE for every effect and kills itself after the
//! N-th one; with 0 before it has done anything, without N never.

use std::env;
use std::fs::File;
use std::io::Write as _;
use std::process::abort;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::{Endpoint, Timeouts};
use dockfleet_agent::{AgentConfig, AgentVitals, run};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

const USAGE: &str = "usage: agent-that-stops HOST NAMESPACE STATE TRACE [N]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("warn,dockfleet_agent=info"))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut args = env::args().skip(1);
    let mut next = || args.next().context(USAGE);
    let (host, namespace, state_dir, trace) = (next()?, next()?, next()?, next()?);
    let last = args.next().map(|n| n.parse()).transpose().context(USAGE)?;

    if last == Some(0) {
        die();
    }
    let config = AgentConfig {
        client: kube::Client::try_from(kube::Config::infer().await?)?,
        namespace,
        host,
        endpoint: Endpoint::from_env()?,
        timeouts: Timeouts::default(),
        state_dir: state_dir.into(),
        heartbeat: dockfleet_agent::heartbeat::INTERVAL,
        effects: effects(&trace, last)?,
        vitals: AgentVitals::new()?,
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

/// Writes every effect down and ends the process after the `last`-th.
fn effects(trace: &str, last: Option<usize>) -> Result<Effects> {
    let file = File::options().create(true).append(true).open(trace)?;
    let count = AtomicUsize::new(0);
    Ok(Effects::new(move |effect| {
        // An effect that nobody counts would be a crash point that nobody tries.
        if writeln!(&file, "{effect:?}").is_err() {
            abort();
        }
        if last == Some(count.fetch_add(1, Ordering::Relaxed) + 1) {
            die();
        }
    }))
}

/// Ends the process as a power switch would: nothing is closed, flushed or said.
fn die() -> ! {
    // Nobody is there to hear of an error, and abort ends the process too.
    let _ = kill_process(getpid(), Signal::KILL);
    abort()
}
