//! Every metric of the controller. What each means is in `docs/metrics.md`.
//!
//! No label names a host, a resource or a namespace: the number of series is bounded by the program.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use dockfleet_crds::EntryState;
use dockfleet_crds::assignment;
use dockfleet_crds::condition::Truth;
use dockfleet_crds::open::labels;
use dockfleet_vitals::SECONDS;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::call::{Call, Failure};
use crate::index::Census;
use crate::lanes::Kind;

/// The metrics; clones are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    leader: Gauge,
    queue_depth: Family<QueueLabel, Gauge>,
    call_duration: Family<CallLabel, Histogram, Seconds>,
    call_errors: Family<ErrorLabels, Counter>,
    resources: Family<ResourceLabels, Gauge>,
    entries: Family<EntryLabels, Gauge>,
    tombstones: Gauge,
    hosts: Family<HostLabel, Gauge>,
    heartbeat_age: Gauge<f64, AtomicU64>,
    brake_engaged: Gauge,
    convergence: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabel {
    queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    call: Call,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    call: Call,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabels {
    kind: &'static str,
    ready: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabel {
    reachable: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EntryLabels {
    kind: &'static str,
    state: &'static str,
}

impl EncodeLabelValue for Call {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        write!(encoder, "{} {}", self.verb(), self.resource())
    }
}

/// Makes histograms of calls.
#[derive(Clone, Copy, Debug, Default)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

/// How long hosts take: up to an hour, because some are offline.
const CONVERGENCE: [f64; 11] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0,
];

impl Default for Metrics {
    fn default() -> Self {
        Self {
            leader: Gauge::default(),
            queue_depth: Family::default(),
            call_duration: Family::new_with_constructor(Seconds),
            call_errors: Family::default(),
            resources: Family::default(),
            entries: Family::default(),
            tombstones: Gauge::default(),
            hosts: Family::default(),
            heartbeat_age: Gauge::default(),
            brake_engaged: Gauge::default(),
            convergence: Histogram::new(CONVERGENCE),
        }
    }
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        all.begin();
        let r = registry.sub_registry_with_prefix("controller");
        r.register(
            "leader",
            "Whether this controller leads: 1, or 0 for a standby",
            all.leader.clone(),
        );
        r.register(
            "queue_depth",
            "Keys that wait to be looked at, or are being looked at",
            all.queue_depth.clone(),
        );
        r.register_with_unit(
            "call_duration",
            "How long the API server took to begin its answer, by call",
            Unit::Seconds,
            all.call_duration.clone(),
        );
        r.register(
            "call_errors",
            "Calls of the API server that failed, by call and kind of failure",
            all.call_errors.clone(),
        );
        r.register(
            "resources",
            "Networks and volumes, by the status of their condition Ready",
            all.resources.clone(),
        );
        r.register(
            "entries",
            "Resources on hosts, by what the agents say of them",
            all.entries.clone(),
        );
        r.register(
            "tombstones",
            "Entries by which a host is to let go of an object",
            all.tombstones.clone(),
        );
        r.register(
            "hosts",
            "Hosts, by the status of their condition Reachable",
            all.hosts.clone(),
        );
        r.register_with_unit(
            "heartbeat_age",
            "Since the host was heard of that has been silent longest",
            Unit::Seconds,
            all.heartbeat_age.clone(),
        );
        r.register(
            "brake_engaged",
            "Resources that would let go of much at once and wait to be allowed to",
            all.brake_engaged.clone(),
        );
        r.register_with_unit(
            "convergence",
            "From the write of an assignment to the report of its agent on it",
            Unit::Seconds,
            all.convergence.clone(),
        );
        all
    }

    /// Lets every series begin at 0 whose labels are known: an alert on a change would miss the first
    /// one otherwise.
    fn begin(&self) {
        for kind in Kind::ALL {
            self.queue(kind, 0);
        }
        self.count(&Census::default());
    }

    /// Says whether this controller leads.
    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Says how many keys a lane has.
    pub(crate) fn queue(&self, kind: Kind, depth: usize) {
        let queue = kind.as_str();
        let depth = i64::try_from(depth).unwrap_or(i64::MAX);
        self.queue_depth
            .get_or_create(&QueueLabel { queue })
            .set(depth);
    }

    /// Says how long the API server took for a call.
    pub(crate) fn call_took(&self, call: Call, took: Duration) {
        let label = CallLabel { call };
        self.call_duration
            .get_or_create(&label)
            .observe(took.as_secs_f64());
    }

    /// Says that a call failed.
    pub(crate) fn call_failed(&self, call: Call, failure: Failure) {
        let kind = failure.as_str();
        self.call_errors
            .get_or_create(&ErrorLabels { call, kind })
            .inc();
    }

    /// Says how long a host took to report on a new assignment.
    pub(crate) fn converged(&self, took: Duration) {
        self.convergence.observe(took.as_secs_f64());
    }

    /// Says what there is.
    pub(crate) fn count(&self, census: &Census) {
        for kind in labels::<assignment::Kind>() {
            for ready in [Truth::True, Truth::False, Truth::Unknown] {
                let ready = ready.as_str();
                let count = census.resources.get(&(kind, ready));
                self.resources
                    .get_or_create(&ResourceLabels { kind, ready })
                    .set(count.copied().unwrap_or_default());
            }
            for state in labels::<EntryState>() {
                let count = census.entries.get(&(kind, state));
                self.entries
                    .get_or_create(&EntryLabels { kind, state })
                    .set(count.copied().unwrap_or_default());
            }
        }
        self.tombstones.set(census.tombstones);
        let hosts = census.hosts;
        for (reachable, count) in [
            (Truth::True, hosts.reachable),
            (Truth::False, hosts.offline),
            (Truth::Unknown, hosts.unknown),
        ] {
            let reachable = reachable.as_str();
            self.hosts
                .get_or_create(&HostLabel { reachable })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let age = census.heartbeat_age.unwrap_or_default();
        self.heartbeat_age.set(age.as_secs_f64());
        let stopped = i64::try_from(census.stopped).unwrap_or(i64::MAX);
        self.brake_engaged.set(stopped);
    }
}
