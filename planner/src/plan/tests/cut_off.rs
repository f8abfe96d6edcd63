//! An agent that has not heard of its API server for a long time leaves to the writer what only one host may do.

use dockfleet_crds::swarm::NodeRole;

use super::*;
use crate::kinds::swarm::{
    DesiredMembership, DesiredNode, Init, MEMBERSHIP, Node, NodeStatus, ObservedMembership, Start,
    Writer,
};

const CUT_OFF: PlanContext<'static> = PlanContext {
    is_cut_off: true,
    ..CONTEXT
};

fn mesh() -> DesiredNetwork {
    DesiredNetwork {
        name: "mesh".to_owned(),
        driver: "overlay".to_owned(),
        ..lab(when_unused())
    }
}

/// An older revision of a network, as an engine shows it.
fn outdated(entry: &Entry) -> ObservedNetwork {
    let mut network = differing(observed_network(entry, "n1"));
    let older = "older".to_owned();
    network.labels.insert(labels::REVISION.to_owned(), older);
    network
}

fn membership(desired: DesiredMembership) -> Entry {
    let name = MEMBERSHIP.to_owned();
    let (spec, revision) = payload(&DesiredMembership { name, ..desired }, None);
    Entry {
        uid: "s1".to_owned(),
        kind: Kind::SwarmCluster.into(),
        revision,
        spec,
        ..Entry::default()
    }
}

/// Plans the only entry on a host with this membership.
fn plan_member(entry: &Entry, seen: &[ObservedMembership], context: &PlanContext<'_>) -> Planned {
    let mut observed = ObservedState::default();
    let seen = seen.iter().cloned().map(Object::from);
    observed.insert(Kind::SwarmCluster, seen.collect());
    let entries = std::slice::from_ref(entry);
    plan(entries, &observed, &Records::new(), context).remove(0)
}

fn waits(entry: &Entry, id: Option<&str>) -> Planned {
    let message = "waits for the API server: another host may change the swarm now";
    let (state, reason) = (EntryState::Pending, Some(Reason::Progressing));
    only_reports(EntryStatus {
        id: id.map(str::to_owned),
        ..entry_status(entry, state, reason, message)
    })
}

#[test]
fn an_overlay_network_is_not_created_replaced_or_removed() {
    let e = net("u1", &mesh());
    let owned = || record(&e, Stage::Owned, Some("n1"));
    let grave = tombstone_of(&e, DeletionPolicy::Delete, Some("n1"));
    let scenes = [
        (Scene::of(&e), &e, None, Operation::Create),
        // Somebody else has removed it, perhaps because it is to be removed.
        (
            Scene::of(&e).with_record(owned()),
            &e,
            None,
            Operation::Create,
        ),
        (
            Scene::of(&e).with_record(owned()).with(outdated(&e)),
            &e,
            Some("n1"),
            Operation::Replace,
        ),
        (
            Scene::of(&grave)
                .with_record(owned())
                .with(observed_network(&e, "n1")),
            &grave,
            Some("n1"),
            Operation::Remove,
        ),
    ];
    for (scene, entry, id, operation) in scenes {
        assert_eq!(scene.one().operation(), Some(operation));
        assert_eq!(scene.plan_with(&CUT_OFF), [waits(entry, id)]);
    }
}

#[test]
fn objects_of_the_host_are_kept_as_they_must_be() {
    let (network, volume) = (
        net("u1", &lab(kept_policy())),
        vol("u2", &data(kept_policy())),
    );
    let scene = Scene::of(&network).and(&volume);
    assert_eq!(scene.plan_with(&CUT_OFF), scene.plan());
    let there = net("u3", &mesh());
    let scene = Scene::of(&there)
        .with_record(record(&there, Stage::Owned, Some("n1")))
        .with(observed_network(&there, "n1"));
    assert_eq!(scene.plan_with(&CUT_OFF)[0].status.state, EntryState::Ready);
}

#[test]
fn the_nodes_of_a_swarm_are_not_changed() {
    let node = |id: &str, status| Node {
        id: id.to_owned(),
        status,
        ..Node::default()
    };
    let seen = ObservedMembership {
        node: "m0".to_owned(),
        cluster: Some("c".to_owned()),
        nodes: vec![
            node("m0", NodeStatus::Leader),
            node("w1", NodeStatus::Worker),
        ],
        ..ObservedMembership::default()
    };
    let promoted = DesiredNode {
        role: NodeRole::Manager.into(),
        ..DesiredNode::default()
    };
    let desired = DesiredMembership {
        cluster: Some("c".to_owned()),
        writer: Some(Writer {
            nodes: [("w1".to_owned(), promoted)].into(),
            ..Writer::default()
        }),
        ..DesiredMembership::default()
    };
    let e = Entry {
        id: Some("m0".to_owned()),
        ..membership(desired.clone())
    };
    let seen = [seen];
    let planned = plan_member(&e, &seen, &CONTEXT);
    assert_eq!(planned.operation(), Some(Operation::Update));
    let held = plan_member(&e, &seen, &CUT_OFF);
    let detail = planned.status.detail;
    assert!(detail.is_some());
    let mut expected = waits(&e, Some("m0"));
    expected.status.detail = detail;
    assert_eq!(held, expected);
    // What it is told to do with its own membership, it does.
    let leaves = Entry {
        id: Some("m0".to_owned()),
        ..membership(DesiredMembership {
            given_up: Some("m0".to_owned()),
            ..desired
        })
    };
    let planned = plan_member(&leaves, &seen, &CUT_OFF);
    assert_eq!(planned.operation(), Some(Operation::Update));
}

#[test]
fn i14_no_swarm_is_created() {
    let start = Start::Init(Init {
        attempt: "first".to_owned(),
        ..Init::default()
    });
    let e = membership(DesiredMembership {
        start: Some(start),
        ..DesiredMembership::default()
    });
    let planned = plan_member(&e, &[], &CONTEXT);
    assert_eq!(planned.operation(), Some(Operation::Create));
    assert_eq!(plan_member(&e, &[], &CUT_OFF), waits(&e, None));
}
