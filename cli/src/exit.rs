//! Exit codes: what a script can rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything is as it should be.
    Ready,
    /// Something could not be made so.
    Failed,
    /// `diff` found something to change.
    Changes,
    /// The input cannot be used; nothing was touched.
    BadInput,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ready => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::BadInput => 3,
        })
    }
}
