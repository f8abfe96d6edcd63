//! Objects on an engine that are not in the current journal: they were applied with another state
//! folder, as another user, or by an agent.

use std::collections::BTreeSet;

use dockfleet_crds::labels;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::observed::ObservedState;

use super::{Files, HostTarget};

/// Returns a hint for each object whose labels name one of these resources, if the journal has no
/// record of the resource.
pub(super) fn hints(
    target: &HostTarget,
    files: &Files,
    known: &BTreeSet<String>,
    observed: &ObservedState,
) -> Vec<String> {
    let resources = files.resources(Lifecycle::Live);
    let unknown = resources.iter().filter(|(r, _)| !known.contains(r.uid()));
    let mut hints = Vec::new();
    for (resource, _) in unknown {
        let wanted = [
            (labels::NAMESPACE, resource.namespace()),
            (labels::NAME, resource.name()),
        ];
        let objects = observed.all(resource.kind()).unwrap_or_default();
        let its = objects.iter().filter(|object| {
            let labels = object.labels();
            let mut wanted = wanted.iter();
            wanted.all(|(key, value)| labels.get(*key).is_some_and(|v| v == value))
        });
        hints.extend(its.map(|object| {
            format!(
                "host {}: {} {} was made for {} {}/{}, and stays: the journal in {} does not know \
                 it. Another --state-dir, another user or an agent may hold it; delete it from there",
                target.name(),
                resource.kind().object(),
                object.name(),
                resource.kind().as_str(),
                resource.namespace(),
                resource.name(),
                target.journal().display(),
            )
        }));
    }
    hints
}
