//! The lanes of the controller, one for each kind of work. All have the same bounds and retries.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::index::Uid;
use crate::lane::Lane;
use crate::object::Name;
use crate::random;

/// What a job processes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LaneKey {
    /// A host.
    Host(Name),
    /// A host's Lease.
    Heartbeat(Name),
    /// A resource, by UID.
    Parent(Uid),
    /// The own Secret of a host.
    SecretSync(Name),
    /// A Secret that resources name.
    Secret(Name),
}

/// The kinds of work, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LaneKind {
    /// Assignments of hosts.
    Hosts,
    /// Leases and conditions of hosts.
    Heartbeats,
    /// Statuses and finalizers of resources.
    Resources,
    /// Credentials for hosts.
    Credentials,
    /// Secrets that resources name.
    Secrets,
}

impl LaneKind {
    /// Every kind.
    pub(crate) const ALL: [Self; 5] = [
        Self::Hosts,
        Self::Heartbeats,
        Self::Resources,
        Self::Credentials,
        Self::Secrets,
    ];

    /// Returns the kind as a label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Heartbeats => "heartbeats",
            Self::Resources => "resources",
            Self::Credentials => "credentials",
            Self::Secrets => "secrets",
        }
    }

    /// Returns how many jobs run at the same time.
    fn room(self) -> usize {
        match self {
            // An assignment costs the API server some 10 ms of a core: more would only wait there.
            Self::Hosts => 16,
            // Little work, and nobody waits for the first; of the second a few, so that many edits leave the API
            // server time for the hosts.
            Self::Heartbeats | Self::Resources => 8,
            Self::Credentials | Self::Secrets => 4,
        }
    }
}

impl LaneKey {
    /// Returns what kind of work it is.
    fn kind(&self) -> LaneKind {
        match self {
            Self::Host(_) => LaneKind::Hosts,
            Self::Heartbeat(_) => LaneKind::Heartbeats,
            Self::Parent(_) => LaneKind::Resources,
            Self::SecretSync(_) => LaneKind::Credentials,
            Self::Secret(_) => LaneKind::Secrets,
        }
    }
}

/// All lanes.
#[derive(Debug)]
pub(crate) struct Lanes(BTreeMap<LaneKind, Lane<LaneKey>>);

impl Lanes {
    /// Creates empty lanes.
    pub(crate) fn new() -> Self {
        let all = LaneKind::ALL.into_iter();
        Self(all.map(|kind| (kind, Lane::new(kind.room()))).collect())
    }

    fn of(&mut self, key: &LaneKey) -> &mut Lane<LaneKey> {
        let kind = key.kind();
        self.0.entry(kind).or_insert_with(|| Lane::new(kind.room()))
    }

    /// Adds a key, due at the given time at the latest.
    pub(crate) fn add(&mut self, key: LaneKey, at: Instant) {
        self.of(&key).add(key, at);
    }

    /// Takes a due key of a kind that has room.
    pub(crate) fn take(&mut self, now: Instant) -> Option<LaneKey> {
        self.0.values_mut().find_map(|lane| lane.take(now))
    }

    /// Releases a key that was processed with success.
    pub(crate) fn succeeded(&mut self, key: &LaneKey) {
        self.of(key).succeeded(key);
    }

    /// Releases a key that is not finished yet.
    pub(crate) fn progressed(&mut self, key: &LaneKey) {
        self.of(key).progressed(key);
    }

    /// Releases a key that failed, and returns the delay until its retry.
    pub(crate) fn failed(&mut self, key: &LaneKey, now: Instant) -> Duration {
        self.of(key).failed(key, now, random())
    }

    /// Returns when the next key is due; `None` if there is no room or no key.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(Lane::next).min()
    }

    /// Returns for each kind how many keys wait or are being processed.
    pub(crate) fn depths(&self) -> impl Iterator<Item = (LaneKind, usize)> {
        self.0.iter().map(|(kind, lane)| (*kind, lane.depth()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: usize) -> Name {
        Name {
            namespace: "hosts".to_owned(),
            name: format!("h{n}"),
        }
    }

    #[test]
    fn every_kind_has_its_own_room() {
        let now = Instant::now();
        let mut lanes = Lanes::new();
        for n in 0..100 {
            lanes.add(LaneKey::Secret(host(n)), now);
            lanes.add(LaneKey::Host(host(n)), now);
            lanes.add(LaneKey::Parent(format!("uid-{n}")), now);
            lanes.add(LaneKey::Heartbeat(host(n)), now);
            lanes.add(LaneKey::SecretSync(host(n)), now);
        }
        let mut taken: BTreeMap<LaneKind, usize> = BTreeMap::new();
        while let Some(key) = lanes.take(now) {
            *taken.entry(key.kind()).or_default() += 1;
        }
        let rooms = LaneKind::ALL.map(|kind| (kind, kind.room()));
        assert_eq!(taken, rooms.into());
        assert_eq!(lanes.next(), None);
        assert!(lanes.depths().all(|(_, depth)| depth == 100));
        lanes.succeeded(&LaneKey::Parent("uid-0".to_owned()));
        assert!(matches!(lanes.take(now), Some(LaneKey::Parent(_))));
        assert_eq!(lanes.take(now), None);
    }
}
