//! The program under test, as cargo has built it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::host::Host;
use crate::kubernetes::ControlPlane;
use crate::process::Process;
use crate::program::{self, Output};

/// How long a command that ends by itself may take.
const LIMIT: Duration = Duration::from_mins(3);

/// The `dockfleet` program.
#[derive(Debug, Clone)]
pub struct Dockfleet {
    binary: PathBuf,
    /// Environment variables of every command.
    environment: Vec<(String, String)>,
}

impl Dockfleet {
    /// Finds the program: what `DOCKFLEET_BIN` names, or the one beside this test in cargo's target
    /// folder.
    pub fn find() -> Result<Self> {
        let binary = match env::var_os("DOCKFLEET_BIN") {
            Some(path) => PathBuf::from(path),
            None => beside_this_test()?,
        };
        Self::at(binary)
    }

    /// Finds the program of an earlier commit, which `DOCKFLEET_PREVIOUS_BIN` names; nothing where that
    /// is empty, because the checkout has no history.
    pub fn previous() -> Result<Option<Self>> {
        let path = env::var_os("DOCKFLEET_PREVIOUS_BIN").context(
            "DOCKFLEET_PREVIOUS_BIN is not set: run `scripts/e2e.sh`, or set it to what \
             `e2e/tools/previous.sh` prints",
        )?;
        let found = (!path.is_empty()).then(|| Self::at(PathBuf::from(path)));
        found.transpose()
    }

    fn at(binary: PathBuf) -> Result<Self> {
        ensure!(
            binary.is_file(),
            "{} is not there: run `cargo build -p dockfleet` (with the same profile), or set DOCKFLEET_BIN",
            binary.display()
        );
        Ok(Self {
            binary,
            environment: Vec::new(),
        })
    }

    /// Gives the same program with one more environment variable for every command.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the path of the program.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Makes a command of it, to which a test adds environment variables.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = program::command(&self.binary, args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it on this machine to its end, for at most three minutes.
    pub fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
        self.run_command(&self.command(args), None)
    }

    /// Runs a prepared command to its end, for at most three minutes, in the network of `host` if
    /// one is given.
    pub fn run_command(&self, command: &Command, host: Option<&Host>) -> Result<Output> {
        program::run(&placed(command, host), LIMIT)
    }

    /// Has `host` join the fleet as a person does: what the administrator of `plane` gets from
    /// `dockfleet enroll` is used on the host, whose agent then finds everything in `state`.
    pub fn join(
        &self,
        plane: &ControlPlane,
        host: &Host,
        namespace: &str,
        state: &Path,
    ) -> Result<()> {
        let file = state.with_extension("join");
        let mut enroll = self.command(["enroll", host.name(), "--namespace", namespace, "-o"]);
        enroll.arg(&file).env("KUBECONFIG", plane.kubeconfig());
        self.run_command(&enroll, None)?.ok()?;
        let mut join = self.command(["agent", "join", "--print", "systemd", "--file"]);
        join.arg(&file).arg("--state-dir").arg(state);
        self.run_command(&join, Some(host))?.ok()?;
        fs::remove_file(&file)?;
        Ok(())
    }

    /// Starts it and leaves it running, in the network of `host` if one is given; its log goes with
    /// the handle.
    pub fn spawn(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        host: Option<&Host>,
    ) -> Result<Process> {
        self.spawn_command(&self.command(args), host)
    }

    /// Starts a prepared command and leaves it running, in the network of `host` if one is given.
    pub fn spawn_command(&self, command: &Command, host: Option<&Host>) -> Result<Process> {
        Process::start_alone(&placed(command, host))
    }
}

fn placed(command: &Command, host: Option<&Host>) -> Command {
    match host {
        Some(host) => host.command(command),
        None => program::behind(&["env"], command),
    }
}

/// Test programs are in `target/PROFILE/deps`, the program itself in `target/PROFILE`.
fn beside_this_test() -> Result<PathBuf> {
    let test = env::current_exe().context("could not tell where this test is")?;
    let folder = test.parent().context("this test is in no folder")?;
    let profile = if folder.ends_with("deps") || folder.ends_with("examples") {
        folder
            .parent()
            .context("this test is in no target folder")?
    } else {
        folder
    };
    Ok(profile.join("dockfleet"))
}
