//! The work on one host: it computes the assignment from files, and runs a pass of the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::Engine;
use dockfleet_agent::journal::{AssignmentSnapshot, Journal};
use dockfleet_agent::pass::{self, PassInput, Progress};
use dockfleet_crds::{Entry, EntryState, EntryStatus, Intent, Reason};
use dockfleet_planner::action::Operation;
use dockfleet_planner::assignment::{Assigned, Input, Lifecycle, Refusal, RenderContext, assign};
use dockfleet_planner::desired::{EntrySpec, Tombstone};
use dockfleet_planner::examination::Occasion;
use dockfleet_planner::render;
use dockfleet_planner::select::{Selection, selection};
use dockfleet_planner::support;
use tokio_util::sync::CancellationToken;

use super::last_messages::LastMessages;
use super::prune::Prune;
use super::{Connected, Files, HostTarget, untracked};
use crate::result::ResultRow;

/// The hub of assignments that come from files.
const HUB: &str = "files";

/// What a command does with the resources of the files.
#[derive(Clone, Debug)]
pub(crate) struct CommandGoal {
    /// Whether the resources are applied or deleted.
    pub(crate) lifecycle: Lifecycle,
    /// What to remove or release that is not in the files.
    pub(crate) prune: Prune,
}

/// One host with its engine and journal.
#[derive(Debug)]
pub(crate) struct HostSession {
    pub(super) target: HostTarget,
    pub(super) engine: Engine,
    pub(super) journal: Journal,
    pub(super) messages: LastMessages,
    /// What may have changed since the last pass.
    occasion: Occasion,
}

/// The result of one host.
#[derive(Debug, Default)]
pub(crate) struct HostReport {
    pub(crate) rows: Vec<ResultRow>,
    /// Number of changes made on the engine.
    pub(crate) changed: usize,
    /// Number of entries whose object a container may change.
    pub(crate) watching: usize,
    /// Hints about objects that are not in the journal.
    pub(crate) hints: Vec<String>,
    /// What the last pass reported of each entry.
    pub(crate) statuses: Vec<EntryStatus>,
    /// Why resources that select the host have no entry, by UID.
    pub(crate) refused: BTreeMap<String, Refusal>,
}

impl HostReport {
    /// Whether every resource is as required.
    pub(crate) fn is_fine(&self) -> bool {
        self.rows.iter().all(ResultRow::is_fine)
    }

    /// Whether the engine did not answer at the end.
    pub(crate) fn engine_is_gone(&self) -> bool {
        let mut rows = self.rows.iter();
        rows.any(|row| row.is_because(Reason::EngineUnreachable))
    }
}

impl HostSession {
    /// Opens the journal of a host, to change its engine. It waits up to `patience` for a journal
    /// that another process has locked.
    pub(crate) async fn open(
        target: &HostTarget,
        engine: Connected,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        // A locked or unreadable journal is reported first.
        Self::with(target, target.open_journal(patience).await?, engine).await
    }

    /// Opens the journal of a host to read it and its engine. Nothing is created, and another
    /// process may use the journal.
    pub(crate) async fn open_to_read(
        target: &HostTarget,
        engine: Connected,
    ) -> anyhow::Result<Self> {
        Self::with(target, target.journal_to_read()?, engine).await
    }

    async fn with(
        target: &HostTarget,
        journal: Journal,
        engine: Connected,
    ) -> anyhow::Result<Self> {
        let engine = match engine {
            Some(engine) => engine?,
            None => target.reach().await?,
        };
        Ok(Self {
            target: target.clone(),
            engine,
            journal,
            messages: LastMessages::read(target.journal()),
            occasion: Occasion::Start,
        })
    }

    /// Records what may have changed on the engine, so that the next pass examines it.
    pub(crate) fn may_have_changed(&mut self, occasion: Occasion) {
        self.occasion = self.occasion.max(occasion);
    }

    /// Applies the files to the host. After `stop` is cancelled, it ends after the current action.
    pub(crate) async fn apply(
        &mut self,
        files: &Files,
        goal: &CommandGoal,
        progress: &mut (dyn FnMut(&Progress) + Send),
        stop: &CancellationToken,
    ) -> anyhow::Result<HostReport> {
        let (assigned, concerned) = self.assignment(files, goal, &self.known());
        self.remember(&assigned.entries)?;
        let entries = concerned_only(&assigned.entries, &concerned);
        let mut removed = BTreeSet::new();
        let mut follow = |moment: &Progress| {
            if moment.operation == Operation::Remove && moment.result == Some(Ok(())) {
                removed.insert(moment.uid.clone());
            }
            progress(moment);
        };
        let input = PassInput {
            entries: &entries,
            store: &files.credentials.store,
            effects: &Effects::default(),
            occasion: std::mem::take(&mut self.occasion),
        };
        let (engine, journal) = (&self.engine, &mut self.journal);
        let report = pass::pass_until(engine, journal, &input, &mut follow, stop).await;
        if report.unexamined > 0 {
            self.occasion = Occasion::Start;
        }
        // Completed tombstones leave the assignment.
        let gone: BTreeSet<&str> = report
            .statuses
            .iter()
            .filter(|s| s.state == EntryState::Gone)
            .map(|s| s.uid.as_str())
            .collect();
        let left: Vec<Entry> = assigned
            .entries
            .iter()
            .filter(|e| e.intent == Intent::Present || !gone.contains(e.uid.as_str()))
            .cloned()
            .collect();
        self.remember(&left)?;
        let mut rows = self.rows(&entries, &report.statuses, &assigned, files);
        for row in rows.iter_mut().filter(|r| removed.contains(&r.uid)) {
            report_removal(row);
        }
        if goal.prune.is_any() {
            self.messages.keep_only(&left, &concerned);
        }
        // If the files do not say whether a host allows a resource, this is not a message about the
        // host.
        let undecided: BTreeSet<String> = self.undecided(files).map(|(uid, _)| uid).collect();
        let reported: Vec<ResultRow> = rows
            .iter()
            .filter(|r| !undecided.contains(&r.uid))
            .cloned()
            .collect();
        self.messages
            .take_in(&concerned, &reported, &entries, &assigned);
        self.messages.write(self.target.journal());
        let hints = if goal.lifecycle == Lifecycle::Deleted {
            self.hints(files).await
        } else {
            Vec::new()
        };
        Ok(HostReport {
            rows,
            changed: report.changed,
            watching: report.watching,
            hints,
            statuses: report.statuses,
            refused: assigned.refused,
        })
    }

    /// Returns hints about objects of these resources on the engine that are not in the journal.
    async fn hints(&mut self, files: &Files) -> Vec<String> {
        let entries = self.previous().iter().map(|e| e.uid.clone());
        let known: BTreeSet<String> = entries
            .chain(self.journal.records().keys().map(|k| k.uid.clone()))
            .collect();
        if uids(files).is_subset(&known) {
            return Vec::new();
        }
        let seen = self.engine.observe().await.observed;
        untracked::hints(&self.target, files, &known, &seen)
    }

    pub(super) fn previous(&self) -> &[Entry] {
        entries_of(&self.journal)
    }

    /// Returns the identities in the journal, in the form of an agent's report on the previous
    /// entries. A tombstone for an object that was replaced gets the new identity from it.
    pub(super) fn known(&self) -> Vec<EntryStatus> {
        let previous = self.previous().iter();
        let revisions: BTreeMap<&str, &String> =
            previous.map(|e| (e.uid.as_str(), &e.revision)).collect();
        let records = self.journal.records();
        records
            .values()
            .map(|r| EntryStatus {
                uid: r.key.uid.clone(),
                revision: revisions
                    .get(&*r.key.uid)
                    .copied()
                    .cloned()
                    .unwrap_or_default(),
                id: r.id.clone(),
                ..EntryStatus::default()
            })
            .collect()
    }

    /// Computes the host's assignment, and the entries of this command: `apply -f` changes only the
    /// resources in the files, as in kubectl.
    pub(super) fn assignment(
        &self,
        files: &Files,
        goal: &CommandGoal,
        statuses: &[EntryStatus],
    ) -> (Assigned, BTreeSet<String>) {
        let mut resources = files.resources(goal.lifecycle);
        let mut concerned = uids(files);
        if goal.prune.is_any() {
            // All hosts of such a resource are pruned together.
            for former in files.shared.pruned() {
                resources.push((former, Lifecycle::Deleted));
                concerned.insert(former.uid().to_owned());
            }
        }
        let mut assigned = assign(&Input {
            context: RenderContext {
                swarm: files.shared.membership(&self.target.host),
                host: &self.target.host,
                called: self.target.name(),
                credentials: &files.credentials.granted,
                agent: Some(&support::this_agent(env!("CARGO_PKG_VERSION"))),
            },
            closed: None,
            resources: &resources,
            namespaces: &files.namespaces,
            previous: self.previous(),
            statuses,
            // The journal has no limit on entries.
            most: usize::MAX,
        });
        if goal.lifecycle == Lifecycle::Live {
            assigned.refused.extend(self.undecided(files));
        }
        let records = self.journal.records();
        for entry in &mut assigned.entries {
            if goal.prune.allows(&self.target, entry, &records)
                && concerned.insert(entry.uid.clone())
            {
                prune(entry, statuses);
            }
        }
        (assigned, concerned)
    }

    /// Returns the resources for which the files do not say whether the host allows them. Their
    /// objects stay as they are, and nothing new is created.
    fn undecided(&self, files: &Files) -> impl Iterator<Item = (String, Refusal)> {
        let host = &self.target.host;
        let resources = files.resources(Lifecycle::Live).into_iter();
        let unknown =
            resources.filter(|(r, _)| selection(*r, host, &files.namespaces) == Selection::Unknown);
        unknown.map(|(resource, _)| {
            let message = format!(
                "host {} allows namespaces by their labels, and the Namespace {} is in no file; \
                 what is on the host stays as it is; add the Namespace with its labels",
                self.target.name(),
                resource.namespace()
            );
            let reason = Reason::NotAllowed;
            (resource.uid().to_owned(), Refusal { reason, message })
        })
    }

    /// Whether an entry of the last assignment may be pruned.
    pub(super) fn may_prune(&self, goal: &CommandGoal, entry: &Entry) -> bool {
        goal.prune
            .allows(&self.target, entry, &self.journal.records())
    }

    fn remember(&mut self, entries: &[Entry]) -> anyhow::Result<()> {
        let snapshot = AssignmentSnapshot {
            hub: HUB.to_owned(),
            uid: String::new(),
            generation: 0,
            entries: entries.to_vec(),
            ..AssignmentSnapshot::default()
        }
        .sorted();
        if self.previous() == snapshot.entries {
            return Ok(());
        }
        Ok(self.journal.set_assignment(snapshot, &Effects::default())?)
    }

    fn rows(
        &self,
        entries: &[Entry],
        statuses: &[EntryStatus],
        assigned: &Assigned,
        files: &Files,
    ) -> Vec<ResultRow> {
        let by_uid: BTreeMap<&str, &EntryStatus> =
            statuses.iter().map(|s| (s.uid.as_str(), s)).collect();
        let mut rows: Vec<ResultRow> = entries
            .iter()
            .filter(|e| !is_stale(e, assigned))
            .filter_map(|e| Some(self.row(e, by_uid.get(e.uid.as_str())?)))
            .collect();
        rows.extend(self.refused(assigned, files));
        rows.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
        rows
    }

    pub(super) fn row(&self, entry: &Entry, status: &EntryStatus) -> ResultRow {
        let object = EntrySpec::of(entry)
            .map(|d| d.name().to_owned())
            .unwrap_or_default();
        ResultRow::new(self.target.name(), entry, &object, status)
    }

    /// Returns a row for each resource that selects the host and is refused there.
    pub(super) fn refused(&self, assigned: &Assigned, files: &Files) -> Vec<ResultRow> {
        let resources = files.resources(Lifecycle::Live);
        let refused = resources
            .iter()
            .filter_map(|(r, _)| Some((r, assigned.refused.get(r.uid())?)));
        refused
            .map(|(resource, refusal)| ResultRow {
                uid: resource.uid().to_owned(),
                host: self.target.name().to_owned(),
                kind: resource.kind().into(),
                namespace: resource.namespace().to_owned(),
                name: resource.name().to_owned(),
                object: resource.object_name().to_owned(),
                state: EntryState::Failed.into(),
                reason: Some(refusal.reason.into()),
                message: refusal.message.clone(),
                id: None,
                diff: Vec::new(),
            })
            .collect()
    }
}

/// Whether an entry stays unchanged because its current resource is refused. The refusal is
/// reported.
pub(super) fn is_stale(entry: &Entry, assigned: &Assigned) -> bool {
    entry.intent == Intent::Present && assigned.refused.contains_key(&entry.uid)
}

/// Reports that the resource's own object was removed if another object of the same name is left:
/// engines before 25.0 can have two networks of one name.
fn report_removal(row: &mut ResultRow) {
    if row.state == EntryState::Gone && row.is_because(Reason::Retained) {
        row.reason = Some(Reason::Removed.into());
        row.message = format!(
            "the {} of this resource was removed; {}",
            row.kind.object(),
            row.message
        );
    }
}

/// Returns the entries that were last applied.
pub(super) fn entries_of(journal: &Journal) -> &[Entry] {
    journal.assignment().map_or(&[], |s| &s.entries)
}

/// Returns the UIDs of the files' resources.
pub(super) fn uids(files: &Files) -> BTreeSet<String> {
    files
        .resources(Lifecycle::Live)
        .iter()
        .map(|(r, _)| r.uid().to_owned())
        .collect()
}

pub(super) fn concerned_only(entries: &[Entry], concerned: &BTreeSet<String>) -> Vec<Entry> {
    entries
        .iter()
        .filter(|e| concerned.contains(&e.uid))
        .cloned()
        .collect()
}

/// Turns the entry of a resource that is no longer in the files into a tombstone, by its own
/// policy.
fn prune(entry: &mut Entry, statuses: &[EntryStatus]) {
    if entry.intent == Intent::Absent {
        return;
    }
    let Ok(desired) = EntrySpec::of(entry) else {
        // The policy of an unreadable entry is not known, so it stays.
        return;
    };
    let tombstone = Tombstone {
        name: desired.name().to_owned(),
        policy: desired.deletion(),
    };
    let id = statuses
        .iter()
        .find(|s| s.uid == entry.uid)
        .and_then(|s| s.id.clone());
    *entry = render::tombstone(entry, &tombstone, id);
}

pub(super) fn sort_key(row: &ResultRow) -> (&str, &str, &str, &str) {
    (&row.host, row.kind.as_str(), &row.namespace, &row.name)
}
