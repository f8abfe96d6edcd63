//! Why an object is never pruned, whatever a policy says.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::prune::PrunedKind;
use dockfleet_crds::{Entry, Open, PrunePolicy, labels};
use strum::{IntoStaticStr, VariantArray};

use super::object::PrunableObject;
use crate::desired;
use crate::kinds::ObjectKind as _;
use crate::plan::Records;

/// The label, with any value but `false`, of an object that is never pruned.
pub const KEEP_LABEL: &str = "io.dockfleet.keep";

/// The networks that an engine creates itself.
const PREDEFINED: [&str; 5] = ["bridge", "host", "none", "ingress", "docker_gwbridge"];

/// The drivers of networks that are on one engine only. What another driver does is not known.
const NETWORK_DRIVERS: [&str; 3] = ["bridge", "ipvlan", "macvlan"];

/// Why an object is not a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
pub enum Keep {
    /// A container uses it, running, stopped or only created.
    InUse,
    /// It has the label `io.dockfleet.keep`.
    KeepLabel,
    /// Dockfleet created it, or the journal has a record of it.
    Managed,
    /// The assignment names it.
    Assigned,
    /// It belongs to a compose project.
    Compose,
    /// It belongs to a swarm or a stack.
    Swarm,
    /// The engine created it itself, or other networks are made from it.
    Predefined,
    /// Its driver is a plugin, or not known.
    Driver,
    /// It is a volume with driver options.
    Options,
    /// The policy does not select its labels.
    NotSelected,
    /// It is a volume with a name, and the policy is for anonymous volumes.
    Named,
    /// It is a volume with data, or it is not known whether it has.
    NonEmpty,
    /// It is not unused for long enough.
    Recent,
}

/// The names and identities that the assignment and the journal of a host have, of whatever kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected {
    assigned: BTreeSet<String>,
    recorded: BTreeSet<String>,
}

impl Protected {
    /// Returns what all entries and records of a host name.
    pub fn of(entries: &[Entry], records: &Records) -> Self {
        // The name of a policy is no object.
        let is_of_object = |kind: &Open<Kind>| *kind != PrunePolicy::KIND;
        let entries = entries.iter().filter(|e| is_of_object(&e.kind));
        let named = |e: &Entry| {
            let name = desired::object_name(e).map(str::to_owned);
            name.into_iter().chain(e.id.clone()).collect::<Vec<_>>()
        };
        let records = records.values().filter(|r| is_of_object(&r.kind));
        Self {
            assigned: entries.flat_map(named).collect(),
            recorded: records
                .flat_map(|r| [Some(r.object.clone()), r.id.clone()])
                .flatten()
                .collect(),
        }
    }
}

/// Returns why an object is never pruned, if so. Whether it is in use is another question.
pub(super) fn never(object: &PrunableObject, protected: &Protected) -> Option<Keep> {
    let id = match &object.identity {
        super::Identity::Volume { name, .. } => name,
        super::Identity::Network { id } => id,
    };
    let is_in = |set: &BTreeSet<String>| set.contains(&object.name) || set.contains(id);
    let has = |prefix: &str| has_prefix(&object.labels, prefix);
    let is_built_in = match object.kind() {
        PrunedKind::Volume => object.driver == dockfleet_crds::volume::LOCAL,
        PrunedKind::Network => NETWORK_DRIVERS.contains(&object.driver.as_str()),
    };
    let is_network = object.kind() == PrunedKind::Network;
    let rules = [
        (
            object.labels.get(KEEP_LABEL).is_some_and(|v| v != "false"),
            Keep::KeepLabel,
        ),
        (
            is_managed(&object.labels) || is_in(&protected.recorded),
            Keep::Managed,
        ),
        (is_in(&protected.assigned), Keep::Assigned),
        (has("com.docker.compose."), Keep::Compose),
        (
            !object.is_local || has("com.docker.stack.") || has("com.docker.swarm."),
            Keep::Swarm,
        ),
        (
            is_network && (PREDEFINED.contains(&object.name.as_str()) || object.serves_others),
            Keep::Predefined,
        ),
        (!is_built_in, Keep::Driver),
        (object.has_options, Keep::Options),
    ];
    let first = rules.into_iter().find(|(applies, _)| *applies);
    first.map(|(_, keep)| keep)
}

fn has_prefix(labels: &BTreeMap<String, String>, prefix: &str) -> bool {
    let mut from = labels.range(prefix.to_owned()..);
    from.next().is_some_and(|(key, _)| key.starts_with(prefix))
}

/// Whether it has a label of Dockfleet beside the one that says whether to keep it.
fn is_managed(all: &BTreeMap<String, String>) -> bool {
    let mut own = all.keys().filter(|key| key.starts_with(labels::PREFIX));
    own.any(|key| key != KEEP_LABEL)
}
