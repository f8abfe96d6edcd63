//! Credentials from a Secret: they reach the engines that mount the share, and are found nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Dockfleet, eventually};
use serde_json::{Value, json};

use crate::test_cluster::{FLEET, SOON, TestCluster, condition, host, network, volume};
use crate::test_host::TestHost;
use crate::vitals;

/// Passwords that are nowhere in any program or document.
const FIRST: &str = "kanarienvogel-4711";
const SECOND: &str = "zaunkoenig-0815";

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

/// A text as it stands, and as it is in base64 at any place of a longer text.
fn shapes(text: &str) -> Vec<String> {
    let mut shapes = vec![text.to_owned()];
    for lead in 0..3 {
        let padded = [&[b'x'].repeat(lead)[..], text.as_bytes()].concat();
        let whole = base64(&padded);
        // Without the characters that hang on what is before and behind it.
        let inner = whole.get(4..whole.len() - 4).unwrap_or_default();
        shapes.push(inner.to_owned());
    }
    shapes
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for shift in [18, 12, 6, 0] {
            let digit = usize::try_from(bits >> shift & 63).unwrap_or_default();
            text.extend(DIGITS.get(digit).copied().map(char::from));
        }
    }
    text
}

fn holds_none(place: &str, bytes: &[u8]) -> Result<()> {
    for password in [FIRST, SECOND] {
        for shape in shapes(password) {
            let found = bytes.windows(shape.len()).any(|w| w == shape.as_bytes());
            ensure!(!found, "{place} has the password (as {shape})");
        }
    }
    Ok(())
}

/// Looks for the passwords everywhere; gives how many places that were.
fn found_nowhere(cluster: &TestCluster, hosts: &[&TestHost]) -> Result<usize> {
    let mut places = 0;
    let mut search = |place: &str, bytes: &[u8]| {
        places += 1;
        ensure!(!bytes.is_empty(), "{place} is empty");
        holds_none(place, bytes)
    };
    let kinds = cluster.kubectl("api-resources --verbs=list -o name")?;
    for kind in kinds.lines().filter(|kind| *kind != "secrets") {
        let line = format!("get {kind} -A -o yaml --show-managed-fields");
        search(&line, cluster.kubectl(&line)?.as_bytes())?;
    }
    for kind in ["dhost", "hassign", "dvol", "dnet", "ns"] {
        let line = format!("describe {kind} -A");
        search(&line, cluster.kubectl(&line)?.as_bytes())?;
    }
    let log = cluster.controller_log_path()?;
    search("the controller's log", &fs::read(&log)?)?;
    let shown = metrics(&log, Ipv4Addr::LOCALHOST)?;
    search("the controller's metrics", shown.as_bytes())?;
    for host in hosts {
        let name = host.name();
        let log = host.agent_log_path()?;
        search(&format!("the log of {name}"), &fs::read(&log)?)?;
        let shown = metrics(&log, host.host.address())?;
        search(&format!("the metrics of {name}"), shown.as_bytes())?;
        for file in fs::read_dir(host.state_dir())? {
            let path = file?.path();
            let bytes = fs::read(&path)?;
            if !bytes.is_empty() {
                search(&path.display().to_string(), &bytes)?;
            }
        }
        let journal = host.state_dir().display().to_string();
        for format in ["table", "wide", "json", "yaml"] {
            let shown = cluster.dockfleet.run(["journal", &journal, "-o", format])?;
            search("dockfleet journal", shown.ok()?.as_bytes())?;
        }
    }
    Ok(places)
}

/// Gives the metrics of the program with this log.
fn metrics(log: &Path, host: Ipv4Addr) -> Result<String> {
    Ok(vitals::get(vitals::served(log, host)?, "/metrics")?.1)
}

/// Gives the names of the Secrets in which one of the passwords is.
fn secrets_with(cluster: &TestCluster) -> Result<BTreeSet<String>> {
    let all = cluster.get("secrets --all-namespaces")?;
    let items = all["items"].as_array().context("no list")?;
    let with = items
        .iter()
        .filter(|s| holds_none("", s.to_string().as_bytes()).is_err());
    let name = |s: &Value| {
        let text = |key: &str| s["metadata"][key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("namespace"), text("name"))
    };
    Ok(with.map(name).collect())
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
    assert_eq!(secrets_with(&cluster)?, names(["default/nas-login"]));

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
    assert_eq!(secrets_with(&cluster)?, copies);

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
    let places = found_nowhere(&cluster, &hosts)?;
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
        let with = secrets_with(&cluster).map_err(|e| e.to_string())?;
        with.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{with:?}"))
    })
    .with_context(|| cluster.report())?;
    holds_none(
        "the controller's log",
        &fs::read(cluster.controller_log_path()?)?,
    )?;
    for host in hosts {
        holds_none(host.name(), &fs::read(host.agent_log_path()?)?)?;
    }
    Ok(())
}
