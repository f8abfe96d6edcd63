//! Changes from the watches, lists included. Objects that were deleted while nobody watched are
//! found at the end of a list.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{DockerHost, HostAssignment};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;

use super::Index;
use crate::object::{Name, Source};
use crate::parent::{Parent, ParentName};

/// The kinds of object that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Watched {
    /// Every resource of a kind in all namespaces.
    Resources(Kind),
    /// Every DockerHost of all namespaces.
    Hosts,
    /// Every HostAssignment of all namespaces.
    Assignments,
    /// Every namespace's metadata.
    Namespaces,
    /// The Lease of every host.
    Leases,
}

impl Watched {
    /// Returns every kind.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let others = [
            Self::Hosts,
            Self::Assignments,
            Self::Namespaces,
            Self::Leases,
        ];
        let resources = Kind::all().map(Self::Resources);
        resources.chain(others)
    }
}

/// A change from a watch.
#[derive(Clone, Debug)]
pub(crate) enum WatchChange {
    /// Of a resource.
    Resource(Kind, Seen<Parent>),
    /// Of a DockerHost.
    Host(Seen<DockerHost>),
    /// Of a HostAssignment.
    Assignment(Seen<HostAssignment>),
    /// Of a namespace.
    Namespace(Seen<PartialObjectMeta<Namespace>>),
    /// Of a host's Lease.
    Lease(Seen<Lease>),
}

/// An event of a watch.
#[derive(Clone, Debug)]
pub(crate) enum Seen<K> {
    /// A list of all objects begins.
    ListBegins,
    /// An object of the list.
    Listed(Box<K>),
    /// The list is complete.
    ListEnds,
    /// An object was created or changed.
    Applied(Box<K>),
    /// An object was deleted.
    Deleted(ObjectMeta),
    /// An object, of the list or changed, cannot be read.
    Unreadable(ObjectMeta),
    /// The watch was interrupted; events may be missing.
    Interrupted,
}

impl<K> Seen<K> {
    /// Turns the object into another form.
    pub(crate) fn map<T>(self, form: fn(K) -> T) -> Seen<T> {
        match self {
            Self::ListBegins => Seen::ListBegins,
            Self::Listed(object) => Seen::Listed(Box::new(form(*object))),
            Self::ListEnds => Seen::ListEnds,
            Self::Applied(object) => Seen::Applied(Box::new(form(*object))),
            Self::Deleted(meta) => Seen::Deleted(meta),
            Self::Unreadable(meta) => Seen::Unreadable(meta),
            Self::Interrupted => Seen::Interrupted,
        }
    }
}

/// For each list under way, the objects it has not named yet, with the version they had.
#[derive(Debug, Default)]
pub(super) struct Relists(BTreeMap<Watched, BTreeMap<Name, Option<String>>>);

/// An object of the index.
trait Indexed: Sized {
    /// Returns its metadata.
    fn meta(&self) -> &ObjectMeta;
    /// Returns the names of all known objects, with their versions.
    fn known(index: &Index, watched: Watched) -> BTreeMap<Name, Option<String>>;
    /// Applies it.
    fn apply(self, index: &mut Index, source: &Source);
    /// Forgets one.
    fn delete(index: &mut Index, watched: Watched, name: &Name, uid: Option<&str>);
    /// Records that one cannot be read; its previous version is kept.
    fn unreadable(_index: &mut Index, _watched: Watched, _name: &Name) {}
}

impl Index {
    /// Applies a change, and returns its kind if it completes a list.
    pub(crate) fn take_in(&mut self, change: WatchChange) -> Option<Watched> {
        match change {
            WatchChange::Resource(kind, seen) => self.see(Watched::Resources(kind), seen),
            WatchChange::Host(seen) => self.see(Watched::Hosts, seen),
            WatchChange::Assignment(seen) => self.see(Watched::Assignments, seen),
            WatchChange::Namespace(seen) => self.see(Watched::Namespaces, seen),
            WatchChange::Lease(seen) => {
                if matches!(seen, Seen::ListEnds | Seen::Interrupted) {
                    self.restart_silence();
                }
                self.see(Watched::Leases, seen)
            }
        }
    }

    fn see<K: Indexed>(&mut self, watched: Watched, seen: Seen<K>) -> Option<Watched> {
        let unnamed = self.relists.0.entry(watched).or_default();
        match seen {
            Seen::ListBegins => {
                let known = K::known(self, watched);
                self.relists.0.insert(watched, known);
            }
            Seen::Listed(object) => {
                // A version from before the list is older than the list, whatever the numbers.
                let asked_with = unnamed.remove(&Name::of(object.meta())).flatten();
                object.apply(self, &Source::Answered { asked_with });
            }
            Seen::ListEnds => {
                for name in std::mem::take(unnamed).into_keys() {
                    K::delete(self, watched, &name, None);
                }
                return Some(watched);
            }
            Seen::Applied(object) => object.apply(self, &Source::Watched),
            Seen::Deleted(meta) => K::delete(self, watched, &Name::of(&meta), meta.uid.as_deref()),
            Seen::Interrupted => {}
            Seen::Unreadable(meta) => {
                let name = Name::of(&meta);
                unnamed.remove(&name);
                K::unreadable(self, watched, &name);
            }
        }
        None
    }
}

fn version(meta: &ObjectMeta) -> (Name, Option<String>) {
    (Name::of(meta), meta.resource_version.clone())
}

impl Indexed for Parent {
    fn meta(&self) -> &ObjectMeta {
        self.metadata()
    }

    fn known(index: &Index, watched: Watched) -> BTreeMap<Name, Option<String>> {
        let parents = index.parents.values().map(|p| &p.object);
        parents
            .filter(|p| watched == Watched::Resources(p.kind()))
            .map(|p| version(p.metadata()))
            .collect()
    }

    fn apply(self, index: &mut Index, source: &Source) {
        index.apply_parent(self, source);
    }

    fn delete(index: &mut Index, watched: Watched, name: &Name, uid: Option<&str>) {
        if let Watched::Resources(kind) = watched {
            index.delete_parent(&ParentName::new(kind, name), uid);
        }
    }
}

impl Indexed for DockerHost {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn known(index: &Index, _: Watched) -> BTreeMap<Name, Option<String>> {
        index
            .hosts
            .values()
            .filter_map(|s| s.host.as_ref())
            .map(|h| version(&h.metadata))
            .collect()
    }

    fn apply(self, index: &mut Index, source: &Source) {
        index.apply_host(self, source);
    }

    fn delete(index: &mut Index, _: Watched, name: &Name, _uid: Option<&str>) {
        index.delete_host(name);
    }

    fn unreadable(index: &mut Index, watched: Watched, name: &Name) {
        index.mark_unreadable(name, watched);
    }
}

impl Indexed for HostAssignment {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn known(index: &Index, _: Watched) -> BTreeMap<Name, Option<String>> {
        let assignments = index.hosts.values().filter_map(|s| s.assignment.as_ref());
        assignments.map(|a| version(&a.metadata)).collect()
    }

    fn apply(self, index: &mut Index, source: &Source) {
        index.apply_assignment(self, source);
    }

    fn delete(index: &mut Index, _: Watched, name: &Name, uid: Option<&str>) {
        index.delete_assignment(name, uid);
    }

    fn unreadable(index: &mut Index, watched: Watched, name: &Name) {
        index.mark_unreadable(name, watched);
    }
}

impl Indexed for PartialObjectMeta<Namespace> {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn known(index: &Index, _: Watched) -> BTreeMap<Name, Option<String>> {
        let name = |name: &String| Name {
            name: name.clone(),
            ..Name::default()
        };
        index.namespaces.keys().map(|n| (name(n), None)).collect()
    }

    fn apply(self, index: &mut Index, _source: &Source) {
        index.review_namespace(&self.metadata);
        let labels = self.metadata.labels.unwrap_or_default();
        let name = self.metadata.name.unwrap_or_default();
        let before = index.namespaces.insert(name.clone(), labels);
        if before.as_ref() != index.namespaces.get(&name) {
            index.namespace_changed(&name);
        }
    }

    fn delete(index: &mut Index, _: Watched, name: &Name, _uid: Option<&str>) {
        if index.namespaces.remove(&name.name).is_some() {
            index.namespace_changed(&name.name);
        }
    }
}

impl Indexed for Lease {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn known(index: &Index, _: Watched) -> BTreeMap<Name, Option<String>> {
        index.known_leases().collect()
    }

    fn apply(self, index: &mut Index, _source: &Source) {
        index.apply_lease(&self);
    }

    fn delete(index: &mut Index, _: Watched, name: &Name, _uid: Option<&str>) {
        index.delete_lease(name);
    }
}

impl Index {
    fn mark_unreadable(&mut self, host: &Name, what: Watched) {
        self.host_mut(host).unreadable.insert(what);
    }

    /// Removes the state of a host that has none left.
    pub(super) fn tidy(&mut self, host: &Name) {
        if self.hosts.get(host).is_some_and(super::HostState::is_empty) {
            self.hosts.remove(host);
        }
    }

    /// Marks the statuses of resources dirty.
    pub(super) fn touch_all(&mut self, uids: &BTreeSet<super::Uid>) {
        for uid in uids {
            self.touch(uid);
        }
    }
}
