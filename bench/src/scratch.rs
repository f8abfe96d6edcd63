//! The folder of one run: manifests, journals and sockets.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// Start of the folder's name. The id of the process follows.
const PREFIX: &str = "dockfleet-bench-";

/// A folder in the system's temporary folder that is removed on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    next: AtomicU32,
}

impl Scratch {
    /// Creates the folder, and removes the folders of runs that were killed.
    pub(crate) fn new() -> Result<Self> {
        sweep();
        let path = env::temp_dir().join(format!("{PREFIX}{}", process::id()));
        fs::create_dir(&path).with_context(|| format!("could not make {}", path.display()))?;
        Ok(Self {
            path,
            next: AtomicU32::new(0),
        })
    }

    /// Returns a new path in the folder. The name is short, because paths of sockets are limited.
    pub(crate) fn path(&self, ending: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{number}{ending}"))
    }

    /// Writes a new file and returns its path.
    pub(crate) fn write(&self, ending: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(ending);
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    }

    /// Creates a new folder and returns its path.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        let path = self.path("");
        fs::create_dir(&path).with_context(|| format!("could not make {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next run removes the rest.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn sweep() {
    let Ok(entries) = fs::read_dir(env::temp_dir()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
