//! Which namespaces are fleet namespaces, and the names of hosts in messages.

use super::{HostState, Index};
use crate::object::Name;
use dockfleet_crds::FLEET_LABEL;

impl Index {
    /// Whether a namespace is a fleet namespace.
    fn is_fleet(&self, namespace: &str) -> bool {
        let labels = self.namespaces.get(namespace);
        namespace == self.fleet_namespace
            || labels.is_some_and(|l| l.get(FLEET_LABEL).is_some_and(|v| v == "true"))
    }

    /// Returns the name of a host in messages: its name, after its namespace if that is not the
    /// fleet namespace without a label. It never changes.
    fn display_name(&self, host: &Name) -> String {
        if host.namespace == self.fleet_namespace {
            host.name.clone()
        } else {
            host.to_string()
        }
    }

    /// Returns the state of a host, for a change.
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

    /// Adds the hosts of a namespace to the fleet or takes them out of it, as its labels say. The
    /// assignments of hosts outside the fleet stay as they are.
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
