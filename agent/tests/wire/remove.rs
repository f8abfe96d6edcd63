//! Removals: only with permission, only the named object, only if nothing uses it.

use dockfleet_crds::{EntryState, Reason};
use dockfleet_planner::desired::Behaviour;
use serde_json::json;

use crate::fake::Fault;
use crate::test_host::{TestHost, changed_network, network, state_of, tombstone, volume};

#[tokio::test]
async fn a_tombstone_removes_its_object_and_nothing_else() {
    let mut host = TestHost::new().await;
    host.fake
        .add_network(json!({"Name": "theirs", "Driver": "bridge"}));
    host.settle(&[network("a"), volume("b"), volume("c")]).await;
    let report = host
        .pass(&[
            tombstone(&network("a")),
            tombstone(&volume("b")),
            volume("c"),
        ])
        .await;
    assert_eq!(state_of(&report, "a").1, Some(Reason::Removed));
    assert_eq!(state_of(&report, "b").1, Some(Reason::Removed));
    let stages = host.fake.stages();
    assert!(stages[3].contains(&"a Removing".to_owned()), "{stages:?}");
    let id = format!("{:064x}", 2);
    assert_eq!(
        host.fake.changes(),
        [format!("DELETE /networks/{id}"), "DELETE /volumes/b".into()]
    );
    assert_eq!(host.fake.networks().len(), 1);
    assert_eq!(host.journal.records().len(), 1);
}

#[tokio::test]
async fn an_object_of_a_stopped_container_stays_and_the_container_is_named() {
    let mut host = TestHost::new().await;
    host.settle(&[network("a"), volume("b")]).await;
    host.fake.add_container(json!({
        "Id": "1", "Names": ["/web"], "State": "created",
        "NetworkSettings": {"Networks": {"a": {"NetworkID": ""}}},
        "Mounts": [{"Type": "volume", "Name": "b"}]
    }));
    let tombstones = [tombstone(&network("a")), tombstone(&volume("b"))];
    let report = host.pass(&tombstones).await;
    for name in ["a", "b"] {
        let (state, reason, message) = state_of(&report, name);
        assert_eq!((state, reason), (EntryState::Pending, Some(Reason::InUse)));
        assert!(message.contains("in use by web"), "{message}");
    }
    assert_eq!((report.waiting, report.unfinished), (2, 0));
    assert_eq!(host.fake.changes(), Vec::<String>::new());
    host.fake.clear_containers();
    let report = host.pass(&tombstones).await;
    assert_eq!(state_of(&report, "a").0, EntryState::Gone);
    assert_eq!(state_of(&report, "b").0, EntryState::Gone);
}

#[tokio::test]
async fn a_changed_network_in_use_stays_and_is_replaced_afterwards() {
    let mut host = TestHost::new().await;
    let policy = Behaviour {
        update_when_unused: true,
        ..Behaviour::default()
    };
    let old = changed_network("a", policy, &[]);
    let new = changed_network("a", policy, &[("com.docker.network.driver.mtu", "1400")]);
    host.settle(&[old]).await;
    host.fake.add_container(json!({
        "Names": ["/web"], "NetworkSettings": {"Networks": {"a": {"NetworkID": ""}}}
    }));
    let report = host.pass(std::slice::from_ref(&new)).await;
    let (state, reason, message) = state_of(&report, "a");
    assert_eq!((state, reason), (EntryState::Drifted, Some(Reason::InUse)));
    assert!(
        message.contains("web") && message.contains("mtu"),
        "{message}"
    );
    assert_eq!(host.fake.changes(), Vec::<String>::new());
    host.fake.clear_containers();
    host.settle(&[new]).await;
    let stages = host.fake.stages();
    assert!(
        stages.iter().skip(1).all(|s| s == &["a Replacing"]),
        "{stages:?}"
    );
    assert_eq!(
        host.fake.networks()[0]["Options"]["com.docker.network.driver.mtu"],
        "1400"
    );
}

#[tokio::test]
async fn a_volume_that_took_the_name_meanwhile_stays() {
    let mut host = TestHost::new().await;
    host.settle(&[volume("a")]).await;
    host.fake.fault("DELETE /volumes", Fault::Exchanged);
    let report = host.pass(&[tombstone(&volume("a"))]).await;
    assert_eq!(host.fake.changes(), Vec::<String>::new());
    assert_eq!(state_of(&report, "a").1, Some(Reason::Retained));
    assert_eq!(host.fake.volumes().len(), 1);
}

#[tokio::test]
async fn nothing_is_removed_if_its_containers_cannot_be_listed() {
    for fault in [
        Fault::Status(500, "boom"),
        Fault::Hang,
        Fault::Cut,
        Fault::Garbage,
    ] {
        let mut host = TestHost::new().await;
        host.settle(&[network("a"), volume("b")]).await;
        host.fake.fault("GET /containers/json", fault);
        let report = host
            .pass(&[tombstone(&network("a")), tombstone(&volume("b"))])
            .await;
        assert_eq!(state_of(&report, "a").1, Some(Reason::EngineUnreachable));
        assert_eq!(host.fake.changes(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_empty_assignment_removes_nothing() {
    let mut host = TestHost::new().await;
    host.settle(&[network("a"), volume("b")]).await;
    let report = host.pass(&[]).await;
    assert_eq!(host.fake.changes(), Vec::<String>::new());
    assert!(
        report
            .statuses
            .iter()
            .all(|s| s.reason == Some(Reason::Unassigned.into()))
    );
    assert_eq!(report.statuses.len(), 2);
}
