//! The probes and metrics of a controller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dockfleet_vitals::{MetricError, ProbeResult, Registry, Vitals, Watchdog};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::metrics::ControllerMetrics;

/// How long one step of the loop may take. It works in memory: milliseconds for a host, seconds for
/// the first list of thousands.
const STUCK: Duration = Duration::from_mins(1);
/// How long a scrape waits for new numbers; after that it gets the last ones.
const COUNT: Duration = Duration::from_secs(2);
/// Scrapes that wait at the same time.
const SCRAPES: usize = 8;

/// The probes and metrics of a controller.
#[derive(Debug)]
pub struct ControllerVitals {
    pub(crate) watchdog: Watchdog,
    pub(crate) metrics: ControllerMetrics,
    registry: Registry,
    filled: AtomicBool,
    count: mpsc::Sender<oneshot::Sender<()>>,
    counts: std::sync::Mutex<Option<mpsc::Receiver<oneshot::Sender<()>>>>,
}

impl ControllerVitals {
    /// Creates the vitals of one controller.
    pub fn new() -> Result<Arc<Self>, MetricError> {
        let registry = Registry::new(env!("CARGO_PKG_VERSION"))?;
        let metrics = ControllerMetrics::register(&registry)?;
        let (count, counts) = mpsc::channel(SCRAPES);
        Ok(Arc::new(Self {
            watchdog: Watchdog::new(),
            metrics,
            registry,
            filled: AtomicBool::new(false),
            count,
            counts: std::sync::Mutex::new(Some(counts)),
        }))
    }

    /// Records that every cache is filled.
    pub(crate) fn is_filled(&self) {
        self.filled.store(true, Ordering::Relaxed);
    }

    /// Returns the queue of scrapes that wait for numbers; once.
    pub(crate) fn counts(&self) -> mpsc::Receiver<oneshot::Sender<()>> {
        let taken = self.counts.lock().ok().and_then(|mut counts| counts.take());
        taken.unwrap_or_else(|| mpsc::channel(1).1)
    }

    async fn counted(&self) {
        let (sender, done) = oneshot::channel();
        if self.count.send(sender).await.is_ok() {
            // Without a response the loop has ended.
            let _ = done.await;
        }
    }
}

impl Vitals for ControllerVitals {
    fn alive(&self) -> ProbeResult {
        self.watchdog.check(STUCK)
    }

    fn ready(&self) -> ProbeResult {
        if self.filled.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("the caches are not filled yet".to_owned())
        }
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        async {
            // Slightly old numbers are better than none.
            let _ = tokio::time::timeout(COUNT, self.counted()).await;
            self.registry.text()
        }
        .boxed()
    }
}
