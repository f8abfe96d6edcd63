//! Networks and volumes seen as one: what selection, rendering and aggregation have in common.

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::{DeletionPolicy, ReadyPolicy};
use dockfleet_crds::{DockerNetwork, DockerVolume, Policies, ResourceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

/// A resource that goes to hosts.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// A DockerNetwork.
    Network(&'a DockerNetwork),
    /// A DockerVolume.
    Volume(&'a DockerVolume),
}

impl<'a> Resource<'a> {
    /// Returns its kind.
    pub fn kind(self) -> Kind {
        match self {
            Self::Network(_) => Kind::DockerNetwork,
            Self::Volume(_) => Kind::DockerVolume,
        }
    }

    /// Returns its metadata.
    pub fn metadata(self) -> &'a ObjectMeta {
        match self {
            Self::Network(n) => &n.metadata,
            Self::Volume(v) => &v.metadata,
        }
    }

    /// Returns its status.
    pub fn status(self) -> Option<&'a ResourceStatus> {
        match self {
            Self::Network(n) => n.status.as_ref(),
            Self::Volume(v) => v.status.as_ref(),
        }
    }

    /// Returns its UID; empty before an API server gave one.
    pub fn uid(self) -> &'a str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }

    /// Returns its namespace.
    pub fn namespace(self) -> &'a str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// Returns its name.
    pub fn name(self) -> &'a str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Returns the name of the object on hosts.
    pub fn object_name(self) -> &'a str {
        let given = match self {
            Self::Network(n) => n.spec.network_name.as_deref(),
            Self::Volume(v) => v.spec.volume_name.as_deref(),
        };
        given.unwrap_or_else(|| self.name())
    }

    /// Returns the hosts it selects by label.
    pub fn host_selector(self) -> Option<&'a LabelSelector> {
        match self {
            Self::Network(n) => n.spec.host_selector.as_ref(),
            Self::Volume(v) => v.spec.host_selector.as_ref(),
        }
    }

    /// Returns the hosts it selects by name.
    pub fn host_names(self) -> &'a [String] {
        match self {
            Self::Network(n) => &n.spec.host_names,
            Self::Volume(v) => &v.spec.host_names,
        }
    }

    /// Returns the name of the Secret with the credentials of its mount.
    pub fn credentials_secret(self) -> Option<&'a str> {
        match self {
            Self::Network(_) => None,
            Self::Volume(v) => {
                let secret = v.spec.cifs.as_ref()?.credentials_secret.as_ref()?;
                Some(&secret.name)
            }
        }
    }

    /// Returns its policies.
    pub fn policies(self) -> Policies {
        match self {
            Self::Network(n) => n.spec.policies(),
            Self::Volume(v) => v.spec.policies(),
        }
    }

    /// Returns which hosts it waits for before it is ready.
    pub fn ready_policy(self) -> ReadyPolicy {
        match self {
            Self::Network(n) => n.spec.ready_policy,
            Self::Volume(v) => v.spec.ready_policy,
        }
    }

    /// Returns what becomes of the object when the resource goes. Nothing is removed for a suspended
    /// resource, nor for one that was only observed.
    pub fn deletion(self) -> DeletionPolicy {
        use dockfleet_crds::policy::ManagementPolicy;
        let policies = self.policies();
        if policies.suspend || policies.management == ManagementPolicy::Observe {
            DeletionPolicy::Retain
        } else {
            policies.deletion
        }
    }

    /// Returns the order in which resources claim a name: the oldest first, then by name.
    pub fn seniority(self) -> (Option<k8s_openapi::jiff::Timestamp>, &'a str, &'a str) {
        let created = self.metadata().creation_timestamp.as_ref().map(|t| t.0);
        (created, self.namespace(), self.name())
    }
}
