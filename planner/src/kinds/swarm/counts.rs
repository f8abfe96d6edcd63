//! Numbers of a swarm, for metrics.

use std::collections::BTreeMap;

use dockfleet_crds::open::labels;
use dockfleet_crds::swarm::Quorum;
use dockfleet_crds::{Open, SwarmCluster};

use super::render::recorded;

/// The recorded state of a swarm in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmCounts {
    /// Number of hosts, by the metric label of their state in the swarm.
    pub members: BTreeMap<&'static str, i64>,
    /// The metric label of its quorum.
    pub quorum: &'static str,
}

/// The metric label of a swarm that is not created yet.
const NOT_CREATED: &str = "NotCreated";

/// Returns every metric label of a quorum.
pub fn quorum_labels() -> impl Iterator<Item = &'static str> {
    labels::<Quorum>().chain([NOT_CREATED])
}

/// Returns the numbers of a swarm.
pub(super) fn counts(cluster: &SwarmCluster) -> SwarmCounts {
    let state = recorded(cluster);
    let mut members = BTreeMap::new();
    for member in &state.members {
        *members.entry(member.state.label()).or_default() += 1;
    }
    // A status of an earlier version does not say.
    let unknown = Open::from(Quorum::Unknown);
    let quorum = match &state.cluster_id {
        Some(_) => state.quorum.as_ref().unwrap_or(&unknown).label(),
        None => NOT_CREATED,
    };
    SwarmCounts { members, quorum }
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
    }

    #[test]
    fn a_swarm_has_a_quorum_once_it_is_created() {
        let with = |cluster_id: Option<&str>, quorum: Option<Open<Quorum>>| {
            let swarm = SwarmState {
                cluster_id: cluster_id.map(str::to_owned),
                quorum,
                ..SwarmState::default()
            };
            let status = SwarmClusterStatus {
                swarm,
                ..SwarmClusterStatus::default()
            };
            let cluster = SwarmCluster {
                status: Some(status),
                ..SwarmCluster::default()
            };
            counts(&cluster).quorum
        };
        assert_eq!(counts(&SwarmCluster::default()).quorum, "NotCreated");
        assert_eq!(with(None, Some(Quorum::Unknown.into())), "NotCreated");
        assert_eq!(with(Some("c"), None), "Unknown");
        assert_eq!(with(Some("c"), Some(Quorum::Lost.into())), "Lost");
        let newer = Open::Unknown("Endangered".to_owned());
        assert_eq!(with(Some("c"), Some(newer)), "Unknown");
        assert!(quorum_labels().any(|label| label == "Lost"));
    }
}
