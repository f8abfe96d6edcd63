//! The whole agent between an engine and an API server.

use std::time::Duration;

use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::Timeouts;
use dockfleet_agent::journal::{AssignmentSnapshot, Journal};
use dockfleet_agent::{AgentConfig, AgentError, AgentVitals};
use dockfleet_crds::Entry;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::fake::{Fake, Fault};
use crate::test_host::{network, overlay_network, tombstone, volume};

pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), AgentError>>,
}

impl Running {
    pub(crate) async fn end(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_mins(1), self.task).await;
        ended.expect("the agent does not stop").unwrap().unwrap();
    }
}

pub(crate) fn start(fake: &Fake, cluster: &Cluster, state: &tempfile::TempDir) -> Running {
    start_with(fake, cluster, state, |_| {})
}

/// Starts an agent with a configuration that `change` has changed.
pub(crate) fn start_with(
    fake: &Fake,
    cluster: &Cluster,
    state: &tempfile::TempDir,
    change: impl FnOnce(&mut AgentConfig),
) -> Running {
    let stop = CancellationToken::new();
    let mut config = AgentConfig {
        client: cluster.client(),
        namespace: "hosts".to_owned(),
        host: "h1".to_owned(),
        endpoint: fake.endpoint(),
        timeouts: Timeouts::default(),
        state_dir: state.path().to_owned(),
        heartbeat: dockfleet_agent::heartbeat::INTERVAL,
        effects: Effects::default(),
        vitals: AgentVitals::new().unwrap(),
    };
    change(&mut config);
    let task = tokio::spawn(dockfleet_agent::run(config, stop.clone()));
    Running { stop, task }
}

fn journal_with(state: &tempfile::TempDir, generation: i64, entries: &[Entry]) {
    let snapshot = AssignmentSnapshot {
        hub: "hub".to_owned(),
        uid: "uid".to_owned(),
        generation,
        entries: entries.to_vec(),
        ..AssignmentSnapshot::default()
    };
    let mut journal = Journal::open(state.path()).unwrap();
    journal
        .set_assignment(snapshot, &Effects::default())
        .unwrap();
}

pub(crate) fn ready(cluster: &Cluster, generation: i64, entries: usize) -> bool {
    let status = cluster.assignment_status();
    let all = status["entries"]
        .as_array()
        .map_or(0, |e| e.iter().filter(|s| s["state"] == "Ready").count());
    status["observedGeneration"] == json!(generation) && all == entries
}

#[tokio::test]
async fn an_assignment_is_applied_reported_once_and_followed() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    cluster.assign("hub", "uid", 1, &[network("a")]);
    let running = start(&fake, &cluster, &state);
    cluster.until("generation 1", |c| ready(c, 1, 1)).await;
    cluster
        .until("the host", |c| c.ready_reason() == "Ready")
        .await;
    cluster
        .until("counts", |c| {
            c.host_status()["entries"]["ready"] == json!(1)
        })
        .await;
    assert_eq!(cluster.host_status()["engine"]["apiVersion"], "1.52");
    let writes = cluster.writes();
    cluster.assign("hub", "uid", 2, &[network("a"), volume("b")]);
    cluster.until("generation 2", |c| ready(c, 2, 2)).await;
    running.end().await;
    assert!(cluster.writes() <= writes + 2, "one write of each status");
    assert_eq!(
        fake.changes(),
        ["POST /networks/create", "POST /volumes/create"]
    );
}

#[tokio::test]
async fn a_refused_host_status_does_not_delay_the_statuses_of_entries() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    cluster.refuse_host();
    let running = start(&fake, &cluster, &state);
    let mut entries = Vec::new();
    // A status that depended on the other would now wait for minutes.
    for generation in 1..=8 {
        entries.push(network(&format!("n{generation}")));
        cluster.assign("hub", "uid", generation, &entries);
        cluster
            .until("reported", |c| ready(c, generation, entries.len()))
            .await;
    }
    running.end().await;
    assert_eq!(cluster.host_status(), json!(null));
}

#[tokio::test]
async fn without_an_api_server_the_last_assignment_is_enforced() {
    let (fake, cluster, state) = (
        Fake::start("1.41"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    journal_with(&state, 3, &[network("a"), volume("b")]);
    cluster.go_away();
    let running = start(&fake, &cluster, &state);
    fake.until("both", |f| f.networks().len() + f.volumes().len() == 2)
        .await;
    running.end().await;
}

#[tokio::test]
async fn without_an_api_server_nothing_is_done_for_a_whole_swarm() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    // The one of the swarm would be first.
    let entries = [overlay_network("a"), network("b")];
    journal_with(&state, 3, &entries);
    let is_there = |f: &Fake, name: &str| f.networks().iter().any(|n| n["Name"] == name);
    cluster.go_away();
    let running = start_with(&fake, &cluster, &state, |config| {
        config.heartbeat = Duration::from_millis(200);
    });
    fake.until("its own network", |f| is_there(f, "b")).await;
    assert!(!is_there(&fake, "a"));
    // Heartbeats alone are not enough: the assignment may be another one by now.
    cluster.come_back();
    cluster.until("heartbeats", |c| c.beats().len() >= 3).await;
    assert!(!is_there(&fake, "a"));
    cluster.assign("hub", "uid", 3, &entries);
    fake.until("the network of the swarm", |f| is_there(f, "a"))
        .await;
    running.end().await;
}

#[tokio::test]
async fn absence_of_the_assignment_is_no_permission() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    cluster.assign("hub", "uid", 1, &[network("a")]);
    let running = start(&fake, &cluster, &state);
    cluster.until("generation 1", |c| ready(c, 1, 1)).await;
    cluster.unassign();
    fake.lose_everything();
    fake.until("made again", |f| f.networks().len() == 1).await;
    // Deleted and created again without entries.
    cluster.assign("hub", "other", 1, &[]);
    cluster
        .until("unassigned", |c| {
            c.assignment_status()["entries"][0]["reason"] == json!("Unassigned")
        })
        .await;
    running.end().await;
    assert!(fake.changes().iter().all(|c| c.starts_with("POST")));
    assert_eq!(fake.networks().len(), 1);
}

#[tokio::test]
async fn an_older_assignment_and_another_hub_are_ignored() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    journal_with(&state, 5, &[network("a")]);
    cluster.assign("hub", "uid", 4, &[tombstone(&network("a"))]);
    let running = start(&fake, &cluster, &state);
    cluster.until("generation 5", |c| ready(c, 5, 1)).await;
    cluster.assign(
        "stranger",
        "uid",
        9,
        &[tombstone(&network("a")), volume("b")],
    );
    cluster
        .until("reported", |c| c.ready_reason() == "ForeignHub")
        .await;
    running.end().await;
    assert_eq!(fake.changes(), ["POST /networks/create"]);
}

#[tokio::test]
async fn an_assignment_that_cannot_be_read_leaves_the_last_in_force() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    journal_with(&state, 1, &[network("a")]);
    let bad = Entry {
        uid: "x".to_owned(),
        ..network("b")
    };
    cluster.assign("hub", "uid", 2, &[bad]);
    cluster.spoil();
    let running = start(&fake, &cluster, &state);
    cluster
        .until("reported", |c| c.ready_reason() == "InvalidAssignment")
        .await;
    running.end().await;
    assert_eq!(fake.changes(), ["POST /networks/create"]);
}

#[tokio::test]
async fn i15_an_entry_of_a_newer_controller_is_reported_alone_and_kept() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    cluster.assign("hub", "uid", 1, &[network("a"), volume("b")]);
    cluster.make_newer();
    let running = start(&fake, &cluster, &state);
    cluster
        .until("the other entry", |c| {
            let entries = &c.assignment_status()["entries"];
            entries[0]["reason"] == json!("AgentTooOld") && entries[1]["state"] == json!("Ready")
        })
        .await;
    let unsupported = &cluster.assignment_status()["entries"][0];
    assert_eq!(unsupported["state"], json!("Unsupported"));
    cluster
        .until("the host", |c| c.ready_reason() == "Ready")
        .await;
    let agent = &cluster.host_status()["agent"];
    assert_eq!(
        agent["kinds"],
        json!([
            "DockerNetwork",
            "DockerVolume",
            "BackupRepository",
            "PrunePolicy",
            "VolumeBackup",
            "VolumeBackupSchedule",
            "VolumeRestore",
            "SwarmCluster"
        ])
    );
    running.end().await;
    assert_eq!(fake.changes(), ["POST /volumes/create"]);
    let journal = Journal::read_only(state.path()).unwrap();
    let kept = journal.assignment().unwrap().entries.last().unwrap();
    assert_eq!(kept.kind.as_str(), "DockerGalaxy");
    assert_eq!(kept.other["orbit"], json!(7));
}

#[tokio::test]
async fn drift_is_repaired_after_an_event_and_after_the_event_stream_was_cut() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    cluster.assign("hub", "uid", 1, &[network("a")]);
    let running = start(&fake, &cluster, &state);
    cluster.until("generation 1", |c| ready(c, 1, 1)).await;
    for _ in 0..2 {
        fake.until("listening", |f| {
            f.calls().contains(&"GET /events".to_owned())
        })
        .await;
        fake.lose_everything();
        fake.until("made again", |f| f.networks().len() == 1).await;
        fake.cut_events();
    }
    running.end().await;
}

#[tokio::test]
async fn an_engine_that_stops_and_starts_again_is_reported_and_used_again() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    cluster.assign("hub", "uid", 1, &[network("a")]);
    fake.fault("GET /version", Fault::Status(503, "starting"));
    let running = start(&fake, &cluster, &state);
    cluster
        .until("away", |c| c.ready_reason() == "EngineUnreachable")
        .await;
    cluster
        .until("unknown", |c| {
            c.assignment_status()["entries"][0]["reason"] == json!("EngineUnreachable")
        })
        .await;
    fake.heal();
    cluster
        .until("back", |c| c.ready_reason() == "Ready" && ready(c, 1, 1))
        .await;
    running.end().await;
}

#[tokio::test]
async fn a_second_agent_on_the_same_journal_does_not_start() {
    let (fake, cluster, state) = (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    );
    let _first = Journal::open(state.path()).unwrap();
    let second = start(&fake, &cluster, &state);
    let refused = second.task.await.unwrap().unwrap_err();
    assert!(matches!(refused, AgentError::Journal(_)));
    assert_eq!(fake.calls(), Vec::<String>::new());
}
