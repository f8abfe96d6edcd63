//! What `--prune` may let go of: what is in no file any more, as far as somebody agreed to it.

use std::collections::BTreeSet;

use dockfleet_crds::Entry;
use dockfleet_planner::desired::Desired;

use super::work::{entries_of, uids};
use super::{Files, Target};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prunable {
    host: String,
    uid: String,
    /// What it is and what becomes of it, as a line for a person.
    pub(crate) line: String,
}

impl Prunable {
    fn new(target: &Target, entry: &Entry) -> Self {
        let what = match Desired::of(entry) {
            Ok(desired) => format!("{:?}", desired.deletion()),
            Err(_) => "?".to_owned(),
        };
        let (kind, namespace, name) = (entry.kind.as_str(), &entry.namespace, &entry.name);
        Self {
            host: target.name().to_owned(),
            uid: entry.uid.clone(),
            line: format!("{} {kind} {namespace}/{name} ({what})", target.name()),
        }
    }
}

impl Prune {
    /// Whether an entry that is in no file may go.
    pub(super) fn allows(&self, target: &Target, entry: &Entry) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Agreed(all) => all.contains(&Prunable::new(target, entry)),
        }
    }
}

/// Returns what was applied to the hosts before and is not in the files.
pub(crate) fn prunable(files: &Files) -> anyhow::Result<Vec<Prunable>> {
    let known: BTreeSet<String> = uids(files);
    let mut all = Vec::new();
    for target in &files.targets {
        let previous = entries_of(&target.look_at_journal()?);
        let gone = previous.iter().filter(|e| !known.contains(&e.uid));
        all.extend(gone.map(|entry| Prunable::new(target, entry)));
    }
    Ok(all)
}
