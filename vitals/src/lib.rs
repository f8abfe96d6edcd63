//! What is the same for every process that runs for months: what it says about itself by HTTP (`/healthz`,
//! `/readyz`, `/metrics`), how long it waits for an API server, and how it tells of an error.
//!
//! Controller and agent keep their own metrics and know best when they are well; this crate has no
//! client of Kubernetes or Docker.

mod chain;
mod http;
mod metrics;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use chain::chain;
pub use http::{Server, ServerError};
pub use metrics::{
    Counters, Family, Gauges, Histograms, MetricError, Registry, SECONDS, TEXT_FORMAT,
};
pub use watchdog::Watchdog;

/// How long a call of the API server may take, the client's own repetitions included. Connections through
/// a VPN die without a word.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How it is with a process; why it is not well is one sentence without names in it.
pub type Verdict = Result<(), String>;

/// What is asked by HTTP.
pub trait Vitals: Send + Sync + 'static {
    /// Whether it gets on with its work; a process that does not is to be started again.
    fn alive(&self) -> Verdict;
    /// Whether it knows enough to do its work.
    fn ready(&self) -> Verdict;
    /// Returns the metrics in the form of [`TEXT_FORMAT`].
    fn metrics(&self) -> BoxFuture<'_, String>;
}

/// Vitals that several parts hold.
pub type Shared = Arc<dyn Vitals>;
