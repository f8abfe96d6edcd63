//! Many agents in one process, each as on a host of its own: with its own credential and connections,
//! its own engine and its own journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::{Endpoint, Timeouts};
use dockfleet_agent::heartbeat;
use dockfleet_agent::{AgentConfig, AgentVitals};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine;
use crate::wish;

/// Agents are started so far apart: each makes a few connections with TLS, and a thousand at once
/// would time out.
const APART: Duration = Duration::from_millis(5);

/// The agents of some hosts of one namespace.
#[derive(Debug, clap::Args)]
pub(crate) struct Agents {
    /// Kubeconfig of an administrator.
    #[arg(long)]
    pub(crate) kubeconfig: PathBuf,
    /// Namespace of the hosts.
    #[arg(long)]
    pub(crate) namespace: String,
    /// Number of the first host.
    #[arg(long)]
    pub(crate) first: u32,
    /// How many hosts.
    #[arg(long)]
    pub(crate) count: u32,
    /// Where sockets and journals go.
    #[arg(long)]
    pub(crate) folder: PathBuf,
}

impl Agents {
    /// Gives the arguments that make this.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            "agents".to_owned(),
            format!("--kubeconfig={}", self.kubeconfig.display()),
            format!("--namespace={}", self.namespace),
            format!("--first={}", self.first),
            format!("--count={}", self.count),
            format!("--folder={}", self.folder.display()),
        ]
    }

    /// Runs them until one fails or the process is ended.
    pub(crate) fn run(&self) -> Result<()> {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .init();
        // An agent has one thread; these share one.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(self.run_all())
    }

    async fn run_all(&self) -> Result<()> {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let mut agents = JoinSet::new();
        for number in self.first..self.first + self.count {
            let host = wish::host_name(number);
            let config = self.prepare(&kubeconfig, host).await?;
            agents.spawn(dockfleet_agent::run(config, CancellationToken::new()));
            tokio::time::sleep(APART).await;
        }
        let ended = agents.join_next().await.context("there is no agent")?;
        ended?.context("an agent cannot run")?;
        bail!("an agent has ended by itself")
    }

    /// Starts a host's engine and prepares its agent.
    async fn prepare(&self, kubeconfig: &Kubeconfig, host: String) -> Result<AgentConfig> {
        let folder = self.folder.join(&host);
        fs::create_dir(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        let socket = folder.join("docker.sock");
        engine::start(&socket)?;
        Ok(AgentConfig {
            client: client(kubeconfig.clone()).await?,
            namespace: self.namespace.clone(),
            host,
            endpoint: Endpoint::Unix(socket),
            timeouts: Timeouts::default(),
            state_dir: folder.join("state"),
            heartbeat: heartbeat::INTERVAL,
            effects: Effects::default(),
            vitals: AgentVitals::new()?,
        })
    }
}

/// Makes a client, which has connections of its own.
pub(crate) async fn client(kubeconfig: Kubeconfig) -> Result<Client> {
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// Reads the administrator's kubeconfig.
pub(crate) fn read(path: &Path) -> Result<Kubeconfig> {
    Kubeconfig::read_from(path).with_context(|| format!("could not read {}", path.display()))
}
