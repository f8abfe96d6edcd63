//! One pass: observe the engine, plan, write the journal, act, observe again.
//!
//! A pass is level-triggered: it does what is left to do, whatever happened before. The agents of a fleet and
//! the standalone commands run the same pass.

mod backup;
mod drift;
mod examination;
mod progress;
mod prune;
mod step;
mod unanswered;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Reason};
use dockfleet_planner::action::Operation;
use dockfleet_planner::capability::ApiVersion;
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::examination::Occasion;
use dockfleet_planner::kinds::{self, Work};
use dockfleet_planner::observed::ObservedState;
use dockfleet_planner::plan::{
    BackupContext, JournalChange, PlanContext, Planned, PruneContext, Records, backups, bounded,
    forgettable, plan, prune as planner_prune, statuses,
};
use dockfleet_vitals::chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::examination::Examinations;
pub use self::progress::Progress;
pub use self::prune::Pruning;
use self::unanswered::Unanswered;
use crate::actions;
use crate::backup::WantedJobs;
use crate::effect::Effects;
use crate::engine::{Engine, EngineError, Observation};
use crate::journal::{Journal, JournalError, Ledger, takes};

/// How often a pass plans and acts before it leaves the rest to the next one: once for the planned actions,
/// once for actions that these made possible, and once more for changes that somebody else made meanwhile.
const ROUNDS: usize = 3;

/// How long an engine gets to finish a request of a process that has ended. A network takes a tenth of a
/// second, or a second if the engine is busy.
const ORPHANED_REQUEST: Duration = Duration::from_secs(3);

/// Minimum time between two interim reports of a pass.
const INTERIM: Duration = Duration::from_secs(1);

/// What a pass did, and the statuses after it.
#[derive(Debug, Default)]
pub struct PassReport {
    /// The statuses of the entries and of records without an entry, by UID.
    pub statuses: Vec<EntryStatus>,
    /// Number of calls to the engine.
    pub engine_calls: u64,
    /// Number of objects that were created, replaced or removed.
    pub changed: usize,
    /// Objects that were different or missing when the pass began, by the UID of the entry.
    pub drifts: BTreeMap<String, Drift>,
    /// Number of actions that failed or are left, so that another pass is due soon.
    pub unfinished: usize,
    /// Number of entries that wait until no container uses their object.
    pub waiting: usize,
    /// Number of entries whose object a container may change.
    pub watching: usize,
    /// Number of entries whose object was not examined although it was due.
    pub unexamined: usize,
    /// Why the engine's lists could not be read at the end.
    pub engine_failures: Vec<EngineError>,
    /// Why the journal could not be written; nothing was changed after that.
    pub journal_failure: Option<JournalError>,
    /// What was done for PrunePolicies; `None` if the pass was over another kind.
    pub pruning: Option<Pruning>,
    /// The backups or restores that run or begin now; `None` if the pass was over another kind.
    pub(crate) jobs: Option<WantedJobs>,
}

/// An object that was no longer as its entry describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The kind of the entry.
    pub kind: Kind,
    /// The pass repaired it.
    pub repaired: bool,
}

/// Applies the entries to an engine, as far as that is possible now.
pub async fn pass(
    engine: &Engine,
    journal: &mut Journal,
    entries: &[Entry],
    store: &CredentialStore,
    effects: &Effects,
    progress: &mut (dyn FnMut(&Progress) + Send),
) -> PassReport {
    let never = CancellationToken::new();
    let input = PassInput {
        entries,
        store,
        effects,
        occasion: Occasion::Start,
    };
    pass_until(engine, journal, &input, progress, &never).await
}

/// The input of a pass beside the engine and the journal.
#[derive(Clone, Copy, Debug)]
pub struct PassInput<'a> {
    /// The entries.
    pub entries: &'a [Entry],
    /// The credentials for them.
    pub store: &'a CredentialStore,
    /// Called after every external change.
    pub effects: &'a Effects,
    /// What may have changed since the last pass.
    pub occasion: Occasion,
}

/// Runs a pass that ends on `stop` after the current actions. Networks and volumes do not wait for each
/// other.
pub async fn pass_until(
    engine: &Engine,
    journal: &mut Journal,
    input: &PassInput<'_>,
    progress: &mut (dyn FnMut(&Progress) + Send),
    stop: &CancellationToken,
) -> PassReport {
    let calls_before = engine.calls();
    let remembered = journal.assignment().map_or(&[][..], |s| &s.entries);
    let assigned: Vec<Entry> = remembered.iter().chain(input.entries).cloned().collect();
    let assigned = &assigned[..];
    let progress = Mutex::new(progress);
    let report_progress = |current: &Progress| {
        (progress.lock().unwrap_or_else(PoisonError::into_inner))(current);
    };
    let passes = Kind::all().map(|kind| {
        let of_kind = input.entries.iter().filter(|e| takes(kind, &e.kind));
        let entries: Vec<Entry> = of_kind.cloned().collect();
        let ledger = journal.ledger();
        async move {
            let work = PassRun {
                engine,
                kind,
                entries: &entries,
                assigned,
                store: input.store,
                effects: input.effects,
                occasion: input.occasion,
                paused: None,
                is_cut_off: false,
                stop,
                before: &[],
                backups: &BTreeMap::new(),
                interim: None,
            };
            work.enforce(ledger, &mut |current| report_progress(current))
                .await
        }
    });
    let mut report = PassReport::default();
    for one in futures::future::join_all(passes).await {
        report.add(one);
    }
    report.statuses.sort_by(|a, b| a.uid.cmp(&b.uid));
    report.engine_calls = engine.calls() - calls_before;
    report
}

/// Returns what a pass would do first, without doing it. The status of each entry is that of a pass that
/// stopped there. It is an error if no list can be read and there is no entry whose status could contain
/// that.
pub async fn preview(
    engine: &Engine,
    journal: &Journal,
    entries: &[Entry],
    store: &CredentialStore,
) -> Result<Vec<Planned>, EngineError> {
    let records = journal.records();
    let is_policy = |e: &&Entry| {
        e.kind
            .known()
            .is_some_and(|k| kinds::work(k) == Work::Pruning)
    };
    let (policies, entries): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(is_policy);
    let policies: Vec<Entry> = policies.into_iter().cloned().collect();
    let entries: Vec<Entry> = entries.into_iter().cloned().collect();
    let pruning = prune::preview(engine, journal, &policies, &entries).await;
    let mut seen = engine.observe().await;
    let is_asked_for = |kind: &Kind| entries.iter().any(|e| e.kind == *kind);
    for kind in Kind::all().filter(|k| !kinds::is_observed_always(*k) && is_asked_for(k)) {
        let more = engine.observe_kind(kind).await;
        seen.observed.extend(more.observed);
        seen.failures.extend(more.failures);
    }
    if entries.is_empty()
        && policies.is_empty()
        && seen.observed.is_unknown()
        && let Some((_, err)) = seen.failures.pop_last()
    {
        return Err(err);
    }
    let nonce = nonce();
    let context = PlanContext {
        api: engine.api(),
        nonce: &nonce,
        store,
        is_cut_off: false,
    };
    for kind in Kind::all() {
        seen.observed.recall(kind, &records);
    }
    let mut planned = plan(&entries, &seen.observed, &records, &context);
    for p in &mut planned {
        let Some(entry) = entries.iter().find(|e| e.uid == p.status.uid) else {
            continue;
        };
        let failure = seen
            .failures
            .iter()
            .find(|(kind, _)| takes(**kind, &entry.kind));
        if let Some((_, err)) = failure {
            give_cause(p, err);
        }
        if let Some(kind) = entry.kind.known()
            && let Err(err) = step::is_free(engine, kind, &p.actions).await
        {
            set_failure(p, &err);
        }
    }
    planned.extend(pruning);
    Ok(planned)
}

/// Adds why the engine's list could not be read to the status of an entry that waits for it.
fn give_cause(planned: &mut Planned, err: &EngineError) {
    if planned.status.is_because(Reason::EngineUnreachable) {
        let message = format!("{}: {}", planned.status.message, err.sentence());
        planned.status.message = bounded(message);
    }
}

/// Returns the statuses of entries and records of one kind if the engine does not answer at all.
pub(crate) fn unknown(
    kind: Kind,
    entries: &[Entry],
    records: &Records,
    running: &BTreeMap<String, String>,
) -> Vec<EntryStatus> {
    match kinds::work(kind) {
        Work::Objects => {}
        Work::Pruning => {
            let planned = planner_prune(entries, None, records, PruneContext::default());
            return statuses(&planned, records);
        }
        Work::Backups | Work::Restores => {
            let context = BackupContext {
                held: Some((Reason::EngineUnreachable, "the engine does not answer")),
                store: &CredentialStore::new(),
                running,
            };
            let planned = backups(entries, records, &context);
            let planned: Vec<Planned> = planned.into_iter().map(|p| p.planned).collect();
            return statuses(&planned, records);
        }
        Work::Nothing => return Vec::new(),
    }
    // A plan without observed state needs neither a version nor a nonce.
    let context = PlanContext {
        api: ApiVersion(0, 0),
        nonce: "",
        store: &CredentialStore::new(),
        is_cut_off: false,
    };
    statuses(
        &plan(entries, &ObservedState::default(), records, &context),
        records,
    )
}

/// Returns a unique text.
fn nonce() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The input of a pass over the entries of one kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassRun<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) kind: Kind,
    /// The entries of that kind.
    pub(crate) entries: &'a [Entry],
    /// All entries of the host, of whatever kind.
    pub(crate) assigned: &'a [Entry],
    /// The credentials that the agent has.
    pub(crate) store: &'a CredentialStore,
    pub(crate) effects: &'a Effects,
    /// What may have changed since objects were last examined.
    pub(crate) occasion: Occasion,
    /// Why the host is paused, if it is: nothing is changed, neither on the engine nor in the journal.
    pub(crate) paused: Option<&'a str>,
    /// Another host may be the writer of the swarm now. Never without a cluster.
    pub(crate) is_cut_off: bool,
    /// Ends the pass after the current action.
    pub(crate) stop: &'a CancellationToken,
    /// The statuses after the previous pass, if they are known.
    pub(crate) before: &'a [EntryStatus],
    /// How far running backups and restores are, in words, by UID.
    pub(crate) backups: &'a BTreeMap<String, String>,
    /// Gets the interim statuses of the pass.
    pub(crate) interim: Option<&'a watch::Sender<Vec<EntryStatus>>>,
}

/// What a pass has tried so far.
#[derive(Debug, Default)]
struct Attempts {
    /// Failed actions, by the UID of the entry.
    failures: BTreeMap<String, EngineError>,
    /// Entries whose driver does not answer, with the driver. They wait for the next pass.
    skipped: BTreeMap<String, String>,
    unanswered: Unanswered,
    examinations: Examinations,
}

impl Attempts {
    fn is_due(&self, planned: &Planned) -> bool {
        let uid = &planned.status.uid;
        !planned.actions.is_empty()
            && !self.failures.contains_key(uid)
            && !self.skipped.contains_key(uid)
            && self.examinations.failure(uid).is_none()
    }
}

impl PassRun<'_> {
    pub(crate) async fn enforce<P: FnMut(&Progress) + ?Sized>(
        self,
        ledger: &Arc<Ledger>,
        progress: &mut P,
    ) -> PassReport {
        match kinds::work(self.kind) {
            Work::Objects => {}
            Work::Pruning => return self.follow_policies(ledger, progress).await,
            Work::Backups | Work::Restores => return self.follow_backups(ledger).await,
            Work::Nothing => return PassReport::default(),
        }
        let calls_before = self.engine.calls();
        let nonce = nonce();
        let context = PlanContext {
            api: self.engine.api(),
            nonce: &nonce,
            store: self.store,
            is_cut_off: self.is_cut_off,
        };
        let mut attempts = Attempts::default();
        let mut report = PassReport::default();
        let mut round = 0;
        self.await_orphaned_request(ledger).await;
        let mut planned = loop {
            let seen = if self.has_objects_to_observe(ledger) {
                self.engine.observe_kind(self.kind).await
            } else {
                Observation::default()
            };
            report.engine_failures = seen.failures.into_values().collect();
            let records = ledger.records_of(self.kind);
            let mut observed = seen.observed;
            observed.recall(self.kind, &records);
            let mut planned = plan(self.entries, &observed, &records, &context);
            let examinations = &mut attempts.examinations;
            if self.paused.is_none() && self.examine(&planned, &mut observed, examinations).await {
                planned = plan(self.entries, &observed, &records, &context);
            }
            if round == 0 {
                report.drifts = self.drifts(&planned, &records);
            }
            let may_act = self.paused.is_none() && round < ROUNDS && !self.stop.is_cancelled();
            let mut to_do: Vec<(&str, &Planned)> = planned
                .iter()
                .filter(|p| may_act && attempts.is_due(p))
                .filter_map(|p| Some((p.actions.first()?.driver(), p)))
                .collect();
            to_do.sort_by_key(|(driver, _)| unanswered::is_plugin(driver));
            let changes = self.changes(&planned, &observed, &records, |p| {
                may_act && attempts.is_due(p)
            });
            // Invariant 5: all intents are durable before the first action.
            if let Err(err) = ledger.commit(changes, self.effects).await {
                tracing::error!(
                    kind = self.kind.as_str(),
                    error = %chain(&err),
                    "the journal cannot be written; no further action is started"
                );
                report.journal_failure = Some(err);
                break planned;
            }
            let observes_again = self
                .act_on(
                    &planned,
                    &to_do,
                    ledger,
                    &mut attempts,
                    &mut report,
                    progress,
                )
                .await;
            if !observes_again {
                break planned;
            }
            round += 1;
        };
        if let Some(why) = self.paused {
            for p in &mut planned {
                pause_entry(p, why);
            }
        }
        // An engine has no event for a manager of the swarm that becomes reachable.
        let waits = |p: &Planned| p.actions.is_empty() && p.status.is_because(Reason::Progressing);
        if !kinds::is_observed_always(self.kind) && planned.iter().any(waits) {
            report.unfinished += 1;
        }
        let missed = |p: &&Planned| attempts.examinations.is_missed(p, self.occasion);
        report.unexamined = planned.iter().filter(missed).count();
        report.watching = planned.iter().filter(|p| p.examine.is_some()).count();
        report.finish(planned, &attempts, &ledger.records_of(self.kind));
        report.engine_calls = self.engine.calls() - calls_before;
        report
    }

    /// Whether objects of the kind are observed: always, or only if the host has an entry or a record of it.
    fn has_objects_to_observe(&self, ledger: &Ledger) -> bool {
        kinds::is_observed_always(self.kind)
            || self.entries.iter().any(|e| e.kind == self.kind)
            || ledger
                .records_of(self.kind)
                .values()
                .any(|r| r.kind == self.kind)
    }

    /// Waits until the engine has probably finished a request of a process that has ended, if it could create
    /// a second object of the name.
    async fn await_orphaned_request(&self, ledger: &Ledger) {
        let may_still_create = actions::may_create_duplicates(self.engine, self.kind);
        if may_still_create && ledger.take_interrupted(self.kind) {
            let wait = tokio::time::sleep(ORPHANED_REQUEST);
            self.stop.run_until_cancelled(wait).await;
        }
    }

    /// Returns the changes of the journal before the actions.
    fn changes(
        &self,
        planned: &[Planned],
        observed: &ObservedState,
        records: &Records,
        is_due: impl Fn(&Planned) -> bool,
    ) -> Vec<JournalChange> {
        if self.paused.is_some() {
            return Vec::new();
        }
        let done = forgettable(self.entries, observed, records);
        planned
            .iter()
            // An intent without its action would be wrong in the journal.
            .filter(|p| p.actions.is_empty() || is_due(p))
            .filter(|p| p.journal != JournalChange::Keep)
            .map(|p| p.journal.clone())
            .chain(done.into_iter().map(JournalChange::Forget))
            .collect()
    }

    /// Does the actions, one entry after the other, until the pass must end. Returns whether the engine may
    /// have changed.
    async fn act_on<P: FnMut(&Progress) + ?Sized>(
        &self,
        planned: &[Planned],
        to_do: &[(&str, &Planned)],
        ledger: &Ledger,
        attempts: &mut Attempts,
        report: &mut PassReport,
        progress: &mut P,
    ) -> bool {
        let mut observes_again = false;
        let mut last_interim: Option<Instant> = None;
        for (driver, step) in to_do {
            if self.stop.is_cancelled() {
                break;
            }
            let uid = &step.status.uid;
            if attempts.unanswered.is_skipped(driver) {
                attempts.skipped.insert(uid.clone(), (*driver).to_owned());
                continue;
            }
            let Some(entry) = self.entries.iter().find(|e| e.uid == *uid) else {
                continue;
            };
            if last_interim.is_none_or(|at| at.elapsed() >= INTERIM) {
                last_interim = Some(Instant::now());
                self.report_interim(planned, attempts, ledger);
            }
            let (touched, result) = self.work_on(entry, step, progress).await;
            observes_again |= touched;
            if touched {
                attempts.examinations.changed(uid);
            }
            match result {
                Ok(()) => {
                    report.changed += 1;
                    if let Some(drift) = report.drifts.get_mut(uid) {
                        drift.repaired = true;
                    }
                }
                Err(err) => {
                    attempts.unanswered.count(driver, &err);
                    attempts.failures.insert(uid.clone(), err);
                }
            }
        }
        observes_again
    }

    fn report_interim(&self, planned: &[Planned], attempts: &Attempts, ledger: &Ledger) {
        if let Some(interim) = self.interim {
            let mut so_far = PassReport::default();
            so_far.finish(planned.to_vec(), attempts, &ledger.records_of(self.kind));
            interim.send_replace(so_far.statuses);
        }
    }
}

/// Removes the actions for an entry of a paused host, and reports why.
fn pause_entry(planned: &mut Planned, why: &str) {
    if planned.actions.is_empty() && planned.journal == JournalChange::Keep {
        return;
    }
    planned.actions = Vec::new();
    planned.journal = JournalChange::Keep;
    let status = &mut planned.status;
    let what = match status.message.as_str() {
        "" => "to be changed",
        message => message,
    };
    status.message = bounded(format!("{what}; the host is paused: {why}"));
    status.state = EntryState::Pending.into();
    status.reason = Some(Reason::Paused.into());
}

impl PassRun<'_> {
    /// Returns the drift in a plan.
    fn drifts(&self, planned: &[Planned], records: &Records) -> BTreeMap<String, Drift> {
        let by_uid = |uid: &str| self.entries.iter().find(|e| e.uid == uid);
        let drifted = planned.iter().filter_map(|p| {
            let entry = by_uid(&p.status.uid)?;
            let before = self.before.iter().find(|s| s.uid == entry.uid);
            let kind = entry.kind.known()?;
            drift::is_drift(entry, p, records, before).then(|| {
                let repaired = false;
                (entry.uid.clone(), Drift { kind, repaired })
            })
        });
        drifted.collect()
    }
}

impl PassReport {
    /// Adds the report of a pass over another kind.
    fn add(&mut self, other: Self) {
        self.statuses.extend(other.statuses);
        self.changed += other.changed;
        self.drifts.extend(other.drifts);
        self.pruning = self.pruning.take().or(other.pruning);
        self.unfinished += other.unfinished;
        self.waiting += other.waiting;
        self.watching += other.watching;
        self.unexamined += other.unexamined;
        self.engine_failures.extend(other.engine_failures);
        self.journal_failure = self.journal_failure.take().or(other.journal_failure);
    }

    /// Sets the statuses: the last observed state, and why actions are left (invariant 12).
    fn finish(&mut self, mut planned: Vec<Planned>, attempts: &Attempts, records: &Records) {
        for p in &mut planned {
            if let Some(err) = attempts.examinations.failure(&p.status.uid) {
                set_failure(p, err);
                let message = format!("it could not be examined: {}", p.status.message);
                p.status.message = bounded(message);
                self.unfinished += 1;
                continue;
            }
            let idle = p.actions.is_empty();
            if let (Some(err), false) = (
                &self.journal_failure,
                idle && p.journal == JournalChange::Keep,
            ) {
                p.status.state = EntryState::Failed.into();
                p.status.reason = Some(Reason::JournalFailed.into());
                p.status.message = bounded(format!("nothing was changed: {}", chain(err)));
                self.unfinished += 1;
                continue;
            }
            if idle {
                if let Some(err) = self.engine_failures.first() {
                    give_cause(p, err);
                }
                continue;
            }
            let uid = &p.status.uid;
            if let Some(driver) = attempts.skipped.get(uid) {
                p.status.state = EntryState::Pending.into();
                p.status.reason = Some(Reason::EngineUnreachable.into());
                p.status.message = bounded(format!(
                    "driver {driver} did not answer for other entries; this one is tried in the next pass"
                ));
                self.unfinished += 1;
                continue;
            }
            let failure = attempts.failures.get(uid);
            if let Some(err) = failure {
                set_failure(p, err);
            }
            match failure {
                Some(EngineError::InUse(_)) => self.waiting += 1,
                _ => self.unfinished += 1,
            }
        }
        self.unfinished += self.engine_failures.len();
        self.statuses = statuses(&planned, records);
    }
}

/// Sets the failure of an entry's action in its status.
fn set_failure(planned: &mut Planned, err: &EngineError) {
    let operation = planned.operation();
    let status = &mut planned.status;
    let (state, reason) = match (err, operation) {
        (EngineError::InUse(_) | EngineError::InUseElsewhere(_), Some(Operation::Replace)) => {
            (EntryState::Drifted, Reason::InUse)
        }
        (EngineError::InUse(_) | EngineError::InUseElsewhere(_), _) => {
            (EntryState::Pending, Reason::InUse)
        }
        // The object is being removed; the next pass observes the result.
        (EngineError::NotFound(_), _) => return,
        (EngineError::AlreadyExists(_), _) => (EntryState::Failed, Reason::Conflict),
        (EngineError::Refused(_) | EngineError::TooOld { .. }, _) => {
            (EntryState::Failed, Reason::EngineRefused)
        }
        (EngineError::Busy(_), _) => (EntryState::Failed, Reason::EngineBusy),
        (EngineError::Unreachable { .. }, _) => (EntryState::Failed, Reason::EngineUnreachable),
    };
    let message = match err {
        EngineError::InUse(_) | EngineError::InUseElsewhere(_) => {
            format!("{err}; {}", status.message)
        }
        _ => err.sentence(),
    };
    status.state = state.into();
    status.reason = Some(reason.into());
    status.message = bounded(message);
}
