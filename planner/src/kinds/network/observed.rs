//! The observed state of a network.

use std::collections::BTreeMap;

use super::desired::AddressBlock;
use crate::kinds::ObservedObject;

/// A network as the engine reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the engine reports them so")]
pub struct ObservedNetwork {
    /// The engine's ID.
    pub id: String,
    /// Name; engines before 25.0 allow several networks of one name.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// Driver options, including the daemon's defaults.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// No access to external networks.
    pub internal: bool,
    /// Standalone containers can attach.
    pub attachable: bool,
    /// Published ports of services are reached through it.
    pub ingress: bool,
    /// IPv4, if the engine reports it (since 28.0).
    pub enable_ipv4: Option<bool>,
    /// IPv6.
    pub enable_ipv6: bool,
    /// IPAM driver.
    pub ipam_driver: String,
    /// IPAM options.
    pub ipam_options: BTreeMap<String, String>,
    /// Address blocks, including those that the engine chose.
    pub ipam: Vec<AddressBlock>,
}

impl ObservedObject for ObservedNetwork {
    fn id(&self) -> String {
        self.id.clone()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &str {
        &self.driver
    }

    fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }
}
