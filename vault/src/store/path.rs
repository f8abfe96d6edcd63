//! A store in a folder of this host: a disk, or a file system that is mounted here.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustic_core::Id;
use rustix::fs::{Advice, fadvise};
use tempfile::{Builder, NamedTempFile};

use super::{
    Contents, FileKind, Part, Store, StoreError, TEMPORARY, id_of, is_of_creation,
    is_temporary_config, is_unfinished, path_of,
};

/// The folders of the packs: one for each first byte of a hash.
pub(super) const PACK_FOLDERS: std::ops::RangeInclusive<u8> = 0..=u8::MAX;

/// A store in a folder. The folder itself is never created: when it is missing, a disk may not be mounted.
#[derive(Debug)]
pub(crate) struct PathStore {
    root: PathBuf,
}

impl PathStore {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, kind: FileKind, id: &Id) -> PathBuf {
        self.root.join(path_of(kind, id))
    }

    /// Whether the folder of a kind has nothing that the beginning of a creation does not leave.
    fn has_only_creation(&self, kind: FileKind) -> Result<bool, StoreError> {
        let folder = self.root.join(kind.folder());
        let entries = match fs::read_dir(&folder) {
            Err(err) if err.kind() == ErrorKind::NotADirectory => return Ok(false),
            other => other.map_err(|err| of(&err, &folder))?,
        };
        for entry in entries {
            let name = entry.map_err(|err| of(&err, &folder))?.file_name();
            if !name.to_str().is_some_and(|name| is_of_creation(kind, name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns what an error with the folder itself means.
    fn unreachable(&self, err: &io::Error) -> StoreError {
        match of(err, &self.root) {
            StoreError::Missing(_) => StoreError::Unreachable(format!(
                "there is no folder {}; create it, or mount its disk",
                self.root.display()
            )),
            other => other,
        }
    }
}

impl Store for PathStore {
    fn address(&self) -> String {
        self.root.display().to_string()
    }

    fn contents(&self) -> Result<Contents, StoreError> {
        if self
            .root
            .join("config")
            .try_exists()
            .map_err(|err| of(&err, &self.root))?
        {
            return Ok(Contents::Repository);
        }
        let mut contents = Contents::Nothing;
        for entry in fs::read_dir(&self.root).map_err(|err| self.unreachable(&err))? {
            let name = entry.map_err(|err| self.unreachable(&err))?.file_name();
            let name = name.to_str().unwrap_or_default();
            // A new file system of the ext family has this folder.
            if name == "lost+found" {
                continue;
            }
            let kinds = FileKind::IN_FOLDERS;
            let begun = match kinds.into_iter().find(|kind| kind.folder() == name) {
                Some(kind) => self.has_only_creation(kind)?,
                None => is_temporary_config(name),
            };
            if !begun {
                return Ok(Contents::Other);
            }
            contents = Contents::Unfinished;
        }
        Ok(match contents {
            Contents::Unfinished if !is_unfinished(self)? => Contents::Other,
            other => other,
        })
    }

    fn create(&self) -> Result<(), StoreError> {
        let kinds = FileKind::IN_FOLDERS.map(|kind| self.root.join(kind.folder()));
        let packs = PACK_FOLDERS.map(|byte| self.root.join(format!("data/{byte:02x}")));
        for folder in kinds.into_iter().chain(packs) {
            match fs::create_dir(&folder) {
                Err(err) if err.kind() != ErrorKind::AlreadyExists => {
                    return Err(of(&err, &folder));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(Id, u64)>, StoreError> {
        let mut all = Vec::new();
        match kind {
            FileKind::Config => {
                let config = self.root.join("config");
                match fs::metadata(&config) {
                    Ok(found) => all.push((Id::default(), found.len())),
                    // The folder exists, but no repository in it. Without its folder it is not known.
                    Err(err) if err.kind() == ErrorKind::NotFound => {
                        fs::metadata(&self.root).map_err(|err| self.unreachable(&err))?;
                    }
                    Err(err) => return Err(of(&err, &config)),
                }
            }
            FileKind::Pack => {
                let folders = fs::read_dir(self.root.join("data"));
                let folders = folders.map_err(|err| of(&err, &self.root))?;
                for folder in folders {
                    let folder = folder.map_err(|err| of(&err, &self.root))?.path();
                    if folder.is_dir() {
                        add(&folder, &mut all)?;
                    }
                }
            }
            FileKind::Index | FileKind::Key | FileKind::Lock | FileKind::Snapshot => {
                add(&self.root.join(kind.folder()), &mut all)?;
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    fn read(&self, kind: FileKind, id: &Id, part: Option<Part>) -> Result<Bytes, StoreError> {
        let path = self.path(kind, id);
        let read = || {
            let mut file = File::open(&path)?;
            let Some(part) = part else {
                let mut content = Vec::new();
                file.read_to_end(&mut content)?;
                return io::Result::Ok(content);
            };
            file.seek(SeekFrom::Start(part.offset))?;
            let mut content = Vec::with_capacity(usize::try_from(part.length).unwrap_or(0));
            file.take(part.length).read_to_end(&mut content)?;
            Ok(content)
        };
        read().map(Bytes::from).map_err(|err| of(&err, &path))
    }

    fn read_back(&self, kind: FileKind, id: &Id) -> Result<Bytes, StoreError> {
        let path = self.path(kind, id);
        let read = || {
            let mut file = File::open(&path)?;
            // It was synced when it was written, so nothing holds its pages, and they come from the disk again.
            fadvise(&file, 0, None, Advice::DontNeed)?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            io::Result::Ok(content)
        };
        read().map(Bytes::from).map_err(|err| of(&err, &path))
    }

    fn write(&self, kind: FileKind, id: &Id, content: &[Bytes]) -> Result<(), StoreError> {
        let path = self.path(kind, id);
        let folder = path.parent().unwrap_or(&self.root);
        let write = || {
            let mut file = match NamedTempFile::new_in(folder) {
                // Another program may have removed an empty folder of packs.
                Err(err) if err.kind() == ErrorKind::NotFound && kind == FileKind::Pack => {
                    fs::create_dir(folder)?;
                    NamedTempFile::new_in(folder)?
                }
                other => other?,
            };
            for bytes in content {
                file.write_all(bytes)?;
            }
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|err| err.error)?;
            // A name is durable only when its folder is.
            File::open(folder)?.sync_all()
        };
        write().map_err(|err| of(&err, &path))
    }

    fn write_config(&self, content: &[Bytes]) -> Result<bool, StoreError> {
        let path = self.root.join("config");
        let write = || {
            let mut file = Builder::new()
                .prefix("config.")
                .suffix(TEMPORARY)
                .tempfile_in(&self.root)?;
            for bytes in content {
                file.write_all(bytes)?;
            }
            file.as_file().sync_all()?;
            match file.persist_noclobber(&path) {
                Ok(_) => {}
                Err(err) if err.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
                // A file system without hard links. Who creates a repository has its lock.
                Err(err) if !path.try_exists()? => {
                    err.file.persist(&path).map_err(|err| err.error)?;
                }
                Err(_) => return Ok(false),
            }
            File::open(&self.root)?.sync_all()?;
            Ok(true)
        };
        write().map_err(|err| of(&err, &path))
    }

    fn remove(&self, kind: FileKind, id: &Id) -> Result<(), StoreError> {
        let path = self.path(kind, id);
        match fs::remove_file(&path) {
            Err(err) if err.kind() != ErrorKind::NotFound => Err(of(&err, &path)),
            _ => Ok(()),
        }
    }
}

/// Adds the files of a folder whose names are IDs.
fn add(folder: &Path, into: &mut Vec<(Id, u64)>) -> Result<(), StoreError> {
    let entries = fs::read_dir(folder).map_err(|err| of(&err, folder))?;
    for entry in entries {
        let entry = entry.map_err(|err| of(&err, folder))?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(id_of) else {
            continue;
        };
        match entry.metadata() {
            Ok(found) => into.push((id, found.len())),
            // Removed since the folder was read: locks come and go.
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            Err(err) => return Err(of(&err, &entry.path())),
        }
    }
    Ok(())
}

/// Returns what an error of the file system means for a store.
fn of(err: &io::Error, path: &Path) -> StoreError {
    let said = format!("{}: {err}", path.display());
    match err.kind() {
        ErrorKind::NotFound => StoreError::Missing(said),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Refused(said),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full(said),
        _ => StoreError::Unreachable(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = PathStore::new(folder.path().to_owned());
        assert_eq!(store.contents(), Ok(Contents::Nothing));
        store.create().unwrap();
        let id = Id::random();
        let content = [Bytes::from_static(b"abc"), Bytes::from_static(b"def")];
        store.write(FileKind::Pack, &id, &content).unwrap();
        assert_eq!(store.list(FileKind::Pack), Ok(vec![(id, 6)]));
        assert_eq!(store.read(FileKind::Pack, &id, None).unwrap(), "abcdef");
        let part = |offset, length| store.read(FileKind::Pack, &id, Some(Part { offset, length }));
        assert_eq!(part(2, 3).unwrap(), "cde");
        assert_eq!(part(5, 3).unwrap(), "f");
        store.remove(FileKind::Pack, &id).unwrap();
        store.remove(FileKind::Pack, &id).unwrap();
        assert!(matches!(
            store.read(FileKind::Pack, &id, None),
            Err(StoreError::Missing(_))
        ));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_not_an_empty_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = PathStore::new(folder.path().join("not-mounted"));
        let missing = StoreError::Unreachable(format!(
            "there is no folder {}; create it, or mount its disk",
            store.address()
        ));
        assert_eq!(store.contents(), Err(missing.clone()));
        assert_eq!(store.list(FileKind::Config), Err(missing));
    }

    #[test]
    fn a_folder_with_other_files_is_not_a_store() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("lost+found")).unwrap();
        let store = PathStore::new(folder.path().to_owned());
        assert_eq!(store.contents(), Ok(Contents::Nothing));
        fs::write(folder.path().join("holiday.jpg"), "").unwrap();
        assert_eq!(store.contents(), Ok(Contents::Other));
        fs::remove_file(folder.path().join("holiday.jpg")).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        fs::write(folder.path().join("data/holiday.jpg"), "").unwrap();
        assert_eq!(store.contents(), Ok(Contents::Other));
    }

    #[test]
    fn what_a_creation_that_was_killed_leaves_is_known_and_data_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = PathStore::new(folder.path().to_owned());
        fs::create_dir(folder.path().join("keys")).unwrap();
        assert_eq!(store.contents(), Ok(Contents::Unfinished));
        store.create().unwrap();
        let (id, content) = (Id::random(), [Bytes::from_static(b"abc")]);
        store.write(FileKind::Key, &id, &content).unwrap();
        store.write(FileKind::Lock, &id, &content).unwrap();
        fs::write(folder.path().join("config.abc.tmp"), "").unwrap();
        assert_eq!(store.contents(), Ok(Contents::Unfinished));
        for kind in [FileKind::Pack, FileKind::Index, FileKind::Snapshot] {
            store.write(kind, &id, &content).unwrap();
            assert_eq!(store.contents(), Ok(Contents::Other), "{kind:?}");
            store.remove(kind, &id).unwrap();
        }
        assert_eq!(store.contents(), Ok(Contents::Unfinished));
    }

    #[test]
    fn what_is_read_back_comes_from_the_disk() {
        // A temporary file system has no disk.
        let program = std::env::current_exe().unwrap();
        let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
        let store = PathStore::new(folder.path().to_owned());
        store.create().unwrap();
        let (id, size) = (Id::random(), 1 << 20);
        let content = [Bytes::from(vec![7; size])];
        store.write(FileKind::Pack, &id, &content).unwrap();
        let from_disk = || -> usize {
            let io = fs::read_to_string("/proc/thread-self/io").unwrap();
            let bytes = io
                .lines()
                .find_map(|line| line.strip_prefix("read_bytes: "));
            bytes.unwrap().parse().unwrap()
        };
        let before = from_disk();
        store.read(FileKind::Pack, &id, None).unwrap();
        assert_eq!(from_disk(), before, "it is in memory");
        store.read_back(FileKind::Pack, &id).unwrap();
        assert!(from_disk() >= before + size);
    }

    #[test]
    fn a_config_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let store = PathStore::new(folder.path().to_owned());
        assert_eq!(store.write_config(&[Bytes::from_static(b"1")]), Ok(true));
        assert_eq!(store.write_config(&[Bytes::from_static(b"2")]), Ok(false));
        let config = store.read(FileKind::Config, &Id::default(), None);
        assert_eq!(config.unwrap(), "1");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
