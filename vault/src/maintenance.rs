//! What keeps a repository in order: checks, and the removal of snapshots and of data that none of them uses.

use std::collections::BTreeSet;

use rustic_core::repofile::SnapshotId;
use rustic_core::{CheckOptions, PruneOptions, ReadSubsetOption};

use crate::error::{Reason, VaultError};
use crate::job::{Check, CheckOutcome, ForgetOutcome, PruneOutcome};
use crate::repository::{Opened, of};
use crate::snapshot::{self, Filter};

/// The number of findings that are named; more are only counted.
const NAMED: usize = 10;

/// Checks the whole repository, and reads a share of its data.
pub(crate) fn check(opened: &Opened, task: Check) -> Result<CheckOutcome, VaultError> {
    let read = task.read_percent.min(100);
    let options = CheckOptions::default()
        .read_data(read > 0)
        .read_data_subset(share(read));
    let checked = opened.repository.check(options);
    let found = checked
        .map_err(|err| of(&opened.backend, &err, "cannot check"))?
        .0;
    // A warning is about something that loses no data, such as a pack that no index names. The type of the level is not
    // public.
    let is_error = |level: &dyn std::fmt::Debug| format!("{level:?}") == "Error";
    let errors: Vec<String> = found
        .iter()
        .filter(|(level, _)| is_error(level))
        .map(|(_, error)| error.to_string())
        .collect();
    Ok(CheckOutcome {
        errors: errors.len() as u64,
        first: errors.into_iter().take(NAMED).collect(),
        read_percent: read,
    })
}

/// Returns which packs are read for a share in percent: another part of them each time.
fn share(percent: u8) -> ReadSubsetOption {
    let parts = 100 / u32::from(percent.max(1));
    if parts < 2 {
        return ReadSubsetOption::All;
    }
    let chance = uuid::Uuid::new_v4().as_u128() % u128::from(parts);
    let part = u32::try_from(chance).unwrap_or_default() + 1;
    ReadSubsetOption::IdSubSet((part, parts))
}

/// Removes snapshots. Their data stays until it is pruned.
pub(crate) fn forget(opened: &Opened, ids: &BTreeSet<String>) -> Result<ForgetOutcome, VaultError> {
    let all = snapshot::list(&opened.repository, &opened.backend, &Filter::default())?;
    let (gone, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|(s, _)| ids.contains(&s.id));
    let files: Vec<SnapshotId> = gone.iter().map(|(_, file)| file.id).collect();
    let removed = opened.repository.delete_snapshots(&files);
    removed.map_err(|err| of(&opened.backend, &err, "cannot remove snapshots"))?;
    Ok(ForgetOutcome {
        removed: gone.into_iter().map(|(s, _)| s).collect(),
        kept: kept.len() as u64,
    })
}

/// Removes data that no snapshot uses. Packs are only marked at first, and removed a day later by another run: what a
/// backup that nobody knows of uses meanwhile is found then.
pub(crate) fn prune(opened: &Opened) -> Result<PruneOutcome, VaultError> {
    let failed = |err: &rustic_core::RusticError| of(&opened.backend, err, "cannot prune");
    let options = PruneOptions::default();
    let plan = opened
        .repository
        .prune_plan(&options)
        .map_err(|err| failed(&err))?;
    let size = plan.stats.size_sum();
    let outcome = PruneOutcome {
        used: size.used,
        marked: size.remove + size.repackrm,
        removed: plan.stats.size_to_delete.remove + plan.stats.size_unref,
    };
    opened
        .repository
        .prune(&options, plan)
        .map_err(|err| failed(&err))?;
    let checked = check(opened, Check { read_percent: 0 })?;
    if checked.errors > 0 {
        let text = format!(
            "after the removal, the check found: {}",
            checked.first.join("; ")
        );
        return Err(VaultError::new(Reason::Damaged, text));
    }
    Ok(outcome)
}
