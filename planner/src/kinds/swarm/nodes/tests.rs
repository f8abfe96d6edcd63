use dockfleet_crds::swarm::NodeRole::{Manager, Worker};

use super::*;

fn node(id: &str, status: NodeStatus) -> Node {
    Node {
        id: id.to_owned(),
        status,
    }
}

/// A swarm of which `m0` is the leader and the writer.
fn seen(others: &[(&str, NodeStatus)]) -> ObservedMembership {
    let mut nodes = vec![node("m0", NodeStatus::Leader)];
    nodes.extend(others.iter().map(|(id, status)| node(id, *status)));
    ObservedMembership {
        node: "m0".to_owned(),
        cluster: Some("c".to_owned()),
        nodes,
        ..ObservedMembership::default()
    }
}

fn want(roles: &[(&str, NodeRole)], removed: &[&str]) -> DesiredMembership {
    DesiredMembership {
        cluster: Some("c".to_owned()),
        writer: Some(Writer {
            roles: roles
                .iter()
                .map(|(id, role)| ((*id).to_owned(), (*role).into()))
                .collect(),
            removed: removed.iter().map(|id| (*id).to_owned()).collect(),
            shares_token: false,
        }),
        ..DesiredMembership::default()
    }
}

fn set(node: &str, role: NodeRole) -> Update<NodeChange> {
    let node = node.to_owned();
    Update::Change(NodeChange::SetRole { node, role })
}

fn waits(update: &Update<NodeChange>) -> bool {
    matches!(update, Update::Waits(_))
}

#[test]
fn nodes_with_their_roles_do_not_differ() {
    let have = seen(&[("m1", NodeStatus::Manager), ("w1", NodeStatus::DownWorker)]);
    let want = want(
        &[("m0", Manager), ("m1", Manager), ("w1", Worker)],
        &["gone"],
    );
    assert_eq!(diff(&want, &have), []);
}

#[test]
fn one_node_becomes_a_manager_at_a_time() {
    let have = seen(&[("w1", NodeStatus::Worker), ("w2", NodeStatus::Worker)]);
    let want = want(&[("m0", Manager), ("w1", Manager), ("w2", Manager)], &[]);
    assert_eq!(diff(&want, &have).len(), 2);
    assert_eq!(next_change(&want, &have), set("w1", Manager));
}

#[test]
fn nobody_becomes_a_manager_while_a_manager_cannot_be_reached() {
    let have = seen(&[
        ("m1", NodeStatus::Manager),
        ("m2", NodeStatus::UnreachableManager),
        ("w1", NodeStatus::Worker),
    ]);
    let roles = [
        ("m0", Manager),
        ("m1", Manager),
        ("m2", Manager),
        ("w1", Manager),
    ];
    assert!(waits(&next_change(&want(&roles, &[]), &have)));
    // The one that is lost goes first.
    let roles = [
        ("m0", Manager),
        ("m1", Manager),
        ("m2", Worker),
        ("w1", Manager),
    ];
    assert_eq!(next_change(&want(&roles, &[]), &have), set("m2", Worker));
}

#[test]
fn a_node_that_cannot_be_reached_becomes_no_manager() {
    let have = seen(&[("w1", NodeStatus::DownWorker)]);
    let want = want(&[("m0", Manager), ("w1", Manager)], &[]);
    assert!(waits(&next_change(&want, &have)));
}

#[test]
fn the_managers_never_lose_their_majority() {
    // One of two would be left without the other, which cannot be reached.
    let have = seen(&[
        ("m1", NodeStatus::Manager),
        ("m2", NodeStatus::UnreachableManager),
    ]);
    let roles = [("m0", Manager), ("m1", Worker), ("m2", Manager)];
    assert!(waits(&next_change(&want(&roles, &[]), &have)));
    // Two of three go, one after the other.
    let have = seen(&[("m1", NodeStatus::Manager), ("m2", NodeStatus::Manager)]);
    let roles = [("m0", Manager), ("m1", Worker), ("m2", Worker)];
    assert_eq!(next_change(&want(&roles, &[]), &have), set("m1", Worker));
    // The last manager stays.
    let have = seen(&[]);
    assert!(waits(&next_change(&want(&[("m0", Worker)], &[]), &have)));
}

#[test]
fn the_writer_itself_is_the_last_to_be_demoted() {
    let have = seen(&[("m1", NodeStatus::Manager), ("m2", NodeStatus::Manager)]);
    let roles = [("m0", Worker), ("m1", Worker), ("m2", Manager)];
    assert_eq!(next_change(&want(&roles, &[]), &have), set("m1", Worker));
}

#[test]
fn a_node_is_removed_only_when_it_is_a_worker_that_is_down() {
    let removed = want(&[], &["x"]);
    let have = |status| seen(&[("m1", NodeStatus::Manager), ("x", status)]);
    assert!(waits(&next_change(&removed, &have(NodeStatus::Worker))));
    let gone = next_change(&removed, &have(NodeStatus::DownWorker));
    let node = "x".to_owned();
    assert_eq!(gone, Update::Change(NodeChange::Remove { node }));
    let lost = next_change(&removed, &have(NodeStatus::UnreachableManager));
    assert_eq!(lost, set("x", Worker));
}

#[test]
fn i3_another_swarm_is_not_changed() {
    let other = ObservedMembership {
        cluster: Some("other".to_owned()),
        ..seen(&[("w1", NodeStatus::Worker)])
    };
    let want = want(&[("w1", Manager)], &[]);
    assert_eq!(next_change(&want, &other), Update::Impossible);
    let worker = ObservedMembership {
        cluster: None,
        ..other
    };
    assert_eq!(next_change(&want, &worker), Update::Impossible);
}
