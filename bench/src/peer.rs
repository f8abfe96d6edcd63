//! The compared programs, each run like by its users.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::lab::{LIMIT, PeerLab};
use crate::object_set::ObjectSet;
use crate::run::timed;

/// A program that creates the objects.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Name and version.
    pub(crate) name: String,
    /// Number of timed passes without changes. The median counts.
    pub(crate) passes: u32,
    tool: Tool,
    file: PathBuf,
    /// Folder of the program.
    folder: PathBuf,
}

#[derive(Debug)]
enum Tool {
    Dockfleet,
    Ansible,
    Compose,
}

impl Peer {
    pub(crate) fn dockfleet(lab: &PeerLab, wanted: ObjectSet) -> Result<Self> {
        Ok(Self {
            name: "dockfleet".to_owned(),
            passes: 5,
            tool: Tool::Dockfleet,
            file: lab.scratch.write(".yaml", &wanted.resources())?,
            folder: PathBuf::new(),
        })
    }

    pub(crate) fn ansible(lab: &PeerLab, wanted: ObjectSet) -> Result<Self> {
        let folder = install("ansible")?;
        Ok(Self {
            name: format!("Ansible community.docker {}", collection(&folder)?),
            // One pass takes as long as all the others together.
            passes: 1,
            tool: Tool::Ansible,
            file: lab.scratch.write(".yaml", &wanted.playbook())?,
            folder,
        })
    }

    pub(crate) fn compose(lab: &PeerLab, wanted: ObjectSet) -> Result<Self> {
        let folder = install("compose")?;
        let mut version = Command::new(folder.join("docker-compose"));
        let version = timed(version.args(["version", "--short"]), LIMIT)?.stdout;
        Ok(Self {
            name: format!("docker compose {}", version.trim()),
            passes: 5,
            tool: Tool::Compose,
            file: lab.scratch.write(".yaml", &wanted.compose_file())?,
            folder,
        })
    }

    /// Returns the command of one pass. `state` is the state folder for this engine.
    pub(crate) fn command(
        &self,
        lab: &PeerLab,
        docker_host: &str,
        state: &Path,
    ) -> Result<Command> {
        let mut command = match self.tool {
            Tool::Dockfleet => return Ok(lab.apply_command(docker_host, &self.file, state)),
            Tool::Ansible => self.playbook("localhost,", &self.file, state),
            Tool::Compose => {
                let mut command = Command::new(self.folder.join("docker-compose"));
                command
                    .args(["--project-name", "bench", "--file"])
                    .arg(&self.file)
                    .args(["up", "--no-start", "--scale", "anchor=0"])
                    .env("DOCKER_CONFIG", state);
                command
            }
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(
            [self.folder.clone()]
                .into_iter()
                .chain(env::split_paths(&path)),
        )?;
        command.env("PATH", path).env("DOCKER_HOST", docker_host);
        Ok(command)
    }
}

impl Peer {
    /// Returns the command that plays a playbook on the hosts of an inventory, without SSH.
    pub(crate) fn playbook(&self, inventory: &str, file: &Path, state: &Path) -> Command {
        let mut command = Command::new(self.folder.join("ansible-playbook"));
        command
            .args(["--inventory", inventory, "--connection", "local"])
            .arg(file)
            .env("ANSIBLE_HOME", state)
            // Fewer round trips for each task. Ansible is slower without it.
            .env("ANSIBLE_PIPELINING", "true")
            .env("ANSIBLE_PYTHON_INTERPRETER", self.folder.join("python"))
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

/// Installs a program if it is missing, which takes one or two minutes once, and returns its
/// folder.
fn install(peer: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/peers.sh");
    let output = Command::new(&script)
        .arg(peer)
        .stdin(Stdio::null())
        .stderr(io::stderr())
        .output()
        .with_context(|| format!("could not run {}", script.display()))?;
    ensure!(output.status.success(), "{peer} could not be installed");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Returns the version of the collection of an installed Ansible.
fn collection(folder: &Path) -> Result<String> {
    let library = folder.with_file_name("lib");
    let manifest = "site-packages/ansible_collections/community/docker/MANIFEST.json";
    let text = fs::read_dir(&library)?
        .flatten()
        .find_map(|python| fs::read_to_string(python.path().join(manifest)).ok())
        .context("Ansible was installed without community.docker")?;
    let manifest: Value = serde_json::from_str(&text)?;
    let version = manifest.pointer("/collection_info/version");
    let version = version.and_then(Value::as_str);
    Ok(version
        .context("the collection tells no version")?
        .to_owned())
}
