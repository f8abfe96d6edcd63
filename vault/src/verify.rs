//! Checks a backup before its snapshot is written.

use std::collections::BTreeMap;

use rustic_core::repofile::IndexFile;
use rustic_core::{Id, Open, Repository};

use crate::backend::Backend;
use crate::error::{Reason, VaultError};
use crate::job::Verify;
use crate::repository::of;
use crate::store::{FileKind, path_of};

/// Checks what the store has.
///
/// # Errors
/// If a file is missing, or is not what was written.
pub(crate) fn run<S: Open>(
    repository: &Repository<S>,
    backend: &Backend,
    how: Verify,
) -> Result<(), VaultError> {
    match how {
        Verify::None => Ok(()),
        Verify::Metadata => packs_exist(repository, backend),
        Verify::ReadData => {
            packs_exist(repository, backend)?;
            read_back(backend)
        }
    }
}

/// Checks that every pack in the index is in the store, in its size.
fn packs_exist<S: Open>(repository: &Repository<S>, backend: &Backend) -> Result<(), VaultError> {
    let stored = backend.store().list(FileKind::Pack)?;
    let stored: BTreeMap<Id, u64> = stored.into_iter().collect();
    let unread = |err: &rustic_core::RusticError| of(backend, err, "cannot read the index back");
    for file in repository
        .stream_files::<IndexFile>()
        .map_err(|err| unread(&err))?
    {
        let (_, index) = file.map_err(|err| unread(&err))?;
        for pack in index.packs {
            let (id, size) = (*pack.id, u64::from(pack.pack_size()));
            let wrong = match stored.get(&id) {
                Some(is) if *is == size => continue,
                Some(is) => format!("has {is} bytes instead of {size}"),
                None => "is missing".to_owned(),
            };
            return Err(damaged(format!("pack {} {wrong}", id.to_hex().as_str())));
        }
    }
    Ok(())
}

/// Reads everything that was written, and compares its hash: the name of a file is the hash of its content.
fn read_back(backend: &Backend) -> Result<(), VaultError> {
    for ((kind, id), size) in backend.written() {
        // The config of a new repository has no hash in its name.
        if kind == FileKind::Config {
            continue;
        }
        let content = backend.store().read_back(kind, &id)?;
        if content.len() as u64 != size || !id.blob_matches_reader(size, &mut content.as_ref()) {
            let path = path_of(kind, &id);
            return Err(damaged(format!("{path} is not what was written")));
        }
    }
    Ok(())
}

fn damaged(text: String) -> VaultError {
    VaultError::new(Reason::Damaged, text)
}
