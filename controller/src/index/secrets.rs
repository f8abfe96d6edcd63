//! The Secrets that resources name, and when each is read.
//!
//! The owner of a Secret grants the right to read it, by name. With such a right one Secret can be
//! watched, but not many by one watch, and ten thousand Secrets would need ten thousand watches. So
//! the Secrets are read in turn, a bounded number each second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dockfleet_planner::credentials::{CredentialEntry, Credentials, SecretForm, Unusable, version};
use dockfleet_planner::kinds as planner_kinds;
use dockfleet_planner::resource::Resource;
use tokio::time::Instant;

use super::{Index, Uid};
use crate::lane::spread;
use crate::object::Name;

/// The shortest interval between two reads of a Secret: short, because people wait after they
/// change a password.
const AGAIN: Duration = Duration::from_secs(5);
/// The additional interval for each Secret: 20 Secrets are read each second, however many exist.
const AGAIN_FOR_EACH: Duration = Duration::from_millis(50);

/// The interval while a join token is awaited: an agent is about to write it, and hosts wait for it. Few swarms form
/// at the same time.
const AWAITED_TOKEN: Duration = Duration::from_secs(1);

/// Returns the interval between two reads of a Secret, with jitter.
fn again_after(secrets: usize, random: u64) -> Duration {
    let each = AGAIN_FOR_EACH.saturating_mul(u32::try_from(secrets).unwrap_or(u32::MAX));
    spread(AGAIN.max(each), random)
}

/// The result of reading one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SecretReading {
    /// It exists in this version, with usable credentials or without.
    Found(String, Result<Credentials, Unusable>),
    /// It is that of a host, with the join token of its swarm.
    Token(CredentialEntry),
    /// It is that of a host, without a join token.
    NoToken,
    /// It does not exist.
    Missing,
    /// It cannot be read, and why.
    Unreadable(String),
}

impl SecretReading {
    /// Creates the result for a Secret that exists.
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
    /// The credentials of each, or why it cannot be used. A Secret that was not read yet is not in
    /// it.
    pub(super) known: BTreeMap<Name, Result<CredentialEntry, String>>,
    /// When each is read again.
    due: BTreeSet<(Instant, Name)>,
}

/// The resources that name one Secret.
#[derive(Debug, Default)]
struct Users {
    uids: BTreeSet<Uid>,
    /// When it is read again, if it was read.
    again: Option<Instant>,
}

impl Secrets {
    /// Returns when the next Secret is read again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }
}

impl Index {
    /// Updates which Secret a resource names.
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

    /// Returns what is read of a Secret; `None` if no resource names it. A resource of users that names the
    /// Secret of a host gets nothing out of it. One Secret for a mount and a repository is read for the mount: what
    /// the repository lacks is told.
    pub(crate) fn secret_form(&self, name: &Name) -> Option<SecretForm> {
        let users = &self.secrets.users.get(name)?.uids;
        let users = users.iter().filter_map(|uid| self.parents.get(uid));
        let forms: BTreeSet<SecretForm> = users
            .map(|p| planner_kinds::secret_form(p.object.kind()))
            .collect();
        match forms.len() {
            1 => forms.first().copied(),
            _ => Some(SecretForm::Mount),
        }
    }

    /// Schedules the next read of a Secret.
    pub(crate) fn read_again(&mut self, name: &Name, random: u64) {
        let is_known = matches!(self.secrets.known.get(name), Some(Ok(_)));
        let after = if !is_known && self.secret_form(name) == Some(SecretForm::JoinToken) {
            AWAITED_TOKEN
        } else {
            again_after(self.secrets.users.len(), random)
        };
        let at = self.heartbeats.now() + after;
        let Some(users) = self.secrets.users.get_mut(name) else {
            return;
        };
        if let Some(before) = users.again.replace(at) {
            self.secrets.due.remove(&(before, name.clone()));
        }
        self.secrets.due.insert((at, name.clone()));
    }

    /// Marks the Secrets dirty that are due.
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

    /// Applies the result of reading a Secret.
    pub(crate) fn secret_read(&mut self, name: &Name, reading: SecretReading) {
        let Some(users) = self.secrets.users.get(name).map(|u| u.uids.clone()) else {
            return;
        };
        let known = match reading {
            SecretReading::Found(version, Ok(credentials)) => Ok(CredentialEntry {
                version,
                credentials,
            }),
            SecretReading::Found(_, Err(why)) => {
                Err(format!("Secret {name} cannot be used: {why}"))
            }
            SecretReading::Token(entry) => Ok(entry),
            SecretReading::NoToken => Err(format!("Secret {name} has no join token yet")),
            SecretReading::Missing => Err(format!("Secret {name} does not exist")),
            // The earlier result counts.
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

    /// Returns why the Secret that a resource names cannot be used, if so.
    pub(super) fn unusable_secret(&self, resource: &dyn Resource) -> Option<String> {
        let known = self.secrets.known.get(&secret_of(resource)?)?;
        known.as_ref().err().cloned()
    }

    /// Whether a resource waits for the first read of its Secret.
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
