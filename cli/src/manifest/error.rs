//! What is wrong with manifests, each with its file and line.

use std::io;

use thiserror::Error;

/// One mistake in manifests.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A file or folder cannot be read.
    #[error("{file}: cannot be read: {error}")]
    Read {
        /// The file or folder.
        file: String,
        /// Why.
        error: io::Error,
    },
    /// A file or folder has no document to load.
    #[error("{file}: no manifest in it; a folder's files end in .yaml, .yml or .json")]
    Empty {
        /// The file or folder.
        file: String,
    },
    /// A file is neither YAML nor JSON.
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
