//! The Secrets that resources name, and when each is read.
//!
//! Who owns a Secret gives the right to read that one. Such a right is good for a watch of one Secret, but not
//! for one watch of many, and ten thousand Secrets would be ten thousand watches. So they are read again in
//! turn, a bounded number of them a second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockfleet_planner::credentials::{CredentialEntry, Credentials, Unusable, version};
use dockfleet_planner::resource::Resource;
use tokio::time::Instant;

use super::{Index, Uid};
use crate::lane::spread;
use crate::object::Name;

/// How soon a Secret is read again, at the soonest: nobody waits long for a password that was changed.
const AGAIN: Duration = Duration::from_secs(5);
/// How much later for each Secret that is named: 20 of them are read a second, however many there are.
const AGAIN_FOR_EACH: Duration = Duration::from_millis(50);

/// Returns after which time a Secret is read again that is one of so many; by chance a little later, so
/// that those that were read together are not read together again.
fn again_after(secrets: usize, random: u64) -> Duration {
    let each = AGAIN_FOR_EACH.saturating_mul(u32::try_from(secrets).unwrap_or(u32::MAX));
    spread(AGAIN.max(each), random)
}

/// What was read of one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretReading {
    /// It is there, in this version, with credentials or without.
    Found(String, Result<Credentials, Unusable>),
    /// It is not there.
    Missing,
    /// It cannot be read: why.
    Unreadable(String),
}

impl SecretReading {
    /// Makes what is to be known of a Secret that is there.
    pub(crate) fn found(
        uid: &str,
        resource_version: &str,
        credentials: Result<Credentials, Unusable>,
    ) -> Self {
        Self::Found(version(uid, resource_version), credentials)
    }
}

/// The Secrets that resources name.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    named_by: BTreeMap<Uid, Name>,
    users: BTreeMap<Name, Users>,
    /// What each has, or why it cannot serve. One that nothing was heard of yet is not in it.
    pub(super) known: BTreeMap<Name, Result<CredentialEntry, String>>,
    /// Those that are to be read again.
    due: BTreeSet<(Instant, Name)>,
}

/// The resources that name one Secret.
#[derive(Debug, Default)]
struct Users {
    uids: BTreeSet<Uid>,
    /// When it is to be read again, once it was read.
    again: Option<Instant>,
}

impl Secrets {
    /// Returns when the next one is to be read again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

impl Index {
    /// Keeps the Secrets by the resources that name them.
    pub(super) fn follow_secret(&mut self, uid: &str) {
        let parent = self.parents.get(uid).map(|p| &*p.object);
        let name = parent.and_then(secret_of);
        let secrets = &mut self.secrets;
        let before = match &name {
            Some(name) => secrets.named_by.insert(uid.to_owned(), name.clone()),
            None => secrets.named_by.remove(uid),
        };
        if before == name {
            return;
        }
        if let Some(before) = before
            && let Some(users) = secrets.users.get_mut(&before)
        {
            users.uids.remove(uid);
            if users.uids.is_empty() {
                let again = users.again;
                secrets.users.remove(&before);
                secrets.known.remove(&before);
                if let Some(at) = again {
                    secrets.due.remove(&(at, before));
                }
            }
        }
        if let Some(name) = name {
            let users = secrets.users.entry(name.clone()).or_default();
            users.uids.insert(uid.to_owned());
            if !secrets.known.contains_key(&name) {
                self.dirty.secrets.insert(name);
            }
        }
    }

    /// Whether a resource names a Secret.
    pub(crate) fn names_secret(&self, name: &Name) -> bool {
        self.secrets.users.contains_key(name)
    }

    /// Has a Secret that was read now read again later.
    pub(crate) fn read_again(&mut self, name: &Name, random: u64) {
        let at = self.heartbeats.now() + again_after(self.secrets.users.len(), random);
        let Some(users) = self.secrets.users.get_mut(name) else {
            return;
        };
        if let Some(before) = users.again.replace(at) {
            self.secrets.due.remove(&(before, name.clone()));
        }
        self.secrets.due.insert((at, name.clone()));
    }

    /// Has those read again whose time has come.
    pub(super) fn tick_secrets(&mut self, now: Instant) {
        while let Some((at, name)) = self.secrets.due.first().cloned() {
            if at > now {
                break;
            }
            self.secrets.due.remove(&(at, name.clone()));
            if let Some(users) = self.secrets.users.get_mut(&name) {
                users.again = None;
                self.dirty.secrets.insert(name);
            }
        }
    }

    /// Takes in what was read of a Secret.
    pub(crate) fn secret_read(&mut self, name: &Name, reading: SecretReading) {
        let Some(users) = self.secrets.users.get(name).map(|u| u.uids.clone()) else {
            return;
        };
        let known = match reading {
            SecretReading::Found(version, Ok(credentials)) => Ok(CredentialEntry {
                version,
                credentials,
            }),
            SecretReading::Found(_, Err(why)) => Err(format!("Secret {name} cannot serve: {why}")),
            SecretReading::Missing => Err(format!("there is no Secret {name}")),
            // What was read before holds.
            SecretReading::Unreadable(_) if self.secrets.known.contains_key(name) => return,
            SecretReading::Unreadable(why) => Err(format!("Secret {name} cannot be read: {why}")),
        };
        if self.secrets.known.get(name) == Some(&known) {
            return;
        }
        self.secrets.known.insert(name.clone(), known);
        for uid in users {
            let concerned = self.concerned(&uid);
            self.await_entries(&uid, &concerned);
            self.touch(&uid);
        }
    }

    /// Whether nothing can be said of a resource before its Secret was heard of.
    pub(super) fn awaits_secret(&self, resource: &dyn Resource) -> bool {
        secret_of(resource).is_some_and(|name| !self.secrets.known.contains_key(&name))
    }
}

/// Returns the Secret that a resource names.
pub(super) fn secret_of(resource: &dyn Resource) -> Option<Name> {
    resource.credentials_secret().map(|name| Name {
        namespace: resource.namespace().to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_secrets_are_read_a_second_at_most_however_many_there_are() {
        for (secrets, seconds) in [(1, 5), (100, 5), (1_000, 50), (10_000, 500)] {
            let soonest = Duration::from_secs(seconds);
            assert_eq!(again_after(secrets, 0), soonest);
            assert!(again_after(secrets, u64::MAX) <= soonest * 3 / 2);
        }
    }
}
