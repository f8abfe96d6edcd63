//! Networks and volumes as the controller holds them.

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{DockerNetwork, DockerVolume};
use dockfleet_planner::options;
use dockfleet_planner::resource::Resource;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;

use crate::object::Name;

/// What keeps a resource until the permission to let go of it is written for every host.
pub(crate) const FINALIZER: &str = "dockfleet.io/hosts";

/// A resource that goes to hosts, with what is needed to write to it.
#[derive(Clone, Debug)]
pub(crate) enum Parent {
    /// A DockerNetwork.
    Network(DockerNetwork),
    /// A DockerVolume.
    Volume(DockerVolume),
}

/// What names a resource among those of every kind, in an order that keeps a namespace together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ParentName {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
}

impl ParentName {
    /// Makes the name of a resource of a kind.
    pub(crate) fn new(kind: Kind, name: &Name) -> Self {
        Self {
            namespace: name.namespace.clone(),
            kind,
            name: name.name.clone(),
        }
    }
}

impl ParentName {
    /// Returns the name without the kind.
    pub(crate) fn object(&self) -> Name {
        Name {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl std::fmt::Display for ParentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

impl Parent {
    /// Returns the resource as the planner sees it.
    pub(crate) fn resource(&self) -> Resource<'_> {
        match self {
            Self::Network(n) => Resource::Network(n),
            Self::Volume(v) => Resource::Volume(v),
        }
    }

    /// Returns its metadata.
    pub(crate) fn metadata(&self) -> &ObjectMeta {
        self.resource().metadata()
    }

    /// Returns its metadata for a change.
    pub(crate) fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Network(n) => &mut n.metadata,
            Self::Volume(v) => &mut v.metadata,
        }
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> ParentName {
        ParentName::new(self.resource().kind(), &Name::of(self.metadata()))
    }

    /// Whether it is being deleted.
    pub(crate) fn is_deleting(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// Whether it cannot go before its hosts are told.
    pub(crate) fn has_finalizer(&self) -> bool {
        self.metadata()
            .finalizers
            .iter()
            .flatten()
            .any(|f| f == FINALIZER)
    }

    /// Whether it has conditions already.
    pub(crate) fn was_visited(&self) -> bool {
        self.resource()
            .status()
            .is_some_and(|s| !s.conditions.is_empty())
    }

    /// Returns what an engine would take in silence and ignore.
    pub(crate) fn option_warnings(&self) -> Vec<String> {
        match self {
            Self::Network(n) => options::warnings(&n.spec),
            Self::Volume(_) => Vec::new(),
        }
    }

    /// Returns what an event refers to it by.
    pub(crate) fn reference(&self) -> ObjectReference {
        match self {
            Self::Network(n) => n.object_ref(&()),
            Self::Volume(v) => v.object_ref(&()),
        }
    }
}
