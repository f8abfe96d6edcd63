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
    /// A part of the program panicked.
    Fault,
}

impl Exit {
    /// Returns the code that the process ends with.
    pub(crate) fn code(self) -> i32 {
        match self {
            Self::Ready => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::BadInput => 3,
            // As sysexits.h has it: an internal software error.
            Self::Fault => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // Every code is one byte.
        Self::from(u8::try_from(exit.code()).unwrap_or(u8::MAX))
    }
}
