//! Plans what an agent has to do, from entries, the observed state of the engine and the records of the
//! journal.
//!
//! Planning changes nothing and can be repeated: the same input gives the same plan, and after its actions
//! are done there is nothing left to do. A plan never changes an object that Dockfleet does not own, and
//! never removes one without a tombstone or an updatePolicy that allows it (invariants 1 and 3).

mod backup;
mod present;
mod prune;
mod tombstone;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::{Kind, MAX_DIFF, MAX_MESSAGE};
use dockfleet_crds::{Entry, EntryState, EntryStatus, FieldDiff, Intent, Open, Reason};

use crate::action::Operation;
use crate::capability::ApiVersion;
use crate::credentials::CredentialStore;
use crate::desired::{self, EntrySpec};
use crate::examination::Examination;
use crate::kinds::{Action, Object};
use crate::observed::ObservedState;
use crate::record::{Record, RecordKey, Stage};
use world::World;

pub use self::backup::{
    BackupContext, DesiredJob, PlannedBackup, backups, recorded as recorded_backup,
};
pub use self::prune::{
    BETWEEN_RUNS, LISTED_FOR, PruneContext, abandoned, policy_of, prune, removal,
};

/// The records of a journal.
pub type Records = BTreeMap<RecordKey, Record>;

/// The input of a plan beside entries, objects and records.
#[derive(Clone, Copy, Debug)]
pub struct PlanContext<'a> {
    /// The API version of the engine.
    pub api: ApiVersion,
    /// A text that is unique to this pass among all agents. The identities of new volumes are derived from
    /// it.
    pub nonce: &'a str,
    /// The credentials that the agent has.
    pub store: &'a CredentialStore,
    /// The agent has not heard of its API server for so long that another host may be the writer by now.
    pub is_cut_off: bool,
}

/// The plan for one entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The actions, in order.
    pub actions: Vec<Action>,
    /// The change of the journal, which must be durable before the first action.
    pub journal: JournalChange,
    /// The status of the entry before the actions.
    pub status: EntryStatus,
    /// The next examination of its object, if there will be one.
    pub examine: Option<Examination>,
}

impl Planned {
    /// Returns the operation on the object, if any.
    pub fn operation(&self) -> Option<Operation> {
        Operation::of(&self.actions)
    }
}

/// One change of the journal.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a plan has few of them, and lives as long as a pass"
)]
pub enum JournalChange {
    /// No change.
    Keep,
    /// Write the record, and remove the one whose object it takes over.
    Put {
        /// The record.
        record: Record,
        /// The record that it replaces.
        instead_of: Option<RecordKey>,
    },
    /// Remove the record.
    Forget(RecordKey),
}

impl JournalChange {
    fn put(record: Record, before: Option<&Record>) -> Self {
        let record = record.after(before);
        if before == Some(&record) {
            Self::Keep
        } else {
            Self::Put {
                record,
                instead_of: None,
            }
        }
    }
}

/// Plans every entry. Tombstones come first, so that their names are free for other entries. Then come
/// existing objects, then networks with given subnets, and last networks that take any free subnet.
pub fn plan(
    entries: &[Entry],
    observed: &ObservedState,
    records: &Records,
    context: &PlanContext<'_>,
) -> Vec<Planned> {
    let world = World::new(entries, records, context);
    let mut planned: Vec<(u8, Planned)> = entries
        .iter()
        .map(|entry| {
            let mut planned = plan_entry(entry, observed, &world);
            if context.is_cut_off {
                leave_to_writer(&mut planned);
            }
            planned.status.handled.clone_from(&entry.request);
            (order(entry, &planned), planned)
        })
        .collect();
    planned.sort_by(|a, b| (a.0, &a.1.status.uid).cmp(&(b.0, &b.1.status.uid)));
    let mut planned: Vec<Planned> = planned.into_iter().map(|(_, p)| p).collect();
    spare_new_records(&mut planned);
    planned
}

/// Drops the actions for an entry that only the writer of a swarm may do, and reports what they wait for.
fn leave_to_writer(planned: &mut Planned) {
    if planned.actions.iter().any(Action::is_writer_work) {
        planned.actions = Vec::new();
        // An intent without its action would be wrong in the journal.
        planned.journal = JournalChange::Keep;
        let message = "waits for the API server: another host may change the swarm now";
        let status = &mut planned.status;
        status.state = EntryState::Pending.into();
        status.reason = Some(Reason::Progressing.into());
        message.clone_into(&mut status.message);
    }
}

/// Keeps a replaced record if its own entry writes it again in the same plan: the resource released one
/// object and is about to create another.
fn spare_new_records(planned: &mut [Planned]) {
    let written: BTreeSet<RecordKey> = planned
        .iter()
        .filter_map(|p| match &p.journal {
            JournalChange::Put { record, .. } => Some(record.key.clone()),
            JournalChange::Keep | JournalChange::Forget(_) => None,
        })
        .collect();
    for p in planned {
        if let JournalChange::Put { instead_of, .. } = &mut p.journal {
            *instead_of = instead_of.take().filter(|key| !written.contains(key));
        }
    }
}

/// Returns the statuses of a plan and of records without an entry, by UID.
pub fn statuses(planned: &[Planned], records: &Records) -> Vec<EntryStatus> {
    let mut all: BTreeMap<String, EntryStatus> = planned
        .iter()
        .map(|p| (p.status.uid.clone(), p.status.clone()))
        .collect();
    for (key, record) in records {
        if record.stage != Stage::Retained && !all.contains_key(&key.uid) {
            all.insert(key.uid.clone(), unassigned(record));
        }
    }
    all.into_values().collect()
}

/// Returns the keys of records that are no longer needed: they have no entry, and their object, which was
/// released or never created, is not on the host.
pub fn forgettable(
    entries: &[Entry],
    observed: &ObservedState,
    records: &Records,
) -> Vec<RecordKey> {
    let assigned: BTreeSet<&str> = entries.iter().map(|e| e.uid.as_str()).collect();
    let absent = |r: &Record| {
        let all = r.kind.known().and_then(|kind| observed.all(kind));
        let listed = |kind| observed.incomplete(kind, r.driver.as_deref()).is_none();
        r.kind.known().is_some_and(listed)
            && all.is_some_and(|all| {
                !all.iter()
                    .any(|o| r.id.as_ref() == Some(&o.id()) || o.created_for(&r.key.uid))
            })
    };
    records
        .values()
        .filter(|r| r.is_understood())
        .filter(|r| match r.stage.known() {
            Some(Stage::Creating | Stage::Removing | Stage::Retained) => true,
            // If the entry comes back, the absence of the object is a loss.
            Some(Stage::Owned | Stage::Replacing) | None => false,
        })
        .filter(|r| !assigned.contains(r.key.uid.as_str()) && absent(r))
        .map(|r| r.key.clone())
        .collect()
}

fn unassigned(record: &Record) -> EntryStatus {
    let Record {
        kind,
        object,
        namespace,
        name,
        ..
    } = record;
    let (state, reason, message) = match kind.known() {
        Some(kind) if record.is_understood() => (
            EntryState::Pending,
            Reason::Unassigned,
            format!(
                "{} {object} is kept: the journal has a record of it for {namespace}/{name}, and the \
                 assignment has no entry for it",
                kind.object()
            ),
        ),
        Some(_) | None => (
            EntryState::Unsupported,
            Reason::AgentTooOld,
            format!(
                "the journal has a record of {kind} {namespace}/{name} that this agent does not \
                 understand; it is kept, and nothing is changed for it; upgrade the agent"
            ),
        ),
    };
    EntryStatus {
        uid: record.key.uid.clone(),
        state: state.into(),
        reason: Some(reason.into()),
        message: bounded(message),
        id: record.id.clone(),
        ..EntryStatus::default()
    }
}

fn plan_entry(entry: &Entry, observed: &ObservedState, world: &World<'_>) -> Planned {
    let (kind, spec) = match desired::whole(entry) {
        Ok(read) => read,
        Err(err) => return report(unsupported(entry, err.to_string())),
    };
    let acts_on_all = matches!(spec, EntrySpec::Absent(..));
    // A tombstone is not done as long as the host has other things of the resource.
    let mut concerned = world.records_of(entry);
    if concerned.any(|r| !r.is_understood() && (acts_on_all || r.key.thing.is_empty())) {
        let message = "a newer version wrote its journal record; upgrade the agent";
        return report(unsupported(entry, message.to_owned()));
    }
    // A tombstone is for the object in the journal, even if a file has changed the name since.
    let name = match (&spec, world.record(entry)) {
        (EntrySpec::Absent(..), Some(record)) => &record.object,
        _ => spec.name(),
    };
    let Some(named) = observed.named(kind, name) else {
        let message = format!("the engine's {}s could not be listed", kind.object());
        return report(pending(entry, Reason::EngineUnreachable, message));
    };
    if let Some(status) = unlisted(entry, kind, &spec, &named, observed, world) {
        return report(status);
    }
    match &spec {
        EntrySpec::Absent(_, t) => tombstone::plan(entry, t.policy, &named, world),
        EntrySpec::Present(desired) => {
            let mut planned = present::plan(entry, desired, &named, world);
            let of_others = || named.first().filter(|_| desired.is_confirmed_by_others());
            let object = named.iter().find(|o| Some(o.id()) == planned.status.id);
            let object = object.or_else(of_others);
            planned.status.detail = object.and_then(|o| desired.detail(o));
            planned
        }
    }
}

/// Returns the status of an entry whose object was not found, while the engine could not list the objects of
/// its driver: the object may exist (invariant 4).
fn unlisted(
    entry: &Entry,
    kind: Kind,
    spec: &EntrySpec,
    named: &[&Object],
    observed: &ObservedState,
    world: &World<'_>,
) -> Option<EntryStatus> {
    if world.own(entry, named).is_some() {
        return None;
    }
    let recorded = || world.record(entry).and_then(|r| r.driver.as_deref());
    let driver = match (named, spec) {
        ([object, ..], _) => Some(object.driver()),
        ([], EntrySpec::Present(desired)) => recorded().or_else(|| Some(desired.driver())),
        ([], EntrySpec::Absent(..)) => recorded(),
    };
    let warning = observed.incomplete(kind, driver)?;
    let message = format!(
        "the engine could not list all {}s, so it is not known whether {} exists: {warning}",
        kind.object(),
        spec.name()
    );
    Some(pending(entry, Reason::EngineUnreachable, message))
}

fn order(entry: &Entry, planned: &Planned) -> u8 {
    if entry.intent == Intent::Absent {
        return 0;
    }
    let created = planned.actions.iter().find_map(|a| a.creates());
    match created {
        Some(desired) if desired.is_created_last() => 3,
        Some(_) => 2,
        None => 1,
    }
}

fn report(status: EntryStatus) -> Planned {
    Planned {
        actions: Vec::new(),
        journal: JournalChange::Keep,
        status,
        examine: None,
    }
}

fn status(
    entry: &Entry,
    state: EntryState,
    reason: Option<Reason>,
    message: String,
) -> EntryStatus {
    EntryStatus {
        uid: entry.uid.clone(),
        revision: entry.revision.clone(),
        state: state.into(),
        reason: reason.map(Open::from),
        message: bounded(message),
        id: None,
        handled: None,
        diff: Vec::new(),
        detail: None,
    }
}

fn ready(entry: &Entry, id: String) -> EntryStatus {
    EntryStatus {
        id: Some(id),
        ..status(entry, EntryState::Ready, None, String::new())
    }
}

fn pending(entry: &Entry, reason: Reason, message: String) -> EntryStatus {
    status(entry, EntryState::Pending, Some(reason), message)
}

fn failed(entry: &Entry, reason: Reason, message: String) -> EntryStatus {
    status(entry, EntryState::Failed, Some(reason), message)
}

/// Returns the status of an entry that this version does not understand. Nothing is changed for it.
fn unsupported(entry: &Entry, message: String) -> EntryStatus {
    let (state, reason) = (EntryState::Unsupported, Reason::AgentTooOld);
    status(entry, state, Some(reason), message)
}

fn drifted(
    entry: &Entry,
    reason: Reason,
    message: String,
    id: Option<String>,
    mut diff: Vec<FieldDiff>,
) -> EntryStatus {
    diff.truncate(MAX_DIFF);
    EntryStatus {
        id,
        diff,
        ..status(entry, EntryState::Drifted, Some(reason), message)
    }
}

/// Cuts a message to the maximum length of a status.
pub fn bounded(message: String) -> String {
    if message.chars().count() <= MAX_MESSAGE {
        return message;
    }
    let mut cut: String = message.chars().take(MAX_MESSAGE - 1).collect();
    cut.push('…');
    cut
}

/// Returns differences as one sentence.
pub(crate) fn in_words(diff: &[FieldDiff]) -> String {
    let shown: Vec<String> = diff.iter().take(3).map(ToString::to_string).collect();
    let more = diff.len().saturating_sub(shown.len());
    let tail = if more == 0 {
        String::new()
    } else {
        format!("; and {more} more")
    };
    format!("{}{tail}", shown.join("; "))
}

#[cfg(test)]
mod tests;
