//! Two namespaces of hosts, with a host of the same name in each.

use anyhow::{Context as _, Result};
use dockfleet_e2e::Generation::Newest;
use serde_json::Value;

use crate::test_cluster::{TestCluster, network};
use crate::test_host::TestHost;

/// The second namespace's host, as people name it.
const THERE: &str = "site-b/h1";

fn subnet(host: &TestHost) -> Result<Value> {
    let network = host.network("front")?.context("no network front")?;
    Ok(network["IPAM"]["Config"][0]["Subnet"].clone())
}

#[test]
fn hosts_of_one_name_in_two_namespaces_are_two_hosts() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), (THERE, Newest, "{}")])?;
    let [here, there] = cluster.hosts()?;
    let block = |number: u8| format!("[{{subnet: 10.{number}.0.0/24}}]");
    let spec = format!(
        "{{hostNames: [h1], ipam: {{config: {}}}, hostOverrides: [{{hostNames: [{THERE}], ipamConfig: {}}}]}}",
        block(70),
        block(71)
    );
    let only = format!("{{hostNames: [{THERE}]}}");
    cluster.apply(&[network("front", &spec), network("only", &only)].concat())?;
    cluster.until("dnet/front", "{.status.hosts.ready}=2")?;
    cluster.until("dnet/only", "{.status.hosts.ready}=1")?;
    let subnets = (subnet(here)?, subnet(there)?);
    assert_eq!(subnets, ("10.70.0.0/24".into(), "10.71.0.0/24".into()));
    assert_eq!(here.network("only")?, None);
    there.network_id("only")?;

    // A status says which of the two.
    for host in [here, there] {
        host.engine.docker(["network", "create", "taken"])?;
    }
    cluster.apply(&network("taken", "{hostSelector: {}}"))?;
    cluster.until("dnet/taken", "{.status.hosts.failed}=2")?;
    let failing = cluster.get("dnet/taken")?["status"]["failing"].clone();
    let all = failing.as_array().into_iter().flatten();
    let said: Vec<_> = all.map(|f| (&f["host"], &f["reason"])).collect();
    let conflict = Value::from("Conflict");
    let names = [Value::from("h1"), Value::from(THERE)];
    assert_eq!(said, [(&names[0], &conflict), (&names[1], &conflict)]);
    Ok(())
}
