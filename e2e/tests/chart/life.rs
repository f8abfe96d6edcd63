//! The life of a release: installed, upgraded, at work, taken away.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dockfleet_e2e::{
    ControlPlane, Dockfleet, Engine, Fleet, Folder, Generation, Process, eventually,
};
use serde_json::Value;

use crate::dashboard;
use crate::project::{RELEASE, SYSTEM, chart, project};
use crate::scrape;

pub(crate) const HOST: &str = "web-1";
pub(crate) const FLEET: &str = "dockfleet-hosts";
/// How long anything may take on a machine that is busy with other tests.
const SOON: Duration = Duration::from_mins(2);

/// Installs the chart of this tree as the documents say.
pub(crate) fn install(plane: &ControlPlane, options: &[&str]) -> Result<String> {
    let chart = chart("").display().to_string();
    let words = [
        "install",
        RELEASE,
        &chart,
        "--namespace",
        SYSTEM,
        "--create-namespace",
    ];
    plane.helm([&words[..], options].concat())?.ok()
}

/// Makes the DockerHost, as the notes of the chart say.
pub(crate) fn apply_host(plane: &ControlPlane) -> Result<()> {
    let crds = [
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd",
        "--all",
    ];
    plane.kubectl(crds)?.ok()?;
    plane.apply_yaml(&format!(
        "apiVersion: dockfleet.io/v1alpha1\nkind: DockerHost\n\
         metadata: {{name: {HOST}, namespace: {FLEET}}}\n\
         spec: {{allowedNamespaces: {{from: All}}}}\n"
    ))?;
    Ok(())
}

/// The manifest of a network for every host.
pub(crate) fn network(name: &str) -> String {
    format!(
        "apiVersion: dockfleet.io/v1alpha1\nkind: DockerNetwork\n\
         metadata: {{name: {name}, namespace: default}}\nspec: {{hostSelector: {{}}}}\n"
    )
}

/// Waits as `kubectl wait` does.
pub(crate) fn until(plane: &ControlPlane, what: &str, holds: &str) -> Result<()> {
    let (holds, timeout) = (
        format!("--for={holds}"),
        format!("--timeout={}s", SOON.as_secs()),
    );
    let words = ["wait", &holds, &timeout].into_iter();
    let said = plane.kubectl(words.chain(what.split(' ')))?.ok();
    said.map(drop).with_context(|| {
        let all = plane.kubectl(["get", "dhost,hassign,dnet,events", "-A", "-o", "yaml"]);
        all.map_or_else(|e| e.to_string(), |all| all.stdout)
    })
}

/// Where nothing listens at present.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Starts a controller as a node would: with the arguments and the environment of the Deployment that the API
/// server holds, and a token of its ServiceAccount.
pub(crate) fn start_controller(plane: &ControlPlane) -> Result<Controller> {
    let deployment = plane.get_json(&["deployment", "-n", SYSTEM, "dockfleet-controller"])?;
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let account = pod["serviceAccountName"].as_str().context("no account")?;
    let token = plane
        .kubectl(["create", "token", account, "-n", SYSTEM])?
        .ok()?;
    let args = container["args"].as_array().context("no arguments")?;
    let args = args.iter().map(|arg| arg.as_str().unwrap_or_default());
    let dockfleet = Dockfleet::find()?;
    let mut command = dockfleet.command(args);
    command.env("KUBECONFIG", plane.kubeconfig_with_token(&token)?);
    for variable in container["env"].as_array().into_iter().flatten() {
        let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
        let value = match field.as_str() {
            Some("metadata.namespace") => SYSTEM,
            _ => variable["value"]
                .as_str()
                .context("nobody here fills that in")?,
        };
        command.env(variable["name"].as_str().unwrap_or_default(), value);
    }
    let port = &container["ports"][0]["containerPort"];
    let port = u16::try_from(port.as_u64().context("no port")?)?;
    let controller = Controller {
        process: dockfleet.spawn_command(&command, None)?,
        address: (Ipv4Addr::LOCALHOST, port).into(),
    };
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"]
            .as_str()
            .context("no path")?;
        assert_eq!(
            container[probe]["httpGet"]["port"],
            container["ports"][0]["name"]
        );
        eventually(&format!("{probe} of the controller"), SOON, || {
            let answer = scrape::get(controller.address, path);
            match answer {
                Ok((200, _)) => Ok(()),
                other => Err(format!("{other:?}\n{}", controller.log())),
            }
        })?;
    }
    Ok(controller)
}

/// A controller that runs.
pub(crate) struct Controller {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Controller {
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Ends it as a node does.
    fn stop(&self) -> Result<()> {
        let status = self.process.terminate(Duration::from_secs(30))?;
        ensure!(status.success(), "{status}: {}", self.log());
        Ok(())
    }
}

/// How many commits of the chart are tried: one that an API server refuses was never a release.
const BACK: usize = 12;

/// Runs git over this repository.
fn git(args: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(project())
        .args(args)
        .output()
        .context("git is not installed")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {args:?}: {error}");
    Ok(output.stdout)
}

/// Installs the chart as it was before the commit that changed it last, or before the changes that are not committed
/// yet, where there are some; of those that can be installed, the last. A checkout without history has its own only.
#[expect(clippy::print_stdout, reason = "which one it was is a result")]
fn install_before(plane: &ControlPlane, options: &[&str]) -> Result<()> {
    let is_dirty = git(&["status", "--porcelain", "--", "charts/dockfleet"])
        .is_ok_and(|changes| !changes.is_empty());
    let commits = git(&["log", "--format=%H", "--", "charts/dockfleet"]).unwrap_or_default();
    let commits = String::from_utf8(commits)?;
    let earlier: Vec<&str> = commits
        .lines()
        .skip(usize::from(!is_dirty))
        .take(BACK)
        .collect();
    let mut refused = String::new();
    for commit in &earlier {
        let folder = Folder::new()?;
        let archive = folder.file("chart.tar");
        let tar = ["archive", "--format=tar", commit, "charts/dockfleet"];
        fs::write(&archive, git(&tar)?)?;
        let mut untar = Command::new("tar");
        untar.arg("-xf").arg(&archive).arg("-C").arg(folder.path());
        ensure!(untar.status()?.success(), "tar does not unpack {commit}");
        match install_aged(plane, &folder.path().join("charts/dockfleet"), options)? {
            None => {
                println!("upgraded from commit {commit}");
                return Ok(());
            }
            Some(why) => refused = why,
        }
        println!("commit {commit} cannot be installed: {refused}");
    }
    if earlier.is_empty() {
        let folder = Folder::new()?;
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(project().join("charts/dockfleet"));
        copy.arg(folder.path());
        ensure!(copy.status()?.success(), "cp does not copy the chart");
        match install_aged(plane, &folder.path().join("dockfleet"), options)? {
            None => {
                println!("no earlier commit here: upgraded from this chart with an older CRD");
                return Ok(());
            }
            Some(why) => refused = why,
        }
    }
    bail!("no earlier chart can be installed: {refused}")
}

/// Installs a chart with a CRD made older; says why where that is refused, and then nothing of it is left.
fn install_aged(plane: &ControlPlane, chart: &Path, options: &[&str]) -> Result<Option<String>> {
    age(chart)?;
    let chart = chart.display().to_string();
    let words = ["install", RELEASE, &chart, "--create-namespace"];
    let installed = plane.helm([&words[..], options].concat())?;
    if installed.success() {
        return Ok(None);
    }
    plane.helm(["uninstall", RELEASE, "--namespace", SYSTEM])?;
    Ok(Some(installed.stderr))
}

/// Makes a CRD of that chart differ from ours, should no commit have done so.
fn age(chart: &Path) -> Result<()> {
    let path = chart.join("files/crds/dockerhosts.yaml");
    let text = fs::read_to_string(&path)?;
    let older = text.replace("- dhost\n", "- olddhost\n");
    ensure!(older != text, "the short name is not where it was");
    Ok(fs::write(path, older)?)
}

fn short_name(plane: &ControlPlane) -> Result<Value> {
    let crd = plane.get_json(&["crd", "dockerhosts.dockfleet.io"])?;
    Ok(crd["spec"]["names"]["shortNames"].clone())
}

#[test]
fn an_older_release_is_upgraded_works_goes_and_leaves_what_people_made() -> Result<()> {
    let fleet = Fleet::new()?;
    let host = fleet.host(HOST)?;
    let plane = ControlPlane::start(&fleet)?;
    let engine = Engine::start(&host, Generation::Newest)?;

    // Installed as it was, then upgraded: the CRDs with it.
    let port = free_port()?.to_string();
    let port = format!("controller.port={port}");
    let words = ["--namespace", SYSTEM, "--set", &port];
    install_before(&plane, &words)?;
    assert_eq!(short_name(&plane)?, serde_json::json!(["olddhost"]));
    apply_host(&plane)?;
    let now = chart("").display().to_string();
    let notes = plane
        .helm([&["upgrade", RELEASE, &now][..], &words].concat())?
        .ok()?;
    assert!(
        notes.contains("dockfleet enroll web-1"),
        "the next step: {notes}"
    );
    assert_eq!(short_name(&plane)?, serde_json::json!(["dhost"]));

    // At work, with the rights of the chart and nothing else, on both sides.
    let controller = start_controller(&plane)?;
    let dockfleet = Dockfleet::find()?;
    let state = engine.data_root().with_file_name("agent");
    dockfleet.join(&plane, &host, FLEET, &state)?;
    let agent_port = free_port()?;
    let mut command = dockfleet.command(["agent", "--state-dir"]);
    command
        .arg(&state)
        .arg(format!("--metrics-address={}:{agent_port}", host.address()))
        .env("DOCKER_HOST", engine.docker_host());
    let agent = dockfleet.spawn_command(&command, Some(&host))?;
    let logs = || {
        format!(
            "== controller\n{}\n== agent\n{}",
            controller.log(),
            agent.log()
        )
    };
    let agent_address = (host.address(), agent_port).into();
    let mut seen = dashboard::Seen::default();
    plane.apply_yaml(&network("first"))?;
    until(&plane, "dnet/first", "condition=Ready").with_context(logs)?;
    seen.look(controller.address, agent_address)?;
    plane.apply_yaml(&network("second"))?;
    until(&plane, "dnet/second", "condition=Ready").with_context(logs)?;
    seen.look(controller.address, agent_address)?;
    assert!(
        !controller.log().contains("orbidden"),
        "{}",
        controller.log()
    );
    seen.every_query_returns_data()?;
    seen.every_alert_knows_its_metrics()?;

    // Taken away: what people made stays, and what it says of hosts.
    plane
        .helm(["uninstall", RELEASE, "--namespace", SYSTEM])?
        .ok()?;
    controller.stop()?;
    let gone = plane.get_json(&[
        "deploy,clusterrole,clusterrolebinding,svc,pdb",
        "-A",
        "-l",
        "app.kubernetes.io/instance=dockfleet",
    ])?;
    assert_eq!(gone["items"], serde_json::json!([]));
    for kept in [
        "dnet/first",
        "dnet/second",
        "dhost/web-1 -n dockfleet-hosts",
        "hassign/web-1 -n dockfleet-hosts",
    ] {
        let words: Vec<&OsStr> = kept.split(' ').map(OsStr::new).collect();
        plane
            .kubectl([OsStr::new("get")].into_iter().chain(words))?
            .ok()?;
    }
    engine.docker(["network", "inspect", "first", "second"])?;

    // And put back: it takes up what it left.
    install(&plane, &["--set", &port])?;
    let controller = start_controller(&plane)?;
    plane.apply_yaml(&network("third"))?;
    let ready = until(&plane, "dnet/third", "condition=Ready");
    ready.with_context(|| controller.log())?;
    Ok(())
}
