//! The error of a call to an engine.

mod answer;

use std::error::Error;
use std::time::Duration;

use bollard::errors::Error as ClientError;
use dockfleet_crds::assignment::Kind;
use dockfleet_planner::capability::ApiVersion;
use dockfleet_planner::credentials::Credentials;

use super::redact::redact;

/// An option that driver local does not know, so that an engine refuses to create a volume that should exist.
pub(crate) const MUST_EXIST: &str = "must-exist";

/// The error of a call to an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The object does not exist.
    #[error("{0} does not exist")]
    NotFound(String),
    /// An object of that name exists.
    #[error("{0} exists")]
    AlreadyExists(String),
    /// Containers use the object, running or stopped: their names, if they are known.
    #[error("{}", in_use(.0))]
    InUse(Vec<String>),
    /// Containers and services on other hosts of the swarm use the object: what they are, if that is known. No
    /// event of this engine reports their end.
    #[error("{}", in_use(.0))]
    InUseElsewhere(Vec<String>),
    /// The engine refused the request, with this text.
    #[error("the engine refuses: {0}")]
    Refused(String),
    /// The engine refused the request for now: something that the object needs is in use or does not answer.
    #[error("the engine refuses for now: {0}")]
    Busy(String),
    /// The result is not known: no connection, no answer in time, an incomplete answer, or an engine that
    /// reports a fault of its own.
    #[error("{what} failed")]
    Unreachable {
        /// The call.
        what: String,
        /// Why there is no answer.
        #[source]
        cause: Cause,
    },
    /// An engine that is too old for this agent.
    #[error("engine {version} has API {api}, but the oldest supported engine is 20.10 (API 1.41)")]
    TooOld {
        /// Version of the engine.
        version: String,
        /// The newest API version that it supports.
        api: ApiVersion,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// A fault of the engine, with its status and text.
    #[error("status {status}: {text}")]
    Fault {
        /// HTTP status.
        status: u16,
        /// The engine's text.
        text: String,
    },
    /// The connection failed or broke.
    #[error("{0}")]
    Connection(String),
    /// An answer that cannot be read.
    #[error("the answer cannot be read (column {0})")]
    Unreadable(usize),
}

/// A call to an engine; the meaning of an answer depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EngineCall<'a> {
    /// Get the version.
    Version,
    /// Get the identity.
    Info,
    /// List the objects of a kind.
    List(Kind),
    /// List containers.
    Containers,
    /// Open the stream of events.
    Events,
    /// Create an object.
    Create(Kind, &'a str),
    /// Remove an object by its ID or name.
    Remove(Kind, &'a str),
    /// Change an object in place.
    Update(Kind, &'a str),
    /// What is done with a container, in words, and its ID.
    Container(&'static str, &'a str),
    /// Get the token with which workers join a swarm.
    JoinToken,
    /// Get the key that unlocks a manager.
    UnlockKey,
    /// Unlock a manager.
    Unlock,
    /// Import the empty image.
    ImportEmptyImage,
    /// Create a container that has a volume.
    CreateHelper(&'a str),
    /// Read owner and permissions of the top folder of a volume.
    TopFolder(&'a str),
    /// Set owner and permissions of the top folder of a volume.
    SetTopFolder(&'a str),
    /// Remove such a container by its ID.
    RemoveHelper(&'a str),
}

impl EngineError {
    /// Returns the error and its cause as one sentence without secrets, for a status or a person.
    pub fn sentence(&self) -> String {
        match self {
            Self::Unreachable { what, cause } => format!("{what} failed: {cause}"),
            other => other.to_string(),
        }
    }

    /// Whether there was no readable answer.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self {
            Self::Unreachable { cause, .. } => match cause {
                Cause::Timeout(_) | Cause::Connection(_) | Cause::Unreadable(_) => true,
                Cause::Fault { .. } => false,
            },
            Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::InUse(_)
            | Self::InUseElsewhere(_)
            | Self::Refused(_)
            | Self::Busy(_)
            | Self::TooOld { .. } => false,
        }
    }

    /// Hides credentials in the engine's text, in whatever form it repeats them.
    pub(crate) fn without(self, credentials: Option<&Credentials>) -> Self {
        let Some(credentials) = credentials else {
            return self;
        };
        match self {
            Self::Refused(text) => Self::Refused(credentials.hidden_in(&text)),
            Self::Busy(text) => Self::Busy(credentials.hidden_in(&text)),
            Self::Unreachable { what, cause } => Self::Unreachable {
                what,
                cause: match cause {
                    Cause::Fault { status, text } => Cause::Fault {
                        status,
                        text: credentials.hidden_in(&text),
                    },
                    Cause::Connection(text) => Cause::Connection(credentials.hidden_in(&text)),
                    other @ (Cause::Timeout(_) | Cause::Unreadable(_)) => other,
                },
            },
            other => other,
        }
    }

    /// Returns the error as a label of metrics, one of [`crate::metrics::FAILURES`].
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not-found",
            Self::AlreadyExists(_) => "exists",
            Self::InUse(_) | Self::InUseElsewhere(_) => "in-use",
            Self::Refused(_) => "refused",
            Self::Busy(_) => "busy",
            Self::Unreachable { .. } => "unreachable",
            Self::TooOld { .. } => "too-old",
        }
    }

    pub(super) fn timeout(call: EngineCall<'_>, after: Duration) -> Self {
        Self::Unreachable {
            what: call.describe(),
            cause: Cause::Timeout(after),
        }
    }

    /// Returns the error of an answer that does not have what it should.
    pub(crate) fn unreadable(call: EngineCall<'_>) -> Self {
        Self::Unreachable {
            what: call.describe(),
            cause: Cause::Unreadable(0),
        }
    }

    /// Maps an error of the client to its meaning for a call.
    pub(super) fn of(call: EngineCall<'_>, err: &ClientError) -> Self {
        let cause = match err {
            ClientError::DockerResponseServerError {
                status_code,
                message,
            } => {
                return answer::meaning(call, *status_code, message);
            }
            // The error's text would repeat parts of the answer.
            ClientError::JsonDataError { column, .. } => Cause::Unreadable(*column),
            ClientError::JsonSerdeError { err } => Cause::Unreadable(err.column()),
            ClientError::APIVersionParseError {} => Cause::Unreadable(0),
            other => Cause::Connection(redact(&root(other))),
        };
        Self::Unreachable {
            what: call.describe(),
            cause,
        }
    }
}

impl EngineCall<'_> {
    /// Returns the call as a label of metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Info => "info",
            Self::Containers => "list containers",
            Self::Events => "events",
            Self::List(kind) => labels(kind).list,
            Self::Create(kind, _) => labels(kind).create,
            Self::Remove(kind, _) => labels(kind).remove,
            Self::Update(kind, _) => labels(kind).update,
            Self::Container(doing, _) => doing,
            Self::JoinToken => "join token",
            Self::UnlockKey => "unlock key",
            Self::Unlock => "unlock",
            Self::ImportEmptyImage => "import image",
            Self::CreateHelper(_) => "create container",
            Self::TopFolder(_) => "read folder",
            Self::SetTopFolder(_) => "set folder",
            Self::RemoveHelper(_) => "remove container",
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Version => "asking the engine for its version".to_owned(),
            Self::Info => "asking the engine for its identity".to_owned(),
            Self::List(kind) => format!("listing {}s", kind.object()),
            Self::Containers => "listing containers".to_owned(),
            Self::Events => "watching the engine's events".to_owned(),
            Self::Create(kind, name) => format!("creating {} {name}", kind.object()),
            Self::Remove(kind, name) => format!("removing {} {name}", kind.object()),
            Self::Update(kind, name) => format!("changing {} {name}", kind.object()),
            Self::Container(doing, id) => format!("{doing} {}", id.get(..12).unwrap_or(id)),
            Self::JoinToken => "asking the engine for the join token".to_owned(),
            Self::UnlockKey => "asking the engine for the unlock key".to_owned(),
            Self::Unlock => "unlocking the engine".to_owned(),
            Self::ImportEmptyImage => "importing an empty image".to_owned(),
            Self::CreateHelper(name) => format!("creating a container that has volume {name}"),
            Self::TopFolder(name) => format!("reading the owner of volume {name}"),
            Self::SetTopFolder(name) => format!("setting the owner of volume {name}"),
            Self::RemoveHelper(id) => format!("removing container {id}"),
        }
    }
}

/// The labels of the calls for one kind.
struct Labels {
    list: &'static str,
    create: &'static str,
    remove: &'static str,
    update: &'static str,
}

macro_rules! labels {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        fn labels(kind: Kind) -> Labels {
            match kind {
                $(Kind::$kind => Labels {
                    list: concat!("list ", $object, "s"),
                    create: concat!("create ", $object),
                    remove: concat!("remove ", $object),
                    update: concat!("update ", $object),
                },)*
            }
        }
    };
}

dockfleet_crds::kinds!(labels);

fn in_use(names: &[String]) -> String {
    if names.is_empty() {
        return "the engine reports that it is in use".to_owned();
    }
    let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    let tail = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    format!("in use by {}{tail}", shown.join(", "))
}

/// Returns the innermost error: the outer ones only say that something failed.
fn root(err: &dyn Error) -> String {
    let mut err = err;
    while let Some(source) = err.source() {
        err = source;
    }
    err.to_string()
}

#[cfg(test)]
mod tests {
    use super::EngineError;

    #[test]
    fn users_are_named_and_counted() {
        let names: Vec<String> = (1..=7).map(|i| format!("c{i}")).collect();
        let text = EngineError::InUse(names).to_string();
        assert_eq!(text, "in use by c1, c2, c3, c4, c5 and 2 more");
    }
}
