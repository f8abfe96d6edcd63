//! The observed state of a host's membership in a swarm, and what an agent reports of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use dockfleet_crds::Open;
use dockfleet_crds::swarm::{Availability, NodeRole};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{IntoStaticStr, VariantArray};

use super::{DRIVER, DesiredMembership, MEMBERSHIP, SwarmSettings};
use crate::desired::fields;
use crate::kinds::ObservedObject;

/// The membership of a host as its engine reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedMembership {
    /// ID of the node; empty if the engine has tried to join and failed.
    pub node: String,
    /// ID of the swarm; only managers know it.
    pub cluster: Option<String>,
    /// Address and port of the node, if it is a manager.
    pub address: Option<String>,
    /// The address by which the other nodes know this one, if the host does not have it now.
    pub lost_address: Option<LostAddress>,
    /// Labels of the swarm; only managers know them.
    pub labels: BTreeMap<String, String>,
    /// The settings of the swarm; only managers know them.
    pub settings: SwarmSettings,
    /// The nodes of the swarm; only managers know them.
    pub nodes: Vec<Node>,
    /// Whether it is a manager that reaches no majority of the managers, so that it knows nothing of the above.
    pub lacks_quorum: bool,
    /// Why the engine, which is a node, does not take part in the swarm now: it does not reach it, or is locked.
    pub unsettled: Option<String>,
}

/// An address of a node that its host does not have now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostAddress {
    /// The address.
    pub address: IpAddr,
    /// The addresses by which other hosts may reach the host now.
    pub now: Vec<IpAddr>,
}

/// A node of a swarm as a manager reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its ID.
    pub id: String,
    /// Its role and state.
    pub status: NodeStatus,
    /// The role that somebody gave it; it takes some time until it has it.
    pub role: NodeRole,
    /// Its availability.
    pub availability: Availability,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The role and state of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum NodeStatus {
    /// The manager that leads the others.
    Leader,
    /// A manager.
    Manager,
    /// A manager that the others do not reach.
    UnreachableManager,
    /// A worker.
    Worker,
    /// A worker that the managers do not reach.
    #[default]
    DownWorker,
}

impl NodeStatus {
    /// Whether it is a manager.
    pub fn is_manager(self) -> bool {
        match self {
            Self::Leader | Self::Manager | Self::UnreachableManager => true,
            Self::Worker | Self::DownWorker => false,
        }
    }

    /// Whether the managers reach it.
    pub fn is_reachable(self) -> bool {
        match self {
            Self::Leader | Self::Manager | Self::Worker => true,
            Self::UnreachableManager | Self::DownWorker => false,
        }
    }
}

impl ObservedObject for ObservedMembership {
    fn id(&self) -> String {
        self.node.clone()
    }

    fn name(&self) -> &str {
        MEMBERSHIP
    }

    fn driver(&self) -> &str {
        DRIVER
    }

    fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// An engine that has tried to join and is not in the swarm: it tries no more, and refuses to try again.
    fn failed_attempt(&self) -> Option<&str> {
        self.unsettled.as_deref().filter(|_| self.node.is_empty())
    }
}

/// What an agent reports of a membership, beside the ID of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MembershipDetail {
    /// ID of the swarm, if the host is a manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Address and port of the host, if it is a manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The nodes of the swarm by ID, if the host writes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Open<NodeStatus>>,
    /// Whether the host is a manager that reaches no majority of the managers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacks_quorum: bool,
    /// How often the join tokens of the swarm were rotated, if the host is a manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_epoch: Option<i64>,
    /// ID of the node, if the swarm is to be taken over or the host does not know its swarm: the writer lists it, and so
    /// it is known that the host is in this swarm. That the entry has no such ID does not say much: hosts may have
    /// exchanged their engines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

impl MembershipDetail {
    /// Returns what is reported of a membership.
    pub fn of(want: &DesiredMembership, have: &ObservedMembership) -> Self {
        let nodes = have.nodes.iter().filter(|_| want.writer.is_some());
        Self {
            cluster: have.cluster.clone(),
            address: have.address.clone(),
            nodes: nodes.map(|n| (n.id.clone(), n.status.into())).collect(),
            lacks_quorum: have.lacks_quorum,
            token_epoch: have.settings.token_epoch,
            node: (want.adopts || have.cluster.is_none()).then(|| have.node.clone()),
        }
    }

    /// Returns it in the form of an entry's status; `None` if there is nothing to report.
    pub(super) fn fields(&self) -> Option<Map<String, Value>> {
        Some(fields(self)).filter(|fields| !fields.is_empty())
    }

    /// Reads it from an entry's status. What cannot be read counts as not reported.
    pub fn read(detail: Option<&Map<String, Value>>) -> Self {
        let fields = detail.cloned().unwrap_or_default();
        serde_json::from_value(Value::Object(fields)).unwrap_or_default()
    }
}
