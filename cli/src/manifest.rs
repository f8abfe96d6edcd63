//! Manifests from files: found, read, checked as an API server would, and typed.

mod check;
mod error;
mod files;
mod kinds;
mod list;
mod places;
mod secret;
mod text;
mod yaml;

use std::sync::Arc;

use serde_json::Value;

pub use check::{Resources, check};
pub use error::ManifestError;
pub use files::load;
pub use places::named;

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
    /// Where in the file each part of it stands.
    node: Arc<yaml::Node>,
}

impl Document {
    /// Returns the line of a field by its path, such as `spec.ipam.config[0].subnet`, or of the
    /// innermost thing around it that the file has.
    pub fn line_of(&self, path: &str) -> usize {
        self.node.line_of(path)
    }
}

#[cfg(test)]
mod tests;
