//! Serves what a process says about itself.

use dockfleet_vitals::{Server, Shared};

use crate::args::MetricsAddress;

/// Serves probes and metrics from now on, if they are asked for.
pub(crate) async fn serve(address: MetricsAddress, vitals: Shared) -> anyhow::Result<()> {
    if let MetricsAddress::At(address) = address {
        let server = Server::bind(address).await?;
        tokio::spawn(server.run(vitals));
    }
    Ok(())
}
