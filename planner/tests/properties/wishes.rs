//! Generated entries of six resources that share four object names.

use std::collections::BTreeMap;

use dockfleet_crds::Entry;
use dockfleet_crds::assignment::Kind;
use dockfleet_crds::policy::{
    AdoptionPolicy, DeletionPolicy, DriftPolicy, LossPolicy, ManagementPolicy,
};
use dockfleet_planner::desired::{Behaviour, Tombstone, payload};
use dockfleet_planner::kinds::network::{AddressBlock, DesiredNetwork};
use dockfleet_planner::kinds::volume::DesiredVolume;
use dockfleet_planner::render;
use proptest::prelude::*;

/// The resources: `u0` and `u2`, as well as `u3` and `u5`, are one name, created twice.
pub(crate) const UIDS: [&str; 6] = ["u0", "u1", "u2", "u3", "u4", "u5"];

pub(crate) fn kind(uid: &str) -> Kind {
    if matches!(uid, "u0" | "u1" | "u2") {
        Kind::DockerNetwork
    } else {
        Kind::DockerVolume
    }
}

pub(crate) fn object(uid: &str) -> &'static str {
    match uid {
        "u0" | "u2" => "n0",
        "u1" => "n1",
        "u3" | "u5" => "v0",
        _ => "v1",
    }
}

/// The desired state of one resource on the host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// The assignment has no entry for it.
    Out,
    /// Present.
    Present {
        variant: u8,
        policy: Behaviour,
        loss: LossPolicy,
    },
    /// Absent; with `named` the tombstone names an identity.
    Absent { policy: DeletionPolicy, named: bool },
}

pub(crate) fn deletion() -> impl Strategy<Value = DeletionPolicy> {
    prop_oneof![Just(DeletionPolicy::Delete), Just(DeletionPolicy::Retain)]
}

pub(crate) fn behaviour() -> impl Strategy<Value = Behaviour> {
    (
        any::<bool>(),
        prop_oneof![3 => Just(DriftPolicy::Enforce), 1 => Just(DriftPolicy::Observe)],
        prop_oneof![
            Just(AdoptionPolicy::Never),
            Just(AdoptionPolicy::IfMatching),
            Just(AdoptionPolicy::Force)
        ],
        prop_oneof![5 => Just(ManagementPolicy::Manage), 1 => Just(ManagementPolicy::Observe)],
        proptest::bool::weighted(0.15),
    )
        .prop_map(
            |(update_when_unused, drift, adoption, management, suspend)| Behaviour {
                update_when_unused,
                drift,
                adoption,
                management,
                suspend,
                deletion: None,
            },
        )
}

pub(crate) fn present() -> impl Strategy<Value = Wish> {
    let loss = prop_oneof![Just(LossPolicy::Report), Just(LossPolicy::Recreate)];
    (0..5u8, behaviour(), loss).prop_map(|(variant, policy, loss)| Wish::Present {
        variant,
        policy,
        loss,
    })
}

pub(crate) fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        2 => Just(Wish::Out),
        4 => present(),
        2 => (deletion(), any::<bool>())
            .prop_map(|(policy, named)| Wish::Absent { policy, named }),
    ]
}

pub(crate) fn network(uid: &str, variant: u8, policy: Behaviour) -> DesiredNetwork {
    let name = object(uid);
    let net = if name == "n0" { 20 } else { 40 };
    let block = |subnet: String| AddressBlock {
        subnet,
        ..AddressBlock::default()
    };
    let ipam = match variant {
        0 => vec![block(format!("10.{net}.0.0/24"))],
        // IPv6 first and in upper case, as people write it.
        1 => vec![
            block(format!("FD00:00{net}::/64")),
            block(format!("10.{}.0.0/24", net + 1)),
        ],
        _ => vec![],
    };
    DesiredNetwork {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        internal: variant == 3,
        enable_ipv6: (variant == 1).then_some(true),
        ipam,
        policy,
        ..DesiredNetwork::default()
    }
}

pub(crate) fn volume(uid: &str, variant: u8, policy: Behaviour, loss: LossPolicy) -> DesiredVolume {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        let owned = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        owned.collect()
    };
    DesiredVolume {
        name: object(uid).to_owned(),
        driver: if variant == 3 { "plugin" } else { "local" }.to_owned(),
        credentials: None,
        ownership: None,
        options: match variant {
            1 => map(&[("type", "nfs"), ("device", ":/a"), ("o", "addr=nas,rw")]),
            4 => map(&[("type", "nfs"), ("device", ":/b"), ("o", "addr=nas,rw")]),
            _ => map(&[]),
        },
        labels: match variant {
            2 => map(&[("tier", "gold")]),
            _ => map(&[]),
        },
        loss_policy: loss,
        policy,
    }
}

/// Returns the entry of a wish; `id` is what a tombstone names.
pub(crate) fn entry(uid: &str, wish: &Wish, id: Option<String>) -> Option<Entry> {
    let bare = |(spec, revision)| Entry {
        uid: uid.to_owned(),
        kind: kind(uid).into(),
        namespace: "team".to_owned(),
        name: object(uid).to_owned(),
        revision,
        spec,
        ..Entry::default()
    };
    match wish {
        Wish::Out => None,
        Wish::Present {
            variant,
            policy,
            loss,
        } => Some(bare(match kind(uid) {
            Kind::SwarmCluster
            | Kind::PrunePolicy
            | Kind::BackupRepository
            | Kind::VolumeBackup
            | Kind::VolumeBackupSchedule
            | Kind::VolumeRestore => panic!("no world has them"),
            Kind::DockerNetwork => payload(&network(uid, *variant, *policy), None),
            Kind::DockerVolume => payload(&volume(uid, *variant, *policy, *loss), None),
        })),
        Wish::Absent { policy, .. } => {
            let stone = Tombstone {
                name: object(uid).to_owned(),
                policy: *policy,
            };
            Some(render::tombstone(&bare(payload(&stone, None)), &stone, id))
        }
    }
}

/// An order of entries, for tests that the order does not matter.
pub(crate) fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut keyed: Vec<(u64, T)> = (1u64..)
        .zip(items)
        .map(|(i, item)| {
            (
                (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7,
                item.clone(),
            )
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, item)| item).collect()
}
