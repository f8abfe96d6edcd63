//! Plans entries of PrunePolicies: what is listed, and what is removed.
//!
//! An object is removed only by its identity, and only if the journal has it as a candidate for some time: that is the
//! durable permission (invariant 1), and the time in which a person can see it in the status and stop it.

use std::collections::BTreeMap;

use dockfleet_crds::prune::PruneMode;
use dockfleet_crds::{Entry, EntryState, EntryStatus, Reason};

use super::{
    JournalChange, Planned, Records, bounded, failed, pending, report, status, unsupported,
};
use crate::action::ObjectAction;
use crate::brake::{self, Limits};
use crate::desired::{self, EntrySpec};
use crate::kinds::prune::{Candidate, DesiredPrune, Observation, PruneDetail, PruneView, Selected};
use crate::kinds::{Action, Desired};
use crate::record::{Record, RecordKey, Stage};

/// How long an object is listed before it is removed, in seconds: the interval between two looks at it.
pub const LISTED_FOR: i64 = 60;

/// The time between two runs of a policy, in seconds.
pub const BETWEEN_RUNS: i64 = 10 * 60;

/// How many names a message has.
const NAMED: usize = 3;

/// What stops removals beside the policies themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct PruneContext<'a> {
    /// Why the host is paused, if it is.
    pub paused: Option<&'a str>,
    /// The agent has not heard of its API server: a person may have stopped the policy there.
    pub is_cut_off: bool,
    /// Why objects could not be removed just now, by the UID of the policy.
    pub failures: Option<&'a BTreeMap<String, String>>,
}

/// Plans every entry, by UID. Without a view the objects of the engine are not known.
pub fn prune(
    entries: &[Entry],
    view: Option<&PruneView<'_>>,
    records: &Records,
    context: PruneContext<'_>,
) -> Vec<Planned> {
    let mut planned: Vec<Planned> = entries
        .iter()
        .map(|entry| {
            let mut planned = plan_entry(entry, view, records, context);
            planned.status.handled.clone_from(&entry.request);
            planned
        })
        .collect();
    planned.sort_by(|a, b| a.status.uid.cmp(&b.status.uid));
    planned
}

/// Returns the records that are no longer needed: nobody asks for their policy.
pub fn abandoned(entries: &[Entry], records: &Records) -> Vec<RecordKey> {
    let is_assigned = |key: &RecordKey| entries.iter().any(|e| e.uid == key.uid);
    let understood = records.iter().filter(|(_, r)| r.is_understood());
    let keys = understood.map(|(key, _)| key.clone());
    keys.filter(|key| !is_assigned(key)).collect()
}

/// Reads a policy, for a look at what it means.
pub fn policy_of(entry: &Entry) -> Option<DesiredPrune> {
    match desired::whole(entry) {
        Ok((_, EntrySpec::Present(Desired::PrunePolicy(want)))) => Some(want),
        Ok(_) | Err(_) => None,
    }
}

fn plan_entry(
    entry: &Entry,
    view: Option<&PruneView<'_>>,
    records: &Records,
    context: PruneContext<'_>,
) -> Planned {
    let spec = match desired::whole(entry) {
        Ok((_, spec)) => spec,
        Err(err) => return report(unsupported(entry, err.to_string())),
    };
    let record = records.get(&RecordKey::object(&entry.uid));
    if record.is_some_and(|r| !r.is_understood()) {
        let message = "a newer version wrote its journal record; upgrade the agent";
        return report(unsupported(entry, message.to_owned()));
    }
    let EntrySpec::Present(Desired::PrunePolicy(want)) = spec else {
        return ended(entry, record);
    };
    let Some(view) = view else {
        let message = "the engine's volumes, networks and containers could not be listed";
        return report(pending(
            entry,
            Reason::EngineUnreachable,
            message.to_owned(),
        ));
    };
    present(entry, &want, view, record, context)
}

/// The policy is deleted or no longer selects the host. It has no object, so there is nothing to remove.
fn ended(entry: &Entry, record: Option<&Record>) -> Planned {
    let message = "nothing is listed or removed for it any more".to_owned();
    Planned {
        actions: Vec::new(),
        journal: record.map_or(JournalChange::Keep, |r| {
            JournalChange::Forget(r.key.clone())
        }),
        status: status(entry, EntryState::Gone, Some(Reason::Retained), message),
        examine: None,
    }
}

fn present(
    entry: &Entry,
    want: &DesiredPrune,
    view: &PruneView<'_>,
    record: Option<&Record>,
    context: PruneContext<'_>,
) -> Planned {
    let before: Option<Observation> = record.and_then(Record::progress);
    let mut selected = Selected::of(want, before.as_ref(), view);
    if let Some(why) = context.failures.and_then(|all| all.get(&entry.uid)) {
        selected.observation.failed = Some(bounded(why.clone()));
    }
    let (state, due) = judge(entry, want, &selected, context);
    let due = due.then(|| next_run(want, &selected, view.now));
    let due = due.unwrap_or_default();
    if !due.is_empty() {
        let observation = &mut selected.observation;
        observation.last_run = Some(view.now);
        observation.failed = None;
        observation.removing = due.iter().map(|c| c.object.identity.to_string()).collect();
    }
    let is_news = selected.observation.is_news(before.as_ref()) && context.paused.is_none();
    let detail = PruneDetail::of(&selected).fields();
    Planned {
        actions: due.iter().map(removal).collect(),
        journal: if is_news {
            JournalChange::Put {
                record: recorded(entry, want, &selected.observation, record),
                instead_of: None,
            }
        } else {
            JournalChange::Keep
        },
        examine: None,
        status: EntryStatus {
            detail: Some(detail),
            ..state
        },
    }
}

/// Returns the record of a policy, with what a newer version wrote beside it. It owns nothing on the host.
fn recorded(
    entry: &Entry,
    want: &DesiredPrune,
    observation: &Observation,
    before: Option<&Record>,
) -> Record {
    Record {
        progress: serde_json::to_value(observation).ok(),
        other: before.map(|r| r.other.clone()).unwrap_or_default(),
        ..Record::new(entry, &want.name, Stage::Retained, None)
    }
}

/// Returns the state of a policy, and whether it may remove candidates now.
fn judge(
    entry: &Entry,
    want: &DesiredPrune,
    selected: &Selected,
    context: PruneContext<'_>,
) -> (EntryStatus, bool) {
    let candidates = selected.candidates.len();
    let enforces = match want.mode {
        PruneMode::DryRun => false,
        PruneMode::Enforce => candidates > 0,
    };
    let ready = |message| status(entry, EntryState::Ready, None, message);
    if !enforces {
        return (ready(in_words(want, selected, "would remove")), false);
    }
    let message = in_words(want, selected, "to be removed:");
    let all = selected.all();
    let is_allowed = want.allowed.is_some_and(|most| candidates <= most);
    if want.policy.suspend {
        let message = format!("{message}; suspended");
        return (pending(entry, Reason::Suspended, message), false);
    }
    if let Some(why) = context.paused {
        let message = format!("{message}; the host is paused: {why}");
        return (pending(entry, Reason::Paused, message), false);
    }
    if Limits::default().stops_pruning(candidates, all) && !is_allowed {
        let permission = brake::permission(Some(want.generation), candidates);
        let message = format!(
            "{candidates} of {all} {}s would be removed; nothing is removed: correct the policy, or allow it: \
             kubectl annotate --overwrite -n {} prunepolicy/{} {}={permission}",
            want.kind.object(),
            entry.namespace,
            entry.name,
            brake::ALLOW_REMOVAL,
        );
        return (failed(entry, Reason::RemovalBraked, message), false);
    }
    let state = match &selected.observation.failed {
        Some(why) => failed(entry, Reason::EngineRefused, why.clone()),
        None => ready(message),
    };
    (state, !context.is_cut_off)
}

/// Returns the candidates that are removed now: those that are listed for long enough, the longest first.
fn next_run(want: &DesiredPrune, selected: &Selected, now: i64) -> Vec<Candidate> {
    let last = selected.observation.last_run;
    // A clock that was set back delays a run once, and not for ever.
    if last.is_some_and(|at| (0..BETWEEN_RUNS).contains(&(now - at))) {
        return Vec::new();
    }
    let is_ripe = |c: &&Candidate| c.unused.listed.is_some_and(|at| now - at >= LISTED_FOR);
    let mut ripe: Vec<Candidate> = selected
        .candidates
        .iter()
        .filter(is_ripe)
        .cloned()
        .collect();
    ripe.sort_by_key(|c| c.unused.listed);
    ripe.truncate(want.max_per_run);
    ripe
}

/// Returns the action that removes a candidate.
pub fn removal(candidate: &Candidate) -> Action {
    Action::PrunePolicy(ObjectAction::remove(&candidate.object))
}

/// Returns the candidates in a sentence; nothing if there are none.
fn in_words(want: &DesiredPrune, selected: &Selected, verb: &str) -> String {
    let count = selected.candidates.len();
    if count == 0 {
        return String::new();
    }
    let names = selected.candidates.iter().map(|c| c.object.name.as_str());
    let shown: Vec<&str> = names.take(NAMED).collect();
    let s = if count == 1 { "" } else { "s" };
    let more = match count.saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let object = want.kind.object();
    bounded(format!(
        "{verb} {count} unused {object}{s}: {}{more}",
        shown.join(", ")
    ))
}

#[cfg(test)]
mod tests;
