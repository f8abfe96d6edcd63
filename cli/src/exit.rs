//! Exit codes, which scripts can rely on.

use std::process::ExitCode;

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Ready,
    /// A resource is not ready.
    Failed,
    /// `diff` found something to change.
    Changes,
    /// The input is not valid. Nothing was changed.
    BadInput,
    /// A part of the program panicked.
    Fault,
}

impl Exit {
    /// Returns the exit code of the process.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Ready => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::BadInput => 3,
            // The code of sysexits.h for an internal software error.
            Self::Fault => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // An exit code is one byte.
        Self::from(u8::try_from(exit.code()).unwrap_or(u8::MAX))
    }
}
