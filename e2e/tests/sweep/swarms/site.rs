//! Three hosts with their engines and agents.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context as _, Result, bail};
use dockfleet_crds::DEFAULT_FLEET_NAMESPACE;
use dockfleet_e2e::faults::{ORDER, Order, TracedEffect, start};
use dockfleet_e2e::{
    ApiClient, ControlPlane, Dockfleet, Engine, Fleet, Folder, Generation, Process, at_once,
};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The path of objects in the hosts' namespace.
pub(super) fn path(resource: &str, name: &str) -> String {
    format!("/apis/dockfleet.io/v1alpha1/namespaces/{DEFAULT_FLEET_NAMESPACE}/{resource}{name}")
}

/// A host with an agent that can be killed.
pub(super) struct SwarmHost {
    // The order of the fields is the order in which they go.
    agent: Process,
    pub(super) engine: Engine,
    pub(super) name: String,
    /// Holds the journal, and the order and the trace of the agent.
    folder: Folder,
    kubeconfig: PathBuf,
}

impl SwarmHost {
    fn start(
        name: String,
        generation: Generation,
        fleet: &Fleet,
        plane: &ControlPlane,
    ) -> Result<Self> {
        let (folder, kubeconfig) = (Folder::new()?, plane.kubeconfig());
        let engine = Engine::start(&fleet.host(&name)?, generation)?;
        let agent = agent(&name, &engine, &folder, &kubeconfig)?;
        Ok(Self {
            agent,
            engine,
            name,
            folder,
            kubeconfig,
        })
    }

    /// Has the agent be killed as the order says, from its next effect on.
    pub(super) fn order(&self, order: &Order) -> Result<()> {
        order.give(self.folder.path())
    }

    /// Takes the order back.
    pub(super) fn pardon(&self) -> Result<()> {
        match fs::remove_file(self.folder.file(ORDER)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Gives how the agent ended, if it has.
    pub(super) fn agent_end(&self) -> Option<ExitStatus> {
        self.agent.exit_status()
    }

    /// Starts an agent in place of one that was killed.
    pub(super) fn start_agent(&mut self) -> Result<()> {
        if let Some(status) = self.agent.exit_status()
            && status.signal() != Some(Signal::KILL.as_raw())
        {
            bail!("the agent ended ({status}):\n{}", self.agent.log());
        }
        self.agent = agent(&self.name, &self.engine, &self.folder, &self.kubeconfig)?;
        Ok(())
    }

    pub(super) fn agent_log(&self) -> String {
        format!("== agent {}\n{}", self.name, self.agent.log())
    }

    /// Gives the effects of its agents so far.
    pub(super) fn effects(&self) -> Result<Vec<String>> {
        let effects = TracedEffect::all(self.folder.path())?;
        Ok(effects.into_iter().map(|effect| effect.what).collect())
    }

    /// Gives the stages of what the journal has.
    pub(super) fn stages(&self, dockfleet: &Dockfleet) -> Result<Vec<String>> {
        let folder = self.folder.file("state").display().to_string();
        let printed = dockfleet
            .run(["journal", &folder, "--output", "json"])?
            .ok()?;
        let printed: Value = serde_json::from_str(&printed)?;
        let records = printed["results"].as_array().context("no results")?;
        let stages = records.iter().filter_map(|r| r["stage"].as_str());
        Ok(stages.map(str::to_owned).collect())
    }

    /// Gives what the engine says about its swarm.
    pub(super) fn info(&self) -> Result<Value> {
        Ok(self.engine.get("/info")?["Swarm"].take())
    }
}

fn agent(name: &str, engine: &Engine, folder: &Folder, kubeconfig: &Path) -> Result<Process> {
    let docker_host = engine.docker_host();
    let variables = [
        ("KUBECONFIG", kubeconfig.as_os_str()),
        ("DOCKER_HOST", OsStr::new(&docker_host)),
    ];
    let program = env!("CARGO_BIN_EXE_dockfleet-that-stops");
    let args = ["agent", name, DEFAULT_FLEET_NAMESPACE];
    start(program, folder.path(), &args, &variables)
}

/// What the runs on the same hosts share.
pub(super) struct Site<'a> {
    pub(super) hosts: Vec<SwarmHost>,
    pub(super) name: String,
    pub(super) api: ApiClient,
    pub(super) dockfleet: &'a Dockfleet,
}

impl<'a> Site<'a> {
    pub(super) fn start(
        name: &str,
        generations: &[Generation],
        fleet: &Fleet,
        dockfleet: &'a Dockfleet,
        plane: &ControlPlane,
    ) -> Result<Self> {
        let api = plane.client()?;
        let numbered: Vec<_> = generations.iter().zip(1..).collect();
        for (_, number) in &numbered {
            let host = json!({
                "apiVersion": "dockfleet.io/v1alpha1", "kind": "DockerHost",
                "metadata": {"name": format!("{name}-{number}"), "labels": {"site": name}},
                "spec": {},
            });
            api.create::<Value>(&path("dockerhosts", ""), &host)?;
        }
        let hosts = at_once(numbered, |(generation, number)| {
            SwarmHost::start(format!("{name}-{number}"), *generation, fleet, plane)
        })?;
        Ok(Self {
            hosts,
            name: name.to_owned(),
            api,
            dockfleet,
        })
    }

    /// Gives the IDs of the swarms that the engines know.
    pub(super) fn clusters(&self) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for host in &self.hosts {
            let info = host.info()?;
            let id = info["Cluster"]["ID"].as_str().filter(|id| !id.is_empty());
            found.extend(id.map(str::to_owned));
        }
        Ok(found)
    }
}
