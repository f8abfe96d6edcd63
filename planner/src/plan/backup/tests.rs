use dockfleet_crds::Intent;
use dockfleet_crds::assignment::Kind;
use serde_json::Map;

use super::*;
use crate::credentials::{CredentialEntry, Credentials};
use crate::desired::{Tombstone, payload};
use crate::render;

fn entry(released: bool) -> Entry {
    let want = DesiredBackup {
        name: "nightly".to_owned(),
        volume: "data".to_owned(),
        timeout: 60,
        credentials: Some("v1".to_owned()),
        ..DesiredBackup::default()
    };
    let (spec, revision) = payload(&want, None);
    Entry {
        uid: "u1".to_owned(),
        kind: Kind::VolumeBackup.into(),
        namespace: "lab".to_owned(),
        name: "nightly".to_owned(),
        revision,
        intent: Intent::Present.into(),
        released,
        spec,
        ..Entry::default()
    }
}

fn store() -> CredentialStore {
    let mut store = CredentialStore::new();
    let entry = CredentialEntry {
        version: "v1".to_owned(),
        credentials: Credentials::default(),
    };
    store.insert("u1".to_owned(), entry);
    store
}

fn plan(
    entry: &Entry,
    records: &Records,
    held: Option<(Reason, &str)>,
    running: &[&str],
    store: &CredentialStore,
) -> PlannedBackup {
    let running = running
        .iter()
        .map(|uid| ((*uid).to_owned(), "5 files so far".to_owned()));
    let context = BackupContext {
        held,
        store,
        running: &running.collect(),
    };
    let mut all = backups(std::slice::from_ref(entry), records, &context);
    all.pop().unwrap()
}

fn outcome(planned: &PlannedBackup) -> (EntryState, Option<Reason>, bool) {
    let status = &planned.planned.status;
    let reason = status.reason.as_ref().map(|r| r.known().unwrap());
    (
        status.state.known().unwrap(),
        reason,
        planned.runs.is_some(),
    )
}

#[test]
fn a_backup_begins_when_it_is_released_and_nothing_is_missing() {
    let (none, store, empty) = (Records::new(), store(), CredentialStore::new());
    let pending = |reason, runs| (EntryState::Pending, Some(reason), runs);
    let waits = plan(&entry(false), &none, None, &[], &store);
    assert_eq!(outcome(&waits), pending(Reason::Progressing, false));
    assert_eq!(waits.planned.status.message, "it waits for its turn");
    let begins = plan(&entry(true), &none, None, &[], &store);
    assert_eq!(outcome(&begins), pending(Reason::Progressing, true));
    let paused = plan(
        &entry(true),
        &none,
        Some((Reason::Paused, "why")),
        &[],
        &store,
    );
    assert_eq!(outcome(&paused), pending(Reason::Paused, false));
    let locked = plan(&entry(true), &none, None, &[], &empty);
    assert_eq!(outcome(&locked), pending(Reason::CredentialsMissing, false));
}

#[test]
fn what_runs_goes_on_until_it_ends_whatever_changes() {
    let (none, empty) = (Records::new(), CredentialStore::new());
    let held = Some((Reason::Paused, "why"));
    let runs = plan(&entry(false), &none, held, &["u1"], &empty);
    assert_eq!(
        outcome(&runs),
        (EntryState::Pending, Some(Reason::Progressing), true)
    );
    assert_eq!(runs.planned.status.message, "5 files so far");
    let detail = BackupDetail::read(runs.planned.status.detail.as_ref());
    assert!(detail.running);
}

#[test]
fn a_result_is_reported_for_ever_and_nothing_runs_again() {
    let whole = HostBackup {
        snapshot_id: Some("abc".to_owned()),
        ..HostBackup::default()
    };
    let partial = HostBackup {
        reason: Some(Reason::PartiallyFailed.into()),
        ..whole.clone()
    };
    let failed = HostBackup {
        reason: Some(Reason::StoreFull.into()),
        ..HostBackup::default()
    };
    for (result, state, reason) in [
        (whole, EntryState::Ready, None),
        (partial, EntryState::Failed, Some(Reason::PartiallyFailed)),
        (failed, EntryState::Failed, Some(Reason::StoreFull)),
    ] {
        let record = recorded(&entry(true), &result);
        let records = Records::from([(record.key.clone(), record)]);
        for held in [None, Some((Reason::EngineUnreachable, "gone"))] {
            let done = plan(&entry(true), &records, held, &[], &store());
            assert_eq!(outcome(&done), (state, reason, false));
            let detail = BackupDetail::read(done.planned.status.detail.as_ref());
            assert_eq!(detail.result, Some(result.clone()));
            assert_eq!(done.planned.journal, JournalChange::Keep);
        }
    }
}

#[test]
fn a_deleted_backup_is_gone_when_it_has_stopped() {
    let stone = Tombstone {
        name: "nightly".to_owned(),
        policy: dockfleet_crds::policy::DeletionPolicy::Retain,
    };
    let deleted = render::tombstone(&entry(true), &stone, None);
    let stops = plan(&deleted, &Records::new(), None, &["u1"], &store());
    assert_eq!(
        outcome(&stops),
        (EntryState::Pending, Some(Reason::Progressing), false)
    );
    let record = recorded(&entry(true), &HostBackup::default());
    let key = record.key.clone();
    let records = Records::from([(key.clone(), record)]);
    let gone = plan(&deleted, &records, None, &[], &store());
    assert_eq!(
        outcome(&gone),
        (EntryState::Gone, Some(Reason::Retained), false)
    );
    assert_eq!(gone.planned.journal, JournalChange::Forget(key));
}

#[test]
fn i15_a_part_of_a_newer_version_is_not_acted_on() {
    let mut newer = entry(true);
    newer.spec.insert("hooks".to_owned(), Map::new().into());
    let refused = plan(&newer, &Records::new(), None, &[], &store());
    assert_eq!(
        outcome(&refused),
        (EntryState::Unsupported, Some(Reason::AgentTooOld), false)
    );
}
