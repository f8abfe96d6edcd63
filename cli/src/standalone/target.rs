//! The hosts that a command works on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use dockfleet_agent::engine::{Endpoint, Engine};
use dockfleet_agent::journal::{Journal, JournalError};
use dockfleet_crds::DockerHost;
use dockfleet_crds::host::NamespacesFrom;
use tokio::time::Instant;

use super::context::{self, Local};
use super::{socket, state};
use crate::args::StateArgs;

/// Name of the local engine if the files contain no DockerHost.
const LOCAL_HOST: &str = "local";
const LOCAL_NAMESPACE: &str = "default";
/// How often a locked journal is retried.
const LOCK_RETRY: Duration = Duration::from_millis(200);

/// One host with its endpoint and journal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostTarget {
    pub(crate) host: DockerHost,
    endpoint: Endpoint,
    /// The Docker context of the engine.
    context: Option<String>,
    journal: PathBuf,
}

impl HostTarget {
    /// Returns the engine that the Docker command line would use. It allows every namespace.
    pub(super) fn local(args: &StateArgs) -> anyhow::Result<Self> {
        let mut host = DockerHost::default();
        host.metadata.name = Some(LOCAL_HOST.to_owned());
        // As for a DockerHost without a namespace. A SwarmCluster selects hosts of its own namespace.
        host.metadata.namespace = Some(LOCAL_NAMESPACE.to_owned());
        host.spec.allowed_namespaces.from = NamespacesFrom::All;
        Self::new(host, context::local()?, args)
    }

    /// Returns the host of a file.
    pub(super) fn named(host: DockerHost, args: &StateArgs) -> anyhow::Result<Self> {
        let name = host.metadata.name.as_deref().unwrap_or_default();
        let Some(direct) = host
            .spec
            .connection
            .as_ref()
            .and_then(|c| c.direct.as_ref())
        else {
            bail!(
                "DockerHost {name}: spec.connection.direct is missing; without a cluster a host is \
                 reached by its endpoint, such as unix:///var/run/docker.sock"
            );
        };
        let certs = direct.cert_path.as_ref().map(PathBuf::from);
        let endpoint = Endpoint::parse(&direct.endpoint, certs)
            .with_context(|| format!("DockerHost {name}: spec.connection.direct.endpoint"))?;
        let context = None;
        Self::new(host, Local { endpoint, context }, args)
    }

    fn new(host: DockerHost, local: Local, args: &StateArgs) -> anyhow::Result<Self> {
        let Local { endpoint, context } = local;
        let name = host.metadata.name.as_deref().unwrap_or_default();
        let journal = state::of_host(&state::root(args)?, name, &endpoint.to_string());
        Ok(Self {
            host,
            endpoint,
            context,
            journal,
        })
    }

    /// Returns the endpoint of the engine.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether it is the local engine, without a DockerHost in the files.
    pub(crate) fn is_implicit(&self) -> bool {
        self.host.spec.connection.is_none()
    }

    /// Returns the name of the host.
    pub(crate) fn name(&self) -> &str {
        self.host.metadata.name.as_deref().unwrap_or_default()
    }

    /// Returns the folder of its journal.
    pub(super) fn journal(&self) -> &Path {
        &self.journal
    }

    /// Returns the folder of what it needs to know about interrupted containers.
    pub(crate) fn interruptions(&self) -> PathBuf {
        self.journal.join("interruptions")
    }

    /// Returns the folder of the locks of volumes.
    pub(crate) fn volume_locks(&self) -> PathBuf {
        self.journal.join("volumes")
    }

    /// Connects to the engine, and reads its identity.
    pub(crate) async fn connect(&self) -> anyhow::Result<Engine> {
        Ok(self.reach().await?.identified().await)
    }

    /// Connects to the engine.
    pub(crate) async fn reach(&self) -> anyhow::Result<Engine> {
        let connected = Engine::connect(&self.endpoint).await;
        connected
            .with_context(|| match &self.context {
                Some(context) => format!(
                    "no Docker Engine answers at {} (Docker context {context})",
                    self.endpoint
                ),
                None => format!("no Docker Engine answers at {}", self.endpoint),
            })
            .map_err(|err| match socket::hint(&self.endpoint) {
                Some(hint) if self.is_implicit() => anyhow!("{err:#}; {hint}"),
                Some(_) | None => err,
            })
    }

    /// Opens the journal to read it, also while another process has locked it.
    pub(crate) fn journal_to_read(&self) -> anyhow::Result<Journal> {
        Ok(Journal::look(&self.journal)?)
    }

    /// Opens and locks the journal. It waits up to `patience` for another process.
    pub(crate) async fn open_journal(&self, patience: Duration) -> anyhow::Result<Journal> {
        patiently(self.name(), patience, || Journal::open(&self.journal)).await
    }
}

/// Takes a lock. It waits up to `patience` for another process that has it, and says so with the name of what is
/// locked.
pub(super) async fn patiently<T>(
    name: &str,
    patience: Duration,
    take: impl Fn() -> Result<T, JournalError>,
) -> anyhow::Result<T> {
    let begin = Instant::now();
    let mut waits = false;
    loop {
        let pid = match take() {
            Err(JournalError::Locked { pid, .. }) if begin.elapsed() < patience => pid,
            Err(err @ JournalError::Locked { .. }) if waits => {
                let waited = patience.as_secs();
                return Err(anyhow!(
                    "{err} (waited {waited} s for it; see --lock-timeout)"
                ));
            }
            other => return Ok(other?),
        };
        if !waits {
            anstream::eprintln!(
                "{name}: another dockfleet (process id {pid}) is at work here; waiting for it up to {} s",
                patience.as_secs()
            );
            waits = true;
        }
        tokio::time::sleep(LOCK_RETRY).await;
    }
}
