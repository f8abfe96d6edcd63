//! Invariant 15: CRDs, controller, agents and journals of different versions work side by side.

use anyhow::{Context as _, Result};
use dockfleet_agent::effect::Effects;
use dockfleet_agent::journal::Journal;
use dockfleet_crds::{Entry, Open};
use dockfleet_e2e::Dockfleet;
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_planner::plan::JournalChange;
use dockfleet_planner::record::{Record, Stage};
use serde_json::json;

use crate::test_cluster::{FLEET, TestCluster, install_crds, log_says, network, volume};

/// Finds the program of an earlier commit.
#[expect(clippy::print_stdout, reason = "which one it was is a result")]
fn previous() -> Result<Dockfleet> {
    if let Some(previous) = Dockfleet::previous()? {
        return Ok(previous);
    }
    println!("this checkout has no history: the present version stands in for the earlier one");
    Dockfleet::find()
}

/// One step of an upgrade or a rollback.
#[derive(Clone, Copy, Debug)]
enum Part {
    Crds,
    Controller,
    Agents,
}

fn replace(cluster: &TestCluster, part: Part, by: &Dockfleet) -> Result<()> {
    match part {
        Part::Crds => install_crds(&cluster.plane, by),
        Part::Controller => {
            cluster.kill_controller()?;
            cluster.start_controller_of(by)
        }
        Part::Agents => cluster.hosts.iter().try_for_each(|host| {
            host.kill_agent()?;
            host.use_program(by);
            host.start_agent()
        }),
    }
}

/// The documented order of an upgrade, and a rollback that begins with the controller and the CRDs: so every
/// part meets every other one in both versions.
#[test]
fn i15_an_upgrade_and_a_rollback_in_any_order_stop_nothing() -> Result<()> {
    let (this, previous) = (Dockfleet::find()?, previous()?);
    let hosts = [("h1", Debian20, "{}"), ("h2", Newest, "{}")];
    let cluster = TestCluster::prepare_with(previous.clone(), &hosts)?;
    cluster.start_controller()?;
    for host in &cluster.hosts {
        host.join(&cluster.plane)?;
        host.start_agent()?;
    }
    let resources = [
        network("front", "{hostSelector: {}}"),
        volume("data", "{hostSelector: {}}"),
    ];
    cluster.apply(&resources.concat())?;
    for what in ["dnet/front", "dvol/data"] {
        cluster.until(what, "{.status.hosts.ready}=2")?;
    }
    for host in &cluster.hosts {
        host.write_into_volume("data", host.name())?;
    }
    let before = cluster.objects()?;

    let steps = [
        (Part::Crds, &this),
        (Part::Controller, &this),
        (Part::Agents, &this),
        (Part::Controller, &previous),
        (Part::Crds, &previous),
        (Part::Controller, &this),
        (Part::Agents, &previous),
        (Part::Controller, &previous),
    ];
    for (number, (part, version)) in steps.into_iter().enumerate() {
        let step = || format!("step {number}: {part:?}");
        replace(&cluster, part, version).with_context(step)?;
        let next = format!("next-{number}");
        cluster.everybody_goes_on(&next).with_context(step)?;
        for host in &cluster.hosts {
            cluster.assignment_seen(host).with_context(step)?;
        }
        if number == 2 {
            for host in &cluster.hosts {
                let what = format!("dhost/{} -n {FLEET}", host.name());
                cluster.until(&what, "{.status.agent.kinds[0]}=DockerNetwork")?;
            }
        }
        if number == 4 && previous.binary() != this.binary() {
            for host in &cluster.hosts {
                log_says(host, "the CRD is older than this agent")?;
            }
        }
    }
    let mut after = cluster.objects()?;
    after.retain(|key, _| !key.contains(" next-"));
    assert_eq!(after, before);
    Ok(())
}

#[test]
fn i15_an_entry_of_a_newer_controller_is_unsupported_alone_and_kept() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [host] = cluster.hosts()?;
    cluster.make(&[network("front", "{hostSelector: {}}")])?;
    let newer = json!({
        "uid": "00000000-0000-4000-8000-000000000001",
        "kind": "DockerNote",
        "namespace": "default",
        "name": "note",
        "revision": "r1",
        "spec": {"text": "hello"},
        "pages": 2,
    });
    let add = json!([{"op": "add", "path": "/spec/entries/0", "value": newer}]).to_string();
    let assignment = format!("hassign/h1 -n {FLEET}");
    let words = ["patch", "--type=json", "--patch", &add];
    let words = words.into_iter().chain(assignment.split(' '));
    cluster.plane.kubectl(words)?.ok()?;
    let uid = newer["uid"].as_str().context("no UID")?;
    let status = cluster.entry_with(host, uid, "AgentTooOld")?;
    assert_eq!(status["state"], "Unsupported");
    cluster.until(
        &format!("dhost/h1 -n {FLEET}"),
        "{.status.entries.failed}=1",
    )?;

    // The controller edits the same assignment, and the agent obeys the rest of it.
    cluster.everybody_goes_on("next")?;
    cluster.ready("dnet/front")?;
    let spec = cluster.assignment(host)?["spec"].clone();
    let entries = spec["entries"].as_array().context("no entries")?;
    assert_eq!(entries.len(), 3);
    let mut kept = newer.clone();
    // A CRD prunes what it does not know.
    kept.as_object_mut().context("no object")?.remove("pages");
    let found = entries.iter().find(|e| e["uid"] == newer["uid"]);
    assert_eq!(found, Some(&kept));
    Ok(())
}

#[test]
fn i15_a_state_and_a_reason_of_a_newer_agent_are_passed_on() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), ("h2", Newest, "{}")])?;
    let [h1, _] = cluster.hosts()?;
    cluster.apply(
        &[
            network("front", "{hostSelector: {}}"),
            network("back", "{hostSelector: {}}"),
        ]
        .concat(),
    )?;
    for what in ["dnet/front", "dnet/back"] {
        cluster.until(what, "{.status.hosts.ready}=2")?;
    }
    let uid = cluster.uid("dnet/front")?;
    h1.kill_agent()?;
    let mut status = cluster.assignment(h1)?["status"].clone();
    let entries = status["entries"].as_array_mut().context("no entries")?;
    let entry = entries.iter_mut().find(|e| e["uid"] == uid.as_str());
    let entry = entry.context("no entry of front")?;
    entry["state"] = "Migrating".into();
    entry["reason"] = "WaitsForTide".into();
    entry["message"] = "the tide is low".into();
    let patch = json!({ "status": status }).to_string();
    cluster.patch(
        &format!("hassign/h1 -n {FLEET} --subresource=status"),
        &patch,
    )?;

    cluster.until("dnet/front", "{.status.hosts.ready}=1")?;
    let failing = "{.status.failing[0].reason}=WaitsForTide";
    cluster.until("dnet/front", failing)?;
    cluster.until("dnet/back", "{.status.hosts.ready}=2")?;
    h1.start_agent()?;
    cluster.everybody_goes_on("next")?;
    cluster.until("dnet/front", "{.status.hosts.ready}=2")
}

#[test]
fn i15_a_journal_record_of_a_newer_agent_is_kept_and_not_acted_on() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}")])?;
    let [host] = cluster.hosts()?;
    cluster.make(&[network("front", "{hostSelector: {}}")])?;
    host.kill_agent()?;
    let entry = Entry {
        uid: "00000000-0000-4000-8000-000000000001".into(),
        kind: Open::Unknown("DockerNote".into()),
        namespace: "default".into(),
        name: "note".into(),
        ..Entry::default()
    };
    let mut newer = Record::new(&entry, "note", Stage::Owned, Some("n1".into()));
    newer.stage = Open::Unknown("Drying".into());
    newer.other.insert("pages".into(), json!([1, {"b": 2}]));
    let mut journal = Journal::open(&host.state_dir())?;
    let change = JournalChange::Put {
        record: newer.clone(),
        instead_of: None,
    };
    journal.write(&[change], &Effects::default())?;
    drop(journal);

    host.start_agent()?;
    let status = cluster.entry_with(host, &entry.uid, "AgentTooOld")?;
    assert_eq!(status["state"], "Unsupported");
    cluster.everybody_goes_on("next")?;
    cluster.ready("dnet/front")?;
    host.kill_agent()?;
    let journal = Journal::read_only(&host.state_dir())?;
    assert_eq!(journal.records().get(&newer.key), Some(&newer));
    Ok(())
}
