//! A Docker Engine on a host of the fleet.

mod api;
mod machine;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};

pub use self::api::Answer;
use self::machine::{Machine, START, child_of};
use crate::host::Host;
use crate::owned::{Folder, complain};
use crate::process::{Process, send};
use crate::program::{self, BuiltSet, Output};
use crate::wait::eventually;

/// How long an engine may take to end its containers and itself.
const STOP: Duration = Duration::from_mins(1);
/// The longest path that a Unix socket can be bound to, in bytes.
const LONGEST_SOCKET_PATH: usize = 107;

/// The Docker Engines that the tests run on: the oldest and the newest that Dockfleet supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Generation {
    /// Engine 20.10 (API 1.41), the Debian package.
    Debian20,
    /// Engine 29 (API 1.56), built by `tools/build.sh engine`, or what `DOCKFLEET_ENGINE_DIR`
    /// holds.
    Newest,
}

impl Generation {
    /// Both of them, oldest first.
    pub const ALL: [Self; 2] = [Self::Debian20, Self::Newest];

    /// Lets `command` find this generation's programs before all others.
    fn set_path(self, command: &mut Command) -> Result<()> {
        if self == Self::Newest {
            let folder = program::built(BuiltSet::Engine)?.to_owned();
            let rest = env::var_os("PATH").unwrap_or_default();
            let path = env::join_paths([folder].into_iter().chain(env::split_paths(&rest)))?;
            command.env("PATH", path);
        }
        Ok(())
    }
}

/// A Docker Engine with its own containerd, in namespaces of its own; nothing of it is left after
/// drop.
#[derive(Debug)]
pub struct Engine {
    // The order of the fields is the order in which they go.
    parts: Mutex<Parts>,
    generation: Generation,
    arguments: Vec<String>,
    host: Host,
    folder: Folder,
}

/// What runs of an engine right now.
#[derive(Debug, Default)]
struct Parts {
    daemon: Option<Daemon>,
    machine: Option<Machine>,
}

/// A running `dockerd`; dropping it kills it.
#[derive(Debug)]
struct Daemon {
    /// `nsenter`, which waits for its child.
    process: Process,
    pid: u32,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.process.is_running() {
            complain(send(self.pid, Signal::KILL));
            // `nsenter` stops together with its child, and would never see that it has ended.
            complain(self.process.resume());
            complain(self.process.wait(STOP).map(drop));
        }
    }
}

impl Engine {
    /// Starts an engine without networks of its own (`--bridge none`) on `host` and waits until it
    /// answers.
    pub fn start(host: &Host, generation: Generation) -> Result<Self> {
        Self::start_with(host, generation, &[])
    }

    /// Starts an engine with more arguments for `dockerd`, such as a second `--host`.
    pub fn start_with(host: &Host, generation: Generation, arguments: &[&str]) -> Result<Self> {
        let folder = Folder::new()?;
        let configuration = match generation {
            // 20.10 takes its identity from a file in /etc/docker, which all engines of this
            // machine would share.
            Generation::Debian20 => json!({"deprecated-key-path": folder.file("key.json")}),
            Generation::Newest => json!({}),
        };
        fs::write(folder.file("daemon.json"), configuration.to_string())?;
        let engine = Self {
            parts: Mutex::default(),
            generation,
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
            host: host.clone(),
            folder,
        };
        let length = engine.socket().as_os_str().len();
        ensure!(
            length <= LONGEST_SOCKET_PATH,
            "the temporary folder's path is too long for a socket: set TMPDIR to a shorter one"
        );
        engine.start_again()?;
        Ok(engine)
    }

    /// Sets a value in the engine's configuration, for its next start.
    pub fn configure(&self, key: &str, value: &Value) -> Result<()> {
        let path = self.folder.file("daemon.json");
        let mut configuration: Value = serde_json::from_slice(&fs::read(&path)?)?;
        let values = configuration.as_object_mut().context("no configuration")?;
        values.insert(key.to_owned(), value.clone());
        fs::write(path, configuration.to_string())?;
        Ok(())
    }

    /// Starts the engine again after [`stop`](Self::stop), [`kill`](Self::kill) or
    /// [`lose_power`](Self::lose_power), with the same data and socket, and waits until it answers.
    pub fn start_again(&self) -> Result<()> {
        let mut parts = self.parts();
        ensure!(
            parts
                .daemon
                .as_ref()
                .is_none_or(|d| !d.process.is_running()),
            "the engine runs already"
        );
        parts.daemon = None;
        let machine = match &mut parts.machine {
            Some(machine) => machine,
            none => none.insert(Machine::boot(&self.host, self.generation, &self.folder)?),
        };
        let command = machine.command(&self.daemon_command()?);
        let process = Process::start(&command, &self.folder.file("dockerd.log"))?;
        let nsenter = process.pid();
        let pid = eventually("the process of dockerd", START, || {
            child_of(nsenter).ok_or_else(|| "nsenter has no child".into())
        })
        .with_context(|| process.log())?;
        let daemon = parts.daemon.insert(Daemon { process, pid });
        let ended = eventually("dockerd", START, || {
            if let Some(status) = daemon.process.exit_status() {
                return Ok(Some(status));
            }
            self.ping().map(|()| None)
        })
        .with_context(|| daemon.process.log())?;
        if let Some(status) = ended {
            bail!("dockerd ended ({status}):\n{}", daemon.process.log());
        }
        Ok(())
    }

    /// Ends the engine as an administrator does (SIGTERM): containers are stopped, data is kept.
    pub fn stop(&self) -> Result<()> {
        let mut parts = self.parts();
        let daemon = parts.daemon.take().context("the engine does not run")?;
        send(daemon.pid, Signal::TERM)?;
        daemon.process.wait(STOP)?;
        Ok(())
    }

    /// Kills the engine alone (SIGKILL): containers go on without it until it is started again.
    pub fn kill(&self) -> Result<()> {
        let daemon = self.parts().daemon.take();
        daemon.map(drop).context("the engine does not run")
    }

    /// Ends the engine, containerd and every container at once, as a host that loses its power;
    /// data is kept.
    pub fn lose_power(&self) -> Result<()> {
        let mut parts = self.parts();
        parts.daemon = None;
        let machine = parts.machine.take();
        machine.map(drop).context("the machine does not run")
    }

    /// Makes the engine hang (SIGSTOP): connections are accepted, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        send(self.daemon_pid()?, Signal::STOP)
    }

    /// Lets a hanging engine go on.
    pub fn resume(&self) -> Result<()> {
        let parts = self.parts();
        let daemon = parts.daemon.as_ref().context("the engine does not run")?;
        // `nsenter` stops together with its child.
        daemon.process.resume()?;
        send(daemon.pid, Signal::CONT)
    }

    /// Says whether `dockerd` runs (a paused one does).
    pub fn is_running(&self) -> bool {
        let parts = self.parts();
        parts
            .daemon
            .as_ref()
            .is_some_and(|d| d.process.is_running())
    }

    /// Gives the process id of `dockerd`.
    pub fn daemon_pid(&self) -> Result<u32> {
        let parts = self.parts();
        let daemon = parts.daemon.as_ref().context("the engine does not run")?;
        Ok(daemon.pid)
    }

    /// Gives the host it runs on.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Gives its generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Gives the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.file("docker.sock")
    }

    /// Gives its address as `DOCKER_HOST` takes it.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Gives the folder of its data; what is mounted below it is seen by
    /// [`run_inside`](Self::run_inside) only.
    pub fn data_root(&self) -> PathBuf {
        self.folder.file("data")
    }

    /// Gives the end of the logs of `dockerd` and containerd.
    pub fn log(&self) -> String {
        let daemon = crate::process::tail(&self.folder.file("dockerd.log"));
        format!(
            "dockerd:\n{daemon}\ncontainerd:\n{}",
            machine::log(&self.folder)
        )
    }

    /// Runs a program in the engine's own namespaces (mounts, processes, network) to its end, for
    /// at most a minute.
    pub fn run_inside(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let parts = self.parts();
        let machine = parts.machine.as_ref().context("the machine does not run")?;
        let command = program::command(program::require(program)?, arguments);
        program::run(&machine.command(&command), Duration::from_mins(1))
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn daemon_command(&self) -> Result<Command> {
        let file = |name: &str| self.folder.file(name).display().to_string();
        let program = match self.generation {
            Generation::Debian20 => program::require("dockerd")?,
            Generation::Newest => program::built(BuiltSet::Engine)?.join("dockerd"),
        };
        let mut command = program::command(
            program,
            [
                "--config-file",
                &file("daemon.json"),
                "--host",
                &self.docker_host(),
                "--containerd",
                &file("containerd.sock"),
                "--data-root",
                &file("data"),
                "--exec-root",
                "/run/docker",
                "--pidfile",
                "/run/docker.pid",
                "--bridge",
                "none",
                // Groups of this name are removed with the folder of this name.
                "--cgroup-parent",
                &format!("/{}", self.folder.name()),
            ],
        );
        command.args(&self.arguments);
        self.generation.set_path(&mut command)?;
        Ok(command)
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
