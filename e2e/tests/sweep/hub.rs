//! The API server, and the controller's part in it: what the planner says is written, as the
//! controller writes it, and at the moments that the test chooses.

use anyhow::{Context as _, Result, ensure};
use dockfleet_crds::assignment::HostAssignmentSpec;
use dockfleet_crds::{
    DEFAULT_FLEET_NAMESPACE, DockerHost, Entry, EntryState, EntryStatus, HostAssignment,
};
use dockfleet_e2e::ApiClient;
use dockfleet_planner::assignment::{CredentialVersions, Input, RenderContext, assign};
use dockfleet_planner::select::NamespaceLabels;
use serde_json::json;

use crate::scenario::Wish;

/// What an agent says of its entries when there is nothing left to do or to say, for either side; or
/// what is missing.
pub(crate) type Stand = Result<Vec<EntryStatus>, String>;

/// A client of the API server.
pub(crate) struct Hub(pub(crate) ApiClient);

/// The path of objects in the hosts' namespace.
fn path(resource: &str, name: &str) -> String {
    format!("/apis/dockfleet.io/v1alpha1/namespaces/{DEFAULT_FLEET_NAMESPACE}/{resource}{name}")
}

impl Hub {
    /// Makes a host that takes resources from everywhere.
    pub(crate) fn add_host(&self, name: &str) -> Result<DockerHost> {
        let host = json!({
            "apiVersion": "dockfleet.io/v1alpha1", "kind": "DockerHost", "metadata": {"name": name},
            "spec": {"allowedNamespaces": {"from": "All"}},
        });
        self.0.create(&path("dockerhosts", ""), &host)
    }

    /// Gives the host as it is now.
    pub(crate) fn host(&self, name: &str) -> Result<DockerHost> {
        let host = self.0.get(&path("dockerhosts/", name))?;
        host.context("the host is gone")
    }

    /// Does what a controller would do now about the host's assignment, and says how it stands.
    pub(crate) fn control(&self, host: &DockerHost, wishes: &[Wish]) -> Result<Stand> {
        let name = host.metadata.name.as_deref().context("a nameless host")?;
        let seen: Option<HostAssignment> = self.0.get(&path("hostassignments/", name))?;
        let previous = seen.as_ref().map_or(&[][..], |a| &a.spec.entries);
        let status = seen.as_ref().and_then(|a| a.status.as_ref());
        let statuses = status.map_or(&[][..], |s| &s.entries);
        let resources: Vec<_> = wishes.iter().map(|w| (&*w.resource, w.lifecycle)).collect();
        let assigned = assign(&Input {
            context: RenderContext {
                swarm: None,
                agent: None,
                host,
                called: name,
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
            return Ok(Err("it has just been reported".to_owned()));
        }
        let generation = seen.as_ref().and_then(|a| a.metadata.generation);
        let observed = status.and_then(|s| s.observed_generation);
        let pending = statuses.iter().any(|s| s.state == EntryState::Pending);
        if observed != generation || pending || statuses.len() != previous.len() {
            let said = serde_json::to_string(&status)?;
            return Ok(Err(format!("generation {generation:?}: {said}")));
        }
        Ok(Ok(statuses.to_vec()))
    }

    fn write(&self, host: &str, entries: Vec<Entry>) -> Result<()> {
        let spec = HostAssignmentSpec {
            hub: "sweep".to_owned(),
            entries,
            ..HostAssignmentSpec::default()
        };
        let assignment = serde_json::to_value(HostAssignment::new(host, spec))?;
        let path = path("hostassignments/", host);
        let written = self.0.apply(&path, "dockfleet-controller", &assignment);
        written.map(drop)
    }
}
