//! One mistake in a document, in the words of the API server.

use std::fmt;

use serde_json::Value;

/// One mistake in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where it is, such as `spec.ipam.config[0].subnet`; empty for the document itself.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
    kind: Kind,
    hint: Option<String>,
}

/// What an API server calls the mistake, as far as it matters to what is checked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The structure is wrong, so that rules might speak of what is not there.
    Structure,
    /// A value is wrong in a structure that is right.
    Value,
    /// The document cannot be read at all; the message names the place itself.
    Document,
}

impl FieldError {
    /// A value that is wrong; rules may still be checked.
    pub(super) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            kind: Kind::Value,
            hint: None,
        }
    }

    /// A mistake in the structure, which hides the rules.
    pub(super) fn structure(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            kind: Kind::Structure,
            hint: None,
        }
    }

    /// A mistake whose message names its place itself.
    pub(super) fn document(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            kind: Kind::Document,
            hint: None,
        }
    }

    /// A field that no schema has.
    pub(super) fn unknown_field(path: String) -> Self {
        let message = format!("unknown field \"{path}\"");
        Self::document(path, message)
    }

    /// Adds what is most likely meant.
    pub(super) fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// Returns what is most likely meant, which an API server does not say.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// A kind that there is no CRD for, in the words of kubectl.
    pub(super) fn no_match(kind: &str, version: &str) -> Self {
        let known = super::kinds().any(|k| k == kind);
        Self::document(
            if known { "apiVersion" } else { "kind" },
            format!("no matches for kind \"{kind}\" in version \"{version}\""),
        )
    }

    /// Whether the API server leaves the CEL rules unchecked because of this.
    pub(super) fn hides_rules(&self) -> bool {
        self.kind != Kind::Value
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.path.as_str()) {
            (Kind::Document, _) => f.write_str(&self.message),
            // The API server's own word for the document itself.
            (_, "") => write!(f, "<nil>: {}", self.message),
            (_, path) => write!(f, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for FieldError {}

/// Returns a value as the API server quotes it.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
