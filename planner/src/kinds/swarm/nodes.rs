//! The nodes of a swarm: what differs from how they must be, and the one change that is safe next.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dockfleet_crds::swarm::NodeRole;
use dockfleet_crds::{FieldDiff, Reason};

use super::{
    DesiredMembership, DesiredNode, LostAddress, Node, NodeSettings, NodeStatus,
    ObservedMembership, SwarmSettings, Writer,
};
use crate::kinds::Update;

/// The field with the ID of the swarm.
pub(super) const CLUSTER_ID: &str = "clusterID";
/// The message of a manager without a majority.
const NO_QUORUM: &str = "the managers of the swarm have lost their quorum: this one does not reach more than half of them; \
                         start the others again";
/// How many nodes get their labels and availability in one step.
const AT_ONCE: usize = 50;

/// One change of a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwarmChange {
    /// Give a node a role.
    SetRole {
        /// ID of the node.
        node: String,
        /// The role.
        role: NodeRole,
    },
    /// Change settings of the swarm: those that are set.
    SetSwarm(SwarmSettings),
    /// Set the availability and labels of nodes.
    SetNodes(Vec<NodeSettings>),
    /// Remove a node that is down.
    Remove {
        /// ID of the node.
        node: String,
    },
    /// Go on with this manager alone.
    ForceNewCluster {
        /// Address or interface for the traffic between containers, if the user set it.
        data_path_address: Option<String>,
    },
    /// Leave the swarm by force, because the swarm has gone on without this manager.
    LeaveByForce,
}

impl SwarmChange {
    /// Whether it changes more than the host's own membership.
    pub(super) fn is_writer_work(&self) -> bool {
        match self {
            Self::SetRole { .. }
            | Self::SetSwarm(_)
            | Self::SetNodes(_)
            | Self::Remove { .. }
            | Self::ForceNewCluster { .. } => true,
            Self::LeaveByForce => false,
        }
    }
}

fn role(status: NodeStatus) -> NodeRole {
    if status.is_manager() {
        NodeRole::Manager
    } else {
        NodeRole::Worker
    }
}

/// Returns the differences: the ID of the swarm, and for its writer the nodes.
pub(super) fn diff(want: &DesiredMembership, have: &ObservedMembership) -> Vec<FieldDiff> {
    let mut all = Vec::new();
    if let (Some(wanted), Some(had)) = (&want.cluster, &have.cluster)
        && wanted != had
    {
        all.push(FieldDiff {
            field: CLUSTER_ID.to_owned(),
            want: wanted.clone(),
            have: had.clone(),
        });
    }
    if have.lacks_quorum {
        all.push(FieldDiff {
            field: "quorum".to_owned(),
            want: "available".to_owned(),
            have: "lost".to_owned(),
        });
    }
    if let Some(why) = &have.unsettled {
        all.push(FieldDiff {
            field: "state".to_owned(),
            want: "active".to_owned(),
            have: why.clone(),
        });
    }
    if let Some(lost) = lost_address(want, have) {
        all.push(FieldDiff {
            field: "address".to_owned(),
            want: lost.address.to_string(),
            have: list(&lost.now),
        });
    }
    if want.given_up.as_ref() == Some(&have.node) {
        all.push(FieldDiff {
            field: "nodeID".to_owned(),
            want: "another node".to_owned(),
            have: have.node.clone(),
        });
    }
    let Some(writer) = &want.writer else {
        return all;
    };
    let settings = writer.settings.other_than(&have.settings);
    all.extend(settings.differences(&have.settings));
    for (node, want, had) in other_roles(writer, &have.nodes) {
        all.push(FieldDiff {
            field: format!("nodes[{}].role", node.id),
            want: <&str>::from(want).to_owned(),
            have: <&str>::from(had).to_owned(),
        });
    }
    for (settings, node) in other_settings(writer, &have.nodes) {
        all.extend(settings.differences(node));
    }
    for node in left(writer, &have.nodes) {
        all.push(FieldDiff {
            field: format!("nodes[{}]", node.id),
            want: "removed".to_owned(),
            have: <&str>::from(node.status).to_owned(),
        });
    }
    all
}

/// Returns the nodes with another role than they must have, with both roles, by ID.
fn other_roles<'a>(
    writer: &'a Writer,
    nodes: &'a [Node],
) -> impl Iterator<Item = (&'a Node, NodeRole, NodeRole)> {
    listed(writer, nodes).filter_map(|(want, node)| {
        let (want, have) = (want.role.known()?, role(node.status));
        (want != have).then_some((node, want, have))
    })
}

/// Returns the nodes of the writer that are listed, by ID.
fn listed<'a>(
    writer: &'a Writer,
    nodes: &'a [Node],
) -> impl Iterator<Item = (&'a DesiredNode, &'a Node)> {
    let by_id: BTreeMap<&str, &Node> = nodes.iter().map(|n| (n.id.as_str(), n)).collect();
    let all = writer.nodes.iter();
    all.filter_map(move |(id, want)| Some((want, *by_id.get(id.as_str())?)))
}

/// Returns the nodes with another availability or other labels than they must have, by ID.
fn other_settings<'a>(
    writer: &'a Writer,
    nodes: &'a [Node],
) -> impl Iterator<Item = (NodeSettings, &'a Node)> {
    let all = listed(writer, nodes).map(|(want, node)| (NodeSettings::of(want, node), node));
    all.filter(|(settings, _)| !settings.is_empty())
}

/// Returns the nodes that must be removed and are still listed.
fn left<'a>(writer: &'a Writer, nodes: &'a [Node]) -> impl Iterator<Item = &'a Node> {
    nodes.iter().filter(|n| writer.removed.contains(&n.id))
}

/// Returns the next change. There is one at a time, so that each sees the result of the one before it, and none
/// that would leave the managers without a majority.
///
/// A swarm of `n` managers works as long as more than half of them reach each other. So a manager that must go
/// is demoted before another one is promoted: with three managers of which one is dead, a fourth would make
/// four that need three.
pub(super) fn next_change(
    want: &DesiredMembership,
    have: &ObservedMembership,
) -> Update<SwarmChange> {
    if want.given_up.as_ref() == Some(&have.node) {
        return Update::Change(SwarmChange::LeaveByForce);
    }
    if have.lacks_quorum {
        return if want.goes_on_alone {
            let data_path_address = want.data_path_address.clone();
            Update::Change(SwarmChange::ForceNewCluster { data_path_address })
        } else {
            Update::Waits(Reason::NoQuorum, NO_QUORUM.to_owned())
        };
    }
    if let Some(why) = &have.unsettled {
        return Update::Waits(Reason::EngineUnreachable, why.clone());
    }
    let Some(writer) = &want.writer else {
        return address_changed(want, have).unwrap_or(Update::Impossible);
    };
    if want.cluster != have.cluster {
        return Update::Impossible;
    }
    let waits = |why: String| Update::Waits(Reason::Progressing, why);
    let nodes = &have.nodes;
    let set = |node: &Node, role: NodeRole| {
        let id = &node.id;
        if node.role == role {
            let role = <&str>::from(role).to_lowercase();
            return waits(format!("waits until node {id} is a {role}"));
        }
        let node = id.clone();
        Update::Change(SwarmChange::SetRole { node, role })
    };
    let removable = |n: &&Node| n.status == NodeStatus::DownWorker;
    if let Some(node) = left(writer, nodes).find(removable) {
        let node = node.id.clone();
        return Update::Change(SwarmChange::Remove { node });
    }
    let settings = writer.settings.other_than(&have.settings);
    if !settings.is_empty() {
        return Update::Change(SwarmChange::SetSwarm(settings));
    }
    let settings: Vec<NodeSettings> = other_settings(writer, nodes)
        .map(|(settings, _)| settings)
        .take(AT_ONCE)
        .collect();
    if !settings.is_empty() {
        return Update::Change(SwarmChange::SetNodes(settings));
    }
    let demoted: Vec<&Node> = other_roles(writer, nodes)
        .filter(|(_, want, _)| *want == NodeRole::Worker)
        .map(|(node, ..)| node)
        .chain(left(writer, nodes).filter(|n| n.status.is_manager()))
        .collect();
    if let Some(node) = demoted.iter().find(|n| !n.status.is_reachable()) {
        return if keeps_majority(nodes, node) {
            set(node, NodeRole::Worker)
        } else {
            waits(no_majority(nodes))
        };
    }
    let mut promoted = other_roles(writer, nodes)
        .filter(|(node, want, _)| *want == NodeRole::Manager && node.status.is_reachable());
    let unreachable = nodes
        .iter()
        .find(|n| n.status == NodeStatus::UnreachableManager);
    match (promoted.next(), unreachable) {
        (Some((node, ..)), None) => return set(node, NodeRole::Manager),
        (Some(_), Some(manager)) => {
            return waits(format!(
                "no other node becomes a manager while manager {} cannot be reached",
                manager.id
            ));
        }
        (None, _) => {}
    }
    // The node of the writer is the last one: after it, another writer goes on.
    let own = |n: &&&Node| n.id == have.node;
    let next = demoted.iter().find(|n| !own(n)).or_else(|| demoted.first());
    match next {
        Some(node) if keeps_majority(nodes, node) => set(node, NodeRole::Worker),
        Some(_) => waits(no_majority(nodes)),
        None => address_changed(want, have).unwrap_or_else(|| {
            waits("waits until nodes of the swarm are down or reachable".to_owned())
        }),
    }
}

/// Returns the address that a host has lost. An address that the user wrote may be one that a router translates.
fn lost_address<'a>(
    want: &DesiredMembership,
    have: &'a ObservedMembership,
) -> Option<&'a LostAddress> {
    let lost = have.lost_address.as_ref()?;
    let given = want.advertise_address.as_deref();
    let is_given = given.and_then(|a| a.parse().ok()) == Some(lost.address);
    (!is_given).then_some(lost)
}

/// Returns what is told about a host without the address by which the other nodes know it. Nothing is done: the host
/// would have to leave the swarm.
fn address_changed(
    want: &DesiredMembership,
    have: &ObservedMembership,
) -> Option<Update<SwarmChange>> {
    let lost = lost_address(want, have)?;
    Some(Update::Waits(
        Reason::AddressChanged,
        format!(
            "the other hosts reach this one at {}, and it has {} now; give it this address again, or let it leave the \
             swarm and join again",
            lost.address,
            list(&lost.now)
        ),
    ))
}

fn list(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "no address".to_owned();
    }
    let all: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    all.join(", ")
}

/// Whether the managers keep a majority without this one.
fn keeps_majority(nodes: &[Node], without: &Node) -> bool {
    let others = nodes
        .iter()
        .filter(|n| n.status.is_manager() && n.id != without.id);
    let (all, reachable) = others.fold((0, 0), |(all, reachable), n| {
        (all + 1, reachable + usize::from(n.status.is_reachable()))
    });
    reachable > all / 2
}

fn no_majority(nodes: &[Node]) -> String {
    let managers = nodes.iter().filter(|n| n.status.is_manager());
    let reachable = managers.clone().filter(|n| n.status.is_reachable()).count();
    format!(
        "no manager is demoted: {reachable} of {} managers can be reached, and the others would have no \
         majority",
        managers.count()
    )
}

#[cfg(test)]
mod tests;
