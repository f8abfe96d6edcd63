//! What cannot be changed, and what is taken with a warning.

use anyhow::Result;

use crate::test_cluster::{TestCluster, condition, network, volume};

#[test]
fn the_name_on_the_host_cannot_be_changed() -> Result<()> {
    let cluster = TestCluster::start(&[])?;
    let on = |key: &str, name: &str| format!("{{hostSelector: {{}}, {key}: {name}}}");
    let refused = |yaml: &str, message: &str| {
        let said = cluster.apply(yaml).unwrap_or_else(|e| format!("{e:#}"));
        assert!(said.contains(message), "{said}");
    };
    cluster.apply(&network("front", &on("networkName", "one")))?;
    cluster.apply(&network("plain", "{hostSelector: {}}"))?;
    cluster.apply(&volume("data", &on("volumeName", "one")))?;

    let message = "spec.networkName: Invalid value: networkName cannot change from one; \
                   delete the resource and create one with the new name";
    refused(&network("front", &on("networkName", "two")), message);
    refused(&network("front", "{hostSelector: {}}"), message);
    let message = "networkName cannot change from the default; delete the resource";
    refused(&network("plain", &on("networkName", "two")), message);
    let message =
        "spec.volumeName: Invalid value: volumeName cannot change from one; delete the resource";
    refused(&volume("data", &on("volumeName", "two")), message);
    let name = &cluster.get("dnet/front")?["spec"]["networkName"];
    assert_eq!(name, "one");
    Ok(())
}

#[test]
fn an_option_that_no_engine_knows_is_warned_about() -> Result<()> {
    let cluster = TestCluster::start(&[])?;
    let key = "com.docker.network.bridge.enable_iccc";
    cluster.apply(&network(
        "front",
        &format!("{{hostSelector: {{}}, options: {{{key}: 'true'}}}}"),
    ))?;
    let reason = "{.status.conditions[?(@.type==\"Accepted\")].reason}=AcceptedWithWarnings";
    cluster.until("dnet/front", reason)?;
    let warning = format!("driver bridge does not know {key}; the engine takes it and ignores it");
    let accepted = condition(&cluster.get("dnet/front")?, "Accepted");
    assert_eq!(accepted["status"], "True");
    assert!(
        accepted["message"].to_string().contains(&warning),
        "{accepted}"
    );
    crate::test_cluster::event(&cluster, "Warning", &warning)
}
