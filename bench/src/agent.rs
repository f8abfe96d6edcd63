//! Measures a real idle agent with 200 entries: its memory, and the cost of a pass without changes for
//! the engine, the API server and the agent.

use std::fs::{self, File};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{ControlPlane, Engine, Generation, Process, eventually};
use rustix::fs::{Advice, fadvise};
use serde_json::{Value, json};

use crate::create::summary;
use crate::lab::{PeerLab, new_engine, say, version};
use crate::object_set::ObjectSet;
use crate::recorder::Recorder;
use crate::report::{Expected, ResultTable, Unit};
use crate::sample::Sample;
use crate::usage::memory;
use crate::writes::Writes;

const WANTED: ObjectSet = ObjectSet(100);
/// Time limit for the creation of all objects.
const LIMIT: Duration = Duration::from_mins(5);
/// After this time the agent has finished and reported its last pass for the creation.
const SETTLE: Duration = Duration::from_secs(15);
/// Number of memory samples, one a second.
const LOOKS: usize = 10;
/// Number of triggered passes, and the time limit for each. The agent runs at most one pass a
/// second.
const PASSES: u32 = 10;
const PASS: Duration = Duration::from_secs(3);

/// Probes and metrics use any free port, because the default port of both programs is the same.
const ANY_PORT: &str = "--metrics-address=127.0.0.1:0";

const FLEET: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: dockfleet-hosts}
---
apiVersion: dockfleet.io/v1alpha1
kind: DockerHost
metadata: {name: bench, namespace: dockfleet-hosts}
spec: {allowedNamespaces: {from: All}}
";

pub(crate) fn measure(lab: &PeerLab, report: &mut ResultTable) -> Result<()> {
    for generation in Generation::ALL {
        let engine = new_engine(generation)?;
        let name = version(&engine)?;
        say(&format!("{name}: an agent with 200 entries"));
        let recorder = Recorder::start(lab.scratch.path(".sock"), engine.socket())?;
        let plane = control_plane(lab)?;
        drop_cached(lab.dockfleet.binary())?;
        let alone = ["controller", "--leader-elect=false", ANY_PORT];
        let controller = start(lab, &plane, &alone, None)?;
        let state = lab.scratch.folder()?.display().to_string();
        let args = ["agent", "--host", "bench", "--state-dir", &state, ANY_PORT];
        let agent = start(lab, &plane, &args, Some(&recorder.docker_host()))?;
        plane.apply_yaml(&WANTED.resources())?;
        eventually("200 entries that are ready", LIMIT, || {
            all_ready(&plane).map_err(|error| error.to_string())
        })
        .with_context(|| format!("{}\n{}", controller.log(), agent.log()))?;
        WANTED.check(&engine)?;
        sleep(SETTLE);

        let mut resident = Vec::new();
        for _ in 0..LOOKS {
            resident.push(memory(agent.pid(), "VmRSS")?);
            sleep(Duration::from_secs(1));
        }
        report.figure(
            "agent, idle, 200 entries: resident memory",
            &name,
            &Sample::new(resident)?,
            Unit::Bytes,
            Expected::AtMost(15e6),
        );
        report.note(format!(
            "Engine {name}, agent idle: anonymous {:.1} MB, of files (the program itself) {:.1} MB; \
             the most it ever had {:.1} MB. Controller beside it: resident {:.1} MB.",
            memory(agent.pid(), "RssAnon")? / 1e6,
            memory(agent.pid(), "RssFile")? / 1e6,
            memory(agent.pid(), "VmHWM")? / 1e6,
            memory(controller.pid(), "VmRSS")? / 1e6,
        ));
        passes(&name, &engine, &recorder, &plane, &agent, report)?;
    }
    Ok(())
}

/// Takes a program out of the page cache, as after a restart of the machine. The kernel maps a program in the pieces in
/// which its file is cached, and a file that was just written in large pieces is cached in large pieces: this decides
/// about up to 2 MB of resident memory.
fn drop_cached(program: &Path) -> Result<()> {
    let file = File::open(program)?;
    // The cache keeps what is not on the disk yet.
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}

/// Triggers passes without changes: each time it creates and removes a volume that does not belong
/// to Dockfleet.
fn passes(
    name: &str,
    engine: &Engine,
    recorder: &Recorder,
    plane: &ControlPlane,
    agent: &Process,
    report: &mut ResultTable,
) -> Result<()> {
    let (mut calls, mut work) = (Vec::new(), Vec::new());
    recorder.take()?;
    let before = Writes::count(plane)?;
    let mut last = Vec::new();
    for _ in 0..PASSES {
        let begin = processor_time(agent)?;
        engine
            .post("/volumes/create", &json!({"Name": "stranger"}))?
            .ok()?;
        engine.delete("/volumes/stranger")?.ok()?;
        sleep(PASS);
        work.push(processor_time(agent)?.saturating_sub(begin));
        last = recorder.take()?;
        ensure!(!last.is_empty(), "the agent did not look at the engine");
        calls.push(f64::from(u32::try_from(last.len())?));
    }
    let writes = Writes::count(plane)?.since(&before);
    report.note(format!(
        "Engine {name}, no change: calls of one pass of the agent: {}",
        summary(&last)
    ));
    if writes.total() > 0 {
        report.note(format!("Engine {name}, no change: writes seen: {writes}"));
    }
    for (what, sample, unit, goal) in [
        (
            "no change, 200 objects: engine calls of a pass of the agent",
            Sample::new(calls)?,
            Unit::Count,
            Expected::AtMost(3.0),
        ),
        (
            "no change, 200 objects: Kubernetes writes of agent and controller in 10 passes, \
             heartbeats left out",
            Sample::new([f64::from(writes.total())])?,
            Unit::Count,
            Expected::AtMost(0.0),
        ),
        (
            "no change, 200 objects: processor time of a pass of the agent",
            Sample::of_durations(&work)?,
            Unit::Seconds,
            Expected::AtMost(0.050),
        ),
    ] {
        report.figure(what, name, &sample, unit, goal);
    }
    Ok(())
}

/// Starts a control plane with the CRDs and one host.
fn control_plane(lab: &PeerLab) -> Result<ControlPlane> {
    let plane = ControlPlane::start_on_loopback()?;
    let definitions = lab.dockfleet.run(["crds"])?.ok()?;
    let file = lab.scratch.write(".yaml", &definitions)?;
    let file = file.display().to_string();
    plane
        .kubectl(["apply", "--server-side", "-f", &file])?
        .ok()?;
    plane
        .kubectl(["wait", "--for=condition=Established", "crd", "--all"])?
        .ok()?;
    plane.apply_yaml(FLEET)?;
    Ok(plane)
}

fn start(
    lab: &PeerLab,
    plane: &ControlPlane,
    args: &[&str],
    docker_host: Option<&str>,
) -> Result<Process> {
    let mut command = lab.dockfleet.command(args);
    command.env("KUBECONFIG", plane.kubeconfig());
    if let Some(address) = docker_host {
        command.env("DOCKER_HOST", address);
    }
    lab.dockfleet.spawn_command(&command, None)
}

fn all_ready(plane: &ControlPlane) -> Result<()> {
    let assignment = plane.get_json(&["hostassignment", "bench", "-n", "dockfleet-hosts"])?;
    let entries = assignment.pointer("/status/entries");
    let entries = entries.and_then(Value::as_array).context("no status yet")?;
    let ready = entries
        .iter()
        .filter(|entry| entry.get("state").and_then(Value::as_str) == Some("Ready"))
        .count();
    ensure!(ready == 2 * usize::from(WANTED.0), "{ready} are ready");
    Ok(())
}

/// Returns the CPU time of all threads of a process in nanoseconds.
fn processor_time(process: &Process) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{}/task", process.pid()))? {
        // A thread that ends at this moment is not counted.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().and_then(|first| first.parse().ok());
        all += Duration::from_nanos(first.unwrap_or(0));
    }
    Ok(all)
}
