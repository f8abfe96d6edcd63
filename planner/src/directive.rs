//! Decides what becomes of a resource's entry on one host, before anything is rendered.
//!
//! Three inputs decide whether an entry is rendered, kept or retired: the resource's own policies (`suspend`,
//! `deletionPolicy`), its [`Lifecycle`], which includes the [brake](crate::brake), and whether it selects the
//! host.

use dockfleet_crds::policy::DeletionPolicy;

use crate::assignment::Lifecycle;
use crate::resource::Resource;
use crate::select::Selection;

/// What becomes of a resource's entry on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// The entry is rendered from the resource as it is now. An existing tombstone becomes an entry again.
    Render,
    /// An existing entry stays, and none is created. An existing tombstone keeps at most this permission.
    Keep(DeletionPolicy),
    /// An existing entry becomes a tombstone with this permission, and none is created.
    Retire(DeletionPolicy),
}

impl Directive {
    /// Removes the permission to remove the object, if it must not be removed on this host.
    #[must_use]
    pub fn limited(self, may_remove: bool) -> Self {
        match self {
            Self::Keep(_) if !may_remove => Self::Keep(DeletionPolicy::Retain),
            Self::Retire(_) if !may_remove => Self::Retire(DeletionPolicy::Retain),
            other => other,
        }
    }

    /// Returns what a tombstone may permit.
    pub fn permission(self) -> DeletionPolicy {
        match self {
            // A resource that selects the host again withdraws its permission, even if it gets no entry.
            Self::Render => DeletionPolicy::Retain,
            Self::Keep(policy) | Self::Retire(policy) => policy,
        }
    }
}

/// Decides what becomes of the entry of a resource on a host.
pub fn directive(resource: &dyn Resource, lifecycle: Lifecycle, selection: Selection) -> Directive {
    use DeletionPolicy::Retain;
    match (lifecycle, selection) {
        (Lifecycle::Live | Lifecycle::Braked, Selection::Yes) => Directive::Render,
        (Lifecycle::Live | Lifecycle::Braked, Selection::Unknown) => Directive::Keep(Retain),
        (Lifecycle::Braked, Selection::No) => Directive::Keep(resource.deletion()),
        (Lifecycle::Live, Selection::No) if resource.policies().suspend => {
            Directive::Keep(resource.deletion())
        }
        (Lifecycle::Live, Selection::No) | (Lifecycle::Deleted, _) => {
            Directive::Retire(resource.deletion())
        }
        // If an administrator no longer allows the namespace on the host, the object is released and not
        // removed.
        (Lifecycle::Live | Lifecycle::Braked, Selection::NotAllowed) | (Lifecycle::Cascaded, _) => {
            Directive::Retire(Retain)
        }
    }
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::DockerNetwork;
    use dockfleet_crds::network::DockerNetworkSpec;

    use super::*;

    const LIFECYCLES: [Lifecycle; 4] = [
        Lifecycle::Live,
        Lifecycle::Braked,
        Lifecycle::Deleted,
        Lifecycle::Cascaded,
    ];
    const SELECTIONS: [Selection; 4] = [
        Selection::Yes,
        Selection::No,
        Selection::NotAllowed,
        Selection::Unknown,
    ];

    fn network(suspend: bool) -> DockerNetwork {
        let mut network = DockerNetwork::new("n", DockerNetworkSpec::default());
        network.spec.suspend = suspend;
        network
    }

    #[test]
    fn i1_only_a_resource_that_is_deleted_or_selects_the_host_no_longer_permits_a_removal() {
        for suspend in [false, true] {
            let network = network(suspend);
            for lifecycle in LIFECYCLES {
                for selection in SELECTIONS {
                    let directive = directive(&network, lifecycle, selection);
                    let retires = matches!(directive, Directive::Retire(_));
                    let permits = directive.permission() == DeletionPolicy::Delete;
                    // A suspended resource never permits a removal.
                    let asked_for = match (lifecycle, selection) {
                        (Lifecycle::Deleted, _) | (Lifecycle::Live, Selection::No) => !suspend,
                        _ => false,
                    };
                    let case = format!("{lifecycle:?}, {selection:?}, suspend {suspend}");
                    assert_eq!(retires && permits, asked_for, "{case}");
                }
            }
        }
    }

    #[test]
    fn a_braked_or_suspended_resource_stays_on_hosts_that_it_no_longer_selects() {
        let (live, suspended) = (network(false), network(true));
        let braked = directive(&live, Lifecycle::Braked, Selection::No);
        assert_eq!(braked, Directive::Keep(DeletionPolicy::Delete));
        let suspended = directive(&suspended, Lifecycle::Live, Selection::No);
        assert_eq!(suspended, Directive::Keep(DeletionPolicy::Retain));
    }
}
