//! Serves probes and metrics of a process.

use dockfleet_vitals::{Server, Shared};

use crate::args::MetricsAddress;

/// Starts serving probes and metrics, if an address is set.
pub(crate) async fn serve(address: MetricsAddress, vitals: Shared) -> anyhow::Result<()> {
    if let MetricsAddress::At(address) = address {
        let server = Server::bind(address).await?;
        tokio::spawn(server.run(vitals));
    }
    Ok(())
}
