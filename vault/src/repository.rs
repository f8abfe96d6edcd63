//! Opens and creates repositories.

use std::sync::Arc;

use bytesize::ByteSize;
use rustic_core::{
    ConfigOptions, Credentials, IndexedFullStatus, IndexedIdsStatus, KeyOptions, OpenStatus,
    Repository, RepositoryBackends, RepositoryOptions, RusticError,
};

use crate::backend::Backend;
use crate::error::{Reason, VaultError};
use crate::job::Secret;
use crate::store::{Contents, Store};

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

/// Opens the repository in a store; with `may_create`, an empty store gets one first.
///
/// # Errors
/// If the store does not answer, there is no repository, or the password is wrong.
pub(crate) fn open(
    store: Box<dyn Store>,
    secret: &Secret,
    may_create: bool,
) -> Result<Opened, VaultError> {
    let address = store.address();
    let backend = Backend::new(store);
    let contents = backend.store().contents()?;
    let credentials = match secret {
        Secret::Password(password) => Credentials::password(password),
        Secret::Key(key) => Credentials::Masterkey((**key).clone()),
    };
    let options = RepositoryOptions::default().no_cache(true);
    let backends = RepositoryBackends::new(backend.clone(), None);
    let closed = Repository::new(&options, &backends).map_err(|err| internal(&err))?;
    let repository = match contents {
        Contents::Repository => {
            let opened = closed.open(&credentials);
            opened.map_err(|err| cause(&backend, &err, &address, "cannot open the repository"))?
        }
        Contents::Nothing if may_create && matches!(secret, Secret::Password(_)) => {
            let config = ConfigOptions::default()
                .set_version(FORMAT)
                .set_datapack_size(PACK_SIZE)
                .set_datapack_growfactor(0_u32)
                .set_treepack_size(PACK_SIZE)
                .set_treepack_growfactor(0_u32);
            let created = closed.init(&credentials, &KeyOptions::default(), &config);
            created
                .map_err(|err| cause(&backend, &err, &address, "cannot create the repository"))?
        }
        Contents::Nothing => {
            return Err(VaultError::new(
                Reason::NoRepository,
                format!("there is no repository at {address}"),
            ));
        }
        Contents::Other => {
            return Err(VaultError::new(
                Reason::NotEmpty,
                format!("there are other files at {address}, and no repository"),
            ));
        }
    };
    Ok(Opened {
        repository,
        backend,
    })
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

/// The same, with a sentence about a wrong password that a person understands.
fn cause(backend: &Backend, err: &RusticError, address: &str, doing: &str) -> VaultError {
    let cause = of(backend, err, doing);
    match cause.reason {
        Reason::WrongPassword => VaultError::new(
            Reason::WrongPassword,
            format!("the password opens no key of the repository at {address}"),
        ),
        _ => cause,
    }
}

fn internal(err: &RusticError) -> VaultError {
    VaultError::of(err, "cannot use the store")
}
