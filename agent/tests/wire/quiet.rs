//! A pass with nothing to do.

use dockfleet_agent::effect::Effects;
use dockfleet_agent::pass;
use dockfleet_crds::EntryState;
use dockfleet_planner::credentials::Keyring;

use crate::bench::{Bench, network, volume};

#[tokio::test]
async fn a_pass_without_changes_makes_two_calls_and_writes_nothing() {
    let mut bench = Bench::new().await;
    let entries = [network("a"), network("b"), volume("c")];
    bench.settle(&entries).await;
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = written.clone();
    let effects = Effects::new(move |_| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let report = pass::pass(
        &bench.engine,
        &mut bench.journal,
        &entries,
        &Keyring::new(),
        &effects,
        &mut |_| {},
    )
    .await;
    let mut calls = bench.fake.calls();
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
    let bench = Bench::new().await;
    let planned = pass::preview(
        &bench.engine,
        &bench.journal,
        &[network("a"), volume("b")],
        &Keyring::new(),
    )
    .await
    .unwrap();
    assert_eq!(planned.len(), 2);
    assert!(
        planned
            .iter()
            .all(|p| p.status.state == EntryState::Pending)
    );
    assert_eq!(bench.fake.changes(), Vec::<String>::new());
    assert!(bench.journal.records().is_empty());
}

#[tokio::test]
async fn connecting_is_one_call() {
    let bench = Bench::new().await;
    drop(bench.fake.connect().await);
    assert_eq!(bench.fake.calls(), ["GET /version"]);
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_refused() {
    let fake = crate::fake::Fake::start("1.40");
    let refused = dockfleet_agent::engine::Engine::connect(&fake.endpoint())
        .await
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "engine fake speaks API 1.40, and the oldest that is supported is 20.10 (API 1.41)"
    );
}
