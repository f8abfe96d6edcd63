//! What a stretch of time cost: processor time of each part, writes, and what watchers were sent.

use std::time::{Duration, Instant};

use anyhow::Result;
use axum::http::Request;
use dockfleet_bench::exposition::{self, count, sum};
use dockfleet_bench::usage::processor_time;
use dockfleet_bench::writes::Writes;

use crate::lab::Lab;

const REQUESTS: &str = "apiserver_request_total";
const WATCH_BYTES: &str = "apiserver_watch_events_sizes_sum";
const WATCH_EVENTS: &str = "apiserver_watch_events_sizes_count";
const LONG_RUNNING: &str = "apiserver_longrunning_requests";
const STORED: &str = "apiserver_storage_size_bytes";

/// Processor time of each part, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Work {
    pub(crate) server: f64,
    pub(crate) etcd: f64,
    pub(crate) controller: f64,
    pub(crate) agents: f64,
    /// This program: the bare loop.
    pub(crate) own: f64,
}

impl Work {
    fn read(lab: &Lab) -> Result<Self> {
        let of = |pid| processor_time(pid).map(|time| time.as_secs_f64());
        let mut agents = 0.0;
        for worker in &lab.workers {
            agents += of(worker.pid())?;
        }
        Ok(Self {
            server: of(lab.plane.api_server_pid()?)?,
            etcd: of(lab.plane.etcd_pid()?)?,
            controller: of(lab.controller.pid())?,
            agents,
            own: of(std::process::id())?,
        })
    }

    /// Gives what came after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        self.combine(before, |after, before| after - before)
    }

    /// Gives what is left without the share of a fleet on which nothing is edited.
    pub(crate) fn without(self, idle: &Span, wall: Duration) -> Self {
        let share = wall.as_secs_f64() / idle.wall.as_secs_f64();
        self.combine(idle.work, |all, idle| all - idle * share)
    }

    fn combine(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            server: with(self.server, other.server),
            etcd: with(self.etcd, other.etcd),
            controller: with(self.controller, other.controller),
            agents: with(self.agents, other.agents),
            own: with(self.own, other.own),
        }
    }
}

/// A stretch of time and its cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Span {
    pub(crate) wall: Duration,
    pub(crate) work: Work,
    /// Writes, heartbeats left out.
    pub(crate) writes: Writes,
    /// Heartbeats.
    pub(crate) heartbeats: u32,
    /// Events that watchers were sent.
    pub(crate) watch_events: f64,
    /// Their size in bytes.
    pub(crate) watch_bytes: f64,
}

/// A moment that spans begin and end with.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    at: Instant,
    work: Work,
    metrics: String,
}

impl Moment {
    /// Takes the moment that a span begins with: last of all what it cost so far.
    pub(crate) async fn begin(lab: &Lab) -> Result<Self> {
        let metrics = metrics(lab).await?;
        let work = Work::read(lab)?;
        let at = Instant::now();
        Ok(Self { at, work, metrics })
    }

    /// Ends the span: first of all with what it cost.
    pub(crate) async fn end(self, lab: &Lab) -> Result<Span> {
        let wall = self.at.elapsed();
        let work = Work::read(lab)?.since(self.work);
        let metrics = metrics(lab).await?;
        Ok(self.span(wall, work, &metrics))
    }

    fn span(&self, wall: Duration, work: Work, after: &str) -> Span {
        let more = |name| sum(after, name) - sum(&self.metrics, name);
        Span {
            wall,
            work,
            writes: Writes::of(after).since(&Writes::of(&self.metrics)),
            heartbeats: heartbeats(after).saturating_sub(heartbeats(&self.metrics)),
            watch_events: more(WATCH_EVENTS),
            watch_bytes: more(WATCH_BYTES),
        }
    }
}

/// Gives what the API server says of itself.
pub(crate) async fn metrics(lab: &Lab) -> Result<String> {
    let request = Request::get("/metrics").body(Vec::new())?;
    Ok(lab.client.request_text(request).await?)
}

/// Gives the writes so far, heartbeats left out.
pub(crate) async fn writes(lab: &Lab) -> Result<Writes> {
    Ok(Writes::of(&metrics(lab).await?))
}

/// Gives the number of watches that are open.
pub(crate) fn watches(metrics: &str) -> u32 {
    exposition::samples(metrics, LONG_RUNNING)
        .filter(|line| line.label("verb") == "WATCH")
        .map(|line| count(line.value))
        .sum()
}

/// Gives the bytes that are stored.
pub(crate) fn stored(metrics: &str) -> f64 {
    sum(metrics, STORED)
}

fn heartbeats(metrics: &str) -> u32 {
    exposition::samples(metrics, REQUESTS)
        .filter(|line| line.label("resource") == "leases")
        .filter(|line| matches!(line.label("verb"), "APPLY" | "PATCH" | "PUT"))
        .map(|line| count(line.value))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "apiserver_request_total{resource=\"leases\",verb=\"PUT\"} 7\n\
        apiserver_request_total{resource=\"leases\",verb=\"GET\"} 100\n\
        apiserver_request_total{resource=\"hostassignments\",verb=\"APPLY\"} 3\n\
        apiserver_longrunning_requests{resource=\"leases\",verb=\"WATCH\"} 2\n\
        apiserver_longrunning_requests{resource=\"pods\",verb=\"CONNECT\"} 1\n\
        apiserver_watch_events_sizes_sum{resource=\"leases\"} 1000\n\
        apiserver_watch_events_sizes_count{resource=\"leases\"} 4\n\
        apiserver_storage_size_bytes{storage_cluster_id=\"etcd-0\"} 1.5e+06\n";

    fn seconds(server: f64) -> Work {
        Work {
            server,
            ..Work::default()
        }
    }

    #[test]
    fn a_span_is_what_came_after_its_beginning() {
        let begin = Moment {
            at: Instant::now(),
            work: seconds(1.0),
            metrics: METRICS.to_owned(),
        };
        let after = METRICS
            .replace("\"PUT\"} 7", "\"PUT\"} 9")
            .replace("} 1000", "} 1600")
            .replace("} 3\n", "} 5\n");
        let span = begin.span(Duration::from_secs(2), seconds(0.5), &after);
        assert_eq!(span.heartbeats, 2);
        assert_eq!(span.writes.total(), 2);
        assert_eq!(
            (count(span.watch_bytes), count(span.watch_events)),
            (600, 0)
        );
        assert_eq!((watches(METRICS), count(stored(METRICS))), (2, 1_500_000));
    }

    #[test]
    fn the_share_of_an_idle_fleet_is_taken_off() {
        let idle = Span {
            wall: Duration::from_secs(10),
            work: seconds(5.0),
            ..Span::default()
        };
        let net = seconds(9.0).without(&idle, Duration::from_secs(4));
        assert!((net.server - 7.0).abs() < 1e-9);
    }
}
