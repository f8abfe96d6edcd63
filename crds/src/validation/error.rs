//! An error in a document, with the message of the API server.

use std::fmt;

use serde_json::Value;

/// An error in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field, such as `spec.ipam.config[0].subnet`. Empty for the document itself.
    pub path: String,
    /// What is wrong, and what is correct.
    pub message: String,
    class: ErrorClass,
    hint: Option<String>,
}

/// The class of an error. It decides which checks follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    /// The structure is wrong, so rules might use missing fields.
    Structure,
    /// The structure is correct, but a value is wrong.
    Value,
    /// The document cannot be read at all. The message has the path.
    Document,
}

impl FieldError {
    /// A wrong value. The rules are still checked.
    pub(super) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            class: ErrorClass::Value,
            hint: None,
        }
    }

    /// An error in the structure. The rules are not checked.
    pub(super) fn structure(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            class: ErrorClass::Structure,
            hint: None,
        }
    }

    /// An error whose message has the path.
    pub(super) fn document(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            class: ErrorClass::Document,
            hint: None,
        }
    }

    /// An unknown field.
    pub(super) fn unknown_field(path: String) -> Self {
        let message = format!("unknown field \"{path}\"");
        Self::document(path, message)
    }

    /// Adds a suggestion.
    pub(super) fn with_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// Returns a suggestion, which an API server does not give.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// A kind without a CRD, with the message of kubectl.
    pub(super) fn no_match(kind: &str, version: &str) -> Self {
        let known = super::kinds().any(|k| k == kind);
        Self::document(
            if known { "apiVersion" } else { "kind" },
            format!("no matches for kind \"{kind}\" in version \"{version}\""),
        )
    }

    /// Whether the API server does not check the CEL rules after this error.
    pub(super) fn hides_rules(&self) -> bool {
        self.class != ErrorClass::Value
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.class, self.path.as_str()) {
            (ErrorClass::Document, _) => f.write_str(&self.message),
            // The API server's name for the document itself.
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
