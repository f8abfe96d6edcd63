//! Who wrote what, by the API server's audit log.
//!
//! The order of writes is that of the versions which they made: those are numbers of one sequence, the
//! Lease's among them. No clock is asked but where an object went, and so has no version.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A write that a controller asked for.
struct Write {
    who: String,
    what: String,
    name: String,
    /// The version that it made.
    version: Option<u64>,
    refused: bool,
    received: String,
    answered: String,
    /// What it made of the controllers' Lease, if that is what was written.
    lease: Option<Holder>,
}

/// Who holds the Lease; nobody where it was given up.
type Holder = Option<String>;

/// What the log says of the writes of controllers.
#[derive(Debug, Default)]
pub(crate) struct WriteAudit {
    /// How many were carried out, those of the Lease left out; and by what they were, those of one who
    /// did not hold the Lease: `refused` by the API server, or `late`, being what no version can hold back.
    pub(crate) counts: BTreeMap<String, usize>,
    /// Other writes of one who did not hold the Lease.
    pub(crate) findings: Vec<String>,
}

impl WriteAudit {
    fn count(&mut self, what: String, more: usize) {
        *self.counts.entry(what).or_default() += more;
    }

    /// Takes in what another log says.
    pub(crate) fn add(&mut self, other: Self) {
        for (what, more) in other.counts {
            self.count(what, more);
        }
        self.findings.extend(other.findings);
    }
}

/// What a leader's going on after its time may do late, where it was let through in time: telling of
/// what was so, and taking away what a deleted host was known by.
const HARMLESS: [&str; 7] = [
    "create events",
    "patch events",
    "delete secrets",
    "delete serviceaccounts",
    "delete roles",
    "delete rolebindings",
    "delete leases",
];

/// Judges the log of the writes of everybody, in the order in which they were answered.
pub(crate) fn judge(log: &[Value], namespace: &str) -> Result<WriteAudit> {
    let mut audit = WriteAudit::default();
    let mut versions = BTreeSet::new();
    let prefix = format!("system:serviceaccount:{namespace}:");
    let mut all = Vec::new();
    for entry in log {
        let version = version(&entry["responseObject"]["metadata"]);
        // An answer with a version that was there before: nothing had to be written.
        let changes = version.is_none_or(|v| versions.insert(v));
        let who = entry["user"]["username"].as_str().unwrap_or_default();
        if let Some(who) = who.strip_prefix(&prefix)
            && changes
        {
            all.push(read(entry, who, version)?);
        }
    }
    let (leases, others): (Vec<Write>, Vec<Write>) = all
        .into_iter()
        .filter(|w| w.lease.is_none() || !w.refused)
        .partition(|w| w.lease.is_some());
    for write in &others {
        audit.count("carried out".to_owned(), usize::from(!write.refused));
        if may_write(&leases, write) {
            continue;
        }
        let holder = holder_at(&leases, write);
        if write.refused {
            audit.count(format!("refused: {}", write.what), 1);
        } else if HARMLESS.contains(&write.what.as_str()) {
            audit.count(format!("late: {}", write.what), 1);
        } else {
            audit.findings.push(format!(
                "{} asked for {} of {} (version {:?}, received {}, answered {}) while {} held the Lease",
                write.who,
                write.what,
                write.name,
                write.version,
                write.received,
                write.answered,
                holder.as_deref().unwrap_or("nobody")
            ));
        }
    }
    Ok(audit)
}

/// Gives the version of an object as it was answered; nothing where it went with its last finalizer:
/// that is then the version before.
fn version(metadata: &Value) -> Option<u64> {
    let finalizers = metadata["finalizers"].as_array();
    let stays = finalizers.is_some_and(|all| !all.is_empty());
    if metadata["deletionTimestamp"].is_string() && !stays {
        return None;
    }
    metadata["resourceVersion"].as_str()?.parse().ok()
}

/// Whether its sender held the Lease when something was written.
fn may_write(leases: &[Write], write: &Write) -> bool {
    let holds = |holder: &Holder| holder.as_deref() == Some(&write.who);
    // Without a version, whoever has the Lease at the beginning or comes to have it meanwhile.
    let meanwhile = |lease: &&Write| {
        write.version.is_none()
            && lease.answered > write.received
            && lease.received < write.answered
    };
    let mut others = leases.iter().filter(meanwhile);
    holds(&holder_at(leases, write)) || others.any(|l| l.lease.as_ref().is_some_and(holds))
}

/// Gives who held the Lease when something was written; where that made no version, when it came in.
fn holder_at(leases: &[Write], write: &Write) -> Holder {
    let before = |lease: &&Write| match (write.version, lease.version) {
        (Some(write), Some(lease)) => lease < write,
        // Times of one server, of the same length, so that their order is that of the text.
        _ => lease.answered <= write.received,
    };
    let last = leases.iter().filter(before).max_by_key(|l| l.version);
    last.and_then(|lease| lease.lease.clone().flatten())
}

fn read(entry: &Value, who: &str, version: Option<u64>) -> Result<Write> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let object = &entry["objectRef"];
    let part = |name: &str| object[name].as_str().unwrap_or_default();
    let verb = entry["verb"].as_str().unwrap_or_default();
    let (resource, name) = (part("resource"), part("name"));
    let what = match part("subresource") {
        "" => format!("{verb} {resource}"),
        sub => format!("{verb} {resource}/{sub}"),
    };
    let code = entry["responseStatus"]["code"].as_i64();
    let holder = &entry["responseObject"]["spec"]["holderIdentity"];
    let is_lease = resource == "leases" && name == "dockfleet-controller";
    let refused = code.is_none_or(|code| code >= 400);
    Ok(Write {
        who: who.to_owned(),
        what,
        name: name.to_owned(),
        version: version.filter(|_| !refused && verb != "delete"),
        refused,
        received: text(&entry["requestReceivedTimestamp"]).context("no time")?,
        answered: text(&entry["stageTimestamp"]).context("no time")?,
        // Who writes it writes for itself.
        lease: is_lease.then(|| holder.as_str().map(|_| who.to_owned())),
    })
}
