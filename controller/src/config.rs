//! The configuration of a controller.

use std::sync::Arc;
use std::time::Duration;

use dockfleet_crds::DEFAULT_FLEET_NAMESPACE;
use dockfleet_planner::brake::Limits;
use kube::Config;

use crate::effect::WriteHook;
use crate::election::ElectionTimes;
use crate::random;
use crate::vitals::ControllerVitals;

/// How long reports on a resource are collected before its status is written: long enough that a
/// hundred hosts that become ready one after the other cause only a few writes, short enough for a
/// person who watches. It is longer for a resource with more than a thousand hosts.
const DEBOUNCE: Duration = Duration::from_secs(1);

/// How long a host may send no heartbeat before it counts as offline: five heartbeats of 30 s, so
/// that a late or lost one does not matter.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(150);

/// How long many resources that are deleted with their namespace wait for permission: long enough
/// for somebody to see it, but no namespace waits for ever.
const NAMESPACE_HOLD: Duration = Duration::from_hours(1);

/// The configuration of a controller.
#[derive(Clone)]
pub struct ControllerConfig {
    /// The client configuration for the API server.
    pub kubernetes: Config,
    /// Namespace of hosts and their assignments, in addition to the namespaces with the fleet
    /// label.
    pub fleet_namespace: String,
    /// How long reports on a resource are collected before its status is written; longer for one with
    /// more than a thousand hosts, at most ten times.
    pub debounce: Duration,
    /// How long a host may send no heartbeat before it counts as offline.
    pub offline_after: Duration,
    /// How much may be removed or released at once without permission.
    pub limits: Limits,
    /// How long many resources that are deleted with their namespace wait for permission.
    pub namespace_hold: Duration,
    /// The leader election. Without it, only one controller may run.
    pub election: Option<ElectionConfig>,
    /// Its probes and metrics.
    pub vitals: Arc<ControllerVitals>,
    /// Called after every write.
    pub effects: WriteHook,
}

/// The configuration of the leader election.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// Namespace of the Lease.
    pub namespace: String,
    /// The identity of this controller in the Lease. No other controller may ever have the same
    /// one.
    pub identity: String,
    /// How long each thing takes.
    pub times: ElectionTimes,
}

impl ElectionConfig {
    /// Creates the configuration of an election. `name` is for people, such as the name of a pod.
    pub fn new(namespace: String, name: &str, times: ElectionTimes) -> Self {
        Self {
            namespace,
            // A restarted pod has the same name, but is another candidate.
            identity: format!("{name}_{:016x}", random()),
            times,
        }
    }
}

impl ControllerConfig {
    /// Creates the configuration of the only controller of the default fleet.
    pub fn new(kubernetes: Config, vitals: Arc<ControllerVitals>) -> Self {
        Self {
            kubernetes,
            fleet_namespace: DEFAULT_FLEET_NAMESPACE.to_owned(),
            debounce: DEBOUNCE,
            offline_after: OFFLINE_AFTER,
            limits: Limits::default(),
            namespace_hold: NAMESPACE_HOLD,
            election: None,
            vitals,
            effects: WriteHook::default(),
        }
    }
}

impl std::fmt::Debug for ControllerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client configuration has credentials in it.
        f.debug_struct("ControllerConfig")
            .field("fleet_namespace", &self.fleet_namespace)
            .field("debounce", &self.debounce)
            .field("offline_after", &self.offline_after)
            .field("limits", &self.limits)
            .field("namespace_hold", &self.namespace_hold)
            .field("election", &self.election)
            .finish_non_exhaustive()
    }
}
