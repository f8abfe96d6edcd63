//! Programs of the machine: found on the `PATH` or reported as missing, and run to their end within
//! a time limit.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// What `timeout` from coreutils exits with when it had to end the program.
const TIMED_OUT: i32 = 124;

/// What a program that ran to its end has left.
#[derive(Debug, Clone)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output, with broken UTF-8 replaced.
    pub stdout: String,
    /// Its standard error, with broken UTF-8 replaced.
    pub stderr: String,
    line: String,
}

impl Output {
    /// Says whether the program exited with 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Gives the exit code; `None` when a signal ended the program.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Gives the standard output of a program that exited with 0, and an error with everything it
    /// said otherwise.
    pub fn ok(self) -> Result<String> {
        if self.success() {
            return Ok(self.stdout);
        }
        let mut text = format!("`{}` failed ({})", self.line, self.status);
        for part in [&self.stdout, &self.stderr] {
            if !part.trim().is_empty() {
                write!(text, "\n{}", part.trim())?;
            }
        }
        bail!(text)
    }
}

/// Finds `name` on the `PATH`.
pub(crate) fn require(name: &str) -> Result<PathBuf> {
    env::var_os("PATH")
        .and_then(|path| {
            env::split_paths(&path)
                .map(|folder| folder.join(name))
                .find(|file| file.is_file())
        })
        .with_context(|| format!("`{name}` is not installed: run `make deps`"))
}

/// Makes the command `program args`.
pub(crate) fn command(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// Puts `prefix` (a program and its arguments) in front of `command` and keeps environment and
/// working folder.
pub(crate) fn behind(prefix: &[&str], command: &Command) -> Command {
    let (program, args) = prefix.split_first().unwrap_or((&"env", &[]));
    let mut whole = Command::new(program);
    whole
        .args(args)
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(key, value),
            None => whole.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        whole.current_dir(folder);
    }
    whole
}

/// Runs `command` without input to its end and ends it after `limit` (whole seconds count).
pub(crate) fn run(command: &Command, limit: Duration) -> Result<Output> {
    run_with(command, Stdio::null(), limit)
}

/// Does the same with something to read.
pub(crate) fn run_with(command: &Command, input: Stdio, limit: Duration) -> Result<Output> {
    let line = line_of(command);
    let seconds = limit.as_secs().max(1).to_string();
    let output = behind(&["timeout", "--kill-after=5", &seconds], command)
        .stdin(input)
        .output()
        .with_context(|| format!("could not run `{line}`"))?;
    ensure!(
        output.status.code() != Some(TIMED_OUT),
        "`{line}` took longer than {seconds} s"
    );
    Ok(Output {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        line,
    })
}

/// Runs a program of the base system (`ip`, `iptables`, `cp`) that takes a moment only, and gives
/// its output.
pub(crate) fn tool(
    name: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String> {
    run(&command(require(name)?, args), Duration::from_secs(30))?.ok()
}

/// A set of programs that `tools/build.sh` builds from Go modules.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BuiltSet {
    /// `dockerd`, `containerd` and what they call.
    Engine,
    /// `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl`.
    Kubernetes,
    /// `kstatus` and `argo-health`.
    Kstatus,
    /// `helm`.
    Helm,
    /// `promtool`.
    Promtool,
    /// `versitygw`.
    Versitygw,
    /// `rest-server`.
    Restserver,
}

/// Gives the folder that holds `set`, from its environment variable or built on first need
/// (minutes, once per machine).
pub(crate) fn built(set: BuiltSet) -> Result<&'static Path> {
    static ENGINE: OnceLock<PathBuf> = OnceLock::new();
    static KUBERNETES: OnceLock<PathBuf> = OnceLock::new();
    static KSTATUS: OnceLock<PathBuf> = OnceLock::new();
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    static PROMTOOL: OnceLock<PathBuf> = OnceLock::new();
    static VERSITYGW: OnceLock<PathBuf> = OnceLock::new();
    static RESTSERVER: OnceLock<PathBuf> = OnceLock::new();
    let (cell, variable, name) = match set {
        BuiltSet::Engine => (&ENGINE, "DOCKFLEET_ENGINE_DIR", "engine"),
        BuiltSet::Kubernetes => (&KUBERNETES, "KUBEBUILDER_ASSETS", "kubernetes"),
        BuiltSet::Kstatus => (&KSTATUS, "DOCKFLEET_KSTATUS_DIR", "kstatus"),
        BuiltSet::Helm => (&HELM, "DOCKFLEET_HELM_DIR", "helm"),
        BuiltSet::Promtool => (&PROMTOOL, "DOCKFLEET_PROMTOOL_DIR", "promtool"),
        BuiltSet::Versitygw => (&VERSITYGW, "DOCKFLEET_VERSITYGW_DIR", "versitygw"),
        BuiltSet::Restserver => (&RESTSERVER, "DOCKFLEET_RESTSERVER_DIR", "restserver"),
    };
    if let Some(folder) = cell.get() {
        return Ok(folder);
    }
    let folder = match env::var_os(variable) {
        Some(folder) => PathBuf::from(folder),
        None => build(name)?,
    };
    ensure!(
        folder.is_dir(),
        "{} is no folder (from {variable} or tools/build.sh {name})",
        folder.display()
    );
    Ok(cell.get_or_init(|| folder))
}

fn build(set: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/build.sh");
    let printed = run(
        &command(script, [set]),
        // A cold build takes 10 minutes on 2 cores, and another process may be at it already.
        Duration::from_hours(1),
    )?
    .ok()?;
    Ok(PathBuf::from(printed.trim()))
}

fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}
