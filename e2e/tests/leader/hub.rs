//! The API server: what people ask for, and what agents do.

use std::path::Path;

use anyhow::{Context as _, Result};
use dockfleet_crds::assignment::HostAssignmentStatus;
use dockfleet_crds::{
    DEFAULT_FLEET_NAMESPACE, DockerHost, DockerNetwork, DockerVolume, Entry, EntryState,
    EntryStatus, HostAssignment, Intent, Reason,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// The host that is there all the time.
pub(crate) const HOST: &str = "h1";
/// The network that is edited in each change.
const NETWORK: &str = "all";

/// Gives what a step brings, and the next one takes away, is called; no other step's name has it in it.
pub(crate) fn step_name(step: usize) -> String {
    format!("step{step:04}")
}

/// Gives the label that the network gets in a step.
pub(crate) fn label(step: usize) -> String {
    format!("of-{}", step_name(step))
}

/// A client of the API server.
pub(crate) struct Hub {
    runtime: Runtime,
    networks: Api<DockerNetwork>,
    volumes: Api<DockerVolume>,
    hosts: Api<DockerHost>,
    assignments: Api<HostAssignment>,
    leases: Api<Lease>,
    secrets: Api<Secret>,
    accounts: Api<ServiceAccount>,
    roles: Api<Role>,
    bindings: Api<RoleBinding>,
}

/// What there is.
pub(crate) struct Stand {
    pub(crate) networks: Vec<DockerNetwork>,
    pub(crate) volumes: Vec<DockerVolume>,
    pub(crate) hosts: Vec<DockerHost>,
    pub(crate) assignments: Vec<HostAssignment>,
    /// What hosts are known by, each with its kind and the host's name.
    pub(crate) identities: Vec<(&'static str, String)>,
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
        let fleet = DEFAULT_FLEET_NAMESPACE;
        Ok(Self {
            runtime,
            networks: Api::default_namespaced(client.clone()),
            volumes: Api::default_namespaced(client.clone()),
            hosts: Api::namespaced(client.clone(), fleet),
            assignments: Api::namespaced(client.clone(), fleet),
            leases: Api::namespaced(client.clone(), fleet),
            secrets: Api::namespaced(client.clone(), fleet),
            accounts: Api::namespaced(client.clone(), fleet),
            roles: Api::namespaced(client.clone(), fleet),
            bindings: Api::namespaced(client, fleet),
        })
    }

    /// Makes what there is before the first change, which is what every step leaves.
    pub(crate) fn begin(&self) -> Result<()> {
        self.runtime.block_on(async {
            self.make_host(HOST).await?;
            let spec = json!({"hostSelector": {}, "labels": {"step": label(0)}});
            let network = object("DockerNetwork", NETWORK, &spec)?;
            self.networks
                .create(&PostParams::default(), &network)
                .await?;
            self.bring(&step_name(0)).await
        })
    }

    /// Edits the network that is on all hosts.
    pub(crate) fn edit(&self, label: &str) -> Result<()> {
        self.runtime.block_on(self.edit_network(label))
    }

    async fn edit_network(&self, label: &str) -> Result<()> {
        let labels = Patch::Merge(json!({"spec": {"labels": {"step": label}}}));
        let params = PatchParams::default();
        self.networks.patch(NETWORK, &params, &labels).await?;
        Ok(())
    }

    /// Changes everything: edits a network on all hosts, brings a host and a volume, deletes those that
    /// the step before has brought.
    pub(crate) fn change(&self, step: usize) -> Result<()> {
        let (new, old) = (step_name(step), step_name(step - 1));
        let now = DeleteParams::default();
        self.runtime.block_on(async {
            self.edit_network(&label(step)).await?;
            self.bring(&new).await?;
            self.volumes.delete(&old, &now).await?;
            self.hosts.delete(&old, &now).await?;
            Ok(())
        })
    }

    async fn bring(&self, name: &str) -> Result<()> {
        let spec = json!({"hostNames": [HOST], "deletionPolicy": "Delete"});
        let volume = object("DockerVolume", name, &spec)?;
        self.volumes.create(&PostParams::default(), &volume).await?;
        self.make_host(name).await
    }

    async fn make_host(&self, name: &str) -> Result<()> {
        let spec = json!({"allowedNamespaces": {"from": "All"}});
        let host = object("DockerHost", name, &spec)?;
        self.hosts.create(&PostParams::default(), &host).await?;
        Ok(())
    }

    /// Does what agents do: reports that everything asked for is done, and shows that hosts are alive
    /// until that was seen. Collects as garbage what deleted hosts owned. Gives what there was before.
    pub(crate) fn work(&self) -> Result<Stand> {
        self.runtime.block_on(async {
            let stand = self.stand().await?;
            for assignment in &stand.assignments {
                let name = assignment.name_any();
                if stand.hosts.iter().any(|host| host.name_any() == name) {
                    self.report(assignment).await?;
                } else {
                    self.assignments
                        .delete(&name, &DeleteParams::default())
                        .await
                        .context("no garbage collection")?;
                }
            }
            for host in &stand.hosts {
                let name = host.name_any();
                let has_lease = stand.identities.contains(&("Lease", name.clone()));
                if has_lease && !is_reachable(host) {
                    let now = json!({"spec": {"renewTime": format!("{:.6}", Timestamp::now())}});
                    self.leases
                        .patch(&name, &PatchParams::default(), &Patch::Merge(now))
                        .await?;
                }
            }
            Ok(stand)
        })
    }

    async fn stand(&self) -> Result<Stand> {
        let all = ListParams::default();
        let mut identities = Vec::new();
        add(&mut identities, "Lease", &self.leases).await?;
        add(&mut identities, "Secret", &self.secrets).await?;
        add(&mut identities, "ServiceAccount", &self.accounts).await?;
        add(&mut identities, "Role", &self.roles).await?;
        add(&mut identities, "RoleBinding", &self.bindings).await?;
        Ok(Stand {
            networks: self.networks.list(&all).await?.items,
            volumes: self.volumes.list(&all).await?.items,
            hosts: self.hosts.list(&all).await?.items,
            assignments: self.assignments.list(&all).await?.items,
            identities,
        })
    }

    async fn report(&self, assignment: &HostAssignment) -> Result<()> {
        let generation = assignment.metadata.generation;
        let status = assignment.status.as_ref();
        if status.and_then(|s| s.observed_generation) == generation {
            return Ok(());
        }
        let status = HostAssignmentStatus {
            observed_generation: generation,
            entries: assignment.spec.entries.iter().map(done).collect(),
        };
        let name = assignment.name_any();
        let patch = json!({
            "apiVersion": "dockfleet.io/v1alpha1",
            "kind": "HostAssignment",
            "metadata": {"name": name},
            "status": status,
        });
        let params = PatchParams::apply("dockfleet-agent").force();
        let patch = Patch::Apply(patch);
        let written = self.assignments.patch_status(&name, &params, &patch).await;
        written.context("no report").map(drop)
    }
}

async fn add<K>(
    identities: &mut Vec<(&'static str, String)>,
    kind: &'static str,
    api: &Api<K>,
) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let all = api.list_metadata(&ListParams::default()).await?;
    identities.extend(all.iter().map(|object| (kind, object.name_any())));
    Ok(())
}

fn is_reachable(host: &DockerHost) -> bool {
    let mut conditions = host.status.iter().flat_map(|s| &s.conditions);
    conditions.any(|c| c.type_ == "Reachable" && c.status == "True")
}

fn object<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> Result<K> {
    let object = json!({
        "apiVersion": "dockfleet.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    });
    Ok(serde_json::from_value(object)?)
}

fn done(entry: &Entry) -> EntryStatus {
    let (state, reason) = if entry.intent == Intent::Absent {
        (EntryState::Gone, Some(Reason::Removed))
    } else {
        (EntryState::Ready, None)
    };
    EntryStatus {
        uid: entry.uid.clone(),
        revision: entry.revision.clone(),
        state: state.into(),
        reason: reason.map(Into::into),
        id: Some("1".to_owned()),
        ..EntryStatus::default()
    }
}
