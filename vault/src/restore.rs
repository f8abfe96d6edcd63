//! Writes a snapshot into an empty folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::error::{Reason, VaultError};
use crate::job::{Restore, RestoreOutcome};
use crate::repository::{Opened, of};
use crate::snapshot;
use crate::tally::Tally;
use crate::tree::target::{Target, open_empty};

/// Writes a snapshot into an empty folder.
pub(crate) fn run(
    opened: Opened,
    task: &Restore,
    tally: &Arc<Tally>,
) -> Result<RestoreOutcome, VaultError> {
    let begin = Instant::now();
    let (snapshot, file) = snapshot::choose(
        &opened.repository,
        &opened.backend,
        &task.filter,
        &task.snapshot,
    )?;
    let root = open_empty(&task.folder)?;
    let (repository, backend) = opened.with_index()?;
    let Some(path) = file.paths.iter().next() else {
        let text = format!("snapshot {} has no files", snapshot.short_id());
        return Err(VaultError::new(Reason::NoSnapshot, text));
    };
    let node = repository.node_from_path(file.tree, Path::new(path));
    let node = node.map_err(|err| of(&backend, &err, "cannot read the snapshot"))?;
    Target::new(&repository, &backend, root, tally).write(&node)?;
    Ok(RestoreOutcome {
        snapshot,
        written: tally.progress(),
        problems: tally.problems(),
        milliseconds: u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}
