//! Drivers that hang and slow disks: the agent still watches, reports and sends heartbeats.

use std::time::{Duration, Instant};

use dockfleet_agent::engine::Timeouts;
use dockfleet_agent::journal::Journal;
use dockfleet_crds::{Entry, EntryState, Reason};
use serde_json::json;

use crate::agent::{Running, ready, start, start_with};
use crate::cluster::Cluster;
use crate::fake::{Fake, Fault, SHORT};
use crate::test_host::{TestHost, network, plugin_volume, state_of, tombstone, volume};

const HANGS: &str = "POST /volumes/create sleepy";

fn setup() -> (Fake, Cluster, tempfile::TempDir) {
    (
        Fake::start("1.52"),
        Cluster::new(),
        tempfile::tempdir().unwrap(),
    )
}

/// Starts an agent whose changes of the engine may take longer than a test waits for a report.
fn start_patient(fake: &Fake, cluster: &Cluster, state: &tempfile::TempDir) -> Running {
    let timeouts = Timeouts {
        change: Duration::from_secs(20),
        ..SHORT
    };
    start_with(fake, cluster, state, |config| config.timeouts = timeouts)
}

/// Starts an agent with 30 volumes, and returns when two of them are created: each takes a while.
async fn start_with_slow_volumes(
    fake: &Fake,
    cluster: &Cluster,
    state: &tempfile::TempDir,
) -> Running {
    let slow = Duration::from_millis(300);
    fake.fault("POST /volumes/create", Fault::Slow(slow));
    let entries: Vec<Entry> = (0..30).map(|n| volume(&format!("v{n:02}"))).collect();
    cluster.assign("hub", "uid", 1, &entries);
    let running = start(fake, cluster, state);
    fake.until("the first two", |f| f.volumes().len() == 2)
        .await;
    running
}

#[tokio::test]
async fn a_driver_that_twice_does_not_answer_waits_for_the_next_pass_and_others_go_on() {
    let mut host = TestHost::new().await;
    host.fake.fault(HANGS, Fault::Hang);
    let names: Vec<String> = (1..=5).map(|n| format!("a{n}")).collect();
    let mut entries: Vec<Entry> = names.iter().map(|n| plugin_volume(n, "sleepy")).collect();
    entries.push(volume("z"));
    let report = host.pass(&entries).await;
    assert_eq!(state_of(&report, "z").0, EntryState::Ready);
    assert_eq!(host.fake.changes().len(), 3, "one local, two of the driver");
    let unreachable = Some(Reason::EngineUnreachable);
    for tried in ["a1", "a2"] {
        let (state, reason, message) = state_of(&report, tried);
        assert_eq!((state, reason), (EntryState::Failed, unreachable));
        assert!(message.contains("no answer within 1 s"), "{message}");
    }
    for left in ["a3", "a4", "a5"] {
        let (state, reason, message) = state_of(&report, left);
        assert_eq!((state, reason), (EntryState::Pending, unreachable));
        let expected =
            "driver sleepy did not answer for other entries; this one is tried in the next pass";
        assert_eq!(message, expected);
    }
    assert_eq!(report.unfinished, 5);
    host.fake.heal();
    host.settle(&entries).await;
}

/// Invariant 4.
#[tokio::test]
async fn i4_volumes_of_a_plugin_that_the_engine_cannot_list_are_neither_lost_nor_gone() {
    let mut host = TestHost::new().await;
    let (kept, deleted) = (plugin_volume("a", "sleepy"), plugin_volume("b", "sleepy"));
    host.settle(&[kept.clone(), deleted.clone()]).await;
    let records = host.journal.records();
    let warning = "list sleepy: Post \"http://sleepy/VolumeDriver.List\": no answer";
    host.fake.lose_plugins(&[warning]);
    let entries = [kept, tombstone(&deleted), volume("c")];
    let report = host.pass(&entries).await;
    for name in ["a", "b"] {
        let (state, reason, message) = state_of(&report, name);
        assert_eq!(state, EntryState::Pending, "{name}");
        assert_eq!(reason, Some(Reason::EngineUnreachable), "{name}");
        assert!(message.contains(warning), "{message}");
    }
    assert_eq!(state_of(&report, "c").0, EntryState::Ready);
    assert_eq!(host.fake.changes(), ["POST /volumes/create"]);
    let after = host.journal.records();
    assert!(records.iter().all(|(key, r)| after.get(key) == Some(r)));
}

#[tokio::test]
async fn a_plugin_that_hangs_blocks_neither_networks_nor_assignments() {
    let (fake, cluster, state) = setup();
    fake.fault(HANGS, Fault::Hang);
    let mut entries: Vec<Entry> = (0..50)
        .map(|n| plugin_volume(&format!("v{n:02}"), "sleepy"))
        .collect();
    entries.extend((0..20).map(|n| network(&format!("n{n:02}"))));
    cluster.assign("hub", "uid", 1, &entries);
    let running = start_patient(&fake, &cluster, &state);
    cluster.until("networks", |c| ready(c, 1, 20)).await;
    entries.push(network("later"));
    cluster.assign("hub", "uid", 2, &entries);
    cluster.until("a later network", |c| ready(c, 2, 21)).await;
    let tried = fake.calls();
    let tried = tried.iter().filter(|c| *c == "POST /volumes/create");
    assert_eq!(tried.count(), 1, "the first of 50 is still waited for");
    let status = cluster.assignment_status();
    let volumes = status["entries"].as_array().unwrap();
    let volumes = volumes.iter().filter(|e| e["state"] == json!("Pending"));
    assert_eq!(volumes.count(), 50);
    assert_eq!(cluster.ready_reason(), "Ready");
    running.end().await;
}

#[tokio::test]
async fn a_pause_takes_effect_between_two_actions() {
    let (fake, cluster, state) = setup();
    let running = start_with_slow_volumes(&fake, &cluster, &state).await;
    cluster.pause(2);
    cluster
        .until("paused", |c| {
            let status = c.assignment_status();
            status["observedGeneration"] == json!(2)
                && status["entries"][29]["reason"] == json!("Paused")
        })
        .await;
    // One create was running, and the pause may arrive when the next one has just started.
    let made = fake.volumes().len();
    assert!(made <= 4, "{made}");
    running.end().await;
    assert_eq!(fake.volumes().len(), made);
}

#[tokio::test]
async fn a_pause_file_takes_effect_while_a_pass_runs() {
    let (fake, cluster, state) = setup();
    let running = start_with_slow_volumes(&fake, &cluster, &state).await;
    std::fs::write(state.path().join("paused"), "new disks").unwrap();
    cluster
        .until("paused", |c| {
            let last = &c.assignment_status()["entries"][29];
            last["reason"] == json!("Paused")
                && last["message"].as_str().unwrap().contains("new disks")
        })
        .await;
    // The file is looked for every two seconds; the whole pass would take nine.
    let made = fake.volumes().len();
    assert!(made <= 20, "{made}");
    running.end().await;
    assert_eq!(fake.volumes().len(), made);
}

#[tokio::test]
async fn an_agent_that_stops_finishes_its_current_action() {
    let (fake, cluster, state) = setup();
    let running = start_with_slow_volumes(&fake, &cluster, &state).await;
    running.end().await;
    let made = fake.volumes().len();
    assert!(made <= 4, "{made}");
    // The created volumes are known, because the pass observed the engine once more.
    let journal = Journal::read_only(state.path()).unwrap();
    let owned = journal.records();
    let owned = owned.values().filter(|r| r.was_ready);
    assert_eq!(owned.count(), made);
}

#[tokio::test]
async fn heartbeats_go_on_while_the_journal_waits_for_its_disk() {
    let (fake, cluster, state) = setup();
    let beat = Duration::from_millis(100);
    let running = start_with(&fake, &cluster, &state, |config| config.heartbeat = beat);
    cluster.until("a beat", |c| !c.beats().is_empty()).await;

    // A write of the journal waits for this transaction as it would for a slow disk.
    let disk = rusqlite::Connection::open(state.path().join("journal.db")).unwrap();
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begin = Instant::now();
    cluster.assign("hub", "uid", 1, &[network("a")]);
    cluster
        .until("beats", |c| {
            c.beats().iter().filter(|at| **at > begin).count() >= 20
        })
        .await;
    assert_eq!(fake.changes(), Vec::<String>::new());
    disk.execute_batch("COMMIT").unwrap();
    cluster.until("generation 1", |c| ready(c, 1, 1)).await;
    running.end().await;
    let beats = cluster.beats();
    let gaps = beats.windows(2).map(|w| w[1] - w[0]);
    let longest = gaps.max().unwrap();
    // A write that blocked the agent would block it for 5 s, until the write fails.
    assert!(longest < Duration::from_secs(3), "a gap of {longest:?}");
}
