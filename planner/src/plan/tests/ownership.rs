//! Objects with another owner: conflicts, adoption, recreated resources (invariant 3).

use dockfleet_crds::policy::{AdoptionPolicy, LossPolicy};

use super::*;

fn adopting(adoption: AdoptionPolicy) -> Behaviour {
    Behaviour {
        adoption,
        ..Behaviour::default()
    }
}

fn conflict(e: &Entry, message: &str, diff: Vec<FieldDiff>) -> Planned {
    only_reports(EntryStatus {
        diff,
        ..entry_status(e, EntryState::Failed, Some(Reason::Conflict), message)
    })
}

fn adopted(e: &Entry, id: &str) -> Record {
    Record {
        adopted: true,
        ..record(e, Stage::Owned, Some(id))
    }
}

#[test]
fn i3_a_foreign_object_is_left_alone_and_its_owner_is_named() {
    let e = net("u1", &lab(kept_policy()));
    let message = "network lab exists and belongs to compose project shop; remove or rename it, \
                   or set adoptionPolicy to take it over";
    for stage in [
        None,
        Some(Stage::Creating),
        Some(Stage::Owned),
        Some(Stage::Replacing),
    ] {
        let mut scene = Scene::of(&e).with(theirs(&e, "id1"));
        if let Some(stage) = stage {
            scene = scene.with_record(record(&e, stage, Some("id0")));
        }
        assert_eq!(scene.one(), conflict(&e, message, vec![]), "{stage:?}");
    }
}

#[test]
fn i3_adoption_takes_what_matches_or_all() {
    let e = net("u1", &lab(adopting(AdoptionPolicy::IfMatching)));
    let planned = Scene::of(&e).with(theirs(&e, "id1")).one();
    assert!(planned.actions.is_empty());
    assert_eq!(planned.journal, put(adopted(&e, "id1")));
    assert_eq!(planned.status.state, EntryState::Ready);

    let message = "network lab exists, belongs to compose project shop, and differs, so \
                   adoptionPolicy IfMatching does not adopt it: internal: want false, have true";
    let scene = Scene::of(&e).with(differing(theirs(&e, "id1")));
    assert_eq!(scene.one(), conflict(&e, message, vec![internal()]));

    let e = net("u1", &lab(adopting(AdoptionPolicy::Force)));
    let planned = Scene::of(&e).with(differing(theirs(&e, "id1"))).one();
    assert_eq!(planned.journal, put(adopted(&e, "id1")));
    let message = "left as it is, updatePolicy is Never: internal: want false, have true";
    assert_eq!(
        planned.status,
        EntryStatus {
            id: Some("id1".to_owned()),
            diff: vec![internal()],
            ..entry_status(&e, EntryState::Drifted, Some(Reason::Drifted), message)
        }
    );
}

#[test]
fn i1_an_adopted_network_that_may_be_replaced_is_adopted_first() {
    let policy = Behaviour {
        adoption: AdoptionPolicy::Force,
        ..when_unused()
    };
    let e = net("u1", &lab(policy));
    let planned = Scene::of(&e).with(differing(theirs(&e, "id1"))).one();
    assert_eq!(
        planned.journal,
        put(adopted(&e, "id1").at(Stage::Replacing))
    );
    assert_eq!(planned.actions, replaces("id1", marked(&e, None)));
    // The network that replaced it was created by Dockfleet.
    let scene = Scene::of(&e)
        .with(observed_network(&e, "id2"))
        .with_record(adopted(&e, "id1").at(Stage::Replacing));
    assert_eq!(
        scene.one().journal,
        put(record(&e, Stage::Owned, Some("id2")))
    );
}

#[test]
fn a_suspended_resource_adopts_nothing() {
    let policy = Behaviour {
        suspend: true,
        ..adopting(AdoptionPolicy::Force)
    };
    let e = net("u1", &lab(policy));
    let message = "to be adopted; suspend is true";
    let status = entry_status(&e, EntryState::Pending, Some(Reason::Suspended), message);
    assert_eq!(
        Scene::of(&e).with(theirs(&e, "id1")).one(),
        only_reports(status)
    );
}

#[test]
fn i2_a_loss_is_not_hidden_by_a_volume_that_took_the_name() {
    for adoption in [
        AdoptionPolicy::Never,
        AdoptionPolicy::IfMatching,
        AdoptionPolicy::Force,
    ] {
        let e = vol("u1", &data(adopting(adoption)));
        let scene = Scene::of(&e)
            .with_volume(their_volume(&e))
            .with_record(record(&e, Stage::Owned, Some("v1")));
        let message = "volume data was ready and is gone with its data; another one has its name \
                       and belongs to compose project shop; remove that one, or set lossPolicy: \
                       Recreate and an adoptionPolicy to use it";
        let status = entry_status(&e, EntryState::Failed, Some(Reason::Lost), message);
        assert_eq!(scene.one(), only_reports(status), "{adoption:?}");
    }
    // The policies in the message solve it.
    let going_on = DesiredVolume {
        loss_policy: LossPolicy::Recreate,
        ..data(adopting(AdoptionPolicy::IfMatching))
    };
    let e = vol("u1", &going_on);
    let scene = Scene::of(&e)
        .with_volume(their_volume(&e))
        .with_record(record(&e, Stage::Owned, Some("v1")));
    let planned = scene.one();
    assert_eq!(planned.journal, put(adopted(&e, "name:data")));
    assert_eq!(planned.status.state, EntryState::Ready);
}

#[test]
fn a_recreated_resource_adopts_the_object_that_its_predecessor_released() {
    let before = net("u1", &lab(kept_policy()));
    let e = net("u2", &lab(kept_policy()));
    let scene = |have: ObservedNetwork| {
        Scene::of(&e)
            .with(have)
            .with_record(record(&before, Stage::Retained, Some("id1")))
    };
    let planned = scene(observed_network(&before, "id1")).one();
    assert_eq!(
        planned.journal,
        JournalChange::Put {
            record: record(&e, Stage::Owned, Some("id1")),
            instead_of: Some(RecordKey::object("u1"))
        }
    );
    assert_eq!(planned.status.state, EntryState::Ready);
    // Not if it differs, and not another object of that name.
    assert_eq!(
        scene(differing(observed_network(&before, "id1")))
            .one()
            .status
            .reason,
        Some(Reason::Conflict.into())
    );
    assert_eq!(
        scene(theirs(&before, "id9")).one().status.reason,
        Some(Reason::Conflict.into())
    );
    // And not for a resource of another name.
    let other = Entry {
        name: "other".to_owned(),
        ..e.clone()
    };
    let scene = Scene::of(&other)
        .with(observed_network(&before, "id1"))
        .with_record(record(&before, Stage::Retained, Some("id1")));
    assert_eq!(scene.one().status.reason, Some(Reason::Conflict.into()));
}

#[test]
fn i3_an_object_that_another_entry_still_owns_is_not_adopted() {
    for adoption in [
        AdoptionPolicy::Never,
        AdoptionPolicy::IfMatching,
        AdoptionPolicy::Force,
    ] {
        let before = net("u1", &lab(kept_policy()));
        let e = net("u2", &lab(adopting(adoption)));
        for policy in [DeletionPolicy::Delete, DeletionPolicy::Retain] {
            let tombstone = tombstone_of(&before, policy, Some("id1"));
            let waits = entry_status(
                &e,
                EntryState::Pending,
                Some(Reason::Progressing),
                "waits until team/lab has released network lab",
            );
            // By the journal, or by the label if the journal was lost.
            let by_journal = Scene::of(&e)
                .and(&tombstone)
                .with(theirs(&before, "id1"))
                .with_record(record(&before, Stage::Owned, Some("id1")));
            let by_label = Scene::of(&e)
                .and(&tombstone)
                .with(observed_network(&before, "id1"));
            assert_eq!(by_journal.about(&e), only_reports(waits.clone()));
            assert_eq!(by_label.about(&e), only_reports(waits));
        }
    }
}

#[test]
fn a_resource_that_came_back_with_another_uid_takes_up_its_own_object() {
    // The CRD or the namespace was deleted and created again, and the agent never got a tombstone.
    let before = net("u1", &lab(kept_policy()));
    let scene = |e: &Entry| {
        Scene::of(e)
            .with(observed_network(&before, "id1"))
            .with_record(record(&before, Stage::Owned, Some("id1")))
    };
    for policy in [kept_policy(), adopting(AdoptionPolicy::IfMatching)] {
        let e = net("u2", &lab(policy));
        assert_eq!(
            scene(&e).one().journal,
            JournalChange::Put {
                record: record(&e, Stage::Owned, Some("id1")),
                instead_of: Some(RecordKey::object("u1"))
            }
        );
    }
    // An object that differs is adopted only if the policy allows it.
    let other = DesiredNetwork {
        internal: true,
        ..lab(kept_policy())
    };
    let e = net("u2", &other);
    assert_eq!(scene(&e).one().status.reason, Some(Reason::Conflict.into()));
}

#[test]
fn i3_the_journal_of_the_new_owner_takes_precedence_over_a_label() {
    let before = net("u1", &lab(kept_policy()));
    let now = net("u2", &lab(kept_policy()));
    let scene = |first: &Entry, second: &Entry| {
        Scene::of(first)
            .and(second)
            .with(observed_network(&before, "id1"))
            .with_record(record(&now, Stage::Owned, Some("id1")))
    };
    // The label names u1, but u2 owns it now: u1's tombstone does not touch it.
    let tombstone = tombstone_of(&before, DeletionPolicy::Delete, Some("id1"));
    let planned = scene(&tombstone, &now).about(&tombstone);
    let message = "network lab does not belong to this resource and stays on the host; it \
                   belongs to Dockfleet resource team/lab (uid u2)";
    let status = entry_status(
        &tombstone,
        EntryState::Gone,
        Some(Reason::Retained),
        message,
    );
    assert_eq!(planned, only_reports(status));
    assert_eq!(
        scene(&tombstone, &now).about(&now).status.state,
        EntryState::Ready
    );
    // u1 does not get it back while u2 releases it, not even by its own old record.
    let leaving = tombstone_of(&now, DeletionPolicy::Delete, Some("id1"));
    for old in [None, Some(record(&before, Stage::Retained, Some("id1")))] {
        let mut scene = scene(&before, &leaving);
        if let Some(old) = old {
            scene = scene.with_record(old);
        }
        let status = scene.about(&before).status;
        assert_eq!(
            status.message,
            "waits until team/lab has released network lab"
        );
    }
}

#[test]
fn of_two_entries_with_one_name_one_acts() {
    let (first, second) = (
        net("u1", &lab(kept_policy())),
        net("u2", &lab(kept_policy())),
    );
    let taken = |e: &Entry| conflict(e, "network lab belongs to team/lab", vec![]);
    let scene = Scene::of(&second).and(&first);
    assert!(scene.about(&first).operation() == Some(Operation::Create));
    assert_eq!(scene.about(&second), taken(&second));
    // The owner in the journal takes precedence.
    let scene = scene.with_record(record(&second, Stage::Owned, Some("id1")));
    assert!(scene.about(&second).operation() == Some(Operation::Create));
    assert_eq!(scene.about(&first), taken(&first));
}

#[test]
fn several_networks_of_one_name_are_a_conflict() {
    let e = net("u1", &lab(adopting(AdoptionPolicy::Force)));
    let message = "the engine has 2 networks named lab (id1, id2-long-eno); a container that \
                   uses the name may get any of them; remove all but one";
    for twins in [["id1", "id2-long-enough"], ["id2-long-enough", "id1"]] {
        let scene = twins
            .iter()
            .fold(Scene::of(&e), |s, id| s.with(observed_network(&e, id)))
            .with_record(record(&e, Stage::Owned, Some("id1")));
        assert_eq!(scene.one(), conflict(&e, message, vec![]));
    }
}

#[test]
fn readopting_an_object_removes_the_record_of_the_resource_that_released_it() {
    let first = net("u1", &lab(kept_policy()));
    let between = net("u2", &lab(kept_policy()));
    let scene = Scene::of(&first)
        .with(observed_network(&first, "id1"))
        .with_record(record(&between, Stage::Retained, Some("id1")));
    assert_eq!(
        scene.one().journal,
        JournalChange::Put {
            record: record(&first, Stage::Owned, Some("id1")),
            instead_of: Some(RecordKey::object("u2"))
        }
    );
}
