use dockfleet_crds::Open;
use dockfleet_crds::swarm::{Bootstrap, Recovery};

use super::events as events_of;
use super::*;

use MemberState::{Absent, Foreign, Joining, Leader, Leaving, Manager, Unreachable, Worker};

/// A swarm that `h1` created, with these hosts; the node of `h1` is `n1`.
fn swarm(members: &[(&str, MemberState)]) -> SwarmState {
    let members = members.iter();
    SwarmState {
        cluster_id: Some("c".to_owned()),
        bootstrap: Some(bootstrap("h1", "a1")),
        members: members.map(|(host, state)| member(host, *state)).collect(),
        ..SwarmState::default()
    }
}

fn bootstrap(host: &str, attempt: &str) -> Bootstrap {
    Bootstrap {
        host: host.to_owned(),
        attempt: attempt.to_owned(),
    }
}

fn member(host: &str, state: MemberState) -> Member {
    let has_node = !matches!(state, Absent | Joining | Foreign);
    Member {
        host: host.to_owned(),
        state: state.into(),
        node_id: has_node.then(|| host.replace('h', "n")),
        ..Member::default()
    }
}

/// The events of a swarm that is created.
fn events(before: &SwarmState, now: &SwarmState) -> Vec<StatusEvent> {
    events_of(&SwarmCluster::default(), before, now)
}

/// The events in the form that `kubectl describe` has, without their type.
fn said(before: &SwarmState, now: &SwarmState) -> Vec<String> {
    let all = events(before, now).into_iter();
    all.map(|e| format!("{}: {}", e.reason, e.message))
        .collect()
}

#[test]
fn the_host_that_creates_the_swarm_is_chosen_and_creates_it() {
    let none = SwarmState::default();
    let free = SwarmState {
        members: vec![member("h1", Absent), member("h2", Absent)],
        ..SwarmState::default()
    };
    assert_eq!(events(&none, &free), []);
    let chosen = SwarmState {
        bootstrap: Some(bootstrap("h1", "a1")),
        ..free.clone()
    };
    assert_eq!(
        events(&free, &chosen),
        [StatusEvent::normal(
            "HostChosen",
            "host h1 was chosen to create the swarm"
        )]
    );
    let created = swarm(&[("h1", Joining), ("h2", Joining)]);
    assert_eq!(
        events(&chosen, &created),
        [StatusEvent::normal(
            "SwarmCreated",
            "host h1 created swarm c"
        )]
    );
    // It is the first node, and has not joined.
    let leads = swarm(&[("h1", Leader), ("h2", Joining)]);
    assert_eq!(events(&created, &leads), []);
    assert_eq!(
        said(&chosen, &leads),
        ["SwarmCreated: host h1 created swarm c"]
    );
    let both = swarm(&[("h1", Leader), ("h2", Worker)]);
    assert_eq!(
        said(&leads, &both),
        ["HostsJoined: host h2 joined the swarm"]
    );
}

#[test]
fn another_host_that_is_permitted_to_create_the_swarm_is_an_event() {
    let first = SwarmState {
        bootstrap: Some(bootstrap("h1", "a1")),
        ..SwarmState::default()
    };
    let second = SwarmState {
        bootstrap: Some(bootstrap("h2", "a2")),
        ..SwarmState::default()
    };
    assert_eq!(
        said(&first, &second),
        ["HostChosen: host h2 was chosen to create the swarm instead of host h1"]
    );
}

#[test]
fn a_swarm_whose_record_was_lost_is_found() {
    let found = SwarmState {
        bootstrap: None,
        ..swarm(&[("h1", Joining)])
    };
    assert_eq!(
        said(&SwarmState::default(), &found),
        ["SwarmFound: swarm c, which was created for this resource before, was found"]
    );
}

#[test]
fn a_swarm_that_is_taken_over_is_not_created() {
    let mut cluster = SwarmCluster::default();
    cluster.spec.adopt_cluster_id = Some("c".to_owned());
    let taken = SwarmState {
        bootstrap: None,
        ..swarm(&[("h1", Joining)])
    };
    assert_eq!(
        events_of(&cluster, &SwarmState::default(), &taken),
        [StatusEvent::normal(
            "SwarmAdopted",
            "swarm c is taken over, as adoptClusterID says"
        )]
    );
}

#[test]
fn a_state_that_stays_is_no_event() {
    let states = [
        Leader,
        Manager,
        Worker,
        Unreachable,
        Foreign,
        Joining,
        Absent,
        Leaving,
    ];
    let names = ["h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];
    let members: Vec<(&str, MemberState)> = names.into_iter().zip(states).collect();
    let state = swarm(&members);
    assert_eq!(events(&state, &state), []);
}

#[test]
fn many_hosts_that_join_at_once_are_one_event() {
    let names: Vec<String> = (2..=1_001).map(|n| format!("h{n:04}")).collect();
    let all = |state: MemberState| {
        let others = names.iter().map(|name| (name.as_str(), state));
        let members: Vec<(&str, MemberState)> =
            std::iter::once(("h1", Leader)).chain(others).collect();
        swarm(&members)
    };
    assert_eq!(
        said(&all(Joining), &all(Worker)),
        ["HostsJoined: 1000 hosts (h0002, h0003, h0004 and 997 more) joined the swarm"]
    );
    assert_eq!(
        events(&all(Worker), &all(Unreachable)),
        [StatusEvent::warning(
            "HostsUnreachable",
            "1000 hosts (h0002, h0003, h0004 and 997 more) cannot be reached by the managers of the swarm"
        )]
    );
}

#[test]
fn roles_and_reachability_that_change_are_events() {
    let before = swarm(&[
        ("h1", Leader),
        ("h2", Worker),
        ("h3", Worker),
        ("h4", Manager),
        ("h5", Worker),
        ("h6", Unreachable),
        ("h7", Manager),
    ]);
    let now = swarm(&[
        ("h1", Manager),
        ("h2", Manager),
        ("h3", Leader),
        ("h4", Worker),
        ("h5", Unreachable),
        ("h6", Worker),
        ("h7", Leaving),
    ]);
    assert_eq!(
        said(&before, &now),
        [
            "HostsPromoted: 2 hosts (h2, h3) became managers",
            "HostsDemoted: host h4 became a worker",
            "HostsUnreachable: host h5 cannot be reached by the managers of the swarm",
            "HostsReachable: host h6 can be reached by the managers of the swarm again",
        ]
    );
}

#[test]
fn a_host_that_goes_leaves_is_removed_or_is_released() {
    let before = swarm(&[
        ("h1", Leader),
        ("h2", Leaving),
        ("h3", Worker),
        ("h4", Worker),
        ("h5", Foreign),
        ("h6", Joining),
    ]);
    let now = SwarmState {
        removed_nodes: vec!["n2".to_owned(), "n3".to_owned()],
        ..swarm(&[("h1", Leader)])
    };
    assert_eq!(
        said(&before, &now),
        [
            "HostsLeft: host h2 left the swarm",
            "HostsRemoved: host h3 is no longer a member; its node is removed from the swarm when it is down",
            "HostsReleased: host h4 is no longer a member; its node stays in the swarm",
        ]
    );
}

#[test]
fn a_host_joins_with_a_new_node_and_not_with_the_one_that_it_had() {
    let well = swarm(&[("h1", Leader), ("h2", Worker)]);
    let without = SwarmState {
        removed_nodes: vec!["n2".to_owned()],
        ..swarm(&[("h1", Leader), ("h2", Joining)])
    };
    assert_eq!(events(&well, &without), []);
    assert_eq!(events(&without, &well), []);
    let mut reinstalled = well.clone();
    for member in &mut reinstalled.members {
        if member.host == "h2" {
            member.node_id = Some("n22".to_owned());
        }
    }
    let joined = ["HostsJoined: host h2 joined the swarm"];
    assert_eq!(said(&without, &reinstalled), joined);
    assert_eq!(said(&well, &reinstalled), joined);
}

#[test]
fn a_quorum_that_is_lost_and_comes_back_is_an_event_and_the_first_one_is_none() {
    let with = |quorum: Option<Quorum>| SwarmState {
        quorum: quorum.map(Open::from),
        ..swarm(&[("h1", Leader)])
    };
    let none = with(None);
    let available = with(Some(Quorum::Available));
    let lost = with(Some(Quorum::Lost));
    let unknown = with(Some(Quorum::Unknown));
    for first in [&available, &lost, &unknown] {
        assert_eq!(events(&none, first), []);
        assert_eq!(events(first, first), []);
    }
    let warning = StatusEvent::warning(
        "QuorumLost",
        "the managers of the swarm have lost their quorum, so the swarm cannot be changed; running containers go on",
    );
    let back = StatusEvent::normal(
        "QuorumAvailable",
        "the managers of the swarm have their quorum again",
    );
    let asked = StatusEvent::warning(
        "QuorumUnknown",
        "no manager of the swarm can be asked, so it is not known whether they have their quorum",
    );
    for (from, to, event) in [
        (&available, &lost, &warning),
        (&unknown, &lost, &warning),
        (&lost, &available, &back),
        (&unknown, &available, &back),
        (&available, &unknown, &asked),
        (&lost, &unknown, &asked),
    ] {
        assert_eq!(&events(from, to), std::slice::from_ref(event));
    }
}

#[test]
fn a_recovery_is_an_event_when_it_is_permitted_and_when_it_is_done() {
    let with = |recovery: Option<bool>| SwarmState {
        recovery: recovery.map(|done| Recovery {
            host: "h3".to_owned(),
            permission: "h3/c".to_owned(),
            done,
            given_up: Vec::new(),
        }),
        ..swarm(&[("h1", Leader)])
    };
    let (none, begun, done) = (with(None), with(Some(false)), with(Some(true)));
    assert_eq!(
        events(&none, &begun),
        [StatusEvent::warning(
            "RecoveryPermitted",
            "the swarm goes on with host h3 as its only manager, as the annotation permits"
        )]
    );
    assert_eq!(
        events(&begun, &done),
        [StatusEvent::normal(
            "RecoveryDone",
            "host h3 has formed the swarm anew"
        )]
    );
    for state in [&none, &begun, &done] {
        assert_eq!(events(state, state), []);
    }
    // The annotation is removed.
    assert_eq!(events(&done, &none), []);
}

#[test]
fn i15_a_state_of_a_newer_version_is_no_event() {
    let well = SwarmState {
        quorum: Some(Quorum::Available.into()),
        ..swarm(&[("h1", Leader), ("h2", Worker)])
    };
    let mut newer = well.clone();
    newer.quorum = Some(Open::Unknown("Endangered".to_owned()));
    for member in &mut newer.members {
        member.state = Open::Unknown("Draining".to_owned());
    }
    assert_eq!(events(&well, &newer), []);
    assert_eq!(events(&newer, &well), []);
}
