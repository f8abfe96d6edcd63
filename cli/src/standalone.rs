//! Files instead of Kubernetes: the same planner and the same agent code, in one process.

mod context;
mod engines;
mod files;
mod identity;
mod last_messages;
mod login;
mod look;
mod overlap;
mod prune;
mod socket;
pub(crate) mod state;
mod target;
mod untracked;
mod wait;
mod work;

use std::future::Future;

use futures::StreamExt;

pub(crate) use engines::{Claims, Connected, Engines};
pub(crate) use files::{Files, load, load_to_apply, local, read_to_apply};
pub(crate) use look::Change;
pub(crate) use prune::{Prunable, Prune, prunable};
pub(crate) use target::Target;
pub(crate) use work::{Goal, HostReport, Work};

use crate::result::{Failure, Summary};

/// Hosts worked on at once: enough to hide the latency of far ones, few enough for one process's
/// sockets and ssh sessions.
const HOSTS_AT_ONCE: usize = 16;

/// Works on several hosts at once, and gathers the results in the order of their names. A host that
/// fails stops no other (invariant 7).
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

impl Summary {
    /// Adds up what became of hosts.
    pub(crate) fn of(hosts: Vec<(String, anyhow::Result<HostReport>)>) -> Self {
        let mut summary = Self::default();
        for (host, report) in hosts {
            summary.add(&host, report);
        }
        summary
    }

    /// Adds what became of a host.
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
