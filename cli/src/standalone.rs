//! Files instead of Kubernetes: the same planner and the same agent code, in one process.

mod files;
mod identity;
mod login;
mod state;
mod target;
mod work;

use std::future::Future;

use futures::StreamExt;

pub(crate) use files::{Files, load, local, read};
pub(crate) use target::Target;
pub(crate) use work::{Change, Goal, HostReport, Work, prunable};

use crate::result::{HostFailure, Summary};

/// Hosts worked on at once: enough to hide the latency of far ones, few enough for one process's
/// sockets and ssh sessions.
const HOSTS_AT_ONCE: usize = 16;

/// Works on several hosts at once, and gathers the results in the order of their names. A host that
/// fails stops no other (invariant 7).
pub(crate) async fn gather<Fut>(works: impl Iterator<Item = (String, Fut)>) -> Summary
where
    Fut: Future<Output = anyhow::Result<HostReport>>,
{
    let mut done: Vec<_> = futures::stream::iter(works)
        .map(|(host, work)| async move { (host, work.await) })
        .buffer_unordered(HOSTS_AT_ONCE)
        .collect()
        .await;
    done.sort_by(|a, b| a.0.cmp(&b.0));
    let mut summary = Summary::default();
    for (host, report) in done {
        match report {
            Ok(report) => {
                summary.changed += report.changed;
                summary.results.extend(report.rows);
            }
            Err(err) => {
                summary.failures.push(HostFailure {
                    host,
                    message: format!("{err:#}"),
                });
            }
        }
    }
    summary
}
