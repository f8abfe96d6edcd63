//! What `--prune` may let go of: what is in no file any more, as far as somebody agreed to it.

use std::collections::BTreeSet;

use dockfleet_crds::Entry;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::desired::EntrySpec;
use dockfleet_planner::plan::Records;
use dockfleet_planner::record::Record;
use dockfleet_planner::record::RecordKey;

use super::work::uids;
use super::{Files, Goal, Target, Work};

/// What may be let go of beside what the files say.
#[derive(Clone, Debug)]
pub(crate) enum Prune {
    /// Nothing.
    Nothing,
    /// All that they do not speak of.
    All,
    /// Just what a person was shown and agreed to.
    Agreed(Vec<Prunable>),
}

/// Something that was applied to a host before and is in no file any more.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prunable {
    host: String,
    uid: String,
    /// What it is and what becomes of it, as a line for a person; nothing where nothing was made.
    pub(crate) line: Option<String>,
    policy: String,
    /// What the journal has of it.
    record: Option<Record>,
}

impl Prune {
    /// Whether anything may go.
    pub(super) fn is_any(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Agreed(all) => !all.is_empty(),
        }
    }

    /// Whether an entry that is in no file may go. What was agreed to may, as long as it is what it
    /// was when that was asked.
    pub(super) fn allows(&self, target: &Target, entry: &Entry, records: &Records) -> bool {
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

/// Returns what was applied to the hosts before and is not in the files, sorted. A host that cannot be
/// looked at is left out: nothing is let go of there.
pub(crate) async fn prunable(files: &Files) -> Vec<Prunable> {
    let known: BTreeSet<String> = uids(files);
    let goal = Goal {
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
    target: &Target,
    files: &Files,
    goal: &Goal,
    known: &BTreeSet<String>,
) -> anyhow::Result<Vec<Prunable>> {
    let work = Work::look(target, None).await?;
    let changes = work.preview(files, goal).await?;
    let entries = work.previous();
    let mut all = Vec::new();
    for change in changes.iter().filter(|c| !known.contains(&c.row.uid)) {
        let row = &change.row;
        let Some(entry) = entries.iter().find(|e| e.uid == row.uid) else {
            continue;
        };
        let policy = policy(entry);
        // What has no action and is gone was never made, or is gone already.
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
