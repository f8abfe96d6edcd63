//! Assignments: their entries and the reports of agents.

use std::collections::BTreeSet;

use dockfleet_crds::{Entry, EntryStatus, HostAssignment, Intent};

use super::{HostState, Index, Uid, Watched, differing};
use crate::object::{Name, Source, supersedes};

impl Index {
    /// Applies an assignment.
    pub(crate) fn apply_assignment(&mut self, mut new: HostAssignment, source: &Source) {
        new.metadata.managed_fields = None;
        // The index and the planner need the order by UID; the writer may have used another.
        new.spec.entries.sort_by(|a, b| a.uid.cmp(&b.uid));
        if let Some(status) = &mut new.status {
            status.entries.sort_by(|a, b| a.uid.cmp(&b.uid));
        }
        let name = Name::of(&new.metadata);
        let state = self.host_mut(&name);
        if let Some(known) = &state.assignment
            && !supersedes(&known.metadata, &new.metadata, source)
        {
            return;
        }
        let was_unreadable = state.unreadable.remove(&Watched::Assignments);
        state.discard_stale_reports(&mut new);
        let before = state.assignment.replace(new);
        let new = state.assignment.as_ref();
        let touched = differing_uids(before.as_ref(), new);
        // The agent reports on a tombstone: it may be carried out.
        let has_tombstone = touched
            .iter()
            .any(|uid| state.entry(uid).is_some_and(|e| e.intent == Intent::Absent));
        // Another client wrote the spec, which only the controller may write.
        let rewritten = before.as_ref().map(|b| &b.spec) != new.map(|n| &n.spec);
        let foreign = rewritten && *source == Source::Watched;
        let mut misses = false;
        for uid in &touched {
            misses |= state.note_missing_credentials(uid);
        }
        if has_tombstone || misses || foreign || was_unreadable {
            self.dirty.hosts.insert(name.clone());
        }
        if rewritten {
            self.update_placements(&name, before.as_ref());
        }
        if before.is_none() {
            self.follow_engine(&name);
        }
        self.touch_all(&touched);
    }

    /// Forgets an assignment, unless a new one has its name by now.
    pub(crate) fn delete_assignment(&mut self, name: &Name, uid: Option<&str>) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        if let Some(known) = &state.assignment
            && uid.is_some()
            && known.metadata.uid.as_deref() != uid
        {
            return;
        }
        state.unreadable.remove(&Watched::Assignments);
        let before = state.assignment.take();
        if state.host().is_some() {
            self.dirty.hosts.insert(name.clone());
        }
        self.update_placements(name, before.as_ref());
        self.follow_engine(name);
        self.tidy(name);
        self.touch_all(&differing_uids(before.as_ref(), None));
    }
}

impl HostState {
    /// Returns the entry of a resource.
    pub(super) fn entry(&self, uid: &str) -> Option<&Entry> {
        let entries = self.entries();
        let at = entries.binary_search_by(|e| e.uid.as_str().cmp(uid)).ok()?;
        entries.get(at)
    }

    /// Returns the agent's last report on a resource.
    pub(super) fn report(&self, uid: &str) -> Option<&EntryStatus> {
        let statuses = self.statuses();
        let at = statuses
            .binary_search_by(|s| s.uid.as_str().cmp(uid))
            .ok()?;
        statuses.get(at)
    }

    /// Returns every entry, by UID.
    pub(super) fn entries(&self) -> &[Entry] {
        entries(self.assignment.as_ref())
    }

    /// Returns the agent's last reports, by UID.
    pub(super) fn statuses(&self) -> &[EntryStatus] {
        statuses(self.assignment.as_ref())
    }
}

/// Returns the resources whose entries or reports differ between two versions of an assignment.
fn differing_uids(a: Option<&HostAssignment>, b: Option<&HostAssignment>) -> BTreeSet<Uid> {
    let mut uids = differing(entries(a), entries(b), |e| &e.uid);
    uids.append(&mut differing(statuses(a), statuses(b), |s| &s.uid));
    uids
}

fn entries(assignment: Option<&HostAssignment>) -> &[Entry] {
    assignment.map_or(&[], |a| &a.spec.entries)
}

fn statuses(assignment: Option<&HostAssignment>) -> &[EntryStatus] {
    let status = assignment.and_then(|a| a.status.as_ref());
    status.map_or(&[], |s| &s.entries)
}
