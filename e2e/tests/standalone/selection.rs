//! A resource that selects a host no longer: let go of there by policy, and only there.

use anyhow::Result;
use dockfleet_e2e::Generation;

use crate::cli_env::{CliEnv, for_each_generation, pair, says, solo, stands, text};
use crate::{have, manifest};

for_each_generation!(
    a_host_that_is_not_selected_any_more_lets_go,
    a_host_that_is_not_named_any_more_lets_go,
    nothing_goes_while_suspended,
    a_host_closed_to_a_namespace_removes_nothing,
    a_namespace_that_is_in_no_file_changes_nothing,
);

fn on_berlin(name: &str, kind: &str, spec: &str) -> String {
    let spec = format!("hostSelector: {{matchLabels: {{site: berlin}}}}\n{spec}");
    manifest::document(kind, name, &spec)
}

fn resources() -> String {
    [
        on_berlin("front", "DockerNetwork", ""),
        on_berlin("kept-net", "DockerNetwork", "deletionPolicy: Retain"),
        on_berlin("data", "DockerVolume", ""),
        on_berlin("cache", "DockerVolume", "deletionPolicy: Delete"),
        manifest::network("everywhere", ""),
    ]
    .concat()
}

fn a_host_that_is_not_selected_any_more_lets_go(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = |site: &str| {
        let site = format!("{{site: {site}}}");
        manifest::host(&first, "{site: berlin}") + &manifest::host(&second, &site)
    };
    let report = cli.apply(&(hosts("berlin") + &resources()))?.all_ready()?;
    assert_eq!(report.rows().len(), 10);
    let (here, there) = (have::everything(&first)?, have::everything(&second)?);

    let yaml = hosts("paris") + &resources();
    let report = cli.apply(&yaml)?.ended_with(0)?;
    assert_eq!(report.changed(), Some(2));
    stands(report.row_on("h2", "front")?, "Gone", "Removed")?;
    stands(report.row_on("h2", "kept-net")?, "Gone", "Retained")?;
    stands(report.row_on("h2", "data")?, "Gone", "Retained")?;
    stands(report.row_on("h2", "cache")?, "Gone", "Removed")?;
    assert_eq!(report.row_on("h2", "everywhere")?["state"], "Ready");
    assert_eq!(have::everything(&first)?, here);
    let left: Vec<_> = have::network_ids(&second)?.into_keys().collect();
    assert_eq!(left, ["everywhere", "kept-net"]);
    assert_eq!(have::volume_names(&second)?, ["data"]);
    cli.is_settled(&yaml)?;

    // Selected again, it takes up what it had kept.
    cli.apply(&(hosts("berlin") + &resources()))?.all_ready()?;
    let now = have::everything(&second)?;
    assert_eq!(now.0.len(), there.0.len());
    for kept in ["kept-net", "everywhere"] {
        let was = there.0.iter().find(|n| n["Name"] == kept);
        assert_eq!(now.0.iter().find(|n| n["Name"] == kept), was);
    }
    assert!(now.1.contains(&have::volume(&second, "data")?));
    assert!(there.1.contains(&have::volume(&second, "data")?));
    Ok(())
}

fn a_host_that_is_not_named_any_more_lets_go(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = manifest::host(&first, "{}") + &manifest::host(&second, "{}");
    let on = |names: &str| {
        let spec = format!("hostNames: {names}");
        hosts.clone() + &manifest::document("DockerNetwork", "front", &spec)
    };
    cli.apply(&on("[h1]"))?.all_ready()?;
    let id = have::network_id(&first, "front")?;
    assert!(!have::has_network(&second, "front")?);
    cli.apply(&on("[h1, h2]"))?.all_ready()?;
    assert!(have::has_network(&second, "front")?);
    let report = cli.apply(&on("[h1]"))?.ended_with(0)?;
    stands(report.row_on("h2", "front")?, "Gone", "Removed")?;
    assert!(!have::has_network(&second, "front")?);
    assert_eq!(have::network_id(&first, "front")?, id);
    cli.is_settled(&on("[h1]"))
}

fn nothing_goes_while_suspended(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = manifest::host(&first, "{}") + &manifest::host(&second, "{}");
    let on = |names: &str, more: &str| {
        let spec = format!("hostNames: {names}\n{more}");
        hosts.clone() + &manifest::document("DockerNetwork", "front", &spec)
    };
    cli.apply(&on("[h1, h2]", ""))?.all_ready()?;
    let before = have::everything(&second)?;
    let report = cli.apply(&on("[h1]", "suspend: true"))?;
    assert_eq!(report.changed(), Some(0));
    assert_eq!(have::everything(&second)?, before);
    let report = cli.apply(&on("[h1]", ""))?.ended_with(0)?;
    assert_eq!(report.changed(), Some(1));
    assert!(!have::has_network(&second, "front")?);
    Ok(())
}

fn a_host_closed_to_a_namespace_removes_nothing(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let hosts = manifest::host(&first, "{}") + &manifest::host(&second, "{}");
    let network =
        manifest::network("front", "").replace("{name: front}", "{name: front, namespace: shop}");
    cli.apply(&(hosts.clone() + &network))?.all_ready()?;
    let before = have::everything(&second)?;
    // Only the second one is closed.
    let (open, closed) = (hosts.clone(), "allowedNamespaces: {from: Same}");
    let (kept, changed) = open
        .rsplit_once("allowedNamespaces: {from: All}")
        .unwrap_or_default();
    let hosts = format!("{kept}{closed}{changed}");
    let report = cli.apply(&(hosts + &network))?.ended_with(1)?;
    assert_eq!(report.changed(), Some(0));
    let reported: Vec<_> = report.rows().iter().filter(|r| r["host"] == "h2").collect();
    assert!(
        reported.iter().any(|r| r["reason"] == "NotAllowed"),
        "{reported:?}"
    );
    assert_eq!(report.row_on("h1", "front")?["state"], "Ready");
    assert_eq!(have::everything(&second)?, before);
    Ok(())
}

/// A file with namespaces that is missing for once says nothing about their labels.
fn a_namespace_that_is_in_no_file_changes_nothing(generation: Generation) -> Result<()> {
    let engine = solo(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let by_label = "{from: Selector, selector: {matchLabels: {team: web}}}";
    let host = manifest::host(&engine, "{}").replace("{from: All}", by_label);
    let namespace =
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: web}}\n";
    let in_shop = |name: &str| {
        let metadata = (
            format!("{{name: {name}}}"),
            format!("{{name: {name}, namespace: shop}}"),
        );
        manifest::network(name, "").replace(&metadata.0, &metadata.1)
    };
    let whole = host.clone() + namespace + &in_shop("front");
    cli.apply(&whole)?.all_ready()?;
    let before = have::everything(&engine)?;

    let without = host.clone() + &in_shop("front") + &in_shop("new");
    let report = cli.apply(&without)?.ended_with(1)?;
    assert_eq!(report.changed(), Some(0));
    for name in ["front", "new"] {
        let mut reported = report.rows().iter().filter(|r| r["name"] == name);
        let refused = reported.find(|r| r["reason"] == "NotAllowed");
        let message = refused.map(|r| text(&r["message"])).unwrap_or_default();
        says(&message, &["Namespace shop is in no file"])?;
    }
    assert_eq!(have::everything(&engine)?, before);
    // It is held as before: what is removed by hand is made again.
    let get = cli.with(&host, &["get"])?.ended_with(0)?;
    assert_eq!(get.row("front")?["state"], "Ready");
    have::remove(&engine, "/networks/front")?;
    assert_eq!(cli.apply(&without)?.changed(), Some(1));
    assert!(have::has_network(&engine, "front")?);
    assert!(!have::has_network(&engine, "new")?);
    cli.is_settled(&whole)
}
