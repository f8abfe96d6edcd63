//! The desired state of a network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::desired::Behaviour;
use crate::kinds::{Creator, DesiredObject};

/// The IPAM driver of a network that names none.
pub const DEFAULT_IPAM: &str = "default";

/// A network as one host must have it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredNetwork {
    /// Name on the host.
    pub name: String,
    /// Driver of the engine.
    pub driver: String,
    /// Driver options, every typed field rendered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Labels without those of Dockfleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// No access to external networks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Standalone containers can attach.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attachable: bool,
    /// Published ports of services are reached through it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ingress: bool,
    /// IPv4, if the user set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_ipv4: Option<bool>,
    /// IPv6, if the user set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_ipv6: Option<bool>,
    /// IPAM driver, if the user set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipam_driver: Option<String>,
    /// IPAM options, the typed ones rendered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ipam_options: BTreeMap<String, String>,
    /// Address blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipam: Vec<AddressBlock>,
    /// Set if another host of the swarm creates the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedNetwork>,
    /// The policies.
    #[serde(default, skip_serializing_if = "Behaviour::is_default")]
    pub policy: Behaviour,
}

/// A network that another host of the swarm creates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedNetwork {
    /// Its ID, if it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// One address block of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressBlock {
    /// Subnet in CIDR form.
    pub subnet: String,
    /// Range from which containers get addresses, in CIDR form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<String>,
    /// Address of the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Addresses that no container gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aux_addresses: BTreeMap<String, String>,
}

impl DesiredObject for DesiredNetwork {
    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &str {
        &self.driver
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

    fn creator(&self) -> Creator<'_> {
        match &self.shared {
            None => Creator::ThisHost,
            Some(shared) => Creator::AnotherHost {
                id: shared.id.as_deref(),
            },
        }
    }

    /// A network without subnets takes any free subnet.
    fn is_created_last(&self) -> bool {
        self.ipam.is_empty()
    }
}
