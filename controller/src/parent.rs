//! Resources in the form that the controller keeps in memory.

use std::sync::Arc;

use dockfleet_crds::assignment::Kind;
use dockfleet_planner::resource::Resource;

use crate::object::Name;

/// The finalizer that keeps a resource until every host has the permission to remove or release its
/// object.
pub(crate) const FINALIZER: &str = "dockfleet.io/hosts";

/// A resource of any kind.
pub(crate) type Parent = Arc<dyn Resource>;

/// The name of a resource with its kind, ordered by namespace first.
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
    /// Creates the name of a resource of a kind.
    pub(crate) fn new(kind: Kind, name: &Name) -> Self {
        Self {
            namespace: name.namespace.clone(),
            kind,
            name: name.name.clone(),
        }
    }

    /// Returns the name of a resource.
    pub(crate) fn of(resource: &dyn Resource) -> Self {
        Self::new(resource.kind(), &Name::of(resource.metadata()))
    }

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

/// Properties of a resource that only the controller uses.
pub(crate) trait ParentExt {
    /// Whether it has the finalizer of the controller.
    fn has_finalizer(&self) -> bool;

    /// Whether its status has conditions.
    fn was_visited(&self) -> bool;
}

impl ParentExt for dyn Resource {
    fn has_finalizer(&self) -> bool {
        let mut finalizers = self.metadata().finalizers.iter().flatten();
        finalizers.any(|f| f == FINALIZER)
    }

    fn was_visited(&self) -> bool {
        self.status().is_some_and(|s| !s.conditions.is_empty())
    }
}
