//! The in-memory state of the controller, and what a change makes dirty.
//!
//! The index is synchronous and does no I/O. Objects come in through [`Index::take_in`] and through
//! the responses to its calls. It returns dirty keys ([`Index::take_dirty`]) and, for one key at a
//! time, the work to do. A change makes dirty only what depends on it:
//!
//! - an edit of a resource: the hosts it selects or is on, and itself;
//! - an edit of a Secret: the resources that name it, and their hosts;
//! - a BackupRepository, or a host that no longer uses it: the backups that wait for it;
//! - a report of an agent: the resources whose entry status it changes;
//! - the engine that a host's agent reports: the hosts that have the same one;
//! - a host's labels or `allowedNamespaces`: that host, and the resources that select it;
//! - a namespace's labels: the hosts that ask for them, of the resources in it; and the hosts in it,
//!   where it becomes or ceases to be a fleet namespace.

mod assignments;
mod brake;
mod census;
mod changes;
mod credentials;
mod deletions;
mod fleet;
mod heartbeats;
mod host_drain;
mod host_work;
mod hosts;
mod makers;
mod parent_work;
mod placements;
mod repositories;
mod resources;
mod secrets;
mod sharing;
mod stale_reports;
mod swarms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockfleet_crds::host::EngineIdentity;
use dockfleet_crds::{DockerHost, HostAssignment};
use dockfleet_planner::assignment::{Lifecycle, Refusal};
use dockfleet_planner::brake::Limits;
use dockfleet_planner::kinds::swarm::SwarmMembership;
use dockfleet_planner::select::{NamespaceLabels, Selection, selection};
use dockfleet_planner::term::Filed;

use tokio::time::Instant;

use crate::object::Name;
use crate::parent::{Parent, ParentExt as _, ParentName};

pub(crate) use census::Census;
pub(crate) use changes::{Seen, WatchChange, Watched};
pub(crate) use credentials::SecretSync;
pub(crate) use heartbeats::{HeartbeatWork, MANAGED_BY};
pub(crate) use host_drain::FINALIZER as CLEAN_FINALIZER;
pub(crate) use host_work::{HostCall, HostWork};
pub(crate) use parent_work::{ParentStep, ParentWork, WrittenStatus};
pub(crate) use secrets::SecretReading;

/// UID of a resource.
pub(crate) type Uid = String;

/// The in-memory state of the controller.
#[derive(Debug)]
pub(crate) struct Index {
    /// Identity of this cluster, which every assignment carries.
    hub: String,
    parents: BTreeMap<Uid, ParentState>,
    uids: BTreeMap<ParentName, Uid>,
    /// The fleet namespace that needs no label.
    fleet_namespace: String,
    hosts: BTreeMap<Name, HostState>,
    /// The hosts of each engine.
    engines: BTreeMap<EngineIdentity, BTreeSet<Name>>,
    placements: BTreeMap<Uid, placements::Placements>,
    /// Hosts by their labels and names, and resources by those that they ask for.
    filed_hosts: Filed<Name>,
    filed_resources: Filed<Uid>,
    namespaces: NamespaceLabels,
    secrets: secrets::Secrets,
    repositories: repositories::Repositories,
    makers: makers::Makers,
    /// The swarm of each host that is in one.
    swarms: BTreeMap<Name, SwarmMembership>,
    heartbeats: heartbeats::Heartbeats,
    brakes: brake::Brakes,
    drains: host_drain::Drains,
    relists: changes::Relists,
    dirty: Dirty,
}

/// A resource and its derived state.
#[derive(Debug)]
struct ParentState {
    object: Parent,
    /// What its deletion means for hosts, if decided.
    lifecycle: Option<Lifecycle>,
    /// Hosts that it names or selects, whether they allow it or not.
    selected: BTreeSet<Name>,
    brake: brake::Brake,
}

/// A host, its assignment, and their derived state.
#[derive(Debug, Default)]
struct HostState {
    /// The name of the host in messages.
    display_name: String,
    /// Its namespace is one of the fleet's.
    in_fleet: bool,
    host: Option<DockerHost>,
    assignment: Option<HostAssignment>,
    /// The last version of one of the two could not be parsed. The previous version is kept, and
    /// nothing is written that depends on it.
    unreadable: BTreeSet<Watched>,
    heartbeat: heartbeats::HeartbeatState,
    drain: host_drain::DrainState,
    /// Its engine, if its agent has reported it.
    engine: Option<EngineIdentity>,
    /// An older host has the same engine.
    shared_engine: Option<sharing::SharedEngine>,
    /// A write failed but may have been carried out: nothing is decided before the assignment is
    /// read again.
    uncertain: bool,
    /// Resources that name or select the host.
    selected_by: BTreeSet<Uid>,
    /// Resources that cannot have the host.
    refused: BTreeMap<Uid, Refusal>,
    /// Resources that own a name on the host that others ask for.
    contested: BTreeMap<Uid, String>,
    /// Resources that changed since the host's entries were last computed.
    awaiting: BTreeSet<Uid>,
    /// Resources whose entries differ in the write under way.
    in_flight: BTreeSet<Uid>,
    /// The credentials in its own Secret.
    synced: credentials::SyncedCredentials,
    /// Resources whose entries changed after the agent's last report, and the first generation of
    /// the assignment whose report counts for them.
    stale_reports: BTreeMap<Uid, i64>,
}

/// The settings of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexSettings {
    /// How long a host may send no heartbeat before it is offline.
    pub(crate) offline_after: Duration,
    /// How much may be removed or released at once without permission.
    pub(crate) limits: Limits,
    /// How long resources that are deleted with their namespace wait for permission.
    pub(crate) namespace_hold: Duration,
}

/// The keys to process again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dirty {
    /// Hosts whose entries must be computed again.
    pub(crate) hosts: BTreeSet<Name>,
    /// Hosts whose Lease or conditions must be processed.
    pub(crate) heartbeats: BTreeSet<Name>,
    /// Resources to process at once, because somebody waits for them.
    pub(crate) now: BTreeSet<Uid>,
    /// Resources whose status may have changed.
    pub(crate) soon: BTreeSet<Uid>,
    /// Hosts whose own Secret must be written.
    pub(crate) secret_syncs: BTreeSet<Name>,
    /// Secrets to read.
    pub(crate) secrets: BTreeSet<Name>,
}

impl Index {
    /// Creates an empty index.
    pub(crate) fn new(
        hub: String,
        fleet_namespace: String,
        now: Instant,
        settings: IndexSettings,
    ) -> Self {
        Self {
            hub,
            fleet_namespace,
            heartbeats: heartbeats::Heartbeats::new(now, settings.offline_after),
            brakes: brake::Brakes::new(settings.limits, settings.namespace_hold),
            drains: host_drain::Drains::default(),
            parents: BTreeMap::new(),
            uids: BTreeMap::new(),
            hosts: BTreeMap::new(),
            engines: BTreeMap::new(),
            placements: BTreeMap::new(),
            filed_hosts: Filed::default(),
            filed_resources: Filed::default(),
            namespaces: NamespaceLabels::new(),
            secrets: secrets::Secrets::default(),
            repositories: repositories::Repositories::default(),
            makers: makers::Makers::default(),
            swarms: BTreeMap::new(),
            relists: changes::Relists::default(),
            dirty: Dirty::default(),
        }
    }

    /// Returns the dirty keys and clears them.
    pub(crate) fn take_dirty(&mut self) -> Dirty {
        std::mem::take(&mut self.dirty)
    }

    /// Returns the numbers of resources, hosts and namespaces.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.parents.len(), self.hosts.len(), self.namespaces.len())
    }

    /// Returns the name of a resource, for a log.
    pub(crate) fn parent_name(&self, uid: &str) -> Option<ParentName> {
        self.parents.get(uid).map(|p| ParentName::of(&*p.object))
    }

    /// Returns the hosts that a resource selects or is on, by name.
    fn concerned(&self, uid: &str) -> BTreeSet<Name> {
        self.all_concerned(uid).cloned().collect()
    }

    /// Returns the same without a copy.
    fn all_concerned(&self, uid: &str) -> impl Iterator<Item = &Name> + Clone {
        static NONE: BTreeSet<Name> = BTreeSet::new();
        let selected = self.parents.get(uid).map_or(&NONE, |p| &p.selected);
        let placements = self
            .placements
            .get(uid)
            .map_or(&NONE, placements::Placements::all);
        selected.union(placements)
    }

    /// Returns the lifecycle of a resource for the entries of a host; `None` while the resource
    /// must not be considered.
    fn admitted(&self, parent: &ParentState, state: &HostState) -> Option<Lifecycle> {
        if parent.object.is_deleting() {
            return parent.lifecycle.filter(|_| !parent.brake.is_engaged());
        }
        // No entry is created before the resource has its finalizer.
        let resource = &*parent.object;
        if resource.waits_for_record() {
            return None;
        }
        let comes = selection(resource, state.host()?, &self.namespaces) == Selection::Yes;
        let held = parent.brake.is_engaged() || state.is_drain_pending();
        (parent.object.has_finalizer() || !comes).then_some(if held {
            Lifecycle::Braked
        } else {
            Lifecycle::Live
        })
    }

    /// Records that a resource changed for hosts, and marks those hosts dirty for which it counts.
    fn await_entries(&mut self, uid: &str, hosts: &BTreeSet<Name>) {
        for name in hosts {
            if let Some(state) = self.hosts.get_mut(name) {
                state.awaiting.insert(uid.to_owned());
            }
            let known = self.hosts.get(name).filter(|s| s.host().is_some());
            let considered = match (self.parents.get(uid), known) {
                (Some(parent), Some(state)) => self.admitted(parent, state).is_some(),
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if considered {
                self.dirty.hosts.insert(name.clone());
            }
        }
    }

    /// Marks the status of a resource dirty: at once if somebody waits for it, otherwise collected
    /// with later changes.
    fn touch(&mut self, uid: &str) {
        let Some(parent) = self.parents.get(uid) else {
            return;
        };
        let now = if parent.object.is_deleting() {
            parent.object.has_finalizer() && (parent.lifecycle.is_none() || self.is_released(uid))
        } else {
            !parent.object.was_visited() || self.lacks_finalizer(parent)
        };
        if now {
            self.dirty.now.insert(uid.to_owned());
        } else {
            self.dirty.soon.insert(uid.to_owned());
        }
    }

    /// Returns a host that may be written to: it exists and is not being deleted, or it is being
    /// drained.
    fn host(&self, name: &Name) -> Option<&DockerHost> {
        self.hosts.get(name)?.host()
    }
}

impl HostState {
    /// Returns the host if it exists and is not being deleted, or is being drained. The assignment
    /// of any other deleted host stays as it is: the deletion of a DockerHost is no permission to
    /// remove anything on the host. The same holds if its namespace is no longer a fleet namespace.
    fn host(&self) -> Option<&DockerHost> {
        self.host
            .as_ref()
            .filter(|h| self.in_fleet && h.metadata.deletion_timestamp.is_none())
            .or_else(|| self.host.as_ref().filter(|_| self.is_draining()))
    }

    /// Whether there is no state for the host.
    fn is_empty(&self) -> bool {
        self.heartbeat.is_empty()
            && self.host.is_none()
            && self.assignment.is_none()
            && self.unreadable.is_empty()
    }

    /// Whether the entry of a resource on the host is still to be computed or written.
    fn is_unsettled(&self, uid: &str) -> bool {
        self.awaiting.contains(uid) || self.in_flight.contains(uid)
    }
}

/// Returns the UIDs under which two lists differ.
fn differing<T: PartialEq>(before: &[T], after: &[T], uid: impl Fn(&T) -> &Uid) -> BTreeSet<Uid> {
    let by_uid = |all| -> BTreeMap<&Uid, &T> { <[T]>::iter(all).map(|x| (uid(x), x)).collect() };
    let (before, after) = (by_uid(before), by_uid(after));
    let all = before.keys().chain(after.keys()).copied();
    all.filter(|uid| before.get(uid) != after.get(uid))
        .cloned()
        .collect()
}
