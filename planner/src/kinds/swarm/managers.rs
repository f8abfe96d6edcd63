//! Which hosts are managers of a swarm.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::swarm::{NodeRole, SwarmState};
use dockfleet_crds::{Open, SwarmCluster};

use super::NodeStatus;
use super::host::Host;

/// Chooses the managers. A host that is a manager, or was chosen before, stays one.
pub(super) fn managers<'a>(
    cluster: &SwarmCluster,
    state: &SwarmState,
    hosts: &[Host<'a>],
    nodes: Option<&BTreeMap<String, Open<NodeStatus>>>,
) -> BTreeSet<&'a str> {
    let first = state.bootstrap.as_ref().map(|b| b.host.as_str());
    let writer = state.writer.as_deref();
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    let given_up = |h: &Host<'_>| h.node().is_some_and(|id| state.given_up.contains(&id));
    for host in hosts.iter().filter(|h| h.eligible && !h.retires) {
        if given_up(host) {
            continue;
        }
        let listed = host.node().and_then(|id| nodes?.get(&id)?.known());
        let chosen = host.before.is_some_and(|m| m.role == NodeRole::Manager);
        let rank = if Some(host.name) == writer {
            0
        } else if Some(host.name) == first && state.cluster_id.is_none() {
            1
        } else if chosen && listed.is_some_and(NodeStatus::is_manager) {
            2
        } else if listed.is_some_and(NodeStatus::is_manager) {
            3
        } else if chosen && (nodes.is_none() || listed.is_some_and(NodeStatus::is_reachable)) {
            // As long as no writer has reported the nodes, nobody loses a role.
            4
        } else if listed.is_some_and(NodeStatus::is_reachable) {
            5
        } else if chosen && listed.is_some() {
            6
        } else {
            continue;
        };
        let by_label = cluster.spec.managers.spread_by.as_ref();
        candidates.push(Candidate {
            rank,
            place: by_label.and_then(|key| host.label(key)),
            name: host.name,
        });
    }
    let count = usize::try_from(cluster.spec.managers.count).unwrap_or(1);
    let kept = candidates.iter().filter(|c| c.rank <= STAYS).count();
    let unknown = unknown_managers(cluster, hosts, nodes);
    spread(
        candidates,
        count.saturating_sub(unknown).max(count.min(kept)),
    )
}

/// Counts the managers of a swarm that was taken over which no host has reported as its node: they may be nodes of hosts
/// that are offline, and nobody is promoted in their place.
fn unknown_managers(
    cluster: &SwarmCluster,
    hosts: &[Host<'_>],
    nodes: Option<&BTreeMap<String, Open<NodeStatus>>>,
) -> usize {
    let adopts = cluster.spec.adopt_cluster_id.is_some();
    let listed = nodes.into_iter().flatten().filter(|_| adopts);
    let known: BTreeSet<String> = hosts.iter().filter_map(Host::node).collect();
    let unknown = listed.filter(|(id, status)| {
        let is_manager = status.known().is_some_and(NodeStatus::is_manager);
        is_manager && !known.contains(*id)
    });
    unknown.count()
}

/// The greatest rank of hosts that are managers already.
const STAYS: u8 = 3;

/// A host that may be a manager.
struct Candidate<'a> {
    /// The lowest are chosen first.
    rank: u8,
    /// The value of the label by which managers are spread.
    place: Option<&'a str>,
    name: &'a str,
}

/// Chooses this many candidates. Among those of one rank, a place with fewer managers goes first.
fn spread(mut candidates: Vec<Candidate<'_>>, count: usize) -> BTreeSet<&str> {
    let mut chosen = BTreeSet::new();
    let mut managers_at: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..count {
        let cost = |c: &Candidate<'_>| {
            let here = c.place.and_then(|place| managers_at.get(place));
            (c.rank, here.copied().unwrap_or_default())
        };
        let by_cost = candidates.iter().enumerate();
        let next = by_cost.min_by_key(|(_, c)| (cost(c), c.name));
        let Some(next) = next.map(|(i, _)| i) else {
            break;
        };
        let candidate = candidates.swap_remove(next);
        if let Some(place) = candidate.place {
            *managers_at.entry(place).or_default() += 1;
        }
        chosen.insert(candidate.name);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(count: usize, candidates: &[(u8, &'static str, &'static str)]) -> Vec<&'static str> {
        let candidates = candidates.iter().map(|(rank, place, name)| Candidate {
            rank: *rank,
            place: Some(*place).filter(|p| !p.is_empty()),
            name,
        });
        spread(candidates.collect(), count).into_iter().collect()
    }

    #[test]
    fn managers_are_in_as_many_places_as_possible() {
        let hosts = [
            (4, "r1", "h1"),
            (4, "r1", "h2"),
            (4, "r2", "h3"),
            (4, "r2", "h4"),
            (4, "r3", "h5"),
        ];
        assert_eq!(chosen(3, &hosts), ["h1", "h3", "h5"]);
        assert_eq!(chosen(5, &hosts).len(), 5);
    }

    #[test]
    fn hosts_that_are_managers_stay_managers_wherever_they_are() {
        let hosts = [
            (0, "r1", "h1"),
            (2, "r1", "h2"),
            (4, "r1", "h3"),
            (4, "r2", "h4"),
        ];
        assert_eq!(chosen(3, &hosts), ["h1", "h2", "h4"]);
    }

    #[test]
    fn without_places_the_names_decide() {
        assert_eq!(chosen(1, &[(4, "", "h2"), (4, "", "h1")]), ["h1"]);
        assert_eq!(chosen(7, &[(4, "", "h1")]), ["h1"]);
    }
}
