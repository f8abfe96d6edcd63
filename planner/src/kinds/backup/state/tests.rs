use std::collections::BTreeSet;

use dockfleet_crds::backup::{BackupRepositorySpec, PathStore, VolumeBackupSpec};
use dockfleet_crds::{DockerHost, Entry, EntryState, EntryStatus, Intent, VolumeBackup};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::aggregate::HostView;
use crate::fixtures;
use crate::resource::{RepositoryUsage, Resource};

/// What the agent of a host has said.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Nothing,
    Waits,
    Paused,
    Unreachable,
    Running,
    Ended(HostBackup),
}

/// A fleet whose agents begin when they are told to.
struct World {
    backup: VolumeBackup,
    repository: Option<BackupRepository>,
    hosts: Vec<DockerHost>,
    said: Vec<Said>,
    offline: BTreeSet<usize>,
    now: i64,
    elsewhere: usize,
    last: OwnStatus,
}

fn repository(most: i32) -> BackupRepository {
    let spec = BackupRepositorySpec {
        path: Some(PathStore {
            folder: "/backup".to_owned(),
            ..PathStore::default()
        }),
        max_concurrent: most,
        ..BackupRepositorySpec::default()
    };
    BackupRepository {
        metadata: fixtures::metadata("main", 0),
        spec,
        status: None,
    }
}

fn whole(bytes: i64) -> HostBackup {
    HostBackup {
        snapshot_id: Some("5".repeat(64)),
        bytes,
        ..HostBackup::default()
    }
}

fn without(reason: Reason) -> HostBackup {
    HostBackup {
        reason: Some(reason.into()),
        message: "no".to_owned(),
        ..HostBackup::default()
    }
}

impl World {
    /// `hosts` hosts that wait, `most` of which may run at the same time, for an hour.
    fn of(hosts: usize, most: i32) -> Self {
        let spec = VolumeBackupSpec {
            host_selector: Some(LabelSelector::default()),
            volume_name: "data".to_owned(),
            repository: "main".to_owned(),
            ..VolumeBackupSpec::default()
        };
        let mut world = Self {
            backup: VolumeBackup {
                metadata: fixtures::metadata("nightly", 0),
                spec,
                status: None,
            },
            repository: Some(repository(most)),
            hosts: (0..hosts)
                .map(|n| fixtures::host(&format!("h{n:02}"), &[]))
                .collect(),
            said: vec![Said::Waits; hosts],
            offline: BTreeSet::new(),
            now: 0,
            elsewhere: 0,
            last: OwnStatus::default(),
        };
        world.step();
        world
    }

    /// Works out the status once more, as after a report, and writes it.
    fn step(&mut self) {
        let statuses: Vec<Option<EntryStatus>> = self.said.iter().map(status_of).collect();
        let entry = Entry {
            intent: Intent::Present.into(),
            revision: "1".to_owned(),
            ..Entry::default()
        };
        let own = {
            let reports = || -> Vec<HostReport<'_>> {
                let hosts = self.hosts.iter().zip(&statuses).enumerate();
                hosts
                    .map(|(n, (host, status))| HostReport {
                        host,
                        view: HostView {
                            host: "",
                            entry: Some(&entry),
                            status: status.as_ref(),
                            refused: None,
                            offline: self.offline.contains(&n),
                        },
                        swarm: None,
                    })
                    .collect()
            };
            let once = Once {
                recorded: super::super::of(&self.backup),
                starting_deadline: "1h",
                timeout: "2h",
                repository: "main",
                begins: "backup of volume data".to_owned(),
                words: BACKUP,
            };
            super::status(
                &once,
                &StatusContext {
                    repository: self.repository.as_ref(),
                    usage: RepositoryUsage {
                        running: self.elsewhere,
                        last_success: None,
                    },
                    ..StatusContext::new(Timestamp::from_second(self.now).unwrap(), &reports)
                },
            )
        };
        let resource: &dyn Resource = &self.backup;
        let written = resource.with_own_status(own.fields.clone()).unwrap();
        self.backup = written.downcast::<VolumeBackup>().unwrap().clone();
        self.last = own;
    }

    /// Lets the agents begin that may, then works out the status.
    fn begin(&mut self) {
        for name in self.state().running.clone() {
            let n = number(&name);
            if matches!(self.said[n], Said::Waits | Said::Nothing) {
                self.said[n] = Said::Running;
            }
        }
        self.step();
    }

    fn end(&mut self, host: &str, result: HostBackup) {
        let n = number(host);
        self.said[n] = Said::Ended(result);
        self.step();
    }

    fn state(&self) -> &BackupState {
        &self.backup.status.as_ref().unwrap().backup
    }

    fn phase(&self) -> BackupPhase {
        self.state().phase.as_ref().unwrap().known().unwrap()
    }
}

fn number(host: &str) -> usize {
    host.trim_start_matches('h').parse().unwrap()
}

fn status_of(said: &Said) -> Option<EntryStatus> {
    let (reason, detail) = match said {
        Said::Nothing => return None,
        Said::Waits => (Reason::Progressing, BackupDetail::default()),
        Said::Paused => (Reason::Paused, BackupDetail::default()),
        Said::Unreachable => (Reason::EngineUnreachable, BackupDetail::default()),
        Said::Running => (
            Reason::Progressing,
            BackupDetail {
                running: true,
                result: None,
            },
        ),
        Said::Ended(result) => (
            Reason::Progressing,
            BackupDetail {
                running: false,
                result: Some(result.clone()),
            },
        ),
    };
    Some(EntryStatus {
        revision: "1".to_owned(),
        state: EntryState::Pending.into(),
        reason: Some(reason.into()),
        message: "so it is".to_owned(),
        detail: Some(detail.fields()),
        ..EntryStatus::default()
    })
}

#[test]
fn hosts_get_their_turn_in_order_and_never_more_than_the_repository_allows() {
    let mut world = World::of(5, 2);
    assert_eq!(world.state().running, ["h00", "h01"]);
    assert_eq!(world.phase(), BackupPhase::Running);
    let events: Vec<_> = world.last.events.iter().map(|e| e.reason).collect();
    assert_eq!(events, ["BackupStarted"]);
    world.begin();
    assert_eq!(world.state().running, ["h00", "h01"]);
    world.end("h01", whole(1_500_000));
    assert_eq!(world.state().running, ["h00", "h02"]);
    let conclusion = world.last.conclusion.clone().unwrap();
    assert_eq!(conclusion.ready, ConditionStatus::Unknown);
    assert_eq!(
        conclusion.message,
        "1 of 5 hosts have ended; running on h00, h02; 2 hosts wait for their turn"
    );
    for host in ["h00", "h02", "h03", "h04"] {
        world.begin();
        world.end(host, whole(0));
    }
    let state = world.state();
    assert_eq!((state.succeeded, state.failed, state.missed), (5, 0, 0));
    assert_eq!(state.size.as_deref(), Some("1.5 MB"));
    assert!(state.is_over() && state.running.is_empty());
    assert_eq!(world.phase(), BackupPhase::Completed);
    let conclusion = world.last.conclusion.clone().unwrap();
    assert_eq!(conclusion.ready, ConditionStatus::True);
    assert_eq!(conclusion.message, "5 of 5 hosts have a whole backup");
}

#[test]
fn what_others_use_is_not_given_away() {
    let mut world = World::of(3, 4);
    world.elsewhere = 4;
    let mut fresh = World::of(0, 4);
    fresh.elsewhere = 3;
    fresh.hosts = world.hosts.clone();
    fresh.said = world.said.clone();
    fresh.step();
    assert_eq!(fresh.state().running, ["h00"]);
    assert_eq!(fresh.last.slots, 1);
    // What runs goes on, even if others came in between.
    world.begin();
    assert_eq!(world.state().running, ["h00", "h01", "h02"]);
}

#[test]
fn without_its_repository_a_backup_waits_and_tells_so() {
    let mut world = World::of(0, 1);
    world.backup.status = None;
    world.repository = None;
    world.hosts = vec![fixtures::host("h00", &[])];
    world.said = vec![Said::Nothing];
    world.step();
    assert_eq!(world.state().repository, None);
    let message = world.last.conclusion.clone().unwrap().message;
    assert_eq!(
        message,
        "0 of 1 host has ended; BackupRepository main does not exist in this namespace"
    );
    assert!((&world.backup as &dyn Resource).waits_for_record());
    world.repository = Some(repository(1));
    world.step();
    assert_eq!(
        world.state().repository.as_ref().unwrap().address,
        "/backup"
    );
    // It is recorded once: a later change of the repository is for later backups.
    world.repository.as_mut().unwrap().spec.max_concurrent = 9;
    world.step();
    assert_eq!(
        world
            .state()
            .repository
            .as_ref()
            .unwrap()
            .spec
            .max_concurrent,
        1
    );
}

#[test]
fn a_host_that_is_away_holds_no_turn_and_is_missed_at_the_deadline() {
    let mut world = World::of(4, 1);
    world.said = vec![Said::Paused, Said::Nothing, Said::Waits, Said::Waits];
    world.offline = BTreeSet::from([2]);
    world.step();
    assert_eq!(world.state().running, ["h03"]);
    let deadline = Timestamp::from_second(3600).unwrap();
    assert_eq!(world.last.again_at, Some(deadline));
    world.begin();
    world.now = 3600;
    world.step();
    // What runs goes on after the deadline.
    assert_eq!(world.state().running, ["h03"]);
    assert_eq!(world.state().missed, 3);
    assert!(!world.state().is_over());
    world.end("h03", whole(1));
    assert_eq!(world.phase(), BackupPhase::PartiallyFailed);
    let conclusion = world.last.conclusion.clone().unwrap();
    assert_eq!(conclusion.ready, ConditionStatus::False);
    assert_eq!(
        conclusion.message,
        "1 of 4 hosts have a whole backup, 3 missed; h00: Missed: so it is"
    );
}

#[test]
fn a_backup_of_no_host_has_failed_at_the_deadline() {
    let mut world = World::of(0, 1);
    assert!(!world.state().is_over());
    world.now = 3600;
    world.step();
    assert_eq!(world.phase(), BackupPhase::Failed);
    let message = world.last.conclusion.clone().unwrap().message;
    assert_eq!(message, "no host is selected");
}

#[test]
fn a_host_that_is_not_heard_of_is_waited_for_and_not_for_ever() {
    let mut world = World::of(2, 2);
    world.begin();
    world.end("h00", whole(1));
    // Its engine does not answer, and then it is offline: it may be at work.
    world.said[1] = Said::Unreachable;
    world.now = 3600;
    world.step();
    assert_eq!(world.state().running, ["h01"]);
    assert!(!world.state().is_over());
    world.offline = BTreeSet::from([1]);
    world.now = 3600 + 3599;
    world.step();
    assert!(!world.state().is_over());
    // It is back, with its result.
    let mut back = World {
        backup: world.backup.clone(),
        ..World::of(2, 2)
    };
    back.said = vec![Said::Ended(whole(1)), Said::Ended(whole(1))];
    back.now = world.now;
    back.step();
    assert_eq!(back.phase(), BackupPhase::Completed);
    // It is not.
    world.now = 3600 + 3600;
    world.step();
    assert_eq!(world.phase(), BackupPhase::PartiallyFailed);
    let reason = world.state().results[0].reason.clone().unwrap();
    assert_eq!(reason, Reason::Interrupted);
    // One that works is waited for until its own timeout must have ended it.
    let mut stuck = World::of(1, 1);
    stuck.begin();
    stuck.now = 3600 + 2 * 3600 + 3599;
    stuck.step();
    assert!(!stuck.state().is_over());
    stuck.now += 1;
    stuck.step();
    assert_eq!(stuck.phase(), BackupPhase::Failed);
}

#[test]
fn a_result_outlives_the_journal_of_its_host_and_the_host() {
    let mut world = World::of(3, 3);
    world.begin();
    world.end("h00", whole(1));
    world.said[0] = Said::Waits;
    world.end("h01", whole(1));
    assert_eq!(world.state().running, ["h02"]);
    // A host that is deleted while it is at work has no backup.
    world.hosts.truncate(2);
    world.said.truncate(2);
    world.step();
    assert_eq!(world.phase(), BackupPhase::PartiallyFailed);
    let state = world.state();
    assert_eq!((state.succeeded, state.failed), (2, 1));
}

#[test]
fn a_host_that_comes_after_the_deadline_is_not_meant() {
    let mut world = World::of(2, 2);
    world.begin();
    world.now = 4000;
    let mut late = fixtures::host("h02", &[]);
    let created = Timestamp::from_second(3900).unwrap();
    late.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        created,
    ));
    world.hosts.push(late);
    world.said.push(Said::Nothing);
    world.end("h00", whole(1));
    world.end("h01", whole(1));
    assert_eq!(world.phase(), BackupPhase::Completed);
}

#[test]
fn the_worst_host_is_named_and_a_partial_backup_is_no_success() {
    let mut world = World::of(3, 3);
    world.begin();
    let partial = HostBackup {
        reason: Some(Reason::PartiallyFailed.into()),
        message: "2 files could not be read".to_owned(),
        ..whole(1)
    };
    world.end("h00", partial);
    world.end("h01", whole(1));
    world.end("h02", without(Reason::WrongPassword));
    let state = world.state();
    assert_eq!((state.succeeded, state.partial, state.failed), (1, 1, 1));
    let hosts: Vec<&str> = state.results.iter().map(|r| r.host.as_str()).collect();
    assert_eq!(hosts, ["h02", "h00", "h01"]);
    let message = world.last.conclusion.clone().unwrap().message;
    assert_eq!(
        message,
        "1 of 3 hosts have a whole backup, 1 with files that are missing, 1 failed; h02: WrongPassword: no"
    );
}

#[test]
fn what_is_over_never_changes() {
    let mut world = World::of(1, 1);
    world.begin();
    world.end("h00", whole(7));
    let before = world.backup.clone();
    world.hosts.clear();
    world.said.clear();
    world.now = 1_000_000;
    world.step();
    assert_eq!(world.backup, before);
    assert!(world.last.events.is_empty());
}

proptest! {
    /// Whatever hosts do: never more run than allowed, each host runs at most once, and in the end every host has a
    /// result.
    #[test]
    fn no_host_is_lost_and_none_begins_twice(
        hosts in 1usize..9,
        most in 1i32..4,
        moves in prop::collection::vec((0usize..9, 0u8..5), 0..60),
    ) {
        let mut world = World::of(hosts, most);
        let mut begun = BTreeSet::new();
        for (n, step) in moves {
            let n = n % hosts;
            let name = format!("h{n:02}");
            match step {
                0 => { world.offline.insert(n); }
                1 => { world.offline.remove(&n); }
                2 if world.said[n] == Said::Waits => world.said[n] = Said::Paused,
                2 if world.said[n] == Said::Paused => world.said[n] = Said::Waits,
                3 if world.said[n] == Said::Waits
                    && !world.offline.contains(&n)
                    && world.state().running.contains(&name) =>
                {
                    prop_assert!(begun.insert(n), "{name} began twice");
                    world.said[n] = Said::Running;
                }
                4 if world.said[n] == Said::Running && !world.offline.contains(&n) => {
                    world.said[n] = Said::Ended(whole(1));
                }
                _ => {}
            }
            world.step();
            let online = world.state().running.iter().filter(|h| {
                !world.offline.contains(&number(h))
            });
            // A host that comes back finds its turn taken by another one: what runs is not stopped.
            let returned = world.said.iter().filter(|s| **s == Said::Running).count();
            prop_assert!(online.count() <= usize::try_from(most).unwrap().max(returned));
        }
        world.offline.clear();
        for n in 0..hosts {
            if world.said[n] == Said::Paused {
                world.said[n] = Said::Waits;
            }
        }
        for _ in 0..2 * hosts + 2 {
            world.begin();
            let running = world.state().running.clone();
            for host in running {
                world.end(&host, whole(1));
            }
        }
        prop_assert_eq!(world.phase(), BackupPhase::Completed);
        prop_assert_eq!(usize::try_from(world.state().succeeded).unwrap(), hosts);
    }
}

#[test]
fn i9_nothing_of_a_secret_is_recorded() {
    let world = World::of(1, 1);
    let recorded = serde_json::to_value(world.state().repository.as_ref().unwrap()).unwrap();
    let Value::Object(fields) = recorded else {
        panic!("it is an object");
    };
    let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(keys, ["address", "spec", "uid"]);
}
