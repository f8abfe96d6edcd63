//! Every metric of an agent. What each means is in `docs/metrics.md`.
//!
//! No label names an object or a resource: the number of series is bounded by the program.

use std::collections::BTreeMap;
use std::time::Duration;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::open::labels;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent};
use dockfleet_vitals::SECONDS;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The kinds of entry, as labels.
/// How a call to the engine can fail, as labels.
pub(crate) const FAILURES: [&str; 7] = [
    "busy",
    "exists",
    "in-use",
    "not-found",
    "refused",
    "too-old",
    "unreachable",
];

/// The metrics; clones are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    entries: Family<EntryLabels, Gauge>,
    drift_found: Family<KindLabel, Counter>,
    drift_repaired: Family<KindLabel, Counter>,
    engine_call_duration: Family<CallLabel, Histogram, Seconds>,
    engine_errors: Family<KindLabel, Counter>,
    engine_up: Gauge,
    passes: Family<ResultLabel, Counter>,
    report_errors: Counter,
    heartbeat_errors: Counter,
    /// One series or none: what has no token has no expiry.
    token_expiry: Family<[(&'static str, &'static str); 0], Gauge>,
    journal_errors: Counter,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassResult {
    /// Everything is done, or waits for containers.
    Done,
    /// Something failed or is left.
    Unfinished,
    /// The engine could not be asked.
    EngineFailed,
    /// The journal could not be written.
    JournalFailed,
}

impl PassResult {
    const ALL: [Self; 4] = [
        Self::Done,
        Self::Unfinished,
        Self::EngineFailed,
        Self::JournalFailed,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unfinished => "unfinished",
            Self::EngineFailed => "engine-failed",
            Self::JournalFailed => "journal-failed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EntryLabels {
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// Makes histograms of calls.
#[derive(Clone, Copy, Debug, Default)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            entries: Family::default(),
            drift_found: Family::default(),
            drift_repaired: Family::default(),
            engine_call_duration: Family::new_with_constructor(Seconds),
            engine_errors: Family::default(),
            engine_up: Gauge::default(),
            passes: Family::default(),
            report_errors: Counter::default(),
            heartbeat_errors: Counter::default(),
            token_expiry: Family::default(),
            journal_errors: Counter::default(),
        }
    }
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        all.begin();
        let r = registry.sub_registry_with_prefix("agent");
        r.register(
            "entries",
            "Entries of the assignment, by how they stand",
            all.entries.clone(),
        );
        r.register(
            "drift_found",
            "Objects that were as wanted and were found different or gone",
            all.drift_found.clone(),
        );
        r.register(
            "drift_repaired",
            "Objects that were found different or gone, and were made anew",
            all.drift_repaired.clone(),
        );
        r.register_with_unit(
            "engine_call_duration",
            "How long the engine took to answer, by call",
            Unit::Seconds,
            all.engine_call_duration.clone(),
        );
        r.register(
            "engine_errors",
            "Calls of the engine that failed, by kind of failure",
            all.engine_errors.clone(),
        );
        r.register(
            "engine_up",
            "Whether the engine answered when it was last asked: 1, or 0",
            all.engine_up.clone(),
        );
        r.register(
            "passes",
            "Passes over all entries, by how they ended",
            all.passes.clone(),
        );
        r.register(
            "report_errors",
            "Reports that did not reach the API server; each is tried again",
            all.report_errors.clone(),
        );
        r.register(
            "heartbeat_errors",
            "Heartbeats that did not reach the API server; each is tried again",
            all.heartbeat_errors.clone(),
        );
        r.register_with_unit(
            "token_expiry_timestamp",
            "When the token of this host ends, in seconds since 1970",
            Unit::Seconds,
            all.token_expiry.clone(),
        );
        r.register(
            "journal_errors",
            "Writes of the journal that failed, so that nothing was done",
            all.journal_errors.clone(),
        );
        all
    }

    /// Lets every series begin at 0 whose labels are known: an alert on a change would miss the first
    /// one otherwise.
    fn begin(&self) {
        self.stand(&[], &[]);
        for kind in labels::<Kind>() {
            drop(self.drift_found.get_or_create(&KindLabel { kind }));
            drop(self.drift_repaired.get_or_create(&KindLabel { kind }));
        }
        for kind in FAILURES {
            drop(self.engine_errors.get_or_create(&KindLabel { kind }));
        }
        for result in PassResult::ALL.map(PassResult::as_str) {
            drop(self.passes.get_or_create(&ResultLabel { result }));
        }
    }

    /// Says how the entries that the host must have stand.
    pub(crate) fn stand(&self, entries: &[Entry], statuses: &[EntryStatus]) {
        let statuses: BTreeMap<&str, &EntryStatus> =
            statuses.iter().map(|s| (s.uid.as_str(), s)).collect();
        let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for entry in entries.iter().filter(|e| e.intent != Intent::Absent) {
            let status = statuses.get(entry.uid.as_str());
            let state = status.map_or(EntryState::Pending.as_str(), |s| s.state.label());
            *counts.entry((entry.kind.label(), state)).or_default() += 1;
        }
        for kind in labels::<Kind>() {
            for state in labels::<EntryState>() {
                let count = counts.get(&(kind, state)).copied();
                self.entries
                    .get_or_create(&EntryLabels { kind, state })
                    .set(count.unwrap_or_default());
            }
        }
    }

    /// Says that an object is not any more as it was.
    pub(crate) fn drift_found(&self, kind: Kind) {
        let kind = kind.as_str();
        self.drift_found.get_or_create(&KindLabel { kind }).inc();
    }

    /// Says that an object is again as it was.
    pub(crate) fn drift_repaired(&self, kind: Kind) {
        let kind = kind.as_str();
        self.drift_repaired.get_or_create(&KindLabel { kind }).inc();
    }

    /// Says how long the engine took for a call.
    pub(crate) fn call_took(&self, call: &'static str, took: Duration) {
        self.engine_call_duration
            .get_or_create(&CallLabel { call })
            .observe(took.as_secs_f64());
    }

    /// Says that a call of the engine failed.
    pub(crate) fn call_failed(&self, kind: &'static str) {
        self.engine_errors.get_or_create(&KindLabel { kind }).inc();
    }

    /// Says whether the engine answers.
    pub(crate) fn engine_is_up(&self, up: bool) {
        self.engine_up.set(i64::from(up));
    }

    /// Says how a pass ended.
    pub(crate) fn passed(&self, result: PassResult) {
        let result = result.as_str();
        self.passes.get_or_create(&ResultLabel { result }).inc();
    }

    /// Says that a report did not reach the API server.
    pub(crate) fn report_failed(&self) {
        self.report_errors.inc();
    }

    /// Says that a heartbeat did not reach the API server.
    pub(crate) fn heartbeat_failed(&self) {
        self.heartbeat_errors.inc();
    }

    /// Says when the token of this host ends, in seconds since 1970.
    pub(crate) fn token_ends(&self, at: i64) {
        self.token_expiry.get_or_create(&[]).set(at);
    }

    /// Says that the journal could not be written.
    pub(crate) fn journal_failed(&self) {
        self.journal_errors.inc();
    }
}
