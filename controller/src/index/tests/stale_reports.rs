//! An edit that is reverted before every agent has reported on it.

use super::*;

/// Reads the host's assignment as the API server has it: with this generation, and with a report of
/// its agent from that of `observed`, on `revision`.
fn read(world: &mut World, generation: i64, observed: i64, revision: &str) {
    let mut assignment = world.assignment("h1");
    assignment.metadata.generation = Some(generation);
    assignment.metadata.resource_version = Some(world.next_version());
    assignment.status = Some(HostAssignmentStatus {
        observed_generation: Some(observed),
        entries: vec![EntryStatus {
            uid: "uid-web".to_owned(),
            revision: revision.to_owned(),
            state: EntryState::Ready.into(),
            id: Some("id-web".to_owned()),
            ..EntryStatus::default()
        }],
    });
    world.take_in(WatchChange::Assignment(Seen::Applied(Box::new(assignment))));
}

fn revision(world: &World) -> String {
    let entries = world.assignment("h1").spec.entries;
    entries.first().unwrap().revision.clone()
}

/// Edits the network, and has the assignment written with the next generation.
fn edit(world: &mut World, web: &DockerNetwork, generation: i64, observed: i64, report: &str) {
    world.network(web);
    world.settle();
    read(world, generation, observed, report);
}

#[test]
fn a_stale_report_does_not_count_when_the_revision_comes_back() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let first = revision(&world);
    read(&mut world, 1, 1, &first);
    assert_eq!(world.ready("uid-web"), (1, 1, "Ready".to_owned()));

    // The agent got the edit, and lost its connection before it reported.
    let internal = edited(&web, |n| n.spec.internal = true);
    edit(&mut world, &internal, 2, 1, &first);
    assert_eq!(world.ready("uid-web"), (2, 0, "Progressing".to_owned()));
    let back = edited(&internal, |n| n.spec.internal = false);
    edit(&mut world, &back, 3, 1, &first);
    assert_eq!(revision(&world), first);
    assert_eq!(world.ready("uid-web"), (3, 0, "Progressing".to_owned()));
    // Its identity is known nevertheless, for a tombstone.
    let report = world.assignment("h1").status.unwrap().entries;
    assert_eq!(report[0].id.as_deref(), Some("id-web"));

    read(&mut world, 3, 2, &first);
    assert_eq!(world.ready("uid-web"), (3, 0, "Progressing".to_owned()));
    read(&mut world, 3, 3, &first);
    assert_eq!(world.ready("uid-web"), (3, 1, "Ready".to_owned()));
}

#[test]
fn a_generation_that_a_new_controller_did_not_see_counts_as_an_edit() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let first = revision(&world);
    // Somebody read generation 1, and reads 3 now: what 2 was, nobody knows.
    read(&mut world, 1, 1, &first);
    read(&mut world, 3, 2, &first);
    assert_eq!(world.ready("uid-web"), (1, 0, "Progressing".to_owned()));
    read(&mut world, 3, 3, &first);
    assert_eq!(world.ready("uid-web"), (1, 1, "Ready".to_owned()));
}

#[test]
fn an_edit_of_one_resource_leaves_the_reports_on_others() {
    let mut world = World::of(1);
    let web = network("web", "a");
    world.network(&web);
    world.settle();
    let first = revision(&world);
    read(&mut world, 1, 1, &first);
    world.network(&network("other", "a"));
    world.settle();
    read(&mut world, 2, 1, &first);
    assert_eq!(world.ready("uid-web"), (1, 1, "Ready".to_owned()));
}
