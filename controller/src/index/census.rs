//! Numbers of resources, entries, hosts and members of swarms.

use std::collections::BTreeMap;
use std::time::Duration;

use dockfleet_crds::condition::{self, ConditionStatus};
use dockfleet_crds::{EntryState, Intent};

use super::Index;
use super::heartbeats::ReachableCounts;

/// Numbers of objects in the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Resources, by kind and by the status of their condition Ready.
    pub(crate) resources: BTreeMap<(&'static str, &'static str), i64>,
    /// Entries with the intent `Present`, by kind and by the state that the agent reports for their
    /// present revision.
    pub(crate) entries: BTreeMap<(&'static str, &'static str), i64>,
    /// Tombstones.
    pub(crate) tombstones: i64,
    /// Hosts of the fleet.
    pub(crate) hosts: ReachableCounts,
    /// Time since the oldest heartbeat.
    pub(crate) heartbeat_age: Option<Duration>,
    /// Resources that the brake has stopped.
    pub(crate) stopped: usize,
    /// Members of swarms, by their state.
    pub(crate) members: BTreeMap<&'static str, i64>,
    /// Swarms, by their quorum.
    pub(crate) swarms: BTreeMap<&'static str, i64>,
}

impl Index {
    /// Counts the objects in the index.
    pub(crate) fn census(&self) -> Census {
        let mut census = Census {
            hosts: self.reachable_counts(),
            heartbeat_age: self.oldest_heartbeat(),
            stopped: self.stopped(),
            ..Census::default()
        };
        for parent in self.parents.values() {
            let resource = &*parent.object;
            let conditions = resource.status().map_or(&[][..], |s| &s.conditions);
            let ready = conditions.iter().find(|c| c.type_ == condition::READY);
            let ready = match ready.map(|c| c.status.as_str()) {
                Some("True") => ConditionStatus::True,
                Some("False") => ConditionStatus::False,
                _ => ConditionStatus::Unknown,
            };
            let key = (resource.kind().as_str(), ready.as_str());
            *census.resources.entry(key).or_default() += 1;
            if let Some(counts) = resource.swarm_counts() {
                *census.swarms.entry(counts.quorum).or_default() += 1;
                for (state, count) in counts.members {
                    *census.members.entry(state).or_default() += count;
                }
            }
        }
        for state in self.hosts.values() {
            for entry in state.entries() {
                if entry.intent == Intent::Absent {
                    census.tombstones += 1;
                    continue;
                }
                let report = state.report(&entry.uid);
                let report = report.filter(|t| t.revision == entry.revision);
                let pending = EntryState::Pending.as_str();
                let state = report.map_or(pending, |t| t.state.label());
                let key = (entry.kind.label(), state);
                *census.entries.entry(key).or_default() += 1;
            }
        }
        census
    }
}
