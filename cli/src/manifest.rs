//! Manifests from files: found, read, checked as an API server would, and typed.

mod check;
mod error;
mod files;
mod secret;
mod yaml;

use std::collections::BTreeMap;

use serde_json::Value;

pub use check::{Resources, check};
pub use error::ManifestError;
pub use files::load;

/// One document of a manifest file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The file it is in; `-` is the standard input.
    pub source: String,
    /// Its number among the file's documents, from 0; the items of a list count each.
    pub index: usize,
    /// Line of its first field.
    pub line: usize,
    /// What it says.
    pub value: Value,
    /// Line of every field, by path such as `spec.ipam.config[0].subnet`.
    pub lines: BTreeMap<String, usize>,
}

impl Document {
    /// Returns the line of a field, or of the innermost thing around it that the file has.
    pub fn line_of(&self, path: &str) -> usize {
        let mut rest = path;
        loop {
            if let Some(line) = self.lines.get(rest) {
                return *line;
            }
            match rest.rfind(['.', '[']).and_then(|end| rest.get(..end)) {
                Some(outer) => rest = outer,
                None => return self.line,
            }
        }
    }
}

#[cfg(test)]
mod tests;
