//! Policies: what a user allows Dockfleet to do with an object. They are the same for every kind.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether an existing network that differs from its resource is replaced. An engine cannot edit a
/// network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NetworkUpdatePolicy {
    /// The object is not replaced. The difference is reported.
    #[default]
    Never,
    /// The network is removed and created again as soon as no running or stopped container uses it.
    WhenUnused,
}

/// Whether an existing volume that differs from its resource is replaced, if its data is stored
/// elsewhere. An engine cannot edit a volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum VolumeUpdatePolicy {
    /// The object is not replaced. The difference is reported.
    #[default]
    Never,
    /// The volume is removed and created again as soon as no running or stopped container uses it.
    WhenUnused,
}

/// What happens when an object differs from its resource or was removed by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// The object is repaired, as far as the other policies allow.
    #[default]
    Enforce,
    /// The difference is reported, and the object is not changed.
    Observe,
}

/// What happens if an object of that name exists and does not belong to Dockfleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// The object is not changed, and a conflict is reported.
    #[default]
    Never,
    /// The object is taken over if all fields that the resource sets match.
    IfMatching,
    /// The object is taken over as it is. Differences are reported as drift. With `updatePolicy:
    /// WhenUnused`, an object that differs is then replaced as soon as nothing uses it.
    Force,
}

/// What happens to the object on a host when its resource is deleted or no longer selects the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The object is removed as soon as nothing uses it.
    #[default]
    Delete,
    /// The object stays on the host and is released.
    Retain,
}

/// What happens to the objects on a host when its DockerHost is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HostRemovalPolicy {
    /// The objects stay.
    #[default]
    Keep,
    /// The objects are first removed or released by their `deletionPolicy`. The DockerHost waits
    /// for that.
    Clean,
}

/// Whether Dockfleet manages the object or only observes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ManagementPolicy {
    /// The object is created, repaired and removed as the other policies say.
    #[default]
    Manage,
    /// The object is only compared and reported. Nothing is changed on the host.
    Observe,
}

/// Which hosts must have the object before a resource is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReadyPolicy {
    /// All hosts that are not offline.
    #[default]
    Reachable,
    /// All hosts.
    All,
}

/// What happens if a volume that was ready is gone with its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LossPolicy {
    /// The volume is reported as lost, because a new empty volume would hide the loss.
    #[default]
    Report,
    /// A new empty volume is created.
    Recreate,
}

/// The policies of one resource, in the form that planner and agent read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// Whether to replace an object that differs and that nothing uses.
    pub update_when_unused: bool,
    /// What to do about drift.
    pub drift: DriftPolicy,
    /// What to do about an object that does not belong to Dockfleet.
    pub adoption: AdoptionPolicy,
    /// What to do when the resource is deleted.
    pub deletion: DeletionPolicy,
    /// Whether to change anything.
    pub management: ManagementPolicy,
    /// Nothing is changed on any host while this is true.
    pub suspend: bool,
}
