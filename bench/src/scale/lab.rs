//! A control plane, a controller, and the agents of a fleet.

use std::fmt::Debug;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use dockfleet_bench::usage;
use dockfleet_crds::{DockerHost, DockerNetwork, DockerVolume, ResourceStatus, manifests};
use dockfleet_e2e::{ControlPlane, Dockfleet, Folder, Process};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use kube::core::NamespaceResourceScope;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agents::{self, Agents};
use crate::meter::{Moment, Span};
use crate::wish::{self, Site};
use crate::{Wanted, bare};

/// Objects that are made at the same time when a fleet is set up.
const AT_ONCE: usize = 16;
/// How long a CRD may take to be served.
const SERVED: Duration = Duration::from_mins(1);
/// How long a fleet may take to be ready for the first time, and for each host.
const START: Duration = Duration::from_mins(3);
const START_PER_HOST: Duration = Duration::from_millis(600);
/// The namespace of the controller, where its Lease is.
const SYSTEM: &str = "dockfleet-system";
/// The claim to lead outlasts what else is done on this machine; the election itself is as always.
const LEASE: [&str; 3] = [
    "--lease-duration=120s",
    "--renew-deadline=90s",
    "--retry-period=10s",
];
/// How often is looked whether it is.
const LOOK: Duration = Duration::from_secs(1);

/// A fleet that runs. The order of the fields is the order in which they go.
pub(crate) struct Lab {
    pub(crate) workers: Vec<Process>,
    pub(crate) controller: Process,
    pub(crate) client: Client,
    pub(crate) plane: ControlPlane,
    pub(crate) sites: Vec<Site>,
    pub(crate) hosts: u32,
    /// From the start of controller and agents until every resource was ready on every host.
    pub(crate) start: Span,
    _folder: Folder,
}

impl Lab {
    /// Starts a fleet and waits until every resource is ready on every host.
    pub(crate) async fn start(wanted: &Wanted, cores: &Cores, hosts: u32) -> Result<Self> {
        let plane = ControlPlane::start_on_loopback()?;
        usage::pin(plane.api_server_pid()?, &cores.server)?;
        usage::pin(plane.etcd_pid()?, &cores.server)?;
        usage::pin(std::process::id(), &cores.others)?;
        let client = agents::client(agents::read(&plane.kubeconfig())?).await?;
        let sites = wish::sites(hosts);
        fill(&client, wanted, &sites).await?;

        let begin = Instant::now();
        let controller = controller(&plane)?;
        usage::pin(controller.pid(), &cores.others)?;
        let folder = Folder::new()?;
        let mut workers = Vec::new();
        for site in &sites {
            let worker = worker(&plane, site, &folder)?;
            usage::pin(worker.pid(), &cores.others)?;
            workers.push(worker);
        }
        let mut lab = Self {
            workers,
            controller,
            client,
            plane,
            sites,
            hosts,
            start: Span::default(),
            _folder: folder,
        };
        let moment = Moment::begin(&lab).await?;
        lab.all_ready().await?;
        lab.start = Span {
            wall: begin.elapsed(),
            ..moment.end(&lab).await?
        };
        Ok(lab)
    }

    /// Waits until every resource is ready on every host.
    async fn all_ready(&self) -> Result<()> {
        let begin = Instant::now();
        let limit = START + START_PER_HOST * self.hosts;
        let mut reported = Instant::now();
        loop {
            self.alive()?;
            let (least, resources) = self.least_ready().await?;
            if least == self.hosts {
                return Ok(());
            }
            if reported.elapsed() > LOOK * 20 {
                reported = Instant::now();
                say(&format!(
                    "{resources} resources, ready on {least} hosts at least"
                ));
            }
            ensure!(
                begin.elapsed() < limit,
                "after {limit:?} a resource is ready on {least} of {} hosts\n{}",
                self.hosts,
                self.log()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives the number of hosts on which the slowest of the resources is ready.
    async fn least_ready(&self) -> Result<(u32, usize)> {
        let networks: Api<DockerNetwork> = Api::namespaced(self.client.clone(), wish::APPS);
        let volumes: Api<DockerVolume> = Api::namespaced(self.client.clone(), wish::APPS);
        let parameters = kube::api::ListParams::default();
        let networks = networks.list(&parameters).await?.items;
        let volumes = volumes.list(&parameters).await?.items;
        let statuses = networks.into_iter().map(|n| n.status.map(|s| s.resource));
        let statuses = statuses.chain(volumes.into_iter().map(|v| v.status));
        let ready: Vec<u32> = statuses.map(|s| ready_hosts(s.as_ref())).collect();
        let least = ready.iter().copied().min().unwrap_or_default();
        Ok((least, ready.len()))
    }

    /// Fails when a part of the fleet has ended.
    pub(crate) fn alive(&self) -> Result<()> {
        for process in self.workers.iter().chain([&self.controller]) {
            if let Some(status) = process.exit_status() {
                bail!("a part ended ({status})\n{}", process.log());
            }
        }
        Ok(())
    }

    /// Gives the ends of logs, for an error.
    pub(crate) fn log(&self) -> String {
        let worker = self.workers.first().map(Process::log).unwrap_or_default();
        format!(
            "controller:\n{}\nagents:\n{worker}\n{}",
            self.controller.log(),
            self.plane.log()
        )
    }
}

/// Gives the number of hosts on which a resource is ready.
pub(crate) fn ready_hosts(status: Option<&ResourceStatus>) -> u32 {
    status.map_or(0, |s| u32::try_from(s.hosts.ready).unwrap_or_default())
}

/// Which cores are whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Those of API server and etcd.
    pub(crate) server: Vec<usize>,
    /// Those of everything else.
    pub(crate) others: Vec<usize>,
}

impl Cores {
    /// Gives API server and etcd half of the cores, and the rest to all others; all to all where
    /// they are shared or there is but one.
    pub(crate) fn divide(mut all: Vec<usize>, shared: bool) -> Self {
        if shared || all.len() < 2 {
            let others = all.clone();
            return Self {
                server: all,
                others,
            };
        }
        let others = all.split_off(all.len() / 2);
        Self {
            server: all,
            others,
        }
    }
}

fn controller(plane: &ControlPlane) -> Result<Process> {
    let dockfleet = Dockfleet::find()?;
    let mut command = dockfleet.command(["--log=warn", "controller"]);
    command.arg("--metrics-address=127.0.0.1:0").args(LEASE);
    command.env("KUBECONFIG", plane.kubeconfig());
    dockfleet.spawn_command(&command, None)
}

fn worker(plane: &ControlPlane, site: &Site, folder: &Folder) -> Result<Process> {
    let agents = Agents {
        kubeconfig: plane.kubeconfig(),
        namespace: site.namespace.clone(),
        first: site.first,
        count: site.count,
        folder: folder.path().to_owned(),
    };
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(agents.arguments());
    Process::start_alone(&command)
}

/// Makes all objects of a fleet.
async fn fill(client: &Client, wanted: &Wanted, sites: &[Site]) -> Result<()> {
    let mut definitions: Vec<CustomResourceDefinition> =
        manifests::all().into_iter().map(|(_, crd)| crd).collect();
    definitions.push(bare::definition());
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in definitions {
        let made = api.create(&PostParams::default(), &definition).await?;
        let name = made.metadata.name.context("a CRD without a name")?;
        let served = await_condition(api.clone(), &name, conditions::is_crd_established());
        tokio::time::timeout(SERVED, served)
            .await
            .with_context(|| format!("{name} is not served"))??;
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let names = sites.iter().map(|site| (site.namespace.as_str(), true));
    for (name, hosts) in
        names.chain([SYSTEM, wish::APPS, bare::NAMESPACE].map(|name| (name, false)))
    {
        let namespace = serde_json::from_value(wish::namespace(name, hosts))?;
        namespaces
            .create(&PostParams::default(), &namespace)
            .await?;
    }
    create(client, wish::APPS, wish::networks(wanted.entries)?).await?;
    create(client, wish::APPS, wish::volumes(wanted.entries)?).await?;
    for site in sites {
        let hosts = (site.first..site.first + site.count).map(|number| wish::host(site, number));
        create::<DockerHost>(client, &site.namespace, hosts.collect::<Result<_>>()?).await?;
    }
    Ok(())
}

async fn create<K>(client: &Client, namespace: &str, objects: Vec<K>) -> Result<()>
where
    K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Serialize,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    stream::iter(objects)
        .map(|object| {
            let api = api.clone();
            async move { api.create(&PostParams::default(), &object).await.map(drop) }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// Tells how far the measurements are; the result alone goes to the standard output.
pub(crate) fn say(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr(), "scale: {text}");
}

#[cfg(test)]
mod tests {
    use super::Cores;

    #[test]
    fn the_server_has_half_of_the_cores() {
        let cores = |server: &[usize], others: &[usize]| Cores {
            server: server.to_vec(),
            others: others.to_vec(),
        };
        assert_eq!(Cores::divide(vec![0, 1, 2], false), cores(&[0], &[1, 2]));
        assert_eq!(Cores::divide(vec![0, 1], true), cores(&[0, 1], &[0, 1]));
        assert_eq!(Cores::divide(vec![3], false), cores(&[3], &[3]));
    }
}
