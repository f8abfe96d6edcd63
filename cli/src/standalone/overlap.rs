//! Networks of the files whose subnets overlap on one host: an engine would create one of them and refuse
//! the other.

use std::collections::BTreeSet;

use dockfleet::manifest::Document;
use dockfleet_crds::DockerNetwork;
use dockfleet_crds::policy::ManagementPolicy;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::kinds::network::{self, Subnets};
use dockfleet_planner::resource::Resource;
use dockfleet_planner::select::{Selection, selection};

use super::files::{Files, place_of};
use super::target::HostTarget;

/// Returns a problem for each pair of networks, with the places of both.
pub(super) fn problems(files: &Files, documents: &[Document]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut reported = BTreeSet::new();
    for target in &files.targets {
        let networks = networks_of(target, files);
        for (i, (one, subnets)) in networks.iter().enumerate() {
            for (other, others) in networks.iter().take(i) {
                let Some((subnet, taken)) = subnets.overlap(others) else {
                    continue;
                };
                // The same pair on another host is the same error.
                if !reported.insert((one.uid(), other.uid())) {
                    continue;
                }
                problems.push(format!(
                    "{}: spec.ipam.config: subnet {subnet} overlaps {taken} of {} on host {}; give one \
                     of them another subnet",
                    place(*one, documents),
                    place(*other, documents),
                    target.name(),
                ));
            }
        }
    }
    problems
}

fn place(resource: &dyn Resource, documents: &[Document]) -> String {
    let kind = resource.kind().as_str();
    let place = place_of(documents, kind, resource.metadata());
    format!("{place}: {kind}/{}", resource.name())
}

/// Returns the networks that a host must have, with their subnets.
fn networks_of<'a>(target: &HostTarget, files: &'a Files) -> Vec<(&'a dyn Resource, Subnets)> {
    let is_created = |r: &dyn Resource| {
        let policies = r.policies();
        policies.management == ManagementPolicy::Manage
            && !policies.suspend
            && selection(r, &target.host, &files.namespaces) == Selection::Yes
    };
    let all = files.resources(Lifecycle::Live).into_iter();
    all.filter(|(r, _)| is_created(*r))
        .filter_map(|(r, _)| {
            let network = r.downcast::<DockerNetwork>()?;
            Some((r, Subnets::of(&network::render(network, &target.host))?))
        })
        .collect()
}
