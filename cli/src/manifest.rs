//! Reads manifests from files, checks them like an API server, and converts them to types.

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
    /// Its file; `-` is standard input.
    pub source: String,
    /// Its index in the file, from 0. Each item of a list counts.
    pub index: usize,
    /// Line of its first field.
    pub line: usize,
    /// Its content.
    pub value: Value,
    /// Its content with line numbers.
    node: Arc<yaml::Node>,
}

impl Document {
    /// Returns the line of a field by its path, such as `spec.ipam.config[0].subnet`, or the line
    /// of the innermost existing field around it.
    pub fn line_of(&self, path: &str) -> usize {
        self.node.line_of(path)
    }
}

#[cfg(test)]
mod tests;
