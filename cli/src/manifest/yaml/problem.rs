//! Where and why a text cannot be read.

use std::fmt;

/// One mistake in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Problem {
    pub(in super::super) line: usize,
    /// Kind and name of the resource it is in, as far as they were read before.
    pub(super) resource: String,
    /// The field, such as `spec.labels`; empty where it is in none.
    pub(super) path: String,
    pub(super) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.resource, &self.path] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.message)
    }
}
