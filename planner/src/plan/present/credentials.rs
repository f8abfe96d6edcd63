//! The credentials that an entry needs: available, or missing.

use dockfleet_crds::{Entry, EntryStatus, FieldDiff, Reason};

use super::Case;
use crate::credentials::{CredentialStore, Credentials};
use crate::kinds::{Desired, Object};
use crate::plan::pending;

/// The credentials that an entry names.
#[derive(Clone, Copy)]
pub(super) enum EntryCredentials<'a> {
    /// It names none.
    NotNamed,
    /// They are available in this version.
    Available(&'a str, &'a Credentials),
    /// They are not available in this version.
    Missing(&'a str),
}

impl<'a> EntryCredentials<'a> {
    pub(super) fn of(entry: &Entry, desired: &'a Desired, store: &'a CredentialStore) -> Self {
        let Some(version) = desired.credentials() else {
            return Self::NotNamed;
        };
        let found = store.get(&entry.uid, version);
        found.map_or(Self::Missing(version), |c| Self::Available(version, c))
    }

    pub(super) fn available(self) -> Option<&'a Credentials> {
        match self {
            Self::Available(_, credentials) => Some(credentials),
            Self::NotNamed | Self::Missing(_) => None,
        }
    }
}

impl Case<'_> {
    /// Returns the status of an object that cannot be created because its credentials are missing.
    pub(super) fn lacks_credentials(&self) -> Option<EntryStatus> {
        let EntryCredentials::Missing(_) = self.credentials else {
            return None;
        };
        let mut message = "waits for its credentials, which are in the host's Secret".to_owned();
        if let Some(error) = &self.world.context.store.error {
            message = format!("{message}: {error}");
        }
        Some(pending(self.entry, Reason::CredentialsMissing, message))
    }

    /// Returns the status of an object of which it is not known whether it has the right credentials. What
    /// was seen once is known: an engine never changes the options of a volume.
    pub(super) fn unknown_credentials(&self, object: &Object) -> Option<EntryStatus> {
        let waits = self.lacks_credentials()?;
        let EntryCredentials::Missing(version) = self.credentials else {
            return None;
        };
        (self.seen(object).as_deref() != Some(version)).then(|| EntryStatus {
            id: Some(object.id()),
            ..waits
        })
    }

    fn seen(&self, object: &Object) -> Option<String> {
        let same = self
            .record
            .filter(|r| r.id.as_ref() == Some(&object.id()))?;
        same.credentials.clone()
    }

    /// Returns the version of the credentials that the object had when it was last compared.
    pub(super) fn credentials_of(&self, object: &Object, diff: &[FieldDiff]) -> Option<String> {
        match self.credentials {
            EntryCredentials::NotNamed => None,
            EntryCredentials::Available(version, _)
                if !self.desired.has_other_credentials(diff) =>
            {
                Some(version.to_owned())
            }
            // In files the version does not change with the credentials.
            EntryCredentials::Available(version, _) => {
                self.seen(object).filter(|seen| seen != version)
            }
            EntryCredentials::Missing(_) => self.seen(object),
        }
    }
}
