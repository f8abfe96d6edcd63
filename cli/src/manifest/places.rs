//! The paths of `-f`, and the files in folders.

use std::fs::{self, FileType};
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::ManifestError;

/// The standard input.
pub(super) const STDIN: &str = "-";
/// The endings of the files that are read in a folder.
const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// Returns the paths in the values of `-f`. As in kubectl, commas separate paths, except for a
/// comma in the name of an existing file.
pub fn named(values: &[String]) -> Vec<PathBuf> {
    let each = values.iter().flat_map(|value| {
        if Path::new(value).exists() {
            vec![PathBuf::from(value)]
        } else {
            value.split(',').map(PathBuf::from).collect()
        }
    });
    each.collect()
}

/// Returns the files of a path, in the order in which they are read.
///
/// The path of `-f` itself may be any link. In a folder, links to files are followed. Everything
/// else that should be read there and cannot be read is an error: if a file were silently ignored,
/// `--prune` would treat its resources as removed.
pub(super) fn files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, Vec<ManifestError>> {
    let shown = path.display().to_string();
    if shown.is_empty() {
        return Err(vec![ManifestError::Named {
            path: shown,
            why: "an empty path; name a file, a folder, or - for standard input".to_owned(),
        }]);
    }
    if shown.contains("://") && !path.exists() {
        let why = format!(
            "nothing is fetched from elsewhere; fetch it yourself, such as with curl -fsSL {shown}, and hand it on \
             with -f -"
        );
        return Err(vec![ManifestError::Named { path: shown, why }]);
    }
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = FoundFiles::default();
    found.folder(path, recursive);
    if !found.errors.is_empty() {
        return Err(found.errors);
    }
    if found.files.is_empty() {
        let more = if found.has_folders && !recursive {
            "; folders below it are read with -R"
        } else {
            ""
        };
        let why = format!("no file in this folder ends in .yaml, .yml or .json{more}");
        return Err(vec![ManifestError::Empty { file: shown, why }]);
    }
    Ok(found.files)
}

#[derive(Default)]
struct FoundFiles {
    files: Vec<PathBuf>,
    errors: Vec<ManifestError>,
    has_folders: bool,
}

impl FoundFiles {
    fn folder(&mut self, path: &Path, recursive: bool) {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(path, error.to_string()),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.link(path, recursive),
                Ok(kind) if kind.is_dir() => {
                    self.has_folders = true;
                    if recursive {
                        self.folder(&path, recursive);
                    }
                }
                Ok(kind) => self.file(path, kind),
                Err(error) => self.unreadable(&path, error.to_string()),
            }
        }
    }

    fn link(&mut self, path: PathBuf, recursive: bool) {
        // With a name that is not a name of a manifest, only a folder would be read.
        let concerns = is_manifest(&path) || recursive;
        match fs::metadata(&path) {
            Ok(to) if to.is_dir() && concerns => {
                let why = "a link to a folder, which is not followed; name the folder with a -f of its own, or \
                           remove the link";
                self.unreadable(&path, why.to_owned());
            }
            Ok(to) if to.is_dir() => self.has_folders = true,
            Ok(to) => self.file(path, to.file_type()),
            Err(error) if concerns && error.kind() == ErrorKind::NotFound => {
                let to = fs::read_link(&path).unwrap_or_default();
                let why = format!(
                    "a link to {}, which does not exist; remove or correct the link",
                    to.display()
                );
                self.unreadable(&path, why);
            }
            Err(error) if concerns => {
                self.unreadable(&path, format!("a broken link: {error}"));
            }
            Err(_) => {}
        }
    }

    fn file(&mut self, path: PathBuf, kind: FileType) {
        if !is_manifest(&path) {
            return;
        }
        if kind.is_file() {
            self.files.push(path);
            return;
        }
        let what = if kind.is_fifo() {
            "a named pipe"
        } else if kind.is_socket() {
            "a socket"
        } else {
            "a device"
        };
        self.unreadable(
            &path,
            format!("{what}, not a file; remove it from the folder, or use it with -f"),
        );
    }

    fn unreadable(&mut self, path: &Path, why: String) {
        self.errors.push(ManifestError::Read {
            file: path.display().to_string(),
            why,
        });
    }
}

/// By the end of the name, as in kubectl: hidden files count.
fn is_manifest(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
