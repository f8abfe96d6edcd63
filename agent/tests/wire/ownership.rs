//! Owner and permissions of a volume's top folder: what they cost, and what may fail.

use dockfleet_agent::effect::Effects;
use dockfleet_agent::pass::{self, PassInput, PassReport};
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::volume::OwnershipApply;
use dockfleet_crds::{Entry, EntryState, Reason};
use dockfleet_planner::examination::Occasion;
use dockfleet_planner::kinds::volume::{DesiredOwnership, DesiredVolume};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::agent::start;
use crate::cluster::Cluster;
use crate::fake::{Fake, Fault};
use crate::test_host::{TestHost, entry, state_of, tombstone};

const WANTED: (u32, u32, u32, bool) = (1000, 0, 0o750, false);

fn owned(name: &str, apply: OwnershipApply) -> Entry {
    let desired = DesiredVolume {
        name: name.to_owned(),
        driver: "local".to_owned(),
        ownership: Some(DesiredOwnership {
            uid: Some(1000),
            gid: None,
            mode: Some(0o750),
            apply,
        }),
        ..DesiredVolume::default()
    };
    entry(Kind::DockerVolume, name, &desired)
}

/// Runs a pass, and returns its report with the calls to the engine, without IDs and without the list of networks.
async fn on(
    host: &mut TestHost,
    entries: &[Entry],
    occasion: Occasion,
) -> (PassReport, Vec<String>) {
    let input = PassInput {
        entries,
        store: &host.store,
        effects: &Effects::default(),
        occasion,
    };
    let never = CancellationToken::new();
    let (engine, journal) = (&host.engine, &mut host.journal);
    let report = pass::pass_until(engine, journal, &input, &mut |_| {}, &never).await;
    let short = |call: String| {
        let parts = call.split('/').filter(|part| part.len() != 64);
        parts.collect::<Vec<_>>().join("/")
    };
    let calls = host
        .fake
        .calls()
        .into_iter()
        .filter(|c| c != "GET /networks");
    (report, calls.map(short).collect())
}

const EXAMINE: [&str; 3] = [
    "POST /containers/create",
    "GET /containers/archive",
    "DELETE /containers",
];

#[tokio::test]
async fn an_owner_is_set_in_a_new_volume_and_looked_at_only_after_containers() {
    let mut host = TestHost::new().await;
    let entries = [owned("data", OwnershipApply::Initial)];
    let (report, calls) = on(&mut host, &entries, Occasion::Start).await;
    assert_eq!(state_of(&report, "data"), (EntryState::Ready, None, ""));
    assert_eq!(host.fake.folder("data"), WANTED);
    let mut expected = vec!["GET /volumes", "POST /volumes/create", "GET /volumes"];
    // What an earlier process has left behind; the image is made once.
    expected.extend([
        "GET /containers/json",
        "POST /containers/create",
        "POST /images/create",
    ]);
    expected.extend(EXAMINE);
    expected.extend([
        "POST /containers/create",
        "GET /volumes",
        "GET /containers/archive",
    ]);
    expected.extend([
        "PUT /containers/archive",
        "DELETE /containers",
        "GET /volumes",
    ]);
    expected.extend(EXAMINE);
    assert_eq!(calls, expected);

    // A pass in which nothing can have changed costs what it costs without an owner.
    for occasion in [Occasion::None, Occasion::Time] {
        let (report, calls) = on(&mut host, &entries, occasion).await;
        assert_eq!(
            (calls, report.watching),
            (vec!["GET /volumes".to_owned()], 1)
        );
    }
    let (_, calls) = on(&mut host, &entries, Occasion::Containers).await;
    assert_eq!(calls, [&["GET /volumes"], &EXAMINE[..]].concat());
    // A container copies an owner into the volume, and another one a file.
    host.fake.set_folder("data", (33, 0, 0o700, false));
    let (report, _) = on(&mut host, &entries, Occasion::Containers).await;
    assert_eq!((report.changed, host.fake.folder("data")), (1, WANTED));
    host.fake.set_folder("data", (33, 0, 0o750, true));
    let (report, _) = on(&mut host, &entries, Occasion::Containers).await;
    assert_eq!((report.changed, report.watching), (0, 0));
    let (state, reason, message) = state_of(&report, "data");
    assert_eq!((state, reason), (EntryState::Ready, None));
    assert!(
        message.contains("ownership.uid: want 1000, have 33"),
        "{message}"
    );
    // From then on no container matters, and what was found is known after a restart.
    for occasion in [Occasion::Containers, Occasion::Start] {
        let (report, calls) = on(&mut host, &entries, occasion).await;
        assert_eq!(calls, ["GET /volumes"]);
        assert_eq!(state_of(&report, "data").0, EntryState::Ready);
    }
}

#[tokio::test]
async fn an_owner_that_is_always_kept_is_looked_at_from_time_to_time() {
    let mut host = TestHost::new().await;
    let entries = [owned("data", OwnershipApply::Root)];
    on(&mut host, &entries, Occasion::Start).await;
    host.fake.set_folder("data", (5, 0, 0o750, true));
    let (report, calls) = on(&mut host, &entries, Occasion::None).await;
    assert_eq!(
        (calls, report.changed),
        (vec!["GET /volumes".to_owned()], 0)
    );
    let (report, _) = on(&mut host, &entries, Occasion::Time).await;
    assert_eq!(report.changed, 1);
    assert_eq!(host.fake.folder("data"), (1000, 0, 0o750, true));
}

#[tokio::test]
async fn a_volume_that_gets_a_file_before_its_owner_is_set_is_left_as_it_is() {
    let mut host = TestHost::new().await;
    let entries = [owned("data", OwnershipApply::Initial)];
    on(&mut host, &entries, Occasion::Start).await;
    let other = {
        let mut desired = DesiredVolume {
            name: "data".to_owned(),
            driver: "local".to_owned(),
            ..DesiredVolume::default()
        };
        desired.ownership = Some(DesiredOwnership {
            uid: Some(7),
            ..DesiredOwnership::default()
        });
        [entry(Kind::DockerVolume, "data", &desired)]
    };
    // The journal says that it is empty.
    host.fake.set_folder("data", (1000, 0, 0o750, true));
    let (report, _) = on(&mut host, &other, Occasion::None).await;
    assert_eq!(host.fake.folder("data"), (1000, 0, 0o750, true));
    let (state, _, message) = state_of(&report, "data");
    assert_eq!(state, EntryState::Ready);
    assert!(message.contains("want 7, have 1000"), "{message}");
}

#[tokio::test]
async fn an_owner_that_cannot_be_read_is_a_failure_and_nothing_is_set() {
    let mut host = TestHost::new().await;
    let entries = [owned("data", OwnershipApply::Root)];
    host.fake.fault(
        "POST /containers/create",
        Fault::Status(403, "authorization denied"),
    );
    let (report, _) = on(&mut host, &entries, Occasion::Start).await;
    let expected = "it could not be examined: the engine refuses: authorization denied";
    let refused = (EntryState::Failed, Some(Reason::EngineRefused), expected);
    assert_eq!(state_of(&report, "data"), refused);
    assert_eq!((report.unexamined, report.unfinished), (1, 1));
    host.fake.heal();
    host.fake.fault("GET /containers", Fault::Hang);
    let (report, calls) = on(&mut host, &entries, Occasion::Start).await;
    assert_eq!(state_of(&report, "data").1, Some(Reason::EngineUnreachable));
    assert!(!calls.iter().any(|c| c.starts_with("PUT")), "{calls:?}");
    host.fake.heal();
    let (report, _) = on(&mut host, &entries, Occasion::Start).await;
    assert_eq!(state_of(&report, "data"), (EntryState::Ready, None, ""));
    assert_eq!(host.fake.folder("data"), WANTED);
    assert!(host.fake.containers().is_empty());
}

/// Invariant 2: an engine creates a volume that a container names and that does not exist.
#[tokio::test]
async fn i2_a_volume_that_goes_before_it_is_examined_is_not_created_by_that() {
    let mut host = TestHost::new().await;
    let entries = [owned("data", OwnershipApply::Root)];
    on(&mut host, &entries, Occasion::Start).await;
    host.fake.fault("POST /containers/create", Fault::Raced);
    let (report, _) = on(&mut host, &entries, Occasion::Start).await;
    assert_eq!(report.unexamined, 1);
    assert!(host.fake.volumes().is_empty());
    host.fake.heal();
    let (report, _) = on(&mut host, &entries, Occasion::Start).await;
    assert_eq!(state_of(&report, "data").1, Some(Reason::Lost));
    assert!(host.fake.volumes().is_empty());
}

#[tokio::test]
async fn a_helper_of_an_earlier_process_is_removed_with_its_volume_and_others_stay() {
    let mut host = TestHost::new().await;
    let entries = [owned("data", OwnershipApply::Initial)];
    on(&mut host, &entries, Occasion::Start).await;
    let container = |id: char, labels: serde_json::Value, volume: &str| {
        json!({
            "Id": id.to_string().repeat(64), "Names": ["/c"], "Labels": labels,
            "Mounts": [{"Type": "volume", "Name": volume}],
        })
    };
    let helper = container('a', json!({"io.dockfleet.helper": "ownership"}), "data");
    let user = container('b', json!({}), "other");
    host.fake.add_container(helper.clone());
    host.fake.add_container(user.clone());
    on(&mut host, &entries, Occasion::Start).await;
    assert_eq!(host.fake.containers(), std::slice::from_ref(&user));
    host.fake.add_container(helper);
    let (report, _) = on(&mut host, &[tombstone(&entries[0])], Occasion::None).await;
    assert_eq!(report.changed, 1);
    assert!(host.fake.volumes().is_empty());
    assert_eq!(host.fake.containers(), [user]);
}

#[tokio::test]
async fn an_agent_sets_an_owner_again_after_the_event_of_a_container() {
    let (fake, cluster) = (Fake::start("1.52"), Cluster::new());
    let state = tempfile::tempdir().unwrap();
    let entries = [owned("data", OwnershipApply::Initial)];
    cluster.assign("hub", "uid", 1, &entries);
    let running = start(&fake, &cluster, &state);
    cluster
        .until("ready", |c| {
            c.assignment_status()["entries"][0]["state"] == json!("Ready")
        })
        .await;
    assert_eq!(fake.folder("data"), WANTED);
    fake.until("listening", |f| {
        f.calls().contains(&"GET /events".to_owned())
    })
    .await;
    for action in ["create", "start"] {
        fake.set_folder("data", (33, 33, 0o777, false));
        fake.happen(json!({"Type": "container", "Action": action, "Actor": {"Attributes": {}}}));
        fake.until("set again", |f| f.folder("data").0 == WANTED.0)
            .await;
    }
    running.end().await;
    assert!(fake.containers().is_empty());
}
