//! Metrics: created and registered in one step, and shown in Prometheus' text format.

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, TextEncoder,
};
use tracing::warn;

/// The content type of [`Registry::text`].
pub const TEXT_FORMAT: &str = prometheus::TEXT_FORMAT;

/// Upper bounds of the histograms of calls and waits, in seconds: from the time of an idle API server or
/// engine to the longest timeout.
pub const SECONDS: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];

/// Why a metric could not be registered: its name or a label is not valid, or the name is taken.
#[derive(Debug, thiserror::Error)]
#[error("metric {name} could not be registered")]
pub struct MetricError {
    name: String,
    source: prometheus::Error,
}

/// The metrics of one process; clones share them.
#[derive(Clone, Debug)]
pub struct Registry {
    metrics: prometheus::Registry,
}

impl Registry {
    /// Creates a registry with the version of the program.
    pub fn new(version: &str) -> Result<Self, MetricError> {
        let metrics = prometheus::Registry::new();
        let registry = Self { metrics };
        let help = "Version of the program; always 1.";
        let info = registry.gauges("dockfleet_build_info", help, ["version"])?;
        info.with([version]).set(1);
        Ok(registry)
    }

    /// Creates a counter.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricError> {
        self.add(name, IntCounter::new(name, help))
    }

    /// Creates counters with labels.
    pub fn counters<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Counters<N>, MetricError> {
        let counters = IntCounterVec::new(Opts::new(name, help), &labels);
        self.add(name, counters).map(Family)
    }

    /// Creates an integer gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricError> {
        self.add(name, IntGauge::new(name, help))
    }

    /// Creates a floating-point gauge.
    pub fn fractional_gauge(&self, name: &str, help: &str) -> Result<Gauge, MetricError> {
        self.add(name, Gauge::new(name, help))
    }

    /// Creates integer gauges with labels.
    pub fn gauges<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Gauges<N>, MetricError> {
        let gauges = IntGaugeVec::new(Opts::new(name, help), &labels);
        self.add(name, gauges).map(Family)
    }

    /// Creates a histogram with these upper bounds.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<Histogram, MetricError> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.add(name, Histogram::with_opts(options))
    }

    /// Creates histograms with labels and these upper bounds.
    pub fn histograms<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        bounds: &[f64],
    ) -> Result<Histograms<N>, MetricError> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        let histograms = HistogramVec::new(options, &labels);
        self.add(name, histograms).map(Family)
    }

    /// Returns the metrics as text, sorted by name and labels.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(err) = TextEncoder::new().encode_utf8(&self.metrics.gather(), &mut text) {
            warn!(error = %err, "not every metric could be shown");
        }
        text
    }

    fn add<M: Collector + Clone + 'static>(
        &self,
        name: &str,
        created: prometheus::Result<M>,
    ) -> Result<M, MetricError> {
        let registered = created.and_then(|metric| {
            self.metrics.register(Box::new(metric.clone()))?;
            Ok(metric)
        });
        registered.map_err(|source| MetricError {
            name: name.to_owned(),
            source,
        })
    }
}

/// Metrics with `N` labels; clones share them.
#[derive(Clone, Debug)]
pub struct Family<V, const N: usize>(V);

/// Counters with labels.
pub type Counters<const N: usize> = Family<IntCounterVec, N>;
/// Gauges with labels.
pub type Gauges<const N: usize> = Family<IntGaugeVec, N>;
/// Histograms with labels.
pub type Histograms<const N: usize> = Family<HistogramVec, N>;

impl<B: MetricVecBuilder, const N: usize> Family<MetricVec<B>, N> {
    /// Returns the metric with these values, in the order of the labels. A new one begins at 0.
    pub fn with(&self, values: [&str; N]) -> B::M {
        // It panics only if the number of values is not the number of labels, which the type excludes.
        self.0.with_label_values(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_shown_by_name_with_their_help_and_type() {
        let registry = Registry::new("1.2.3").unwrap();
        let failures = registry
            .counters(
                "dockfleet_failures_total",
                "Calls that failed.",
                ["call", "kind"],
            )
            .unwrap();
        failures.with(["list \"all\"", "timeout"]).inc();
        failures.with(["get", "refused"]);
        let waits = registry.histogram("dockfleet_wait_seconds", "Waits.", &[0.5, 1.0]);
        waits.unwrap().observe(0.75);
        let age = registry.fractional_gauge("dockfleet_age_seconds", "Age.");
        age.unwrap().set(1.5);
        // Without a value of its own, a family is not shown.
        registry.gauges("dockfleet_absent", "Absent.", []).unwrap();
        let end = registry
            .gauges("dockfleet_end_seconds", "End.", [])
            .unwrap();
        end.with([]).set(1_800_000_000);

        let expected = r#"# HELP dockfleet_age_seconds Age.
# TYPE dockfleet_age_seconds gauge
dockfleet_age_seconds 1.5
# HELP dockfleet_build_info Version of the program; always 1.
# TYPE dockfleet_build_info gauge
dockfleet_build_info{version="1.2.3"} 1
# HELP dockfleet_end_seconds End.
# TYPE dockfleet_end_seconds gauge
dockfleet_end_seconds 1800000000
# HELP dockfleet_failures_total Calls that failed.
# TYPE dockfleet_failures_total counter
dockfleet_failures_total{call="get",kind="refused"} 0
dockfleet_failures_total{call="list \"all\"",kind="timeout"} 1
# HELP dockfleet_wait_seconds Waits.
# TYPE dockfleet_wait_seconds histogram
dockfleet_wait_seconds_bucket{le="0.5"} 0
dockfleet_wait_seconds_bucket{le="1"} 1
dockfleet_wait_seconds_bucket{le="+Inf"} 1
dockfleet_wait_seconds_sum 0.75
dockfleet_wait_seconds_count 1
"#;
        assert_eq!(registry.text(), expected);
    }

    #[test]
    fn a_name_that_is_taken_is_an_error_with_that_name() {
        let registry = Registry::new("1.2.3").unwrap();
        let err = registry
            .gauge("dockfleet_build_info", "Another.")
            .unwrap_err();
        assert_eq!(
            err.to_string(),
            "metric dockfleet_build_info could not be registered"
        );
    }
}
