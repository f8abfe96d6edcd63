//! Entries whose object is absent or owned, by stage and policy.

use dockfleet_crds::policy::{DriftPolicy, LossPolicy, ManagementPolicy};

use super::*;

const ALL_STAGES: [Stage; 5] = [
    Stage::Creating,
    Stage::Owned,
    Stage::Replacing,
    Stage::Removing,
    Stage::Retained,
];

fn suspended() -> Behaviour {
    Behaviour {
        suspend: true,
        ..Behaviour::default()
    }
}

fn observing() -> Behaviour {
    Behaviour {
        management: ManagementPolicy::Observe,
        ..Behaviour::default()
    }
}

fn drift_observing() -> Behaviour {
    Behaviour {
        drift: DriftPolicy::Observe,
        ..when_unused()
    }
}

fn missing(entry: &Entry, message: &str) -> Planned {
    let object = FieldDiff {
        field: "network".to_owned(),
        want: "lab".to_owned(),
        have: String::new(),
    };
    only_reports(EntryStatus {
        diff: vec![object],
        ..entry_status(entry, EntryState::Drifted, Some(Reason::Missing), message)
    })
}

#[test]
fn i5_an_absent_network_is_created_after_a_journalled_intent() {
    let e = net("u1", &lab(kept_policy()));
    let mut expected = Planned {
        actions: creates(marked(&e, None)),
        journal: put(record(&e, Stage::Creating, None)),
        status: entry_status(
            &e,
            EntryState::Pending,
            Some(Reason::Progressing),
            "to be created: does not exist yet",
        ),
        examine: None,
    };
    assert_eq!(Scene::of(&e).one(), expected);
    // A create in progress goes on, and a removal that was permitted is not a loss.
    for stage in [Stage::Replacing, Stage::Removing, Stage::Retained] {
        let scene = Scene::of(&e).with_record(record(&e, stage, Some("old")));
        assert_eq!(scene.one(), expected, "{stage:?}");
    }
    expected.journal = JournalChange::Keep;
    let scene = Scene::of(&e).with_record(record(&e, Stage::Creating, None));
    assert_eq!(scene.one(), expected);
}

#[test]
fn an_overlay_network_that_is_not_set_up_yet_is_waited_for() {
    let mesh = DesiredNetwork {
        driver: "overlay".to_owned(),
        ..lab(when_unused())
    };
    let e = net("u1", &mesh);
    let listed = ObservedNetwork {
        driver: String::new(),
        ipam: Vec::new(),
        ..observed_network(&e, "n1")
    };
    let planned = Scene::of(&e)
        .with_record(record(&e, Stage::Owned, Some("n1")))
        .with(listed)
        .one();
    let message = "created; waits until the swarm has set it up";
    let status = entry_status(&e, EntryState::Pending, Some(Reason::Progressing), message);
    assert_eq!(planned.actions, []);
    assert_eq!(
        planned.status,
        EntryStatus {
            id: Some("n1".to_owned()),
            ..status
        }
    );
}

#[test]
fn a_network_removed_by_hand_is_created_again() {
    let e = net("u1", &lab(kept_policy()));
    let planned = Scene::of(&e)
        .with_record(record(&e, Stage::Owned, Some("old")))
        .one();
    assert_eq!(planned.status.message, "to be created: removed by hand");
    assert_eq!(planned.journal, put(record(&e, Stage::Creating, None)));
    assert!(planned.operation() == Some(Operation::Create));
}

#[test]
fn an_absent_network_is_not_created_if_the_policy_forbids_it() {
    let e = net("u1", &lab(observing()));
    for stage in ALL_STAGES {
        let scene = Scene::of(&e).with_record(record(&e, stage, Some("old")));
        let message = "it does not exist, and managementPolicy is Observe";
        assert_eq!(scene.one(), missing(&e, message), "{stage:?}");
    }
    let e = net("u1", &lab(drift_observing()));
    let scene = Scene::of(&e).with_record(record(&e, Stage::Owned, Some("old")));
    assert_eq!(
        scene.one(),
        missing(&e, "it was removed by hand, and driftPolicy is Observe")
    );
    // An object that never existed is not drift.
    assert!(Scene::of(&e).one().operation() == Some(Operation::Create));
    let e = net("u1", &lab(suspended()));
    for stage in ALL_STAGES {
        let scene = Scene::of(&e).with_record(record(&e, stage, Some("old")));
        let message = "to be created; suspend is true";
        let status = entry_status(&e, EntryState::Pending, Some(Reason::Suspended), message);
        assert_eq!(scene.one(), only_reports(status), "{stage:?}");
    }
}

#[test]
fn a_volume_gets_an_identity_that_a_repeat_keeps() {
    let e = vol("u1", &data(kept_policy()));
    let first = Scene::of(&e).one();
    let JournalChange::Put { record: intent, .. } = &first.journal else {
        panic!("no intent")
    };
    let id = intent.id.clone().unwrap();
    assert_eq!(intent, &record(&e, Stage::Creating, Some(&id)));
    assert_eq!(first.actions, creates(marked(&e, Some(&id))));
    assert_eq!(first.status.message, "to be created: does not exist yet");
    let scene = Scene::of(&e).with_record(intent.clone());
    let other = PlanContext {
        nonce: "another",
        ..CONTEXT
    };
    let again = scene.plan_with(&other);
    assert_eq!(again[0].actions, first.actions);
    assert_eq!(again[0].status, first.status);
    assert_eq!(again[0].journal, JournalChange::Keep);
    // A recreated volume has another identity.
    let scene = Scene::of(&e).with_record(record(&e, Stage::Removing, Some(&id)));
    let repeated = scene.plan_with(&other);
    assert_ne!(repeated[0].actions, first.actions);
    assert_eq!(repeated[0].operation(), Some(Operation::Create));
}

#[test]
fn i2_a_volume_that_existed_and_is_gone_is_reported_as_lost() {
    let e = vol("u1", &data(kept_policy()));
    let lost = Scene::of(&e).with_record(record(&e, Stage::Owned, Some("v1")));
    let message = "volume data was ready and is gone with its data; restore it, or set \
                   lossPolicy: Recreate to start with an empty one";
    let status = entry_status(&e, EntryState::Failed, Some(Reason::Lost), message);
    assert_eq!(lost.one(), only_reports(status));

    let recreate = DesiredVolume {
        loss_policy: LossPolicy::Recreate,
        ..data(kept_policy())
    };
    let elsewhere = DesiredVolume {
        options: map(&[("type", "nfs"), ("device", ":/a"), ("o", "addr=nas")]),
        ..data(kept_policy())
    };
    for desired in [recreate, elsewhere] {
        let e = vol("u1", &desired);
        let planned = Scene::of(&e)
            .with_record(record(&e, Stage::Owned, Some("v1")))
            .one();
        assert!(planned.operation() == Some(Operation::Create));
    }
    // A plugin stores its own data, and whether that still exists is not known.
    let plugin = DesiredVolume {
        driver: "rexray".to_owned(),
        options: map(&[("device", "x")]),
        ..data(kept_policy())
    };
    let e = vol("u1", &plugin);
    let planned = Scene::of(&e)
        .with_record(record(&e, Stage::Owned, Some("v1")))
        .one();
    assert_eq!(planned.status.reason, Some(Reason::Lost.into()));
}

#[test]
fn i2_a_volume_that_always_differed_may_store_data_too() {
    let e = vol(
        "u1",
        &DesiredVolume {
            labels: map(&[("tier", "gold")]),
            ..data(kept_policy())
        },
    );
    let mut volume = observed_volume(&e, "v1");
    volume.labels.remove("tier");
    let planned = Scene::of(&e).with_volume(volume).one();
    assert_eq!(planned.status.state, EntryState::Drifted);
    assert_eq!(planned.journal, put(record(&e, Stage::Owned, Some("v1"))));
}

/// The options of a mount of an NFS server.
fn nfs(server: &str) -> BTreeMap<String, String> {
    let o = format!("addr={server},rw");
    map(&[("type", "nfs"), ("device", ":/a"), ("o", &o)])
}

#[test]
fn i2_a_volume_that_stores_data_on_the_host_is_never_replaced() {
    let plain = BTreeMap::new();
    for (want, have, driver, why) in [
        (
            map(&[("size", "1")]),
            plain.clone(),
            "local",
            "it stores data on this host",
        ),
        (
            nfs("a"),
            plain.clone(),
            "local",
            "it stores data on this host",
        ),
        // A plugin may store data behind the same options.
        (nfs("a"), nfs("b"), "plugin", "it stores data on this host"),
        (
            plain,
            nfs("b"),
            "local",
            "the new volume would store its data on this host",
        ),
    ] {
        let desired = DesiredVolume {
            options: want,
            ..data(when_unused())
        };
        let e = vol("u1", &desired);
        let mut volume = ObservedVolume {
            options: have,
            driver: driver.to_owned(),
            ..observed_volume(&e, "v1")
        };
        let revision = labels::REVISION.to_owned();
        volume.labels.insert(revision, "before".to_owned());
        let planned = Scene::of(&e).with_volume(volume).one();
        assert_eq!(planned.actions, []);
        assert_eq!(planned.status.state, EntryState::Drifted);
        let start = format!("left as it is, {why}: ");
        assert!(planned.status.message.starts_with(&start), "{planned:?}");
    }
}

#[test]
fn i1_a_volume_whose_data_is_elsewhere_is_replaced_with_permission_only() {
    let plan = |policy: Behaviour, revision: &str| {
        let desired = DesiredVolume {
            options: nfs("new"),
            ..data(policy)
        };
        let e = vol("u1", &desired);
        let mut volume = ObservedVolume {
            options: nfs("old"),
            ..observed_volume(&e, "v1")
        };
        if revision == "before" {
            volume
                .labels
                .insert(labels::REVISION.to_owned(), revision.to_owned());
        }
        let owned = record(&e, Stage::Owned, Some("v1"));
        let scene = Scene::of(&e).with_volume(volume).with_record(owned.clone());
        (e, owned, scene.one())
    };
    let (e, owned, planned) = plan(when_unused(), "before");
    assert_eq!(planned.operation(), Some(Operation::Replace));
    let [remove, create] = planned.actions.as_slice() else {
        panic!("{planned:?}")
    };
    assert_eq!(remove.removes(), Some(("v1", "data")));
    // It is another volume, with an identity of its own.
    let Action::DockerVolume(ObjectAction::Create(volume)) = create else {
        panic!("{create:?}")
    };
    assert_eq!(volume.options, nfs("new"));
    let id = volume.labels.get(labels::VOLUME_ID).unwrap();
    assert_ne!(id, "v1");
    assert_eq!(planned.journal, put(owned.at(Stage::Replacing)));
    assert_eq!(
        planned.status.message,
        "to be replaced: options[o]: want addr=new,rw, have addr=old,rw"
    );
    // What was removed before a crash is created, and not lost.
    let cut = Scene::of(&e).with_record(owned.at(Stage::Replacing)).one();
    assert_eq!(cut.operation(), Some(Operation::Create));
    let suspended = Behaviour {
        suspend: true,
        ..when_unused()
    };
    for policy in [kept_policy(), drift_observing(), suspended] {
        assert_eq!(plan(policy, "before").2.actions, []);
    }
    // The engine has made it from this very revision.
    assert_eq!(plan(when_unused(), "this").2.actions, []);
}

#[test]
fn an_object_as_asked_is_ready_whatever_was_in_progress() {
    let e = net("u1", &lab(kept_policy()));
    let ready = |journal| Planned {
        actions: Vec::new(),
        journal,
        status: EntryStatus {
            id: Some("id1".to_owned()),
            ..entry_status(&e, EntryState::Ready, None, "")
        },
        examine: None,
    };
    let owned = put(record(&e, Stage::Owned, Some("id1")));
    let scene = || Scene::of(&e).with(observed_network(&e, "id1"));
    assert_eq!(scene().one(), ready(owned.clone()));
    for stage in ALL_STAGES {
        // Found by the journal or, if the response was lost, by its label.
        for id in [None, Some("id0"), Some("id1")] {
            let scene = scene().with_record(record(&e, stage, id));
            let nothing_new = stage == Stage::Owned && id == Some("id1");
            let journal = if nothing_new {
                JournalChange::Keep
            } else {
                owned.clone()
            };
            assert_eq!(scene.one(), ready(journal), "{stage:?} {id:?}");
        }
    }
}

#[test]
fn an_object_that_differs_is_left_or_replaced_by_policy() {
    let left = |policy: Behaviour, reason, why: &str| {
        let e = net("u1", &lab(policy));
        let mut have = differing(observed_network(&e, "id1"));
        have.labels
            .insert(labels::REVISION.to_owned(), "before".to_owned());
        let scene = Scene::of(&e)
            .with(have)
            .with_record(record(&e, Stage::Owned, Some("id1")));
        let message = format!("left as it is, {why}: internal: want false, have true");
        let status = EntryStatus {
            id: Some("id1".to_owned()),
            diff: vec![internal()],
            ..entry_status(&e, EntryState::Drifted, Some(reason), &message)
        };
        assert_eq!(scene.one(), only_reports(status));
    };
    left(kept_policy(), Reason::Drifted, "updatePolicy is Never");
    left(drift_observing(), Reason::Drifted, "driftPolicy is Observe");
    let both = Behaviour {
        suspend: true,
        ..when_unused()
    };
    left(both, Reason::Suspended, "suspend is true");
}

fn replacement(e: &Entry, id: &str) -> Planned {
    Planned {
        actions: replaces(id, marked(e, None)),
        journal: put(record(e, Stage::Replacing, Some(id))),
        status: EntryStatus {
            id: Some(id.to_owned()),
            ..entry_status(
                e,
                EntryState::Pending,
                Some(Reason::Progressing),
                "to be replaced: internal: want false, have true",
            )
        },
        examine: None,
    }
}

#[test]
fn i1_a_network_is_replaced_with_permission_only_and_the_permission_is_journalled() {
    let e = net("u1", &lab(when_unused()));
    let mut have = differing(observed_network(&e, "id1"));
    have.labels
        .insert(labels::REVISION.to_owned(), "before".to_owned());
    let mut expected = replacement(&e, "id1");
    for stage in [
        Stage::Creating,
        Stage::Owned,
        Stage::Removing,
        Stage::Retained,
    ] {
        let scene = Scene::of(&e)
            .with(have.clone())
            .with_record(record(&e, stage, Some("id1")));
        assert_eq!(scene.one(), expected, "{stage:?}");
    }
    expected.journal = JournalChange::Keep;
    let scene = Scene::of(&e)
        .with(have)
        .with_record(record(&e, Stage::Replacing, Some("id1")));
    assert_eq!(scene.one(), expected);
}

#[test]
fn a_network_created_from_the_same_revision_is_not_replaced_again() {
    let e = net("u1", &lab(when_unused()));
    let scene = Scene::of(&e)
        .with(differing(observed_network(&e, "id1")))
        .with_record(record(&e, Stage::Replacing, Some("id0")));
    let planned = scene.one();
    assert!(planned.actions.is_empty());
    assert_eq!(planned.journal, put(record(&e, Stage::Owned, Some("id1"))));
    assert!(
        planned
            .status
            .message
            .starts_with("left as it is, the engine created it like this from the same revision")
    );
}

#[test]
fn an_unsupported_feature_is_not_requested_from_an_engine() {
    let strict = |policy| DesiredNetwork {
        options: map(&[("com.docker.network.bridge.gateway_mode_ipv4", "isolated")]),
        ..lab(policy)
    };
    let message = "bridge.gatewayModeIPv4 needs Engine 28.0 (API 1.48); this host has API 1.47";
    let e = net("u1", &strict(kept_policy()));
    let status = entry_status(&e, EntryState::Failed, Some(Reason::Unsupported), message);
    assert_eq!(Scene::of(&e).one(), only_reports(status));
    // The previous network stays, and is still owned.
    let before = net("u1", &lab(when_unused()));
    let e = net("u1", &strict(when_unused()));
    let planned = Scene::of(&e).with(observed_network(&before, "id1")).one();
    assert_eq!(
        planned,
        Planned {
            actions: Vec::new(),
            journal: put(record(&e, Stage::Owned, Some("id1"))),
            status: EntryStatus {
                id: Some("id1".to_owned()),
                ..entry_status(&e, EntryState::Failed, Some(Reason::Unsupported), message)
            },
            examine: None,
        }
    );
}

#[test]
fn an_observed_object_is_compared_and_neither_changed_nor_journalled() {
    let e = net("u1", &lab(observing()));
    let with_id = |status| EntryStatus {
        id: Some("id1".to_owned()),
        ..status
    };
    for have in [observed_network(&e, "id1"), theirs(&e, "id1")] {
        for stage in ALL_STAGES {
            let scene =
                Scene::of(&e)
                    .with(have.clone())
                    .with_record(record(&e, stage, Some("id0")));
            let ready = with_id(entry_status(&e, EntryState::Ready, None, ""));
            assert_eq!(scene.one(), only_reports(ready));
        }
        let message = "managementPolicy is Observe: internal: want false, have true";
        let drifted = EntryStatus {
            diff: vec![internal()],
            ..with_id(entry_status(
                &e,
                EntryState::Drifted,
                Some(Reason::Drifted),
                message,
            ))
        };
        assert_eq!(
            Scene::of(&e).with(differing(have)).one(),
            only_reports(drifted)
        );
    }
}

#[test]
fn a_suspended_object_that_is_as_asked_is_ready() {
    let e = net("u1", &lab(suspended()));
    let planned = Scene::of(&e).with(observed_network(&e, "id1")).one();
    assert_eq!(planned.status.state, EntryState::Ready);
}

#[test]
fn a_changed_name_is_refused() {
    let e = net("u1", &lab(kept_policy()));
    let before = Record {
        object: "old".to_owned(),
        ..record(&e, Stage::Owned, Some("id1"))
    };
    let message = "the name on the host cannot change from old to lab; delete the resource first";
    let status = entry_status(&e, EntryState::Failed, Some(Reason::Invalid), message);
    assert_eq!(
        Scene::of(&e).with_record(before.clone()).one(),
        only_reports(status)
    );
    // A record of a released object with another name does not matter.
    let retained = before.at(Stage::Retained);
    let scene = Scene::of(&e)
        .with(observed_network(&e, "id2"))
        .with_record(retained);
    assert_eq!(
        scene.one().journal,
        put(record(&e, Stage::Owned, Some("id2")))
    );
}
