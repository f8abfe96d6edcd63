//! The credential of an agent: renewed in time, dead for good, and had again.
//!
//! The API server makes no token that lives for less than ten minutes, and takes one for a minute
//! after it has ended. So the tokens that end in a test are made by the test, with the API server's
//! own key.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::Newest;
use dockfleet_e2e::eventually;

use crate::test_cluster::{FLEET, TestCluster, network};
use crate::test_host::TestHost;

/// How long a dead token may still be taken for a live one after its end: the API server's leeway.
const LEEWAY: Duration = Duration::from_mins(1);
/// How long a running agent may take to find back with a new credential: the client reads its file
/// once a minute, and whoever was refused for a while waits longer between attempts.
const BACK: Duration = Duration::from_mins(4);

fn now() -> Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_secs())?)
}

/// Puts a token with these times, relative to now, into the place of the one that a host has.
fn replace_token(cluster: &TestCluster, host: &TestHost, issued: i64, expires: i64) -> Result<()> {
    let now = now()?;
    let token = cluster
        .plane
        .token(FLEET, host.name(), now + issued, now + expires)?;
    Ok(std::fs::write(host.state_dir().join("token"), token)?)
}

fn lines(host: &TestHost, text: &str) -> Result<usize> {
    Ok(std::fs::read_to_string(host.agent_log_path()?)?
        .matches(text)
        .count())
}

/// Gives when the token of a host ends, as the agent's metric says.
fn token_ends(host: &TestHost) -> Result<i64> {
    let address = crate::vitals::served(&host.agent_log_path()?, host.host.address())?;
    let (_, text) = crate::vitals::get(address, "/metrics")?;
    let name = "dockfleet_agent_token_expiry_timestamp_seconds";
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.split(' ').nth(1));
    Ok(value.context("no such metric")?.parse()?)
}

/// Waits until the agent reports again: on a network that was made after it was cut off.
fn reports_again(cluster: &TestCluster, name: &str) -> Result<()> {
    cluster.apply(&network(name, "{hostSelector: {}}"))?;
    eventually("a report", BACK, || {
        let found = cluster
            .get(&format!("dnet/{name}"))
            .map_err(|e| e.to_string())?;
        (found["status"]["hosts"]["ready"] == 1)
            .then_some(())
            .ok_or_else(|| found["status"].to_string())
    })
    .with_context(|| cluster.report())
}

#[test]
fn a_token_is_renewed_under_load_without_a_gap() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    h1.kill_agent()?;
    let life = Duration::from_secs(15);
    replace_token(&cluster, h1, 0, 15)?;
    let begin = Instant::now();
    let dead = begin + life + LEEWAY;
    let first = std::fs::read_to_string(h1.state_dir().join("token"))?;
    // The next ones live for ten minutes, and are renewed every half minute.
    h1.start_agent_with(&["--token-life=10m", "--token-renew-at=0.05"])?;
    let mut rounds = 0;
    let mut slowest = Duration::ZERO;
    while Instant::now() < dead + Duration::from_secs(20) || lines(h1, "credential renewed")? < 3 {
        let round = Instant::now();
        cluster.everybody_goes_on("front")?;
        h1.engine.docker(["network", "rm", "front"])?;
        h1.await_network("front")?;
        cluster.kubectl("delete dnet/front --timeout=60s")?;
        h1.await_no_network("front")?;
        slowest = slowest.max(round.elapsed());
        rounds += 1;
    }
    let log = std::fs::read_to_string(h1.agent_log_path()?)?;
    for gap in [
        "Unauthorized",
        "has expired or was revoked",
        "report failed",
        "could not be renewed",
    ] {
        ensure!(!log.contains(gap), "{gap}: {log}");
    }
    // The first one is dead by now, and was that long before the end.
    let path = cluster.plane.kubeconfig_with_token(&first)?;
    let path = path.display().to_string();
    let get = ["--kubeconfig", &path, "get", "dhost/h1", "-n", FLEET];
    let refused = cluster.plane.kubectl(get)?;
    ensure!(refused.stderr.contains("Unauthorized"), "{refused:?}");
    println!(
        "{} renewals, {rounds} rounds of create, repair and delete over {} s, the slowest {} ms, \
         0 calls refused",
        lines(h1, "credential renewed")?,
        begin.elapsed().as_secs(),
        slowest.as_millis()
    );
    Ok(())
}

#[test]
fn a_dead_credential_is_told_once_and_joining_again_heals_it() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    cluster.everybody_goes_on("front")?;
    let front = h1.network_id("front")?;

    // The host was away for longer than its token lived.
    h1.kill_agent()?;
    replace_token(&cluster, h1, -800, -100)?;
    h1.start_agent()?;
    crate::test_cluster::log_says(h1, "the credential has expired or was revoked")?;
    let ended = token_ends(h1)?;
    ensure!(ended < now()? - 30, "{ended}");
    // What is there stays, and is kept as it was asked for.
    cluster.apply(&network("unseen", "{hostSelector: {}}"))?;
    assert_eq!(h1.network_id("front")?, front);
    h1.engine.docker(["network", "rm", "front"])?;
    let repaired = h1.await_network("front")?;
    assert_ne!(repaired["Id"], front.as_str());
    assert!(h1.network("unseen")?.is_none());

    // An administrator lets it in again, beside the running agent.
    let begin = Instant::now();
    h1.join(&cluster.plane)?;
    reports_again(&cluster, "after")?;
    println!("back {} s after joining again", begin.elapsed().as_secs());
    h1.await_network("unseen")?;
    ensure!(token_ends(h1)? > now()?);
    assert_eq!(
        lines(h1, "the credential has expired or was revoked")?,
        1,
        "{}",
        h1.agent_log()
    );
    assert_eq!(
        h1.network_id("front")?,
        repaired["Id"].as_str().unwrap_or_default()
    );
    Ok(())
}

#[test]
fn a_revoked_host_is_out_at_once_and_cannot_let_itself_in() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    cluster.everybody_goes_on("front")?;
    let front = h1.network_id("front")?;
    let secret = cluster.uid(&format!("secret/h1 -n {FLEET}"))?;
    // Somebody has stolen the token, and uses it.
    let stolen = std::fs::read_to_string(h1.state_dir().join("token"))?;
    let stolen = cluster.plane.kubeconfig_with_token(&stolen)?;
    let stolen = stolen.display().to_string();
    let get = ["--kubeconfig", &stolen, "get", "dhost/h1", "-n", FLEET];
    let more = "create token h1 --duration=10m --bound-object-kind=Secret --bound-object-name=h1";
    let more: Vec<&str> = ["--kubeconfig", &stolen, "-n", FLEET]
        .into_iter()
        .chain(more.split(' '))
        .collect();
    cluster.plane.kubectl(get)?.ok()?;
    cluster.plane.kubectl(more.clone())?.ok()?;

    let mut revoke = cluster.dockfleet.command(["revoke", "h1"]);
    revoke.env("KUBECONFIG", cluster.plane.kubeconfig());
    cluster.dockfleet.run_command(&revoke, None)?.ok()?;
    let begin = Instant::now();
    // It asks for a token that would outlive this, again and again, until nobody knows it any more.
    let out = eventually("the end of its access", Duration::from_secs(30), || {
        let try_more = cluster
            .plane
            .kubectl(more.clone())
            .map_err(|e| e.to_string())?;
        if try_more.success() {
            return Ok(Err(format!("got another token: {try_more:?}")));
        }
        let got = cluster.plane.kubectl(get).map_err(|e| e.to_string())?;
        if got.stderr.contains("Unauthorized") {
            Ok(Ok(begin.elapsed()))
        } else {
            Err(format!("{got:?}"))
        }
    })?;
    let out = out.map_err(anyhow::Error::msg)?;
    println!("out {} ms after dockfleet revoke", out.as_millis());
    ensure!(out < Duration::from_secs(15), "{out:?}");

    // The new Secret is another one, and the old token as dead as before.
    eventually("the new Secret", Duration::from_mins(1), || {
        let new = cluster.uid(&format!("secret/h1 -n {FLEET}"));
        match new {
            Ok(new) if new != secret => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    ensure!(
        begin.elapsed() > Duration::from_secs(25),
        "too early: {:?}",
        begin.elapsed()
    );
    let got = cluster.plane.kubectl(get)?;
    ensure!(got.stderr.contains("Unauthorized"), "{got:?}");
    assert_eq!(h1.network_id("front")?, front);

    // As systemd restarts it, it is back at once.
    h1.kill_agent()?;
    h1.join(&cluster.plane)?;
    h1.start_agent()?;
    cluster.everybody_goes_on("after")?;
    assert_eq!(h1.network_id("front")?, front);
    Ok(())
}
