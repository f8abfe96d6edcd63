//! Where and why a text cannot be read.

use std::fmt;

/// An error in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Problem {
    pub(in super::super) line: usize,
    /// Kind and name of its resource, if they were read before the error.
    pub(super) resource: String,
    /// The field, such as `spec.labels`. Empty if the error is not in a field.
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
