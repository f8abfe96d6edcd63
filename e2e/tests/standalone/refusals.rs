//! What each engine generation refuses: the table behind `agent/src/engine/error/answer.rs`.

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{Engine, Generation};

use crate::cli_env::{CliEnv, on_each_engine, says, stands, text};
use crate::{have, manifest};

on_each_engine!(
    what_an_engine_says_no_to_is_refused,
    what_may_be_free_later_is_busy,
    an_engine_without_room_does_not_work,
);

/// Who refuses it.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Both,
    /// Engine 20.10; a newer one makes it.
    Old,
    /// A newer engine; 20.10 makes it.
    New,
}

/// Name, driver and options or more of a network, and a word of the refusal.
const NETWORKS: [(&str, By, &str, &str); 24] = [
    (
        "no-room-31",
        By::Old,
        "ipam: {config: [{subnet: 10.41.0.0/31}]}",
        "no available addresses",
    ),
    (
        "no-room-32",
        By::Old,
        "ipam: {config: [{subnet: 10.41.1.1/32}]}",
        "no available addresses",
    ),
    (
        "overlaps",
        By::Both,
        "ipam: {config: [{subnet: 10.40.0.0/25}]}",
        "overlap",
    ),
    ("no-ipam", By::Both, "ipam: {driver: nosuch}", "nosuch"),
    (
        "no-parent",
        By::Both,
        "driver: macvlan\nmacvlan: {parent: eth9}",
        "eth9",
    ),
    (
        "no-vlan-parent",
        By::Both,
        "driver: macvlan\nmacvlan: {parent: eth9.10}",
        "eth9",
    ),
    (
        "vlan-5000",
        By::Both,
        "driver: macvlan\noptions: {parent: eth0.5000}",
        "4094",
    ),
    (
        "parent-lo",
        By::Both,
        "driver: macvlan\nmacvlan: {parent: lo}",
        "loopback",
    ),
    (
        "macvlan-mode",
        By::Both,
        "driver: macvlan\noptions: {parent: eth0, macvlan_mode: nosuch}",
        "nosuch",
    ),
    (
        "parent-taken",
        By::Old,
        "driver: macvlan\nmacvlan: {parent: eth0}",
        "already using parent",
    ),
    (
        "ipvlan-lo",
        By::Both,
        "driver: ipvlan\nipvlan: {parent: lo}",
        "loopback",
    ),
    (
        "ipvlan-none",
        By::Both,
        "driver: ipvlan\nipvlan: {parent: eth9}",
        "eth9",
    ),
    (
        "ipvlan-mode",
        By::Both,
        "driver: ipvlan\noptions: {parent: eth0, ipvlan_mode: l4}",
        "l4",
    ),
    (
        "icc",
        By::Both,
        "options: {com.docker.network.bridge.enable_icc: maybe}",
        "maybe",
    ),
    (
        "mtu-word",
        By::Both,
        "options: {com.docker.network.driver.mtu: big}",
        "big",
    ),
    (
        "mtu-negative",
        By::Both,
        "options: {com.docker.network.driver.mtu: '-5'}",
        "-5",
    ),
    (
        "mtu-huge",
        By::New,
        "options: {com.docker.network.driver.mtu: '99999999'}",
        "invalid",
    ),
    (
        "bridge-long",
        By::Both,
        "options: {com.docker.network.bridge.name: br-far-too-long-a-name}",
        "out of range",
    ),
    (
        "bridge-slash",
        By::Both,
        "options: {com.docker.network.bridge.name: a/b}",
        "invalid",
    ),
    (
        "bridge-taken",
        By::Both,
        "options: {com.docker.network.bridge.name: brtaken}",
        "same bridge name",
    ),
    (
        "bridge-is-none",
        By::Both,
        "options: {com.docker.network.bridge.name: eth0}",
        "not a bridge",
    ),
    (
        "binding",
        By::Both,
        "options: {com.docker.network.bridge.host_binding_ipv4: nonsense}",
        "nonsense",
    ),
    (
        "gateway-mode",
        By::New,
        "options: {com.docker.network.bridge.gateway_mode_ipv4: nosuch}",
        "nosuch",
    ),
    (
        "inhibit",
        By::Both,
        "options: {com.docker.network.bridge.inhibit_ipv4: x}",
        "inhibit",
    ),
];

/// The same of a volume.
const VOLUMES: [(&str, By, &str, &str); 5] = [
    ("no-plugin", By::Both, "driver: nosuch", "nosuch"),
    ("no-quota", By::Both, "options: {size: 1g}", "quota"),
    ("size-word", By::Both, "options: {size: lots}", "lots"),
    (
        "cifs-port",
        By::New,
        "options: {type: cifs, device: '//h:445/s', o: addr=h}",
        "port",
    ),
    (
        "cifs-url",
        By::New,
        "options: {type: cifs, device: '//h/%zz', o: addr=h}",
        "escape",
    ),
];

fn what_an_engine_says_no_to_is_refused(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let before = [
        manifest::subnet("first", "10.40.0.0/24", ""),
        manifest::network(
            "named",
            "options: {com.docker.network.bridge.name: brtaken}",
        ),
        manifest::network("on-eth0", "driver: macvlan\nmacvlan: {parent: eth0}"),
    ];
    cli.apply(&before.concat())?.all_ready()?;
    let networks = NETWORKS.map(|(name, _, spec, _)| manifest::network(name, spec));
    let volumes = VOLUMES.map(|(name, _, spec, _)| manifest::volume(name, spec));
    let report = cli.apply(&[networks.concat(), volumes.concat()].concat())?;
    let report = report.ended_with(1)?;
    let old = engine.generation() == Generation::Debian20;
    for (name, by, _, word) in NETWORKS.into_iter().chain(VOLUMES) {
        let refused = match by {
            By::Both => true,
            By::Old => old,
            By::New => !old,
        };
        if refused {
            let message = report.stands(name, "Failed", "EngineRefused")?;
            says(&message.to_lowercase(), &["the engine refuses: ", word])?;
            ensure!(have::networks(engine, name)?.is_empty(), "{name} is there");
        } else {
            let reason = &report.row(name)?["reason"];
            ensure!(
                reason != "EngineUnreachable" && reason != "EngineRefused",
                "{name}: {report:?}"
            );
        }
    }
    Ok(())
}

/// A pool that is taken, and a plugin that is not running.
fn what_may_be_free_later_is_busy(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let many: String = (0..40)
        .map(|i| manifest::network(&format!("n{i}"), ""))
        .collect();
    let report = cli.apply(&many)?.ended_with(1)?;
    let mut busy = report.rows().iter().filter(|r| r["state"] != "Ready");
    let first = busy.next().context("there is a pool for every network")?;
    let message = stands(first, "Failed", "EngineBusy")?;
    says(&message, &["the engine refuses for now: ", "address pool"])?;
    for row in busy {
        stands(row, "Failed", "EngineBusy")?;
    }
    // Those that were made go, and others come.
    let row = report.rows().iter().find(|r| r["state"] == "Ready");
    let made = text(&row.context("none is ready")?["name"]);
    cli.delete(&manifest::network(&made, ""))?.ended_with(0)?;
    let name = text(&first["name"]);
    cli.apply(&manifest::network(&name, ""))?.all_ready()?;
    ensure!(have::has_network(engine, &name)?, "{name} is not there");
    Ok(())
}

/// What an engine says of itself is none of its answers about an object.
fn an_engine_without_room_does_not_work(engine: &Engine, cli: &CliEnv) -> Result<()> {
    let folder = engine.data_root().join("volumes");
    let options = "options: {type: none, device: /tmp, o: bind}";
    let volume = manifest::volume("data", options);
    let folder = folder.display().to_string();
    let mount = ["-t", "tmpfs", "-o", "ro", "none", &folder];
    engine.run_inside("mount", &mount)?.ok()?;
    let message =
        cli.apply(&volume)?
            .ended_with(1)?
            .stands("data", "Failed", "EngineUnreachable")?;
    says(&message, &["status 500", "read-only file system"])?;
    engine.run_inside("umount", &[&folder])?.ok()?;
    cli.apply(&volume)?.all_ready()?;
    Ok(())
}
