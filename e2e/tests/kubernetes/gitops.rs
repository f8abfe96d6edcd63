//! What GitOps tools make of a resource at every moment of its life: kstatus, which Flux waits with,
//! and the `health.lua` for Argo CD. Every version that the API server ever shows is recorded, and
//! judged by the real tools; none may be taken for done before every host has said that it is.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dockfleet_crds::DockerHost;
use dockfleet_crds::assignment::Kind;
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::{Health, Recording, Version, argo_health, kstatus};
use dockfleet_planner::kinds;
use dockfleet_planner::render;
use dockfleet_planner::resource::Resource;
use serde_json::Value;

use crate::test_cluster::{FLEET, TestCluster, condition, network, ready_reason, volume};

const NETWORKS: &str = "/apis/dockfleet.io/v1alpha1/dockernetworks";
/// Everything that a health hangs on.
const RECORDED: [&str; 4] = [
    NETWORKS,
    "/apis/dockfleet.io/v1alpha1/dockervolumes",
    "/apis/dockfleet.io/v1alpha1/dockerhosts",
    "/apis/dockfleet.io/v1alpha1/hostassignments",
];

/// A life that is being recorded, with names for its parts.
struct Life<'a> {
    cluster: &'a TestCluster,
    recording: Recording,
    /// The revision at which each part begins.
    parts: Vec<(u64, &'static str)>,
}

impl<'a> Life<'a> {
    fn record(cluster: &'a TestCluster) -> Result<Self> {
        Ok(Self {
            cluster,
            recording: cluster.plane.record(&RECORDED)?,
            parts: Vec::new(),
        })
    }

    /// Says what comes now.
    fn now(&mut self, part: &'static str) -> Result<()> {
        let revision = self.cluster.plane.revision(NETWORKS)?;
        self.parts.push((revision, part));
        Ok(())
    }

    fn part(&self, version: &Version) -> &'static str {
        let at = self.parts.partition_point(|(r, _)| *r < version.revision);
        let part = at.checked_sub(1).and_then(|at| self.parts.get(at));
        part.map_or("before", |(_, part)| part)
    }
}

/// Everything recorded, to ask how hosts stood at a revision.
struct World(Vec<Version>);

impl World {
    /// The versions of a kind until a revision, the oldest first.
    fn of(&self, kind: &'static str, until: u64) -> impl Iterator<Item = &Version> {
        let all = self.0.iter().take_while(move |v| v.revision <= until);
        all.filter(move |v| v.object["kind"] == kind)
    }

    /// Hosts that the resource selected at that revision.
    fn selected(&self, resource: &dyn Resource, at: u64) -> Result<Vec<DockerHost>> {
        let mut hosts: Vec<DockerHost> = Vec::new();
        for version in self.of("DockerHost", at) {
            let host: DockerHost = serde_json::from_value(version.object.clone())?;
            hosts.retain(|h| h.metadata.name != host.metadata.name);
            if !version.deleted {
                hosts.push(host);
            }
        }
        let labels = resource
            .host_selector()
            .and_then(|s| s.match_labels.as_ref());
        hosts.retain(|host| {
            labels.into_iter().flatten().all(|(key, value)| {
                host.metadata.labels.as_ref().and_then(|l| l.get(key)) == Some(value)
            })
        });
        Ok(hosts)
    }

    /// Whether the host was told by `until` what the resource asks of it, and has said since then
    /// that it has it. An earlier word on the same revision does not count: another came between.
    fn has_said_ready(&self, host: &DockerHost, uid: &str, revision: &str, until: u64) -> bool {
        let name = host.metadata.name.as_deref().unwrap_or_default();
        let entry = |list: &Value| {
            let mut entries = list["entries"].as_array().into_iter().flatten();
            entries.find(|e| e["uid"] == uid).cloned()
        };
        let mut said = false;
        let mut told_in = None;
        for Version { object, .. } in self.of("HostAssignment", until) {
            if object["metadata"]["name"] != name {
                continue;
            }
            let reported = entry(&object["spec"])
                .is_some_and(|e| e["revision"] == revision && e["intent"].is_null());
            if !reported {
                (said, told_in) = (false, None);
                continue;
            }
            let since = *told_in.get_or_insert_with(|| object["metadata"]["generation"].as_i64());
            let heard = object["status"]["observedGeneration"].as_i64() >= since;
            said |= heard
                && entry(&object["status"])
                    .is_some_and(|e| e["revision"] == revision && e["state"] == "Ready");
        }
        said
    }

    /// The hosts that had not said that they are ready with this version of a resource.
    fn missing(&self, version: &Version) -> Result<Vec<String>> {
        let kind: Kind = serde_json::from_value(version.object["kind"].clone())?;
        let resource = &*kinds::read(kind, version.object.clone())?;
        let mut missing = Vec::new();
        for host in self.selected(resource, version.revision)? {
            let revision = render::entry(resource, &host, None)?.revision;
            if !self.has_said_ready(&host, resource.uid(), &revision, version.revision) {
                missing.push(host.metadata.name.unwrap_or_default());
            }
        }
        Ok(missing)
    }
}

/// The host, where nobody has said on it that its present spec is heard of and that all is well.
fn agent_that_is_missing(host: &Value) -> Vec<String> {
    let ready = condition(host, "Ready");
    let heard = ready["observedGeneration"] == host["metadata"]["generation"];
    let missing = !heard || ready["status"] != "True";
    missing
        .then(|| word(&host["metadata"]["name"]))
        .into_iter()
        .collect()
}

fn health_lua() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gitops/argocd/health/health.lua")
}

/// What Argo CD may show of what kstatus calls so.
fn agree(object: &Value, flux: &Health, argo: &Health) -> bool {
    let suspended = object["spec"]["suspend"] == true || object["spec"]["paused"] == true;
    // Of a host Argo CD is told that it is silent; kstatus knows no such condition.
    let reachable = condition(object, "Reachable")["status"].clone();
    if object["kind"] == "DockerHost" && flux.status == "Current" && reachable != "True" {
        return argo.status != "Healthy" || reachable.is_null();
    }
    match flux.status.as_str() {
        "Current" => argo.status == if suspended { "Suspended" } else { "Healthy" },
        "Failed" => argo.status == if suspended { "Suspended" } else { "Degraded" },
        "Terminating" => argo.status == "Progressing",
        "InProgress" => match argo.status.as_str() {
            "Progressing" => true,
            "Suspended" => suspended,
            "Degraded" => object["status"]["conditions"]
                .to_string()
                .contains("EngineBusy"),
            _ => false,
        },
        _ => false,
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a life is one story")]
fn nothing_looks_finished_before_it_is() -> Result<()> {
    let cluster =
        TestCluster::prepare(&[("h1", Newest, "{site: a}"), ("h2", Debian20, "{site: b}")])?;
    let [h1, h2] = cluster.hosts()?;
    let mut life = Life::record(&cluster)?;
    let site = "hostSelector: {matchLabels: {site: a}}, updatePolicy: WhenUnused";
    let front = |more: &str| network("front", &format!("{{{site}{more}}}"));
    let data = |more: &str| volume("data", &format!("{{hostSelector: {{}}{more}}}"));

    life.now("created, and nobody is there")?;
    cluster.apply(&[front(""), data("")].concat())?;
    life.now("controller, no agents")?;
    cluster.start_controller()?;
    for what in ["dnet/front", "dvol/data"] {
        cluster.not_ready(what, "Unknown", "Progressing")?;
    }
    life.now("agents")?;
    for host in [h1, h2] {
        host.start_agent()?;
    }
    cluster.ready("dnet/front")?;
    cluster.ready("dvol/data")?;

    life.now("a host joins")?;
    cluster.kubectl(&format!("label dhost/h2 -n {FLEET} --overwrite site=a"))?;
    cluster.until("dnet/front", "{.status.hosts.ready}=2")?;
    cluster.ready("dnet/front")?;

    life.now("changed while the controller is dead")?;
    cluster.kill_controller()?;
    cluster.apply(&front(", internal: true"))?;
    cluster.start_controller()?;
    cluster.ready("dnet/front")?;

    life.now("changed while an agent is dead")?;
    h2.kill_agent()?;
    cluster.apply(&front(", internal: false"))?;
    cluster.until("dnet/front", "{.status.hosts.ready}=1")?;
    cluster.until("dnet/front", "{.status.hosts.pending}=1")?;
    h2.start_agent()?;
    cluster.ready("dnet/front")?;

    life.now("there and back, faster than agents report")?;
    for round in 0..6 {
        cluster.apply(&front(&format!(", internal: {}", round % 2 == 0)))?;
    }
    cluster.ready("dnet/front")?;

    life.now("in use")?;
    h1.engine.import_busybox()?;
    h1.engine
        .run_container("user", &["--network", "front"], &[])?;
    cluster.apply(&front(", internal: true"))?;
    cluster.not_ready("dnet/front", "False", "InUse")?;
    h1.engine.docker(["rm", "--force", "user"])?;
    cluster.ready("dnet/front")?;

    life.now("cannot be done")?;
    let never = |spec: &str| spec.replace("WhenUnused", "Never");
    cluster.apply(&never(&front("")))?;
    cluster.apply(&data(", labels: {team: shop}"))?;
    cluster.not_ready("dnet/front", "False", "Drifted")?;
    cluster.not_ready("dvol/data", "False", "Drifted")?;
    life.now("fixed")?;
    cluster.apply(&front(""))?;
    cluster.apply(&data(""))?;
    cluster.ready("dnet/front")?;
    cluster.ready("dvol/data")?;

    life.now("removed by hand")?;
    cluster.make(&[front(", driftPolicy: Observe")])?;
    h1.engine.docker(["network", "rm", "front"])?;
    h2.engine.docker(["volume", "rm", "data"])?;
    cluster.not_ready("dnet/front", "False", "Missing")?;
    cluster.not_ready("dvol/data", "False", "Lost")?;
    life.now("repaired")?;
    cluster.apply(&front(""))?;
    cluster.apply(&data(", lossPolicy: Recreate"))?;
    cluster.ready("dnet/front")?;
    cluster.ready("dvol/data")?;

    life.now("the engine refuses")?;
    // Another network has the subnet.
    h1.engine
        .docker(["network", "create", "--subnet", "10.213.77.0/24", "other"])?;
    let taken = ", ipam: {config: [{subnet: 10.213.77.0/24}]}";
    cluster.apply(&front(taken))?;
    cluster.until("dnet/front", &ready_reason("EngineRefused"))?;
    // Until the other host is ready, too, it is on its way.
    cluster.until(
        "dnet/front",
        "{.status.conditions[?(@.type==\"Stalled\")].status}=True",
    )?;
    h1.engine.docker(["network", "rm", "other"])?;
    cluster.ready("dnet/front")?;

    life.now("suspended")?;
    let suspended = [
        front(&format!("{taken}, suspend: true")),
        data(", lossPolicy: Recreate, suspend: true"),
    ];
    cluster.make(&suspended)?;
    cluster.apply(&front(", internal: true, suspend: true"))?;
    cluster.not_ready("dnet/front", "False", "Suspended")?;
    life.now("resumed")?;
    cluster.make(&[front(""), data("")])?;

    life.now("a host is paused")?;
    let paused = |is| format!("{{\"spec\": {{\"paused\": {is}}}}}");
    let host = format!("dhost/h1 -n {FLEET}");
    cluster.patch(&host, &paused(true))?;
    cluster.until(
        &host,
        "{.status.conditions[?(@.type==\"Paused\")].status}=True",
    )?;
    life.now("and goes on")?;
    cluster.patch(&host, &paused(false))?;
    cluster.until(&host, "{.status.observedGeneration}=3")?;

    life.now("deleted")?;
    cluster.kubectl("delete dnet/front dvol/data --timeout=60s")?;
    let over = |all: &[Version]| {
        let gone = all.iter().filter(|v| v.deleted);
        gone.filter(|v| v.object["metadata"]["namespace"] == "default")
            .count()
            == 2
    };
    let versions = life.recording.until("the end of both", over)?;

    let judged: Vec<Version> = versions
        .iter()
        .filter(|v| !v.deleted && v.object["kind"] != "HostAssignment")
        .cloned()
        .collect();
    let objects: Vec<Value> = judged.iter().map(|v| v.object.clone()).collect();
    let flux = kstatus(&objects)?;
    let argo = argo_health(&health_lua(), &objects)?;
    let world = World(versions);
    let mut table = Table::default();
    for ((version, flux), argo) in judged.iter().zip(&flux).zip(&argo) {
        let missing = if version.object["kind"] == "DockerHost" {
            agent_that_is_missing(&version.object)
        } else {
            world.missing(version)?
        };
        table.add(life.part(version), version, flux, argo, &missing);
    }
    table.print();
    assert_eq!(table.wrong, Vec::<String>::new());
    for (part, front, data) in ENDS {
        for (name, end) in [("front", front), ("data", data)] {
            let met = table.met(part, name);
            assert_eq!(
                met.last().map_or("", String::as_str),
                end,
                "{part}: {met:?}"
            );
        }
    }
    for (part, end) in [
        ("a host is paused", "Current Suspended"),
        ("and goes on", DONE),
    ] {
        assert_eq!(table.met(part, "h1").last().map_or("", String::as_str), end);
    }
    for (part, name, health) in ON_THE_WAY {
        let met = table.met(part, name);
        assert!(met.iter().any(|m| m == health), "{part}: {met:?}");
    }
    Ok(())
}

/// What each part of the life ends with: how the network stands, and the volume, by kstatus and by
/// Argo CD; nothing where the resource did not change in that part.
const ENDS: [(&str, &str, &str); 16] = [
    ("created, and nobody is there", WORKING, WORKING),
    ("controller, no agents", WORKING, WORKING),
    ("agents", DONE, DONE),
    ("a host joins", DONE, ""),
    ("changed while the controller is dead", DONE, ""),
    ("changed while an agent is dead", DONE, ""),
    ("there and back, faster than agents report", DONE, ""),
    ("in use", DONE, ""),
    ("cannot be done", FAILED, FAILED),
    ("fixed", DONE, DONE),
    ("removed by hand", FAILED, FAILED),
    ("repaired", DONE, DONE),
    ("the engine refuses", DONE, ""),
    ("suspended", "Failed Suspended", "Current Suspended"),
    ("resumed", DONE, DONE),
    (
        "deleted",
        "Terminating Progressing",
        "Terminating Progressing",
    ),
];
const WORKING: &str = "InProgress Progressing";
const DONE: &str = "Current Healthy";
const FAILED: &str = "Failed Degraded";
/// What is met before the end of a part.
const ON_THE_WAY: [(&str, &str, &str); 4] = [
    ("changed while the controller is dead", "front", WORKING),
    ("changed while an agent is dead", "front", WORKING),
    ("in use", "front", WORKING),
    ("the engine refuses", "front", "Failed Degraded"),
];

/// The recording as people read it.
#[derive(Default)]
struct Table {
    rows: Vec<[String; 8]>,
    /// Rows that no tool should have judged so.
    wrong: Vec<String>,
}

impl Table {
    fn add(
        &mut self,
        part: &str,
        version: &Version,
        flux: &Health,
        argo: &Health,
        missing: &[String],
    ) {
        let object = &version.object;
        let conditions = object["status"]["conditions"].as_array();
        let conditions: Vec<String> = conditions
            .into_iter()
            .flatten()
            .filter(|c| c["type"] != "Accepted")
            .map(|c| {
                format!(
                    "{}={}:{}",
                    word(&c["type"]),
                    word(&c["status"]),
                    word(&c["reason"])
                )
            })
            .collect();
        let row = [
            part.to_owned(),
            word(&object["metadata"]["name"]),
            version.revision.to_string(),
            format!(
                "{}/{}",
                object["metadata"]["generation"], object["status"]["observedGeneration"]
            ),
            flux.status.clone(),
            argo.status.clone(),
            missing.join(","),
            conditions.join(" "),
        ];
        let done = flux.status == "Current" || argo.status == "Healthy";
        if done && !missing.is_empty() || !agree(object, flux, argo) {
            self.wrong.push(row.join(" | "));
        }
        self.rows.push(row);
    }

    /// The health on a resource in a part of its life.
    fn met(&self, part: &str, name: &str) -> Vec<String> {
        let of_it = self
            .rows
            .iter()
            .filter(|row| row[0] == part && row[1] == name);
        of_it.map(|row| format!("{} {}", row[4], row[5])).collect()
    }

    #[expect(clippy::print_stdout, reason = "the recording is what people ask for")]
    fn print(&self) {
        let head = [
            "",
            "name",
            "revision",
            "seen",
            "kstatus",
            "Argo CD",
            "not ready",
            "conditions",
        ];
        let head = head.map(str::to_owned);
        let mut widths = [0; 8];
        for row in self.rows.iter().chain([&head]) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.len().max(*width);
            }
        }
        for row in [&head].into_iter().chain(&self.rows) {
            let cells = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        let done = self.rows.iter().filter(|row| row[4] == "Current").count();
        println!(
            "{} versions, {done} of them Current, {} of them too early",
            self.rows.len(),
            self.wrong.len()
        );
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
