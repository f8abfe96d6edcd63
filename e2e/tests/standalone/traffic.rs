//! What is applied carries traffic as it says.

use anyhow::{Result, bail, ensure};
use dockfleet_e2e::{Engine, Generation};

use crate::cli_env::{CliEnv, for_each_generation, on_each_engine, pair};
use crate::{have, manifest};

on_each_engine!(
    containers_of_a_bridge_reach_each_other_by_name,
    only_an_internal_network_has_no_way_out,
    a_volume_keeps_what_a_container_writes,
);
for_each_generation!(macvlan_with_a_slice_for_each_host_spans_two_hosts);

fn reaches(engine: &Engine, from: &str, to: &str) -> bool {
    let ping = ["exec", from, "ping", "-c", "1", "-W", "1", to];
    engine.docker(ping).is_ok()
}

fn containers_of_a_bridge_reach_each_other_by_name(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::subnet("front", "10.50.0.0/24", "") + &manifest::network("other", "");
    cli.apply(&yaml)?.all_ready()?;
    engine.import_busybox()?;
    let alias = ["--network", "front", "--network-alias", "web"];
    engine.run_container("one", &alias, &[])?;
    engine.run_container("two", &["--network", "front"], &[])?;
    engine.run_container("three", &["--network", "other"], &[])?;
    assert!(reaches(engine, "one", "two"));
    assert!(reaches(engine, "two", "one"));
    assert!(reaches(engine, "two", "web"));
    assert!(!reaches(engine, "one", "three"), "networks are apart");
    // Containers on a network are no difference.
    cli.is_settled(&yaml)
}

fn only_an_internal_network_has_no_way_out(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::network("open", "") + &manifest::network("closed", "internal: true");
    cli.apply(&yaml)?.all_ready()?;
    assert_eq!(have::network(engine, "closed")?["Internal"], true);
    engine.import_busybox()?;
    for network in ["open", "closed"] {
        engine.run_container(network, &["--network", network], &[])?;
    }
    let outside = engine.host().fleet().address().to_string();
    assert!(reaches(engine, "open", &outside));
    assert!(!reaches(engine, "closed", &outside));
    if engine.generation() == Generation::Newest {
        // 20.10 gives a route, and closes the way behind it.
        let routes = |name| engine.docker(["exec", name, "ip", "route"]);
        assert!(routes("open")?.contains("default via"));
        assert!(!routes("closed")?.contains("default via"));
    }
    cli.is_settled(&yaml)
}

fn a_volume_keeps_what_a_container_writes(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let yaml = manifest::volume("data", "") + &manifest::volume("scratch", "tmpfs: {size: 1Mi}");
    cli.apply(&yaml)?.all_ready()?;
    engine.import_busybox()?;
    let once = |command: &str| {
        let volumes = ["-v", "data:/data", "-v", "scratch:/scratch"];
        let run = [&["run", "--rm"], &volumes[..]].concat();
        engine.docker([&run[..], &["busybox:local", "sh", "-c", command]].concat())
    };
    let mounts = once("echo kept > /data/f; echo gone > /scratch/f; grep scratch /proc/mounts")?;
    ensure!(
        mounts.contains("tmpfs") && mounts.contains("size=1024k"),
        "{mounts}"
    );
    assert_eq!(once("cat /data/f; ls /scratch")?, "kept");
    cli.is_settled(&yaml)
}

fn macvlan_with_a_slice_for_each_host_spans_two_hosts(generation: Generation) -> Result<()> {
    let (first, second) = pair(generation)?;
    let cli = CliEnv::for_hosts_in_files()?;
    let block = |range| format!("[{{subnet: 10.51.0.0/24, gateway: 10.51.0.1, ipRange: {range}}}]");
    let spec = format!(
        "driver: macvlan
macvlan: {{mode: bridge}}
hostOverrides:
- {{hostNames: [h1], parent: eth0, ipamConfig: {}}}
- {{hostSelector: {{matchLabels: {{site: b}}}}, parent: eth0, ipamConfig: {}}}",
        block("10.51.0.16/28"),
        block("10.51.0.32/28")
    );
    let yaml = [
        manifest::host(&first, "{site: a}"),
        manifest::host(&second, "{site: b}"),
        manifest::network("lan", &spec),
    ]
    .concat();
    let report = cli.apply(&yaml)?.all_ready()?;
    assert_eq!(report.rows().len(), 2);
    cli.is_settled(&yaml)?;

    let mut addresses = Vec::new();
    for (engine, host, range) in [
        (&first, "h1", "10.51.0.16/28"),
        (&second, "h2", "10.51.0.32/28"),
    ] {
        let made = have::network(engine, "lan")?;
        assert_eq!(report.row_on(host, "lan")?["id"], made["Id"]);
        assert_eq!(made["Options"]["parent"], "eth0");
        assert_eq!(made["IPAM"]["Config"][0]["IPRange"], range);
        engine.import_busybox()?;
        engine.run_container("box", &["--network", "lan"], &[])?;
        let format = "{{.NetworkSettings.Networks.lan.IPAddress}}";
        addresses.push(engine.docker(["inspect", "--format", format, "box"])?);
    }
    let [here, there] = addresses.as_slice() else {
        bail!("two hosts have two addresses");
    };
    ensure!(here != there, "both have {here}");
    assert!(reaches(&first, "box", there));
    assert!(reaches(&second, "box", here));
    Ok(())
}
