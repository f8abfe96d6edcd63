//! The desired state of a host's membership in a swarm.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dockfleet_crds::swarm::{Availability, NodeRole};
use dockfleet_crds::{FieldDiff, Open};
use serde::{Deserialize, Serialize};

use super::nodes::CLUSTER_ID;
use super::{DRIVER, ObservedMembership, SwarmSecrets, SwarmSettings};
use crate::desired::Behaviour;
use crate::kinds::DesiredObject;

/// The membership as one host must have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredMembership {
    /// Always [`super::MEMBERSHIP`].
    pub name: String,
    /// ID of the swarm, once it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The host is a member if its engine is in the swarm already, whoever created that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopts: bool,
    /// How the host becomes a member; missing while it has to wait, and when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Address or interface that the other hosts reach it by, if the user set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertise_address: Option<String>,
    /// Address or interface for the traffic between containers, if the user set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_path_address: Option<String>,
    /// What is tried before hosts join, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<DesiredPreflight>,
    /// The swarm goes on with this manager alone if it has lost its quorum.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on_alone: bool,
    /// ID of the node that this host must leave the swarm as, by force, before it can join again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<String>,
    /// The agent keeps the unlock key of this manager in its host's own Secret, and unlocks its engine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_unlock_key: bool,
    /// What this host, a manager, changes in the swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<Writer>,
    /// Version of the join token, if the host needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
    /// The labels of the swarm that the host creates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The policies.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

/// What the agent of a host tries before hosts join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredPreflight {
    /// It answers at the ports of a swarm, which its engine does not use yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answers: bool,
    /// It tries the ports of these hosts, at these addresses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tries: BTreeMap<String, IpAddr>,
    /// UDP port of the traffic between containers.
    pub data_path_port: u16,
    /// Why this host does not join yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// How a host becomes a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Start {
    /// It creates the swarm.
    Init(Init),
    /// It joins through the manager with this address and port. Everybody joins as a worker, so that the token
    /// for managers never leaves a manager.
    Join(String),
}

/// What the engine takes only when it creates a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Init {
    /// Identity of the attempt.
    pub attempt: String,
    /// Subnets for overlay networks, in CIDR form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_address_pools: Vec<String>,
    /// Prefix length of the subnets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_size: Option<i32>,
    /// UDP port of the traffic between containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_path_port: Option<i32>,
}

/// What a manager changes in the swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Writer {
    /// The nodes by their ID. Other nodes are not changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, DesiredNode>,
    /// IDs of nodes to be removed once they are down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// The settings of the swarm.
    #[serde(default, skip_serializing_if = "SwarmSettings::is_empty")]
    pub settings: SwarmSettings,
    /// The agent writes the join token for workers into its host's own Secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shares_token: bool,
}

/// A node as its writer must make it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredNode {
    /// Its role.
    pub role: Open<NodeRole>,
    /// Its availability; it is not changed if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Open<Availability>>,
    /// Its labels. Those that were here before and are missing now are removed; others are not changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The host is to leave, so no containers of services stay on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaves: bool,
}

impl DesiredObject for DesiredMembership {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &str {
        DRIVER
    }

    fn policy(&self) -> Behaviour {
        self.policy
    }

    fn policy_mut(&mut self) -> &mut Behaviour {
        &mut self.policy
    }

    fn labels_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.labels
    }

    fn conflict(&self) -> Option<&str> {
        Some(
            "the host is in another swarm, which is not changed; run `docker swarm leave` on the host (with \
             --force if it is the only manager), or do not select it",
        )
    }

    fn explain(&self, diff: &[FieldDiff]) -> Option<String> {
        let not_now =
            "the host is not a manager of the swarm now, so another manager has to change it";
        let Some(other) = diff.iter().find(|d| d.field == CLUSTER_ID) else {
            return (!self.policy.suspend).then(|| not_now.to_owned());
        };
        Some(format!(
            "the host is in swarm {}, and this is swarm {}; nothing is changed on it",
            other.have, other.want
        ))
    }

    fn attempt(&self) -> Option<&str> {
        match &self.start {
            Some(Start::Init(init)) => Some(&init.attempt),
            Some(Start::Join(_)) | None => None,
        }
    }

    /// The engine of a worker does not know which swarm it is in.
    fn is_confirmed_by_others(&self) -> bool {
        true
    }

    fn swarm_secrets(&self) -> Option<SwarmSecrets> {
        Some(SwarmSecrets {
            join_token: self.writer.as_ref().is_some_and(|w| w.shares_token),
            unlock_key: self.keeps_unlock_key,
        })
    }

    fn preflight(&self) -> Option<&DesiredPreflight> {
        self.preflight.as_ref()
    }

    fn credentials(&self) -> Option<&str> {
        self.credentials.as_deref()
    }

    fn waits_for(&self) -> Option<&str> {
        let preflight = self.preflight.as_ref().and_then(|p| p.waits.as_deref());
        match (&self.start, &self.cluster) {
            (Some(_), _) => None,
            (None, _) if preflight.is_some() => preflight,
            (None, None) => Some("waits until the swarm is created"),
            (None, Some(_)) => Some("waits for a manager of the swarm to join through"),
        }
    }
}

impl DesiredMembership {
    /// Whether a membership is in the swarm that the user has given to the resource. Only a manager knows it.
    pub(super) fn is_given(&self, have: &ObservedMembership) -> bool {
        self.adopts && have.cluster.is_some() && have.cluster == self.cluster
    }

    /// Whether a membership is the result of this entry's own attempt to create the swarm. The engine adds the
    /// labels of a new swarm some time after it is created.
    pub(super) fn has_created(&self, have: &ObservedMembership) -> bool {
        matches!(self.start, Some(Start::Init(_))) && have.cluster.is_some()
    }
}
