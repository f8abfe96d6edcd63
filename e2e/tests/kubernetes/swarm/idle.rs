//! A swarm in which nothing changes.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;

use super::{form, start};
use crate::test_cluster::{SOON, TestCluster, network};
use crate::test_host::TestHost;
use crate::vitals::{get, served};

/// The verbs of writes.
const VERBS: [&str; 5] = ["APPLY", "DELETE", "PATCH", "POST", "PUT"];
/// Heartbeats, and requests that write nothing, such as those for tokens.
const LEFT_OUT: [&str; 4] = [
    "leases",
    "serviceaccounts",
    "subjectaccessreviews",
    "tokenreviews",
];

/// Numbers by name.
type Counts = BTreeMap<String, usize>;

/// Gives the value of a label in a line of metrics.
fn label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0)
}

/// Sums up lines of metrics that begin with `name`, by what `key` gives; what it gives nothing for is left out.
fn sums(metrics: &str, name: &str, key: impl Fn(&str) -> Option<String>) -> Result<Counts> {
    let mut all = Counts::new();
    for line in metrics.lines().filter(|l| l.starts_with(name)) {
        let (_, number) = line.rsplit_once(' ').context("no number")?;
        if let Some(key) = key(line) {
            *all.entry(key).or_default() += number.parse::<usize>()?;
        }
    }
    Ok(all)
}

/// Counts the writes that the API server was asked for, by verb and resource.
fn writes(cluster: &TestCluster) -> Result<Counts> {
    let metrics = cluster.kubectl("get --raw /metrics")?;
    sums(&metrics, "apiserver_request_total{", |line| {
        let (verb, resource) = (label(line, "verb")?, label(line, "resource")?);
        let counts = VERBS.contains(&verb) && !LEFT_OUT.contains(&resource);
        counts.then(|| format!("{verb} {resource}"))
    })
}

/// Counts the calls of a host's agent to its engine.
fn calls(host: &TestHost) -> Result<Counts> {
    let address = served(&host.agent_log_path()?, host.host.address())?;
    let name = "dockfleet_agent_engine_call_duration_seconds_count";
    let (_, metrics) = get(address, "/metrics")?;
    sums(&metrics, name, |line| {
        label(line, "call").map(str::to_owned)
    })
}

/// Counts the passes of a host's agent by the kind of their entries.
fn passes(host: &TestHost) -> Result<Counts> {
    let mut all = Counts::new();
    let log = fs::read_to_string(host.agent_log_path()?)?;
    for line in log.lines().filter(|l| l.contains("pass done")) {
        let (_, rest) = line.split_once("\"kind\":\"").context("no kind")?;
        let kind = rest.split('"').next().unwrap_or_default();
        *all.entry(kind.to_owned()).or_default() += 1;
    }
    Ok(all)
}

fn since(before: &Counts, now: &Counts) -> Counts {
    let more = now.iter().map(|(what, number)| {
        let more = number - before.get(what).copied().unwrap_or_default();
        (what.clone(), more)
    });
    more.filter(|(_, more)| *more > 0).collect()
}

/// The kinds whose passes are counted.
const KINDS: [&str; 3] = ["DockerNetwork", "DockerVolume", "SwarmCluster"];

/// Waits until the agent of a host has made a pass over each of these kinds after `before`.
fn await_passes(host: &TestHost, before: &Counts) -> Result<()> {
    eventually("a pass over each kind", SOON, || {
        let more = since(before, &passes(host).map_err(|e| e.to_string())?);
        let each = KINDS.iter().all(|kind| more.contains_key(*kind));
        each.then_some(()).ok_or_else(|| format!("{more:?}"))
    })
}

/// Waits until the controller has processed everything that it began with.
fn await_controller(cluster: &TestCluster) -> Result<()> {
    let address = served(&cluster.controller_log_path()?, Ipv4Addr::LOCALHOST)?;
    eventually("a controller without work", SOON, || {
        let (_, metrics) = get(address, "/metrics").map_err(|e| e.to_string())?;
        let name = "dockfleet_controller_queue_depth{";
        let left = sums(&metrics, name, |line| {
            label(line, "queue").map(str::to_owned)
        });
        let left = left.map_err(|e| e.to_string())?;
        let is_done = !left.is_empty() && left.values().all(|n| *n == 0);
        is_done.then_some(()).ok_or_else(|| format!("{left:?}"))
    })
}

/// Gives the calls that these passes make if nothing is to be done.
fn expected(passes: &Counts, is_member: bool) -> Counts {
    let calls = [
        ("list networks", "DockerNetwork", 1),
        ("list volumes", "DockerVolume", 1),
        ("list swarms", "SwarmCluster", if is_member { 2 } else { 0 }),
    ];
    let made = calls.map(|(call, kind, each)| {
        let passes = passes.get(kind).copied().unwrap_or_default();
        (call.to_owned(), each * passes)
    });
    made.into_iter().filter(|(_, number)| *number > 0).collect()
}

/// A swarm in which nothing changes costs no write, whoever looks at it again, and two calls of the engine for each
/// look.
#[test]
fn a_swarm_without_changes_costs_no_write() -> Result<()> {
    let cluster = TestCluster::prepare(&[
        ("h1", Debian20, "{in: prod}"),
        ("h2", Newest, "{in: prod}"),
        ("h3", Newest, "{in: prod}"),
        ("alone", Newest, "{}"),
    ])?;
    for host in &cluster.hosts {
        host.set_env("DOCKFLEET_LOG", "debug");
    }
    start(&cluster)?;
    let prod = "hostSelector: {matchLabels: {in: prod}}";
    let what = form(
        &cluster,
        &format!("{{{prod}, managers: {{count: 3}}, advertiseAddress: eth0}}"),
        "{.status.managers}=3",
    )?;
    cluster.make(&[network("mesh", &format!("{{{prod}, driver: overlay}}"))])?;
    cluster.ready(&what)?;
    await_controller(&cluster)?;

    let before = writes(&cluster)?;
    ensure!(before.contains_key("APPLY hostassignments"), "{before:?}");
    // A network of somebody else makes an agent look at everything.
    for host in &cluster.hosts {
        let (made, seen) = (calls(host)?, passes(host)?);
        host.engine.docker(["network", "create", "other"])?;
        await_passes(host, &seen)?;
        // A pass that has begun has made calls.
        eventually("two calls of the swarm for each pass", SOON, || {
            let look = || anyhow::Ok((since(&made, &calls(host)?), since(&seen, &passes(host)?)));
            let (more, passes) = look().map_err(|e| e.to_string())?;
            let said = format!("{}: {more:?} in passes {passes:?}", host.name());
            let is_as_expected = more == expected(&passes, host.name() != "alone");
            println!("{said}");
            is_as_expected.then_some(()).ok_or(said)
        })?;
    }
    cluster.kill_controller()?;
    cluster.start_controller()?;
    await_controller(&cluster)?;
    for host in &cluster.hosts {
        host.kill_agent()?;
        host.start_agent()?;
        await_passes(host, &Counts::new())?;
    }
    // Once more, so that everybody has reported the passes before.
    for host in &cluster.hosts {
        let seen = passes(host)?;
        host.engine.docker(["network", "rm", "other"])?;
        await_passes(host, &seen)?;
    }
    let more = since(&before, &writes(&cluster)?);
    println!("writes to the API server: {}", more.values().sum::<usize>());
    ensure!(more.is_empty(), "{more:?}: {}", cluster.report());
    cluster.ready(&what)
}
