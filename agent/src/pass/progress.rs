//! What a pass is doing, for a person who waits.

use std::fmt;

use dockfleet_crds::Entry;
use dockfleet_crds::assignment::Kind;
use dockfleet_planner::plan::Step;

/// One moment of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// UID of the resource.
    pub uid: String,
    /// Kind of the resource.
    pub kind: Kind,
    /// Name of the object on the host.
    pub object: String,
    /// What is done to it.
    pub doing: Operation,
    /// How far that is: nothing while it goes on, then the result in a sentence where it failed.
    pub result: Option<Result<(), String>>,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// It is made.
    Create,
    /// It is removed and made anew.
    Replace,
    /// It is removed.
    Remove,
}

impl Operation {
    /// Returns the action in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Remove => "remove",
        }
    }

    pub(super) fn of(step: &Step) -> Option<(Self, &str)> {
        match step {
            Step::None => None,
            Step::Create { desired, .. } => Some((Self::Create, desired.name())),
            Step::Replace { desired, .. } => Some((Self::Replace, desired.name())),
            Step::Remove { name, .. } => Some((Self::Remove, name)),
        }
    }
}

impl Progress {
    pub(super) fn begin(entry: &Entry, kind: Kind, doing: Operation, object: &str) -> Self {
        Self {
            uid: entry.uid.clone(),
            kind,
            object: object.to_owned(),
            doing,
            result: None,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, object) = (self.doing.as_str(), self.kind.object());
        write!(f, "{action} {object} {}", self.object)?;
        match &self.result {
            None => write!(f, " …"),
            Some(Ok(())) => write!(f, ": done"),
            Some(Err(why)) => write!(f, ": {why}"),
        }
    }
}
