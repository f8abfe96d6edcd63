//! Makes a snapshot of a volume.
//!
//! The snapshot is the last file that is written, after the check. What is cut off before leaves packs that no
//! snapshot uses, and no snapshot of half a volume.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustic_core::repofile::{SnapshotFile, StringList};
use rustic_core::{BackupOptions, IndexedIdsStatus, ParentOptions, Repository, SnapshotOptions};

use crate::backend::Backend;
use crate::error::{Reason, VaultError};
use crate::job::{Backup, BackupOutcome, Verify};
use crate::lock::Lock;
use crate::repository::{Opened, of};
use crate::restore::UNFINISHED;
use crate::snapshot::{self, Filter, Snapshot};
use crate::store::FileKind;
use crate::tally::Tally;
use crate::tree::source::{Source, path_in_snapshot};
use crate::verify;

/// The program in snapshots, as restic has its own there.
const PROGRAM: &str = concat!("dockfleet ", env!("CARGO_PKG_VERSION"));

/// Makes a snapshot of a volume. `ready` is called before its first file is read: it may wait. `on_source_read` is called
/// after the last.
pub(crate) fn run(
    opened: Opened,
    lock: &Lock,
    task: &Backup,
    tally: &Arc<Tally>,
    ready: impl FnOnce() -> Result<(), VaultError>,
    on_source_read: impl FnOnce(),
) -> Result<BackupOutcome, VaultError> {
    // What can fail, or may take long, comes before: containers may not run after it.
    no_half_restore(&task.folder)?;
    let (repository, backend) = opened.with_blob_ids()?;
    let before = latest(&repository, &backend, task)?;
    ready()?;
    lock.check()?;
    no_half_restore(&task.folder)?;
    let begin = Instant::now();
    let source = Source::open(
        &task.folder,
        &task.volume,
        Arc::clone(&backend),
        Arc::clone(tally),
    );
    let source = source.map_err(|err| {
        let text = format!("{}: {err}", task.folder.display());
        VaultError::new(Reason::SourceUnreadable, text)
    })?;
    let archived = archive(&repository, &source, task, before.as_ref());
    on_source_read();
    let mut file = match archived {
        Ok(file) => file,
        Err(err) => return Err(of(&backend, &err, "cannot store the backup")),
    };
    // The library ignores errors of the store in some places.
    if let Some(failure) = backend.failure() {
        return Err(failure.clone().into());
    }
    let problems = tally.problems();
    let had_data = before.is_some_and(|before| Snapshot::of(&before).files > 0);
    if had_data && tally.progress().files == 0 {
        return Err(VaultError::new(
            Reason::SourceEmpty,
            "the volume has no files, and its last backup has; no snapshot was made",
        ));
    }
    verify::run(&repository, &backend, task.verify)?;
    let mut tags = vec![
        snapshot::OURS.to_owned(),
        snapshot::volume_tag(&task.volume),
    ];
    tags.extend(task.tags.iter().cloned());
    if !problems.is_empty() {
        tags.push(snapshot::PARTIAL.to_owned());
    }
    if task.verify == Verify::ReadData {
        tags.push(snapshot::VERIFIED.to_owned());
    }
    file.tags = StringList::default();
    for tag in tags {
        file.tags.add(tag);
    }
    lock.check()?;
    let snapshot = save(&repository, &backend, file)?;
    Ok(BackupOutcome {
        snapshot,
        read: tally.progress().moved,
        written: backend.bytes_written(),
        problems,
        verified: task.verify,
        milliseconds: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Checks that the volume has no half of a restore.
fn no_half_restore(folder: &Path) -> Result<(), VaultError> {
    if !folder.join(UNFINISHED).exists() {
        return Ok(());
    }
    let text = format!(
        "a restore into the volume was not finished ({UNFINISHED}); restore it again, or remove this folder"
    );
    Err(VaultError::new(Reason::SourceUnreadable, text))
}

/// Returns the last snapshot of the volume, with which files are compared.
fn latest(
    repository: &Repository<IndexedIdsStatus>,
    backend: &Backend,
    task: &Backup,
) -> Result<Option<SnapshotFile>, VaultError> {
    let filter = Filter {
        host: Some(task.host.clone()),
        volume: Some(task.volume.clone()),
    };
    let mut all = snapshot::list(repository, backend, &filter)?;
    Ok(all.pop().map(|(_, file)| file))
}

/// Stores the files of a volume. The snapshot is not written yet.
fn archive(
    repository: &Repository<IndexedIdsStatus>,
    source: &Source,
    task: &Backup,
    before: Option<&SnapshotFile>,
) -> rustic_core::RusticResult<SnapshotFile> {
    let mut snapshot = SnapshotOptions::default()
        .host(task.host.clone())
        .command(PROGRAM.to_owned())
        .to_snapshot()?;
    PROGRAM.clone_into(&mut snapshot.program_version);
    "root".clone_into(&mut snapshot.username);
    let parents = before.map(|file| file.id.to_hex().as_str().to_owned());
    let mut parent = ParentOptions::default()
        .parents(parents.into_iter().collect::<Vec<_>>())
        .force(before.is_none());
    // Its meaning in 0.13.0 is the opposite of its name: with it, inodes are compared.
    parent.ignore_inode = true;
    let options = BackupOptions::default().no_scan(true).parent_opts(parent);
    let paths: [PathBuf; 1] = [path_in_snapshot(&task.volume)];
    repository.archive(&options, source, snapshot, &paths)
}

/// Writes the snapshot.
fn save<S: rustic_core::Open>(
    repository: &Repository<S>,
    backend: &Backend,
    file: SnapshotFile,
) -> Result<Snapshot, VaultError> {
    backend.allow_snapshots();
    let mut snapshot = Snapshot::of(&file);
    let saved = repository.save_snapshots(vec![file]);
    saved.map_err(|err| of(backend, &err, "cannot write the snapshot"))?;
    let written = backend.written();
    let mut ids = written
        .keys()
        .filter(|(kind, _)| *kind == FileKind::Snapshot);
    if let Some((_, id)) = ids.next() {
        id.to_hex().as_str().clone_into(&mut snapshot.id);
    }
    Ok(snapshot)
}
