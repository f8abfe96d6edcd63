//! A fleet for trying things by hand.
//!
//! - `e2e-fleet HOSTS`: so many hosts with the newest engine and the image `busybox:local`, and a
//!   control plane, until the end of the input (Ctrl-D).
//! - `e2e-fleet up FOLDER`: three hosts of both generations, each with its agent, a control plane
//!   with the CRDs and the `DockerHosts` of `examples/fleet/hosts.yaml`, and the controller, until
//!   somebody writes into the pipe `FOLDER/control`. `FOLDER/welcome` is there when every host is
//!   Ready, and says how to go on.
//! - `e2e-fleet sweep`: removes what a fleet left behind that was killed.
#![expect(clippy::print_stdout, reason = "this program is there to print")]

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use dockfleet_e2e::{ControlPlane, Dockfleet, Engine, Fleet, Generation, Process, sweep};

/// The engines of `up`; a fleet that grew over the years has old ones.
const GENERATIONS: [Generation; 3] = [Generation::Newest, Generation::Newest, Generation::Debian20];
/// The hosts of `up`, in the order of the engines, and the labels that examples select them by.
const HOSTS: &str = "examples/fleet/hosts.yaml";

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["up", folder] => up(Path::new(folder)),
        ["sweep"] => sweep(),
        [count] => bench(
            count
                .parse()
                .context("usage: e2e-fleet HOSTS | up FOLDER | sweep")?,
        ),
        _ => bail!("usage: e2e-fleet HOSTS | up FOLDER | sweep"),
    }
}

/// Hosts, engines and a control plane, and nothing of Dockfleet.
fn bench(count: u8) -> Result<()> {
    let fleet = Fleet::new()?;
    let mut engines = Vec::new();
    for number in 1..=count {
        engines.push(engine(&fleet, &format!("h{number}"), Generation::Newest)?);
    }
    let plane = ControlPlane::start(&fleet)?;
    println!("KUBECONFIG={}", plane.kubeconfig().display());
    println!("ready");
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

/// Everything, as in a fleet at work.
fn up(folder: &Path) -> Result<()> {
    let dockfleet = Dockfleet::find()?;
    let fleet = Fleet::new()?;
    let mut engines = Vec::new();
    for (number, generation) in (1..).zip(GENERATIONS) {
        engines.push(engine(&fleet, &format!("h{number}"), generation)?);
    }
    println!("starting etcd and kube-apiserver");
    let plane = ControlPlane::start(&fleet)?;
    // Namespaces and dependents go when they are deleted, as in any cluster.
    plane.start_controllers(&["namespace-controller", "garbage-collector-controller"])?;
    println!("applying the CRDs and {HOSTS}");
    plane.install_crds(&dockfleet)?;
    plane.grant_rights("dockfleet-hosts")?;
    plane.apply_yaml(&fs::read_to_string(project().join(HOSTS))?)?;

    println!("starting the controller and {} agents", engines.len());
    // Any port: the log says which.
    let mut controller = dockfleet.command(["controller", "--metrics-address=127.0.0.1:0"]);
    controller.env("KUBECONFIG", plane.kubeconfig_for_controller()?);
    // In the order in which they end: what runs goes before what it runs on.
    let mut running = vec![Process::start(&controller, &folder.join("controller.log"))?];
    for engine in &engines {
        running.push(agent(&dockfleet, engine, &plane, folder)?);
    }
    let ready = plane.kubectl([
        "wait",
        "dockerhosts",
        "--all",
        "--namespace=dockfleet-hosts",
        "--for=condition=Ready",
        "--timeout=60s",
    ])?;
    let logs = || -> String { running.iter().map(Process::log).collect() };
    ready.ok().with_context(logs)?;
    fs::write(folder.join("welcome"), welcome(folder, &plane, &engines)?)?;
    // Opening a pipe waits for the other side, and reading for what it has to say.
    fs::read(folder.join("control"))?;
    drop(running);
    Ok(())
}

fn engine(fleet: &Fleet, name: &str, generation: Generation) -> Result<Engine> {
    let host = fleet.host(name)?;
    let engine = Engine::start(&host, generation)?;
    engine.import_busybox()?;
    println!(
        "{} {} namespace={} DOCKER_HOST={}",
        host.name(),
        host.address(),
        host.namespace(),
        engine.docker_host()
    );
    Ok(engine)
}

/// Has an engine's host join, and starts its agent, in the host's network.
fn agent(
    dockfleet: &Dockfleet,
    engine: &Engine,
    plane: &ControlPlane,
    folder: &Path,
) -> Result<Process> {
    let host = engine.host();
    let folder = folder.join(host.name());
    fs::create_dir_all(&folder)?;
    let state = folder.join("state");
    dockfleet.join(plane, host, "dockfleet-hosts", &state)?;
    let mut command = dockfleet.command(["agent"]);
    command
        .env_remove("KUBECONFIG")
        .env("DOCKER_HOST", engine.docker_host())
        .env("DOCKFLEET_STATE_DIR", &state);
    Process::start(&host.command(&command), &folder.join("agent.log"))
}

/// Puts what a person needs into the folder, under names that stay, and says what it is.
fn welcome(folder: &Path, plane: &ControlPlane, engines: &[Engine]) -> Result<String> {
    let kubeconfig = folder.join("kubeconfig");
    let flat = plane
        .kubectl(["config", "view", "--raw", "--flatten"])?
        .ok()?;
    fs::write(&kubeconfig, flat)?;
    give(&kubeconfig)?;
    let bin = folder.join("bin");
    fs::create_dir_all(&bin)?;
    symlink(Dockfleet::find()?.binary(), bin.join("dockfleet"))?;
    if let Some(assets) = env::var_os("KUBEBUILDER_ASSETS") {
        symlink(PathBuf::from(assets).join("kubectl"), bin.join("kubectl"))?;
    }

    let mut text = String::from("A fleet of three hosts is up. For this shell:\n\n");
    writeln!(text, "  export KUBECONFIG={}", kubeconfig.display())?;
    writeln!(text, "  export PATH={}:$PATH", bin.display())?;
    text.push_str(
        "\n\
         Then, in the project's folder:\n\n  \
           kubectl get dockerhosts -A\n  \
           kubectl apply -f examples/fleet\n  \
           kubectl get dockernetworks,dockervolumes\n  \
           kubectl describe dockernetwork site-lan\n  \
           kubectl delete dockernetwork frontend\n\n\
         The hosts' engines (as root):\n\n",
    );
    for engine in engines {
        let socket = folder.join(engine.host().name()).join("docker.sock");
        symlink(engine.socket(), &socket)?;
        let version = engine.get("/version")?;
        let version = version.get("Version").and_then(|v| v.as_str());
        writeln!(
            text,
            "  docker -H unix://{} network ls     # {}, Engine {}",
            socket.display(),
            engine.host().name(),
            version.unwrap_or("?"),
        )?;
    }
    let h1 = folder.join("h1/docker.sock");
    writeln!(
        text,
        "\nThe volume backup of the examples is only looked at, and Missing until somebody makes it:\n\n  \
           docker -H unix://{} volume create --opt type=none --opt o=bind --opt device=/srv/backup backup",
        h1.display()
    )?;
    let log = folder.join("controller.log");
    writeln!(
        text,
        "\nLogs: {}, and agent.log of each host.",
        log.display()
    )?;
    text.push_str("To end all of it: make fleet-down\n");
    Ok(text)
}

/// Gives a file that root wrote to the person who called for it, and to nobody else.
fn give(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let owner = env::var("OWNER").unwrap_or_default();
    if let Some((user, group)) = owner.split_once(':') {
        chown(path, Some(user.parse()?), Some(group.parse()?))?;
    }
    Ok(())
}

/// The project's folder.
fn project() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
