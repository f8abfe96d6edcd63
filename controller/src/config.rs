//! What a controller is started with.

use std::time::Duration;

use dockfleet_crds::DEFAULT_FLEET_NAMESPACE;
use kube::Client;

/// How long reports on a resource are collected before its status is written: long enough that a
/// hundred hosts that become ready one after the other are a few writes, short enough to look at.
const DEBOUNCE: Duration = Duration::from_secs(1);

/// What a controller is started with.
#[derive(Clone)]
pub struct ControllerConfig {
    /// The way to the API server.
    pub client: Client,
    /// Namespace of hosts and their assignments, beside those that are labelled as such.
    pub fleet_namespace: String,
    /// How long reports on a resource are collected before its status is written.
    pub debounce: Duration,
}

impl ControllerConfig {
    /// Makes the configuration of a controller of the default fleet.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            fleet_namespace: DEFAULT_FLEET_NAMESPACE.to_owned(),
            debounce: DEBOUNCE,
        }
    }
}

impl std::fmt::Debug for ControllerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A client has credentials in it.
        f.debug_struct("ControllerConfig")
            .field("fleet_namespace", &self.fleet_namespace)
            .field("debounce", &self.debounce)
            .finish_non_exhaustive()
    }
}
