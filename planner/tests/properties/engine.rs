//! A model of a Docker Engine: what 20.10 and 29 do with networks and volumes, as far as a planner
//! can tell (reference: the Engine API notes on same names, filled fields and the order of blocks).

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::labels;
use dockfleet_planner::address;
use dockfleet_planner::capability::ApiVersion;
use dockfleet_planner::kinds::network::{AddressBlock, DesiredNetwork, ObservedNetwork};
use dockfleet_planner::kinds::volume::{DesiredVolume, ObservedVolume};
use dockfleet_planner::kinds::{Desired, Object, ObservedObject};
use dockfleet_planner::observed::ObservedState;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Duplicate names, texts as in the request, no gateway filled in.
    V20,
    /// 409 for an existing name, parsed addresses, gateways filled in, IPv4 reported.
    V29,
}

impl Release {
    pub(crate) fn api(self) -> ApiVersion {
        match self {
            Self::V20 => ApiVersion(1, 41),
            Self::V29 => ApiVersion(1, 52),
        }
    }
}

/// Why an engine refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Engine {
    release: Release,
    pub(crate) networks: Vec<ObservedNetwork>,
    pub(crate) volumes: BTreeMap<String, ObservedVolume>,
    /// Names of objects that containers use.
    pub(crate) in_use: BTreeSet<String>,
    made: u32,
}

impl Engine {
    pub(crate) fn new(release: Release) -> Self {
        Self {
            release,
            networks: Vec::new(),
            volumes: BTreeMap::new(),
            in_use: BTreeSet::new(),
            made: 0,
        }
    }

    pub(crate) fn api(&self) -> ApiVersion {
        self.release.api()
    }

    pub(crate) fn observe(&self) -> ObservedState {
        let networks = self.networks.iter().cloned().map(Object::from);
        let volumes = self.volumes.values().cloned().map(Object::from);
        let mut observed = ObservedState::default();
        observed.insert(Kind::DockerNetwork, networks.collect());
        observed.insert(Kind::DockerVolume, volumes.collect());
        observed
    }

    pub(crate) fn create(&mut self, desired: &Desired) -> Result<(), Refused> {
        match desired {
            Desired::DockerNetwork(n) => self.create_network(n),
            Desired::DockerVolume(v) => self.create_volume(v),
            Desired::SwarmCluster(_)
            | Desired::PrunePolicy(_)
            | Desired::BackupRepository(_)
            | Desired::VolumeBackup(_)
            | Desired::VolumeBackupSchedule(_)
            | Desired::VolumeRestore(_) => Err(Refused),
        }
    }

    fn create_network(&mut self, n: &DesiredNetwork) -> Result<(), Refused> {
        let same_name = self.networks.iter().any(|o| o.name == n.name);
        if self.release == Release::V29 && same_name {
            return Err(Refused);
        }
        let mut ipam: Vec<AddressBlock> = n.ipam.iter().map(|b| self.shown(b)).collect();
        if !ipam.iter().any(|b| !address::is_ipv6(&b.subnet)) {
            // The engine's choice; it depends on the name, so that runs can be compared.
            let octet = 18 + n.name.bytes().last().unwrap_or_default() % 10;
            ipam.push(AddressBlock {
                subnet: format!("172.{octet}.0.0/16"),
                gateway: Some(format!("172.{octet}.0.1")),
                ..AddressBlock::default()
            });
        }
        let normal = |b: &AddressBlock| address::block(&b.subnet);
        let taken: BTreeSet<String> = self
            .networks
            .iter()
            .flat_map(|o| &o.ipam)
            .map(normal)
            .collect();
        if ipam.iter().any(|b| taken.contains(&normal(b))) {
            return Err(Refused);
        }
        ipam.sort_by_key(|b| address::is_ipv6(&b.subnet));
        self.made += 1;
        let mut options = n.options.clone();
        options.insert(
            "com.docker.network.driver.daemon".to_owned(),
            "1".to_owned(),
        );
        self.networks.push(ObservedNetwork {
            id: format!("id{}", self.made),
            name: n.name.clone(),
            driver: n.driver.clone(),
            options,
            labels: n.labels.clone(),
            // An engine may create something else than requested; the agent must not repeat that for ever.
            internal: n.internal && !(self.release == Release::V20 && n.name == "n1"),
            attachable: n.attachable,
            ingress: n.ingress,
            enable_ipv4: match self.release {
                Release::V20 => None,
                Release::V29 => Some(n.enable_ipv4.unwrap_or(true)),
            },
            enable_ipv6: n.enable_ipv6.unwrap_or(false),
            ipam_driver: "default".to_owned(),
            ipam_options: n.ipam_options.clone(),
            ipam,
        });
        Ok(())
    }

    fn shown(&self, b: &AddressBlock) -> AddressBlock {
        if self.release == Release::V20 {
            return b.clone();
        }
        let subnet = address::block(&b.subnet);
        let first = subnet.replace("0/24", "1").replace("::/64", "::1");
        let gateway = b.gateway.as_deref().map(address::address);
        AddressBlock {
            gateway: Some(gateway.unwrap_or(first)),
            subnet,
            ..b.clone()
        }
    }

    fn create_volume(&mut self, v: &DesiredVolume) -> Result<(), Refused> {
        if let Some(old) = self.volumes.get(&v.name) {
            // The answer is 201 with the existing volume, whatever its options are.
            return if old.driver == v.driver {
                Ok(())
            } else {
                Err(Refused)
            };
        }
        let volume = ObservedVolume {
            name: v.name.clone(),
            driver: v.driver.clone(),
            options: v.options.clone(),
            credentials: None,
            labels: v.labels.clone(),
            top_folder: None,
        };
        self.volumes.insert(v.name.clone(), volume);
        Ok(())
    }

    /// Removes a network by its ID, or a volume by its name if it still has the identity.
    pub(crate) fn remove(&mut self, id: &str, name: &str) -> Result<(), Refused> {
        if self.networks.iter().any(|n| n.id == id) {
            return self.remove_network(id);
        }
        match self.volumes.get(name) {
            Some(v) if v.id() != id => Err(Refused),
            Some(_) if self.in_use.contains(name) => Err(Refused),
            _ => {
                self.volumes.remove(name);
                Ok(())
            }
        }
    }

    pub(crate) fn remove_network(&mut self, id: &str) -> Result<(), Refused> {
        let used = |n: &ObservedNetwork| n.id == id && self.in_use.contains(&n.name);
        if self.networks.iter().any(used) {
            return Err(Refused);
        }
        self.networks.retain(|n| n.id != id);
        Ok(())
    }

    /// Returns what the engine has, without identities.
    pub(crate) fn content(&self) -> (Vec<ObservedNetwork>, Vec<ObservedVolume>) {
        let anonymous = |n: &ObservedNetwork| ObservedNetwork {
            id: String::new(),
            ..n.clone()
        };
        let mut networks: Vec<_> = self.networks.iter().map(anonymous).collect();
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        let mut volumes: Vec<_> = self.volumes.values().cloned().collect();
        for volume in &mut volumes {
            if let Some(id) = volume.labels.get_mut(labels::VOLUME_ID) {
                id.clear();
            }
        }
        (networks, volumes)
    }
}
