//! Tombstones (invariant 1).

use super::*;

fn entry() -> Entry {
    net("u1", &lab(kept_policy()))
}

fn delete(id: Option<&str>) -> Entry {
    tombstone_of(&entry(), DeletionPolicy::Delete, id)
}

fn done_with(e: &Entry, reason: Reason, message: &str) -> EntryStatus {
    entry_status(e, EntryState::Gone, Some(reason), message)
}

const NOT_OURS: &str = "network lab does not belong to this resource and stays on the host; it \
                        belongs to compose project shop";

#[test]
fn i1_a_tombstone_removes_the_object_it_names_after_a_journal_write() {
    for (named, stage) in [
        (Some("id1"), Stage::Owned),
        (Some("id1"), Stage::Creating),
        (Some("id1"), Stage::Replacing),
        (None, Stage::Owned),
    ] {
        let e = delete(named);
        let before = record(&e, stage, Some("id1"));
        let scene = Scene::of(&e)
            .with(observed_network(&entry(), "id1"))
            .with_record(before.clone());
        let expected = Planned {
            actions: removes("id1", "lab"),
            journal: put(before.at(Stage::Removing)),
            status: EntryStatus {
                id: Some("id1".to_owned()),
                ..entry_status(
                    &e,
                    EntryState::Pending,
                    Some(Reason::Progressing),
                    "to be removed",
                )
            },
            examine: None,
        };
        assert_eq!(scene.one(), expected);
        let scene = scene.with_record(before.at(Stage::Removing));
        let repeated = Planned {
            journal: JournalChange::Keep,
            ..expected
        };
        assert_eq!(scene.one(), repeated);
    }
}

#[test]
fn i1_an_object_that_the_tombstone_does_not_name_is_reported_with_its_identity() {
    let asks = |e: &Entry, message: &str| {
        only_reports(EntryStatus {
            id: Some("id2".to_owned()),
            ..entry_status(e, EntryState::Pending, Some(Reason::Progressing), message)
        })
    };
    // Recreated since the last report.
    let e = delete(Some("id1"));
    let scene = || Scene::of(&e).with(observed_network(&entry(), "id2"));
    let message = "the tombstone names id1, but the host has id2";
    for id in [Some("id1"), Some("id2"), None] {
        let scene = scene().with_record(record(&e, Stage::Owned, id));
        assert_eq!(scene.one(), asks(&e, message), "{id:?}");
    }
    // The journal was lost: the label alone is not a permission, and not a reason to forget the object.
    assert_eq!(scene().one(), asks(&e, message));
    let e = delete(None);
    let scene = Scene::of(&e).with(observed_network(&entry(), "id2"));
    let message = "the tombstone names no identity, but the host has id2";
    assert_eq!(scene.one(), asks(&e, message));
    let e = delete(Some("id2"));
    let scene = Scene::of(&e).with(observed_network(&entry(), "id2"));
    assert!(scene.one().operation() == Some(Operation::Remove));
}

#[test]
fn a_tombstone_is_done_when_nothing_of_ours_is_there() {
    for policy in [DeletionPolicy::Delete, DeletionPolicy::Retain] {
        let e = tombstone_of(&entry(), policy, Some("id1"));
        let done = done_with(&e, Reason::Removed, "");
        assert_eq!(Scene::of(&e).one(), only_reports(done.clone()));
        for stage in [
            Stage::Creating,
            Stage::Owned,
            Stage::Removing,
            Stage::Retained,
        ] {
            let scene = Scene::of(&e).with_record(record(&e, stage, Some("id1")));
            let expected = Planned {
                journal: forget("u1"),
                ..only_reports(done.clone())
            };
            assert_eq!(scene.one(), expected, "{stage:?}");
        }
    }
}

#[test]
fn i3_a_tombstone_never_removes_a_foreign_object() {
    for named in [None, Some("id1"), Some("id9")] {
        let e = delete(named);
        let scene = Scene::of(&e).with(theirs(&entry(), "id9"));
        let done = done_with(&e, Reason::Retained, NOT_OURS);
        assert_eq!(scene.one(), only_reports(done.clone()));
        let scene = scene.with_record(record(&e, Stage::Owned, Some("id1")));
        let expected = Planned {
            journal: forget("u1"),
            ..only_reports(done)
        };
        assert_eq!(scene.one(), expected);
    }
}

#[test]
fn a_volume_replaced_by_hand_is_not_ours_any_more() {
    let entry = vol("u1", &data(kept_policy()));
    let e = tombstone_of(&entry, DeletionPolicy::Delete, Some("v1"));
    let scene = Scene::of(&e)
        .with_volume(their_volume(&entry))
        .with_record(record(&e, Stage::Owned, Some("v1")));
    let planned = scene.one();
    assert_eq!(
        (planned.actions, planned.journal),
        (Vec::new(), forget("u1"))
    );
    assert_eq!(planned.status.reason, Some(Reason::Retained.into()));
}

#[test]
fn a_retained_object_is_released() {
    let e = tombstone_of(&entry(), DeletionPolicy::Retain, None);
    let done = || done_with(&e, Reason::Retained, "network lab stays on the host");
    let scene = || Scene::of(&e).with(observed_network(&entry(), "id1"));
    for before in [
        None,
        Some(Stage::Creating),
        Some(Stage::Owned),
        Some(Stage::Removing),
    ] {
        let mut scene = scene();
        let mut expected = Record {
            was_ready: false,
            driver: Some("bridge".to_owned()),
            ..record(&e, Stage::Retained, Some("id1"))
        };
        if let Some(stage) = before {
            let before = record(&e, stage, Some("id1"));
            expected = before.at(Stage::Retained);
            scene = scene.with_record(before);
        }
        let expected = Planned {
            journal: put(expected),
            ..only_reports(done())
        };
        assert_eq!(scene.one(), expected, "{before:?}");
    }
    let retained = record(&e, Stage::Retained, Some("id1"));
    assert_eq!(
        scene().with_record(retained.clone()).one(),
        only_reports(done())
    );
    // A released object is not removed later.
    let e = delete(Some("id1"));
    let scene = Scene::of(&e)
        .with(observed_network(&entry(), "id1"))
        .with_record(retained);
    let done = done_with(&e, Reason::Retained, "network lab stays on the host");
    assert_eq!(scene.one(), only_reports(done));
}

#[test]
fn a_tombstone_releases_the_object_in_the_journal_whatever_its_name_is_now() {
    let renamed = net(
        "u1",
        &DesiredNetwork {
            name: "new".to_owned(),
            ..lab(kept_policy())
        },
    );
    let e = tombstone_of(&renamed, DeletionPolicy::Delete, Some("id1"));
    let scene = Scene::of(&e)
        .with(observed_network(&entry(), "id1"))
        .with_record(record(&entry(), Stage::Owned, Some("id1")));
    assert_eq!(scene.one().actions, removes("id1", "lab"));
}

#[test]
fn our_duplicates_are_removed_one_after_the_other() {
    let e = delete(Some("id1"));
    let twins = || {
        Scene::of(&e)
            .with(theirs(&entry(), "id0"))
            .with(observed_network(&entry(), "id2"))
            .with(observed_network(&entry(), "id1"))
    };
    let scene = twins().with_record(record(&e, Stage::Owned, Some("id1")));
    assert_eq!(scene.one().actions, removes("id1", "lab"));
    let scene = Scene::of(&e)
        .with(theirs(&entry(), "id0"))
        .with(observed_network(&entry(), "id2"))
        .with_record(record(&e, Stage::Removing, Some("id1")));
    assert_eq!(scene.one().status.id, Some("id2".to_owned()));
}
