//! What is wrong with manifests, each with its file and line.

use thiserror::Error;

/// One mistake in manifests.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A value of `-f` names nothing that could be read.
    #[error("-f '{path}': {why}")]
    Named {
        /// The value.
        path: String,
        /// Why, and what would be right.
        why: String,
    },
    /// A file or folder cannot be read.
    #[error("{file}: cannot be read: {why}")]
    Read {
        /// The file or folder.
        file: String,
        /// Why.
        why: String,
    },
    /// A file or folder has no document to load.
    #[error("{file}: no manifest in it: {why}")]
    Empty {
        /// The file or folder.
        file: String,
        /// What is there instead.
        why: String,
    },
    /// A file is neither YAML nor JSON, or means something else to other tools.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Where in it.
        line: usize,
        /// Why.
        message: String,
    },
    /// A document is wrong.
    #[error("{file}:{line}: {resource}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// Where in it.
        line: usize,
        /// Kind and name of the resource, as far as the document has them.
        resource: String,
        /// What is wrong, in the words of an API server.
        message: String,
    },
}
