//! Volumes whose mount needs credentials.

use dockfleet_crds::policy::{AdoptionPolicy, ManagementPolicy};

use super::*;
use crate::credentials::{CredentialEntry, Credentials};

/// A share whose entry names version `v1` of its credentials.
fn share(policy: Behaviour) -> Entry {
    let desired = DesiredVolume {
        options: map(&[
            ("type", "cifs"),
            ("device", "//nas/a"),
            ("o", "addr=nas,rw"),
        ]),
        credentials: Some("v1".to_owned()),
        ..data(policy)
    };
    vol("u1", &desired)
}

fn login(password: &str) -> Credentials {
    let o = format!("username=a,password={password}");
    Credentials::take_out(&mut map(&[("type", "cifs"), ("o", &o)])).unwrap()
}

fn store(version: &str, password: &str) -> CredentialStore {
    let mut store = CredentialStore::new();
    let parcel = CredentialEntry {
        version: version.to_owned(),
        credentials: login(password),
    };
    store.insert("u1".to_owned(), parcel);
    store
}

/// The observed share, created with a password.
fn made_with(entry: &Entry, password: &str) -> ObservedVolume {
    ObservedVolume {
        credentials: Some(login(password)),
        ..observed_volume(entry, "id1")
    }
}

fn owned(entry: &Entry, seen: Option<&str>) -> Record {
    Record {
        credentials: seen.map(str::to_owned),
        ..record(entry, Stage::Owned, Some("id1"))
    }
}

fn plan_with(scene: &Scene, store: &CredentialStore) -> Planned {
    let context = PlanContext { store, ..CONTEXT };
    scene.plan_with(&context).remove(0)
}

#[test]
fn a_share_is_created_when_its_credentials_are_available_and_not_before() {
    let e = share(kept_policy());
    let scene = Scene::of(&e);
    let mut unreachable = CredentialStore::new();
    unreachable.error = Some("no answer".to_owned());
    let message = "waits for its credentials, which are in the host's Secret";
    let waits = |message: &str| {
        only_reports(entry_status(
            &e,
            EntryState::Pending,
            Some(Reason::CredentialsMissing),
            message,
        ))
    };
    assert_eq!(plan_with(&scene, &CredentialStore::new()), waits(message));
    assert_eq!(
        plan_with(&scene, &unreachable),
        waits(&format!("{message}: no answer"))
    );
    // An older version does not count.
    assert_eq!(plan_with(&scene, &store("v0", "old")), waits(message));
    let planned = plan_with(&scene, &store("v1", "hunter2"));
    assert!(
        planned.operation() == Some(Operation::Create),
        "{planned:?}"
    );
    // The action has no password; the call to the engine adds it.
    let [Action::DockerVolume(ObjectAction::Create(volume))] = planned.actions.as_slice() else {
        unreachable!()
    };
    let shown = serde_json::to_string(volume);
    assert!(!shown.unwrap().contains("hunter2"));
}

#[test]
fn credentials_that_were_seen_once_are_known_without_the_secret() {
    let e = share(kept_policy());
    let seen = Scene::of(&e)
        .with_volume(made_with(&e, "hunter2"))
        .with_record(owned(&e, None));
    let first = plan_with(&seen, &store("v1", "hunter2"));
    assert_eq!(first.status, ready(&e, "id1".to_owned()));
    assert_eq!(first.journal, put(owned(&e, Some("v1"))));
    // After a restart without an API server.
    let later = Scene::of(&e)
        .with_volume(made_with(&e, "hunter2"))
        .with_record(owned(&e, Some("v1")));
    assert_eq!(
        plan_with(&later, &CredentialStore::new()),
        only_reports(ready(&e, "id1".to_owned()))
    );
    for record in [owned(&e, None), owned(&e, Some("v0"))] {
        let unseen = Scene::of(&e)
            .with_volume(made_with(&e, "hunter2"))
            .with_record(record);
        let planned = plan_with(&unseen, &CredentialStore::new());
        assert_eq!(
            planned.status.reason,
            Some(Reason::CredentialsMissing.into())
        );
        assert_eq!(planned.status.id.as_deref(), Some("id1"));
        assert_eq!(planned.journal, JournalChange::Keep);
    }
}

/// Invariant 9: a difference is reported without its value.
#[test]
fn different_credentials_are_reported_and_not_shown() {
    let e = share(kept_policy());
    let scene = Scene::of(&e)
        .with_volume(made_with(&e, "hunter2"))
        .with_record(owned(&e, Some("v0")));
    let planned = plan_with(&scene, &store("v1", "hunter3"));
    let message = "volume data has other credentials than its Secret: set updatePolicy: WhenUnused, or, \
                   when no container uses it, remove it (docker volume rm data); it is created again with \
                   the new ones, and its data stays on the server";
    let status = EntryStatus {
        id: Some("id1".to_owned()),
        diff: vec![FieldDiff {
            field: "cifs.credentialsSecret".to_owned(),
            want: "its credentials".to_owned(),
            have: "others".to_owned(),
        }],
        ..entry_status(&e, EntryState::Drifted, Some(Reason::Drifted), message)
    };
    assert_eq!(planned, only_reports(status));
    // The record keeps the version of the credentials that the volume really has.
    let same_version = Scene::of(&e)
        .with_volume(made_with(&e, "hunter2"))
        .with_record(owned(&e, Some("v1")));
    let planned = plan_with(&same_version, &store("v1", "hunter3"));
    assert_eq!(planned.journal, put(owned(&e, None)));
    // Removed by hand, it is created with the new credentials: its data is elsewhere.
    let removed = Scene::of(&e).with_record(owned(&e, Some("v0")));
    let planned = plan_with(&removed, &store("v1", "hunter3"));
    assert!(
        planned.operation() == Some(Operation::Create),
        "{planned:?}"
    );
    assert_eq!(
        plan_with(&removed, &CredentialStore::new()).status.reason,
        Some(Reason::CredentialsMissing.into())
    );
}

#[test]
fn a_share_that_is_not_ours_is_adopted_by_its_credentials_too() {
    let theirs = |password: &str| ObservedVolume {
        credentials: Some(login(password)),
        ..their_volume(&share(kept_policy()))
    };
    let policy = |adoption| Behaviour {
        adoption,
        ..Behaviour::default()
    };
    let e = share(policy(AdoptionPolicy::IfMatching));
    let same = Scene::of(&e).with_volume(theirs("hunter2"));
    let reason = |scene: &Scene, store: &CredentialStore| plan_with(scene, store).status.reason;
    assert_eq!(reason(&same, &store("v1", "hunter2")), None);
    assert_eq!(
        reason(&same, &store("v1", "other")),
        Some(Reason::Conflict.into())
    );
    assert_eq!(
        reason(&same, &CredentialStore::new()),
        Some(Reason::CredentialsMissing.into())
    );
    let e = share(policy(AdoptionPolicy::Never));
    let scene = Scene::of(&e).with_volume(theirs("hunter2"));
    assert_eq!(
        reason(&scene, &CredentialStore::new()),
        Some(Reason::Conflict.into())
    );
}

#[test]
fn observe_compares_credentials_as_far_as_they_are_known() {
    let e = share(Behaviour {
        management: ManagementPolicy::Observe,
        ..Behaviour::default()
    });
    let scene = Scene::of(&e).with_volume(made_with(&e, "hunter2"));
    let reason = |store: &CredentialStore| plan_with(&scene, store).status.reason;
    assert_eq!(reason(&store("v1", "hunter2")), None);
    assert_eq!(reason(&store("v1", "other")), Some(Reason::Drifted.into()));
    assert_eq!(
        reason(&CredentialStore::new()),
        Some(Reason::CredentialsMissing.into())
    );
}

#[test]
fn a_tombstone_needs_no_credentials() {
    let e = tombstone_of(&share(kept_policy()), DeletionPolicy::Delete, Some("id1"));
    let scene = Scene::of(&e)
        .with_volume(made_with(&share(kept_policy()), "hunter2"))
        .with_record(owned(&share(kept_policy()), Some("v1")));
    let planned = plan_with(&scene, &CredentialStore::new());
    assert!(
        planned.operation() == Some(Operation::Remove),
        "{planned:?}"
    );
}

#[test]
fn a_share_with_other_credentials_is_replaced_with_permission() {
    let e = share(when_unused());
    let scene = Scene::of(&e)
        .with_volume(made_with(&e, "hunter2"))
        .with_record(owned(&e, Some("v0")));
    // In files, the revision is the same.
    let planned = plan_with(&scene, &store("v1", "hunter3"));
    assert_eq!(planned.operation(), Some(Operation::Replace));
    let expected = owned(&e, Some("v0")).at(Stage::Replacing);
    assert_eq!(planned.journal, put(expected));
    assert_eq!(
        planned.status.message,
        "to be replaced: cifs.credentialsSecret: want its credentials, have others"
    );
    // Without the credentials it could not be created again.
    let planned = plan_with(&scene, &CredentialStore::new());
    assert_eq!(planned.actions, []);
    let planned = plan_with(&scene, &store("v1", "hunter2"));
    assert_eq!(planned.actions, []);
}
