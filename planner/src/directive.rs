//! What becomes of a resource's entry on one host, before anything is rendered.
//!
//! Whatever keeps, renders or retires an entry is decided here, from the resource's own word (`suspend`,
//! `deletionPolicy`), from its future ([`Lifecycle`], which the [brake](crate::brake) gives too) and from
//! whether it selects the host.

use dockfleet_crds::policy::DeletionPolicy;

use crate::assignment::Lifecycle;
use crate::resource::Resource;
use crate::select::Selection;

/// What becomes of a resource's entry on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// The entry is rendered as the resource is now. A tombstone that is there becomes an entry again.
    Render,
    /// An entry that is there stays, and none is made. A tombstone that is there keeps no more permission
    /// than this.
    Keep(DeletionPolicy),
    /// An entry that is there becomes a tombstone with this permission, and none is made.
    Retire(DeletionPolicy),
}

impl Directive {
    /// Returns what may be done to an object that goes.
    pub fn permission(self) -> DeletionPolicy {
        match self {
            // What selects the host again takes its permission back, even where it cannot have it.
            Self::Render => DeletionPolicy::Retain,
            Self::Keep(policy) | Self::Retire(policy) => policy,
        }
    }
}

/// Returns what becomes of the entry of a resource on a host, by how the resource selects it.
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
        // An administrator who closes the host to the namespace frees it, and removes nothing.
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
                    // What is suspended never permits one.
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
