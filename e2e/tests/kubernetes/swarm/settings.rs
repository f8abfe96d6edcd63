//! Settings of a swarm and of its nodes, and a swarm that is taken over.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Dockfleet, eventually};
use serde_json::Value;

use super::{form, inactive, info, members, node, one_swarm, says, start, swarm};
use crate::canary::{found_nowhere, secrets_with};
use crate::test_cluster::{FLEET, SOON, TestCluster, network};
use crate::test_host::TestHost;

/// Availability and labels of nodes are set; a host that leaves gives the containers of services to others first.
#[test]
fn nodes_have_their_availability_and_labels_and_are_drained_before_they_leave() -> Result<()> {
    let cluster =
        TestCluster::start(&[("h1", Debian20, "{in: prod}"), ("h2", Newest, "{in: prod}")])?;
    let what = form(
        &cluster,
        "{hostSelector: {matchLabels: {in: prod}}, advertiseAddress: eth0, removedHosts: Leave, \
         nodeLabels: {site: a}, hostOverrides: [{hostNames: [h1], availability: Drain, \
         nodeLabels: {site: b}}]}",
        "{.status.workers}=1",
    )?;
    let [h1, h2] = cluster.hosts()?;
    let spec = |host: &TestHost| -> Result<Value> {
        let path = format!("/nodes/{}", node(host)?);
        Ok(h1.engine.get(&path)?["Spec"].take())
    };
    let (first, second) = (spec(h1)?, spec(h2)?);
    assert_eq!(
        (&first["Availability"], &first["Labels"]["site"]),
        (&"drain".into(), &"b".into())
    );
    assert_eq!(
        (&second["Availability"], &second["Labels"]["site"]),
        (&"active".into(), &"a".into())
    );
    // A service runs on the other host only.
    for host in [h1, h2] {
        host.engine.import_busybox()?;
    }
    h1.engine.docker([
        "service",
        "create",
        "--detach",
        "--name",
        "web",
        "--no-resolve-image",
        "busybox:local",
        "sleep",
        "600",
    ])?;
    let tasks = |host: &TestHost| {
        host.engine
            .docker(["ps", "--quiet", "--filter", "name=web"])
    };
    let runs_on = |host: &TestHost| {
        eventually("a container of the service", SOON, || match tasks(host) {
            Ok(ids) if !ids.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        })
    };
    runs_on(h2)?;
    cluster.kubectl(&format!("label dhost/h2 -n {FLEET} in-"))?;
    // There is no other host for it, and this one leaves all the same: it is drained.
    inactive(&cluster, h2)?;
    assert_eq!(tasks(h2)?, "");
    // The first one takes over.
    cluster.patch(
        &what,
        r#"{"spec": {"hostOverrides": [{"hostNames": ["h1"], "availability": "Active"}]}}"#,
    )?;
    runs_on(h1)?;
    assert_eq!(spec(h1)?["Labels"]["site"], "a");
    Ok(())
}

/// Managers that lock are unlocked by their agents, even if all of them restart at once. Neither the key nor the
/// tokens of before a rotation are anywhere but in the Secrets of managers.
#[test]
fn i9_managers_that_lock_are_unlocked_and_tokens_are_rotated() -> Result<()> {
    let dockfleet = Dockfleet::find()?.with_env("DOCKFLEET_LOG", "trace");
    let hosts = [
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ];
    let cluster = TestCluster::prepare_with(dockfleet, &hosts)?;
    start(&cluster)?;
    let what = form(
        &cluster,
        "{hostSelector: {}, managers: {count: 3}, advertiseAddress: eth0}",
        "{.status.managers}=3",
    )?;
    let [h1, h2, h3] = cluster.hosts()?;
    let shown = || -> Result<Value> { h1.engine.get("/swarm") };
    let before = shown()?;
    cluster.patch(
        &what,
        r#"{"spec": {"autoLock": true, "certificateExpiry": "720h", "tokenRotation": "first"}}"#,
    )?;
    eventually("the settings", SOON, || {
        let now = shown().map_err(|e| e.to_string())?;
        let spec = &now["Spec"];
        let set = spec["EncryptionConfig"]["AutoLockManagers"] == true
            && spec["CAConfig"]["NodeCertExpiry"] == 720_u64 * 3_600_000_000_000
            && now["JoinTokens"]["Worker"] != before["JoinTokens"]["Worker"]
            && now["JoinTokens"]["Manager"] != before["JoinTokens"]["Manager"];
        set.then_some(()).ok_or_else(|| spec.to_string())
    })
    .with_context(|| cluster.report())?;
    // What the user did not set is as it was.
    assert_eq!(shown()?["Spec"]["Raft"], before["Spec"]["Raft"]);
    cluster.until(&what, "{.status.tokenEpoch}=1")?;
    let key = h1.engine.get("/swarm/unlockkey")?["UnlockKey"].clone();
    let key = key.as_str().context("no unlock key")?;
    let names: BTreeSet<String> = ["h1", "h2", "h3"].map(|h| format!("{FLEET}/{h}")).into();
    eventually("the key in the Secrets of all managers", SOON, || {
        let with = secrets_with(&[key], &cluster).map_err(|e| e.to_string())?;
        (with == names)
            .then_some(())
            .ok_or_else(|| format!("{with:?}"))
    })
    .with_context(|| cluster.report())?;
    for host in [h1, h2, h3] {
        host.engine.kill()?;
    }
    for host in [h1, h2, h3] {
        host.engine.start_again()?;
    }
    for host in [h1, h2, h3] {
        eventually("an unlocked manager", SOON, || {
            let now = info(host).map_err(|e| e.to_string())?;
            let works = now["LocalNodeState"] == "active" && now["ControlAvailable"] == true;
            works.then_some(()).ok_or_else(|| now.to_string())
        })
        .with_context(|| cluster.report())?;
    }
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].clone();
    one_swarm(&cluster, &status)?;
    let tokens = shown()?["JoinTokens"].take();
    let token = |role: &str| tokens[role].as_str().context("no token").map(str::to_owned);
    let (worker, manager) = (token("Worker")?, token("Manager")?);
    let places = found_nowhere(&[key, &worker, &manager], &cluster, &[h1, h2])?;
    println!("the unlock key and the tokens are in none of {places} places");
    Ok(())
}

/// A swarm that was formed by hand is taken over as it is, and other hosts join it.
#[test]
fn a_swarm_that_exists_is_taken_over() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    let [h1, h2, _] = cluster.hosts()?;
    h1.engine
        .docker(["swarm", "init", "--advertise-addr", "eth0"])?;
    let token = h1
        .engine
        .docker(["swarm", "join-token", "--quiet", "worker"])?;
    let before = info(h1)?;
    let address = before["NodeAddr"].as_str().context("no address")?;
    let address = format!("{address}:2377");
    h2.engine.docker([
        "swarm",
        "join",
        "--advertise-addr",
        "eth0",
        "--token",
        &token,
        &address,
    ])?;
    let node = info(h2)?["NodeID"].clone();
    let id = before["Cluster"]["ID"].as_str().context("no cluster ID")?;
    let spec = format!("{{hostSelector: {{}}, advertiseAddress: eth0, adoptClusterID: {id}}}");
    cluster.apply(&swarm("prod", &spec))?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.until(&what, "{.status.workers}=2")?;
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].clone();
    assert_eq!(one_swarm(&cluster, &status)?, id);
    assert_eq!(info(h1)?["NodeID"], before["NodeID"]);
    assert_eq!(info(h2)?["NodeID"], node);
    assert_eq!(members(&status, "Worker"), ["h2", "h3"].into());
    // So is one of its networks.
    h1.engine.docker([
        "network",
        "create",
        "--driver",
        "overlay",
        "--attachable",
        "old",
    ])?;
    let id = h1.network_id("old")?;
    cluster.make(&[network(
        "old",
        "{hostSelector: {}, driver: overlay, adoptionPolicy: IfMatching}",
    )])?;
    assert_eq!(h1.network_id("old")?, id);
    Ok(())
}

/// The ingress network of the engine is removed by hand; the one of a resource takes its place.
#[test]
fn an_ingress_network_has_the_subnet_that_is_asked_for() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), ("h2", Debian20, "{}")])?;
    form(
        &cluster,
        "{hostSelector: {}, advertiseAddress: eth0}",
        "{.status.workers}=1",
    )?;
    let [h1, _] = cluster.hosts()?;
    let spec = "{hostSelector: {}, driver: overlay, overlay: {ingress: true}, \
                ipam: {config: [{subnet: 10.77.0.0/24}]}}";
    cluster.apply(&network("doors", spec))?;
    let what = "dnet/doors";
    // A swarm has one.
    says(&cluster, what, &["ingress network (", "already present"])?;
    h1.engine.delete("/networks/ingress")?.ok()?;
    cluster.ready(what)?;
    let shown = h1.engine.get("/networks/doors")?;
    assert_eq!(shown["Ingress"], true);
    assert_eq!(shown["Attachable"], false);
    assert_eq!(shown["IPAM"]["Config"][0]["Subnet"], "10.77.0.0/24");
    cluster.kubectl(&format!("delete {what}"))?;
    eventually("the removal", SOON, || {
        let all = h1.engine.get("/networks").map_err(|e| e.to_string())?;
        let gone = !all.to_string().contains("\"doors\"");
        gone.then_some(()).ok_or_else(|| all.to_string())
    })
    .with_context(|| cluster.report())
}
