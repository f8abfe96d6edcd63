//! One file for each command.

pub(crate) mod agent;
pub(crate) mod apply;
pub(crate) mod backup;
pub(crate) mod controller;
pub(crate) mod crds;
pub(crate) mod delete;
pub(crate) mod diff;
pub(crate) mod enroll;
pub(crate) mod get;
pub(crate) mod help;
pub(crate) mod journal;
pub(crate) mod prune;
mod question;
pub(crate) mod repository;
pub(crate) mod restore;
pub(crate) mod revoke;
pub(crate) mod snapshots;
mod store_access;
pub(crate) mod usage;
mod vault;
mod vitals;

use tokio_util::sync::CancellationToken;

/// Returns a token that is cancelled by SIGINT or SIGTERM; a second signal ends the process.
fn shutdown() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let stop = token.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_cancelled() {
                // The user interrupted twice and does not want to wait.
                std::process::exit(130);
            }
            stop.cancel();
        }
    });
    Ok(token)
}

/// Returns a token that is cancelled like that of [`shutdown`]. It prints what an interruption
/// does.
fn until_interrupted() -> anyhow::Result<CancellationToken> {
    let token = shutdown()?;
    let stop = token.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        anstream::eprintln!(
            "interrupted: finishing the current action; interrupt again to stop at once"
        );
    });
    Ok(token)
}
