//! A pass with nothing to do.

use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::Engine;
use dockfleet_agent::pass;
use dockfleet_crds::EntryState;
use dockfleet_planner::credentials::CredentialStore;

use crate::fake::{Fake, Fault};
use crate::test_host::{TestHost, network, volume};

#[tokio::test]
async fn a_pass_without_changes_makes_two_calls_and_writes_nothing() {
    let mut host = TestHost::new().await;
    let entries = [network("a"), network("b"), volume("c")];
    host.settle(&entries).await;
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = written.clone();
    let effects = Effects::new(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let report = pass::pass(
        &host.engine,
        &mut host.journal,
        &entries,
        &CredentialStore::new(),
        &effects,
        &mut |_| {},
    )
    .await;
    let mut calls = host.fake.calls();
    calls.sort();
    assert_eq!(calls, ["GET /networks", "GET /volumes"]);
    assert_eq!(
        (report.engine_calls, report.changed, report.unfinished),
        (2, 0, 0)
    );
    assert_eq!(written.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_preview_changes_nothing() {
    let host = TestHost::new().await;
    let planned = pass::preview(
        &host.engine,
        &host.journal,
        &[network("a"), volume("b")],
        &CredentialStore::new(),
    )
    .await
    .unwrap();
    assert_eq!(planned.len(), 2);
    assert!(
        planned
            .iter()
            .all(|p| p.status.state == EntryState::Pending)
    );
    assert_eq!(host.fake.changes(), Vec::<String>::new());
    assert!(host.journal.records().is_empty());
}

#[tokio::test]
async fn connecting_is_one_call() {
    let host = TestHost::new().await;
    drop(host.fake.connect().await);
    assert_eq!(host.fake.calls(), ["GET /version"]);
}

#[tokio::test]
async fn a_command_connects_with_a_ping_or_with_what_is_allowed_instead() {
    let fake = Fake::start("1.43");
    let engine = Engine::connect(&fake.endpoint()).await.unwrap();
    let facts = engine.facts();
    assert_eq!(
        (&*facts.version, &*facts.api_version, &*facts.os),
        ("fake", "1.43", "linux")
    );
    assert_eq!(fake.calls(), ["GET /_ping"]);

    fake.fault("GET /_ping", Fault::Status(403, "not allowed"));
    let engine = Engine::connect(&fake.endpoint()).await.unwrap();
    assert_eq!(engine.facts().api_version, "1.43");
    assert_eq!(fake.calls(), ["GET /_ping", "GET /version"]);
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_refused() {
    let fake = Fake::start("1.40");
    let refused = Engine::connect(&fake.endpoint()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "engine fake has API 1.40, but the oldest supported engine is 20.10 (API 1.41)"
    );
}
