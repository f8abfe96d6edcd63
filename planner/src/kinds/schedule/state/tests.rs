use dockfleet_crds::backup::{BackupPhase, VolumeBackupScheduleSpec, VolumeBackupStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::tz::TimeZone;

use super::*;
use crate::fixtures;

/// A schedule, the API server that has what it makes, and a clock.
struct World {
    schedule: VolumeBackupSchedule,
    made: Vec<VolumeBackup>,
    now: Timestamp,
    last: OwnStatus,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    /// A schedule for two o'clock at night, made at noon before the first of January 2026.
    fn new() -> Self {
        let spec = VolumeBackupScheduleSpec {
            schedule: "0 2 * * *".to_owned(),
            ..VolumeBackupScheduleSpec::default()
        };
        let noon = at("2025-12-31T12:00:00Z");
        let mut schedule = VolumeBackupSchedule::new("nightly", spec);
        schedule.metadata = fixtures::metadata("nightly", noon.as_second());
        schedule.metadata.generation = Some(1);
        let mut world = Self {
            schedule,
            made: Vec::new(),
            now: noon,
            last: OwnStatus::default(),
        };
        world.settle();
        world
    }

    /// Works out the status and does what it asks for, until nothing is left. Returns what was made.
    fn settle(&mut self) -> Vec<String> {
        let mut created = Vec::new();
        for _ in 0..5 {
            let made: Vec<&VolumeBackup> = self.made.iter().collect();
            let mut context = StatusContext::new(self.now, &Vec::new);
            let of_schedule = || made.clone();
            let zone = |name: &str| TimeZone::get(name).ok();
            context.made = &of_schedule;
            context.zone = &zone;
            let own = super::status(&self.schedule, &context);
            let resource: &dyn Resource = &self.schedule;
            let written = resource.with_own_status(own.fields.clone()).unwrap();
            self.schedule = written.downcast::<VolumeBackupSchedule>().unwrap().clone();
            let makes = own.makes.clone();
            self.last = own;
            for make in &makes {
                match make {
                    Makes::Create(backup) => {
                        let mut backup = (**backup).clone();
                        backup.metadata.creation_timestamp = Some(Time(self.now));
                        created.push(backup.metadata.name.clone().unwrap());
                        self.made.push(backup);
                    }
                    Makes::Delete(name) => {
                        self.made.retain(|b| b.metadata.name.as_ref() != Some(name));
                    }
                }
            }
            if makes.is_empty() {
                return created;
            }
        }
        panic!("it never ends");
    }

    fn until(&mut self, text: &str) -> Vec<String> {
        self.now = at(text);
        self.settle()
    }

    fn end(&mut self, phase: BackupPhase) {
        let now = self.now.to_string();
        let running = self.made.iter_mut().filter(|b| !is_over(b));
        for backup in running {
            let mut status = VolumeBackupStatus::default();
            status.backup.phase = Some(phase.into());
            status.backup.completion_time = Some(now.clone());
            backup.status = Some(status);
        }
        self.settle();
    }

    fn state(&self) -> &ScheduleState {
        super::super::of(&self.schedule).unwrap()
    }
}

fn name(text: &str) -> String {
    format!("nightly-{}", at(text).as_second() / 60)
}

#[test]
fn a_backup_is_made_at_its_time_and_not_before() {
    let mut world = World::new();
    assert!(world.made.is_empty(), "its creation is no reason");
    assert_eq!(world.last.again_at, Some(at("2026-01-01T02:00:00Z")));
    assert!(world.until("2026-01-01T01:59:59Z").is_empty());
    let made = world.until("2026-01-01T02:00:00Z");
    assert_eq!(made, [name("2026-01-01T02:00:00Z")]);
    assert_eq!(world.state().active.as_ref(), made.first());
    assert_eq!(
        world.state().last_schedule_time.as_deref(),
        Some("2026-01-01T02:00:00Z")
    );
    let owner = &world.made[0].metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(
        (owner.name.as_str(), owner.uid.as_str()),
        ("nightly", "uid-nightly")
    );
    world.end(BackupPhase::Completed);
    let state = world.state();
    assert_eq!(
        (state.active.as_ref(), state.last_phase.as_deref()),
        (None, Some("Completed"))
    );
    assert_eq!(
        state.last_successful_time.as_deref(),
        Some("2026-01-01T02:00:00Z")
    );
    let message = world.last.conclusion.clone().unwrap().message;
    assert_eq!(
        message,
        "the next backup is at 2026-01-02T02:00:00Z; the last one: Completed"
    );
}

#[test]
fn of_several_that_are_late_one_is_made_and_none_beside_another() {
    let mut world = World::new();
    world.until("2026-01-01T02:00:00Z");
    // It is not done for two days.
    assert!(world.until("2026-01-03T03:00:00Z").is_empty());
    world.end(BackupPhase::PartiallyFailed);
    let names: Vec<_> = world
        .made
        .iter()
        .filter_map(|b| b.metadata.name.clone())
        .collect();
    assert_eq!(
        names,
        [name("2026-01-01T02:00:00Z"), name("2026-01-03T02:00:00Z")]
    );
    // What is too late is given up, and told.
    let mut late = World::new();
    assert!(late.until("2026-01-02T01:00:00Z").is_empty());
    let reasons: Vec<_> = late.last.events.iter().map(|e| e.reason).collect();
    assert_eq!(reasons, ["BackupMissed"]);
    assert_eq!(
        late.state().last_schedule_time.as_deref(),
        Some("2026-01-01T02:00:00Z")
    );
    assert!(late.settle().is_empty());
    assert!(late.last.events.is_empty(), "it is told once");
}

#[test]
fn a_suspended_schedule_makes_up_for_nothing() {
    let mut world = World::new();
    world.schedule.spec.suspend = true;
    assert!(world.until("2026-01-01T02:00:00Z").is_empty());
    assert_eq!(world.state().next_schedule_time, None);
    world.schedule.spec.suspend = false;
    assert!(world.until("2026-01-01T02:30:00Z").is_empty());
    assert_eq!(world.until("2026-01-02T02:00:00Z").len(), 1);
}

#[test]
fn a_backup_is_made_once_for_each_wish() {
    let mut world = World::new();
    world.schedule.spec.run_now = Some("before-upgrade".to_owned());
    world.schedule.metadata.generation = Some(2);
    assert_eq!(world.settle(), ["nightly-now-2"]);
    assert_eq!(
        world.state().last_run_now.as_deref(),
        Some("before-upgrade")
    );
    world.end(BackupPhase::Failed);
    assert!(world.settle().is_empty());
    // The next wish waits for what runs.
    world.until("2026-01-01T02:00:00Z");
    world.schedule.spec.run_now = Some("again".to_owned());
    world.schedule.metadata.generation = Some(3);
    assert!(world.settle().is_empty());
    world.end(BackupPhase::Completed);
    assert_eq!(world.state().active.as_deref(), Some("nightly-now-3"));
}

#[test]
fn a_wish_is_not_done_again_when_its_backup_is_gone_from_the_history() {
    let mut world = World::new();
    for (generation, token) in [(2, "a"), (3, "b")] {
        world.schedule.spec.run_now = Some(token.to_owned());
        world.schedule.metadata.generation = Some(generation);
        assert_eq!(world.settle().len(), 1);
        world.end(BackupPhase::Completed);
    }
    world.made.retain(|b| annotation(b, RUN_NOW) == Some("a"));
    assert!(world.settle().is_empty());
    assert_eq!(world.state().last_run_now.as_deref(), Some("b"));
}

#[test]
fn a_clock_that_was_wrong_stops_no_schedule() {
    let mut world = World::new();
    world.until("2027-06-01T02:00:00Z");
    world.end(BackupPhase::Completed);
    assert_eq!(world.until("2026-01-01T02:00:00Z").len(), 1);
}

#[test]
fn the_history_is_limited_and_good_ones_are_not_displaced_by_bad_ones() {
    let mut world = World::new();
    world.schedule.spec.successful_history_limit = 2;
    world.schedule.spec.failed_history_limit = 1;
    for day in 1..=9 {
        world.until(&format!("2026-01-0{day}T02:00:00Z"));
        let phase = if day < 5 {
            BackupPhase::Completed
        } else {
            BackupPhase::Failed
        };
        world.end(phase);
    }
    let names: Vec<_> = world
        .made
        .iter()
        .filter_map(|b| b.metadata.name.clone())
        .collect();
    let days = [
        "2026-01-03T02:00:00Z",
        "2026-01-04T02:00:00Z",
        "2026-01-09T02:00:00Z",
    ];
    assert_eq!(names, days.map(name));
    let success = world.state().last_successful_time.clone();
    assert_eq!(success.as_deref(), Some("2026-01-04T02:00:00Z"));
}

#[test]
fn a_schedule_that_cannot_be_read_is_told() {
    let mut world = World::new();
    world.schedule.spec.time_zone = "Mars/Olympus".to_owned();
    world.until("2026-01-01T02:00:00Z");
    let conclusion = world.last.conclusion.clone().unwrap();
    assert_eq!(conclusion.reason, "Invalid");
    let mut never = World::new();
    never.schedule.spec.schedule = "0 0 31 2 *".to_owned();
    never.settle();
    assert_eq!(never.last.conclusion.clone().unwrap().reason, "Invalid");
    assert_eq!(
        conclusion.message,
        "timeZone Mars/Olympus is not known; write one such as Europe/Berlin"
    );
}
