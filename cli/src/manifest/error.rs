//! Errors in manifests, each with its file and line.

use thiserror::Error;

/// An error in manifests.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A value of `-f` cannot be read.
    #[error("-f '{path}': {why}")]
    Named {
        /// The value.
        path: String,
        /// Why, and what is correct.
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
    /// A file or folder contains no document.
    #[error("{file}: it contains no manifest: {why}")]
    Empty {
        /// The file or folder.
        file: String,
        /// What it contains instead.
        why: String,
    },
    /// A file is not YAML or JSON, or other tools read it differently.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// Line in the file.
        line: usize,
        /// Why.
        message: String,
    },
    /// A document is wrong.
    #[error("{file}:{line}: {resource}: {message}")]
    Invalid {
        /// The file.
        file: String,
        /// Line in the file.
        line: usize,
        /// Kind and name of the resource, if the document has them.
        resource: String,
        /// What is wrong, with the message of an API server.
        message: String,
    },
}
