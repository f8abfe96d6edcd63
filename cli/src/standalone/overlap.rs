//! Networks of the files whose subnets overlap on one host: an engine would create one of them and refuse
//! the other.

use dockfleet::manifest::Document;
use dockfleet_crds::DockerNetwork;
use dockfleet_crds::policy::ManagementPolicy;
use dockfleet_planner::kinds::network::{self, DesiredNetwork};
use dockfleet_planner::resource::Resource;
use dockfleet_planner::select::{NamespaceLabels, Selection, selection};

use super::files::place_of;
use super::target::HostTarget;

/// Returns a problem for each pair of networks, with the places of both.
pub(super) fn problems(
    documents: &[Document],
    resources: &[Box<dyn Resource>],
    namespaces: &NamespaceLabels,
    targets: &[HostTarget],
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut reported = Vec::new();
    for target in targets {
        let networks = networks_of(target, resources, namespaces);
        for (i, (one, desired)) in networks.iter().enumerate() {
            for (other, others) in networks.iter().take(i) {
                let Some((subnet, taken)) = network::overlap(desired, others) else {
                    continue;
                };
                // The same pair on another host is the same error.
                if reported.contains(&(one.uid(), other.uid())) {
                    continue;
                }
                reported.push((one.uid(), other.uid()));
                let place = |resource: &dyn Resource| {
                    let place = place_of(documents, resource.kind().as_str(), resource.metadata());
                    format!("{place}: DockerNetwork/{}", resource.name())
                };
                problems.push(format!(
                    "{}: spec.ipam.config: subnet {subnet} overlaps {taken} of {} on host {}; give one \
                     of them another subnet",
                    place(*one),
                    place(*other),
                    target.name(),
                ));
            }
        }
    }
    problems
}

/// Returns the networks that a host must have, with their rendered specs.
fn networks_of<'a>(
    target: &HostTarget,
    resources: &'a [Box<dyn Resource>],
    namespaces: &NamespaceLabels,
) -> Vec<(&'a dyn Resource, DesiredNetwork)> {
    let is_created = |r: &&dyn Resource| {
        let policies = r.policies();
        policies.management == ManagementPolicy::Manage
            && !policies.suspend
            && selection(*r, &target.host, namespaces) == Selection::Yes
    };
    let all = resources.iter().map(AsRef::as_ref).filter(is_created);
    all.filter_map(|r| {
        let network = r.downcast::<DockerNetwork>()?;
        Some((r, network::render(network, &target.host)))
    })
    .collect()
}
