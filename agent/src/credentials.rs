//! The credentials of mounts, from the host's own Secret.
//!
//! They are kept in memory only: the engine stores what it needs for existing volumes, across restarts, and a
//! file with passwords could be stolen. The cost: a volume that must be recreated while the API server is
//! unreachable waits for it.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;

use dockfleet_crds::Entry;
use dockfleet_planner::credentials::{CredentialEntry, CredentialStore};
use dockfleet_planner::desired::EntrySpec;
use dockfleet_vitals::chain;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use crate::report::{ApiError, call};
use crate::retry::Backoff;

/// The versions that entries name, by the UID of the resource.
type WantedVersions = BTreeMap<String, String>;

/// Reads credentials in a task of its own, and keeps them.
#[derive(Debug)]
pub(crate) struct CredentialKeeper {
    wanted: watch::Sender<WantedVersions>,
    store: watch::Receiver<Arc<CredentialStore>>,
    /// Never ends by itself while this exists.
    reader: AbortOnDropHandle<()>,
}

impl CredentialKeeper {
    /// Starts the reader of the Secret with the host's name. It reads whenever credentials are missing.
    pub(crate) fn start(client: &Client, namespace: &str, host: &str) -> Self {
        let (wanted, requests) = watch::channel(WantedVersions::new());
        let (sender, store) = watch::channel(Arc::default());
        let reader = Reader {
            secrets: Api::namespaced(client.clone(), namespace),
            name: host.to_owned(),
        };
        Self {
            wanted,
            store,
            reader: AbortOnDropHandle::new(tokio::spawn(reader.run(requests, sender))),
        }
    }

    /// Requests the credentials of these entries, unless they are already there.
    pub(crate) fn ask_for(&mut self, entries: &[Entry]) {
        let wanted = wanted_by(entries);
        self.wanted.send_if_modified(|before| {
            let changed = *before != wanted;
            *before = wanted;
            changed
        });
    }

    /// Waits until the credentials have changed.
    pub(crate) async fn changed(&mut self) {
        if self.store.changed().await.is_err() {
            match (&mut self.reader).await.map_err(JoinError::try_into_panic) {
                Err(Ok(panic)) => resume_unwind(panic),
                // The reader ends with this.
                Ok(()) | Err(Err(_)) => std::future::pending().await,
            }
        }
    }

    /// Returns the credentials as they are at any time.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<CredentialStore>> {
        self.store.clone()
    }

    /// Returns the credentials.
    pub(crate) fn store(&self) -> Arc<CredentialStore> {
        self.store.borrow().clone()
    }
}

fn wanted_by(entries: &[Entry]) -> WantedVersions {
    let mut wanted = WantedVersions::new();
    for entry in entries {
        if let Ok(EntrySpec::Present(desired)) = EntrySpec::of(entry)
            && let Some(version) = desired.credentials()
        {
            wanted.insert(entry.uid.clone(), version.to_owned());
        }
    }
    wanted
}

struct Reader {
    secrets: Api<Secret>,
    name: String,
}

impl Reader {
    /// Reads the Secret until no credentials are missing, after each request.
    async fn run(
        self,
        mut requests: watch::Receiver<WantedVersions>,
        sender: watch::Sender<Arc<CredentialStore>>,
    ) {
        let mut backoff = Backoff::default();
        loop {
            let wanted = requests.borrow_and_update().clone();
            if !is_missing(&sender.borrow(), &wanted) {
                backoff.reset();
                // Credentials that are no longer needed are dropped. The read lock must be released before
                // the write in `update`.
                let kept = kept(&sender.borrow(), &wanted);
                update(&sender, kept);
                if requests.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let store = match self.read().await {
                Ok(secret) => self.select(secret.as_ref(), &wanted),
                Err(err) => {
                    let error = chain(&err);
                    tracing::warn!(error, "the credentials of mounts could not be read");
                    let mut store = CredentialStore::clone(&sender.borrow());
                    store.error = Some(error);
                    store
                }
            };
            let missing = is_missing(&store, &wanted);
            update(&sender, store);
            if missing {
                tracing::debug!("credentials are missing; reading them again");
                let wait = tokio::time::sleep(backoff.next());
                tokio::select! {
                    () = wait => {}
                    changed = requests.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        // After a change the credentials are usually there, so the Secret is read at once.
                        requests.mark_changed();
                    }
                }
            }
        }
    }

    async fn read(&self) -> Result<Option<Secret>, ApiError> {
        call(self.secrets.get_opt(&self.name)).await
    }

    /// Selects the wanted credentials from the Secret.
    fn select(&self, secret: Option<&Secret>, wanted: &WantedVersions) -> CredentialStore {
        let mut store = CredentialStore::new();
        let Some(secret) = secret else {
            store.error = Some(format!("there is no Secret {}", self.name));
            return store;
        };
        for (uid, version) in wanted {
            let bytes = secret.data.as_ref().and_then(|data| data.get(uid));
            match bytes.and_then(|bytes| CredentialEntry::unpacked(&bytes.0)) {
                Some(entry) if entry.version == *version => store.insert(uid.clone(), entry),
                Some(_) => store.error = Some("it has a different version".to_owned()),
                None => store.error = Some("it does not have the credentials yet".to_owned()),
            }
        }
        store
    }
}

fn is_missing(store: &CredentialStore, wanted: &WantedVersions) -> bool {
    wanted.iter().any(|(uid, v)| store.get(uid, v).is_none())
}

fn kept(store: &CredentialStore, wanted: &WantedVersions) -> CredentialStore {
    let mut kept = store.clone();
    kept.retain(|uid| wanted.contains_key(uid));
    kept
}

fn update(sender: &watch::Sender<Arc<CredentialStore>>, store: CredentialStore) {
    sender.send_if_modified(|before| {
        let changed = **before != store;
        *before = Arc::new(store);
        changed
    });
}
