//! Every metric of the controller. What each means is in `docs/metrics.md`.
//!
//! No label names a host, a resource or a namespace: the number of series is bounded by the program.

use std::time::Duration;

use dockfleet_crds::EntryState;
use dockfleet_crds::assignment;
use dockfleet_crds::condition::ConditionStatus;
use dockfleet_crds::open::labels;
use dockfleet_crds::swarm::MemberState;
use dockfleet_planner::kinds::swarm::quorum_labels;
use dockfleet_vitals::{Counters, Gauges, Histograms, MetricError, Registry, SECONDS};
use prometheus::{Gauge, Histogram, IntGauge};

use crate::call::{ApiCall, ApiFailure};
use crate::index::Census;
use crate::lanes::LaneKind;

/// The metrics; clones are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct ControllerMetrics {
    leader: IntGauge,
    queue_depth: Gauges<1>,
    call_duration: Histograms<1>,
    call_errors: Counters<2>,
    resources: Gauges<2>,
    entries: Gauges<2>,
    tombstones: IntGauge,
    hosts: Gauges<1>,
    heartbeat_age: Gauge,
    brake_engaged: IntGauge,
    swarms: Gauges<1>,
    swarm_members: Gauges<1>,
    convergence: Histogram,
}

/// Buckets of up to an hour, because some hosts are offline.
const CONVERGENCE: [f64; 11] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];

impl ControllerMetrics {
    /// Creates and registers the metrics.
    pub(crate) fn register(r: &Registry) -> Result<Self, MetricError> {
        let all = Self {
            leader: r.gauge(
                "dockfleet_controller_leader",
                "Whether this controller leads: 1, or 0 for a standby.",
            )?,
            queue_depth: r.gauges(
                "dockfleet_controller_queue_depth",
                "Keys in the work queue, waiting or being processed.",
                ["queue"],
            )?,
            call_duration: r.histograms(
                "dockfleet_controller_call_duration_seconds",
                "Time until the API server began its response, by call.",
                ["call"],
                &SECONDS,
            )?,
            call_errors: r.counters(
                "dockfleet_controller_call_errors_total",
                "Failed calls of the API server, by call and kind of failure.",
                ["call", "kind"],
            )?,
            resources: r.gauges(
                "dockfleet_controller_resources",
                "Resources, by the status of their condition Ready.",
                ["kind", "ready"],
            )?,
            entries: r.gauges(
                "dockfleet_controller_entries",
                "Resources on hosts, by the state that the agents report.",
                ["kind", "state"],
            )?,
            tombstones: r.gauge(
                "dockfleet_controller_tombstones",
                "Tombstones: entries by which a host must remove or release an object.",
            )?,
            hosts: r.gauges(
                "dockfleet_controller_hosts",
                "Hosts, by the status of their condition Reachable.",
                ["reachable"],
            )?,
            heartbeat_age: r.fractional_gauge(
                "dockfleet_controller_heartbeat_age_seconds",
                "Seconds since the oldest heartbeat of a host.",
            )?,
            brake_engaged: r.gauge(
                "dockfleet_controller_brake_engaged",
                "Resources that would remove or release many objects at once and wait for permission.",
            )?,
            swarms: r.gauges(
                "dockfleet_controller_swarms",
                "SwarmClusters, by whether the managers of the swarm have a majority.",
                ["quorum"],
            )?,
            swarm_members: r.gauges(
                "dockfleet_controller_swarm_members",
                "Hosts of SwarmClusters, by their state in the swarm.",
                ["state"],
            )?,
            convergence: r.histogram(
                "dockfleet_controller_convergence_seconds",
                "Time from the write of an assignment to the report of its agent on it.",
                &CONVERGENCE,
            )?,
        };
        all.begin();
        Ok(all)
    }

    /// Sets every series with known labels to 0. Otherwise an alert on a change would miss the
    /// first one.
    fn begin(&self) {
        for kind in LaneKind::ALL {
            self.queue(kind, 0);
        }
        self.count(&Census::default());
    }

    /// Sets whether this controller leads.
    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Sets how many keys a lane has.
    pub(crate) fn queue(&self, kind: LaneKind, depth: usize) {
        let queue = kind.as_str();
        let depth = i64::try_from(depth).unwrap_or(i64::MAX);
        self.queue_depth.with([queue]).set(depth);
    }

    /// Records how long the API server took for a call.
    pub(crate) fn call_took(&self, call: ApiCall, took: Duration) {
        self.call_duration
            .with([call.label().as_str()])
            .observe(took.as_secs_f64());
    }

    /// Counts a failed call.
    pub(crate) fn call_failed(&self, call: ApiCall, failure: ApiFailure) {
        self.call_errors
            .with([call.label().as_str(), failure.as_str()])
            .inc();
    }

    /// Records how long a host took to report on a new assignment.
    pub(crate) fn converged(&self, took: Duration) {
        self.convergence.observe(took.as_secs_f64());
    }

    /// Sets the numbers of resources, entries, hosts and members of swarms.
    pub(crate) fn count(&self, census: &Census) {
        for kind in labels::<assignment::Kind>() {
            for ready in [
                ConditionStatus::True,
                ConditionStatus::False,
                ConditionStatus::Unknown,
            ] {
                let ready = ready.as_str();
                let count = census.resources.get(&(kind, ready));
                self.resources
                    .with([kind, ready])
                    .set(count.copied().unwrap_or_default());
            }
            for state in labels::<EntryState>() {
                let count = census.entries.get(&(kind, state));
                self.entries
                    .with([kind, state])
                    .set(count.copied().unwrap_or_default());
            }
        }
        self.tombstones.set(census.tombstones);
        let hosts = census.hosts;
        for (reachable, count) in [
            (ConditionStatus::True, hosts.reachable),
            (ConditionStatus::False, hosts.offline),
            (ConditionStatus::Unknown, hosts.unknown),
        ] {
            let reachable = reachable.as_str();
            self.hosts
                .with([reachable])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let age = census.heartbeat_age.unwrap_or_default();
        self.heartbeat_age.set(age.as_secs_f64());
        let stopped = i64::try_from(census.stopped).unwrap_or(i64::MAX);
        self.brake_engaged.set(stopped);
        for quorum in quorum_labels() {
            let count = census.swarms.get(quorum);
            self.swarms
                .with([quorum])
                .set(count.copied().unwrap_or_default());
        }
        for state in labels::<MemberState>() {
            let count = census.members.get(state);
            self.swarm_members
                .with([state])
                .set(count.copied().unwrap_or_default());
        }
    }
}
