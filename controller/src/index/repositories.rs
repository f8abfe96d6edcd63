//! Repositories: which resources use each, how many hosts do that now, and when a status must be worked out again
//! although nothing changed.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{BackupRepository, VolumeBackup};
use dockfleet_planner::resource::{OwnStatus, RepositoryUsage, Resource};
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use super::{Index, Uid};
use crate::object::Name;
use crate::parent::{Parent, ParentName};

/// Who uses repositories, and when.
#[derive(Debug, Default)]
pub(super) struct Repositories {
    /// The resources that name each repository.
    users: BTreeMap<Name, BTreeSet<Uid>>,
    /// How many hosts each of them lets use it: its last status may not be written yet.
    slots: BTreeMap<Uid, usize>,
    /// When statuses are worked out again.
    due: BTreeSet<(Instant, Uid)>,
}

impl Repositories {
    /// Returns when the next status is worked out again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

impl Index {
    /// Follows a changed or deleted resource: who waits for its repository, or for it, is looked at again.
    pub(super) fn follow_repository(&mut self, uid: &str, before: Option<&Parent>) {
        let now = self.parents.get(uid).map(|p| &p.object);
        let named = |parent: Option<&Parent>| parent.and_then(|p| repository_of(&**p));
        let (was, is) = (named(before), named(now));
        let users = &mut self.repositories.users;
        if let Some(name) = was.as_ref().filter(|_| was != is)
            && let Some(of) = users.get_mut(name)
        {
            of.remove(uid);
            if of.is_empty() {
                users.remove(name);
            }
        }
        if let Some(name) = &is {
            users
                .entry(name.clone())
                .or_default()
                .insert(uid.to_owned());
        } else {
            self.repositories.slots.remove(uid);
        }
        let own = now.or(before).filter(|p| is_repository(&***p));
        let own = own.map(|p| ParentName::of(&**p).object());
        // Most resources have nothing to do with repositories, and a status costs more than this look.
        if was.is_none() && is.is_none() && own.is_none() {
            return;
        }
        let changed = match (before, now) {
            (Some(before), Some(now)) => before.own_status() != now.own_status(),
            _ => true,
        };
        let generation = |p: Option<&Parent>| p.and_then(|p| p.metadata().generation);
        if own.is_some() && generation(before) == generation(now) {
            return;
        }
        for name in [was, is, own].into_iter().flatten().filter(|_| changed) {
            self.touch_users(&name, uid);
        }
    }

    /// Marks a repository and the resources that use it dirty, except one.
    fn touch_users(&mut self, repository: &Name, except: &str) {
        let users = self.repositories.users.get(repository);
        let mut uids: BTreeSet<Uid> = users.cloned().unwrap_or_default();
        uids.extend(self.repository_uid(repository).cloned());
        let is_over = |uid: &Uid| self.parents.get(uid).is_some_and(|p| p.object.is_over());
        uids.retain(|uid| uid != except && !is_over(uid));
        self.touch_all(&uids);
    }

    fn repository_uid(&self, name: &Name) -> Option<&Uid> {
        self.uids
            .get(&ParentName::new(Kind::BackupRepository, name))
    }

    /// Returns the repository that a resource needs, unless it is being deleted.
    pub(super) fn repository(&self, resource: &dyn Resource) -> Option<&BackupRepository> {
        let uid = self.repository_uid(&repository_of(resource)?)?;
        let parent = self.parents.get(uid).filter(|p| !p.object.is_deleting());
        parent?.object.downcast()
    }

    /// Returns how others use the repository of a resource; of a repository, how all use it.
    pub(super) fn usage(&self, resource: &dyn Resource) -> RepositoryUsage {
        let own = is_repository(resource).then(|| ParentName::of(resource).object());
        let Some(name) = own.or_else(|| repository_of(resource)) else {
            return RepositoryUsage::default();
        };
        let mut usage = RepositoryUsage::default();
        for uid in self.repositories.users.get(&name).into_iter().flatten() {
            let Some(parent) = self.parents.get(uid).filter(|_| uid != resource.uid()) else {
                continue;
            };
            let Some(backup) = parent.object.downcast::<VolumeBackup>() else {
                continue;
            };
            let state = backup.status.as_ref().map(|s| &s.backup);
            let written = state.map_or(0, |s| s.running.len());
            usage.running += self.repositories.slots.get(uid).copied().unwrap_or(written);
            let ended = state.filter(|s| s.is_whole());
            let ended = ended.and_then(|s| s.completion_time.clone());
            usage.last_success = usage.last_success.max(ended);
        }
        usage
    }

    /// Notes what a status that is about to be written means for others, and when it is due again.
    pub(super) fn note_own_status(&mut self, uid: &str, own: &OwnStatus, now: Timestamp) {
        if self
            .parents
            .get(uid)
            .is_some_and(|p| p.object.repository().is_some())
        {
            self.repositories.slots.insert(uid.to_owned(), own.slots);
        }
        if let Some(at) = own.again_at {
            // Never early: a status that is worked out before its time is worked out again and again.
            let wait = at.duration_since(now).unsigned_abs() + std::time::Duration::from_secs(1);
            let at = self.heartbeats.now() + wait;
            let due = &mut self.repositories.due;
            due.retain(|(_, of)| of != uid);
            due.insert((at, uid.to_owned()));
        }
    }

    /// Marks statuses dirty that are due.
    pub(super) fn tick_statuses(&mut self, now: Instant) {
        while let Some((at, uid)) = self.repositories.due.first().cloned() {
            if at > now {
                break;
            }
            self.repositories.due.remove(&(at, uid.clone()));
            self.touch(&uid);
        }
    }
}

fn is_repository(resource: &dyn Resource) -> bool {
    resource.downcast::<BackupRepository>().is_some()
}

fn repository_of(resource: &dyn Resource) -> Option<Name> {
    resource.repository().map(|name| Name {
        namespace: resource.namespace().to_owned(),
        name: name.to_owned(),
    })
}
