//! Which namespaces hold hosts of the fleet, and what people call a host.

use super::{HostState, Index};
use crate::object::Name;
use dockfleet_crds::FLEET_LABEL;

impl Index {
    /// Whether the hosts of a namespace are hosts of the fleet.
    fn is_fleet(&self, namespace: &str) -> bool {
        let labels = self.namespaces.get(namespace);
        namespace == self.fleet_namespace
            || labels.is_some_and(|l| l.get(FLEET_LABEL).is_some_and(|v| v == "true"))
    }

    /// Returns what people call a host: its name, and the namespace before it where that is not the
    /// one that needs no label. That never changes, whatever else comes.
    fn display_name(&self, host: &Name) -> String {
        if host.namespace == self.fleet_namespace {
            host.name.clone()
        } else {
            host.to_string()
        }
    }

    /// Returns what is known of a host, for a change.
    pub(super) fn host_mut(&mut self, name: &Name) -> &mut HostState {
        if !self.hosts.contains_key(name) {
            let state = HostState {
                display_name: self.display_name(name),
                in_fleet: self.is_fleet(&name.namespace),
                ..HostState::default()
            };
            self.hosts.insert(name.clone(), state);
        }
        self.hosts.entry(name.clone()).or_default()
    }

    /// Takes the hosts of a namespace into the fleet, or leaves them out of it from now on, as its
    /// labels say. What was assigned to hosts that are left out stays as it is.
    pub(super) fn review_fleet(&mut self, namespace: &str) {
        let in_fleet = self.is_fleet(namespace);
        let first = Name {
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let mut changed = Vec::new();
        for (name, state) in self.hosts.range_mut(first..) {
            if name.namespace != namespace {
                break;
            }
            if state.in_fleet != in_fleet {
                state.in_fleet = in_fleet;
                changed.push(name.clone());
            }
        }
        for name in changed {
            self.follow_engine(&name);
            self.follow_drain(&name, false);
            self.reselect(&name);
            self.follow_heartbeat(&name);
        }
    }
}
