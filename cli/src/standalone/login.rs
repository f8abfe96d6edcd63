//! Credentials of volumes, from the Secrets in the files. They are never stored: each command reads
//! them again.

use std::collections::BTreeMap;

use dockfleet_crds::Reason;
use dockfleet_planner::assignment::{CredentialVersions, Refusal};
use dockfleet_planner::credentials::{CredentialEntry, CredentialStore, Credentials, Unusable};
use dockfleet_planner::resource::Resource;

/// The version of all credentials from files. Their content is available for each action, and is
/// compared directly.
const VERSION: &str = "files";

/// The credentials in the files.
#[derive(Debug, Default)]
pub(crate) struct Login {
    /// For the planner: the resources that have credentials.
    pub(super) granted: CredentialVersions,
    /// For the pass: the credentials.
    pub(super) store: CredentialStore,
}

impl Login {
    /// Returns the credentials of each resource that uses a Secret.
    pub(super) fn of(
        resources: &[Box<dyn Resource>],
        secrets: &BTreeMap<(String, String), Result<Credentials, Unusable>>,
    ) -> Self {
        let mut login = Self::default();
        for resource in resources {
            // The join token of a swarm is in no file.
            let secret = resource.credentials_secret();
            let Some(name) = secret.filter(|_| !resource.is_for_own_namespace()) else {
                continue;
            };
            let uid = resource.uid().to_owned();
            let key = (resource.namespace().to_owned(), name.to_owned());
            let which = format!("Secret {}/{name}", resource.namespace());
            let granted = match secrets.get(&key) {
                Some(Ok(credentials)) => {
                    let parcel = CredentialEntry {
                        version: VERSION.to_owned(),
                        credentials: credentials.clone(),
                    };
                    login.store.insert(uid.clone(), parcel);
                    Ok(VERSION.to_owned())
                }
                Some(Err(why)) => Err(format!("{which} cannot serve: {why}")),
                None => Err(format!("{which} is not in the files")),
            };
            let granted = granted.map_err(|message| Refusal {
                reason: Reason::CredentialsMissing,
                message,
            });
            login.granted.insert(uid, granted);
        }
        login
    }

    /// Gives a resource its credentials, or says why it gets none.
    pub(super) fn grant(&mut self, uid: String, credentials: Result<CredentialEntry, Refusal>) {
        let granted = credentials.map(|entry| {
            let version = entry.version.clone();
            self.store.insert(uid.clone(), entry);
            version
        });
        self.granted.insert(uid, granted);
    }

    /// Takes the credentials of a resource back.
    pub(super) fn revoke(&mut self, uid: &str) {
        self.granted.remove(uid);
        self.store.retain(|other| other != uid);
    }
}
