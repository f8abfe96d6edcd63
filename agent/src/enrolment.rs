//! The credential of one host's agent: its own token, which is valid for days, is bound to the host's Secret,
//! and is renewed long before it expires.
//!
//! It is kept in the agent's state folder as a plain `kubeconfig` (server, its CA, namespace and name of the
//! host) and a `token` beside it. [`join`] exchanges the token from an administrator's `dockfleet enroll` for
//! the first one; [`keep`] exchanges that for the next, and so on. Only the API server decides whether a
//! token is valid. The host's own clock may be wrong, and only decides when a token is renewed.
//!
//! No log, error or `Debug` text contains a token (invariant 9).

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

/// Why a credential cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// One of its files cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its kubeconfig is not valid.
    #[error("{path} cannot be read")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KubeconfigError,
    },
    /// The state folder belongs to another host.
    #[error(
        "{path} belongs to host {found}, and not to {asked}; give each host a state folder of its \
         own (--state-dir), or move this one away if that host no longer exists"
    )]
    OtherHost {
        /// The file that names the other host.
        path: PathBuf,
        /// The host in the file, with its namespace.
        found: String,
        /// The requested host, with its namespace.
        asked: String,
    },
    /// The API server cannot be reached, or has another certificate.
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
        /// The timeout.
        seconds: u64,
    },
    /// The API server does not accept the token: it has expired, or its Secret was deleted.
    #[error(
        "the API server does not accept the credential of host {host}: it has expired or was \
         revoked; run `dockfleet enroll {host}` where you administer the cluster, and run here \
         the command that it prints"
    )]
    Refused {
        /// The host.
        host: String,
    },
    /// The controller has not created the host's identity yet.
    #[error(
        "host {host} is not prepared yet ({message}); the controller prepares it within seconds if \
         its namespace has the label dockfleet.io/hosts=true"
    )]
    NotPrepared {
        /// The host, with its namespace.
        host: String,
        /// The API server's message.
        message: String,
    },
    /// The API server refuses a token to the agent.
    #[error("the API server refused a token for host {host}: {message}")]
    Denied {
        /// The host.
        host: String,
        /// The API server's message.
        message: String,
    },
}
