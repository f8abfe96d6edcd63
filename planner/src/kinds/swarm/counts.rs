//! Numbers of a swarm, for metrics.

use std::collections::BTreeMap;

use dockfleet_crds::SwarmCluster;

use super::render::recorded;

/// The recorded state of a swarm in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Number of hosts, by the metric label of their state in the swarm.
    pub members: BTreeMap<&'static str, i64>,
}

/// Counts the hosts of a swarm.
pub(super) fn counts(cluster: &SwarmCluster) -> SwarmCounts {
    let mut counts = SwarmCounts::default();
    for member in &recorded(cluster).members {
        *counts.members.entry(member.state.label()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::Open;
    use dockfleet_crds::swarm::{Member, MemberState, SwarmClusterStatus, SwarmState};

    use super::*;

    #[test]
    fn hosts_are_counted_by_their_state_and_unknown_states_together() {
        let member = |state: Open<MemberState>| Member {
            state,
            ..Member::default()
        };
        let swarm = SwarmState {
            members: vec![
                member(MemberState::Leader.into()),
                member(MemberState::Worker.into()),
                member(MemberState::Worker.into()),
                member(Open::Unknown("Draining".to_owned())),
                member(Open::Unknown("Frozen".to_owned())),
            ],
            ..SwarmState::default()
        };
        let cluster = SwarmCluster {
            status: Some(SwarmClusterStatus {
                swarm,
                ..SwarmClusterStatus::default()
            }),
            ..SwarmCluster::default()
        };
        assert_eq!(
            counts(&cluster).members,
            BTreeMap::from([("Leader", 1), ("Unknown", 2), ("Worker", 2)])
        );
        assert_eq!(counts(&SwarmCluster::default()), SwarmCounts::default());
    }
}
