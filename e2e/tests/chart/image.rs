//! The image: made from the Dockerfile on a local engine, and run there as that engine's own agent.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{ControlPlane, Dockfleet, Engine, Fleet, Folder, Generation, eventually};
use serde_json::json;

use crate::life::{FLEET, HOST, apply_host, install, network, start_controller, until};
use crate::project::project;

const IMAGE: &str = "dockfleet:test";

/// The static program that `scripts/e2e.sh` has linked.
fn program() -> Result<PathBuf> {
    let path = std::env::var_os("DOCKFLEET_STATIC_BIN").map(PathBuf::from);
    let path = path.context("DOCKFLEET_STATIC_BIN names no static program: use scripts/e2e.sh")?;
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(path)
}

/// The Dockerfile from its stage `given` on. An engine as old as this one would go through the stage that compiles,
/// whose image no machine without a registry has, also where nothing of it is needed.
fn without_compiling() -> Result<String> {
    let whole = fs::read_to_string(project().join("Dockerfile"))?;
    let rest = whole
        .find("FROM scratch AS given")
        .context("no such stage")?;
    let rest = whole.get(rest..).unwrap_or_default();
    Ok(format!("ARG PROGRAM=given\n{rest}"))
}

fn build(engine: &Engine, program: &Path, context: &Folder) -> Result<()> {
    let folder = context.file("target/image/amd64");
    fs::create_dir_all(&folder)?;
    fs::copy(program, folder.join("dockfleet"))?;
    fs::write(context.file("Dockerfile"), without_compiling()?)?;
    let words = ["build", "--target", "runtime", "--tag", IMAGE];
    let values = [
        "--build-arg",
        "TARGETARCH=amd64",
        "--build-arg",
        "VERSION=test",
    ];
    let all = words.into_iter().chain(values).map(OsStr::new);
    engine
        .docker(all.chain([context.path().as_os_str()]))
        .map(drop)
}

#[test]
fn the_image_holds_one_program_and_runs_as_the_agent_of_the_engine_that_made_it() -> Result<()> {
    let fleet = Fleet::new()?;
    let host = fleet.host(HOST)?;
    let engine = Engine::start(&host, Generation::Debian20)?;
    let program = program()?;
    let context = Folder::new()?;
    build(&engine, &program, &context)?;

    let image = engine.docker_json(["image", "inspect", "--format", "{{json .}}", IMAGE])?;
    assert_eq!(image["Config"]["User"], "65532:65532");
    assert_eq!(image["Config"]["Entrypoint"], json!(["/dockfleet"]));
    let size = image["Size"].as_u64().context("no size")?;
    assert_eq!(size, fs::metadata(&program)?.len(), "nothing else is in it");
    println!("image: {size} bytes");

    // As the chart runs it: nobody, no capability, nothing that can be written.
    let confined = [
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
    ];
    let version = [
        &["run", "--rm", "--network=none"][..],
        &confined,
        &[IMAGE, "--version"],
    ];
    let version = engine.docker(version.concat())?;
    assert_eq!(version, format!("dockfleet {}", env!("CARGO_PKG_VERSION")));

    let plane = ControlPlane::start(&fleet)?;
    install(&plane, &[])?;
    apply_host(&plane)?;
    let controller = start_controller(&plane)?;
    let joined = context.file("join");
    let dockfleet = Dockfleet::find()?;
    let mut enroll = dockfleet.command(["enroll", HOST, "--namespace", FLEET, "--output"]);
    enroll.arg(&joined).env("KUBECONFIG", plane.kubeconfig());
    dockfleet.run_command(&enroll, None)?.ok()?;

    // The engine's socket belongs to root. A folder of certificates is not needed: the CA is pinned.
    let state = engine.data_root().with_file_name("agent-in-container");
    fs::create_dir_all(&state)?;
    let mounts = [
        format!("--volume={}:/var/lib/dockfleet/agent", state.display()),
        format!(
            "--volume={}:/var/run/docker.sock",
            engine.socket().display()
        ),
        format!("--volume={}:/join:ro", joined.display()),
    ];
    let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
    let as_root = ["--user=0:0", "--network=host"];
    let join = ["agent", "join", "--file=/join", "--print=compose"];
    let words = [
        &["run", "--rm"][..],
        &as_root,
        &confined,
        &mounts,
        &[IMAGE],
        &join,
    ];
    engine.docker(words.concat())?;
    let words = [
        &["run", "--detach", "--name=agent"][..],
        &as_root,
        &confined,
        &mounts,
        &[IMAGE, "agent"],
    ];
    engine.docker(words.concat())?;

    plane.apply_yaml(&network("from-an-image"))?;
    let ready = until(&plane, "dnet/from-an-image", "condition=Ready");
    let log = || engine.docker(["logs", "agent"]).unwrap_or_default();
    ready.with_context(|| format!("{}\n== agent\n{}", controller.log(), log()))?;
    engine.docker(["network", "inspect", "from-an-image"])?;

    engine.docker(["stop", "--time=60", "agent"])?;
    let code = ["inspect", "--format", "{{.State.ExitCode}}", "agent"];
    eventually("the agent has ended", Duration::from_mins(1), || {
        let code = engine.docker(code).map_err(|e| e.to_string())?;
        (code == "0").then_some(()).ok_or(code)
    })
}
