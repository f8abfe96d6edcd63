//! What a user does first: apply, wait, look, edit.

use anyhow::{Context as _, Result};
use dockfleet_e2e::ControlPlane;
use dockfleet_e2e::Generation::{Debian20, Newest};
use serde_json::{Value, json};

use crate::test_cluster::{FLEET, TestCluster, install_crds, network, volume};
use crate::test_host::TestHost;

const FRONT: &str = "{hostSelector: {matchLabels: {site: berlin}}, \
    ipam: {config: [{subnet: 10.20.0.0/24, gateway: 10.20.0.254}]}, \
    bridge: {mtu: 1400, bridgeName: front0}, labels: {team: web}, internal: true, \
    hostOverrides: [{hostNames: [h2], ipamConfig: [{subnet: 10.21.0.0/24}], \
    options: {com.docker.network.bridge.enable_icc: 'false'}}]}";

/// A network of two hosts, one named and one selected, with its own range of addresses on each.
fn lan(range_of_h1: &str) -> String {
    network(
        "lan",
        &format!(
            "{{hostNames: [h1], hostSelector: {{matchExpressions: [{{key: site, operator: NotIn, \
             values: [berlin]}}]}}, driver: macvlan, macvlan: {{parent: eth0}}, \
             updatePolicy: WhenUnused, \
             ipam: {{config: [{{subnet: 10.30.0.0/24, ipRange: {range_of_h1}}}]}}, \
             hostOverrides: [{{hostSelector: {{matchLabels: {{site: paris}}}}, \
             ipamConfig: [{{subnet: 10.30.0.0/24, ipRange: 10.30.0.128/25}}]}}]}}"
        ),
    )
}

fn three_hosts() -> Result<TestCluster> {
    let cluster = TestCluster::start(&[
        ("h1", Debian20, "{site: berlin}"),
        ("h2", Newest, "{site: berlin}"),
        ("h3", Newest, "{site: paris}"),
    ])?;
    cluster.apply(&[network("front", FRONT), lan("10.30.0.0/26")].concat())?;
    let data = "{hostSelector: {}, tmpfs: {size: 16Mi, mode: '0700'}, labels: {team: web}}";
    cluster.apply(&volume("data", data))?;
    for what in ["dnet/front", "dnet/lan", "dvol/data"] {
        cluster.ready(what)?;
    }
    Ok(cluster)
}

/// The address block of a network, without what the engine adds.
fn block(host: &TestHost, name: &str) -> Result<(Value, Value, Value)> {
    let network = host.network(name)?.context("no such network")?;
    let block = &network["IPAM"]["Config"][0];
    let part = |key: &str| block[key].clone();
    Ok((part("Subnet"), part("IPRange"), part("Gateway")))
}

#[test]
fn what_is_applied_is_on_the_engines_and_told() -> Result<()> {
    let cluster = three_hosts()?;
    let [h1, h2, h3] = cluster.hosts()?;
    engines_have_networks(h1, h2, h3)?;
    for host in [h1, h2, h3] {
        let data = host.volume("data")?.context("no volume data")?;
        let want = json!({"type": "tmpfs", "device": "tmpfs", "o": "size=16777216,mode=0700"});
        assert_eq!(data["Options"], want);
        assert_eq!(data["Labels"]["team"], "web");
        assert_eq!(data["Labels"]["io.dockfleet.name"], "data");
    }
    let counters = cluster.get("dnet/front")?["status"]["hosts"].clone();
    let want = json!({"desired": 2, "ready": 2, "pending": 0, "drifted": 0, "failed": 0, "offline": 0, "removing": 0});
    assert_eq!(counters, want);
    assert_eq!(cluster.get("dvol/data")?["status"]["hosts"]["ready"], 3);
    tables_make_sense(&cluster)?;
    let described = cluster.kubectl("describe dnet/front")?;
    let (_, events) = described.split_once("\nEvents:").context("no events")?;
    assert!(
        events.contains("Normal") && events.contains("dockfleet"),
        "{described}"
    );
    Ok(())
}

fn engines_have_networks(h1: &TestHost, h2: &TestHost, h3: &TestHost) -> Result<()> {
    for host in [h1, h2] {
        let front = host.network("front")?.context("no network front")?;
        assert_eq!(front["Driver"], "bridge");
        assert_eq!(front["Internal"], true);
        assert_eq!(front["Options"]["com.docker.network.driver.mtu"], "1400");
        assert_eq!(front["Labels"]["team"], "web");
        assert_eq!(front["Labels"]["io.dockfleet.managed"], "true");
        host.host.run("ip", ["link", "show", "front0"])?.ok()?;
    }
    assert_eq!(block(h1, "front")?.0, "10.20.0.0/24");
    assert_eq!(block(h1, "front")?.2, "10.20.0.254");
    assert_eq!(block(h2, "front")?.0, "10.21.0.0/24", "by an override");
    let front = h2.network("front")?.context("no network front")?;
    assert_eq!(
        front["Options"]["com.docker.network.bridge.enable_icc"],
        "false"
    );
    assert!(h3.network("front")?.is_none(), "h3 is not selected");

    assert_eq!(block(h1, "lan")?.1, "10.30.0.0/26", "by its name");
    assert_eq!(block(h3, "lan")?.1, "10.30.0.128/25", "by an override");
    assert!(h2.network("lan")?.is_none(), "h2 is not selected");
    Ok(())
}

/// A table of `kubectl` as rows of cells by the heads of their columns.
fn table(printed: &str) -> Vec<Vec<(&str, &str)>> {
    let mut rows = Vec::new();
    for part in printed.split("\n\n") {
        let mut lines = part.lines();
        let head = lines.next().unwrap_or_default();
        let mut starts: Vec<usize> = head
            .match_indices(|c: char| c != ' ')
            .map(|(at, _)| at)
            .filter(|&at| at == 0 || head.get(at - 1..at) == Some(" "))
            .collect();
        starts.push(usize::MAX);
        rows.extend(lines.map(|line| {
            starts
                .windows(2)
                .map(|pair| {
                    let part = |text: &str| -> (usize, usize) {
                        (pair[0].min(text.len()), pair[1].min(text.len()))
                    };
                    let ((a, b), (c, d)) = (part(head), part(line));
                    (
                        head.get(a..b).unwrap_or_default().trim(),
                        line.get(c..d).unwrap_or_default().trim(),
                    )
                })
                .collect()
        }));
    }
    rows
}

fn tables_make_sense(cluster: &TestCluster) -> Result<()> {
    let printed = cluster.kubectl("get dnet,dvol -o wide")?;
    let rows = table(&printed);
    let row = |name: &str| -> Result<Vec<(&str, &str)>> {
        let mut row = rows.iter().find(|r| r[0].1.ends_with(name)).cloned();
        // The age is the one column that changes while one looks.
        if let Some(row) = &mut row {
            row.retain(|(head, _)| *head != "AGE");
        }
        row.with_context(|| format!("no row {name}:\n{printed}"))
    };
    let want = [
        ("NAME", "dockernetwork.dockfleet.io/front"),
        ("DRIVER", "bridge"),
        ("DESIRED", "2"),
        ("READY", "2"),
        ("FAILED", "0"),
        ("OFFLINE", "0"),
        ("DRIFTED", "0"),
        ("STATUS", "Ready"),
        ("MESSAGE", "2 of 2 hosts are ready"),
    ];
    assert_eq!(row("/front")?, want);
    let want = [
        ("NAME", "dockervolume.dockfleet.io/data"),
        ("DRIVER", "local"),
        ("DESIRED", "3"),
        ("READY", "3"),
        ("FAILED", "0"),
        ("OFFLINE", "0"),
        ("DRIFTED", "0"),
        ("STATUS", "Ready"),
        ("MESSAGE", "3 of 3 hosts are ready"),
    ];
    assert_eq!(row("/data")?, want);

    let printed = cluster.kubectl(&format!("get dhost -n {FLEET} -o wide"))?;
    let rows = table(&printed);
    for (row, (engine, api)) in rows
        .iter()
        .zip([("20.10", "1.41"), ("", "1.56"), ("", "1.56")])
    {
        let cell = |head: &str| row.iter().find(|c| c.0 == head).map_or("?", |c| c.1);
        assert!(
            cell("ENGINE").starts_with(engine) && !cell("ENGINE").is_empty(),
            "{printed}"
        );
        assert_eq!(
            (cell("API"), cell("STATUS"), cell("FAILED")),
            (api, "Ready", "0"),
            "{printed}"
        );
        assert_eq!(
            (cell("ENTRIES"), cell("READY")),
            if cell("NAME") == "h1" {
                ("3", "3")
            } else {
                ("2", "2")
            },
            "{printed}"
        );
    }
    assert_eq!(rows.len(), 3, "{printed}");
    Ok(())
}

/// The resource versions of everything of ours, by kind, namespace and name.
fn versions(cluster: &TestCluster) -> Result<Vec<(String, String)>> {
    let all = cluster.get("dnet,dvol,dhost,hassign --all-namespaces")?;
    let items = all["items"].as_array().context("no list")?;
    Ok(items
        .iter()
        .map(|item| {
            let meta = &item["metadata"];
            (
                format!("{} {}", item["kind"], meta["name"]).replace('"', ""),
                meta["resourceVersion"].to_string(),
            )
        })
        .collect())
}

#[test]
fn an_edit_writes_to_its_own_hosts_only_and_an_idle_fleet_writes_nothing() -> Result<()> {
    let cluster = three_hosts()?;
    let [h1, h2, h3] = cluster.hosts()?;
    let generation = |host: &TestHost| -> Result<i64> {
        let generation = &cluster.assignment(host)?["metadata"]["generation"];
        generation.as_i64().context("no generation")
    };
    let before = (generation(h1)?, generation(h2)?, generation(h3)?);
    let ids = (h1.network_id("lan")?, h3.network_id("lan")?);

    // What differs is on h1 only, because h3 has an override.
    cluster.make(&[lan("10.30.0.64/26")])?;
    assert_eq!(block(h1, "lan")?.1, "10.30.0.64/26");
    assert_ne!(
        h1.network_id("lan")?,
        ids.0,
        "an engine cannot edit a network"
    );
    assert_eq!(h3.network_id("lan")?, ids.1);
    let after = (generation(h1)?, generation(h2)?, generation(h3)?);
    assert_eq!(after, (before.0 + 1, before.1, before.2));

    // A repair on h1 passes through its agent, the API server and the controller; the others have
    // nothing to say meanwhile, and neither has anybody when the same is applied again.
    let quiet = |all: &[(String, String)]| -> Vec<(String, String)> {
        let other = |name: &str| !name.ends_with(" h1") && !name.ends_with(" front");
        all.iter()
            .filter(|(name, _)| other(name))
            .cloned()
            .collect()
    };
    let before = versions(&cluster)?;
    cluster.apply(&lan("10.30.0.64/26"))?;
    let id = h1.network_id("front")?;
    h1.engine.docker(["network", "rm", "front"])?;
    assert_ne!(h1.await_network("front")?["Id"], id.as_str());
    cluster.until(
        &format!("hassign/h1 -n {FLEET}"),
        &format!(
            "{{.status.entries[?(@.uid==\"{}\")].id}}={}",
            cluster.uid("dnet/front")?,
            h1.network_id("front")?
        ),
    )?;
    cluster.ready("dnet/front")?;
    let after = versions(&cluster)?;
    assert_eq!(quiet(&before), quiet(&after));
    assert_eq!(quiet(&after).len(), 6, "{after:?}");
    Ok(())
}

/// Goes through a schema and gathers the fields without a description.
fn undescribed(schema: &Value, path: &str, missing: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if field["description"].as_str().is_none_or(str::is_empty) {
            missing.push(path.clone());
        }
        undescribed(field, &path, missing);
        undescribed(&field["items"], &path, missing);
        undescribed(&field["additionalProperties"], &path, missing);
    }
}

#[test]
fn every_field_of_every_kind_is_explained() -> Result<()> {
    let plane = ControlPlane::start_on_loopback()?;
    let dockfleet = dockfleet_e2e::Dockfleet::find()?;
    install_crds(&plane, &dockfleet)?;
    let crds = plane.get_json(&["crd"])?;
    let mut missing = Vec::new();
    for crd in crds["items"].as_array().into_iter().flatten() {
        let name = crd["spec"]["names"]["plural"].as_str().unwrap_or_default();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert!(schema["description"].is_string(), "{name} itself");
        // The rest is the API server's own to describe.
        for part in ["spec", "status"] {
            let path = format!("{name}.{part}");
            undescribed(&schema["properties"][part], &path, &mut missing);
        }

        let explained = plane.kubectl(["explain", &format!("{name}.spec")])?.ok()?;
        assert!(explained.contains("FIELDS:"), "{explained}");
        let short = crd["spec"]["names"]["shortNames"][0].as_str();
        plane
            .kubectl(["get", short.context("no short name")?])?
            .ok()?;
    }
    assert_eq!(missing, Vec::<String>::new());
    let explained = plane
        .kubectl(["explain", "dnet.spec.ipam.config.subnet"])?
        .ok()?;
    assert!(explained.contains("CIDR"), "{explained}");
    plane.kubectl(["get", "dockfleet"])?.ok()?;
    Ok(())
}
