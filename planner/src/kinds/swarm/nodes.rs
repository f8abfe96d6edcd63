//! The nodes of a swarm: what differs from the roles that they must have, and the one change that is safe next.

use std::collections::BTreeMap;

use dockfleet_crds::FieldDiff;
use dockfleet_crds::swarm::NodeRole;

use super::{DesiredMembership, Node, NodeStatus, ObservedMembership, Writer};
use crate::kinds::Update;

/// The field with the ID of the swarm.
pub(super) const CLUSTER_ID: &str = "clusterID";

/// One change of the nodes of a swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// Give a node a role.
    SetRole {
        /// ID of the node.
        node: String,
        /// The role.
        role: NodeRole,
    },
    /// Remove a node that is down.
    Remove {
        /// ID of the node.
        node: String,
    },
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
    let Some(writer) = &want.writer else {
        return all;
    };
    for (node, want, had) in other_roles(writer, &have.nodes) {
        all.push(FieldDiff {
            field: format!("nodes[{}].role", node.id),
            want: <&str>::from(want).to_owned(),
            have: <&str>::from(had).to_owned(),
        });
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
    let by_id: BTreeMap<&str, &Node> = nodes.iter().map(|n| (n.id.as_str(), n)).collect();
    writer.roles.iter().filter_map(move |(id, want)| {
        let node = *by_id.get(id.as_str())?;
        let (want, have) = (want.known()?, role(node.status));
        (want != have).then_some((node, want, have))
    })
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
) -> Update<NodeChange> {
    let Some(writer) = &want.writer else {
        return Update::Impossible;
    };
    if want.cluster != have.cluster {
        return Update::Impossible;
    }
    let nodes = &have.nodes;
    let set = |node: &Node, role| {
        let node = node.id.clone();
        Update::Change(NodeChange::SetRole { node, role })
    };
    let removable = |n: &&Node| n.status == NodeStatus::DownWorker;
    if let Some(node) = left(writer, nodes).find(removable) {
        let node = node.id.clone();
        return Update::Change(NodeChange::Remove { node });
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
            Update::Waits(no_majority(nodes))
        };
    }
    let promoted = other_roles(writer, nodes).find(|(_, want, _)| *want == NodeRole::Manager);
    let unreachable = nodes
        .iter()
        .find(|n| n.status == NodeStatus::UnreachableManager);
    match (promoted, unreachable) {
        (Some((node, ..)), None) if node.status.is_reachable() => {
            return set(node, NodeRole::Manager);
        }
        (Some(_), Some(manager)) => {
            return Update::Waits(format!(
                "no other node becomes a manager while manager {} cannot be reached",
                manager.id
            ));
        }
        (Some(_), None) | (None, _) => {}
    }
    // The node of the writer is the last one: after it, another writer goes on.
    let own = |n: &&&Node| n.id == have.node;
    let next = demoted.iter().find(|n| !own(n)).or_else(|| demoted.first());
    match next {
        Some(node) if keeps_majority(nodes, node) => set(node, NodeRole::Worker),
        Some(_) => Update::Waits(no_majority(nodes)),
        None => Update::Waits("waits until nodes of the swarm are down or reachable".to_owned()),
    }
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
