//! What goes wrong with engines and links costs a swarm time, and makes no second swarm.

use std::fs;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Engine, at_once, eventually};

use super::{await_nodes, form, info, members, node, nodes, one_swarm, says, start, swarm};
use crate::test_cluster::{FLEET, SOON, TestCluster, network};
use crate::test_host::TestHost;

/// Ends an engine, and gives it an empty disk.
fn reinstall(host: &TestHost) -> Result<()> {
    host.engine.stop()?;
    fs::remove_dir_all(host.engine.data_root())?;
    host.engine.start_again()
}

/// A host whose engine was installed anew joins again, and its old node goes: a worker, and then a manager.
#[test]
fn a_host_that_is_installed_anew_joins_again() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Newest, "{role: manager}"),
        ("h2", Debian20, "{role: manager}"),
        ("h3", Newest, "{role: manager}"),
        ("h4", Debian20, "{}"),
    ])?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.apply(&swarm(
        "prod",
        "{hostSelector: {}, managers: {count: 3, hostSelector: {matchLabels: {role: manager}}}, \
         advertiseAddress: eth0}",
    ))?;
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.until(&what, "{.status.workers}=1")?;
    cluster.ready(&what)?;
    let id = one_swarm(&cluster, &cluster.get(&what)?["status"])?;
    let [h1, h2, _, h4] = cluster.hosts()?;
    for (host, state) in [(h4, "Worker"), (h2, "Manager")] {
        let old = node(host)?;
        reinstall(host)?;
        eventually("another node", SOON, || match node(host) {
            Ok(new) if !new.is_empty() && new != old => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .with_context(|| cluster.report())?;
        await_nodes(&cluster, h1, &nodes(&cluster)?)?;
        eventually("its place in the swarm", SOON, || {
            let status = cluster.get(&what).map_err(|e| e.to_string())?["status"].take();
            let is_back = members(&status, state).contains(host.name())
                && status["removedNodes"].as_array().is_none_or(Vec::is_empty);
            is_back.then_some(()).ok_or_else(|| status.to_string())
        })
        .with_context(|| cluster.report())?;
    }
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.ready(&what)?;
    assert_eq!(one_swarm(&cluster, &cluster.get(&what)?["status"])?, id);
    Ok(())
}

/// What of a host does not reach a manager.
#[derive(Clone, Copy)]
enum Cut {
    /// Nothing does.
    All,
    /// Connections do, and their content does not, as where the network carries smaller packets than it says.
    Content,
}

/// Adds or removes the rule that drops what a host sends to the port of managers.
fn drop_joining(host: &TestHost, action: &str, cut: Cut) -> Result<()> {
    let rule = ["-w", action, "OUTPUT", "-p", "tcp", "--dport", "2377"];
    let what: &[&str] = match cut {
        Cut::All => &[],
        Cut::Content => &["-m", "length", "--length", "200:65535"],
    };
    let dropped = [&rule[..], what, &["-j", "DROP"]].concat();
    host.host.run("iptables", dropped)?.ok().map(drop)
}

/// A host that cannot reach the manager says so, and joins when it can.
#[test]
fn a_host_that_does_not_reach_the_manager_says_so_and_joins_later() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Newest, "{}"),
        ("h2", Debian20, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    let [h1, h2, h3] = cluster.hosts()?;
    for host in [h2, h3] {
        drop_joining(host, "-A", Cut::All)?;
    }
    cluster.apply(&swarm(
        "prod",
        "{hostSelector: {}, advertiseAddress: eth0, preflight: Skip}",
    ))?;
    let what = format!("dswarm/prod -n {FLEET}");
    let uid = cluster.uid(&what)?;
    let address = format!("{}:2377", h1.host.address());
    for host in [h2, h3] {
        eventually("a word about the address", SOON, || {
            let assignment = cluster.assignment(host).map_err(|e| e.to_string())?;
            let entries = assignment["status"]["entries"].as_array();
            let entry = entries.and_then(|all| all.iter().find(|e| e["uid"] == *uid));
            let said = entry.map_or_else(String::new, |e| e["message"].to_string());
            said.contains(&address).then_some(()).ok_or(said)
        })
        .with_context(|| cluster.report())?;
        assert_ne!(info(host)?["LocalNodeState"], "active");
    }
    let id = cluster.get(&what)?["status"]["clusterID"].clone();
    for host in [h2, h3] {
        drop_joining(host, "-D", Cut::All)?;
    }
    cluster.until(&what, "{.status.workers}=2")?;
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].take();
    assert_eq!(one_swarm(&cluster, &status)?, id);
    Ok(())
}

/// Invariant 14: an engine that dies right after it created the swarm has it when it is back.
#[test]
fn i14_a_first_manager_that_dies_at_once_is_the_only_one_that_created_a_swarm() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    let [h1, ..] = cluster.hosts::<3>()?;
    cluster.apply(&swarm(
        "prod",
        "{hostSelector: {}, managers: {count: 3}, advertiseAddress: eth0}",
    ))?;
    eventually("a swarm", SOON, || {
        let info = info(h1).map_err(|e| e.to_string())?;
        let is_there = info["LocalNodeState"] == "active";
        is_there.then_some(()).ok_or_else(|| info.to_string())
    })
    .with_context(|| cluster.report())?;
    let id = info(h1)?["Cluster"]["ID"].clone();
    h1.engine.kill()?;
    h1.engine.start_again()?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].take();
    assert_eq!(one_swarm(&cluster, &status)?, id);
    Ok(())
}

/// Engines that are started again, one after the other and then all at once, find the swarm that they were in.
#[test]
fn a_swarm_outlives_the_restart_of_all_its_engines() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
        ("h4", Debian20, "{}"),
    ])?;
    let what = format!("dswarm/prod -n {FLEET}");
    cluster.apply(&swarm(
        "prod",
        "{hostSelector: {}, managers: {count: 3}, advertiseAddress: eth0}",
    ))?;
    cluster.until(&what, "{.status.managers}=3")?;
    cluster.until(&what, "{.status.workers}=1")?;
    cluster.ready(&what)?;
    let [h1, h2, ..] = cluster.hosts::<4>()?;
    let (id, before) = (
        one_swarm(&cluster, &cluster.get(&what)?["status"])?,
        nodes(&cluster)?,
    );
    // The swarm still does what it is for: a network is created in it, and every host has it.
    let works = |name: &str| -> Result<()> {
        cluster.apply(&network(name, "{hostSelector: {}, driver: overlay}"))?;
        let network = format!("dnet/{name}");
        cluster.until(&network, "{.status.hosts.ready}=4")?;
        cluster.ready(&network)?;
        cluster.until(&what, "{.status.managers}=3")?;
        cluster.until(&what, "{.status.workers}=1")?;
        cluster.ready(&what)?;
        ensure!(one_swarm(&cluster, &cluster.get(&what)?["status"])? == id);
        ensure!(nodes(&cluster)? == before);
        Ok(())
    };
    for host in &cluster.hosts {
        host.engine.stop()?;
        host.engine.start_again()?;
        let other = if host.name() == "h1" { h2 } else { h1 };
        await_nodes(&cluster, other, &before)?;
    }
    works("one-by-one")?;
    let engines = || cluster.hosts.iter().map(|h| &h.engine);
    at_once(engines(), Engine::kill)?;
    at_once(engines(), Engine::start_again)?;
    await_nodes(&cluster, h1, &before)?;
    works("all-at-once")
}

/// Invariant 14: agents that are led to each other's engines create nothing, and remove no node of a host that runs:
/// the hosts have exchanged their nodes.
#[test]
fn i14_hosts_whose_engines_are_exchanged_stay_in_their_swarm() -> Result<()> {
    let cluster = TestCluster::prepare(&[
        ("h1", Debian20, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    cluster.hurry();
    start(&cluster)?;
    let what = form(
        &cluster,
        "{hostSelector: {}, advertiseAddress: eth0, removedHosts: Leave}",
        "{.status.workers}=2",
    )?;
    let [h1, h2, _] = cluster.hosts()?;
    let (id, before) = (
        one_swarm(&cluster, &cluster.get(&what)?["status"])?,
        nodes(&cluster)?,
    );
    let lead = |host: &TestHost, to: &TestHost| -> Result<()> {
        host.kill_agent()?;
        host.set_env("DOCKER_HOST", &to.engine.docker_host());
        host.start_agent()
    };
    lead(h1, h2)?;
    lead(h2, h1)?;
    let (first, second) = (node(h1)?, node(h2)?);
    let have = |one: &str, other: &str| -> Result<()> {
        for (number, node) in [one, other].into_iter().enumerate() {
            let member = format!("{{.status.members[{number}].nodeID}}={node}");
            cluster.until(&what, &member)?;
        }
        cluster.ready(&what)
    };
    have(&second, &first)?;
    cluster.until(&what, "{.status.writer}=h2")?;
    // The manager sees one of the engines as down for some time.
    let path = format!("/nodes/{second}");
    h2.engine.kill()?;
    eventually("a node that is down", SOON, || {
        let node = h1.engine.get(&path).map_err(|e| e.to_string())?;
        let state = &node["Status"]["State"];
        (state == "down")
            .then_some(())
            .ok_or_else(|| state.to_string())
    })?;
    cluster.apply(&network("later", "{hostNames: [h2, h3]}"))?;
    cluster.ready("dnet/later")?;
    h2.engine.start_again()?;
    await_nodes(&cluster, h1, &before)?;
    // Put right, it is as if nothing had been.
    lead(h1, h1)?;
    lead(h2, h2)?;
    have(&first, &second)?;
    cluster.until(&what, "{.status.members[0].state}=Leader")?;
    cluster.until(&what, "{.status.members[1].state}=Worker")?;
    cluster.ready(&what)?;
    assert_eq!(one_swarm(&cluster, &cluster.get(&what)?["status"])?, id);
    assert_eq!(nodes(&cluster)?, before);
    Ok(())
}

/// A host whose join was cut off tries again: its engine gives up after some time, and refuses to try again.
#[test]
fn a_join_that_was_cut_off_is_tried_again() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Newest, "{}"),
        ("h2", Debian20, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    let [_, h2, h3] = cluster.hosts()?;
    for host in [h2, h3] {
        drop_joining(host, "-A", Cut::Content)?;
    }
    cluster.apply(&swarm("prod", "{hostSelector: {}, advertiseAddress: eth0}"))?;
    let what = format!("dswarm/prod -n {FLEET}");
    for host in [h2, h3] {
        eventually("an engine that gave up", SOON, || {
            let info = info(host).map_err(|e| e.to_string())?;
            (info["LocalNodeState"] == "error")
                .then_some(())
                .ok_or_else(|| info.to_string())
        })
        .with_context(|| cluster.report())?;
    }
    for host in [h2, h3] {
        drop_joining(host, "-D", Cut::Content)?;
    }
    cluster.until(&what, "{.status.workers}=2")?;
    cluster.ready(&what)?;
    let status = cluster.get(&what)?["status"].take();
    one_swarm(&cluster, &status).map(drop)
}

/// A host joins with its address in a subnet. If it has another one later, that is told, and nothing else is done.
#[test]
fn a_changed_address_is_told() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), ("h2", Debian20, "{}")])?;
    let [h1, h2] = cluster.hosts()?;
    let old = h2.host.address();
    let [a, b, c, d] = old.octets();
    let new = Ipv4Addr::new(a, b, c, d + 100);
    let subnet = format!("{old}/24");
    let set = |action: &str, address: Ipv4Addr| -> Result<()> {
        let address = format!("{address}/24");
        let args = ["addr", action, &address, "dev", "eth0"];
        h2.host.run("ip", args)?.ok().map(drop)
    };
    let what = form(
        &cluster,
        &format!("{{hostSelector: {{}}, advertiseAddress: {subnet}}}"),
        "{.status.workers}=1",
    )?;
    assert_eq!(info(h2)?["NodeAddr"], old.to_string());
    let before = nodes(&cluster)?;

    set("del", old)?;
    set("add", new)?;
    // It looks at once when it starts, and else when it lists its objects.
    h2.kill_agent()?;
    h2.start_agent()?;
    eventually("a word about the address", SOON, || {
        let assignment = cluster.assignment(h2).map_err(|e| e.to_string())?;
        let said = assignment["status"].to_string();
        let told = format!("the other hosts reach this one at {old}, and it has {new} now");
        let is_told = said.contains(&told) && said.contains("AddressChanged");
        is_told.then_some(()).ok_or(said)
    })
    .with_context(|| cluster.report())?;
    assert_eq!(nodes(&cluster)?, before);

    set("del", new)?;
    set("add", old)?;
    h2.kill_agent()?;
    h2.start_agent()?;
    cluster.ready(&what)?;
    await_nodes(&cluster, h1, &before)
}

/// A host with a closed port says which one and who has tried it, and joins when the port is open. The others form the
/// swarm without it.
#[test]
fn a_host_whose_ports_are_closed_joins_when_they_are_open() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Newest, "{}"),
        ("h2", Debian20, "{}"),
        ("h3", Newest, "{}"),
    ])?;
    let [h1, h2, h3] = cluster.hosts()?;
    let rule = |host: &TestHost, action: &str, protocol: &str, port: &str| -> Result<()> {
        let rule = [
            "-w", action, "INPUT", "-p", protocol, "--dport", port, "-j", "DROP",
        ];
        host.host.run("iptables", rule)?.ok().map(drop)
    };
    rule(h1, "-A", "udp", "4789")?;
    rule(h3, "-A", "tcp", "7946")?;
    cluster.apply(&swarm("prod", "{hostSelector: {}, advertiseAddress: eth0}"))?;
    let what = format!("dswarm/prod -n {FLEET}");
    let says = |words: &str| says(&cluster, &what, &[words]);
    let (first, third) = (h1.host.address(), h3.host.address());
    says(&format!(
        "host h1 does not join: 4789/udp of this host ({first}) cannot be reached from h2, h3"
    ))?;
    says(&format!(
        "host h3 does not join: 7946/tcp of this host ({third}) cannot be reached from h1, h2"
    ))?;
    cluster.until(&what, "{.status.managers}=1")?;
    says("of 3 hosts are ready; host h1 does not join: 4789/udp")?;
    let id = info(h2)?["Cluster"]["ID"].clone();
    for host in [h1, h3] {
        assert_eq!(info(host)?["LocalNodeState"], "inactive");
    }
    rule(h1, "-D", "udp", "4789")?;
    cluster.until(&what, "{.status.workers}=1")?;
    assert_eq!(info(h3)?["LocalNodeState"], "inactive");
    // Somebody knows better.
    cluster.kubectl(&format!(
        "patch {what} --type=merge -p {{\"spec\":{{\"preflight\":\"Skip\"}}}}"
    ))?;
    cluster.until(&what, "{.status.workers}=2")?;
    cluster.ready(&what)?;
    assert_eq!(one_swarm(&cluster, &cluster.get(&what)?["status"])?, id);
    Ok(())
}
