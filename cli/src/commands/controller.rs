//! `dockfleet controller`

use anyhow::Context;
use dockfleet_controller::ControllerConfig;

use crate::args::ControllerArgs;
use crate::exit::Exit;

/// Runs the controller until it is told to stop.
pub(crate) async fn run(args: ControllerArgs) -> anyhow::Result<Exit> {
    let client = kube::Client::try_default()
        .await
        .context("no way to the Kubernetes API; set KUBECONFIG, or run inside a cluster")?;
    let config = ControllerConfig {
        fleet_namespace: args.fleet_namespace,
        ..ControllerConfig::new(client)
    };
    dockfleet_controller::run(config, super::shutdown()?).await?;
    Ok(Exit::Ready)
}
