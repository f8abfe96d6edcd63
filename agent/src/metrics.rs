//! The metrics of an agent. `docs/metrics.md` describes them.
//!
//! No label contains the name of an object or a resource, so that the number of series is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::open::labels;
use dockfleet_crds::prune::PrunedKind;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent};
use dockfleet_vitals::{Counters, Gauges, Histograms, MetricError, Registry, SECONDS};
use prometheus::{IntCounter, IntGauge};
use strum::VariantArray as _;

use crate::pass::Pruning;

/// The failures of calls to the engine, as labels.
pub(crate) const FAILURES: [&str; 7] = [
    "busy",
    "exists",
    "in-use",
    "not-found",
    "refused",
    "too-old",
    "unreachable",
];

/// The metrics; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct AgentMetrics {
    entries: Gauges<2>,
    drift_found: Counters<1>,
    drift_repaired: Counters<1>,
    engine_call_duration: Histograms<1>,
    engine_errors: Counters<1>,
    engine_up: IntGauge,
    passes: Counters<1>,
    report_errors: IntCounter,
    heartbeat_errors: IntCounter,
    /// One series, or none without a token.
    token_expiry: Gauges<0>,
    journal_errors: IntCounter,
    prune_candidates: Gauges<1>,
    pruned: Counters<1>,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PassResult {
    /// Everything is done or waits for containers.
    Done,
    /// Something failed or is left over.
    Unfinished,
    /// The engine did not answer.
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

impl AgentMetrics {
    /// Creates and registers the metrics.
    pub(crate) fn register(r: &Registry) -> Result<Self, MetricError> {
        let all = Self {
            entries: r.gauges(
                "dockfleet_agent_entries",
                "Number of entries that the host must have, by state.",
                ["kind", "state"],
            )?,
            drift_found: r.counters(
                "dockfleet_agent_drift_found_total",
                "Number of objects that were ready and were then found different or missing.",
                ["kind"],
            )?,
            drift_repaired: r.counters(
                "dockfleet_agent_drift_repaired_total",
                "Number of objects that were found different or missing and were repaired.",
                ["kind"],
            )?,
            engine_call_duration: r.histograms(
                "dockfleet_agent_engine_call_duration_seconds",
                "Duration of calls to the engine, by call.",
                ["call"],
                &SECONDS,
            )?,
            engine_errors: r.counters(
                "dockfleet_agent_engine_errors_total",
                "Number of failed calls to the engine, by kind of failure.",
                ["kind"],
            )?,
            engine_up: r.gauge(
                "dockfleet_agent_engine_up",
                "1 if the engine answered when it was last observed, 0 otherwise.",
            )?,
            passes: r.counters(
                "dockfleet_agent_passes_total",
                "Number of passes over the entries of one kind, by result.",
                ["result"],
            )?,
            report_errors: r.counter(
                "dockfleet_agent_report_errors_total",
                "Number of reports that did not reach the API server; each is retried.",
            )?,
            heartbeat_errors: r.counter(
                "dockfleet_agent_heartbeat_errors_total",
                "Number of heartbeats that did not reach the API server; each is retried.",
            )?,
            token_expiry: r.gauges(
                "dockfleet_agent_token_expiry_timestamp_seconds",
                "Time at which the token of this host expires, in seconds since 1970.",
                [],
            )?,
            journal_errors: r.counter(
                "dockfleet_agent_journal_errors_total",
                "Number of failed writes of the journal, after which nothing was changed.",
            )?,
            prune_candidates: r.gauges(
                "dockfleet_agent_prune_candidates",
                "Number of unused objects that PrunePolicies list as candidates, by kind of object.",
                ["object"],
            )?,
            pruned: r.counters(
                "dockfleet_agent_pruned_total",
                "Number of unused objects that PrunePolicies removed, by kind of object.",
                ["object"],
            )?,
        };
        all.begin();
        Ok(all)
    }

    /// Sets every series with known labels to 0: otherwise an alert on an increase would miss the first one.
    fn begin(&self) {
        self.set_entries(&[], &[]);
        for kind in labels::<Kind>() {
            self.drift_found.with([kind]);
            self.drift_repaired.with([kind]);
        }
        self.pruned(&Pruning::default());
        for kind in FAILURES {
            self.engine_errors.with([kind]);
        }
        for result in PassResult::ALL.map(PassResult::as_str) {
            self.passes.with([result]);
        }
    }

    /// Sets the number of entries by state.
    pub(crate) fn set_entries(&self, entries: &[Entry], statuses: &[EntryStatus]) {
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
                    .with([kind, state])
                    .set(count.unwrap_or_default());
            }
        }
    }

    /// Counts an object that drifted.
    pub(crate) fn drift_found(&self, kind: Kind) {
        let kind = kind.as_str();
        self.drift_found.with([kind]).inc();
    }

    /// Counts an object whose drift was repaired.
    pub(crate) fn drift_repaired(&self, kind: Kind) {
        let kind = kind.as_str();
        self.drift_repaired.with([kind]).inc();
    }

    /// Records the duration of a call to the engine.
    pub(crate) fn call_took(&self, call: &'static str, took: Duration) {
        self.engine_call_duration
            .with([call])
            .observe(took.as_secs_f64());
    }

    /// Counts a failed call to the engine.
    pub(crate) fn call_failed(&self, kind: &'static str) {
        self.engine_errors.with([kind]).inc();
    }

    /// Sets whether the engine answers.
    pub(crate) fn engine_is_up(&self, up: bool) {
        self.engine_up.set(i64::from(up));
    }

    /// Counts a pass by its result.
    pub(crate) fn passed(&self, result: PassResult) {
        let result = result.as_str();
        self.passes.with([result]).inc();
    }

    /// Counts a report that did not reach the API server.
    pub(crate) fn report_failed(&self) {
        self.report_errors.inc();
    }

    /// Counts a heartbeat that did not reach the API server.
    pub(crate) fn heartbeat_failed(&self) {
        self.heartbeat_errors.inc();
    }

    /// Sets when the token of this host expires, in seconds since 1970.
    pub(crate) fn token_ends(&self, at: i64) {
        self.token_expiry.with([]).set(at);
    }

    /// Records what a pass has done for PrunePolicies.
    pub(crate) fn pruned(&self, pruning: &Pruning) {
        for kind in PrunedKind::VARIANTS {
            let candidates = pruning.candidates.get(kind).copied();
            let removed = pruning.removed.get(kind).copied();
            let label = [kind.object()];
            self.prune_candidates
                .with(label)
                .set(candidates.unwrap_or_default());
            self.pruned.with(label).inc_by(removed.unwrap_or_default());
        }
    }

    /// Counts a failed write of the journal.
    pub(crate) fn journal_failed(&self) {
        self.journal_errors.inc();
    }
}
