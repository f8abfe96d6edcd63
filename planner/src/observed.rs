//! What an engine has, in the form that the planner compares.

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::labels;

use crate::credentials::Credentials;
use crate::desired::AddressBlock;

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

/// A volume as the engine shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Name, which is unique on an engine.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// Driver options, without the credentials of a mount.
    pub options: BTreeMap<String, String>,
    /// The credentials of a mount, where its options have some.
    pub credentials: Option<Credentials>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl ObservedVolume {
    /// Returns the identity that its maker gave the volume. The engine gives none, and its creation
    /// time is the change time of a folder, which moves (Engine 20.10).
    pub fn id(&self) -> String {
        self.labels
            .get(labels::VOLUME_ID)
            .cloned()
            .unwrap_or_else(|| format!("name:{}", self.name))
    }
}

/// What an engine has of both kinds. A list that could not be read is `None`, which is not the same
/// as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its networks, or nothing where they could not be listed.
    pub networks: Option<Vec<ObservedNetwork>>,
    /// Its volumes, or nothing where they could not be listed.
    pub volumes: Option<Vec<ObservedVolume>>,
}

/// One object of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// A network.
    Network(&'a ObservedNetwork),
    /// A volume.
    Volume(&'a ObservedVolume),
}

impl<'a> Object<'a> {
    /// Returns its identity.
    pub fn id(self) -> String {
        match self {
            Self::Network(n) => n.id.clone(),
            Self::Volume(v) => v.id(),
        }
    }

    /// Returns its name.
    pub fn name(self) -> &'a str {
        match self {
            Self::Network(n) => &n.name,
            Self::Volume(v) => &v.name,
        }
    }

    /// Returns its labels.
    pub fn labels(self) -> &'a BTreeMap<String, String> {
        match self {
            Self::Network(n) => &n.labels,
            Self::Volume(v) => &v.labels,
        }
    }

    /// Whether Dockfleet made it for the resource with this UID.
    pub fn made_for(self, uid: &str) -> bool {
        self.labels().get(labels::UID).is_some_and(|u| u == uid)
    }

    /// Returns who made it, as far as its labels tell.
    pub fn owner(self) -> String {
        let labels = self.labels();
        let get = |key: &str| labels.get(key);
        if let (Some(namespace), Some(name)) = (get(labels::NAMESPACE), get(labels::NAME)) {
            let uid = get(labels::UID).map_or("unknown", String::as_str);
            return format!("Dockfleet resource {namespace}/{name} (uid {uid})");
        }
        if let Some(project) = get("com.docker.compose.project") {
            return format!("compose project {project}");
        }
        if let Some(stack) = get("com.docker.stack.namespace") {
            return format!("swarm stack {stack}");
        }
        "no resource of Dockfleet".to_owned()
    }
}

impl Observed {
    /// Returns the objects of a kind, or `None` where they are not known.
    pub fn all(&self, kind: Kind) -> Option<Vec<Object<'_>>> {
        Some(match kind {
            Kind::DockerNetwork => self
                .networks
                .as_ref()?
                .iter()
                .map(Object::Network)
                .collect(),
            Kind::DockerVolume => self.volumes.as_ref()?.iter().map(Object::Volume).collect(),
        })
    }

    /// Returns the objects of a kind and name in the order of their identities, or `None` where they
    /// are not known.
    pub fn named(&self, kind: Kind, name: &str) -> Option<Vec<Object<'_>>> {
        let mut named = self.all(kind)?;
        named.retain(|o| o.name() == name);
        // An engine lists in the order of a hash map.
        named.sort_by_cached_key(|o| o.id());
        Some(named)
    }
}
