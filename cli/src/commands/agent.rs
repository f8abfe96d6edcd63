//! `dockfleet agent`

use anyhow::Context;
use dockfleet_agent::effect::Effects;
use dockfleet_agent::engine::Endpoint;
use dockfleet_agent::{AgentConfig, run as run_agent};

use crate::args::AgentArgs;
use crate::exit::Exit;

/// Runs the agent of one host until it is told to stop.
pub(crate) async fn run(args: AgentArgs) -> anyhow::Result<Exit> {
    let config = kube::Config::infer()
        .await
        .context("no way to the Kubernetes API; set KUBECONFIG to the agent's kubeconfig")?;
    let config = AgentConfig {
        client: kube::Client::try_from(config)?,
        namespace: args.namespace,
        host: args.host,
        endpoint: Endpoint::from_env()?,
        state_dir: args.state_dir,
        heartbeat: args.heartbeat_interval,
        effects: Effects::default(),
    };
    // Large, because it holds a pass.
    Box::pin(run_agent(config, super::shutdown()?)).await?;
    Ok(Exit::Ready)
}
