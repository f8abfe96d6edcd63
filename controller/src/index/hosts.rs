//! Hosts: how they are created, changed and deleted.

use std::collections::BTreeSet;

use dockfleet_crds::DockerHost;
use dockfleet_crds::host::{AgentFacts, HostNetwork};
use dockfleet_planner::select::{Selection, selection};
use dockfleet_planner::term;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;

use super::host_drain::has_finalizer;
use super::{Index, Seen, Uid, WatchChange, Watched};
use crate::notice::{self, Notice};
use crate::object::{Name, Source, supersedes};

impl Index {
    /// Applies a host.
    pub(crate) fn apply_host(&mut self, mut host: DockerHost, source: &Source) {
        host.metadata.managed_fields = None;
        let name = Name::of(&host.metadata);
        let state = self.host_mut(&name);
        if let Some(known) = &state.host
            && !supersedes(&known.metadata, &host.metadata, source)
        {
            return;
        }
        let known = state.host.as_ref();
        let recreated = known.is_some_and(|h| h.metadata.uid != host.metadata.uid);
        let was_unreadable = state.unreadable.remove(&Watched::Hosts);
        let same = state
            .host
            .as_ref()
            .is_some_and(|h| is_same_to_resources(h, &host));
        state.host = Some(host);
        self.follow_engine(&name);
        self.follow_drain(&name, recreated);
        if !same || was_unreadable {
            self.reselect(&name);
        }
        self.follow_heartbeat(&name);
    }

    /// Returns the events for a changed host, and the object reference for them.
    pub(crate) fn host_events(
        &self,
        change: &WatchChange,
    ) -> Option<(ObjectReference, Vec<Notice>)> {
        let WatchChange::Host(Seen::Applied(new)) = change else {
            return None;
        };
        let state = self.hosts.get(&Name::of(&new.metadata))?;
        let old = state.host.as_ref().filter(|_| state.in_fleet)?;
        if old.metadata.uid != new.metadata.uid {
            return None;
        }
        let conditions = |of: &'_ DockerHost| -> Vec<Condition> {
            let status = of.status.as_ref();
            status.map(|s| s.conditions.clone()).unwrap_or_default()
        };
        let notices = notice::host_transitions(&conditions(old), &conditions(new));
        (!notices.is_empty()).then(|| (new.object_ref(&()), notices))
    }

    /// Forgets a host.
    pub(super) fn delete_host(&mut self, name: &Name) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        state.host = None;
        state.drain = super::host_drain::DrainState::default();
        state.unreadable.remove(&Watched::Hosts);
        self.follow_engine(name);
        self.reselect(name);
        self.tidy(name);
    }

    /// Computes which resources select a host, after it changed.
    pub(super) fn reselect(&mut self, name: &Name) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        let terms = state.host.as_ref().map(term::of_host).unwrap_or_default();
        let mut selected_by: BTreeSet<Uid> = self.filed_resources.find(&terms);
        selected_by.retain(|uid| {
            let parent = self.parents.get(uid).map(|p| &*p.object);
            let both = parent.zip(state.host());
            both.is_some_and(|(p, h)| selection(p, h, &self.namespaces) != Selection::No)
        });
        self.filed_hosts.file(name, terms);
        for uid in state.selected_by.difference(&selected_by) {
            if let Some(parent) = self.parents.get_mut(uid) {
                parent.selected.remove(name);
            }
        }
        for uid in selected_by.difference(&state.selected_by) {
            if let Some(parent) = self.parents.get_mut(uid) {
                parent.selected.insert(name.clone());
            }
        }
        // The entry of a resource may depend on the host's labels even if the host is still
        // selected: overrides have selectors too.
        let mut concerned = std::mem::replace(&mut state.selected_by, selected_by);
        concerned.extend(state.selected_by.iter().cloned());
        let entries = state.assignment.iter().flat_map(|a| &a.spec.entries);
        concerned.extend(entries.map(|e| e.uid.clone()));
        if state.host().is_some() {
            state.awaiting.extend(concerned.iter().cloned());
            self.dirty.hosts.insert(name.clone());
        } else {
            state.awaiting.clear();
            state.refused.clear();
            state.contested.clear();
        }
        for uid in &concerned {
            self.update_placement(name, uid);
            self.review_selection(uid);
        }
        self.touch_all(&concerned);
    }
}

/// Whether two versions of a host are the same for resources and the assignment.
fn is_same_to_resources(a: &DockerHost, b: &DockerHost) -> bool {
    a.metadata.uid == b.metadata.uid
        && a.metadata.labels == b.metadata.labels
        && a.metadata.deletion_timestamp.is_some() == b.metadata.deletion_timestamp.is_some()
        && has_finalizer(&a.metadata) == has_finalizer(&b.metadata)
        && a.metadata.generation == b.metadata.generation
        && a.spec == b.spec
        && agent(a) == agent(b)
        && network(a) == network(b)
}

/// Returns what a host's agent reports of itself.
fn agent(host: &DockerHost) -> Option<&AgentFacts> {
    host.status.as_ref()?.agent.as_ref()
}

/// Returns what a host's agent reports of the host's network.
fn network(host: &DockerHost) -> Option<&HostNetwork> {
    host.status.as_ref()?.network.as_ref()
}
