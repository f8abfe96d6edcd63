//! Backups of volumes: each host makes its own when it is its turn, and restic reads what is there.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Folder, Listen, RestRules, Restic, Store, StoreAddress, eventually};
use serde_json::Value;

use crate::canary::{found_nowhere, secrets_with};
use crate::test_cluster::{FLEET, SOON, TestCluster, condition, event, ready_reason, resource};
use crate::test_host::TestHost;

/// A password that is nowhere in any program or document.
const PASSWORD: &str = "kanarienvogel-0815";

fn secret(values: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: keys\n  namespace: {FLEET}\n  \
         labels: {{dockfleet.io/credentials: 'true'}}\nstringData: {values}\n---\n"
    )
}

fn repository(name: &str, spec: &str) -> String {
    let spec = format!("{{secret: {{name: keys}}, {spec}}}");
    resource("BackupRepository", &format!("{FLEET}/{name}"), &spec)
}

fn in_folder(store: &Store, spec: &str) -> String {
    let folder = store.data().display().to_string();
    repository(
        "main",
        &format!("path: {{folder: {folder}, allowSameDisk: true}}, {spec}"),
    )
}

fn backup(name: &str, spec: &str) -> String {
    let spec = format!("{{volumeName: data, repository: main, {spec}}}");
    resource("VolumeBackup", &format!("{FLEET}/{name}"), &spec)
}

fn of(name: &str) -> String {
    format!("dbackup/{name} -n {FLEET}")
}

/// Waits until a backup has ended in a phase, and returns its status.
fn ended(cluster: &TestCluster, name: &str, phase: &str) -> Result<Value> {
    let of = of(name);
    cluster.until(&of, "{.status.completionTime}")?;
    let status = cluster.get(&of)?["status"].clone();
    ensure!(status["phase"] == phase, "{status}");
    Ok(status)
}

/// Makes backups until one fails for a reason: the controller reads a changed Secret after some seconds.
fn fails_at_last(cluster: &TestCluster, name: &str, reason: &str) -> Result<()> {
    let mut number = 0;
    eventually(&format!("a backup that fails: {reason}"), SOON, || {
        number += 1;
        let name = format!("{name}-{number}");
        let made = cluster.apply(&backup(&name, "hostNames: [h1]"));
        let status = made.and_then(|_| ended(cluster, &name, "Failed"));
        let status = status.map_err(|err| format!("{err:#}"))?;
        let is_meant = status["results"][0]["reason"] == reason;
        is_meant.then_some(()).ok_or_else(|| status.to_string())
    })
}

/// Creates a volume with a file in it.
fn volume(host: &TestHost, content: &str) -> Result<()> {
    host.engine.docker(["volume", "create", "data"])?;
    host.write_into_volume("data", content)
}

/// Returns the password of a host's own repository, as the program and as openssl compute it.
fn password_of(cluster: &TestCluster, host: &str) -> Result<String> {
    let folder = Folder::new()?;
    let file = folder.file("password");
    fs::write(&file, PASSWORD)?;
    let name = format!("{FLEET}/{host}");
    let file = file.display().to_string();
    let args = ["repository", "password", &name, "--password-file", &file];
    Ok(cluster.dockfleet.run(args)?.ok()?.trim().to_owned())
}

/// Restores the newest snapshot by restic, and returns the content of the file in it.
fn restored_by_restic(address: &StoreAddress, host: &str, password: &str) -> Result<String> {
    let restic = Restic::new(address, &format!("{FLEET}_{host}"), password)?;
    let target = Folder::new()?;
    let to = target.path().display().to_string();
    restic
        .run(["restore", "latest", "--target", &to, "--host", host])?
        .ok()?;
    let file: PathBuf = target.path().join("volumes/data/content");
    fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// Invariants 9, 10 and 16.
#[test]
fn every_host_is_backed_up_in_its_turn_and_restic_restores_it() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    let hosts: [&TestHost; 3] = cluster.hosts()?;
    for host in hosts {
        volume(host, &format!("of {}", host.name()))?;
    }
    let store = Store::path()?;
    cluster.apply(&in_folder(&store, "maxConcurrent: 1, retention: {last: 1}"))?;
    let of_repository = format!("drepo/main -n {FLEET}");
    cluster.until(&of_repository, &ready_reason("CredentialsMissing"))?;
    cluster.apply(&secret(&format!("{{RESTIC_PASSWORD: {PASSWORD}}}")))?;
    cluster.ready(&of_repository)?;

    cluster.apply(&backup(
        "first",
        "hostSelector: {}, verify: ReadData, tags: [by-hand]",
    ))?;
    let status = ended(&cluster, "first", "Completed")?;
    assert_eq!(status["succeeded"], 3);
    let names: Vec<&Value> = (0..3).map(|n| &status["results"][n]["host"]).collect();
    assert_eq!(names, ["h1", "h2", "h3"]);
    assert_eq!(status["results"][0]["verified"], true);
    cluster.ready(&of("first"))?;
    event(
        &cluster,
        "Normal",
        "backup of volume data on 3 hosts begins",
    )?;
    event(&cluster, "Normal", "3 of 3 hosts have a whole backup")?;
    let table = cluster.kubectl(&format!("get dbackup,drepo -n {FLEET} -o wide"))?;
    for word in [
        "SUCCEEDED",
        "Completed",
        "PerHost",
        "3 of 3 hosts have a whole backup",
    ] {
        ensure!(table.contains(word), "{table}");
    }
    // What is done needs no place in assignments.
    for host in hosts {
        cluster.assigned(host, &[])?;
    }
    // One host after the other: the snapshots do not overlap.
    let passwords = hosts.map(|host| password_of(&cluster, host.name()));
    let passwords: Vec<String> = passwords.into_iter().collect::<Result<_>>()?;
    for (host, password) in hosts.iter().zip(&passwords) {
        let content = restored_by_restic(store.address(), host.name(), password)?;
        assert_eq!(content, format!("of {}", host.name()));
    }
    // Invariant 10: the password of one host opens nothing of another one.
    let other = Restic::new(store.address(), &format!("{FLEET}_h2"), &passwords[0])?;
    ensure!(other.run(["snapshots"])?.code() != Some(0));

    // Another backup finds what has changed, and only the newest snapshot stays.
    hosts[1].write_into_volume("data", "changed")?;
    cluster.apply(&backup("second", "hostNames: [h2]"))?;
    ended(&cluster, "second", "Completed")?;
    let content = restored_by_restic(store.address(), "h2", &passwords[1])?;
    assert_eq!(content, "changed");
    let restic = Restic::new(store.address(), &format!("{FLEET}_h2"), &passwords[1])?;
    assert_eq!(restic.snapshots()?.len(), 1);
    restic.check()?;

    let mut secrets: Vec<&str> = passwords.iter().map(String::as_str).collect();
    secrets.push(PASSWORD);
    found_nowhere(&secrets, &cluster, &hosts)?;
    let with = secrets_with(&[PASSWORD], &cluster)?;
    assert_eq!(
        with.into_iter().collect::<Vec<_>>(),
        [format!("{FLEET}/keys")]
    );

    // A host keeps no password for which it has no backup to make.
    let of_hosts: Vec<&str> = passwords.iter().map(String::as_str).collect();
    eventually("Secrets of hosts without passwords", SOON, || {
        let with = secrets_with(&of_hosts, &cluster).map_err(|err| format!("{err:#}"))?;
        with.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{with:?}"))
    })?;

    // A backup that is deleted leaves its snapshot, and one that is changed is refused.
    let changed = cluster.patch(&of("first"), r#"{"spec": {"volumeName": "other"}}"#);
    let refused = format!("{:#}", changed.unwrap_err());
    ensure!(
        refused.contains("cannot be changed; create another one"),
        "{refused}"
    );
    cluster.kubectl(&format!("delete dbackup --all -n {FLEET} --timeout=60s"))?;
    let content = restored_by_restic(store.address(), "h1", &passwords[0])?;
    assert_eq!(content, "of h1");
    Ok(())
}

#[test]
fn what_goes_wrong_is_told_and_stalls() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let [h1, _h2] = cluster.hosts()?;
    volume(h1, "of h1")?;
    let store = Store::path()?;
    // A backup waits for its repository.
    cluster.apply(&backup("early", "hostNames: [h1]"))?;
    cluster.until(&of("early"), "{.status.phase}=Pending")?;
    cluster.apply(&secret(&format!("{{RESTIC_PASSWORD: {PASSWORD}}}")))?;
    cluster.apply(&in_folder(&store, "layout: Shared"))?;
    ended(&cluster, "early", "Completed")?;

    // One host has no such volume.
    cluster.apply(&backup("both", "hostSelector: {}"))?;
    let status = ended(&cluster, "both", "PartiallyFailed")?;
    assert_eq!(
        (&status["succeeded"], &status["failed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(status["results"][0]["reason"], "NoVolume");
    let both = cluster.get(&of("both"))?;
    let (ready, stalled) = (condition(&both, "Ready"), condition(&both, "Stalled"));
    assert_eq!(
        (&ready["status"], &stalled["status"]),
        (&"False".into(), &"True".into())
    );
    assert_eq!(
        ready["message"],
        "1 of 2 hosts have a whole backup, 1 failed; h2: NoVolume: there is no volume data"
    );
    event(&cluster, "Warning", "h2: NoVolume")?;

    // An empty volume after one that was not.
    fs::remove_file(h1.file_of("data")?)?;
    cluster.apply(&backup("empty", "hostNames: [h1]"))?;
    let status = ended(&cluster, "empty", "Failed")?;
    assert_eq!(status["results"][0]["reason"], "SourceEmpty");
    h1.write_into_volume("data", "again")?;

    // Another password.
    cluster.apply(&secret("{RESTIC_PASSWORD: wrong}"))?;
    fails_at_last(&cluster, "locked", "WrongPassword")?;
    cluster.apply(&secret(&format!("{{RESTIC_PASSWORD: {PASSWORD}}}")))?;
    let mut number = 0;
    eventually("a backup with the right password", SOON, || {
        number += 1;
        let name = format!("unlocked-{number}");
        let made = cluster.apply(&backup(&name, "hostNames: [h1]"));
        let made = made.and_then(|_| ended(&cluster, &name, "Completed"));
        made.map(drop).map_err(|err| format!("{err:#}"))
    })?;

    // The repository is gone: a new one would hide it.
    let aside = store.data().with_extension("aside");
    fs::rename(store.data(), &aside)?;
    fs::create_dir(store.data())?;
    cluster.apply(&backup("gone", "hostNames: [h1]"))?;
    let status = ended(&cluster, "gone", "Failed")?;
    assert_eq!(status["results"][0]["reason"], "NoRepository");
    let message = status["results"][0]["message"].to_string();
    ensure!(message.contains("it was there before"), "{message}");
    ensure!(fs::read_dir(store.data())?.next().is_none());
    fs::remove_dir(store.data())?;

    // The disk with it is not mounted.
    cluster.apply(&backup("unmounted", "hostNames: [h1]"))?;
    let status = ended(&cluster, "unmounted", "Failed")?;
    assert_eq!(status["results"][0]["reason"], "StoreUnreachable");
    fs::rename(&aside, store.data())?;
    cluster.apply(&backup("well", "hostNames: [h1]"))?;
    ended(&cluster, "well", "Completed")?;
    Ok(())
}

/// Returns the spec of a store on a server, and the values of its Secret.
fn on_server(store: &Store) -> Result<(String, String)> {
    let quoted = |text: &str| serde_json::to_string(text);
    let bundle = |ca: &Option<PathBuf>| -> Result<String> {
        Ok(match ca {
            Some(file) => format!(", caBundle: {}", quoted(&fs::read_to_string(file)?)?),
            None => String::new(),
        })
    };
    Ok(match store.address() {
        StoreAddress::S3 {
            endpoint,
            bucket,
            region,
            access_key,
            secret_key,
            ca,
        } => (
            format!(
                "s3: {{endpoint: '{endpoint}', bucket: {bucket}, prefix: a/b, region: {region}{}}}",
                bundle(ca)?
            ),
            format!(
                "{{RESTIC_PASSWORD: {PASSWORD}, AWS_ACCESS_KEY_ID: {access_key}, \
                 AWS_SECRET_ACCESS_KEY: {secret_key}}}"
            ),
        ),
        StoreAddress::Rest { url, login, ca } => {
            let (user, password) = login.clone().context("it asks nobody")?;
            (
                format!("rest: {{url: '{url}'{}}}", bundle(ca)?),
                format!(
                    "{{RESTIC_PASSWORD: {PASSWORD}, RESTIC_REST_USERNAME: {user}, \
                     RESTIC_REST_PASSWORD: {password}}}"
                ),
            )
        }
        StoreAddress::Path(_) | StoreAddress::Sftp { .. } => bail!("it is not a server of HTTP"),
    })
}

#[test]
fn whatever_is_killed_a_backup_is_made_once_and_who_is_away_is_missed() -> Result<()> {
    let cluster = TestCluster::prepare(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    cluster.hurry();
    cluster.start_controller()?;
    let [h1, h2] = cluster.hosts()?;
    for host in [h1, h2] {
        host.join(&cluster.plane)?;
        host.start_agent()?;
        volume(host, "data")?;
        let mut random = File::open("/dev/urandom")?.take(2_000_000);
        let mut file = File::create(host.file_of("data")?.with_file_name("random"))?;
        std::io::copy(&mut random, &mut file)?;
    }
    cluster.ready("dhost --all --all-namespaces")?;
    let store = Store::rest(&Listen::on(h1.host.fleet()), RestRules::default())?;
    let (spec, values) = on_server(&store)?;
    cluster.apply(&secret(&values))?;
    let slow = format!("{spec}, bandwidth: {{upload: 100k}}");
    cluster.apply(&repository("main", &slow))?;
    h2.kill_agent()?;
    cluster.apply(&backup("night", "hostSelector: {}, startingDeadline: 60s"))?;
    let of_h1 = format!("hassign/h1 -n {FLEET}");
    let runs = "{.status.entries[?(@.state==\"Pending\")].detail.running}=true";
    cluster.until(&of_h1, runs)?;
    h1.kill_agent()?;
    cluster.kill_controller()?;
    cluster.start_controller()?;
    h1.start_agent()?;
    let status = ended(&cluster, "night", "PartiallyFailed")?;
    assert_eq!(
        (&status["succeeded"], &status["missed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(status["results"][0]["host"], "h2");
    assert_eq!(status["results"][0]["reason"], "Missed");
    let password = password_of(&cluster, "h1")?;
    let restic = Restic::new(store.address(), &format!("{FLEET}_h1"), &password)?;
    let snapshots = restic.snapshots()?;
    ensure!(snapshots.len() == 1, "{snapshots:?}");
    let tags = snapshots[0]["tags"].to_string();
    ensure!(tags.contains(&format!("backup={FLEET}/night")), "{tags}");
    restic.check()?;

    // The host that was missed does not begin when it is back.
    h2.start_agent()?;
    cluster.ready("dhost --all --all-namespaces")?;
    cluster.assigned(h2, &[])?;
    ensure!(!store.data().join(format!("{FLEET}_h2")).exists());
    Ok(())
}

#[test]
fn a_server_is_trusted_by_its_authority_and_a_store_that_refuses_is_told() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    volume(h1, "of h1")?;
    let store = Store::s3(&Listen::on(h1.host.fleet()).with_tls())?;
    let (spec, values) = on_server(&store)?;
    cluster.apply(&secret(&values))?;
    cluster.apply(&repository("main", &spec))?;
    cluster.apply(&backup("first", "hostNames: [h1]"))?;
    ended(&cluster, "first", "Completed")?;
    let password = password_of(&cluster, "h1")?;
    let restic = Restic::new(store.address(), &format!("a/b/{FLEET}_h1"), &password)?;
    assert_eq!(restic.snapshots()?.len(), 1);

    let without_key = secret(&format!("{{RESTIC_PASSWORD: {PASSWORD}}}"));
    cluster.kubectl(&format!("delete secret keys -n {FLEET}"))?;
    cluster.apply(&without_key)?;
    fails_at_last(&cluster, "second", "CredentialsMissing")?;
    Ok(())
}

#[test]
fn a_schedule_makes_a_backup_at_its_time_and_when_it_is_asked() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    volume(h1, "of h1")?;
    let store = Store::path()?;
    cluster.apply(&secret(&format!("{{RESTIC_PASSWORD: {PASSWORD}}}")))?;
    cluster.apply(&in_folder(&store, "layout: Shared"))?;
    let spec = "{schedule: 0 2 29 2 *, timeZone: Europe/Berlin, successfulHistoryLimit: 1, \
                template: {hostNames: [h1], volumeName: data, repository: main}}";
    let schedule = resource("VolumeBackupSchedule", &format!("{FLEET}/nightly"), spec);
    cluster.apply(&schedule)?;
    let nightly = format!("dschedule/nightly -n {FLEET}");
    cluster.ready(&nightly)?;
    let next = cluster.get(&nightly)?["status"]["nextScheduleTime"].clone();
    ensure!(next == "2028-02-29T01:00:00Z", "{next}");

    // Nothing was made yet. It is when somebody asks for it, once.
    cluster.patch(&nightly, r#"{"spec": {"runNow": "before-upgrade"}}"#)?;
    cluster.until(&nightly, "{.status.lastPhase}=Completed")?;
    cluster.until(&nightly, "{.status.lastRunNow}=before-upgrade")?;
    let made = |number: usize| -> Result<Vec<String>> {
        let all = cluster.get(&format!(
            "dbackup -n {FLEET} -l dockfleet.io/schedule=nightly"
        ))?;
        let items = all["items"].as_array().context("no list")?;
        let name = |b: &Value| {
            b["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let names: Vec<String> = items.iter().map(name).collect();
        ensure!(names.len() == number, "{names:?}");
        Ok(names)
    };
    assert_eq!(made(1)?, ["nightly-now-2"]);

    // Each minute, through a controller that is killed; the last one stays in the history.
    cluster.kill_controller()?;
    cluster.patch(&nightly, r#"{"spec": {"schedule": "* * * * *"}}"#)?;
    cluster.start_controller()?;
    cluster.until(&nightly, "{.status.lastScheduleTime}")?;
    eventually("a history of one", SOON, || {
        let names = made(1).map_err(|err| format!("{err:#}"))?;
        let is_new = names != ["nightly-now-2"];
        is_new.then_some(()).ok_or_else(|| format!("{names:?}"))
    })
    .with_context(|| cluster.report())?;
    let snapshots = Restic::new(store.address(), "", PASSWORD)?.snapshots()?;
    ensure!(snapshots.len() >= 2, "{snapshots:?}");

    // A schedule that cannot be read makes nothing.
    cluster.patch(
        &nightly,
        r#"{"spec": {"schedule": "at night", "suspend": true}}"#,
    )?;
    cluster.not_ready(&nightly, "False", "Invalid")?;
    Ok(())
}

/// Invariant 16: a container that was stopped for a backup runs again, whatever is killed.
#[test]
fn a_container_that_was_stopped_for_a_backup_runs_again_when_its_agent_was_killed() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}")])?;
    let [h1] = cluster.hosts()?;
    volume(h1, "data")?;
    let mut random = File::open("/dev/urandom")?.take(2_000_000);
    let mut file = File::create(h1.file_of("data")?.with_file_name("random"))?;
    std::io::copy(&mut random, &mut file)?;
    h1.engine.import_busybox()?;
    let run = "run -d --name app --network none -v data:/data busybox:local sleep 3600";
    h1.engine.docker(run.split(' '))?;
    let awaits = |running: bool| {
        eventually(&format!("a container that runs: {running}"), SOON, || {
            let format = "{{.State.Running}}";
            let found = h1.engine.docker(["inspect", "--format", format, "app"]);
            let found = found.map_err(|err| format!("{err:#}"))?;
            (found.trim() == running.to_string())
                .then_some(())
                .ok_or(found)
        })
        .with_context(|| cluster.report())
    };
    let store = Store::rest(&Listen::on(h1.host.fleet()), RestRules::default())?;
    let (spec, values) = on_server(&store)?;
    cluster.apply(&secret(&values))?;
    cluster.apply(&repository(
        "main",
        &format!("{spec}, bandwidth: {{upload: 200k}}"),
    ))?;
    cluster.apply(&backup("night", "hostNames: [h1], consistency: Stop"))?;
    awaits(false)?;
    h1.kill_agent()?;
    h1.start_agent()?;
    awaits(true)?;
    ended(&cluster, "night", "Completed")?;
    awaits(true)?;

    // For too long: it runs again, and there is no backup.
    let long = "hostNames: [h1], consistency: Pause, maxDowntime: 0s";
    cluster.apply(&backup("long", long))?;
    let status = ended(&cluster, "long", "Failed")?;
    assert_eq!(status["results"][0]["reason"], "Interrupted");
    let paused = h1
        .engine
        .docker(["inspect", "--format", "{{.State.Paused}}", "app"])?;
    assert_eq!(paused.trim(), "false");
    Ok(())
}

/// Invariants 10 and 16: a machine is lost, and another one gets its data from the repository.
#[test]
fn i16_another_host_gets_the_data_of_a_lost_one_and_nothing_is_written_over_data() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Debian20, "{}"), ("h2", Newest, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    volume(h1, "of h1")?;
    let store = Store::path()?;
    cluster.apply(&secret(&format!("{{RESTIC_PASSWORD: {PASSWORD}}}")))?;
    cluster.apply(&in_folder(&store, "layout: PerHost"))?;
    cluster.apply(&backup("night", "hostNames: [h1]"))?;
    ended(&cluster, "night", "Completed")?;

    // The host is gone, with its resources.
    h1.kill_agent()?;
    cluster.kubectl(&format!("delete dbackup --all -n {FLEET} --timeout=60s"))?;
    cluster.kubectl(&format!("delete dhost/h1 -n {FLEET} --timeout=60s"))?;
    let restore = |name: &str, spec: &str| {
        let spec =
            format!("{{host: h2, sourceHost: h1, volumeName: data, repository: main, {spec}}}");
        cluster.apply(&resource(
            "VolumeRestore",
            &format!("{FLEET}/{name}"),
            &spec,
        ))
    };
    let restored = |name: &str, phase: &str| -> Result<Value> {
        let of = format!("drestore/{name} -n {FLEET}");
        cluster.until(&of, "{.status.completionTime}")?;
        let status = cluster.get(&of)?["status"].clone();
        ensure!(status["phase"] == phase, "{status}");
        Ok(status)
    };
    restore("back", "timeout: 1h")?;
    let status = restored("back", "Completed")?;
    assert_eq!(status["results"][0]["files"], 1);
    cluster.ready(&format!("drestore/back -n {FLEET}"))?;
    assert_eq!(h2.read_from_volume("data")?, "of h1");
    event(&cluster, "Normal", "1 of 1 host has a whole restore")?;

    // Done once: made again, it writes over nothing.
    h2.write_into_volume("data", "changed since")?;
    cluster.kubectl(&format!("delete drestore/back -n {FLEET} --timeout=60s"))?;
    restore("back", "timeout: 1h")?;
    let status = restored("back", "Failed")?;
    assert_eq!(status["results"][0]["reason"], "TargetNotEmpty");
    assert_eq!(h2.read_from_volume("data")?, "changed since");

    // What fails leaves no empty volume behind.
    restore("none", "targetVolume: other, snapshot: '0000'")?;
    let status = restored("none", "Failed")?;
    assert_eq!(status["results"][0]["reason"], "NoSnapshot");
    assert_eq!(h2.volume("other")?, None);
    // The host keeps no password of another one.
    let of_h1 = password_of(&cluster, "h1")?;
    eventually("Secrets of hosts without passwords", SOON, || {
        let with = secrets_with(&[&of_h1], &cluster).map_err(|err| format!("{err:#}"))?;
        with.is_empty()
            .then_some(())
            .ok_or_else(|| format!("{with:?}"))
    })
}
