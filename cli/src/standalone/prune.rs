//! What `--prune` may remove or release: objects of resources that are no longer in the files, if a
//! user agreed to it.

use std::collections::BTreeSet;

use dockfleet_crds::Entry;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::plan::Records;
use dockfleet_planner::record::Record;
use dockfleet_planner::record::RecordKey;

use super::session::uids;
use super::{CommandGoal, Files, HostSession, HostTarget};

/// What may be removed or released in addition to the files.
#[derive(Clone, Debug)]
pub(crate) enum Prune {
    /// Nothing.
    Nothing,
    /// Everything that is not in the files.
    All,
    /// Only what a user has seen and agreed to.
    Agreed(Vec<Prunable>),
}

/// A resource that was applied to a host before and is no longer in the files.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prunable {
    host: String,
    uid: String,
    /// A line for users: what it is, and what happens to it. `None` if nothing was created.
    pub(crate) line: Option<String>,
    policy: String,
    /// Its record in the journal.
    record: Option<Record>,
}

impl Prune {
    /// Whether anything may be removed or released.
    pub(crate) fn is_any(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Agreed(all) => !all.is_empty(),
        }
    }

    /// Whether an entry that is in no file may be removed or released. If a user agreed, it must be
    /// the same as at the time of the question.
    pub(super) fn allows(&self, target: &HostTarget, entry: &Entry, records: &Records) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Agreed(all) => all.iter().any(|agreed| {
                agreed.host == target.name()
                    && agreed.uid == entry.uid
                    && agreed.policy == policy(entry)
                    && agreed.record.as_ref() == records.get(&RecordKey::object(&entry.uid))
            }),
        }
    }
}

fn policy(entry: &Entry) -> String {
    match EntrySpec::of(entry) {
        Ok(desired) => format!("{:?}", desired.deletion()),
        Err(_) => "?".to_owned(),
    }
}

/// Returns what was applied to the hosts before and is not in the files, sorted. A host that cannot
/// be read is left out: nothing is removed or released there.
pub(crate) async fn prunable(files: &Files) -> Vec<Prunable> {
    let known: BTreeSet<String> = uids(files);
    let goal = CommandGoal {
        lifecycle: Lifecycle::Live,
        prune: Prune::All,
    };
    let looks = files.targets.iter().map(|target| {
        let (known, goal) = (&known, &goal);
        let look = async move { of_host(target, files, goal, known).await };
        (target.name().to_owned(), look)
    });
    let hosts = super::gather(looks).await;
    let found = hosts.into_iter().filter_map(|(_, found)| found.ok());
    found.flatten().collect()
}

async fn of_host(
    target: &HostTarget,
    files: &Files,
    goal: &CommandGoal,
    known: &BTreeSet<String>,
) -> anyhow::Result<Vec<Prunable>> {
    let work = HostSession::open_to_read(target, None).await?;
    let changes = work.preview(files, goal).await?;
    let entries = work.previous();
    let mut all = Vec::new();
    for change in changes.iter().filter(|c| !known.contains(&c.row.uid)) {
        let row = &change.row;
        let Some(entry) = entries.iter().find(|e| e.uid == row.uid) else {
            continue;
        };
        let policy = policy(entry);
        // An entry that is gone without an action was never created, or is already removed.
        let line = (!change.action.is_empty() || !row.is_fine()).then(|| {
            format!(
                "{} {} {}/{} ({policy})",
                row.host,
                row.kind.as_str(),
                row.namespace,
                row.name
            )
        });
        all.push(Prunable {
            host: target.name().to_owned(),
            uid: row.uid.clone(),
            line,
            policy,
            record: work
                .journal
                .records()
                .get(&RecordKey::object(&row.uid))
                .cloned(),
        });
    }
    Ok(all)
}
