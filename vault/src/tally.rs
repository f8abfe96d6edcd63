//! What a job has done so far, and what it could not do. Many threads add to it.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// The number of problems that are named; more are only counted.
const NAMED: usize = 10;

/// The longest path in a message, in characters.
const SHOWN: usize = 500;

/// Returns a path for a message. A name may have line breaks, and a path may be longer than a screen.
fn shown(path: &Path) -> String {
    let text = path.display().to_string().escape_debug().to_string();
    let length = text.chars().count();
    if length <= SHOWN {
        return text;
    }
    let half = SHOWN / 2;
    let (first, last) = (text.chars().take(half), text.chars().skip(length - half));
    first.chain("[...]".chars()).chain(last).collect()
}

/// Counts of a job.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    files: AtomicU64,
    folders: AtomicU64,
    bytes: AtomicU64,
    /// Bytes of file content that were read or written.
    moved: AtomicU64,
    problems: Mutex<Problems>,
}

/// Problems with single files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Problems {
    /// Files that could not be read or written, or only in part.
    pub failed: u64,
    /// Files that changed while they were read: what is stored may be of two times.
    pub changed: u64,
    /// The first of both, in words.
    pub first: Vec<String>,
    /// No space was left where files are written.
    #[serde(skip)]
    pub(crate) disk_full: bool,
}

impl Problems {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.failed == 0 && self.changed == 0
    }
}

/// A problem with one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is no longer there. Where programs are at work, files come and go.
    Vanished,
    Changed,
    /// It was moved while the volume was read, so it, or what is in it, may be in the snapshot twice or not at all.
    Moved,
    /// Only its attributes.
    Attributes(String),
    Failed(String),
}

impl Problem {
    pub(crate) fn of(err: &io::Error) -> Self {
        match err.kind() {
            ErrorKind::NotFound => Self::Vanished,
            _ => Self::Failed(err.to_string()),
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// Files, without folders.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// The size of these files, in bytes.
    pub bytes: u64,
    /// The bytes of them that were read or written: unchanged files are not read.
    pub moved: u64,
}

impl Tally {
    /// Counts a file or folder. `size` is in bytes.
    pub(crate) fn found(&self, is_folder: bool, size: u64) {
        let count = if is_folder {
            &self.folders
        } else {
            &self.files
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Counts bytes of a file that were read or written.
    pub(crate) fn read(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds a problem with a file.
    pub(crate) fn problem(&self, path: &Path, problem: &Problem) {
        let mut problems = self.lock();
        let text = match problem {
            Problem::Vanished => return,
            Problem::Changed => {
                problems.changed += 1;
                "changed while it was read"
            }
            Problem::Moved => {
                problems.changed += 1;
                "moved while the volume was read"
            }
            Problem::Attributes(text) | Problem::Failed(text) => {
                problems.failed += 1;
                text
            }
        };
        if problems.first.len() < NAMED {
            problems.first.push(format!("{}: {text}", shown(path)));
        }
    }

    /// Notes that no space is left where files are written.
    pub(crate) fn disk_full(&self) {
        self.lock().disk_full = true;
    }

    /// Whether no space is left where files are written.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.lock().disk_full
    }

    fn lock(&self) -> MutexGuard<'_, Problems> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how far the job is.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            files: self.files.load(Ordering::Relaxed),
            folders: self.folders.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            moved: self.moved.load(Ordering::Relaxed),
        }
    }

    /// Returns the problems so far.
    pub(crate) fn problems(&self) -> Problems {
        self.lock().clone()
    }
}
