//! The brake stops a removal of many objects at once until somebody allows it.
//!
//! A controller cannot tell a mistake from an intended change. What it can see is how much would be removed
//! at once.

/// The annotation that allows the removal.
pub const ALLOW_REMOVAL: &str = "dockfleet.io/allow-removal";

/// The reason in the conditions of a resource that the brake has stopped.
pub const REASON: &str = "RemovalBraked";

/// The minimum number of hosts for which the brake stops one resource.
const HOSTS: usize = 2;

/// How much may be removed at once without permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In percent. With 100 nothing is stopped.
    pub share: u8,
    /// Number of resources of one namespace. Up to this number nothing is stopped.
    pub resources: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            share: 50,
            resources: 10,
        }
    }
}

impl Limits {
    /// Whether the brake stops a resource that would be removed from `lost` of the `of` hosts that have it,
    /// and that itself is not deleted.
    pub fn stops_hosts(&self, lost: usize, of: usize) -> bool {
        lost >= HOSTS && self.exceeds(lost, of)
    }

    /// Whether the brake stops the removal of `deleted` of the `of` resources of a namespace.
    pub fn stops_resources(&self, deleted: usize, of: usize) -> bool {
        deleted > self.resources && self.exceeds(deleted, of)
    }

    /// Whether the brake stops a PrunePolicy with `candidates` of the `of` objects of a host.
    pub fn stops_pruning(&self, candidates: usize, of: usize) -> bool {
        candidates > self.resources && self.exceeds(candidates, of)
    }

    fn exceeds(&self, part: usize, of: usize) -> bool {
        part.saturating_mul(100) > of.saturating_mul(usize::from(self.share))
    }
}

/// Returns the annotation's value that allows a resource, in this generation of its spec, to be removed from
/// this number of hosts.
pub fn permission(generation: Option<i64>, hosts: usize) -> String {
    format!("{}-{hosts}", generation.unwrap_or_default())
}

/// Whether a value is a permission for this generation and for at least this number of hosts.
pub fn permits(value: &str, generation: Option<i64>, hosts: usize) -> bool {
    permitted(value, generation).is_some_and(|most| hosts <= most)
}

/// Returns how many hosts, or objects of a host, a value permits in this generation; `None` if it is no permission for
/// it.
pub fn permitted(value: &str, generation: Option<i64>) -> Option<usize> {
    let (given, most) = value.split_once('-')?;
    let is_current = given == generation.unwrap_or_default().to_string();
    most.parse().ok().filter(|_| is_current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_host_and_few_resources_are_removed_without_asking() {
        let limits = Limits::default();
        assert!(!limits.stops_hosts(1, 1));
        assert!(limits.stops_hosts(2, 2));
        assert!(!limits.stops_hosts(2, 4));
        assert!(limits.stops_hosts(3, 4));
        assert!(!limits.stops_resources(10, 10));
        assert!(limits.stops_resources(11, 11));
        assert!(!limits.stops_resources(11, 22));
        assert!(limits.stops_resources(12, 22));
    }

    #[test]
    fn a_permission_is_for_one_generation_and_no_more_hosts() {
        let value = permission(Some(7), 3);
        assert_eq!(value, "7-3");
        assert!(permits(&value, Some(7), 3) && permits(&value, Some(7), 1));
        assert!(!permits(&value, Some(7), 4) && !permits(&value, Some(8), 3));
        for wrong in ["", "7", "true", "7-", "7--3", "-3", "07-3"] {
            assert!(!permits(wrong, Some(7), 1), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_larger_removal_is_braked_where_a_smaller_one_is(
            share in 0u8..=100, resources in 0usize..50, part in 0usize..100, rest in 0usize..100,
        ) {
            let limits = Limits { share, resources };
            let of = part + rest;
            if limits.stops_hosts(part, of) {
                prop_assert!(limits.stops_hosts(part + 1, of + 1));
                prop_assert!(part >= HOSTS);
            }
            if limits.stops_resources(part, of) {
                prop_assert!(limits.stops_resources(part + 1, of + 1));
                prop_assert!(part > resources);
            }
            let never = Limits { share: 100, resources };
            prop_assert!(!never.stops_hosts(part, of) && !never.stops_resources(part, of));
        }
    }
}
