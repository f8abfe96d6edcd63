//! Heartbeats and reachability, with a clock that the test sets.

use dockfleet_crds::condition::REACHABLE;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::*;
use crate::index::HeartbeatWork;
use crate::object::Source;

const BEAT: Duration = Duration::from_secs(30);

/// A fleet whose Leases are created, and the time.
struct Clock {
    world: World,
    now: Instant,
    beats: BTreeMap<Name, i64>,
}

impl Clock {
    fn of(hosts: usize) -> Self {
        let mut clock = Self {
            world: World::of(hosts),
            now: Instant::now(),
            beats: BTreeMap::new(),
        };
        clock.after(Duration::ZERO);
        clock.world.take_in(WatchChange::Lease(Seen::ListBegins));
        clock.world.take_in(WatchChange::Lease(Seen::ListEnds));
        clock.world.network(&network("web", "a"));
        clock.settle();
        clock
    }

    fn settle(&mut self) {
        self.world.settle();
        let all = self.world.index.hosts.keys().cloned();
        self.world.index.dirty.heartbeats = all.collect();
        self.obey();
    }

    /// Lets time pass, and does what is to be done then.
    fn after(&mut self, wait: Duration) {
        self.now += wait;
        self.world.index.tick(self.now);
        self.obey();
    }

    /// Does what the index asks for, with an API server in which nobody renewed anything.
    fn obey(&mut self) {
        loop {
            let heartbeats = self.world.index.take_dirty().heartbeats;
            if heartbeats.is_empty() {
                return;
            }
            for host in heartbeats {
                match self.work(&host) {
                    None => {}
                    Some(HeartbeatWork::CreateLease(lease)) => {
                        self.world.index.lease_seen(&host, Some(&lease));
                    }
                    Some(HeartbeatWork::ReadLease) => {
                        let lease = self.lease(&host);
                        self.world.index.lease_seen(&host, Some(&lease));
                    }
                    Some(HeartbeatWork::Write(written, conditions)) => {
                        let mut written = *written;
                        let status = written.status.get_or_insert_default();
                        status.conditions = conditions;
                        written.metadata.resource_version = Some(self.world.next_version());
                        self.world.index.apply_host(written, &Source::Watched);
                    }
                }
            }
        }
    }

    fn work(&self, host: &Name) -> Option<HeartbeatWork> {
        self.world
            .index
            .heartbeat_work(host, &Time(Timestamp::UNIX_EPOCH))
    }

    /// The Lease as the last beat left it.
    fn lease(&self, host: &Name) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.namespace = Some(host.namespace.clone());
        lease.metadata.name = Some(host.name.clone());
        let beat = self.beats.get(host);
        let renewed = beat.map(|second| MicroTime(Timestamp::from_second(*second).unwrap()));
        lease.spec.get_or_insert_default().renew_time = renewed;
        lease
    }

    fn beat(&mut self, host: &str) {
        let second = self.beats.get(&at(host)).map_or(0, |second| second + 1);
        self.beat_at(host, second);
    }

    /// Renews a Lease, with what the host takes for the time.
    fn beat_at(&mut self, host: &str, second: i64) {
        self.beats.insert(at(host), second);
        let lease = self.lease(&at(host));
        self.world
            .take_in(WatchChange::Lease(Seen::Applied(Box::new(lease))));
        self.obey();
    }

    fn reachable(&self, host: &str) -> (String, String) {
        let host = self.world.index.hosts[&at(host)].host.clone().unwrap();
        let conditions = host.status.unwrap().conditions;
        let found = conditions.into_iter().find(|c| c.type_ == REACHABLE);
        let found = found.unwrap();
        (found.status, found.reason)
    }

    fn offline(&self) -> i32 {
        self.world.status("uid-web").hosts.offline
    }
}

fn said(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_host_is_reachable_until_it_is_silent_for_the_whole_period() {
    let mut clock = Clock::of(1);
    assert_eq!(clock.reachable("h1"), said("Unknown", "Waiting"));
    clock.beat("h1");
    assert_eq!(clock.reachable("h1"), said("True", "HeartbeatSeen"));
    for _ in 0..10 {
        clock.after(BEAT);
        clock.beat("h1");
    }
    clock.after(PERIOD.saturating_sub(Duration::from_secs(1)));
    assert_eq!(clock.reachable("h1"), said("True", "HeartbeatSeen"));
    assert_eq!(clock.offline(), 0);
    clock.after(Duration::from_secs(1));
    assert_eq!(clock.reachable("h1"), said("False", "NoHeartbeat"));
    assert_eq!(clock.offline(), 1);
    clock.beat("h1");
    assert_eq!(clock.reachable("h1"), said("True", "HeartbeatSeen"));
    assert_eq!(clock.offline(), 0);
}

#[test]
fn a_host_without_any_heartbeat_is_offline_after_one_period() {
    let mut clock = Clock::of(1);
    clock.after(PERIOD.saturating_sub(Duration::from_secs(1)));
    assert_eq!(clock.reachable("h1"), said("Unknown", "Waiting"));
    clock.after(Duration::from_secs(1));
    assert_eq!(clock.reachable("h1"), said("False", "NeverHeardOf"));
}

#[test]
fn the_renew_time_of_a_host_is_not_compared_with_a_clock() {
    let mut clock = Clock::of(1);
    for wrong in [i64::from(u32::MAX), 1, 3600, 2] {
        clock.after(BEAT);
        clock.beat_at("h1", wrong);
        assert_eq!(clock.reachable("h1"), said("True", "HeartbeatSeen"));
    }
    clock.after(PERIOD);
    assert_eq!(clock.reachable("h1"), said("False", "NoHeartbeat"));
}

#[test]
fn a_restarted_controller_waits_a_whole_period_and_resets_no_condition() {
    let mut clock = Clock::of(1);
    clock.beat("h1");
    clock.after(PERIOD);
    assert_eq!(clock.reachable("h1"), said("False", "NoHeartbeat"));
    let host = clock.world.index.hosts[&at("h1")].host.clone().unwrap();

    let mut again = Clock::of(0);
    again.world.version = clock.world.version;
    again.world.index.apply_host(host, &Source::Watched);
    again.beats.clone_from(&clock.beats);
    let lease = again.lease(&at("h1"));
    let listed = WatchChange::Lease(Seen::Listed(Box::new(lease)));
    again.world.take_in(listed);
    again.settle();
    assert_eq!(again.reachable("h1"), said("False", "NoHeartbeat"));
    assert_eq!(again.offline(), 1);
    again.after(PERIOD);
    assert_eq!(again.reachable("h1"), said("False", "NoHeartbeat"));
    again.beat("h1");
    assert_eq!(again.reachable("h1"), said("True", "HeartbeatSeen"));
}

#[test]
fn a_watch_that_was_interrupted_makes_nobody_offline() {
    let mut clock = Clock::of(1);
    clock.beat("h1");
    clock.after(PERIOD.saturating_sub(Duration::from_secs(1)));
    clock.world.take_in(WatchChange::Lease(Seen::Interrupted));
    clock.after(BEAT);
    assert_eq!(clock.reachable("h1"), said("True", "HeartbeatSeen"));
    clock.after(PERIOD);
    assert_eq!(clock.reachable("h1"), said("False", "NoHeartbeat"));
}

#[test]
fn a_host_is_not_offline_because_the_watch_missed_its_heartbeats() {
    let mut clock = Clock::of(2);
    clock.beat("h1");
    clock.beat("h2");
    // The watch delivers nothing, though both hosts renew; a read finds that.
    clock.now += PERIOD;
    clock.world.index.tick(clock.now);
    clock.beats = hosts(["h1", "h2"]).into_iter().map(|h| (h, 7)).collect();
    clock.obey();
    for host in ["h1", "h2"] {
        assert_eq!(clock.reachable(host), said("True", "HeartbeatSeen"));
    }
}

#[test]
fn an_api_server_that_does_not_answer_makes_nobody_offline() {
    let mut clock = Clock::of(1);
    clock.beat("h1");
    for _ in 0..5 {
        clock.now += PERIOD;
        clock.world.index.tick(clock.now);
        assert_eq!(clock.work(&at("h1")), Some(HeartbeatWork::ReadLease));
        clock.world.index.heartbeat_failed(&at("h1"), false);
        clock.obey();
        assert_eq!(clock.reachable("h1"), said("True", "HeartbeatSeen"));
    }
    clock.after(PERIOD);
    assert_eq!(clock.reachable("h1"), said("False", "NoHeartbeat"));
}

#[test]
fn a_deleted_lease_is_created_again() {
    let mut clock = Clock::of(1);
    clock.beat("h1");
    let meta = clock.lease(&at("h1")).metadata;
    clock.world.take_in(WatchChange::Lease(Seen::Deleted(meta)));
    let Some(HeartbeatWork::CreateLease(lease)) = clock.work(&at("h1")) else {
        panic!("nothing to make");
    };
    assert_eq!(lease.metadata.name.as_deref(), Some("h1"));
    assert_eq!(lease.spec, Some(LeaseSpec::default()));
    let owners = lease.metadata.owner_references.unwrap();
    assert_eq!(owners[0].uid, "uid-h1");
}

#[test]
fn hosts_are_counted_by_their_reachability() {
    let mut clock = Clock::of(3);
    clock.beat("h1");
    clock.after(BEAT);
    clock.beat("h2");
    let reached = clock.world.index.reachable_counts();
    assert_eq!(
        (reached.reachable, reached.offline, reached.unknown),
        (2, 0, 1)
    );
    assert_eq!(clock.world.index.oldest_heartbeat(), Some(BEAT));
    clock.after(PERIOD.saturating_sub(BEAT));
    let reached = clock.world.index.reachable_counts();
    assert_eq!(
        (reached.reachable, reached.offline, reached.unknown),
        (1, 2, 0)
    );
}
