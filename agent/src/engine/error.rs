//! What an engine's answer means: by its status and its text, because the status alone lies.
//!
//! An engine answers 404 when a plugin is missing and when no address pool is free, and 500 to a
//! request that it will never grant. Only a 404 for the very object that was asked for means that it
//! is not there (invariant 4).

use std::error::Error;
use std::time::Duration;

use bollard::errors::Error as ClientError;
use dockfleet_crds::assignment::Kind;
use dockfleet_planner::capability::ApiVersion;
use dockfleet_planner::credentials::Credentials;

use super::redact::redact;

/// Texts of a 5xx that are a refusal and not a fault. Source: moby 20.10 to 29, network drivers.
const REFUSALS: [&str; 19] = [
    "address already in use",
    "cannot create network",
    "conflicts with network",
    "failed to parse",
    "invalid",
    "is not valid",
    "is already using parent interface",
    "is not a swarm manager",
    "no matching subnet",
    "not a valid",
    "not supported",
    "operation not permitted",
    "out of range",
    "overlap",
    "parent interface",
    "same name",
    "subinterface",
    "unable to parse",
    "unknown",
];

/// Why a call to an engine did not do what it was made for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The very object is not there.
    #[error("{0} is not there")]
    NotFound(String),
    /// An object of that name is there.
    #[error("{0} exists")]
    AlreadyExists(String),
    /// Containers use the object, running or not: their names, where the engine told them.
    #[error("{}", in_use(.0))]
    InUse(Vec<String>),
    /// The engine understood and said no, in these words.
    #[error("the engine refuses: {0}")]
    Refused(String),
    /// Nobody knows: no connection, no answer in time, half an answer, or a fault of the engine.
    #[error("{what} failed")]
    Unreachable {
        /// What the engine was asked.
        what: String,
        /// What came instead of an answer.
        #[source]
        cause: Cause,
    },
    /// An engine that is too old for this agent.
    #[error(
        "engine {version} speaks API {api}, and the oldest that is supported is 20.10 (API 1.41)"
    )]
    TooOld {
        /// Version of the engine.
        version: String,
        /// The newest API version that it speaks.
        api: ApiVersion,
    },
}

/// What came instead of an answer.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// Nothing in time.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// A fault of the engine, with its status and text.
    #[error("status {status}: {text}")]
    Fault {
        /// HTTP status.
        status: u16,
        /// What the engine said.
        text: String,
    },
    /// No connection, or one that broke.
    #[error("{0}")]
    Connection(String),
    /// An answer that cannot be read.
    #[error("the answer cannot be read (column {0})")]
    Unreadable(usize),
}

/// What an engine is asked, as far as the meaning of its answer hangs on it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Call<'a> {
    /// To say what it is.
    Version,
    /// For a list.
    List(&'static str),
    /// For the stream of events.
    Events,
    /// To make an object.
    Create(Kind, &'a str),
    /// To remove an object, by its ID or name.
    Remove(Kind, &'a str),
}

impl EngineError {
    /// Returns the error and its cause as one sentence without secrets, for a status or a person.
    pub fn sentence(&self) -> String {
        match self {
            Self::Unreachable { what, cause } => format!("{what} failed: {cause}"),
            other => other.to_string(),
        }
    }

    /// Whether no answer came that could be read.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self {
            Self::Unreachable { cause, .. } => match cause {
                Cause::Timeout(_) | Cause::Connection(_) | Cause::Unreadable(_) => true,
                Cause::Fault { .. } => false,
            },
            Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::InUse(_)
            | Self::Refused(_)
            | Self::TooOld { .. } => false,
        }
    }

    /// Takes credentials out of what an engine said, in whatever form it echoed them.
    pub(super) fn without(self, credentials: Option<&Credentials>) -> Self {
        let Some(credentials) = credentials else {
            return self;
        };
        match self {
            Self::Refused(text) => Self::Refused(credentials.hidden_in(&text)),
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
            Self::InUse(_) => "in-use",
            Self::Refused(_) => "refused",
            Self::Unreachable { .. } => "unreachable",
            Self::TooOld { .. } => "too-old",
        }
    }

    pub(super) fn timeout(call: Call<'_>, after: Duration) -> Self {
        Self::Unreachable {
            what: call.describe(),
            cause: Cause::Timeout(after),
        }
    }

    /// Turns an error of the client into what it means for a call.
    pub(super) fn of(call: Call<'_>, err: &ClientError) -> Self {
        let cause = match err {
            ClientError::DockerResponseServerError {
                status_code,
                message,
            } => {
                return answer(call, *status_code, message);
            }
            // The text would repeat parts of the answer.
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

impl Call<'_> {
    /// Returns the call as a label of metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::List("networks") => "list networks",
            Self::List("volumes") => "list volumes",
            Self::List(_) => "list containers",
            Self::Events => "events",
            Self::Create(Kind::DockerNetwork, _) => "create network",
            Self::Create(Kind::DockerVolume, _) => "create volume",
            Self::Remove(Kind::DockerNetwork, _) => "remove network",
            Self::Remove(Kind::DockerVolume, _) => "remove volume",
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Version => "asking the engine for its version".to_owned(),
            Self::List(what) => format!("listing {what}"),
            Self::Events => "listening to the engine".to_owned(),
            Self::Create(kind, name) => format!("creating {} {name}", kind.object()),
            Self::Remove(kind, name) => format!("removing {} {name}", kind.object()),
        }
    }
}

fn answer(call: Call<'_>, status: u16, text: &str) -> EngineError {
    let lower = text.to_lowercase();
    let told = redact(text.trim());
    let fault = |text| EngineError::Unreachable {
        what: call.describe(),
        cause: Cause::Fault { status, text },
    };
    // Too slow, or too many: the same request may be granted later.
    if matches!(status, 408 | 429) {
        return fault(told);
    }
    match (call, status) {
        (Call::Remove(kind, name), 404) if is_missing(&lower, name) => {
            EngineError::NotFound(format!("{} {name}", kind.object()))
        }
        (Call::Remove(..), 400..=409) if is_used(&lower) => EngineError::InUse(Vec::new()),
        (Call::Create(kind, name), 409) => {
            EngineError::AlreadyExists(format!("{} {name}", kind.object()))
        }
        (Call::Create(..) | Call::Remove(..), 400..=499)
        | (Call::Version | Call::List(_) | Call::Events, 400..=403 | 405..=499) => {
            EngineError::Refused(told)
        }
        (Call::Create(..), 500..=599) if REFUSALS.iter().any(|r| lower.contains(r)) => {
            EngineError::Refused(told)
        }
        _ => fault(told),
    }
}

/// Whether a 404 is about the object itself and not about what it needs.
fn is_missing(text: &str, name: &str) -> bool {
    let says_so = text.contains("not found") || text.contains("no such");
    says_so
        && text.contains(&name.to_lowercase())
        && !text.contains("plugin")
        && !text.contains("pool")
}

fn is_used(text: &str) -> bool {
    text.contains("has active endpoints") || text.contains("in use")
}

fn in_use(names: &[String]) -> String {
    if names.is_empty() {
        return "the engine says that it is in use".to_owned();
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

/// Returns the innermost text: the layers above say only that something went wrong.
fn root(err: &dyn Error) -> String {
    let mut err = err;
    while let Some(source) = err.source() {
        err = source;
    }
    err.to_string()
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::assignment::Kind::{DockerNetwork, DockerVolume};

    use super::{Call, EngineError, answer};

    fn create(status: u16, text: &str) -> EngineError {
        answer(Call::Create(DockerNetwork, "n"), status, text)
    }

    #[test]
    fn only_a_404_for_the_object_itself_means_that_it_is_not_there() {
        let network = Call::Remove(DockerNetwork, "0123abcd");
        let volume = Call::Remove(DockerVolume, "data");
        let gone = |call, text| matches!(answer(call, 404, text), EngineError::NotFound(_));
        assert!(gone(network, "network 0123abcd not found"));
        assert!(gone(network, "No such network: 0123abcd"));
        assert!(gone(volume, "get data: no such volume"));
        assert!(!gone(
            volume,
            "get data: error looking up volume plugin x: plugin \"x\" not found"
        ));
        assert!(!gone(volume, "page not found"));
        assert!(!gone(network, "network other not found"));
    }

    #[test]
    fn what_an_engine_will_never_grant_is_a_refusal_whatever_its_status() {
        for (status, text) in [
            (404, "plugin \"weave\" not found"),
            (
                404,
                "could not find an available, non-overlapping IPv4 address pool among the defaults",
            ),
            (403, "Pool overlaps with other one on this address space"),
            (400, "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
            (
                500,
                "invalid subinterface vlan name eth9, example formatting is eth0.10",
            ),
            (500, "-o parent interface was not found on the host: eth9"),
            (
                500,
                "requested ipvlan mode 'l4' is not valid, 'l2' mode is the ipvlan driver default",
            ),
            (
                500,
                "This node is not a swarm manager. Use \"docker swarm init\"",
            ),
            (500, "invalid CIDR address: nonsense"),
            (
                500,
                "failed to allocate gateway (10.9.9.9): Requested address is out of range",
            ),
            (503, "This node is not a swarm manager."),
        ] {
            assert!(
                matches!(create(status, text), EngineError::Refused(_)),
                "{status} {text}"
            );
        }
    }

    #[test]
    fn a_fault_of_the_engine_is_no_answer() {
        for (status, text) in [
            (500, "boom"),
            (502, "bad gateway"),
            (500, ""),
            (429, "slow down"),
        ] {
            let unknown = matches!(create(status, text), EngineError::Unreachable { .. });
            assert!(unknown, "{status} {text}");
        }
        let list = answer(Call::List("networks"), 404, "page not found");
        assert!(matches!(list, EngineError::Unreachable { .. }));
    }

    #[test]
    fn use_is_told_by_the_text() {
        let network = Call::Remove(DockerNetwork, "0123abcd");
        let used = |call, status, text| matches!(answer(call, status, text), EngineError::InUse(_));
        assert!(used(
            network,
            403,
            "error while removing network: network n has active endpoints"
        ));
        assert!(used(network, 400, "network x is in use by service y"));
        let volume = Call::Remove(DockerVolume, "data");
        assert!(used(volume, 409, "remove data: volume is in use - [0123]"));
        assert!(!used(
            network,
            403,
            "bridge is a pre-defined network and cannot be removed"
        ));
    }

    #[test]
    fn a_name_that_is_taken_is_told() {
        let taken = create(409, "network with name n already exists");
        assert!(matches!(taken, EngineError::AlreadyExists(_)));
    }

    #[test]
    fn no_text_carries_a_password() {
        let refused = create(400, "invalid option: \"o=addr=h,password=hunter2\"");
        assert!(!format!("{refused} {refused:?} {}", refused.sentence()).contains("hunter2"));
    }

    #[test]
    fn users_are_named_and_counted() {
        let names: Vec<String> = (1..=7).map(|i| format!("c{i}")).collect();
        let text = EngineError::InUse(names).to_string();
        assert_eq!(text, "in use by c1, c2, c3, c4, c5 and 2 more");
    }
}
