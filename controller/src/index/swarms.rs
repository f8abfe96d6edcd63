//! Swarms: which host is in which, for the networks that need one.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_planner::kinds::swarm::SwarmMembership;
use dockfleet_planner::resource::Resource;

use super::{Index, Uid};
use crate::object::Name;

impl Index {
    /// Applies the memberships of a resource's hosts, and marks the networks dirty that depend on a changed one.
    pub(super) fn follow_memberships(
        &mut self,
        before: Option<&dyn Resource>,
        now: Option<&dyn Resource>,
    ) {
        let (before, now) = (memberships(before), memberships(now));
        let all: BTreeSet<&Name> = before.keys().chain(now.keys()).collect();
        let changed: Vec<Name> = all
            .into_iter()
            .filter(|name| before.get(*name) != now.get(*name))
            .cloned()
            .collect();
        for name in changed {
            match now.get(&name) {
                Some(membership) => drop(self.swarms.insert(name.clone(), membership.clone())),
                None => drop(self.swarms.remove(&name)),
            }
            let selected_by = self.hosts.get(&name).map(|s| s.selected_by.clone());
            let needs = |uid: &Uid| {
                self.parents
                    .get(uid)
                    .is_some_and(|p| p.object.needs_swarm())
            };
            let uids: Vec<Uid> = selected_by.into_iter().flatten().filter(needs).collect();
            for uid in uids {
                self.await_entries(&uid, &BTreeSet::from([name.clone()]));
                self.touch(&uid);
            }
        }
    }
}

fn memberships(resource: Option<&dyn Resource>) -> BTreeMap<Name, SwarmMembership> {
    let Some(resource) = resource else {
        return BTreeMap::new();
    };
    let name = |name: String| Name {
        namespace: resource.namespace().to_owned(),
        name,
    };
    let all = resource.memberships().into_iter();
    all.map(|(host, membership)| (name(host), membership))
        .collect()
}
