//! PrunePolicies: what hosts report is added up, and the permission of a person goes to the hosts.

use dockfleet_crds::PrunePolicy;
use dockfleet_crds::host::{AgentFacts, DockerHostStatus};
use dockfleet_crds::prune::{PruneMode, PrunePolicySpec};
use dockfleet_planner::brake::ALLOW_REMOVAL;

use super::*;

/// A policy for all hosts of the fleet.
fn policy() -> PrunePolicy {
    let spec = PrunePolicySpec {
        host_selector: Some(LabelSelector::default()),
        mode: PruneMode::Enforce,
        ..PrunePolicySpec::default()
    };
    let mut policy = PrunePolicy::new("old", spec);
    policy.metadata.namespace = Some(FLEET.to_owned());
    policy.metadata.uid = Some("uid-old".to_owned());
    policy.metadata.generation = Some(1);
    policy.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    policy
}

impl World {
    fn apply_policy(&mut self, policy: &PrunePolicy) {
        let mut policy = policy.clone();
        policy.metadata.resource_version = Some(self.next_version());
        let seen = Seen::Applied(Box::new(policy));
        let change = WatchChange::Resource(Kind::PrunePolicy, seen.map(kinds::parent));
        self.take_in(change);
    }

    /// Has the agent of a host report candidates.
    fn list(&mut self, host: &str, candidates: i64, removed: i64) {
        let mut assignment = self.assignment(host);
        let entry = assignment.spec.entries.first().unwrap();
        let detail = json!({
            "candidates": candidates, "recent": 1, "nonEmpty": 2, "removed": removed,
            "objects": [{"name": "v", "unusedSince": "2026-01-01T00:00:00Z"}],
        });
        let status = EntryStatus {
            uid: entry.uid.clone(),
            revision: entry.revision.clone(),
            state: EntryState::Ready.into(),
            detail: detail.as_object().cloned(),
            ..EntryStatus::default()
        };
        assignment.status = Some(HostAssignmentStatus {
            observed_generation: assignment.metadata.generation,
            entries: vec![status],
        });
        assignment.metadata.resource_version = Some(self.next_version());
        self.take_in(WatchChange::Assignment(Seen::Applied(Box::new(assignment))));
    }
}

#[test]
fn reports_are_added_up_and_a_permission_goes_to_the_hosts() {
    let mut world = World::of(2);
    for host in ["h1", "h2"] {
        let mut object = world.index.hosts[&at(host)].host.clone().unwrap();
        let status = object.status.get_or_insert_with(DockerHostStatus::default);
        status.agent = Some(AgentFacts {
            kinds: vec!["PrunePolicy".to_owned()],
            ..AgentFacts::default()
        });
        world.write_host(object);
    }
    let mut policy = policy();
    world.apply_policy(&policy);
    world.settle();
    world.list("h1", 3, 0);
    world.list("h2", 4, 5);
    let steps = world.work("uid-old").unwrap().steps;
    let written = steps.into_iter().find_map(|step| match step {
        ParentStep::WriteStatus(status, notices) => Some((status, notices)),
        _ => None,
    });
    let (status, notices) = written.unwrap();
    let status = serde_json::to_value(&*status).unwrap();
    for (field, expected) in [
        ("candidates", 7),
        ("recent", 2),
        ("nonEmpty", 4),
        ("removed", 5),
    ] {
        assert_eq!(status[field], json!(expected), "{field}");
    }
    assert_eq!(status["objects"][1]["host"], "h2");
    let notes: Vec<&str> = notices.iter().map(|n| n.note.as_str()).collect();
    assert!(
        notes.contains(&"removed 5 unused volumes; 5 in all"),
        "{notes:?}"
    );

    // A new status changes no entry.
    world.settle();
    policy.status = Some(serde_json::from_value(status).unwrap());
    world.apply_policy(&policy);
    assert_eq!(world.index.take_dirty().hosts, hosts([]));
    let annotations = [(ALLOW_REMOVAL.to_owned(), "1-12".to_owned())];
    policy.metadata.annotations = Some(annotations.into());
    world.apply_policy(&policy);
    assert_eq!(world.index.take_dirty().hosts, hosts(["h1", "h2"]));
    world.work_on("h1");
    let entry = world.assignment("h1").spec.entries.remove(0);
    assert_eq!(entry.spec["allowed"], json!(12));
}
