//! A volume or network, with what pruning has to know about it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use dockfleet_crds::prune::PrunedKind;

use crate::kinds::ObservedObject;

/// The label that an engine since 23.0 gives to an anonymous volume.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// The length of the random name of an anonymous volume.
const RANDOM_NAME: usize = 64;

/// A volume or network as an engine shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunableObject {
    /// The identity.
    pub identity: Identity,
    /// The name.
    pub name: String,
    /// The driver.
    pub driver: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is on this engine only, and not in a swarm.
    pub is_local: bool,
    /// Whether other networks are made from it, or a swarm uses it for its services.
    pub serves_others: bool,
    /// Whether it is a volume with driver options: its data may be elsewhere.
    pub has_options: bool,
    /// When it was created, as the engine says it.
    pub created: String,
    /// The folder of a volume.
    pub mountpoint: String,
}

/// The identity of a volume or network, by which it is listed and removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// An engine gives a volume no ID, and names are used again. Its time of creation changes if a file is created in
    /// its folder (Engine 20.10), so that a volume with such a change is another one.
    Volume {
        /// The name.
        name: String,
        /// When it was created, as the engine says it.
        created: String,
    },
    /// A network has an ID that no other network ever has.
    Network {
        /// The ID.
        id: String,
    },
}

/// `volume/CREATED/NAME` or `network/ID`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume { name, created } => write!(f, "volume/{created}/{name}"),
            Self::Network { id } => write!(f, "network/{id}"),
        }
    }
}

/// A text that is no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the identity of a volume or network")]
pub struct NoIdentity;

impl FromStr for Identity {
    type Err = NoIdentity;

    fn from_str(text: &str) -> Result<Self, NoIdentity> {
        let (kind, rest) = text.split_once('/').ok_or(NoIdentity)?;
        match (kind, rest.split_once('/')) {
            ("volume", Some((created, name))) => Ok(Self::Volume {
                name: name.to_owned(),
                created: created.to_owned(),
            }),
            ("network", None) => Ok(Self::Network {
                id: rest.to_owned(),
            }),
            _ => Err(NoIdentity),
        }
    }
}

impl PrunableObject {
    /// Returns whether it is a volume or a network.
    pub fn kind(&self) -> PrunedKind {
        match self.identity {
            Identity::Volume { .. } => PrunedKind::Volume,
            Identity::Network { .. } => PrunedKind::Network,
        }
    }

    /// Whether a container created it without a name. Engines before 23.0 have no label for it.
    pub fn is_anonymous(&self) -> bool {
        let is_hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let is_random = self.name.len() == RANDOM_NAME && self.name.bytes().all(is_hex);
        self.kind() == PrunedKind::Volume && (self.labels.contains_key(ANONYMOUS) || is_random)
    }
}

impl ObservedObject for PrunableObject {
    fn id(&self) -> String {
        self.identity.to_string()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn driver(&self) -> &str {
        &self.driver
    }

    fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_is_written() {
        let all = [
            Identity::Volume {
                name: "data".into(),
                created: "2026-01-02T03:04:05+01:00".into(),
            },
            Identity::Network { id: "0a1b".into() },
        ];
        for identity in all {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
        for wrong in ["", "data", "volume/data", "network/a/b", "swarm/x"] {
            assert_eq!(wrong.parse::<Identity>(), Err(NoIdentity), "{wrong}");
        }
    }
}
