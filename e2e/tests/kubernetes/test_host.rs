//! One host of the fleet under test: an engine with an agent beside it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use dockfleet_e2e::{ControlPlane, Dockfleet, Engine, Generation, Host, Process, eventually};
use serde_json::Value;

use crate::test_cluster::SOON;

/// A host with its engine and agent. The agent runs in the host's network, so that a cut takes the
/// API server from it and not the engine.
pub(crate) struct TestHost {
    // The order of the fields is the order in which they go.
    agent: RefCell<Option<Process>>,
    pub(crate) engine: Engine,
    pub(crate) host: Host,
    namespace: String,
    dockfleet: RefCell<Dockfleet>,
    /// The kubeconfig of an agent that has not joined.
    kubeconfig: RefCell<Option<PathBuf>>,
    env: RefCell<BTreeMap<String, String>>,
}

impl TestHost {
    /// Starts the engine; the agent is a matter of its own.
    pub(crate) fn new(
        namespace: &str,
        host: Host,
        generation: Generation,
        dockfleet: &Dockfleet,
    ) -> Result<Self> {
        Ok(Self {
            namespace: namespace.to_owned(),
            agent: RefCell::default(),
            engine: Engine::start(&host, generation)?,
            host,
            dockfleet: RefCell::new(dockfleet.clone()),
            kubeconfig: RefCell::default(),
            env: RefCell::default(),
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.host.name()
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn use_kubeconfig(&self, path: &Path) {
        *self.kubeconfig.borrow_mut() = Some(path.to_owned());
    }

    /// Has the host join the fleet, and its agent use its own credential from then on.
    pub(crate) fn join(&self, plane: &ControlPlane) -> Result<()> {
        self.dockfleet
            .borrow()
            .join(plane, &self.host, &self.namespace, &self.state_dir())?;
        *self.kubeconfig.borrow_mut() = None;
        Ok(())
    }

    /// Sets a variable for agents that are started from now on.
    pub(crate) fn set_env(&self, name: &str, value: &str) {
        let mut env = self.env.borrow_mut();
        env.insert(name.to_owned(), value.to_owned());
    }

    /// Has agents that are started from now on be of this program.
    pub(crate) fn use_program(&self, dockfleet: &Dockfleet) {
        *self.dockfleet.borrow_mut() = dockfleet.clone();
    }

    /// Starts the agent, with the journal that the one before it left.
    pub(crate) fn start_agent(&self) -> Result<()> {
        self.start_agent_with(&[])
    }

    /// Starts the agent with more flags.
    pub(crate) fn start_agent_with(&self, flags: &[&str]) -> Result<()> {
        let dockfleet = self.dockfleet.borrow();
        let mut command = dockfleet.command(["agent", "--state-dir"]);
        command
            .arg(self.state_dir())
            .arg("--metrics-address=0.0.0.0:0")
            .args(flags)
            .env("DOCKER_HOST", self.engine.docker_host())
            .envs(&*self.env.borrow());
        match &*self.kubeconfig.borrow() {
            Some(path) => command
                .args(["--host", self.name(), "--namespace", &self.namespace])
                .env("KUBECONFIG", path),
            None => command.env_remove("KUBECONFIG"),
        };
        let agent = dockfleet.spawn_command(&command, Some(&self.host))?;
        *self.agent.borrow_mut() = Some(agent);
        Ok(())
    }

    /// Kills the agent (SIGKILL), whatever it is doing.
    pub(crate) fn kill_agent(&self) -> Result<()> {
        let agent = self.agent.borrow_mut().take();
        agent.context("the agent does not run")?.kill()
    }

    /// Gives the end of the agent's log.
    pub(crate) fn agent_log(&self) -> String {
        let agent = self.agent.borrow();
        agent
            .as_ref()
            .map_or_else(|| "it does not run".to_owned(), Process::log)
    }

    /// Gives the folder of the agent's journal.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.engine.data_root().with_file_name("agent")
    }

    /// Gives all of the agent's log.
    pub(crate) fn agent_log_path(&self) -> Result<PathBuf> {
        let agent = self.agent.borrow();
        let agent = agent.as_ref().context("the agent does not run")?;
        Ok(agent.log_path().to_owned())
    }

    /// Gives the networks of this name, of which an old engine can have several.
    pub(crate) fn networks_named(&self, name: &str) -> Result<Vec<Value>> {
        let all = self.engine.get("/networks")?;
        let all = all.as_array().context("the engine gave no list")?;
        let named = all.iter().filter(|n| n["Name"] == name);
        Ok(named.cloned().collect())
    }

    /// Gives the network of this name; two of them are an error.
    pub(crate) fn network(&self, name: &str) -> Result<Option<Value>> {
        let mut found = self.networks_named(name)?;
        ensure!(found.len() < 2, "{} networks {name}", found.len());
        Ok(found.pop())
    }

    /// Gives the identity of a network that is there.
    pub(crate) fn network_id(&self, name: &str) -> Result<String> {
        let network = self.network(name)?;
        let network = network.with_context(|| format!("no network {name} on {}", self.name()))?;
        Ok(network["Id"].as_str().unwrap_or_default().to_owned())
    }

    /// Gives the volume of this name.
    pub(crate) fn volume(&self, name: &str) -> Result<Option<Value>> {
        let answer = self
            .engine
            .request("GET", &format!("/volumes/{name}"), None)?;
        if answer.status == 404 {
            return Ok(None);
        }
        answer.ok().map(Some)
    }

    /// Writes something into a volume, so that losing it would be seen.
    pub(crate) fn write_into_volume(&self, name: &str, text: &str) -> Result<()> {
        let file = self.file_of(name)?;
        std::fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))
    }

    /// Reads back what [`write_into_volume`](Self::write_into_volume) wrote.
    pub(crate) fn read_from_volume(&self, name: &str) -> Result<String> {
        let file = self.file_of(name)?;
        std::fs::read_to_string(&file).with_context(|| format!("could not read {}", file.display()))
    }

    /// Gives the file that [`write_into_volume`](Self::write_into_volume) writes.
    pub(crate) fn file_of(&self, name: &str) -> Result<PathBuf> {
        let volume = self.volume(name)?;
        let volume = volume.with_context(|| format!("no volume {name} on {}", self.name()))?;
        let Some(place) = volume["Mountpoint"].as_str() else {
            bail!("volume {name} is nowhere: {volume}");
        };
        Ok(Path::new(place).join("content"))
    }

    /// Gives the identity of everything on the engine: networks by their ids, volumes by their
    /// labels and, where it was written, their content.
    pub(crate) fn objects(&self) -> Result<BTreeMap<String, String>> {
        let mut objects = BTreeMap::new();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for network in self
            .engine
            .get("/networks")?
            .as_array()
            .into_iter()
            .flatten()
        {
            let key = format!("{} network {}", self.name(), text(&network["Name"]));
            let before = objects.insert(key, text(&network["Id"]));
            ensure!(before.is_none(), "two networks of one name: {network}");
        }
        for volume in self.engine.get("/volumes")?["Volumes"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let name = text(&volume["Name"]);
            let content = self.read_from_volume(&name).unwrap_or_default();
            let key = format!("{} volume {name}", self.name());
            objects.insert(key, format!("{} {content}", volume["Labels"]));
        }
        Ok(objects)
    }

    /// Waits until the network is there.
    pub(crate) fn await_network(&self, name: &str) -> Result<Value> {
        eventually(&format!("network {name} on {}", self.name()), SOON, || {
            self.network(name)
                .map_err(|e| e.to_string())?
                .ok_or_else(|| "it is not there".to_owned())
        })
        .with_context(|| self.agent_log())
    }

    /// Waits until the network is gone.
    pub(crate) fn await_no_network(&self, name: &str) -> Result<()> {
        let what = format!("the end of network {name} on {}", self.name());
        eventually(&what, SOON, || match self.network(name) {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .with_context(|| self.agent_log())
    }

    /// Waits until the volume is gone.
    pub(crate) fn await_no_volume(&self, name: &str) -> Result<()> {
        let what = format!("the end of volume {name} on {}", self.name());
        eventually(&what, SOON, || match self.volume(name) {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .with_context(|| self.agent_log())
    }
}
