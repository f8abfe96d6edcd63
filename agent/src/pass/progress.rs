//! The progress of a pass, for a person who waits.

use std::fmt;

use dockfleet_crds::Entry;
use dockfleet_crds::assignment::Kind;
use dockfleet_planner::action::Operation;

/// The progress of one operation of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// UID of the resource.
    pub uid: String,
    /// Kind of the resource.
    pub kind: Kind,
    /// Name of the object on the host.
    pub object: String,
    /// The operation.
    pub operation: Operation,
    /// The result; `None` while the operation runs. A failure is a sentence.
    pub result: Option<Result<(), String>>,
}

impl Progress {
    pub(super) fn begin(entry: &Entry, kind: Kind, operation: Operation, object: &str) -> Self {
        Self {
            uid: entry.uid.clone(),
            kind,
            object: object.to_owned(),
            operation,
            result: None,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, object) = (self.operation.as_str(), self.kind.object());
        write!(f, "{action} {object} {}", self.object)?;
        match &self.result {
            None => write!(f, " …"),
            Some(Ok(())) => write!(f, ": done"),
            Some(Err(why)) => write!(f, ": {why}"),
        }
    }
}
