//! What takes hosts out of a swarm, and what does not.

use anyhow::{Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;

use super::{await_nodes, form, inactive, node, nodes, reach, start, swarm};
use crate::test_cluster::{FLEET, SOON, TestCluster, event, install_crds, network, ready_reason};

/// Invariant 1: hosts leave when they are no longer selected, and because of nothing else.
#[test]
fn i1_hosts_do_not_leave_because_a_label_a_crd_or_a_namespace_is_lost() -> Result<()> {
    let wanted = [
        ("h1", Newest, "{in: prod}"),
        ("h2", Debian20, "{in: prod}"),
        ("h3", Newest, "{in: prod}"),
    ];
    let cluster = TestCluster::start(&wanted)?;
    cluster.plane.start_controllers(&["namespace-controller"])?;
    reach::prepare(&cluster)?;
    let what = format!("dswarm/prod -n {FLEET}");
    let prod = |label: &str| {
        let spec = format!(
            "{{hostSelector: {{matchLabels: {{in: {label}}}}}, managers: {{count: 3}}, \
             advertiseAddress: eth0, removedHosts: Leave}}"
        );
        swarm("prod", &spec)
    };
    let formed = || -> Result<()> {
        cluster.until(&what, "{.status.managers}=3")?;
        cluster.ready(&what)
    };
    cluster.apply(&prod("prod"))?;
    formed()?;
    cluster.make(&[network("mesh", "{hostSelector: {}, driver: overlay}")])?;
    cluster.until("dnet/mesh", "{.status.hosts.ready}=3")?;
    let [h1, ..] = cluster.hosts::<3>()?;
    let (before, id) = (
        nodes(&cluster)?,
        cluster.get(&what)?["status"]["clusterID"].clone(),
    );

    // A selector that selects nothing: no container would keep a host from leaving yet.
    cluster.apply(&prod("pord"))?;
    cluster.until(&what, &ready_reason("RemovalBraked"))?;
    event(&cluster, "Warning", "3 of 3 hosts are no longer selected")?;
    cluster.kill_controller()?;
    cluster.start_controller()?;
    cluster.everybody_goes_on("typo")?;
    await_nodes(&cluster, h1, &before)?;
    cluster.apply(&prod("prod"))?;
    formed()?;
    ensure!(nodes(&cluster)? == before);

    // The CRD goes, and comes back with another resource of the same name.
    cluster.kubectl("delete crd/swarmclusters.dockfleet.io --timeout=60s")?;
    cluster.everybody_goes_on("without-crd")?;
    await_nodes(&cluster, h1, &before)?;
    install_crds(&cluster.plane, &cluster.dockfleet)?;
    cluster.apply(&prod("prod"))?;
    formed()?;
    assert_eq!(cluster.get(&what)?["status"]["clusterID"], id);
    await_nodes(&cluster, h1, &before)?;

    // And the namespace of the hosts, with all that is in it.
    reach::run_containers(&cluster, "mesh")?;
    cluster.kubectl(&format!("delete namespace {FLEET} --timeout=90s"))?;
    for host in &cluster.hosts {
        // An agent that repairs something has looked at all that it has.
        let id = host.network_id("typo")?;
        host.engine.docker(["network", "rm", "typo"])?;
        let again = host.await_network("typo")?;
        assert_ne!(again["Id"], id.as_str());
    }
    await_nodes(&cluster, h1, &before)?;
    ensure!(nodes(&cluster)? == before);
    reach::all_reach_all(&cluster)
}

/// A host that is deleted leaves its swarm with `removal: Clean` and `removedHosts: Leave`, and not otherwise.
#[test]
fn a_deleted_host_leaves_its_swarm_only_if_both_say_so() -> Result<()> {
    let cluster = TestCluster::prepare(&[
        ("h1", Newest, "{}"),
        ("h2", Debian20, "{}"),
        ("h3", Newest, "{}"),
        ("h4", Debian20, "{}"),
    ])?;
    cluster.hurry();
    start(&cluster)?;
    let what = form(
        &cluster,
        "{hostSelector: {}, advertiseAddress: eth0, removedHosts: Leave}",
        "{.status.workers}=3",
    )?;
    let [h1, h2, h3, h4] = cluster.hosts()?;
    let mut all = nodes(&cluster)?;
    for host in [h2, h3] {
        let of = format!("dhost/{} -n {FLEET}", host.name());
        cluster.patch(&of, r#"{"spec": {"removal": "Clean"}}"#)?;
        cluster.until(&of, "{.metadata.finalizers[0]}=dockfleet.io/clean")?;
    }
    let delete =
        |host: &str| cluster.kubectl(&format!("delete dhost/{host} -n {FLEET} --timeout=60s"));
    // By default a deleted host keeps what it has.
    delete("h4")?;
    // This one leaves.
    let left = node(h3)?;
    delete("h3")?;
    inactive(&cluster, h3)?;
    all.remove(&left);
    await_nodes(&cluster, h1, &all)?;
    // And this one would not have to.
    cluster.patch(&what, r#"{"spec": {"removedHosts": "Keep"}}"#)?;
    cluster.until(&what, "{.status.observedGeneration}=2")?;
    delete("h2")?;
    cluster.apply(&network("later", "{hostSelector: {}}"))?;
    cluster.until("dnet/later", "{.status.hosts.ready}=1")?;
    cluster.ready("dnet/later")?;
    await_nodes(&cluster, h1, &all)?;
    ensure!(all == [node(h1)?, node(h2)?, node(h4)?].into());
    cluster.ready(&what)
}

/// A host that is no longer selected leaves, and its node is removed; the others stay. At last all leave.
#[test]
fn hosts_leave_one_after_the_other() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{in: prod}"),
        ("h2", Debian20, "{in: prod}"),
        ("h3", Debian20, "{in: prod}"),
    ])?;
    let what = form(
        &cluster,
        "{hostSelector: {matchLabels: {in: prod}}, managers: {count: 3}, \
         advertiseAddress: eth0, removedHosts: Leave}",
        "{.status.managers}=3",
    )?;
    let [h1, h2, h3] = cluster.hosts()?;
    // The writer itself leaves, and another manager goes on.
    cluster.kubectl(&format!("label dhost/h1 -n {FLEET} in-"))?;
    inactive(&cluster, h1)?;
    cluster.until(&what, "{.status.managers}=2")?;
    eventually("two nodes", SOON, || {
        let nodes = h2.engine.get("/nodes").map_err(|e| e.to_string())?;
        let count = nodes.as_array().map_or(0, Vec::len);
        (count == 2).then_some(()).ok_or_else(|| nodes.to_string())
    })?;
    cluster.kubectl(&format!("delete {what} --wait=false"))?;
    inactive(&cluster, h2)?;
    inactive(&cluster, h3)?;
    cluster.kubectl(&format!("wait {what} --for=delete --timeout=90s"))?;
    Ok(())
}
