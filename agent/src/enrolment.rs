//! The credential of one host's agent: a token of its own that lives for days, is bound to the
//! host's Secret, and is renewed long before it ends.
//!
//! It is kept in the agent's state folder as a plain `kubeconfig` (server, its CA, namespace and name
//! of the host) and a `token` beside it. [`join`] exchanges the token that an administrator's
//! `dockfleet enroll` made for the first one; [`keep`] exchanges that for the next, and so on. Only
//! the API server says whether a token is good: the host's own clock may be wrong, and decides
//! nothing but when to ask.
//!
//! A token is in no log, no error and no `Debug` here (invariant 9).

mod exchange;
mod files;
mod kubeconfig;
mod renewal;
mod token;

use std::path::PathBuf;

pub use exchange::{join, request};
pub use files::Store;
pub use kubeconfig::{Enrolment, KubeconfigError, certificates};
pub use renewal::{Renewal, keep};
pub use token::{Claims, Token};

/// What can go wrong with a credential.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// A file of it cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is written about it makes no sense.
    #[error("{path} cannot be read")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KubeconfigError,
    },
    /// The state folder is another host's.
    #[error(
        "{path} belongs to host {found}, and not to {asked}; give each host a state folder of its \
         own (--state-dir), or move this one away if that host is no more"
    )]
    OtherHost {
        /// The file that says so.
        path: PathBuf,
        /// The host that it is for, with its namespace.
        found: String,
        /// The host that was asked for, with its namespace.
        asked: String,
    },
    /// The API server cannot be reached, or is not the one it should be.
    #[error("cannot reach the API server at {server}")]
    Unreachable {
        /// Its address.
        server: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("the API server at {server} did not answer within {seconds} s")]
    Timeout {
        /// Its address.
        server: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The API server does not know the token: it has expired, or its Secret was deleted.
    #[error(
        "the API server does not accept the credential of host {host}: it has expired or was \
         revoked; run `dockfleet enroll {host}` where you administer the cluster, and what it \
         prints here"
    )]
    Refused {
        /// The host.
        host: String,
    },
    /// The controller has not made the host's identity yet.
    #[error(
        "host {host} is not prepared yet ({message}); the controller does that within seconds, in \
         namespaces with the label dockfleet.io/hosts=true"
    )]
    NotPrepared {
        /// The host, with its namespace.
        host: String,
        /// What the API server said.
        message: String,
    },
    /// The API server knows the agent and does not give it a token.
    #[error("the API server gives host {host} no token: {message}")]
    Denied {
        /// The host.
        host: String,
        /// What the API server said.
        message: String,
    },
}
