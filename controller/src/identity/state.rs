//! The identities of one namespace's hosts, and the work on each. Synchronous: time comes in as an
//! argument.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::wanted::PieceKind;

/// How long a host is left without its Secret after that was deleted. The API server accepts a
/// revoked token for 10 s (`TokenSuccessCacheTTL`). In that time a thief must find no Secret that a
/// new token could be bound to.
pub(super) const AFTER_REVOCATION: Duration = Duration::from_secs(30);
/// How long the identity of a missing host is kept if nobody saw its deletion: the host may come
/// back with its CRD, from a backup, or from Git.
pub(super) const ORPHAN: Duration = Duration::from_mins(10);

/// The identities of one namespace's hosts.
#[derive(Debug, Default)]
pub(super) struct IdentityState {
    hosts: BTreeMap<String, Identity>,
    /// Kinds whose first list is not complete yet: until then an existing object looks deleted.
    unfilled: BTreeSet<WatchedPiece>,
    dirty: BTreeSet<String>,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WatchedPiece {
    /// DockerHosts.
    Hosts,
    /// Objects of an identity.
    Pieces(PieceKind),
}

/// A host that exists or existed, with its objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Identity {
    /// Whether the DockerHost exists.
    is_host: bool,
    /// When the DockerHost was seen to be deleted, or first not seen.
    missing: Option<Missing>,
    /// The existing objects, and whether they are as wanted.
    held: BTreeMap<PieceKind, bool>,
    /// When the Secret was seen to be deleted.
    revoked: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missing {
    since: Instant,
    seen: bool,
}

/// The work on the identity of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum IdentityWork {
    /// Nothing.
    None,
    /// Nothing until then.
    Wait(Instant),
    /// Create or restore these objects; there may be more to do later.
    Make {
        pieces: BTreeMap<PieceKind, Make>,
        later: Option<Instant>,
    },
    /// The host seems to be deleted: verify that, and delete these objects.
    Remove(BTreeSet<PieceKind>),
}

/// How an object gets its wanted state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Make {
    /// It does not exist.
    Create,
    /// It was changed.
    Repair,
}

impl Make {
    /// Returns what was done, for logs.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Repair => "repaired",
        }
    }
}

impl IdentityState {
    /// Knows nothing.
    pub(super) fn new() -> Self {
        let pieces = PieceKind::ALL.into_iter().map(WatchedPiece::Pieces);
        Self {
            unfilled: pieces.chain([WatchedPiece::Hosts]).collect(),
            ..Self::default()
        }
    }

    /// Whether the first list of every kind is complete.
    pub(super) fn is_filled(&self) -> bool {
        self.unfilled.is_empty()
    }

    /// Returns the dirty hosts and clears them.
    pub(super) fn take_dirty(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.dirty)
    }

    /// Returns all names of one kind that are known.
    pub(super) fn known(&self, watched: WatchedPiece) -> BTreeSet<String> {
        let is_known = |identity: &Identity| match watched {
            WatchedPiece::Hosts => identity.is_host,
            WatchedPiece::Pieces(kind) => identity.held.contains_key(&kind),
        };
        let known = self.hosts.iter().filter(|(_, i)| is_known(i));
        known.map(|(name, _)| name.clone()).collect()
    }

    /// Records that a DockerHost exists.
    pub(super) fn host(&mut self, name: &str) {
        let identity = self.at(name);
        identity.is_host = true;
        identity.missing = None;
    }

    /// Records that an object of an identity exists.
    pub(super) fn piece(&mut self, kind: PieceKind, name: &str, as_wanted: bool) {
        let identity = self.at(name);
        identity.held.insert(kind, as_wanted);
        if kind == PieceKind::Secret {
            identity.revoked = None;
        }
    }

    /// Records that an object was deleted, seen by an event or by its absence from a list.
    pub(super) fn gone(&mut self, watched: WatchedPiece, name: &str, now: Instant) {
        let identity = self.at(name);
        match watched {
            WatchedPiece::Hosts => {
                identity.is_host = false;
                identity.missing = Some(Missing {
                    since: now,
                    seen: true,
                });
            }
            WatchedPiece::Pieces(kind) => {
                identity.held.remove(&kind);
                if kind == PieceKind::Secret {
                    identity.revoked = Some(now);
                }
            }
        }
    }

    /// Records that a list of one kind is complete.
    pub(super) fn listed(&mut self, watched: WatchedPiece, now: Instant) {
        if !self.unfilled.remove(&watched) || !self.unfilled.is_empty() {
            return;
        }
        for (name, identity) in &mut self.hosts {
            if !identity.is_host {
                identity.missing = Some(Missing {
                    since: now,
                    seen: false,
                });
            }
            // Somebody may have deleted it while nobody looked; a new host has nothing else either.
            if !identity.held.contains_key(&PieceKind::Secret) && !identity.held.is_empty() {
                identity.revoked = Some(now);
            }
            self.dirty.insert(name.clone());
        }
    }

    /// Records that a host was deleted with its CRD or namespace, and not by itself.
    pub(super) fn cascaded(&mut self, name: &str, now: Instant) {
        let identity = self.at(name);
        if !identity.is_host {
            identity.missing = Some(Missing {
                since: now,
                seen: false,
            });
        }
    }

    /// Returns the work on the identity of one host.
    pub(super) fn work(&mut self, name: &str, now: Instant) -> IdentityWork {
        let Some(identity) = self.hosts.get_mut(name) else {
            return IdentityWork::None;
        };
        let secret_again = identity.revoked.map(|at| at + AFTER_REVOCATION);
        let secret_again = secret_again.filter(|at| *at > now);
        if secret_again.is_none() {
            identity.revoked = None;
        }
        if identity.is_host {
            let pieces: BTreeMap<PieceKind, Make> = PieceKind::ALL
                .into_iter()
                .filter(|kind| *kind != PieceKind::Secret || secret_again.is_none())
                .filter_map(|kind| match identity.held.get(&kind) {
                    None => Some((kind, Make::Create)),
                    Some(false) => Some((kind, Make::Repair)),
                    Some(true) => None,
                })
                .collect();
            let later = secret_again.filter(|_| !identity.held.contains_key(&PieceKind::Secret));
            return match (pieces.is_empty(), later) {
                (true, None) => IdentityWork::None,
                (true, Some(at)) => IdentityWork::Wait(at),
                (false, later) => IdentityWork::Make { pieces, later },
            };
        }
        if identity.held.is_empty() {
            if let Some(at) = secret_again {
                // A host that comes back with this name waits like any other.
                return IdentityWork::Wait(at);
            }
            self.hosts.remove(name);
            return IdentityWork::None;
        }
        let Some(missing) = identity.missing else {
            return IdentityWork::None;
        };
        let due = missing.since + if missing.seen { Duration::ZERO } else { ORPHAN };
        if due > now {
            return IdentityWork::Wait(due);
        }
        IdentityWork::Remove(identity.held.keys().copied().collect())
    }

    fn at(&mut self, name: &str) -> &mut Identity {
        self.dirty.insert(name.to_owned());
        self.hosts.entry(name.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(now: Instant, fill: impl FnOnce(&mut IdentityState)) -> IdentityState {
        let mut state = IdentityState::new();
        fill(&mut state);
        for kind in PieceKind::ALL {
            state.listed(WatchedPiece::Pieces(kind), now);
        }
        state.listed(WatchedPiece::Hosts, now);
        assert!(state.is_filled());
        state
    }

    fn all(make: Make) -> BTreeMap<PieceKind, Make> {
        PieceKind::ALL
            .into_iter()
            .map(|kind| (kind, make))
            .collect()
    }

    #[test]
    fn a_new_host_gets_all_of_it_at_once() {
        let now = Instant::now();
        let mut state = filled(now, |s| s.host("h1"));
        let work = IdentityWork::Make {
            pieces: all(Make::Create),
            later: None,
        };
        assert_eq!(state.work("h1", now), work);
        for kind in PieceKind::ALL {
            state.piece(kind, "h1", true);
        }
        assert_eq!(state.work("h1", now), IdentityWork::None);
        state.piece(PieceKind::Role, "h1", false);
        let work = IdentityWork::Make {
            pieces: BTreeMap::from([(PieceKind::Role, Make::Repair)]),
            later: None,
        };
        assert_eq!(state.work("h1", now), work);
    }

    #[test]
    fn a_deleted_secret_is_not_created_again_while_a_revoked_token_may_still_be_accepted() {
        let now = Instant::now();
        let mut state = filled(now, |s| {
            s.host("h1");
            for kind in PieceKind::ALL {
                s.piece(kind, "h1", true);
            }
        });
        state.gone(WatchedPiece::Pieces(PieceKind::Secret), "h1", now);
        assert_eq!(
            state.work("h1", now),
            IdentityWork::Wait(now + AFTER_REVOCATION)
        );
        // Nor if the rest, or the whole host, is deleted and created again meanwhile.
        state.gone(WatchedPiece::Hosts, "h1", now);
        for kind in PieceKind::ALL {
            state.gone(WatchedPiece::Pieces(kind), "h1", now);
        }
        assert_eq!(
            state.work("h1", now),
            IdentityWork::Wait(now + AFTER_REVOCATION)
        );
        state.host("h1");
        let mut pieces = all(Make::Create);
        pieces.remove(&PieceKind::Secret);
        let work = IdentityWork::Make {
            pieces,
            later: Some(now + AFTER_REVOCATION),
        };
        assert_eq!(state.work("h1", now), work);
        let then = now + AFTER_REVOCATION;
        let work = IdentityWork::Make {
            pieces: all(Make::Create),
            later: None,
        };
        assert_eq!(state.work("h1", then), work);
    }

    #[test]
    fn a_secret_that_a_new_controller_does_not_find_may_just_have_been_deleted() {
        let now = Instant::now();
        let mut state = filled(now, |s| {
            s.host("h1");
            for kind in [
                PieceKind::ServiceAccount,
                PieceKind::Role,
                PieceKind::RoleBinding,
            ] {
                s.piece(kind, "h1", true);
            }
        });
        assert_eq!(
            state.work("h1", now),
            IdentityWork::Wait(now + AFTER_REVOCATION)
        );
    }

    #[test]
    fn the_identity_of_a_deleted_host_is_deleted_and_that_of_a_missing_one_waits() {
        let now = Instant::now();
        let held = |s: &mut IdentityState| {
            for kind in PieceKind::ALL {
                s.piece(kind, "h1", true);
            }
        };
        let everything = IdentityWork::Remove(PieceKind::ALL.into_iter().collect());

        let mut deleted = filled(now, |s| {
            s.host("h1");
            held(s);
        });
        deleted.gone(WatchedPiece::Hosts, "h1", now);
        assert_eq!(deleted.work("h1", now), everything);
        deleted.cascaded("h1", now);
        assert_eq!(deleted.work("h1", now), IdentityWork::Wait(now + ORPHAN));
        deleted.host("h1");
        assert_eq!(deleted.work("h1", now), IdentityWork::None);

        let mut lost = filled(now, held);
        assert_eq!(lost.work("h1", now), IdentityWork::Wait(now + ORPHAN));
        assert_eq!(lost.work("h1", now + ORPHAN), everything);
    }

    #[test]
    fn a_deleted_host_is_forgotten() {
        let now = Instant::now();
        let mut state = filled(now, |s| s.host("h1"));
        state.gone(WatchedPiece::Hosts, "h1", now);
        assert_eq!(state.work("h1", now), IdentityWork::None);
        assert!(state.hosts.is_empty());
    }
}
