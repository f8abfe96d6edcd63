//! What the status of a resource says, in the words that kstatus, Flux and Argo CD read.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};
use serde_json::Value;

use crate::test_cluster::{TestCluster, condition, network, ready_reason, volume};

/// The conditions as `Type=Status Reason`, sorted by type.
fn conditions(object: &Value) -> Vec<String> {
    let all = object["status"]["conditions"].as_array();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = all
        .into_iter()
        .flatten()
        .map(|c| {
            format!(
                "{}={} {}",
                text(&c["type"]),
                text(&c["status"]),
                text(&c["reason"])
            )
        })
        .collect();
    lines.sort();
    lines
}

/// Every condition speaks of the present generation, as the status does.
fn assert_current(object: &Value) {
    let generation = &object["metadata"]["generation"];
    assert_eq!(&object["status"]["observedGeneration"], generation);
    for condition in object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        assert_eq!(&condition["observedGeneration"], generation, "{condition}");
    }
}

#[test]
fn conditions_follow_kstatus() -> Result<()> {
    let cluster = TestCluster::prepare(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    cluster.start_controller()?;
    let front = |more: &str| network("front", &format!("{{hostSelector: {{}}{more}}}"));

    // Nobody is there to do it: in progress, told at once, and not a failure.
    cluster.apply(&front(""))?;
    cluster.until(
        "dnet/front",
        "{.status.conditions[?(@.type==\"Ready\")].status}=Unknown",
    )?;
    cluster.until("dnet/front", "{.status.hosts.pending}=1")?;
    let progressing = [
        "Accepted=True Accepted",
        "Ready=Unknown Progressing",
        "Reconciling=True Progressing",
    ];
    let reported = cluster.get("dnet/front")?;
    assert_eq!(conditions(&reported), progressing);
    assert_current(&reported);

    h1.start_agent()?;
    cluster.ready("dnet/front")?;
    let reported = cluster.get("dnet/front")?;
    assert_eq!(
        conditions(&reported),
        ["Accepted=True Accepted", "Ready=True Ready"]
    );
    assert_current(&reported);
    let since = condition(&reported, "Ready")["lastTransitionTime"].clone();

    // An edit that an engine cannot follow: a failure that waits for somebody.
    cluster.apply(&front(", internal: true"))?;
    cluster.not_ready("dnet/front", "False", "Drifted")?;
    let reported = cluster.get("dnet/front")?;
    let stalled = [
        "Accepted=True Accepted",
        "Ready=False Drifted",
        "Stalled=True Drifted",
    ];
    assert_eq!(conditions(&reported), stalled);
    assert_current(&reported);
    assert_eq!(reported["metadata"]["generation"], 2);
    assert_eq!(reported["status"]["hosts"]["drifted"], 1);
    let failing = &reported["status"]["failing"][0];
    assert_eq!(
        (&failing["host"], &failing["reason"]),
        (&"h1".into(), &"Drifted".into())
    );
    let message = condition(&reported, "Ready")["message"].to_string();
    assert!(
        message.contains("internal: want true, have false"),
        "{message}"
    );
    let accepted = condition(&reported, "Accepted")["lastTransitionTime"].clone();
    assert_eq!(
        accepted,
        since_of(&cluster, "Accepted")?,
        "what did not change keeps its time"
    );

    // In use: it ends by itself, so it is not stalled.
    h1.engine.import_busybox()?;
    h1.engine
        .run_container("user", &["--network", "front"], &[])?;
    cluster.apply(&front(", internal: true, updatePolicy: WhenUnused"))?;
    cluster.until("dnet/front", &ready_reason("InUse"))?;
    let reported = cluster.get("dnet/front")?;
    assert_eq!(
        conditions(&reported)[1..],
        ["Ready=False InUse", "Reconciling=True Progressing"]
    );
    assert!(
        condition(&reported, "Ready")["message"]
            .to_string()
            .contains("user"),
        "{reported}"
    );
    h1.engine.docker(["rm", "--force", "user"])?;
    cluster.ready("dnet/front")?;
    assert_eq!(
        h1.network("front")?.context("it is gone")?["Internal"],
        true
    );
    assert_eq!(
        conditions(&cluster.get("dnet/front")?),
        ["Accepted=True Accepted", "Ready=True Ready"]
    );
    assert!(since.is_string());

    // On no host at all: nothing is wrong.
    cluster.make(&[network(
        "nowhere",
        "{hostSelector: {matchLabels: {site: nowhere}}}",
    )])?;
    assert_eq!(
        conditions(&cluster.get("dnet/nowhere")?)[1],
        "Ready=True NoHosts"
    );
    Ok(())
}

fn since_of(cluster: &TestCluster, type_: &str) -> Result<Value> {
    Ok(condition(&cluster.get("dnet/front")?, type_)["lastTransitionTime"].clone())
}

#[test]
fn what_is_suspended_or_observed_is_not_touched() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let hosts: [_; 2] = cluster.hosts()?;
    let front = |more: &str| {
        network(
            "front",
            &format!("{{hostSelector: {{}}, updatePolicy: WhenUnused{more}}}"),
        )
    };

    cluster.apply(&front(", suspend: true"))?;
    cluster.not_ready("dnet/front", "Unknown", "Suspended")?;
    for host in hosts {
        assert!(host.network("front")?.is_none());
    }
    cluster.make(&[front("")])?;
    let before = cluster.objects()?;
    cluster.apply(&front(", internal: true, suspend: true"))?;
    cluster.not_ready("dnet/front", "False", "Suspended")?;
    assert_eq!(cluster.objects()?, before);
    // Deleted while suspended: nothing is changed on any host.
    cluster.kubectl("delete dnet/front --timeout=60s")?;
    for host in hosts {
        cluster.assigned(host, &[])?;
    }
    assert_eq!(cluster.objects()?, before);

    // To be looked at only: missing, then as somebody makes it.
    let seen = "{hostSelector: {}, managementPolicy: Observe}";
    cluster.apply(&[network("seen", seen), volume("seen", seen)].concat())?;
    for what in ["dnet/seen", "dvol/seen"] {
        cluster.not_ready(what, "False", "Missing")?;
    }
    assert_eq!(cluster.objects()?, before);
    for host in hosts {
        host.engine.docker(["network", "create", "seen"])?;
        host.engine.docker(["volume", "create", "seen"])?;
    }
    for what in ["dnet/seen", "dvol/seen"] {
        cluster.until(what, "{.status.hosts.ready}=2")?;
        cluster.ready(what)?;
    }
    let made = cluster.objects()?;
    cluster.apply(&network(
        "seen",
        "{hostSelector: {}, managementPolicy: Observe, internal: true}",
    ))?;
    cluster.not_ready("dnet/seen", "False", "Drifted")?;
    cluster.kubectl("delete dnet/seen dvol/seen --timeout=60s")?;
    for host in hosts {
        cluster.assigned(host, &[])?;
    }
    assert_eq!(cluster.objects()?, made);
    Ok(())
}
