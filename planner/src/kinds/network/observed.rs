//! A network as an engine shows it.

use std::collections::BTreeMap;

use super::desired::AddressBlock;
use crate::kinds::ObservedObject;

/// A network as the engine shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedNetwork {
    /// The engine's ID.
    pub id: String,
    /// Name; engines before 25.0 allow several networks of one name.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// Driver options, those of the daemon's defaults among them.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// No way out.
    pub internal: bool,
    /// Open to containers outside of services.
    pub attachable: bool,
    /// IPv4, where the engine says so (since 28.0).
    pub enable_ipv4: Option<bool>,
    /// IPv6.
    pub enable_ipv6: bool,
    /// IPAM driver.
    pub ipam_driver: String,
    /// IPAM options.
    pub ipam_options: BTreeMap<String, String>,
    /// Address blocks, the ones the engine chose among them.
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
