//! Resources that make others: which VolumeBackups a schedule has made.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::VolumeBackup;
use dockfleet_planner::resource::Resource;

use super::{Index, Uid};
use crate::parent::Parent;

/// The resources that each resource has made.
#[derive(Debug, Default)]
pub(super) struct Makers(BTreeMap<Uid, BTreeSet<Uid>>);

impl Index {
    /// Follows a changed or deleted resource: who made it is looked at again.
    pub(super) fn follow_maker(&mut self, uid: &str, before: Option<&Parent>) {
        let now = self.parents.get(uid).map(|p| &p.object);
        let maker =
            |parent: Option<&Parent>| parent.and_then(|p| maker_of(&**p).map(str::to_owned));
        let (was, is) = (maker(before), maker(now));
        if was.is_none() && is.is_none() {
            return;
        }
        let changed = match (before, now) {
            (Some(before), Some(now)) => before.own_status() != now.own_status(),
            _ => true,
        };
        if let Some(maker) = was.as_ref().filter(|_| was != is)
            && let Some(made) = self.makers.0.get_mut(maker)
        {
            made.remove(uid);
            if made.is_empty() {
                self.makers.0.remove(maker);
            }
        }
        if let Some(maker) = &is {
            let made = self.makers.0.entry(maker.clone()).or_default();
            made.insert(uid.to_owned());
        }
        for maker in [was, is].into_iter().flatten().filter(|_| changed) {
            self.touch(&maker);
        }
    }

    /// Returns the VolumeBackups that a resource has made, by UID.
    pub(super) fn made_by(&self, uid: &str) -> Vec<&VolumeBackup> {
        let made = self.makers.0.get(uid).into_iter().flatten();
        let made = made.filter_map(|uid| self.parents.get(uid));
        made.filter_map(|parent| parent.object.downcast()).collect()
    }
}

/// Returns the UID of the resource that made another one.
fn maker_of(resource: &dyn Resource) -> Option<&str> {
    let mut owners = resource.metadata().owner_references.iter().flatten();
    let maker = owners.find(|owner| owner.controller == Some(true))?;
    Some(&maker.uid)
}
