//! An engine that fails: unknown does not mean absent (invariant 4).

use dockfleet_agent::engine::Cause;
use dockfleet_agent::engine::EngineError;
use dockfleet_crds::{EntryState, Reason};
use dockfleet_planner::record::{RecordKey, Stage};

use crate::fake::Fault;
use crate::test_host::{TestHost, network, state_of, tombstone, volume};

const ALL: [Fault; 4] = [
    Fault::Status(500, "boom"),
    Fault::Hang,
    Fault::Cut,
    Fault::Garbage,
];

/// The reason for an action that fails with this fault.
fn of_a_step(fault: &Fault) -> Reason {
    match fault {
        // The engine refuses, whatever the status is.
        Fault::Status(500, "boom") => Reason::EngineRefused,
        Fault::Status(500, "device or resource busy") => Reason::EngineBusy,
        _ => Reason::EngineUnreachable,
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_changes_nothing_of_its_kind() {
    for fault in ALL {
        let mut host = TestHost::new().await;
        let entries = [network("a"), volume("b")];
        host.settle(&entries).await;
        host.fake.fault("GET /networks", fault.clone());
        let report = host
            .pass(&[tombstone(&network("a")), network("new"), volume("b")])
            .await;
        for name in ["a", "new"] {
            let (state, reason, _) = state_of(&report, name);
            let unknown = (EntryState::Pending, Some(Reason::EngineUnreachable));
            assert_eq!((state, reason), unknown, "{fault:?}");
        }
        assert_eq!(state_of(&report, "b").0, EntryState::Ready, "{fault:?}");
        assert_eq!(host.fake.changes(), Vec::<String>::new(), "{fault:?}");
        assert_eq!(report.engine_failures.len(), 1);
        host.fake.heal();
        host.settle(&entries).await;
    }
}

#[tokio::test]
async fn volumes_that_cannot_be_listed_are_not_lost() {
    for fault in ALL {
        let mut host = TestHost::new().await;
        host.settle(&[volume("a")]).await;
        host.fake.fault("GET /volumes", fault);
        let report = host.pass(&[volume("a")]).await;
        assert_eq!(state_of(&report, "a").1, Some(Reason::EngineUnreachable));
        assert_eq!(host.fake.changes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_failed_create_is_checked_and_creates_no_duplicate() {
    for fault in ALL {
        let mut host = TestHost::new().await;
        host.fake.fault("POST /networks/create", fault.clone());
        let report = host.pass(&[network("a"), volume("b")]).await;
        let (state, reason, _) = state_of(&report, "a");
        let failed = (EntryState::Failed, Some(of_a_step(&fault)));
        assert_eq!((state, reason), failed, "{fault:?}");
        assert_eq!(state_of(&report, "b").0, EntryState::Ready);
        let mut changes = host.fake.changes();
        changes.sort();
        assert_eq!(changes, ["POST /networks/create", "POST /volumes/create"]);
        assert_eq!(
            host.journal.records()[&RecordKey::object("uid-a")].stage,
            Stage::Creating
        );
        host.fake.heal();
        host.settle(&[network("a"), volume("b")]).await;
        assert_eq!(host.fake.networks().len(), 1);
    }
}

#[tokio::test]
async fn a_removal_that_fails_is_reported_and_retried() {
    for fault in [
        Fault::Status(500, "boom"),
        Fault::Status(500, "database not open"),
        Fault::Status(500, "device or resource busy"),
        Fault::Status(503, "network id-a not found"),
        Fault::Hang,
    ] {
        let mut host = TestHost::new().await;
        host.settle(&[network("a"), volume("b")]).await;
        host.fake.fault("DELETE /networks", fault.clone());
        let tombstones = [tombstone(&network("a")), tombstone(&volume("b"))];
        let report = host.pass(&tombstones).await;
        assert_eq!(
            state_of(&report, "a").1,
            Some(of_a_step(&fault)),
            "{fault:?}"
        );
        assert_eq!(state_of(&report, "b").0, EntryState::Gone);
        assert_eq!(host.fake.changes().len(), 2, "each is tried once");
        assert_eq!(
            host.journal.records()[&RecordKey::object("uid-a")].stage,
            Stage::Removing
        );
        host.fake.heal();
        assert_eq!(
            state_of(&host.pass(&tombstones).await, "a").0,
            EntryState::Gone
        );
    }
}

#[tokio::test]
async fn a_404_that_is_not_about_the_object_does_not_mean_that_it_is_removed() {
    let mut host = TestHost::new().await;
    host.settle(&[volume("a")]).await;
    host.fake.fault(
        "DELETE /volumes",
        Fault::Status(404, "get a: plugin \"x\" not found"),
    );
    let report = host.pass(&[tombstone(&volume("a"))]).await;
    assert_eq!(state_of(&report, "a").1, Some(Reason::EngineRefused));
    assert_eq!(
        host.journal.records()[&RecordKey::object("uid-a")].stage,
        Stage::Removing
    );
}

#[tokio::test]
async fn errors_say_what_was_asked_and_what_came() {
    let host = TestHost::new().await;
    host.fake.fault("GET /networks", Fault::Hang);
    host.fake.fault(
        "GET /volumes",
        Fault::Status(500, "o=addr=h,password=hunter2,ro"),
    );
    let seen = host.engine.observe().await;
    let messages: Vec<String> = seen.failures.values().map(EngineError::sentence).collect();
    assert_eq!(
        messages,
        [
            "listing networks failed: no answer within 1 s",
            "listing volumes failed: status 500: o=addr=h,password=…,ro"
        ]
    );
    std::fs::remove_file(host.fake.socket()).unwrap();
    let failed = dockfleet_agent::engine::Engine::connect(&host.fake.endpoint())
        .await
        .unwrap_err();
    let connection = matches!(
        failed,
        EngineError::Unreachable {
            cause: Cause::Connection(_),
            ..
        }
    );
    assert!(connection, "{failed:?}");
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_stops_every_step() {
    let mut host = TestHost::new().await;
    host.settle(&[network("a")]).await;
    // A journal for reading cannot be written.
    host.journal = dockfleet_agent::journal::Journal::read_only(host.folder.path()).unwrap();
    let report = host.pass(&[tombstone(&network("a")), volume("b")]).await;
    for name in ["a", "b"] {
        let (state, reason, _) = state_of(&report, name);
        assert_eq!(
            (state, reason),
            (EntryState::Failed, Some(Reason::JournalFailed))
        );
    }
    assert!(report.journal_failure.is_some());
    assert_eq!(host.fake.changes(), Vec::<String>::new());
}
