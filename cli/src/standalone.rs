//! Commands without Kubernetes: the same planner and the same agent code, in one process.

mod context;
mod engines;
mod files;
mod identity;
mod last_messages;
mod login;
mod overlap;
mod preview;
mod prune;
mod recorded;
mod rounds;
mod session;
mod shared;
mod socket;
pub(crate) mod state;
mod target;
mod untracked;
mod unused;
mod wait;

use std::future::Future;

use futures::StreamExt;

pub(crate) use engines::{Connected, EngineHosts, Engines};
pub(crate) use files::{Files, load, load_to_apply, load_to_delete, local, read_to_watch};
pub(crate) use preview::PlannedChange;
pub(crate) use prune::{Prunable, Prune, prunable};
pub(crate) use rounds::Rounds;
pub(crate) use session::{CommandGoal, HostReport, HostSession};
pub(crate) use target::HostTarget;
pub(crate) use unused::{KeptRow, PruneGoal, UnusedObject, UnusedState};

use crate::args::StateArgs;
use crate::result::{Failure, Summary};

/// Number of hosts at the same time: enough to hide the latency of distant hosts, and few enough
/// for the sockets and ssh sessions of one process.
const HOSTS_AT_ONCE: usize = 16;

/// Works on several hosts at the same time, and collects the results in the order of their names. A
/// host that fails does not stop others (invariant 7).
pub(crate) async fn gather<T, Fut>(
    works: impl Iterator<Item = (String, Fut)>,
) -> Vec<(String, anyhow::Result<T>)>
where
    Fut: Future<Output = anyhow::Result<T>>,
{
    let mut done: Vec<_> = futures::stream::iter(works)
        .map(|(host, work)| async move { (host, work.await) })
        .buffer_unordered(HOSTS_AT_ONCE)
        .collect()
        .await;
    done.sort_by(|a, b| a.0.cmp(&b.0));
    done
}

/// Returns the host of the engine that the Docker command line would use.
pub(crate) fn local_target(state: &StateArgs) -> anyhow::Result<HostTarget> {
    HostTarget::local(state)
}

impl Summary {
    /// Adds up the results of hosts.
    pub(crate) fn of(hosts: Vec<(String, anyhow::Result<HostReport>)>) -> Self {
        let mut summary = Self::default();
        for (host, report) in hosts {
            summary.add(&host, report);
        }
        summary
    }

    /// Adds the result of a host.
    pub(crate) fn add(&mut self, host: &str, report: anyhow::Result<HostReport>) {
        match report {
            Ok(report) => {
                self.changed += report.changed;
                self.results.extend(report.rows);
                self.hints.extend(report.hints);
            }
            Err(err) => self.failures.push(Failure::of_host(host, &err)),
        }
    }
}
