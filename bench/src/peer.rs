//! The programs that are compared, each as its users run it.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::lab::{LIMIT, Lab};
use crate::run::timed;
use crate::wanted::Wanted;

/// A program that makes what is wanted.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its name and version.
    pub(crate) name: String,
    /// Passes without change that are timed, the middle one of which counts.
    pub(crate) passes: u32,
    kind: Kind,
    file: PathBuf,
    /// Where its program is.
    folder: PathBuf,
}

#[derive(Debug)]
enum Kind {
    Dockfleet,
    Ansible,
    Compose,
}

impl Peer {
    pub(crate) fn dockfleet(lab: &Lab, wanted: Wanted) -> Result<Self> {
        Ok(Self {
            name: "dockfleet".to_owned(),
            passes: 5,
            kind: Kind::Dockfleet,
            file: lab.scratch.write(".yaml", &wanted.resources())?,
            folder: PathBuf::new(),
        })
    }

    pub(crate) fn ansible(lab: &Lab, wanted: Wanted) -> Result<Self> {
        let folder = install("ansible")?;
        Ok(Self {
            name: format!("Ansible community.docker {}", collection(&folder)?),
            // One takes as long as all the others together.
            passes: 1,
            kind: Kind::Ansible,
            file: lab.scratch.write(".yaml", &wanted.playbook())?,
            folder,
        })
    }

    pub(crate) fn compose(lab: &Lab, wanted: Wanted) -> Result<Self> {
        let folder = install("compose")?;
        let mut version = Command::new(folder.join("docker-compose"));
        let version = timed(version.args(["version", "--short"]), LIMIT)?.stdout;
        Ok(Self {
            name: format!("docker compose {}", version.trim()),
            passes: 5,
            kind: Kind::Compose,
            file: lab.scratch.write(".yaml", &wanted.compose_file())?,
            folder,
        })
    }

    /// Makes the command of one pass; `state` is a folder of this engine's own for notes.
    pub(crate) fn command(&self, lab: &Lab, docker_host: &str, state: &Path) -> Result<Command> {
        let mut command = match self.kind {
            Kind::Dockfleet => return Ok(lab.apply_command(docker_host, &self.file, state)),
            Kind::Ansible => {
                let mut command = Command::new(self.folder.join("ansible-playbook"));
                command
                    .args(["--inventory", "localhost,", "--connection", "local"])
                    .arg(&self.file)
                    .env("ANSIBLE_HOME", state)
                    // Fewer steps for each task; without it Ansible takes longer.
                    .env("ANSIBLE_PIPELINING", "true")
                    .env("ANSIBLE_PYTHON_INTERPRETER", self.folder.join("python"))
                    .env("LC_ALL", "C.UTF-8");
                command
            }
            Kind::Compose => {
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

/// Installs a peer where it is missing, which takes a minute or two once, and gives its folder.
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

/// Gives the version of the collection that an installed Ansible has.
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
