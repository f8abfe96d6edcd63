//! Which objects of a host a policy means.

use std::collections::BTreeSet;

use dockfleet_crds::prune::PrunedKind;
use dockfleet_crds::selector;

use super::desired::DesiredPrune;
use super::keep::{Keep, Protected, never};
use super::object::PrunableObject;
use super::observation::{Observation, Unused};
use crate::kinds::ObservedObject as _;

/// What an agent sees of a host.
#[derive(Clone, Copy, Debug)]
pub struct PruneView<'a> {
    /// Every volume and network.
    pub objects: &'a [PrunableObject],
    /// The identities of those that a container uses, running, stopped or only created.
    pub used: &'a BTreeSet<String>,
    /// The identities of the volumes of which it is known that they are empty.
    pub empty: &'a BTreeSet<String>,
    /// What the assignment and the journal name.
    pub protected: &'a Protected,
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// An object that a policy may remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The object.
    pub object: PrunableObject,
    /// Since when it is unused, and listed.
    pub unused: Unused,
}

/// What a policy means on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The candidates, by name.
    pub candidates: Vec<Candidate>,
    /// The other objects of the kind, by name, and why they are not candidates.
    pub kept: Vec<(PrunableObject, Keep)>,
    /// What is known of the unused objects now.
    pub observation: Observation,
}

impl Selected {
    /// Selects the candidates among the objects of a host. What is a candidate for the first time is listed from now on.
    pub fn of(want: &DesiredPrune, before: Option<&Observation>, view: &PruneView<'_>) -> Self {
        let of_kind = view.objects.iter().filter(|o| o.kind() == want.kind);
        let mut kept = Vec::new();
        let mut unused: Vec<&PrunableObject> = Vec::new();
        let mut existing = BTreeSet::new();
        for object in of_kind {
            existing.insert(object.id());
            match untouchable(object, view) {
                Some(keep) => kept.push((object.clone(), keep)),
                None => unused.push(object),
            }
        }
        unused.sort_by(|a, b| (&a.name, &a.identity).cmp(&(&b.name, &b.identity)));
        let ids: BTreeSet<String> = unused.iter().map(|o| o.id()).collect();
        let mut observation = Observation::followed_by(before, &ids, &existing, view.now);
        let mut candidates = Vec::new();
        for object in unused {
            let Some(known) = observation.unused.get_mut(&object.id()) else {
                continue;
            };
            if let Some(keep) = left_alone(want, object, *known, view) {
                kept.push((object.clone(), keep));
                known.listed = None;
            } else {
                known.listed.get_or_insert(view.now);
                candidates.push(Candidate {
                    object: object.clone(),
                    unused: *known,
                });
            }
        }
        kept.sort_by(|(a, _), (b, _)| (&a.name, &a.identity).cmp(&(&b.name, &b.identity)));
        Self {
            candidates,
            kept,
            observation,
        }
    }

    /// Returns how many objects are kept for a reason.
    pub fn kept_as(&self, reason: Keep) -> usize {
        self.kept.iter().filter(|(_, keep)| *keep == reason).count()
    }

    /// Returns how many objects of the kind the host has, without those that an engine always has.
    pub fn all(&self) -> usize {
        self.candidates.len() + self.kept.len() - self.kept_as(Keep::Predefined)
    }
}

/// Returns the volumes into which an agent has to look: they could be candidates if they are empty.
pub fn to_look_into<'a>(
    want: &'a DesiredPrune,
    view: &'a PruneView<'a>,
) -> impl Iterator<Item = &'a PrunableObject> {
    let asks = want.kind == PrunedKind::Volume && !want.include_non_empty;
    let all = view.objects.iter().filter(move |_| asks);
    all.filter(|o| o.kind() == want.kind && untouchable(o, view).is_none())
        .filter(|o| not_meant(want, o).is_none())
}

/// Returns why an object is in use or never pruned, if so.
fn untouchable(object: &PrunableObject, view: &PruneView<'_>) -> Option<Keep> {
    if view.used.contains(&object.id()) {
        return Some(Keep::InUse);
    }
    never(object, view.protected)
}

/// Returns why a policy does not mean an object, if so.
fn not_meant(want: &DesiredPrune, object: &PrunableObject) -> Option<Keep> {
    let selects = |s| selector::matches(s, &object.labels);
    if !want.selector.as_ref().is_none_or(selects) {
        Some(Keep::NotSelected)
    } else if want.only_anonymous && !object.is_anonymous() {
        Some(Keep::Named)
    } else {
        None
    }
}

/// Returns why an unused object is no candidate, if so.
fn left_alone(
    want: &DesiredPrune,
    object: &PrunableObject,
    unused: Unused,
    view: &PruneView<'_>,
) -> Option<Keep> {
    let may_have_data = object.kind() == PrunedKind::Volume
        && !want.include_non_empty
        && !view.empty.contains(&object.id());
    not_meant(want, object)
        .or_else(|| may_have_data.then_some(Keep::NonEmpty))
        .or_else(|| (view.now - unused.since < want.min_unused_for).then_some(Keep::Recent))
}
