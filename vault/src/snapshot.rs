//! Snapshots: the catalogue of a repository. It is the truth about backups: a restore needs nothing else.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rustic_core::repofile::SnapshotFile;
use rustic_core::{OpenStatus, Repository};
use serde::{Deserialize, Serialize};

use crate::backend::Backend;
use crate::error::{Reason, VaultError};
use crate::repository::of;

/// A tag of all snapshots that Dockfleet writes.
pub(crate) const OURS: &str = "dockfleet";
/// A tag of a snapshot in which something is missing.
pub(crate) const PARTIAL: &str = "partial";
/// A tag of a snapshot that was read back.
pub(crate) const VERIFIED: &str = "verified";
/// What begins the tag with the name of the volume.
const VOLUME: &str = "volume=";

/// A snapshot that is further in the future than this was made by a wrong clock.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_hours(1);

/// One snapshot of one volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Its ID: 64 hexadecimal digits.
    pub id: String,
    /// When it was begun.
    pub time: Timestamp,
    /// The host.
    pub host: String,
    /// The name of the Docker volume, or the path if another program wrote the snapshot.
    pub volume: String,
    /// Files and folders.
    pub files: u64,
    /// The size of all files, in bytes.
    pub bytes: u64,
    /// Bytes that were added to the repository for it, compressed.
    pub added: u64,
    /// Something is missing in it.
    #[serde(default)]
    pub partial: bool,
    /// It was read back after it was written.
    #[serde(default)]
    pub verified: bool,
    /// All tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl Snapshot {
    /// Returns the ID as people write it: the first 8 digits, as restic prints them.
    pub fn short_id(&self) -> &str {
        self.id.get(..8).unwrap_or(&self.id)
    }

    pub(crate) fn of(file: &SnapshotFile) -> Self {
        let tags: Vec<String> = file.tags.iter().cloned().collect();
        let summary = file.summary.clone().unwrap_or_default();
        let path = file.paths.iter().next().cloned().unwrap_or_default();
        let volume = tags.iter().find_map(|t| t.strip_prefix(VOLUME));
        Self {
            id: file.id.to_hex().as_str().to_owned(),
            time: file.time.timestamp(),
            host: file.hostname.clone(),
            volume: volume.map_or(path, str::to_owned),
            files: summary.total_files_processed,
            bytes: summary.total_bytes_processed,
            added: summary.data_added_packed,
            partial: tags.iter().any(|t| t == PARTIAL),
            verified: tags.iter().any(|t| t == VERIFIED),
            tags,
        }
    }
}

/// Returns the tag of a volume.
pub(crate) fn volume_tag(volume: &str) -> String {
    format!("{VOLUME}{volume}")
}

/// Which snapshots are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Only those of this host.
    pub host: Option<String>,
    /// Only those of this volume.
    pub volume: Option<String>,
}

impl Filter {
    fn fits(&self, snapshot: &Snapshot) -> bool {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        fits(&self.host, &snapshot.host) && fits(&self.volume, &snapshot.volume)
    }
}

/// Returns the snapshots that fit, the oldest first.
pub(crate) fn list<S: rustic_core::Open>(
    repository: &Repository<S>,
    backend: &Backend,
    filter: &Filter,
) -> Result<Vec<(Snapshot, SnapshotFile)>, VaultError> {
    let all = repository.get_all_snapshots();
    let all = all.map_err(|err| of(backend, &err, "cannot read the snapshots"))?;
    let mut all: Vec<_> = all
        .into_iter()
        .map(|file| (Snapshot::of(&file), file))
        .filter(|(snapshot, _)| filter.fits(snapshot))
        .collect();
    all.sort_by(|(a, _), (b, _)| (a.time, &a.id).cmp(&(b.time, &b.id)));
    Ok(all)
}

/// Returns the snapshot that a person means by `latest` or the beginning of an ID. The latest one is the latest
/// whole one, unless all are partial.
pub(crate) fn choose(
    repository: &Repository<OpenStatus>,
    backend: &Backend,
    filter: &Filter,
    which: &str,
) -> Result<(Snapshot, SnapshotFile), VaultError> {
    let mut all = list(repository, backend, filter)?;
    let none = |text: String| VaultError::new(Reason::NoSnapshot, text);
    if which == LATEST {
        let hosts: BTreeSet<&str> = all.iter().map(|(s, _)| s.host.as_str()).collect();
        if hosts.len() > 1 {
            let hosts: Vec<&str> = hosts.into_iter().collect();
            let hosts = hosts.join(", ").escape_debug().to_string();
            return Err(none(format!(
                "there are snapshots of several hosts{}: {hosts}; choose one of them",
                of_filter(filter)
            )));
        }
        // One from the future was made by a wrong clock.
        let limit = Timestamp::now()
            .saturating_add(CLOCKS_DIFFER)
            .unwrap_or(Timestamp::MAX);
        for is_better in [
            |s: &Snapshot, limit: Timestamp| s.time <= limit,
            |s: &Snapshot, _: Timestamp| !s.partial,
        ] {
            if all.iter().any(|(s, _)| is_better(s, limit)) {
                all.retain(|(s, _)| is_better(s, limit));
            }
        }
        return all
            .pop()
            .ok_or_else(|| none(format!("there is no snapshot{}", of_filter(filter))));
    }
    all.retain(|(s, _)| s.id.starts_with(which));
    match all.len() {
        0 => Err(none(format!(
            "there is no snapshot {which}{}",
            of_filter(filter)
        ))),
        1 => all.pop().ok_or_else(|| none(String::new())),
        n => Err(none(format!(
            "{n} snapshots begin with {which}; give more digits"
        ))),
    }
}

/// The name of the newest snapshot.
pub const LATEST: &str = "latest";

fn of_filter(filter: &Filter) -> String {
    let volume = filter.volume.as_ref().map(|v| format!(" of volume {v}"));
    let host = filter.host.as_ref().map(|h| format!(" of host {h}"));
    volume.unwrap_or_default() + &host.unwrap_or_default()
}
