//! What a controller is started with.

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
/// hundred hosts that become ready one after the other are a few writes, short enough to look at.
/// It is longer for a resource with more than a thousand hosts.
const DEBOUNCE: Duration = Duration::from_secs(1);

/// How long a host is not heard of before it counts as offline: five heartbeats of 30 s, so that one
/// that is late or lost says nothing.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(150);

/// How long many resources that go with their namespace wait for an answer: long enough for somebody
/// to see it, and no namespace stays for ever.
const NAMESPACE_HOLD: Duration = Duration::from_secs(3600);

/// What a controller is started with.
#[derive(Clone)]
pub struct ControllerConfig {
    /// The way to the API server.
    pub kubernetes: Config,
    /// Namespace of hosts and their assignments, beside those that are labelled as such.
    pub fleet_namespace: String,
    /// How long reports on a resource are collected before its status is written; longer for one with
    /// more than a thousand hosts, at most ten times.
    pub debounce: Duration,
    /// How long a host is not heard of before it counts as offline.
    pub offline_after: Duration,
    /// How much may be let go of at once without anybody being asked.
    pub limits: Limits,
    /// How long many resources that go with their namespace wait for an answer.
    pub namespace_hold: Duration,
    /// How it is found out which of several controllers leads; without, this has to be the only one.
    pub election: Option<ElectionConfig>,
    /// What it says about itself.
    pub vitals: Arc<ControllerVitals>,
    /// Called after every write.
    pub effects: WriteHook,
}

/// How it is found out which of several controllers leads.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// Namespace of the Lease.
    pub namespace: String,
    /// What this controller is called in the Lease; no other one may ever be called so.
    pub identity: String,
    /// How long each thing takes.
    pub times: ElectionTimes,
}

impl ElectionConfig {
    /// Makes the configuration of an election; `name` is for people, such as a pod's name.
    pub fn new(namespace: String, name: &str, times: ElectionTimes) -> Self {
        Self {
            namespace,
            // A pod that is started again keeps its name, and is another one all the same.
            identity: format!("{name}_{:016x}", random()),
            times,
        }
    }
}

impl ControllerConfig {
    /// Makes the configuration of the only controller of the default fleet.
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
        // The way to the API server has credentials in it.
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
