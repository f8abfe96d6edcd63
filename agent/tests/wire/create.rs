//! Creates: the intent comes first, and the created object is observed.

use dockfleet_crds::{EntryState, Reason};
use dockfleet_planner::record::Stage;

use crate::fake::Fault;
use crate::test_host::{TestHost, changed_network, network, state_of, volume, volume_with};

#[tokio::test]
async fn the_intents_of_a_pass_are_durable_before_its_first_create() {
    let mut host = TestHost::new().await;
    let report = host.pass(&[network("a"), network("b")]).await;
    assert_eq!(report.changed, 2);
    assert_eq!(
        host.fake.changes(),
        ["POST /networks/create", "POST /networks/create"]
    );
    let intents = vec!["a Creating".to_owned(), "b Creating".to_owned()];
    assert_eq!(host.fake.stages(), [intents.clone(), intents]);
    assert!(
        host.journal
            .records()
            .values()
            .all(|r| r.stage == Stage::Owned && r.was_ready)
    );
}

#[tokio::test]
async fn old_engines_are_asked_to_look_for_duplicates_and_new_ones_are_not() {
    for (api, asked) in [
        ("1.41", true),
        ("1.43", true),
        ("1.44", false),
        ("1.56", false),
    ] {
        let mut host = TestHost::with(api).await;
        host.settle(&[network("a")]).await;
        let sent = host.fake.networks()[0].get("CheckDuplicate").is_some();
        assert_eq!(sent, asked, "API {api}");
    }
}

#[tokio::test]
async fn a_volume_that_was_created_without_its_options_is_not_ready() {
    let mut host = TestHost::new().await;
    host.fake
        .fault("POST /volumes/create", Fault::WithoutOptions);
    let entries = [volume_with("a", &[("type", "tmpfs"), ("device", "tmpfs")])];
    let report = host.pass(&entries).await;
    let (state, reason, message) = state_of(&report, "a");
    assert_eq!(
        (state, reason),
        (EntryState::Drifted, Some(Reason::Drifted))
    );
    assert!(message.contains("options[device]"), "{message}");
    assert_eq!(host.fake.changes(), ["POST /volumes/create"]);
}

#[tokio::test]
async fn a_network_that_the_engine_creates_differently_is_not_replaced_again() {
    let mut host = TestHost::new().await;
    host.fake
        .fault("POST /networks/create", Fault::WithoutOptions);
    let policy = dockfleet_planner::desired::Behaviour {
        update_when_unused: true,
        ..Default::default()
    };
    let entries = [changed_network(
        "a",
        policy,
        &[("com.docker.network.driver.mtu", "1400")],
    )];
    let report = host.pass(&entries).await;
    assert_eq!(state_of(&report, "a").0, EntryState::Drifted);
    assert_eq!(host.fake.changes(), ["POST /networks/create"]);
}

#[tokio::test]
async fn a_create_without_effect_is_not_repeated_without_end() {
    let mut host = TestHost::new().await;
    host.fake.fault("POST /networks/create", Fault::Ignored);
    let report = host.pass(&[network("a")]).await;
    assert_eq!(state_of(&report, "a").0, EntryState::Pending);
    assert_eq!(host.fake.changes().len(), 3);
    assert_eq!(report.unfinished, 1);
}

#[tokio::test]
async fn a_network_that_was_created_just_before_is_a_conflict() {
    for (api, fault) in [("1.52", Fault::Raced), ("1.41", Fault::Raced)] {
        let mut host = TestHost::with(api).await;
        host.fake.fault("POST /networks/create", fault);
        let report = host.pass(&[network("a")]).await;
        let (state, reason, _) = state_of(&report, "a");
        assert_eq!(
            (state, reason),
            (EntryState::Failed, Some(Reason::Conflict))
        );
        assert_eq!(host.fake.changes(), ["POST /networks/create"]);
        assert_eq!(host.fake.networks().len(), 1);
    }
}

#[tokio::test]
async fn a_silent_duplicate_is_reported_and_neither_is_removed() {
    let mut host = TestHost::with("1.41").await;
    host.fake.fault("POST /networks/create", Fault::Duplicated);
    let report = host.pass(&[network("a")]).await;
    let (state, reason, message) = state_of(&report, "a");
    assert_eq!(
        (state, reason),
        (EntryState::Failed, Some(Reason::Conflict))
    );
    assert!(message.contains("2 networks named a"), "{message}");
    assert_eq!(host.fake.changes(), ["POST /networks/create"]);
    assert_eq!(host.fake.networks().len(), 2);
}

#[tokio::test]
async fn a_volume_that_was_created_just_before_is_a_conflict() {
    let mut host = TestHost::new().await;
    host.fake.fault("POST /volumes/create", Fault::Raced);
    let report = host.pass(&[volume("a")]).await;
    let (state, reason, _) = state_of(&report, "a");
    assert_eq!(
        (state, reason),
        (EntryState::Failed, Some(Reason::Conflict))
    );
    assert_eq!(host.fake.changes(), ["POST /volumes/create"]);
    assert_eq!(host.fake.volumes().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_reported_in_the_engines_words_and_blocks_nothing() {
    let mut host = TestHost::new().await;
    host.fake.fault(
        "POST /networks/create",
        Fault::Status(500, "invalid CIDR address: x"),
    );
    let report = host.pass(&[network("a"), volume("b")]).await;
    let (state, reason, message) = state_of(&report, "a");
    assert_eq!(
        (state, reason),
        (EntryState::Failed, Some(Reason::EngineRefused))
    );
    assert!(message.contains("invalid CIDR address: x"), "{message}");
    assert_eq!(state_of(&report, "b").0, EntryState::Ready);
    assert_eq!(report.unfinished, 1);
}

#[tokio::test]
async fn a_network_that_the_engine_does_not_list_is_explained() {
    let mut host = TestHost::new().await;
    host.pass(&[network("a")]).await;
    let id = host.fake.networks()[0]["Id"].as_str().unwrap().to_owned();
    let refusal = |rival: &str| -> &'static str {
        let text = format!(
            "cannot create network {:f<64} (br-f): conflicts with network {rival} (br-1): networks \
             have overlapping IPv4",
            ""
        );
        text.leak()
    };
    let phantom = format!("{:0<64}", "787fbb25c79d");
    for (rival, is_explained) in [(id.as_str(), false), (phantom.as_str(), true)] {
        let fault = Fault::Status(403, refusal(rival));
        host.fake.fault("POST /networks/create", fault);
        let report = host.pass(&[network("a"), network("b")]).await;
        let (_, reason, message) = state_of(&report, "b");
        assert_eq!(reason, Some(Reason::EngineRefused));
        let half = "killed while it created network 787fbb25c79d, which it does not list";
        assert_eq!(message.contains(half), is_explained, "{message}");
        assert!(message.contains("conflicts with network"), "{message}");
    }
}
