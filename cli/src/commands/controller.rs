//! `dockfleet controller`

use std::time::Duration;

use anyhow::Context;
use dockfleet_controller::ControllerConfig;

use crate::args::ControllerArgs;
use crate::exit::Exit;

/// Time over which reports of hosts are gathered before a resource's status is written.
const DEBOUNCE: Duration = Duration::from_secs(1);

/// Runs the controller until it is told to stop.
pub(crate) async fn run(args: ControllerArgs) -> anyhow::Result<Exit> {
    let client = kube::Client::try_default()
        .await
        .context("no way to the Kubernetes API; set KUBECONFIG, or run inside a cluster")?;
    let config = ControllerConfig {
        client,
        fleet_namespace: args.namespace,
        debounce: DEBOUNCE,
    };
    dockfleet_controller::run(config, super::shutdown()?).await?;
    Ok(Exit::Ready)
}
