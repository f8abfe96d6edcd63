//! Opens and creates repositories.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytesize::ByteSize;
use rustic_core::repofile::{KeyFile, MasterKey};
use rustic_core::{
    ConfigOptions, Credentials, IndexedFullStatus, IndexedIdsStatus, KeyOptions, OpenStatus,
    Repository, RepositoryBackends, RepositoryOptions, RusticError,
};
use serde_json::json;

use crate::backend::Backend;
use crate::error::{Reason, VaultError};
use crate::job::Secret;
use crate::lock::{Lock, Times};
use crate::store::{Contents, FileKind, Store, StoreError};

/// The size of a pack. A backup has several in memory.
const PACK_SIZE: ByteSize = ByteSize::mib(4);
/// The format that compresses, which restic reads since 0.14.
const FORMAT: u32 = 2;

/// An open repository.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) repository: Repository<OpenStatus>,
    pub(crate) backend: Arc<Backend>,
}

/// Who may create a repository.
pub(crate) struct Creator<'a> {
    /// The name of this host, for others that wait for it.
    pub(crate) host: &'a str,
    /// How long others that create it are waited for, at most.
    pub(crate) wait: Duration,
    /// It is called with who they are, in words.
    pub(crate) on_wait: &'a dyn Fn(&str),
}

/// Opens the repository in a store; with a creator, an empty store gets one first.
///
/// # Errors
/// If the store does not answer, there is no repository, or the password is wrong.
pub(crate) fn open(
    store: Box<dyn Store>,
    secret: &Secret,
    creator: Option<&Creator<'_>>,
) -> Result<Opened, VaultError> {
    let place = Place {
        address: store.address(),
        backend: Backend::new(store),
        secret,
    };
    let contents = place.backend.store().contents()?;
    let repository = match (contents, creator, secret) {
        (Contents::Repository, _, _) => place.open()?,
        (Contents::Other, _, _) => return Err(place.not_empty()),
        (Contents::Nothing | Contents::Unfinished, Some(creator), Secret::Password(password)) => {
            place.create(creator, password)?
        }
        (Contents::Nothing, _, _) => {
            let text = format!("there is no repository at {}", place.address);
            return Err(VaultError::new(Reason::NoRepository, text));
        }
        (Contents::Unfinished, _, _) => {
            let text = format!(
                "there is no repository at {}: its creation was begun, and not finished",
                place.address
            );
            return Err(VaultError::new(Reason::NoRepository, text));
        }
    };
    Ok(Opened {
        repository,
        backend: place.backend,
    })
}

/// Where a repository is, or will be.
struct Place<'a> {
    address: String,
    backend: Arc<Backend>,
    secret: &'a Secret,
}

impl Place<'_> {
    fn closed(&self) -> Result<Repository<()>, VaultError> {
        let options = RepositoryOptions::default().no_cache(true);
        let backends = RepositoryBackends::new(self.backend.clone(), None);
        Repository::new(&options, &backends).map_err(|err| internal(&err))
    }

    fn credentials(&self) -> Credentials {
        match self.secret {
            Secret::Password(password) => Credentials::password(password),
            Secret::Key(key) => Credentials::Masterkey((**key).clone()),
        }
    }

    fn open(&self) -> Result<Repository<OpenStatus>, VaultError> {
        let doing = "cannot open the repository";
        let first = match self.closed()?.open(&self.credentials()) {
            Ok(opened) => return Ok(opened),
            Err(err) => self.cause(&err, doing),
        };
        // Several hosts may have begun to create it, and a key of one that lost may still be there. The library tries the
        // first key that the password opens, and no other.
        let is_other_key = first.reason == Reason::Internal && self.backend.failure().is_none();
        if !is_other_key || matches!(self.secret, Secret::Key(_)) {
            return Err(first);
        }
        for (id, _) in self.backend.store().list(FileKind::Key)? {
            self.backend.show_key(id);
            if let Ok(opened) = self.closed()?.open(&self.credentials()) {
                return Ok(opened);
            }
        }
        Err(first)
    }

    /// Creates a repository, unless another host does so at the same time. Then that one is opened.
    fn create(
        &self,
        creator: &Creator<'_>,
        password: &str,
    ) -> Result<Repository<OpenStatus>, VaultError> {
        let store = self.backend.store();
        store.create()?;
        let times = Times::of_creation(creator.wait);
        let lock = Lock::to_create(&self.backend, creator.host, times, creator.on_wait)?;
        let credentials = match store.contents()? {
            Contents::Repository => {
                drop(lock);
                return self.open();
            }
            Contents::Other => return Err(self.not_empty()),
            Contents::Nothing | Contents::Unfinished => self.key(password)?,
        };
        let config = ConfigOptions::default()
            .set_version(FORMAT)
            .set_datapack_size(PACK_SIZE)
            .set_datapack_growfactor(0_u32)
            .set_treepack_size(PACK_SIZE)
            .set_treepack_growfactor(0_u32);
        let created = self
            .closed()?
            .init(&credentials, &KeyOptions::default(), &config);
        match created {
            Ok(created) => Ok(created),
            Err(_) if self.backend.is_taken() => {
                // Its own key opens nothing. A store that removes no keys keeps it.
                for (kind, id) in self.backend.written().into_keys() {
                    let _ = store.remove(kind, &id);
                }
                self.open()
            }
            Err(err) => Err(self.cause(&err, "cannot create the repository")),
        }
    }

    /// Returns what a new repository is created with: the key of a creation that was begun with this password, or a new
    /// one.
    fn key(&self, password: &str) -> Result<Credentials, VaultError> {
        let store = self.backend.store();
        let keys = match store.list(FileKind::Key) {
            Err(StoreError::Missing(_)) => Vec::new(),
            other => other?,
        };
        for (id, _) in &keys {
            let content = store.read(FileKind::Key, id, None)?;
            let file: Option<KeyFile> = serde_json::from_slice(&content).ok();
            let opened = file.and_then(|file| file.key_from_password(&password).ok());
            if let Some(key) = opened {
                let (encrypt, k, r) = key.to_keys();
                let text = |bytes: Vec<u8>| BASE64_STANDARD.encode(bytes);
                let key =
                    json!({ "mac": { "k": text(k), "r": text(r) }, "encrypt": text(encrypt) });
                let key: Result<MasterKey, _> = serde_json::from_value(key);
                let failed = |err: serde_json::Error| {
                    VaultError::new(Reason::Internal, format!("a key cannot be used: {err}"))
                };
                return Ok(Credentials::Masterkey(key.map_err(failed)?));
            }
        }
        if keys.is_empty() {
            return Ok(Credentials::password(password));
        }
        let text = format!(
            "the creation of the repository at {} was begun with another password; use that, or remove what is there",
            self.address
        );
        Err(VaultError::new(Reason::WrongPassword, text))
    }

    fn not_empty(&self) -> VaultError {
        let text = format!(
            "there are other files at {}, and no repository",
            self.address
        );
        VaultError::new(Reason::NotEmpty, text)
    }

    /// Returns what an error means, with a sentence about a wrong password that a person understands.
    fn cause(&self, err: &RusticError, doing: &str) -> VaultError {
        let cause = of(&self.backend, err, doing);
        match cause.reason {
            Reason::WrongPassword => VaultError::new(
                Reason::WrongPassword,
                format!(
                    "the password opens no key of the repository at {}",
                    self.address
                ),
            ),
            _ => cause,
        }
    }
}

impl Opened {
    /// Reads the index as far as a backup needs it: which blobs there are.
    pub(crate) fn with_blob_ids(
        self,
    ) -> Result<(Repository<IndexedIdsStatus>, Arc<Backend>), VaultError> {
        let Self {
            repository,
            backend,
        } = self;
        let indexed = repository.to_indexed_ids();
        Ok((
            indexed.map_err(|err| of(&backend, &err, "cannot read the index"))?,
            backend,
        ))
    }

    /// Reads the whole index.
    pub(crate) fn with_index(
        self,
    ) -> Result<(Repository<IndexedFullStatus>, Arc<Backend>), VaultError> {
        let Self {
            repository,
            backend,
        } = self;
        let indexed = repository.to_indexed();
        Ok((
            indexed.map_err(|err| of(&backend, &err, "cannot read the index"))?,
            backend,
        ))
    }
}

/// Returns what an error means: that of the store, or else that of the library.
pub(crate) fn of(backend: &Backend, err: &RusticError, doing: &str) -> VaultError {
    match backend.failure() {
        Some(failure) => failure.clone().into(),
        None => VaultError::of(err, doing),
    }
}

fn internal(err: &RusticError) -> VaultError {
    VaultError::of(err, "cannot use the store")
}
