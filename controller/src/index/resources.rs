//! Resources: how they are created, changed and deleted.

use std::collections::BTreeSet;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::host::NamespacesFrom;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::kinds::Work;
use dockfleet_planner::resource::RenderedAnew;
use dockfleet_planner::select::{Selection, selection};
use dockfleet_planner::term;
use dockfleet_planner::{kinds, request};

use super::brake::allows_the_same;
use super::{HostState, Index, ParentState, Uid};
use crate::object::{Name, Source, supersedes};
use crate::parent::{Parent, ParentExt as _, ParentName};

impl Index {
    /// Applies a resource.
    pub(crate) fn apply_parent(&mut self, object: Parent, source: &Source) {
        let uid = object.uid().to_owned();
        let name = ParentName::of(&*object);
        if let Some(known) = self.uids.get(&name).and_then(|uid| self.parents.get(uid)) {
            if !supersedes(known.object.metadata(), object.metadata(), source) {
                return;
            }
            if known.object.uid() != uid {
                // It was deleted and created again between two events.
                self.delete_parent(&name, None);
            }
        }
        let name_of = name.clone();
        self.uids.insert(name, uid.clone());
        let before = self.parents.remove(&uid);
        let finalizer_came =
            object.has_finalizer() && before.as_ref().is_some_and(|b| !b.object.has_finalizer());
        let finalizer_went =
            !object.has_finalizer() && before.as_ref().is_some_and(|b| b.object.has_finalizer());
        // A deletion is a new generation too. What has ended selects no host any more.
        let changed = before.as_ref().is_none_or(|b| {
            b.object.metadata().generation != object.metadata().generation
                || b.object.is_over() != object.is_over()
        });
        let rendered_anew = before
            .as_ref()
            .map_or(RenderedAnew::Nowhere, |b| object.rendered_anew(&*b.object));
        let object_before = before.as_ref().map(|b| b.object.clone());
        self.follow_memberships(before.as_ref().map(|b| &*b.object), Some(&*object));
        // An annotation may permit what a swarm waits for.
        let annotated = object.is_for_own_namespace()
            && before
                .as_ref()
                .is_some_and(|b| b.object.metadata().annotations != object.metadata().annotations);
        let asked = before.as_ref().is_some_and(|b| {
            request::mark(b.object.metadata()) != request::mark(object.metadata())
        });
        let answered = before
            .as_ref()
            .is_some_and(|b| !allows_the_same(b.object.metadata(), object.metadata()));
        // Agents need the permission: each of them brakes its own host.
        let permitted = answered && kinds::work(object.kind()) == Work::Pruning;
        let is_deleting = object.is_deleting();
        let (lifecycle, selected, brake) = before
            .map(|b| (b.lifecycle, b.selected, b.brake))
            .unwrap_or_default();
        self.parents.insert(
            uid.clone(),
            ParentState {
                object,
                lifecycle,
                selected,
                brake,
            },
        );
        self.count_deletion(&name_of, &uid);
        self.follow_repository(&uid, object_before.as_ref());
        self.follow_maker(&uid, object_before.as_ref());
        if changed {
            self.follow_secret(&uid);
            let mut concerned = self.concerned(&uid);
            self.select(&uid);
            self.review_selection(&uid);
            concerned.append(&mut self.concerned(&uid));
            self.await_entries(&uid, &concerned);
            self.dirty.now.insert(uid.clone());
        } else if finalizer_came || permitted || rendered_anew == RenderedAnew::Everywhere {
            self.follow_secret(&uid);
            let concerned = self.concerned(&uid);
            self.await_entries(&uid, &concerned);
        } else if let RenderedAnew::On(names) = rendered_anew {
            let mut concerned = self.concerned(&uid);
            concerned.retain(|host| names.contains(&host.name));
            self.await_entries(&uid, &concerned);
        } else if finalizer_went {
            self.touch(&uid);
        }
        if asked {
            self.ask_again(&uid);
        } else if annotated {
            self.touch(&uid);
        }
        if answered {
            self.review_selection(&uid);
        }
        if is_deleting && (changed || answered) {
            self.review_deletion(&uid);
        }
    }

    /// Forwards a reconcile request to a resource's hosts. Their entries stay the same, so their
    /// reports still count.
    fn ask_again(&mut self, uid: &str) {
        let concerned = self.concerned(uid);
        self.dirty.hosts.extend(concerned);
        self.touch(uid);
    }

    /// Forgets a resource, unless a new one has its name by now. Its entries stay as they are:
    /// absence is no permission.
    pub(crate) fn delete_parent(&mut self, name: &ParentName, uid: Option<&str>) {
        let Some(known) = self.uids.get(name).cloned() else {
            return;
        };
        if uid.is_some_and(|uid| uid != known) {
            return;
        }
        let concerned = self.concerned(&known);
        self.uids.remove(name);
        let removed = self.parents.remove(&known);
        self.follow_memberships(removed.as_ref().map(|p| &*p.object), None);
        self.count_deletion(name, &known);
        self.follow_repository(&known, removed.as_ref().map(|p| &p.object));
        self.follow_maker(&known, removed.as_ref().map(|p| &p.object));
        self.filed_resources.file(&known, BTreeSet::new());
        self.update_placements_of(&known);
        self.follow_secret(&known);
        for host in &concerned {
            if let Some(state) = self.hosts.get_mut(host) {
                state.selected_by.remove(&known);
                state.awaiting.remove(&known);
                state.refused.remove(&known);
                // Another resource waits for the name.
                if state.contested.remove(&known).is_some() {
                    self.dirty.hosts.insert(host.clone());
                }
            }
        }
    }

    /// Records what a resource's deletion means for its hosts.
    pub(crate) fn set_lifecycle(&mut self, uid: &str, lifecycle: Lifecycle) {
        let Some(parent) = self.parents.get_mut(uid) else {
            return;
        };
        parent.lifecycle = Some(lifecycle);
        self.review_deletion(uid);
        let concerned = self.concerned(uid);
        self.await_entries(uid, &concerned);
        self.dirty.now.insert(uid.to_owned());
    }

    /// Applies changed labels of a namespace.
    pub(super) fn namespace_changed(&mut self, name: &str) {
        self.review_fleet(name);
        for uid in self.parents_in(name) {
            let asking = |host: &Name| {
                self.host(host)
                    .is_some_and(|h| h.spec.allowed_namespaces.from == NamespacesFrom::Selector)
            };
            let hosts: BTreeSet<Name> = self.concerned(&uid).into_iter().filter(asking).collect();
            if !hosts.is_empty() {
                self.await_entries(&uid, &hosts);
                self.touch(&uid);
            }
        }
    }

    /// Computes which hosts a resource selects.
    pub(super) fn select(&mut self, uid: &str) {
        let Some(parent) = self.parents.get_mut(uid) else {
            return;
        };
        let resource = &*parent.object;
        let terms = term::of_resource(resource, |term| self.filed_hosts.count(term));
        let mut selected = self.filed_hosts.find(&terms);
        selected.retain(|name| {
            let host = self.hosts.get(name).and_then(HostState::host);
            host.is_some_and(|h| selection(resource, h, &self.namespaces) != Selection::No)
        });
        self.filed_resources.file(&uid.to_owned(), terms);
        let before = std::mem::replace(&mut parent.selected, selected);
        for name in before.difference(&parent.selected) {
            if let Some(state) = self.hosts.get_mut(name) {
                state.selected_by.remove(uid);
            }
        }
        for name in parent.selected.difference(&before) {
            if let Some(state) = self.hosts.get_mut(name) {
                state.selected_by.insert(uid.to_owned());
            }
        }
        self.update_placements_of(uid);
    }

    pub(super) fn parents_in(&self, namespace: &str) -> Vec<Uid> {
        let first = ParentName {
            namespace: namespace.to_owned(),
            kind: Kind::default(),
            name: String::new(),
        };
        let all = self.uids.range(first..);
        all.take_while(|(name, _)| name.namespace == namespace)
            .map(|(_, uid)| uid.clone())
            .collect()
    }
}
