//! Credentials from a Secret: they reach the engines that mount the share, and are found nowhere else.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Dockfleet, eventually};
use serde_json::{Value, json};

use crate::canary::{found_nowhere, holds_none, secrets_with};
use crate::test_cluster::{FLEET, SOON, TestCluster, condition, host, network, volume};
use crate::test_host::TestHost;

/// Passwords that are nowhere in any program or document.
const FIRST: &str = "kanarienvogel-4711";
const SECOND: &str = "zaunkoenig-0815";
const BOTH: &[&str] = &[FIRST, SECOND];

const SHARE: &str = "{hostSelector: {matchLabels: {site: a}}, deletionPolicy: Delete, cifs: {\
    server: files.invalid, share: team/media, version: '3.1.1', uid: 1000, gid: 1001, \
    fileMode: '0640', dirMode: '0750', mountOptions: [nobrl], credentialsSecret: {name: nas-login}}}";

fn options(password: &str) -> Value {
    let o = format!(
        "addr=files.invalid,vers=3.1.1,rw,uid=1000,gid=1001,file_mode=0640,dir_mode=0750,nobrl,\
         username=shop,password={password},domain=OFFICE"
    );
    json!({"type": "cifs", "device": "//files.invalid/team/media", "o": o})
}

fn secret(password: &str, labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: nas-login, namespace: default, labels: {labels}}}\n\
         type: kubernetes.io/basic-auth\n\
         stringData: {{username: shop, password: '{password}', domain: OFFICE}}\n---\n"
    )
}

/// As docs/kubernetes.md says it.
const RIGHTS: [&str; 2] = [
    "create role dockfleet-credentials -n default --verb=get --resource=secrets \
     --resource-name=nas-login",
    "create rolebinding dockfleet-credentials -n default --role=dockfleet-credentials \
     --serviceaccount=dockfleet-system:dockfleet-controller",
];

const ALLOWED: &str = "{dockfleet.io/credentials: 'true'}";

/// Waits until the condition Ready of the share has this reason and a message with this text.
fn share_says(cluster: &TestCluster, reason: &str, text: &str) -> Result<()> {
    eventually(&format!("{reason} with {text:?}"), SOON, || {
        let share = cluster.get("dvol/share").map_err(|e| e.to_string())?;
        let ready = condition(&share, "Ready");
        let fits = ready["reason"] == reason && ready["message"].to_string().contains(text);
        fits.then_some(()).ok_or_else(|| ready.to_string())
    })
    .with_context(|| cluster.report())
}

/// Waits until the engine of a host has the share with this password.
fn mounts_with(cluster: &TestCluster, host: &TestHost, password: &str) -> Result<()> {
    let what = format!("the share on {}", host.name());
    eventually(&what, SOON, || {
        let found = host.volume("share").map_err(|e| e.to_string())?;
        let found = found.ok_or("it is not there")?;
        let right = found["Options"] == options(password);
        right.then_some(()).ok_or_else(|| found.to_string())
    })
    .with_context(|| cluster.report())
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// Invariants 7 and 9.
#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one life of a password, step by step"
)]
fn i9_a_password_is_found_on_engines_and_in_secrets_only() -> Result<()> {
    let dockfleet = Dockfleet::find()?.with_env("DOCKFLEET_LOG", "trace");
    let cluster = TestCluster::prepare_with(
        dockfleet,
        &[("h1", Debian20, "{site: a}"), ("h2", Newest, "{site: a}")],
    )?;
    let hosts: [&TestHost; 2] = cluster.hosts()?;
    cluster.apply(&host("elsewhere", "{site: b}", "All"))?;
    cluster.start_controller()?;
    for host in hosts {
        host.join(&cluster.plane)?;
        host.start_agent()?;
    }

    // What is missing is told, and holds nothing else up.
    cluster.apply(&volume("share", SHARE))?;
    share_says(&cluster, "CredentialsMissing", "has no right to get it")?;
    for line in RIGHTS {
        cluster.kubectl(line)?;
    }
    share_says(
        &cluster,
        "CredentialsMissing",
        "Secret default/nas-login does not exist",
    )?;
    cluster.apply(&secret(FIRST, "{}"))?;
    share_says(&cluster, "CredentialsMissing", "dockfleet.io/credentials")?;
    cluster.make(&[network("front", "{hostNames: [h1, h2]}")])?;
    for host in hosts {
        assert_eq!(host.volume("share")?, None);
    }
    assert_eq!(secrets_with(BOTH, &cluster)?, names(["default/nas-login"]));

    // With the label it goes to the hosts that need it, and to no other.
    cluster.apply(&secret(FIRST, ALLOWED))?;
    cluster.ready("dvol/share")?;
    for host in hosts {
        mounts_with(&cluster, host, FIRST)?;
    }
    let copies = names([
        "default/nas-login",
        "dockfleet-hosts/h1",
        "dockfleet-hosts/h2",
    ]);
    assert_eq!(secrets_with(BOTH, &cluster)?, copies);

    // What an engine says of it: a mount that fails, a device that it refuses.
    for host in hosts {
        host.engine.import_busybox()?;
        let started =
            host.engine
                .docker(["run", "--volume", "share:/mnt", "busybox:local", "true"]);
        ensure!(started.is_err(), "there is no such server");
    }
    let bad = SHARE
        .replace("team/media", "team%zz")
        .replace("site: a", "site: a, bad: please");
    cluster.kubectl(&format!("label dhost/h2 -n {FLEET} bad=please"))?;
    cluster.apply(&volume("refused", &bad))?;
    cluster.not_ready("dvol/refused", "False", "EngineRefused")?;

    // Another password: told without either, and taken when the volume is made anew.
    cluster.apply(&secret(SECOND, ALLOWED))?;
    share_says(&cluster, "Drifted", "has other credentials than its Secret")?;
    let diff = cluster.entry_with(hosts[0], &cluster.uid("dvol/share")?, "Drifted")?["diff"].take();
    assert_eq!(
        diff,
        json!([{"field": "cifs.credentialsSecret", "want": "its credentials", "have": "others"}])
    );
    for host in hosts {
        // The container that could not start holds it still.
        host.engine.docker(["container", "prune", "--force"])?;
        host.engine.docker(["volume", "rm", "share"])?;
        mounts_with(&cluster, host, SECOND)?;
    }
    cluster.ready("dvol/share")?;

    // A Secret that is no good any more, or gone, changes nothing on hosts.
    cluster.apply(&secret(&format!("{FIRST},ro"), ALLOWED))?;
    share_says(
        &cluster,
        "CredentialsMissing",
        "its key password has a comma",
    )?;
    cluster.kubectl("delete secret/nas-login")?;
    share_says(&cluster, "CredentialsMissing", "does not exist")?;
    cluster.make(&[network("back", "{hostNames: [h1, h2]}")])?;
    for host in hosts {
        mounts_with(&cluster, host, SECOND)?;
    }
    let places = found_nowhere(BOTH, &cluster, &hosts)?;
    println!("the passwords are in none of {places} places");

    // An agent that starts anew needs nothing for what is there, and asks for what is not.
    hosts[0].kill_agent()?;
    hosts[0].engine.docker(["volume", "rm", "share"])?;
    hosts[0].start_agent()?;
    mounts_with(&cluster, hosts[0], SECOND)?;

    // The copies go with the volume.
    cluster.kubectl("delete dvol/share dvol/refused --timeout=60s")?;
    for host in hosts {
        host.await_no_volume("share")?;
    }
    eventually("the end of the copies", SOON, || {
        let with = secrets_with(BOTH, &cluster).map_err(|e| e.to_string())?;
        with.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{with:?}"))
    })
    .with_context(|| cluster.report())?;
    holds_none(
        BOTH,
        "the controller's log",
        &fs::read(cluster.controller_log_path()?)?,
    )?;
    for host in hosts {
        holds_none(BOTH, host.name(), &fs::read(host.agent_log_path()?)?)?;
    }
    Ok(())
}
