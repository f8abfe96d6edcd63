//! Errors of the controller and of single API calls.

use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher;
use tokio::task::JoinError;

use crate::election::Loss;
use crate::write_fence::NotLeading;

/// Why a controller cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The API server does not serve the resources.
    #[error(
        "the API server does not serve {}; install the CRDs with `dockfleet crds | kubectl apply \
         --server-side -f -` or `kubectl apply --server-side -f crds/manifests/`",
        .missing.join(", ")
    )]
    NotInstalled {
        /// The resources that are not served.
        missing: Vec<String>,
    },
    /// The cluster has no identity for its agents.
    #[error("namespace kube-system has no UID, so this cluster has no identity for its agents")]
    NoHub,
    /// The client configuration cannot be used.
    #[error("could not create the client for the API server")]
    Client(#[from] kube::Error),
    /// Another controller may lead now.
    #[error("the claim to lead is lost; this controller ends, to be started again as a standby")]
    Lost(#[from] Loss),
    /// A part of the controller ended unexpectedly.
    #[error("{part} ended unexpectedly")]
    Ended {
        /// The part.
        part: &'static str,
        /// The error of its task, if known.
        #[source]
        source: Option<JoinError>,
    },
}

/// Why one call of the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The API server did not answer in time; the call may or may not have been carried out.
    #[error("the API server did not answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// Nothing was sent, because this controller may not be the leader.
    #[error("not sent: this controller does not hold the Lease")]
    NotLeading,
    /// The API server refused.
    #[error("the API server refused: {}", .0.message)]
    Refused(Box<Status>),
    /// A list had no resource version to watch from.
    #[error("the API server returned a list without a resourceVersion")]
    NoVersion,
    /// The API server could not be reached, or its response could not be read.
    #[error("the call of the API server failed")]
    Failed(#[source] Box<kube::Error>),
}

impl From<kube::Error> for CallError {
    fn from(err: kube::Error) -> Self {
        match err {
            kube::Error::Api(status) => Self::Refused(status),
            kube::Error::Service(err) if err.downcast_ref().is_some_and(|NotLeading| true) => {
                Self::NotLeading
            }
            other => Self::Failed(Box::new(other)),
        }
    }
}

impl From<watcher::Error> for CallError {
    fn from(err: watcher::Error) -> Self {
        match err {
            watcher::Error::InitialListFailed(err)
            | watcher::Error::WatchStartFailed(err)
            | watcher::Error::WatchFailed(err) => Self::from(err),
            watcher::Error::WatchError(status) => Self::Refused(status),
            watcher::Error::NoResourceVersion => Self::NoVersion,
        }
    }
}

impl CallError {
    /// Whether the object or its whole kind does not exist. For a kind that is not served the
    /// response is plain text, so only the status code counts.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.is_not_found() || status.code == 404)
    }

    /// Whether the API server answered at all.
    pub(crate) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::NoVersion)
    }

    /// Whether the controller has no right to make the call.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(status) if status.is_forbidden() || status.code == 403)
    }

    /// Whether another client changed the object first.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(status) if status.is_conflict())
    }
}

/// Resumes the panic of a task, because its owner cannot continue without it. The loop of the
/// controller finally reports it and ends.
pub(crate) fn panic_with(ended: Option<JoinError>) {
    if let Some(Ok(panic)) = ended.map(JoinError::try_into_panic) {
        std::panic::resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_known_by_the_status_code() {
        let refused = |code, message: &str| {
            let status = Status::failure(message, "").with_code(code).boxed();
            let err = watcher::Error::WatchStartFailed(kube::Error::Api(status));
            CallError::from(err)
        };
        assert!(refused(403, "no").is_forbidden());
        assert!(!refused(500, "Forbidden").is_forbidden());
        assert!(!CallError::NoVersion.is_forbidden());
    }
}
