//! The passes over the entries of one kind. Each kind has its own lane, so that no kind waits for another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Reason};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::examination::Occasion;
use dockfleet_planner::kinds;
use dockfleet_vitals::chain;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::effect::Effects;
use crate::engine::Engine;
use crate::journal::{AssignmentSnapshot, Ledger};
use crate::metrics::{AgentMetrics, PassResult};
use crate::pass::{self, PassReport, PassRun};
use crate::retry::{Backoff, jittered};

/// Events can be lost, so a pass starts after this time without one.
const RELIST: Duration = Duration::from_mins(5);
/// The same for a kind without events for every change: an engine has none for a manager of its swarm that is lost.
const RELIST_WITHOUT_EVENTS: Duration = Duration::from_mins(1);
const RELIST_SHARE: f64 = 0.2;
/// Time after which objects are examined again that may change without an event.
const EXAMINE_AGAIN: Duration = Duration::from_secs(150);
/// Minimum time between two examinations that containers cause: each takes three calls of the engine.
const BETWEEN_EXAMINATIONS: Duration = Duration::from_secs(5);
/// Minimum time between two passes that events start.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Events may be missed while the stream is being opened, so another pass starts after this time.
const AFTER_OPENING: Duration = Duration::from_secs(2);
/// How long a report waits for a pass that has just started. Usually all lanes are done within this time, so
/// that one write is enough.
const SHORT_PASS: Duration = Duration::from_secs(3);

/// The passes over the entries of one kind.
#[derive(Debug)]
pub(super) struct PassLane {
    pub(super) kind: Kind,
    running: Option<RunningPass>,
    /// When the next pass is due.
    due: Option<Instant>,
    /// When the last pass ended.
    ended: Option<Instant>,
    /// The stream of events was opened since the last pass began.
    opened: bool,
    /// The last pass left to another host what only the writer of a swarm may do.
    was_cut_off: bool,
    backoff: Backoff,
    /// Number of entries that wait until no container uses an object.
    pub(super) waiting: usize,
    /// Number of entries whose object a container may change.
    watching: usize,
    /// What may have changed since objects were last examined.
    occasion: Occasion,
    /// When objects were last examined, as far as that was due.
    examined: Option<Instant>,
    /// Why the last call to the engine failed, if it did.
    pub(super) engine_error: Option<String>,
    /// Why the journal could not be written, if so.
    pub(super) journal_error: Option<String>,
    /// Entries whose object was different or missing in the last pass, by UID.
    drifted: BTreeSet<String>,
    /// The statuses with their assignment; `None` before the first pass has ended.
    known: Option<(Option<Arc<AssignmentSnapshot>>, Vec<EntryStatus>)>,
}

#[derive(Debug)]
struct RunningPass {
    since: Instant,
    snapshot: Option<Arc<AssignmentSnapshot>>,
    is_cut_off: bool,
    interim: watch::Receiver<Vec<EntryStatus>>,
    stop: CancellationToken,
}

/// One pass, ready to run beside the agent's loop.
#[derive(Debug)]
pub(super) struct Pass {
    kind: Kind,
    shared: PassInputs,
    occasion: Occasion,
    before: Vec<EntryStatus>,
    interim: watch::Sender<Vec<EntryStatus>>,
    stop: CancellationToken,
}

/// The input of passes that start at the same time.
#[derive(Clone, Debug)]
pub(super) struct PassInputs {
    pub(super) engine: Arc<Engine>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) snapshot: Option<Arc<AssignmentSnapshot>>,
    pub(super) store: Arc<CredentialStore>,
    pub(super) effects: Effects,
    /// Why the host is paused, if it is.
    pub(super) paused: Option<String>,
    /// Another host may be the writer now.
    pub(super) is_cut_off: bool,
    /// How far the running backups are, in words, by UID.
    pub(super) backups: BTreeMap<String, String>,
}

impl Pass {
    pub(super) async fn run(self) -> PassReport {
        let shared = &self.shared;
        let work = PassRun {
            engine: &shared.engine,
            kind: self.kind,
            entries: entries_of(shared.snapshot.as_ref(), self.kind),
            assigned: shared.snapshot.as_ref().map_or(&[], |s| &s.entries),
            store: &shared.store,
            effects: &shared.effects,
            occasion: self.occasion,
            paused: shared.paused.as_deref(),
            is_cut_off: shared.is_cut_off,
            stop: &self.stop,
            before: &self.before,
            backups: &shared.backups,
            interim: Some(&self.interim),
        };
        work.enforce(&shared.ledger, &mut |_| {}).await
    }
}

impl PassLane {
    /// Creates the lane of a kind. Its first pass is due at once.
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            running: None,
            due: Some(Instant::now()),
            ended: None,
            opened: false,
            was_cut_off: false,
            backoff: Backoff::default(),
            waiting: 0,
            watching: 0,
            occasion: Occasion::Start,
            examined: None,
            engine_error: None,
            journal_error: None,
            drifted: BTreeSet::new(),
            known: None,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Returns when the next pass is due; `None` while one runs.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.running.is_none())
    }

    /// Starts the next pass at this time or earlier.
    pub(super) fn wake(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Starts a pass because of an event of the engine, at `settled` at the earliest.
    pub(super) fn wake_by_event(&mut self, settled: Instant) {
        let earliest = self.ended.map(|at| at + BETWEEN_LOOKS);
        self.wake(earliest.map_or(settled, |earliest| earliest.max(settled)));
    }

    /// Starts a pass because of a container, if it may change an object.
    pub(super) fn container_event(&mut self, settled: Instant) {
        self.occasion = self.occasion.max(Occasion::Containers);
        if self.watching > 0 {
            self.wake_by_event(self.may_examine(settled));
        }
    }

    /// Ends a running pass after its current action, and starts another one at once, because its input has
    /// changed.
    pub(super) fn restart(&mut self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
        self.backoff.reset();
        self.wake(Instant::now());
    }

    /// Starts a pass if the last one left something to the writer of a swarm, which this host may be again.
    pub(super) fn resume(&mut self) {
        let waits = |s: &EntryStatus| s.is_because(Reason::Progressing);
        let mut known = self.known.iter().flat_map(|(_, statuses)| statuses);
        if std::mem::take(&mut self.was_cut_off) && known.any(waits) {
            self.backoff.reset();
            self.wake(Instant::now());
        }
    }

    /// Starts the next pass at this time, not earlier.
    pub(super) fn defer(&mut self, at: Instant) {
        self.due = Some(at);
    }

    /// Starts another pass soon after the next one, because the stream of events was just opened.
    pub(super) fn events_opened(&mut self) {
        self.opened = true;
        self.occasion = self.occasion.max(Occasion::Containers);
    }

    /// Creates a pass, which counts as running from now on. On `shutdown` it ends after its current action.
    pub(super) fn begin(&mut self, shared: PassInputs, shutdown: &CancellationToken) -> Pass {
        let (interim, receiver) = watch::channel(Vec::new());
        let stop = shutdown.child_token();
        self.due = None;
        let occasion = self.next_occasion(shared.paused.is_some());
        self.running = Some(RunningPass {
            since: Instant::now(),
            snapshot: shared.snapshot.clone(),
            is_cut_off: shared.is_cut_off,
            interim: receiver,
            stop: stop.clone(),
        });
        let before = self.known.as_ref().map(|(_, statuses)| statuses.clone());
        Pass {
            kind: self.kind,
            shared,
            occasion,
            before: before.unwrap_or_default(),
            interim,
            stop,
        }
    }

    /// Returns when containers may cause an examination, at this time or later.
    fn may_examine(&self, at: Instant) -> Instant {
        let earliest = self.examined.map(|before| before + BETWEEN_EXAMINATIONS);
        earliest.map_or(at, |earliest| earliest.max(at))
    }

    /// Returns what may have changed, for a pass that begins. Nothing is examined on a host that is paused.
    fn next_occasion(&mut self, is_paused: bool) -> Occasion {
        if is_paused {
            return Occasion::None;
        }
        let now = Instant::now();
        if self.occasion == Occasion::Containers && self.may_examine(now) > now {
            return Occasion::None;
        }
        let by_events = std::mem::take(&mut self.occasion);
        let is_old = self.examined.is_none_or(|at| at.elapsed() >= EXAMINE_AGAIN);
        let by_time = if is_old {
            Occasion::Time
        } else {
            Occasion::None
        };
        let occasion = by_events.max(by_time);
        if occasion > Occasion::None {
            self.examined = Some(now);
        }
        occasion
    }

    /// Processes the report of a pass, and sets when the next one is due.
    pub(super) fn end(&mut self, report: PassReport, metrics: &AgentMetrics) {
        let now = Instant::now();
        tracing::debug!(
            kind = ?self.kind,
            calls = report.engine_calls,
            changed = report.changed,
            unfinished = report.unfinished,
            waiting = report.waiting,
            "pass done"
        );
        self.measure(&report, metrics);
        let running = self.running.take();
        self.was_cut_off = running.as_ref().is_some_and(|r| r.is_cut_off);
        self.ended = Some(now);
        self.waiting = report.waiting;
        self.watching = report.watching;
        if report.unexamined > 0 {
            self.occasion = Occasion::Start;
        }
        let error = report.engine_failures.first();
        self.engine_error = error.map(crate::engine::EngineError::sentence);
        self.journal_error = report.journal_failure.as_ref().map(|err| {
            metrics.journal_failed();
            chain(err)
        });
        self.known = Some((running.and_then(|r| r.snapshot), report.statuses));
        let wait = if report.unfinished > 0 || self.journal_error.is_some() {
            self.backoff.next()
        } else {
            self.backoff.reset();
            let is_idle = report.engine_calls == 0;
            let relist = if is_idle || kinds::is_observed_always(self.kind) {
                RELIST
            } else {
                RELIST_WITHOUT_EVENTS
            };
            jittered(relist, RELIST_SHARE)
        };
        self.wake(now + wait);
        // Events of containers came during the pass, or too soon after the last examination.
        if self.watching > 0 && self.occasion == Occasion::Containers {
            self.wake(self.may_examine(now + BETWEEN_LOOKS));
        }
        if std::mem::take(&mut self.opened) {
            self.wake(now + AFTER_OPENING);
        }
    }

    /// Sets the statuses for an engine that cannot be reached, unless a running pass will do that.
    pub(super) fn engine_unreachable(
        &mut self,
        ledger: &Ledger,
        snapshot: Option<&Arc<AssignmentSnapshot>>,
        backups: &BTreeMap<String, String>,
    ) {
        if self.running.is_none() {
            let entries = entries_of(snapshot, self.kind);
            let records = ledger.records_of(self.kind);
            let statuses = pass::unknown(self.kind, entries, &records, backups);
            self.known = Some((snapshot.cloned(), statuses));
        }
    }

    /// Returns until when a report waits for the running pass; `None` if the pass has taken too long for
    /// that.
    pub(super) fn delays_report_until(&self, now: Instant) -> Option<Instant> {
        let running = self.running.as_ref()?;
        let until = running.since + SHORT_PASS;
        (until > now).then_some(until)
    }

    /// Returns the statuses of the entries of the assignment, as far as they are known, and of records
    /// without an entry; `None` before the first pass. A status counts only if its entry has not changed
    /// since.
    pub(super) fn statuses(
        &self,
        snapshot: Option<&Arc<AssignmentSnapshot>>,
    ) -> Option<Vec<EntryStatus>> {
        let so_far = self.running.as_ref().and_then(|running| {
            let interim = running.interim.borrow();
            (!interim.is_empty()).then(|| (running.snapshot.as_ref(), interim.clone()))
        });
        let known = self.known.as_ref();
        let known = so_far.or_else(|| known.map(|(of, found)| (of.as_ref(), found.clone())));
        let (of, found) = match known {
            Some(known) => known,
            // The first pass takes long.
            None => (None, self.running.is_some().then(Vec::new)?),
        };
        let entries = entries_of(snapshot, self.kind);
        let is_same = match (of, snapshot) {
            (Some(of), Some(now)) => Arc::ptr_eq(of, now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if is_same {
            return Some(found);
        }
        Some(carried_over(entries_of(of, self.kind), found, entries))
    }

    /// Updates the metrics from the report of a pass.
    fn measure(&mut self, report: &PassReport, metrics: &AgentMetrics) {
        metrics.passed(match report {
            r if r.journal_failure.is_some() => PassResult::JournalFailed,
            r if !r.engine_failures.is_empty() => PassResult::EngineFailed,
            r if r.unfinished > 0 => PassResult::Unfinished,
            _ => PassResult::Done,
        });
        if let Some(pruning) = &report.pruning {
            metrics.pruned(pruning);
        }
        for (uid, drift) in &report.drifts {
            if !self.drifted.contains(uid) {
                metrics.drift_found(drift.kind);
            }
            if drift.repaired {
                metrics.drift_repaired(drift.kind);
            }
        }
        // If the engine does not answer, the drift of before is still assumed.
        if report.engine_failures.is_empty() {
            let left = report.drifts.iter().filter(|(_, drift)| !drift.repaired);
            self.drifted = left.map(|(uid, _)| uid.clone()).collect();
        }
    }
}

fn entries_of(snapshot: Option<&Arc<AssignmentSnapshot>>, kind: Kind) -> &[Entry] {
    snapshot.map_or(&[], |s| s.of_kind(kind))
}

/// Returns the statuses of the present entries from the statuses of earlier ones, by UID.
fn carried_over(before: &[Entry], found: Vec<EntryStatus>, entries: &[Entry]) -> Vec<EntryStatus> {
    let carried = |mut status: EntryStatus| {
        let of = |all: &'_ [Entry]| all.iter().position(|e| e.uid == status.uid);
        match (of(before), of(entries)) {
            (Some(then), Some(now)) if before.get(then) == entries.get(now) => Some(status),
            (None, None) => Some(status),
            (_, Some(now)) if entries.get(now).is_some_and(stays_observed) => {
                // It counts for no revision.
                status.revision.clear();
                status.state = EntryState::Pending.into();
                Some(status)
            }
            (Some(_), None) | (None | Some(_), Some(_)) => None,
        }
    };
    let mut found: Vec<EntryStatus> = found.into_iter().filter_map(carried).collect();
    let known: BTreeSet<String> = found.iter().map(|s| s.uid.clone()).collect();
    let missing = entries
        .iter()
        .filter(|e| !known.contains(&e.uid) && !stays_observed(e));
    found.extend(missing.map(|entry| EntryStatus {
        uid: entry.uid.clone(),
        revision: entry.revision.clone(),
        state: EntryState::Pending.into(),
        reason: Some(Reason::Progressing.into()),
        message: "the agent is still working on other entries of the host".to_owned(),
        ..EntryStatus::default()
    }));
    found.sort_by(|a, b| a.uid.cmp(&b.uid));
    found
}

/// Whether nothing is reported about an entry before a pass has looked at it, except what an earlier pass has seen.
fn stays_observed(entry: &Entry) -> bool {
    entry.kind.known().is_some_and(kinds::is_missed_without_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uid: &str, revision: &str) -> Entry {
        Entry {
            uid: uid.to_owned(),
            revision: revision.to_owned(),
            ..Entry::default()
        }
    }

    fn ready(uid: &str, revision: &str) -> EntryStatus {
        EntryStatus {
            uid: uid.to_owned(),
            revision: revision.to_owned(),
            state: EntryState::Ready.into(),
            ..EntryStatus::default()
        }
    }

    #[test]
    fn i12_a_status_counts_only_if_its_entry_is_unchanged() {
        let before = [
            entry("changed", "1"),
            entry("gone", "1"),
            entry("same", "1"),
        ];
        let now = [entry("changed", "2"), entry("new", "1"), entry("same", "1")];
        let found = vec![
            ready("changed", "1"),
            ready("gone", "1"),
            ready("same", "1"),
            ready("unassigned", ""),
        ];
        let carried = carried_over(&before, found, &now);
        let states: Vec<(&str, &str, &str)> = carried
            .iter()
            .map(|s| (s.uid.as_str(), s.revision.as_str(), s.state.as_str()))
            .collect();
        assert_eq!(
            states,
            [
                ("changed", "2", "Pending"),
                ("new", "1", "Pending"),
                ("same", "1", "Ready"),
                ("unassigned", "", "Ready"),
            ]
        );
    }

    #[test]
    fn a_host_stays_in_its_swarm_until_a_pass_has_looked_at_the_changed_entry() {
        let swarm = |uid: &str, revision: &str| Entry {
            kind: Kind::SwarmCluster.into(),
            ..entry(uid, revision)
        };
        let seen = |uid: &str| EntryStatus {
            id: Some("n1".to_owned()),
            ..ready(uid, "1")
        };
        let before = [swarm("changed", "1"), swarm("gone", "1")];
        let now = [swarm("changed", "2"), swarm("new", "1")];
        let carried = carried_over(&before, vec![seen("changed"), seen("gone")], &now);
        let expected = EntryStatus {
            revision: String::new(),
            state: EntryState::Pending.into(),
            ..seen("changed")
        };
        assert_eq!(carried, [expected]);
    }

    #[test]
    fn containers_cause_an_examination_at_once_and_many_of_them_not_many() {
        let mut lane = PassLane::new(Kind::DockerVolume);
        assert_eq!(lane.next_occasion(true), Occasion::None, "paused");
        assert_eq!(lane.next_occasion(false), Occasion::Start);
        assert_eq!(lane.next_occasion(false), Occasion::None);
        lane.watching = 1;
        let now = Instant::now();
        lane.due = None;
        lane.container_event(now);
        assert!(lane.due > Some(now), "the last examination was just now");
        assert_eq!(lane.next_occasion(false), Occasion::None);
        lane.examined = now.checked_sub(BETWEEN_EXAMINATIONS);
        lane.due = None;
        lane.container_event(now);
        assert_eq!(lane.due, Some(now));
        assert_eq!(lane.next_occasion(false), Occasion::Containers);
        // Nothing watches containers.
        lane.watching = 0;
        lane.due = None;
        lane.container_event(now);
        assert_eq!(lane.due, None);
        lane.examined = now.checked_sub(EXAMINE_AGAIN);
        lane.occasion = Occasion::None;
        assert_eq!(lane.next_occasion(false), Occasion::Time);
    }

    #[test]
    fn a_report_waits_for_a_short_pass_and_not_for_a_long_one() {
        let mut lane = PassLane::new(Kind::DockerNetwork);
        let now = Instant::now();
        assert_eq!(lane.delays_report_until(now), None);
        let (_, interim) = watch::channel(Vec::new());
        lane.running = Some(RunningPass {
            since: now,
            snapshot: None,
            is_cut_off: false,
            interim,
            stop: CancellationToken::new(),
        });
        assert_eq!(lane.delays_report_until(now), Some(now + SHORT_PASS));
        assert_eq!(lane.delays_report_until(now + SHORT_PASS), None);
        // A restart ends the running pass, and the next one is due after it.
        lane.restart();
        assert!(lane.running.as_ref().is_some_and(|r| r.stop.is_cancelled()));
        assert_eq!(lane.due(), None);
    }
}
