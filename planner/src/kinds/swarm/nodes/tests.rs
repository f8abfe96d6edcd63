use dockfleet_crds::swarm::NodeRole::{Manager, Worker};

use dockfleet_crds::swarm::Availability;

use super::*;

fn node(id: &str, status: NodeStatus) -> Node {
    Node {
        id: id.to_owned(),
        status,
        role: role(status),
        ..Node::default()
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
            nodes: roles
                .iter()
                .map(|(id, role)| {
                    let role = (*role).into();
                    let node = DesiredNode {
                        role,
                        ..DesiredNode::default()
                    };
                    ((*id).to_owned(), node)
                })
                .collect(),
            removed: removed.iter().map(|id| (*id).to_owned()).collect(),
            ..Writer::default()
        }),
        ..DesiredMembership::default()
    }
}

fn set(node: &str, role: NodeRole) -> Update<SwarmChange> {
    let node = node.to_owned();
    Update::Change(SwarmChange::SetRole { node, role })
}

fn waits(update: &Update<SwarmChange>) -> bool {
    matches!(update, Update::Waits(Reason::Progressing, _))
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
fn a_changed_address_is_told_after_everything_else_is_done() {
    let with = |given: Option<&str>| {
        let mut have = seen(&[("w1", NodeStatus::Worker)]);
        have.lost_address = Some(LostAddress {
            address: "10.0.0.1".parse().unwrap(),
            now: ["10.0.0.9", "10.1.0.9"].map(|a| a.parse().unwrap()).into(),
        });
        let mut want = want(&[("m0", Manager), ("w1", Worker)], &[]);
        want.advertise_address = given.map(str::to_owned);
        (want, have)
    };
    // A router translates it.
    let (wanted, have) = with(Some("10.0.0.1"));
    assert_eq!(diff(&wanted, &have), []);
    for given in [None, Some("eth0"), Some("10.0.0.2")] {
        let (mut want, have) = with(given);
        let differs = diff(&want, &have);
        assert_eq!(differs[0].field, "address");
        assert_eq!(differs[0].have, "10.0.0.9, 10.1.0.9");
        let told = |update: &Update<SwarmChange>| matches!(update, Update::Waits(Reason::AddressChanged, why) if why.contains("10.0.0.9"));
        assert!(told(&next_change(&want, &have)), "{given:?}");
        // The writer goes on with the other hosts.
        if let Some(writer) = &mut want.writer {
            writer.nodes.insert(
                "w1".to_owned(),
                DesiredNode {
                    role: Manager.into(),
                    ..DesiredNode::default()
                },
            );
        }
        assert_eq!(next_change(&want, &have), set("w1", Manager));
        want.writer = None;
        assert!(told(&next_change(&want, &have)), "{given:?}");
    }
}

#[test]
fn a_role_that_was_given_is_waited_for() {
    let mut have = seen(&[("w1", NodeStatus::Worker), ("w2", NodeStatus::Worker)]);
    have.nodes[1].role = Manager;
    let want = want(&[("m0", Manager), ("w1", Manager), ("w2", Manager)], &[]);
    assert!(waits(&next_change(&want, &have)));
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
fn a_node_that_cannot_be_reached_becomes_no_manager_and_holds_up_no_other() {
    let have = seen(&[("w1", NodeStatus::DownWorker), ("w2", NodeStatus::Worker)]);
    let both = want(&[("m0", Manager), ("w1", Manager), ("w2", Manager)], &[]);
    assert_eq!(next_change(&both, &have), set("w2", Manager));
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
    assert_eq!(gone, Update::Change(SwarmChange::Remove { node }));
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

#[test]
fn a_manager_without_a_majority_only_waits() {
    let alone = ObservedMembership {
        node: "m0".to_owned(),
        lacks_quorum: true,
        ..ObservedMembership::default()
    };
    let mut want = want(&[("w1", Manager)], &["x"]);
    assert_eq!(diff(&want, &alone).len(), 1);
    let change = next_change(&want, &alone);
    assert!(matches!(change, Update::Waits(Reason::NoQuorum, _)));
    // It goes on alone only by permission.
    want.goes_on_alone = true;
    want.data_path_address = Some("eth1".to_owned());
    let change = next_change(&want, &alone);
    assert_eq!(
        change,
        Update::Change(SwarmChange::ForceNewCluster {
            data_path_address: Some("eth1".to_owned())
        })
    );
    // The permission is for a lost majority only.
    let reached = seen(&[("w1", NodeStatus::Worker)]);
    assert_eq!(next_change(&want, &reached), set("w1", Manager));
}

#[test]
fn a_manager_that_was_given_up_leaves_as_that_node_only() {
    let mut want = want(&[], &[]);
    want.given_up = Some("m0".to_owned());
    let have = seen(&[]);
    assert_eq!(diff(&want, &have).len(), 1);
    let leaves = Update::Change(SwarmChange::LeaveByForce);
    assert_eq!(next_change(&want, &have), leaves);
    want.given_up = Some("other".to_owned());
    assert_eq!(diff(&want, &have), []);
}

#[test]
fn a_node_that_leaves_is_drained_before_it_is_demoted() {
    let have = seen(&[("m1", NodeStatus::Manager), ("m2", NodeStatus::Manager)]);
    let mut want = want(&[("m0", Manager), ("m1", Manager), ("m2", Worker)], &[]);
    for (id, node) in &mut want.writer.as_mut().unwrap().nodes {
        node.leaves = id == "m2";
    }
    let Update::Change(SwarmChange::SetNodes(settings)) = next_change(&want, &have) else {
        panic!("not drained first");
    };
    assert_eq!(settings.len(), 1);
    assert_eq!(settings[0].availability, Some(Availability::Drain));
}

#[test]
fn settings_of_the_swarm_are_changed_only_if_they_are_set_and_differ() {
    let mut have = seen(&[]);
    have.settings = SwarmSettings {
        auto_lock: Some(false),
        certificate_expiry_hours: Some(2160),
        token_epoch: None,
    };
    let mut want = want(&[], &[]);
    assert_eq!(diff(&want, &have), []);
    let settings = SwarmSettings {
        auto_lock: Some(true),
        certificate_expiry_hours: Some(2160),
        token_epoch: Some(1),
    };
    want.writer.as_mut().unwrap().settings = settings.clone();
    let differences: Vec<String> = diff(&want, &have).into_iter().map(|d| d.field).collect();
    assert_eq!(differences, ["autoLock", "tokenEpoch"]);
    let changed = SwarmSettings {
        certificate_expiry_hours: None,
        ..settings.clone()
    };
    let change = next_change(&want, &have);
    assert_eq!(change, Update::Change(SwarmChange::SetSwarm(changed)));
    have.settings = settings;
    assert_eq!(diff(&want, &have), []);
}

#[test]
fn a_node_that_does_not_reach_its_swarm_is_a_node_and_waits() {
    let pending = ObservedMembership {
        node: "w1".to_owned(),
        unsettled: Some("the node is in state pending".to_owned()),
        ..ObservedMembership::default()
    };
    let want = DesiredMembership {
        cluster: Some("c".to_owned()),
        ..DesiredMembership::default()
    };
    assert_eq!(diff(&want, &pending).len(), 1);
    let change = next_change(&want, &pending);
    assert!(matches!(
        change,
        Update::Waits(Reason::EngineUnreachable, _)
    ));
}

#[test]
fn a_host_that_is_not_a_manager_now_says_so() {
    use crate::kinds::DesiredObject as _;

    let have = ObservedMembership {
        node: "m0".to_owned(),
        ..ObservedMembership::default()
    };
    let mut want = want(&[("m0", Manager)], &[]);
    if let Some(writer) = &mut want.writer {
        writer.settings.token_epoch = Some(1);
    }
    let diff = diff(&want, &have);
    assert_eq!(diff.len(), 1);
    assert_eq!(next_change(&want, &have), Update::Impossible);
    let why = want.explain(&diff).unwrap();
    assert!(why.contains("not a manager of the swarm now"), "{why}");
    want.policy.suspend = true;
    assert_eq!(want.explain(&diff), None);
}
