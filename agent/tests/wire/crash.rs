//! A process that ends after any of its effects: the next one finishes the work, duplicates nothing and loses
//! nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dockfleet_agent::effect::Effects;
use dockfleet_agent::journal::Journal;
use dockfleet_agent::pass;
use dockfleet_crds::{Entry, EntryState};
use dockfleet_planner::credentials::CredentialStore;
use dockfleet_planner::desired::Behaviour;
use futures::FutureExt;

use crate::test_host::{TestHost, changed_network, network, tombstone, volume};

/// Ends a pass by a panic after the n-th effect, as an abort would, and returns whether there were that many.
async fn crashes(host: &mut TestHost, entries: &[Entry], after: usize) -> bool {
    let count = Arc::new(AtomicUsize::new(0));
    let effects = Effects::new(move |_| {
        assert!(
            count.fetch_add(1, Ordering::Relaxed) + 1 != after,
            "the end of the process"
        );
    });
    let mut silent = |_: &pass::Progress| {};
    let store = CredentialStore::new();
    let pass = pass::pass(
        &host.engine,
        &mut host.journal,
        entries,
        &store,
        &effects,
        &mut silent,
    );
    let crashed = AssertUnwindSafe(pass).catch_unwind().await.is_err();
    if crashed {
        restart(host);
    }
    crashed
}

fn restart(host: &mut TestHost) {
    // The open journal has the lock, so it must be closed first.
    let elsewhere = tempfile::tempdir().unwrap();
    host.journal = Journal::open(elsewhere.path()).unwrap();
    host.journal = Journal::open(host.folder.path()).unwrap();
}

#[tokio::test]
async fn every_crash_point_of_creates_is_repaired() {
    let entries = [network("a"), volume("b")];
    for after in 1.. {
        let mut host = TestHost::new().await;
        let crashed = crashes(&mut host, &entries, after).await;
        host.settle(&entries).await;
        assert_eq!(
            (host.fake.networks().len(), host.fake.volumes().len()),
            (1, 1),
            "{after}"
        );
        if !crashed {
            assert!(after > 4, "there are at least four effects");
            return;
        }
    }
}

#[tokio::test]
async fn every_crash_point_of_a_removal_and_a_replacement_is_repaired() {
    let policy = Behaviour {
        update_when_unused: true,
        ..Behaviour::default()
    };
    let old = [
        network("goes"),
        volume("goes-too"),
        changed_network("c", policy, &[]),
    ];
    let changed = changed_network("c", policy, &[("com.docker.network.driver.mtu", "1400")]);
    let new = [tombstone(&old[0]), tombstone(&old[1]), changed];
    for after in 1.. {
        let mut host = TestHost::new().await;
        host.settle(&old).await;
        let crashed = crashes(&mut host, &new, after).await;
        let report = host.pass(&new).await;
        let done = |state| matches!(state, Some(EntryState::Ready | EntryState::Gone));
        assert!(
            report.statuses.iter().all(|s| done(s.state.known())),
            "{after}: {report:?}"
        );
        let networks = host.fake.networks();
        assert_eq!(networks.len(), 1, "{after}");
        assert_eq!(
            networks[0]["Options"]["com.docker.network.driver.mtu"],
            "1400"
        );
        assert_eq!(host.fake.volumes().len(), 0, "{after}");
        if !crashed {
            return;
        }
    }
}
