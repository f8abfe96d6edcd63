//! Write requests to an API server, from its own metrics.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use dockfleet_e2e::ControlPlane;

use crate::exposition::{self, count};

const METRIC: &str = "apiserver_request_total";
/// The verbs that write. POST also requests permissions and tokens, which write nothing.
const VERBS: [&str; 6] = [
    "APPLY",
    "DELETE",
    "DELETECOLLECTION",
    "PATCH",
    "POST",
    "PUT",
];
/// Heartbeats, including those of the API server itself, and requests that write nothing.
const LEFT_OUT: [&str; 3] = ["leases", "subjectaccessreviews", "tokenreviews"];

/// Write requests by resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes(BTreeMap<String, u32>);

impl Writes {
    /// Counts the writes since the start of the API server.
    pub fn count(plane: &ControlPlane) -> Result<Self> {
        Ok(Self::of(
            &plane.kubectl(["get", "--raw", "/metrics"])?.ok()?,
        ))
    }

    /// Counts the writes in the `/metrics` of an API server.
    pub fn of(metrics: &str) -> Self {
        let mut all = BTreeMap::new();
        for sample in exposition::samples(metrics, METRIC) {
            let (verb, resource) = (sample.label("verb"), sample.label("resource"));
            if VERBS.contains(&verb) && !LEFT_OUT.contains(&resource) {
                let what = format!("{verb} {resource}/{}", sample.label("subresource"));
                *all.entry(what).or_default() += count(sample.value);
            }
        }
        Self(all)
    }

    /// Returns the writes after `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let more = self.0.iter().filter_map(|(what, count)| {
            let more = count - before.0.get(what).copied().unwrap_or(0);
            (more > 0).then(|| (what.clone(), more))
        });
        Self(more.collect())
    }

    /// Returns the total.
    pub fn total(&self) -> u32 {
        self.0.values().sum()
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(what, count)| format!("{count} × {what}"))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_are_counted() {
        let metrics = "# TYPE apiserver_request_total counter\n\
            apiserver_request_total{code=\"200\",component=\"apiserver\",dry_run=\"\",group=\"dockfleet.io\",resource=\"hostassignments\",scope=\"resource\",subresource=\"status\",verb=\"APPLY\",version=\"v1alpha1\"} 3\n\
            apiserver_request_total{code=\"200\",resource=\"hostassignments\",subresource=\"\",verb=\"GET\"} 9\n\
            apiserver_request_total{code=\"200\",resource=\"leases\",subresource=\"\",verb=\"PUT\"} 9\n\
            apiserver_request_total{code=\"409\",resource=\"hostassignments\",subresource=\"status\",verb=\"APPLY\"} 1\n";
        let writes = Writes::of(metrics);
        assert_eq!(writes.to_string(), "4 × APPLY hostassignments/status");
        assert_eq!(writes.since(&writes).total(), 0);
    }
}
