//! What people hear of a swarm, as events: the changes from its recorded state to the next one.
//!
//! The API server stores the recorded state, so each change is an event once. Hosts that change in the same way at
//! the same time are one event, however many they are.

use std::collections::BTreeMap;

use dockfleet_crds::SwarmCluster;
use dockfleet_crds::swarm::{Member, MemberState, Quorum, SwarmState};

use super::preflight;
use crate::resource::StatusEvent;

/// How many hosts an event or a warning names.
pub(super) const NAMED: usize = 3;

/// What happened to hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Joined,
    Promoted,
    Demoted,
    Lost,
    Back,
    Left,
    Removed,
    Released,
}

impl Change {
    /// Returns the event, for one host or for several.
    fn event(self, hosts: &[&str]) -> StatusEvent {
        let (reason, one, many) = match self {
            Self::Joined => ("HostsJoined", "joined the swarm", "joined the swarm"),
            Self::Promoted => ("HostsPromoted", "became a manager", "became managers"),
            Self::Demoted => ("HostsDemoted", "became a worker", "became workers"),
            Self::Lost => (
                "HostsUnreachable",
                "cannot be reached by the managers of the swarm",
                "cannot be reached by the managers of the swarm",
            ),
            Self::Back => (
                "HostsReachable",
                "can be reached by the managers of the swarm again",
                "can be reached by the managers of the swarm again",
            ),
            Self::Left => ("HostsLeft", "left the swarm", "left the swarm"),
            Self::Removed => (
                "HostsRemoved",
                "is no longer a member; its node is removed from the swarm when it is down",
                "are no longer members; their nodes are removed from the swarm when they are down",
            ),
            Self::Released => (
                "HostsReleased",
                "is no longer a member; its node stays in the swarm",
                "are no longer members; their nodes stay in the swarm",
            ),
        };
        let message = match hosts {
            [host] => format!("host {host} {one}"),
            _ => format!("{} {many}", several(hosts)),
        };
        match self {
            Self::Lost => StatusEvent::warning(reason, message),
            _ => StatusEvent::normal(reason, message),
        }
    }
}

/// Returns the number of hosts with the first names.
fn several(hosts: &[&str]) -> String {
    format!("{} hosts ({})", hosts.len(), first(hosts))
}

/// Returns the first names, and how many more there are.
pub(super) fn first(hosts: &[&str]) -> String {
    let named: Vec<&str> = hosts.iter().take(NAMED).copied().collect();
    match hosts.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Returns the events for the changes from the recorded state of a swarm to the next one.
pub(super) fn events(
    cluster: &SwarmCluster,
    before: &SwarmState,
    now: &SwarmState,
) -> Vec<StatusEvent> {
    let mut all: Vec<StatusEvent> = creation(cluster, before, now).into_iter().collect();
    all.extend(quorum(before, now));
    all.extend(recovery(before, now));
    all.extend(preflight(before, now));
    let mut changed: BTreeMap<Change, Vec<&str>> = BTreeMap::new();
    for (host, change) in changes(before, now) {
        changed.entry(change).or_default().push(host);
    }
    all.extend(changed.iter().map(|(change, hosts)| change.event(hosts)));
    all
}

/// Returns the event for a step towards the creation of the swarm, or for a swarm that existed before.
fn creation(cluster: &SwarmCluster, before: &SwarmState, now: &SwarmState) -> Option<StatusEvent> {
    if let (None, Some(id)) = (&before.cluster_id, &now.cluster_id) {
        return Some(match &now.bootstrap {
            Some(bootstrap) => StatusEvent::normal(
                "SwarmCreated",
                format!("host {} created swarm {id}", bootstrap.host),
            ),
            None if cluster.spec.adopt_cluster_id.as_ref() == Some(id) => StatusEvent::normal(
                "SwarmAdopted",
                format!("swarm {id} is taken over, as adoptClusterID says"),
            ),
            // The record was lost.
            None => StatusEvent::normal(
                "SwarmFound",
                format!("swarm {id}, which was created for this resource before, was found"),
            ),
        });
    }
    let chosen = now.bootstrap.as_ref()?;
    let message = match &before.bootstrap {
        Some(same) if same.attempt == chosen.attempt => return None,
        Some(other) => format!(
            "host {} was chosen to create the swarm instead of host {}",
            chosen.host, other.host
        ),
        None => format!("host {} was chosen to create the swarm", chosen.host),
    };
    Some(StatusEvent::normal("HostChosen", message))
}

/// Returns the event for hosts that do not join, if others or for another reason than before.
fn preflight(before: &SwarmState, now: &SwarmState) -> Option<StatusEvent> {
    let why = preflight::warning(now)?;
    let is_known = preflight::warning(before).as_ref() == Some(&why);
    (!is_known).then(|| StatusEvent::warning("PreflightFailed", why))
}

/// Returns the event for a quorum that is lost, or back.
fn quorum(before: &SwarmState, now: &SwarmState) -> Option<StatusEvent> {
    let was = before.quorum.as_ref()?.known()?;
    let is = now.quorum.as_ref()?.known()?;
    match (was, is) {
        (Quorum::Lost | Quorum::Unknown, Quorum::Available) => Some(StatusEvent::normal(
            "QuorumAvailable",
            "the managers of the swarm have their quorum again",
        )),
        (Quorum::Available | Quorum::Unknown, Quorum::Lost) => Some(StatusEvent::warning(
            "QuorumLost",
            "the managers of the swarm have lost their quorum, so the swarm cannot be changed; running containers \
             go on",
        )),
        (Quorum::Available | Quorum::Lost, Quorum::Unknown) => Some(StatusEvent::warning(
            "QuorumUnknown",
            "no manager of the swarm can be asked, so it is not known whether they have their quorum",
        )),
        (Quorum::Available, Quorum::Available)
        | (Quorum::Lost, Quorum::Lost)
        | (Quorum::Unknown, Quorum::Unknown) => None,
    }
}

/// Returns the event for a recovery from a lost quorum: it is permitted, or done.
fn recovery(before: &SwarmState, now: &SwarmState) -> Option<StatusEvent> {
    let recovery = now.recovery.as_ref()?;
    let known = before.recovery.as_ref();
    let known = known.filter(|r| r.permission == recovery.permission);
    match known {
        None => Some(StatusEvent::warning(
            "RecoveryPermitted",
            format!(
                "the swarm goes on with host {} as its only manager, as the annotation permits",
                recovery.host
            ),
        )),
        Some(known) if recovery.done && !known.done => Some(StatusEvent::normal(
            "RecoveryDone",
            format!("host {} has formed the swarm anew", recovery.host),
        )),
        Some(_) => None,
    }
}

/// Returns the changes of hosts, in their order.
fn changes<'a>(before: &'a SwarmState, now: &'a SwarmState) -> Vec<(&'a str, Change)> {
    let old: BTreeMap<&str, &Member> = members(before);
    let new: BTreeMap<&str, &Member> = members(now);
    // The host that creates the swarm is in it before any other, and does not join.
    let creator = now.bootstrap.as_ref().map(|b| b.host.as_str());
    let creator = creator.filter(|_| !before.members.iter().any(is_node));
    let mut all = Vec::new();
    for member in &now.members {
        let was = old.get(member.host.as_str()).copied();
        let same = was.filter(|m| is_node(m) && m.node_id == member.node_id);
        let change = match same {
            Some(was) => change(was, member),
            None => joins(before, member, creator).then_some(Change::Joined),
        };
        all.extend(change.map(|change| (member.host.as_str(), change)));
    }
    for member in before.members.iter().filter(|m| is_node(m)) {
        if !new.contains_key(member.host.as_str()) {
            all.push((member.host.as_str(), end(member, now)));
        }
    }
    all
}

fn members(state: &SwarmState) -> BTreeMap<&str, &Member> {
    let members = state.members.iter();
    members.map(|m| (m.host.as_str(), m)).collect()
}

/// Whether a host is a node of the swarm. A state of a newer version counts as one: what is not known has not
/// changed.
fn is_node(member: &Member) -> bool {
    match member.state.known() {
        Some(MemberState::Absent | MemberState::Joining | MemberState::Foreign) => false,
        Some(
            MemberState::Worker
            | MemberState::Manager
            | MemberState::Leader
            | MemberState::Unreachable
            | MemberState::Leaving,
        )
        | None => member.node_id.is_some(),
    }
}

/// Whether a host has joined that was no node of the swarm before.
fn joins(before: &SwarmState, member: &Member, creator: Option<&str>) -> bool {
    let listed = is_node(member) && member.state != MemberState::Leaving;
    // A node that was to be removed may be the node of its host again.
    let returns = member.node_id.as_ref();
    let returns = returns.is_some_and(|id| before.removed_nodes.contains(id));
    listed && !returns && creator != Some(member.host.as_str())
}

/// Returns the change of a host that was and is the same node.
fn change(was: &Member, is: &Member) -> Option<Change> {
    use MemberState::{Leader, Manager, Unreachable, Worker};
    match (was.state.known()?, is.state.known()?) {
        (Worker, Manager | Leader) => Some(Change::Promoted),
        (Manager | Leader, Worker) => Some(Change::Demoted),
        (Worker | Manager | Leader, Unreachable) => Some(Change::Lost),
        (Unreachable, Worker | Manager | Leader) => Some(Change::Back),
        _ => None,
    }
}

/// Returns what happened to a host that was a node and is no member any more.
fn end(was: &Member, now: &SwarmState) -> Change {
    let is_removed = was.node_id.as_ref();
    let is_removed = is_removed.is_some_and(|id| now.removed_nodes.contains(id));
    if was.state == MemberState::Leaving {
        Change::Left
    } else if is_removed {
        Change::Removed
    } else {
        Change::Released
    }
}

#[cfg(test)]
mod tests;
