//! Plans of several entries, statuses and records without an entry.

use super::*;

#[test]
fn tombstones_come_first_and_automatic_subnets_last() {
    let named = |uid: &str, name: &str, ipam: bool| {
        let mut desired = DesiredNetwork {
            name: name.to_owned(),
            ..lab(kept_policy())
        };
        if !ipam {
            desired.ipam.clear();
        }
        net(uid, &desired)
    };
    let automatic = named("u1", "a", false);
    let pinned = named("u2", "b", true);
    let there = named("u3", "c", true);
    let tombstone = tombstone_of(&named("u4", "d", true), DeletionPolicy::Delete, None);
    let volume = vol("u0", &data(kept_policy()));
    let scene = Scene::of(&automatic)
        .and(&pinned)
        .and(&there)
        .and(&tombstone)
        .and(&volume)
        .with(observed_network(&there, "id3"));
    let order: Vec<_> = scene.plan().into_iter().map(|p| p.status.uid).collect();
    assert_eq!(order, ["u4", "u3", "u0", "u2", "u1"]);
}

#[test]
fn i4_a_list_that_is_not_known_is_not_empty() {
    let (n, v) = (
        net("u1", &lab(kept_policy())),
        vol("u2", &data(kept_policy())),
    );
    let tombstone = tombstone_of(
        &net("u3", &lab(kept_policy())),
        DeletionPolicy::Delete,
        Some("id1"),
    );
    let mut scene = Scene::of(&n).and(&v).and(&tombstone);
    scene = scene.with_record(record(&n, Stage::Owned, Some("id1")));
    let mut observed = ObservedState::default();
    observed.insert(Kind::DockerVolume, vec![]);
    let planned = plan(&scene.entries, &observed, &scene.records, &CONTEXT);
    assert!(planned.iter().all(|p| p.actions.len() <= 1), "{planned:?}");
    let message = "the engine's networks could not be listed";
    let unknown = |e: &Entry| {
        let reason = Some(Reason::EngineUnreachable);
        only_reports(entry_status(e, EntryState::Pending, reason, message))
    };
    assert_eq!(planned[0], unknown(&tombstone));
    assert_eq!(planned[1], unknown(&n));
    // Invariant 7: the other kind is not blocked.
    assert!(planned[2].operation() == Some(Operation::Create));
}

/// A record's progress belongs to the action of its stage.
#[test]
fn a_plan_keeps_the_progress_of_an_unfinished_action() {
    let n = net("u1", &lab(kept_policy()));
    let begun = Record {
        progress: Some(serde_json::json!({"copied": 7})),
        ..record(&n, Stage::Creating, None)
    };
    let goes_on = Scene::of(&n).with_record(begun.clone()).one();
    assert_eq!(goes_on.operation(), Some(Operation::Create));
    assert_eq!(goes_on.journal, JournalChange::Keep);
    let done = Scene::of(&n)
        .with_record(begun)
        .with(observed_network(&n, "id1"))
        .one();
    let JournalChange::Put { record, .. } = done.journal else {
        panic!("{done:?}")
    };
    assert_eq!((record.stage, record.progress), (Stage::Owned.into(), None));
}

#[test]
fn i7_an_entry_that_cannot_be_read_blocks_no_other() {
    let mut bad = net("u1", &lab(kept_policy()));
    bad.spec.insert("future".to_owned(), true.into());
    let good = vol("u2", &data(kept_policy()));
    let planned = Scene::of(&bad).and(&good).plan();
    assert_eq!(planned[0].status.reason, Some(Reason::AgentTooOld.into()));
    assert!(planned[0].actions.is_empty());
    assert!(planned[1].operation() == Some(Operation::Create));
}

#[test]
fn an_object_without_an_entry_is_kept_and_reported() {
    let e = net("u1", &lab(kept_policy()));
    let scene = Scene::default()
        .with(observed_network(&e, "id1"))
        .with_record(record(&e, Stage::Owned, Some("id1")))
        .with_record(Record {
            key: RecordKey::object("u2"),
            ..record(&e, Stage::Retained, Some("id2"))
        });
    assert_eq!(scene.plan(), vec![]);
    let message = "network lab is kept: the journal has a record of it for team/lab, and the \
                   assignment has no entry for it";
    assert_eq!(
        statuses(&[], &scene.records),
        [EntryStatus {
            uid: "u1".to_owned(),
            state: EntryState::Pending.into(),
            reason: Some(Reason::Unassigned.into()),
            message: message.to_owned(),
            id: Some("id1".to_owned()),
            ..EntryStatus::default()
        }]
    );
}

#[test]
fn statuses_are_sorted_by_uid_and_entries_win() {
    let (a, b) = (
        net("a", &lab(kept_policy())),
        vol("b", &data(kept_policy())),
    );
    let scene = Scene::of(&b)
        .and(&a)
        .with_record(record(&a, Stage::Owned, Some("id1")));
    let all = statuses(&scene.plan(), &scene.records);
    let reason = |s: &EntryStatus| s.reason.as_ref().and_then(Open::known);
    let uids: Vec<_> = all.iter().map(|s| (s.uid.as_str(), reason(s))).collect();
    assert_eq!(
        uids,
        [
            ("a", Some(Reason::Progressing)),
            ("b", Some(Reason::Progressing))
        ]
    );
}

#[test]
fn only_a_record_without_entry_and_object_is_forgettable() {
    let e = net("u1", &lab(kept_policy()));
    let forget = |scene: &Scene| forgettable(&scene.entries, &scene.observed(), &scene.records);
    let (it, nothing) = (vec![RecordKey::object("u1")], Vec::new());
    for stage in [Stage::Creating, Stage::Removing, Stage::Retained] {
        let scene = || Scene::default().with_record(record(&e, stage, Some("id1")));
        assert_eq!(forget(&scene()), it, "{stage:?}");
        assert_eq!(forget(&scene().with(theirs(&e, "id9"))), it);
        assert_eq!(forget(&scene().and(&e)), nothing);
        assert_eq!(forget(&scene().with(theirs(&e, "id1"))), nothing);
        assert_eq!(forget(&scene().with(observed_network(&e, "id2"))), nothing);
        let unknown = ObservedState::default();
        assert_eq!(forgettable(&[], &unknown, &scene().records), nothing);
    }
    for stage in [Stage::Owned, Stage::Replacing] {
        let scene = Scene::default().with_record(record(&e, stage, Some("id1")));
        assert_eq!(forget(&scene), nothing, "{stage:?}");
    }
}

#[test]
fn i9_credentials_are_in_no_message() {
    let e = vol(
        "u1",
        &DesiredVolume {
            options: map(&[
                ("type", "cifs"),
                ("device", "//nas/a"),
                ("o", "password=mine"),
            ]),
            policy: Behaviour {
                adoption: dockfleet_crds::policy::AdoptionPolicy::IfMatching,
                ..Behaviour::default()
            },
            ..data(kept_policy())
        },
    );
    let mut theirs = their_volume(&e);
    theirs
        .options
        .insert("o".to_owned(), "password=hunter2".to_owned());
    let status = Scene::of(&e).with_volume(theirs).one().status;
    assert_eq!(status.reason, Some(Reason::Conflict.into()));
    let text = format!("{status:?}");
    assert!(
        !text.contains("mine") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn messages_and_differences_are_bounded() {
    let long = "x".repeat(300);
    assert_eq!(bounded(long.clone()).chars().count(), MAX_MESSAGE);
    assert!(bounded(long).ends_with('…'));
    assert_eq!(bounded("é".repeat(MAX_MESSAGE)), "é".repeat(MAX_MESSAGE));
    let labels: Vec<_> = (0..9).map(|i| (format!("l{i}"), "x".repeat(200))).collect();
    let e = net(
        "u1",
        &DesiredNetwork {
            labels: labels.into_iter().collect(),
            ..lab(kept_policy())
        },
    );
    let have = ObservedNetwork {
        labels: marks(&e),
        ..observed_network(&e, "id1")
    };
    let status = Scene::of(&e).with(have).one().status;
    assert_eq!(status.diff.len(), MAX_DIFF);
    assert_eq!(status.message.chars().count(), MAX_MESSAGE);
}

#[test]
fn i15_an_entry_of_a_newer_version_is_reported_alone_and_nothing_is_changed_for_it() {
    let newer = |change: fn(&mut Entry)| {
        let mut entry = net("u1", &lab(kept_policy()));
        change(&mut entry);
        entry
    };
    let cases = [
        newer(|e| e.kind = Open::Unknown("DockerGalaxy".to_owned())),
        newer(|e| e.intent = Open::Unknown("Frozen".to_owned())),
        newer(|e| drop(e.spec.insert("orbit".to_owned(), true.into()))),
        newer(|e| drop(e.other.insert("unless".to_owned(), "used".into()))),
        Entry {
            other: serde_json::Map::from_iter([("unless".to_owned(), "used".into())]),
            ..tombstone_of(
                &net("u1", &lab(kept_policy())),
                DeletionPolicy::Delete,
                Some("id1"),
            )
        },
    ];
    let words = [
        "kind DockerGalaxy",
        "intent Frozen",
        "unknown field `orbit`",
        "field unless of the entry",
        "field unless of the entry",
    ];
    let good = vol("u2", &data(kept_policy()));
    for (entry, word) in cases.iter().zip(words) {
        let planned = Scene::of(entry).and(&good).plan();
        let of_newer = planned.iter().find(|p| p.status.uid == "u1").unwrap();
        assert_eq!(
            (&of_newer.actions, &of_newer.journal),
            (&Vec::new(), &JournalChange::Keep)
        );
        let status = &of_newer.status;
        assert_eq!(status.state, EntryState::Unsupported);
        assert!(status.is_because(Reason::AgentTooOld));
        assert!(status.message.contains(word), "{}", status.message);
        let other = planned.iter().find(|p| p.status.uid == "u2").unwrap();
        assert!(other.operation() == Some(Operation::Create));
    }
}

#[test]
fn i15_an_object_in_a_record_of_a_newer_version_is_not_adopted() {
    let e = net("u1", &lab(kept_policy()));
    let force = net(
        "u2",
        &lab(Behaviour {
            adoption: dockfleet_crds::policy::AdoptionPolicy::Force,
            ..kept_policy()
        }),
    );
    let tombstone = tombstone_of(&e, DeletionPolicy::Delete, Some("id1"));
    let newer = Record {
        stage: Open::Unknown("Draining".to_owned()),
        ..record(&e, Stage::Owned, Some("id1"))
    };
    // Its own entry, its own tombstone, and another entry that adopts any object.
    for entry in [&e, &tombstone, &force] {
        let scene = Scene::of(entry)
            .with(observed_network(&e, "id1"))
            .with_record(newer.clone());
        let planned = scene.one();
        assert_eq!(
            (&planned.actions, &planned.journal),
            (&Vec::new(), &JournalChange::Keep)
        );
        assert_eq!(planned.status.state, EntryState::Unsupported);
    }
    // Without an entry it is reported, and never forgotten.
    let scene = Scene::default().with_record(newer);
    let all = statuses(&[], &scene.records);
    assert_eq!(all.len(), 1);
    assert!(all.iter().all(|s| s.is_because(Reason::AgentTooOld)));
    assert_eq!(
        forgettable(&[], &scene.observed(), &scene.records),
        Vec::new()
    );
}

/// Every stage that a plan writes keeps them.
#[test]
fn i15_fields_of_a_newer_version_stay_in_a_record() {
    let newer = |stage, id| Record {
        other: serde_json::Map::from_iter([("attachments".to_owned(), "c1".into())]),
        ..record(&net("u1", &lab(kept_policy())), stage, id)
    };
    let e = net("u1", &lab(kept_policy()));
    let have = observed_network(&e, "id1");
    let owned = Scene::of(&e)
        .with(have.clone())
        .with_record(newer(Stage::Owned, Some("id1")));
    assert_eq!(owned.one().journal, JournalChange::Keep);

    let replaced = net("u1", &lab(when_unused()));
    let release = tombstone_of(&e, DeletionPolicy::Retain, Some("id1"));
    let removal = tombstone_of(&e, DeletionPolicy::Delete, Some("id1"));
    let old = labelled_by("older", differing(have.clone()));
    let changes = [
        (Scene::of(&e), Stage::Creating),
        (Scene::of(&replaced).with(old), Stage::Replacing),
        (Scene::of(&release).with(have.clone()), Stage::Retained),
        (Scene::of(&removal).with(have), Stage::Removing),
    ];
    for (scene, stage) in changes {
        let scene = scene.with_record(newer(Stage::Owned, Some("id1")));
        let JournalChange::Put { record, .. } = scene.one().journal else {
            panic!("{stage:?} is not written");
        };
        assert_eq!(record.stage, stage);
        assert_eq!(record.other, newer(stage, None).other, "{stage:?}");
    }
}

fn labelled_by(revision: &str, network: ObservedNetwork) -> ObservedNetwork {
    let mut labels = network.labels.clone();
    labels.insert(labels::REVISION.to_owned(), revision.to_owned());
    ObservedNetwork { labels, ..network }
}

/// Invariant 15: a newer version may have more things of a resource on the host than its object.
#[test]
fn i15_a_record_of_another_thing_is_kept_and_its_resource_is_not_gone() {
    let e = net("u1", &lab(kept_policy()));
    let peer = |stage| Record {
        key: RecordKey::from("u1/peer".to_owned()),
        ..record(&e, stage, Some("id9"))
    };
    let tombstone = tombstone_of(&e, DeletionPolicy::Delete, Some("id1"));
    for stage in <Stage as strum::VariantArray>::VARIANTS.iter().copied() {
        // The object itself is kept as before.
        let scene = Scene::of(&e)
            .with(observed_network(&e, "id1"))
            .with_record(record(&e, Stage::Owned, Some("id1")))
            .with_record(peer(stage));
        let planned = scene.one();
        assert_eq!(planned.status.state, EntryState::Ready, "{stage:?}");
        assert_eq!(planned.journal, JournalChange::Keep);
        // The resource is not gone, with its object or without.
        let gone = Scene::of(&tombstone).with_record(peer(stage));
        let there = Scene::of(&tombstone)
            .with(observed_network(&e, "id1"))
            .with_record(record(&e, Stage::Owned, Some("id1")))
            .with_record(peer(stage));
        for scene in [gone, there] {
            let planned = scene.one();
            assert!(planned.actions.is_empty(), "{stage:?}");
            assert_eq!(planned.journal, JournalChange::Keep);
            assert_eq!(planned.status.state, EntryState::Unsupported);
        }
        // Without an entry it is reported, and never forgotten.
        let scene = Scene::default().with_record(peer(stage));
        let forgotten = forgettable(&[], &scene.observed(), &scene.records);
        assert_eq!(forgotten, Vec::new(), "{stage:?}");
    }
    let scene = Scene::default().with_record(peer(Stage::Owned));
    let all = statuses(&[], &scene.records);
    assert!(all.iter().all(|s| s.is_because(Reason::AgentTooOld)));
}

/// The engine lists no volumes of a plugin that does not answer, or lists them without labels.
#[test]
fn i4_a_volume_that_the_engine_could_not_list_is_not_gone() {
    let of_plugin = DesiredVolume {
        driver: "sleepy".to_owned(),
        ..data(kept_policy())
    };
    let recreated = DesiredVolume {
        loss_policy: dockfleet_crds::policy::LossPolicy::Recreate,
        ..of_plugin.clone()
    };
    let e = vol("u1", &of_plugin);
    let owned = record(&e, Stage::Owned, Some("vid"));
    let tombstone = tombstone_of(&e, DeletionPolicy::Delete, Some("vid"));
    let without_labels = ObservedVolume {
        name: "data".to_owned(),
        driver: "sleepy:latest".to_owned(),
        ..ObservedVolume::default()
    };
    let scenes = [
        Scene::of(&e),
        Scene::of(&e).with_record(owned.clone()),
        Scene::of(&vol("u1", &recreated)).with_record(owned.clone()),
        Scene::of(&tombstone).with_record(owned.clone()),
        Scene::of(&tombstone),
        Scene::of(&tombstone)
            .with_record(owned.clone())
            .with_volume(without_labels),
    ];
    for scene in &scenes {
        let planned = |warning: &str| {
            let mut observed = scene.observed();
            observed.warn(Kind::DockerVolume, vec![warning.to_owned()]);
            plan(&scene.entries, &observed, &scene.records, &CONTEXT)
        };
        let mut held = planned("list sleepy:latest: no answer");
        let held = held.remove(0);
        assert_eq!(
            (held.actions, held.journal),
            (Vec::new(), JournalChange::Keep)
        );
        assert!(
            held.status.is_because(Reason::EngineUnreachable),
            "{:?}",
            held.status
        );
        assert!(
            held.status
                .message
                .contains("list sleepy:latest: no answer")
        );
    }
    // Invariant 7: what is known of other drivers is known.
    let local = vol("u2", &data(kept_policy()));
    let scene = Scene::of(&local);
    let mut observed = scene.observed();
    observed.warn(
        Kind::DockerVolume,
        vec!["list sleepy: no answer".to_owned()],
    );
    let planned = plan(&scene.entries, &observed, &scene.records, &CONTEXT);
    assert!(planned[0].operation() == Some(Operation::Create));
    let removed = record(&local, Stage::Removing, Some("vid"));
    let scene = Scene::of(&tombstone_of(&local, DeletionPolicy::Delete, Some("vid")));
    let scene = scene.with_record(removed);
    let planned = plan(&scene.entries, &observed, &scene.records, &CONTEXT);
    assert_eq!(planned[0].status.state, EntryState::Gone);
    // A record is not forgotten either.
    let retained = Record {
        stage: Stage::Retained.into(),
        ..owned
    };
    let records = Records::from([(retained.key.clone(), retained)]);
    assert_eq!(forgettable(&[], &observed, &records), Vec::new());
}
