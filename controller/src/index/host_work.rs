//! The work on one host: its entries are computed, and written if they differ.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::HostAssignmentSpec;
use dockfleet_crds::{DockerHost, Entry, HostAssignment, Intent};
use dockfleet_planner::assignment::{
    Assigned, CredentialVersions, Input, Lifecycle, RenderContext, assign,
};
use dockfleet_planner::resource::Resource;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;

use super::host_drain::owner;
use super::{HostState, Index, Uid, Watched, differing};
use crate::object::{Name, Source};

/// The work on one host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostWork {
    /// The call.
    pub(crate) call: HostCall,
    /// The version of the assignment that is known.
    pub(crate) asked_with: Option<String>,
}

/// A call about one host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HostCall {
    /// Read its assignment, because a failed write may have been carried out.
    ReadAssignment,
    /// Write its assignment.
    Write(Box<HostAssignment>),
    /// Delete its assignment with this UID, to create it again: the API server has an older state
    /// than the agent, and the agent ignores an assignment that is older than its last one.
    DeleteAssignment(Uid),
    /// Decide what its deletion means for it.
    DecideLifecycle(Box<DockerHost>),
    /// Add the finalizer that keeps it until it is clean.
    AddFinalizer(Box<DockerHost>),
    /// Remove the finalizer, after deleting its assignment with this UID, which has no owner.
    RemoveFinalizer {
        host: Box<DockerHost>,
        clean: bool,
        discard: Option<Uid>,
    },
}

impl Index {
    /// Computes the entries of every host once, without writing them. Before that, nothing is known
    /// about resources on hosts, and every status would be reset.
    pub(crate) fn look_at_all(&mut self) {
        // The placements were not known when the resources were read.
        self.review_all();
        let names: Vec<Name> = self.hosts.keys().cloned().collect();
        for name in names {
            self.host_work(&name);
        }
    }

    /// Returns the work on a host, if any.
    pub(crate) fn host_work(&mut self, name: &Name) -> Option<HostWork> {
        let state = self.hosts.get(name)?;
        if let Some(call) = state.first_call() {
            let asked_with = self.known_version(name);
            return Some(HostWork { call, asked_with });
        }
        let host = state.host()?;
        if !state.unreadable.is_empty() {
            return None;
        }
        let asked_with = self.known_version(name);
        if state.uncertain {
            return Some(HostWork {
                call: HostCall::ReadAssignment,
                asked_with,
            });
        }
        let written = state.assignment.as_ref();
        if let Some(uid) = written.and_then(is_older_than_report) {
            return Some(HostWork {
                call: HostCall::DeleteAssignment(uid),
                asked_with,
            });
        }
        let (assigned, passed_over) = self.assigned(state, host);
        let mut wanted = assignment(host, written, &self.hub, &assigned);
        wanted.spec.paused |= state.shared_engine.is_some();
        let as_wanted = match written {
            Some(written) => is_as_wanted(written, &wanted),
            // A host that is being drained gets no new assignment.
            None => state.is_draining(),
        };
        let touched = self.note(name, assigned, &passed_over, &wanted);
        self.touch_all(&touched);
        self.check_secret_sync(name);
        let call = if as_wanted {
            let state = self.hosts.get(name)?;
            let clean_condition = self.clean_condition(state);
            if state.is_clean_outdated(clean_condition.as_ref()) {
                self.dirty.heartbeats.insert(name.clone());
            }
            state.finalizer_call(|entry| self.is_orphan(entry))?
        } else {
            HostCall::Write(Box::new(wanted))
        };
        Some(HostWork { call, asked_with })
    }

    fn known_version(&self, name: &Name) -> Option<String> {
        let assignment = self.hosts.get(name)?.assignment.as_ref()?;
        assignment.metadata.resource_version.clone()
    }

    /// Computes the entries of a host; also returns the resources that are not considered yet.
    fn assigned(&self, state: &HostState, host: &DockerHost) -> (Assigned, BTreeSet<Uid>) {
        let mut passed_over = BTreeSet::new();
        let mut granted = CredentialVersions::new();
        let mut resources: Vec<(&dyn Resource, Lifecycle)> = Vec::new();
        let entries = state.entries().iter().map(|e| &e.uid);
        let candidates: BTreeSet<&Uid> = entries.chain(&state.selected_by).collect();
        for uid in candidates {
            let Some(parent) = self.parents.get(uid) else {
                continue;
            };
            let resource = &*parent.object;
            match self.admitted(parent, state) {
                Some(lifecycle) if self.grant(state, resource, lifecycle, &mut granted) => {
                    resources.push((resource, lifecycle));
                }
                Some(_) | None => {
                    passed_over.insert(uid.clone());
                }
            }
        }
        let closed = state.sharing_refusal();
        let assigned = assign(&Input {
            context: RenderContext {
                host,
                called: &state.display_name,
                swarm: self.swarms.get(&Name::of(&host.metadata)),
                credentials: &granted,
                agent: host.status.as_ref().and_then(|s| s.agent.as_ref()),
            },
            resources: &resources,
            namespaces: &self.namespaces,
            previous: state.entries(),
            statuses: state.statuses(),
            closed: closed.as_ref(),
            most: dockfleet_crds::MAX_ENTRIES,
        });
        (assigned, passed_over)
    }

    /// Stores the computed entries, and returns the resources whose status may change.
    fn note(
        &mut self,
        name: &Name,
        assigned: Assigned,
        passed_over: &BTreeSet<Uid>,
        wanted: &HostAssignment,
    ) -> BTreeSet<Uid> {
        let Some(state) = self.hosts.get_mut(name) else {
            return BTreeSet::new();
        };
        let mut touched = changed(&state.refused, &assigned.refused);
        touched.append(&mut changed(&state.contested, &assigned.contested));
        state.refused = assigned.refused;
        state.contested = assigned.contested;
        state.in_flight = differing(state.entries(), &wanted.spec.entries, |e| &e.uid);
        let asked_for = |entry: &Entry| (entry.revision.clone(), entry.intent.clone());
        let all = wanted.spec.entries.iter();
        let wanted: BTreeMap<&Uid, &Entry> = all.map(|e| (&e.uid, e)).collect();
        // A reconcile request does not make the reports outdated.
        let unchanged: Vec<Uid> = state
            .in_flight
            .iter()
            .filter(|uid| {
                state.entry(uid).map(asked_for) == wanted.get(uid).copied().map(asked_for)
            })
            .cloned()
            .collect();
        state.in_flight.retain(|uid| !unchanged.contains(uid));
        let (waiting, mut settled): (BTreeSet<Uid>, BTreeSet<Uid>) =
            std::mem::take(&mut state.awaiting)
                .into_iter()
                .partition(|uid| passed_over.contains(uid));
        state.awaiting = waiting;
        settled.retain(|uid| !state.in_flight.contains(uid));
        touched.append(&mut settled);
        touched
    }

    /// Applies the written assignment.
    pub(crate) fn host_written(
        &mut self,
        name: &Name,
        asked_with: Option<String>,
        written: HostAssignment,
    ) {
        self.apply_assignment(written, &Source::Answered { asked_with });
        if let Some(state) = self.hosts.get_mut(name) {
            let settled = std::mem::take(&mut state.in_flight);
            self.touch_all(&settled);
            self.check_secret_sync(name);
        }
        // Calls for the host itself follow its assignment.
        let more = |state: &HostState| {
            state.is_draining()
                || state
                    .finalizer_call(|entry| self.is_orphan(entry))
                    .is_some()
        };
        if self.hosts.get(name).is_some_and(more) {
            self.dirty.hosts.insert(name.clone());
        }
    }

    /// Applies the assignment that was read.
    pub(crate) fn host_seen(
        &mut self,
        name: &Name,
        asked_with: Option<String>,
        seen: Option<HostAssignment>,
    ) {
        match seen {
            Some(seen) => self.apply_assignment(seen, &Source::Answered { asked_with }),
            None if self.known_version(name) == asked_with => self.delete_assignment(name, None),
            // It was created in the meantime.
            None => {}
        }
        if let Some(state) = self.hosts.get_mut(name) {
            state.uncertain = false;
            self.dirty.hosts.insert(name.clone());
        }
    }

    /// Records that a write failed but may have been carried out.
    pub(crate) fn host_failed(&mut self, name: &Name) {
        if let Some(state) = self.hosts.get_mut(name) {
            state.awaiting.append(&mut state.in_flight);
            state.uncertain = true;
        }
    }

    /// Whether every host has the permission to remove or release a resource. A host that may not be
    /// written to does not count, unless it is unreadable.
    pub(super) fn is_released(&self, uid: &str) -> bool {
        self.all_concerned(uid).all(|name| {
            let Some(state) = self.hosts.get(name) else {
                return true;
            };
            if state.host().is_none() && !state.unreadable.contains(&Watched::Hosts) {
                return true;
            }
            let permitted = state.entry(uid).is_none_or(|e| e.intent == Intent::Absent);
            permitted && !state.is_unsettled(uid)
        })
    }
}

/// Creates the object to write.
fn assignment(
    host: &DockerHost,
    written: Option<&HostAssignment>,
    hub: &str,
    assigned: &Assigned,
) -> HostAssignment {
    HostAssignment {
        metadata: ObjectMeta {
            name: host.metadata.name.clone(),
            namespace: host.metadata.namespace.clone(),
            owner_references: owner(host).map(|o| vec![o]),
            // A write that is based on an old version is refused: it could revert a later write of
            // another client.
            uid: written.and_then(|a| a.metadata.uid.clone()),
            resource_version: written.and_then(|a| a.metadata.resource_version.clone()),
            ..ObjectMeta::default()
        },
        spec: HostAssignmentSpec {
            hub: hub.to_owned(),
            host_generation: host.metadata.generation,
            paused: host.spec.paused,
            entries: assigned.entries.clone(),
        },
        status: None,
    }
}

/// Returns the UID of an assignment that is older than the generation in its agent's report. Its
/// tombstones may be older than later changes of their resources, so they must not be obeyed.
fn is_older_than_report(assignment: &HostAssignment) -> Option<Uid> {
    let seen = assignment.status.as_ref()?.observed_generation?;
    (seen > assignment.metadata.generation?).then(|| assignment.metadata.uid.clone())?
}

fn is_as_wanted(written: &HostAssignment, wanted: &HostAssignment) -> bool {
    // Other owner references are ignored.
    let owners = |of: &HostAssignment| -> Vec<String> {
        of.metadata
            .owner_references
            .iter()
            .flatten()
            .filter(|o| o.kind == DockerHost::kind(&()))
            .map(|o| o.uid.clone())
            .collect()
    };
    written.spec == wanted.spec && owners(wanted) == owners(written)
}

fn changed<T: PartialEq>(before: &BTreeMap<Uid, T>, after: &BTreeMap<Uid, T>) -> BTreeSet<Uid> {
    let all = before.keys().chain(after.keys());
    all.filter(|uid| before.get(*uid) != after.get(*uid))
        .cloned()
        .collect()
}
