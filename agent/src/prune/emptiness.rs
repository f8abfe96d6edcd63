//! Whether volumes are empty, as far as the agent can know it. What it does not know is not empty.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use dockfleet_planner::kinds::prune::PrunableObject;
use jiff::Timestamp;

use crate::engine::Engine;

/// Returns the identities of the volumes that are empty.
pub(super) async fn empty(
    engine: &Engine,
    volumes: BTreeMap<String, PrunableObject>,
) -> BTreeSet<String> {
    // A folder of the same path on another machine says nothing.
    if !engine.is_local() || volumes.is_empty() {
        return BTreeSet::new();
    }
    let look = move || {
        let all = volumes.into_iter().filter(|(_, volume)| is_empty(volume));
        all.map(|(id, _)| id).collect()
    };
    // A thread that panicked knows nothing.
    let found = tokio::task::spawn_blocking(look).await;
    found.unwrap_or_default()
}

/// Whether the folder of a volume is visible here, is that of this very volume, and has no file.
fn is_empty(volume: &PrunableObject) -> bool {
    let folder = Path::new(&volume.mountpoint);
    if !folder.is_absolute() || !is_of(volume, folder) {
        return false;
    }
    std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_none())
}

/// Whether a folder is that of the volume. The socket may lead to an engine on another machine, whose volumes have the
/// same paths. An engine reports as time of creation the time of the last change of the folder, or of the one above it
/// (moby, `volume/local/local_unix.go`; 20.10 the former, 29 the latter).
fn is_of(volume: &PrunableObject, folder: &Path) -> bool {
    let Ok(created) = volume.created.parse::<Timestamp>() else {
        return false;
    };
    let folders = [Some(folder), folder.parent()];
    let mut changed = folders.into_iter().flatten().map(Path::symlink_metadata);
    changed.any(|found| {
        found.is_ok_and(|found| found.is_dir() && found.ctime() == created.as_second())
    })
}

#[cfg(test)]
mod tests {
    use dockfleet_planner::kinds::prune::Identity;

    use super::*;

    fn volume(folder: &Path, created: i64) -> PrunableObject {
        let created = Timestamp::from_second(created).unwrap().to_string();
        PrunableObject {
            identity: Identity::Volume {
                name: "v".into(),
                created: created.clone(),
            },
            name: "v".into(),
            driver: "local".into(),
            labels: BTreeMap::new(),
            is_local: true,
            serves_others: false,
            has_options: false,
            created,
            mountpoint: folder.display().to_string(),
        }
    }

    #[test]
    fn only_a_folder_that_is_seen_and_is_that_of_the_volume_is_empty() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("v/_data");
        std::fs::create_dir_all(&folder).unwrap();
        let ctime = |path: &Path| path.metadata().unwrap().ctime();
        assert!(is_empty(&volume(&folder, ctime(&folder))));
        assert!(is_empty(&volume(&folder, ctime(folder.parent().unwrap()))));
        // The volume of another machine.
        assert!(!is_empty(&volume(&folder, ctime(&folder) - 5000)));
        assert!(!is_empty(&volume(Path::new("/nowhere/v/_data"), 0)));
        assert!(!is_empty(&volume(Path::new(""), 0)));
        std::fs::write(folder.join("file"), "data").unwrap();
        assert!(!is_empty(&volume(&folder, ctime(&folder))));
    }
}
