//! What is found in a volume by an examination.

use dockfleet_crds::policy::{AdoptionPolicy, DriftPolicy, ManagementPolicy};

use super::*;
use crate::examination::{Examination, Occasion};
use crate::kinds::volume::{DesiredOwnership, OwnershipChange, TopFolder};

fn owned(policy: Behaviour) -> DesiredVolume {
    DesiredVolume {
        ownership: Some(DesiredOwnership {
            uid: Some(1000),
            ..DesiredOwnership::default()
        }),
        ..data(policy)
    }
}

fn folder(uid: u32, has_files: bool) -> TopFolder {
    TopFolder {
        uid,
        gid: 0,
        mode: 0o755,
        has_files,
    }
}

fn found(entry: &Entry, folder: Option<TopFolder>) -> ObservedVolume {
    ObservedVolume {
        top_folder: folder,
        ..observed_volume(entry, "id1")
    }
}

/// The record of the volume after an examination.
fn examined(entry: &Entry, folder: Option<TopFolder>) -> Record {
    Record {
        examined: folder.map(|f| serde_json::to_value(f).unwrap()),
        ..record(entry, Stage::Owned, Some("id1"))
    }
}

fn examine(least: Occasion) -> Examination {
    Examination {
        least,
        name: "data".to_owned(),
        id: "id1".to_owned(),
    }
}

fn state(planned: &Planned) -> (EntryState, Option<Reason>) {
    let reason = planned.status.reason.as_ref();
    (
        planned.status.state.known().unwrap(),
        reason.map(|r| r.known().unwrap()),
    )
}

#[test]
fn a_volume_is_not_ready_before_its_owner_is_known() {
    let e = vol("u1", &owned(kept_policy()));
    let scene = Scene::of(&e)
        .with_volume(found(&e, None))
        .with_record(examined(&e, None));
    let planned = scene.one();
    assert_eq!(
        state(&planned),
        (EntryState::Pending, Some(Reason::Progressing))
    );
    assert_eq!(planned.examine, Some(examine(Occasion::None)));
    // Nothing is done on the host of a resource that is suspended or only observed.
    let suspended = Behaviour {
        suspend: true,
        ..kept_policy()
    };
    let e = vol("u1", &owned(suspended));
    let planned = Scene::of(&e).with_volume(found(&e, None)).one();
    assert_eq!(
        state(&planned),
        (EntryState::Pending, Some(Reason::Suspended))
    );
    assert_eq!(planned.examine, None);
    let observed = Behaviour {
        management: ManagementPolicy::Observe,
        ..kept_policy()
    };
    let e = vol("u1", &owned(observed));
    let planned = Scene::of(&e).with_volume(found(&e, None)).one();
    assert_eq!(state(&planned), (EntryState::Ready, None));
    assert_eq!(planned.examine, None);
}

#[test]
fn an_owner_is_set_and_what_was_found_is_in_the_journal_first() {
    let e = vol("u1", &owned(kept_policy()));
    let wrong = folder(0, false);
    let scene = Scene::of(&e)
        .with_volume(found(&e, Some(wrong)))
        .with_record(examined(&e, None));
    let planned = scene.one();
    let change = OwnershipChange {
        id: "id1".to_owned(),
        ownership: owned(kept_policy()).ownership.unwrap(),
    };
    let update = Action::DockerVolume(ObjectAction::Update {
        name: "data".to_owned(),
        driver: "local".to_owned(),
        change,
    });
    assert_eq!(planned.actions, [update]);
    assert_eq!(planned.journal, put(examined(&e, Some(wrong))));
    let right = folder(1000, false);
    let scene = Scene::of(&e)
        .with_volume(found(&e, Some(right)))
        .with_record(examined(&e, Some(right)));
    let planned = scene.one();
    assert_eq!(
        (state(&planned), &planned.actions),
        ((EntryState::Ready, None), &Vec::new())
    );
    assert_eq!(planned.journal, JournalChange::Keep);
    assert_eq!(planned.examine, Some(examine(Occasion::Containers)));
    let full = folder(0, true);
    let scene = Scene::of(&e)
        .with_volume(found(&e, Some(full)))
        .with_record(examined(&e, Some(full)));
    let planned = scene.one();
    assert_eq!(
        (state(&planned), &planned.actions),
        ((EntryState::Ready, None), &Vec::new())
    );
    assert!(planned.status.message.contains("want 1000, have 0"));
    assert_eq!(planned.examine, None);
}

#[test]
fn an_owner_is_only_reported_where_drift_is_only_observed() {
    let observing = Behaviour {
        drift: DriftPolicy::Observe,
        ..kept_policy()
    };
    let e = vol("u1", &owned(observing));
    let planned = Scene::of(&e)
        .with_volume(found(&e, Some(folder(0, false))))
        .with_record(examined(&e, None))
        .one();
    assert_eq!(planned.actions, Vec::new());
    assert_eq!(
        state(&planned),
        (EntryState::Drifted, Some(Reason::Drifted))
    );
    assert_eq!(planned.status.diff.len(), 1);
}

/// An owner does not say whose volume it is.
#[test]
fn an_owner_is_no_reason_against_an_adoption() {
    let matching = Behaviour {
        adoption: AdoptionPolicy::IfMatching,
        ..kept_policy()
    };
    let e = vol("u1", &owned(matching));
    for folder in [None, Some(folder(0, false)), Some(folder(1000, true))] {
        let theirs = ObservedVolume {
            top_folder: folder,
            ..their_volume(&e)
        };
        let planned = Scene::of(&e).with_volume(theirs).one();
        assert!(
            matches!(planned.journal, JournalChange::Put { .. }),
            "{planned:?}"
        );
        assert_eq!(
            planned.actions.is_empty(),
            folder.is_none_or(|f| f.uid == 1000)
        );
    }
    let e = vol("u1", &owned(kept_policy()));
    let planned = Scene::of(&e).with_volume(their_volume(&e)).one();
    assert_eq!(
        state(&planned),
        (EntryState::Failed, Some(Reason::Conflict))
    );
    assert_eq!(planned.examine, None, "invariant 3");
}

#[test]
fn what_was_found_in_a_volume_is_recalled_for_this_volume_only() {
    let e = vol("u1", &owned(kept_policy()));
    let of = |stage, id| Record {
        examined: Some(serde_json::to_value(folder(7, true)).unwrap()),
        ..record(&e, stage, Some(id))
    };
    let recalled = |record: Record| {
        let mut observed = ObservedState::default();
        let volume = found(&e, None).into();
        observed.insert(Kind::DockerVolume, vec![volume]);
        let records = Records::from([(record.key.clone(), record)]);
        observed.recall(Kind::DockerVolume, &records);
        let volumes = observed.all(Kind::DockerVolume).unwrap();
        volumes == [found(&e, Some(folder(7, true))).into()]
    };
    assert!(recalled(of(Stage::Owned, "id1")));
    assert!(
        !recalled(of(Stage::Owned, "id2")),
        "another volume of the name"
    );
    assert!(!recalled(of(Stage::Retained, "id1")), "it was released");
}
