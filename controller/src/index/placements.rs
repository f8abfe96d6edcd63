//! Placements: which hosts have an entry of a resource, and which of them would lose it. They are
//! updated host by host, so that a change of one host does not need to visit the others.

use std::collections::BTreeSet;

use dockfleet_crds::{HostAssignment, Intent};

use super::{Index, Uid};
use crate::object::Name;

/// The hosts whose assignment has an entry of one resource, whether the resource is known or not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Placements {
    all: BTreeSet<Name>,
    /// Hosts that do not count: the entry is a tombstone, or the host may not be written to.
    uncounted: BTreeSet<Name>,
    /// Hosts that have it, and that the resource no longer selects.
    lost: BTreeSet<Name>,
}

impl Placements {
    /// Returns all hosts with an entry.
    pub(super) fn all(&self) -> &BTreeSet<Name> {
        &self.all
    }

    /// Returns how many hosts have the resource.
    pub(super) fn present(&self) -> usize {
        self.all.len() - self.uncounted.len()
    }

    /// Returns the hosts that have the resource and are not selected.
    pub(super) fn lost(&self) -> &BTreeSet<Name> {
        &self.lost
    }
}

impl Index {
    /// Updates the placements of a host after its assignment changed.
    pub(super) fn update_placements(&mut self, name: &Name, before: Option<&HostAssignment>) {
        let now = self.hosts.get(name).and_then(|s| s.assignment.as_ref());
        let entries = before.into_iter().chain(now).flat_map(|a| &a.spec.entries);
        let uids: BTreeSet<Uid> = entries.map(|e| e.uid.clone()).collect();
        for uid in &uids {
            self.update_placement(name, uid);
        }
    }

    /// Updates the placement of one resource on one host, after a change of either.
    pub(super) fn update_placement(&mut self, name: &Name, uid: &str) {
        let state = self.hosts.get(name);
        let entry = state.and_then(|s| s.entry(uid));
        let writable = state.is_some_and(|s| s.host().is_some());
        let present = writable && entry.is_some_and(|e| e.intent == Intent::Present);
        let parent = self.parents.get(uid);
        let selected = parent.is_some_and(|p| p.selected.contains(name));
        if entry.is_none() && !self.placements.contains_key(uid) {
            return;
        }
        let placements = self.placements.entry(uid.to_owned()).or_default();
        keep(&mut placements.all, name, entry.is_some());
        keep(&mut placements.uncounted, name, entry.is_some() && !present);
        keep(&mut placements.lost, name, present && !selected);
        if placements.all.is_empty() {
            self.placements.remove(uid);
        }
    }

    /// Updates all placements of a resource, after the resource changed.
    pub(super) fn update_placements_of(&mut self, uid: &str) {
        let all = self.placements.get(uid).map(|h| h.all.clone());
        for name in all.into_iter().flatten() {
            self.update_placement(&name, uid);
        }
    }
}

fn keep(names: &mut BTreeSet<Name>, name: &Name, is_in: bool) {
    if !is_in {
        names.remove(name);
    } else if !names.contains(name) {
        names.insert(name.clone());
    }
}
