//! Credentials of mounts: which of them a host must have, and which its own Secret has.
//!
//! An entry names the version of its credentials only when they are in the host's Secret, so that
//! an agent never looks for missing ones. If a Secret loses credentials, its agent reports them as
//! missing.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::{Intent, Reason};
use dockfleet_planner::assignment::{CredentialVersions, Lifecycle, Refusal};
use dockfleet_planner::credentials::{CredentialEntry, SecretForm};
use dockfleet_planner::kinds;
use dockfleet_planner::resource::Resource;
use dockfleet_planner::select::{Selection, selection};

use super::secrets::secret_of;
use super::{HostState, Index, Uid};
use crate::object::Name;

/// The credentials in one host's own Secret, as far as known.
#[derive(Debug, Default)]
pub(super) struct SyncedCredentials {
    /// The versions in it, by the UID of the resource; `None` before it is known.
    had: Option<BTreeMap<Uid, String>>,
    /// Resources whose credentials the agent reports as missing.
    missed: BTreeSet<Uid>,
    /// Why the last sync failed.
    error: Option<String>,
}

/// The changes to write into one host's own Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SecretSync {
    /// The credentials of resources.
    pub(crate) put: BTreeMap<Uid, CredentialEntry>,
    /// Resources that no longer have an entry on the host.
    pub(crate) take: BTreeSet<Uid>,
    /// It is not known what the Secret has, and it may have something to take.
    pub(crate) look: bool,
}

/// The state of a resource's credentials on a host.
enum CredentialState<'a> {
    /// It needs no credentials, or none on this host.
    NotNeeded,
    /// Its Secret was not read yet.
    NotRead,
    /// Its Secret cannot be used, and why.
    Unusable(String),
    /// They must be in the host's Secret.
    Wanted(&'a CredentialEntry),
}

impl Index {
    fn credential_state(&self, state: &HostState, resource: &dyn Resource) -> CredentialState<'_> {
        let Some(name) = secret_of(resource) else {
            return CredentialState::NotNeeded;
        };
        let comes = state.host().is_some_and(|h| {
            selection(resource, h, &self.namespaces) == Selection::Yes
                && resource.needs_credentials(h)
        });
        match self.secrets.known.get(&name) {
            _ if !comes => CredentialState::NotNeeded,
            None => CredentialState::NotRead,
            Some(Err(why)) => CredentialState::Unusable(why.clone()),
            Some(Ok(credentials)) => CredentialState::Wanted(credentials),
        }
    }

    /// Decides whether the entry of a resource can have its credentials, and adds their version or
    /// a refusal to `granted`. Returns false if that is not known yet.
    pub(super) fn grant(
        &self,
        state: &HostState,
        resource: &dyn Resource,
        lifecycle: Lifecycle,
        granted: &mut CredentialVersions,
    ) -> bool {
        if let Some(version) = self.untaken(state, resource) {
            granted.insert(resource.uid().to_owned(), Ok(version.to_owned()));
            return true;
        }
        // A resource that no longer selects the host needs no credentials to be removed.
        if lifecycle != Lifecycle::Live || !state.selected_by.contains(resource.uid()) {
            return true;
        }
        let missing = |message| Refusal {
            reason: Reason::CredentialsMissing,
            message,
        };
        let uid = resource.uid();
        let answer = match self.credential_state(state, resource) {
            CredentialState::NotNeeded => return true,
            CredentialState::NotRead => return false,
            CredentialState::Unusable(why) => Err(missing(why)),
            CredentialState::Wanted(credentials) if state.has_synced(uid, &credentials.version) => {
                Ok(credentials.version.clone())
            }
            CredentialState::Wanted(_) => match &state.synced.error {
                None => return false,
                Some(why) => Err(missing(format!(
                    "the credentials cannot be written to the Secret of host {}: {why}",
                    state.display_name
                ))),
            },
        };
        granted.insert(uid.to_owned(), answer);
        true
    }

    /// Returns the version of a swarm's token that a host needs no more and that may still be in its Secret. The entry
    /// names it until it is taken from there, so that the next controller knows of it.
    fn untaken<'a>(&self, state: &'a HostState, resource: &dyn Resource) -> Option<&'a str> {
        let uid = resource.uid();
        let version = state.named(uid)?;
        let may_have = state.synced.had.as_ref();
        let may_have = may_have.is_none_or(|had| had.contains_key(uid));
        (may_have && self.needs_no_more(state, uid)).then_some(version)
    }

    /// Marks a host's Secret dirty if it lacks credentials or has unused ones.
    pub(super) fn check_secret_sync(&mut self, name: &Name) {
        if self.secret_sync(name).is_some() {
            self.dirty.secret_syncs.insert(name.clone());
        }
    }

    /// Returns the changes to write into a host's Secret, if any.
    pub(crate) fn secret_sync(&self, name: &Name) -> Option<SecretSync> {
        let state = self.hosts.get(name)?;
        let host = state.host()?;
        let mut sync = SecretSync::default();
        let mut lacks = false;
        for uid in &state.selected_by {
            let Some(parent) = self.parents.get(uid) else {
                continue;
            };
            if self.admitted(parent, state) != Some(Lifecycle::Live) {
                continue;
            }
            if let CredentialState::Wanted(credentials) =
                self.credential_state(state, &*parent.object)
            {
                lacks |= !state.has_synced(uid, &credentials.version);
                let of_host = CredentialEntry {
                    version: credentials.version.clone(),
                    credentials: parent.object.credentials_on(host, &credentials.credentials),
                };
                sync.put.insert(uid.clone(), of_host);
            }
        }
        if state.assignment.is_some() {
            if let Some(had) = &state.synced.had {
                let idle = had
                    .keys()
                    .filter(|uid| state.entry(uid).is_none() || self.needs_no_more(state, uid));
                let idle = idle.filter(|uid| !sync.put.contains_key(*uid));
                sync.take = idle.cloned().collect();
            } else {
                sync.look = self.may_have_idle(state);
            }
        }
        if !lacks {
            // A Secret that was created again lacks all of them, so either all are written or none.
            sync.put.clear();
        }
        (sync != SecretSync::default()).then_some(sync)
    }

    /// Whether a Secret of which nothing is known may have credentials that its host needs no more: those of a tombstone,
    /// or a token that an entry still names.
    fn may_have_idle(&self, state: &HostState) -> bool {
        let mut entries = state.entries().iter();
        entries.any(|entry| {
            let uid = &entry.uid;
            entry.intent == Intent::Absent
                || (state.named(uid).is_some() && self.needs_no_more(state, uid))
        })
    }

    /// Whether a host has joined its swarm, so that it needs the join token no more (invariant 9).
    fn needs_no_more(&self, state: &HostState, uid: &str) -> bool {
        let of_a_swarm = self
            .parents
            .get(uid)
            .filter(|p| kinds::secret_form(p.object.kind()) == SecretForm::JoinToken);
        of_a_swarm
            .zip(state.host())
            .is_some_and(|(parent, host)| !parent.object.needs_credentials(host))
    }

    /// Records the versions in a host's Secret after a sync.
    pub(crate) fn secret_synced(&mut self, name: &Name, had: BTreeMap<Uid, String>) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        state.synced = SyncedCredentials {
            had: Some(had),
            ..SyncedCredentials::default()
        };
        self.await_entries_with_credentials(name);
        self.check_secret_sync(name);
    }

    /// Records that a sync failed.
    pub(crate) fn secret_sync_failed(&mut self, name: &Name, why: String) {
        let Some(state) = self.hosts.get_mut(name) else {
            return;
        };
        if state.synced.error.as_ref() != Some(&why) {
            state.synced.error = Some(why);
            self.await_entries_with_credentials(name);
        }
    }

    /// Marks those entries of a host dirty that need credentials, or name some.
    fn await_entries_with_credentials(&mut self, name: &Name) {
        let selected = self.hosts.get(name).map(|s| s.selected_by.clone());
        let host = BTreeSet::from([name.clone()]);
        for uid in selected.into_iter().flatten() {
            let needs = self
                .parents
                .get(&uid)
                .is_some_and(|p| secret_of(&*p.object).is_some());
            let state = self.hosts.get(name);
            if needs || state.is_some_and(|s| s.named(&uid).is_some()) {
                self.await_entries(&uid, &host);
                self.touch(&uid);
            }
        }
    }
}

impl HostState {
    /// Whether the host's Secret has credentials: they were written, or an entry names them, which
    /// happens only after they were written.
    fn has_synced(&self, uid: &str, version: &str) -> bool {
        if self.synced.missed.contains(uid) {
            return false;
        }
        let had = self.synced.had.as_ref().and_then(|had| had.get(uid));
        let had = had.map(String::as_str);
        had == Some(version) || (had.is_none() && self.named(uid) == Some(version))
    }

    /// Returns the version of the credentials that an entry names.
    fn named(&self, uid: &str) -> Option<&str> {
        let entry = self.entry(uid)?;
        let version = entry.spec.get("credentials")?.as_str();
        version.filter(|_| entry.intent == Intent::Present)
    }

    /// Records whether the agent reports a resource's credentials as missing, and returns whether
    /// that is new.
    pub(super) fn note_missing_credentials(&mut self, uid: &str) -> bool {
        let misses = self.report(uid).is_some_and(|report| {
            report.is_because(Reason::CredentialsMissing)
                && self
                    .entry(uid)
                    .is_some_and(|e| e.revision == report.revision)
        });
        if misses {
            self.synced.missed.insert(uid.to_owned())
        } else {
            self.synced.missed.remove(uid);
            false
        }
    }
}
