//! The API server, and the controller's part in it: what the planner says is written, as the
//! controller writes it, and at the moments that the test chooses.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dockfleet_crds::assignment::HostAssignmentSpec;
use dockfleet_crds::{
    DEFAULT_FLEET_NAMESPACE, DockerHost, Entry, EntryState, EntryStatus, HostAssignment,
};
use dockfleet_e2e::{ControlPlane, Dockfleet};
use dockfleet_planner::assignment::{CredentialVersions, Input, RenderContext, assign};
use dockfleet_planner::select::NamespaceLabels;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::scenario::Wish;

/// How the agent stands with its assignment.
#[derive(Debug)]
pub(crate) enum Stand {
    /// It has just been told something new.
    Told,
    /// It is at it: what is missing.
    Working(String),
    /// There is nothing left to do or to say, for either side.
    Done(Vec<EntryStatus>),
}

impl Stand {
    /// Gives what the agent says in the end, or why it is not the end.
    pub(crate) fn done(self) -> Result<Vec<EntryStatus>, String> {
        match self {
            Self::Told => Err("it has just been told".to_owned()),
            Self::Working(missing) => Err(missing),
            Self::Done(statuses) => Ok(statuses),
        }
    }
}

/// A client of the API server.
pub(crate) struct Hub {
    runtime: Runtime,
    client: Client,
}

/// Installs the CRDs and makes the hosts' namespace.
pub(crate) fn prepare(plane: &ControlPlane, dockfleet: &Dockfleet) -> Result<()> {
    let file = plane.kubeconfig().with_file_name("crds.yaml");
    std::fs::write(&file, dockfleet.run(["crds"])?.ok()?)?;
    let file = file.display().to_string();
    for line in [
        &["apply", "--server-side", "-f", &file][..],
        &["wait", "--for=condition=Established", "-f", &file],
        &["create", "namespace", DEFAULT_FLEET_NAMESPACE],
    ] {
        plane.kubectl(line)?.ok()?;
    }
    Ok(())
}

impl Hub {
    pub(crate) fn connect(kubeconfig: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    /// Makes a host that takes resources from everywhere.
    pub(crate) fn add_host(&self, name: &str) -> Result<DockerHost> {
        let host = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"allowedNamespaces": {"from": "All"}},
        }))?;
        let (hosts, params) = (self.hosts(), PostParams::default());
        Ok(self.runtime.block_on(hosts.create(&params, &host))?)
    }

    /// Gives the host as it is now.
    pub(crate) fn host(&self, name: &str) -> Result<DockerHost> {
        Ok(self.runtime.block_on(self.hosts().get(name))?)
    }

    /// Does what a controller would do now about the host's assignment, and says how it stands.
    pub(crate) fn control(&self, host: &DockerHost, wishes: &[Wish]) -> Result<Stand> {
        let name = host.metadata.name.as_deref().context("a nameless host")?;
        let seen = self.runtime.block_on(self.assignments().get_opt(name))?;
        let previous = seen.as_ref().map_or(&[][..], |a| &a.spec.entries);
        let status = seen.as_ref().and_then(|a| a.status.as_ref());
        let statuses = status.map_or(&[][..], |s| &s.entries);
        let resources: Vec<_> = wishes.iter().map(|w| (w.resource(), w.lifecycle)).collect();
        let assigned = assign(&Input {
            context: RenderContext {
                agent: None,
                host,
                called: host.metadata.name.as_deref().unwrap_or_default(),
                credentials: &CredentialVersions::new(),
            },
            resources: &resources,
            namespaces: &NamespaceLabels::new(),
            closed: None,
            previous,
            statuses,
            most: dockfleet_crds::MAX_ENTRIES,
        });
        ensure!(assigned.refused.is_empty(), "{:?}", assigned.refused);
        if seen.is_none() || assigned.entries != previous {
            self.write(name, assigned.entries)?;
            return Ok(Stand::Told);
        }
        let generation = seen.as_ref().and_then(|a| a.metadata.generation);
        let observed = status.and_then(|s| s.observed_generation);
        let pending = statuses.iter().any(|s| s.state == EntryState::Pending);
        if observed != generation || pending || statuses.len() != previous.len() {
            let said = serde_json::to_string(&status)?;
            return Ok(Stand::Working(format!("generation {generation:?}: {said}")));
        }
        Ok(Stand::Done(statuses.to_vec()))
    }

    fn write(&self, host: &str, entries: Vec<Entry>) -> Result<()> {
        let spec = HostAssignmentSpec {
            hub: "sweep".to_owned(),
            entries,
            ..HostAssignmentSpec::default()
        };
        let params = PatchParams::apply("dockfleet-controller").force();
        let patch = Patch::Apply(HostAssignment::new(host, spec));
        let written = self
            .runtime
            .block_on(self.assignments().patch(host, &params, &patch));
        written.context("the assignment was not written").map(drop)
    }

    fn hosts(&self) -> Api<DockerHost> {
        Api::namespaced(self.client.clone(), DEFAULT_FLEET_NAMESPACE)
    }

    fn assignments(&self) -> Api<HostAssignment> {
        Api::namespaced(self.client.clone(), DEFAULT_FLEET_NAMESPACE)
    }
}
