//! The parts that the controller and the agent share: probes and metrics over HTTP (`/healthz`, `/readyz`,
//! `/metrics`), the timeout of calls to an API server, a clock, and errors in one line.
//!
//! Controller and agent define their own metrics and probes. This crate has no client of Kubernetes or
//! Docker.

mod boot_time;
mod chain;
mod http;
mod metrics;
mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use boot_time::BootTime;
pub use chain::chain;
pub use http::{Server, ServerError};
pub use metrics::{
    Counters, Family, Gauges, Histograms, MetricError, Registry, SECONDS, TEXT_FORMAT,
};
pub use watchdog::Watchdog;

/// Timeout of a call to the API server, including the client's own retries. A connection through a VPN can
/// break without an error.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The result of a probe. The reason of a failure is one sentence without names of resources.
pub type ProbeResult = Result<(), String>;

/// The answers to probes and scrapes.
pub trait Vitals: Send + Sync + 'static {
    /// Whether the process makes progress. If not, it must be restarted.
    fn alive(&self) -> ProbeResult;
    /// Whether the process can do its work.
    fn ready(&self) -> ProbeResult;
    /// Returns the metrics in the form of [`TEXT_FORMAT`].
    fn metrics(&self) -> BoxFuture<'_, String>;
}

/// Shared vitals.
pub type Shared = Arc<dyn Vitals>;
