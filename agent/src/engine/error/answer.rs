//! The meaning of an engine's error answer, by its status and its text.
//!
//! The status alone is not enough. An engine answers 404 if a plugin is missing and if no address pool is
//! free, 409 if a plugin is disabled, and 500 to most requests that it will never accept. There are three
//! meanings:
//!
//! - a *refusal*: the engine refuses this object. Every answer without another meaning is a refusal;
//! - a refusal *for now*: something that the object needs is in use or does not answer, and that may end
//!   without a change of the resource;
//! - a *fault*: the engine, or a proxy in front of it, does not work itself.
//!
//! Only a 404 for the requested object itself means that it does not exist (invariant 4).
//!
//! Sources: the answers of Engine 20.10.24 and 29 to `e2e/tests/standalone/refusals.rs`, and moby's
//! `daemon/server/httpstatus`, `daemon/libnetwork`, `daemon/volume`, `daemon/cluster`, `pkg/plugins`.

use super::{Cause, EngineCall, EngineError, MUST_EXIST};
use crate::engine::redact::redact;

/// Texts of a refusal that may end by itself, at any status.
const FOR_NOW: [&str; 7] = [
    // Every address pool is in use. Up to 26 (404); 20.10 answers the same for IPv6, for which it has no
    // pools at all; that is a final refusal.
    "non-overlapping ipv4 address pool",
    // The same since 27 (400), libnetwork/ipamapi.
    "address pools have been fully subnetted",
    // A plugin does not answer: Go's text of an HTTP request that failed, `Post "http://...": ...`.
    "post \"http",
    // A manager that starts, daemon/cluster (503).
    "manager is being prepared",
    // Old iptables while another program changes rules (500).
    "holding the xtables lock",
    // A volume that is mounted outside of containers (500).
    "device or resource busy",
    "resource temporarily unavailable",
];

/// Texts of a 500 that mean a fault of the engine itself.
const FAULTS: [&str; 15] = [
    // The kernel, about the engine's own files and processes.
    "no space left on device",
    "disk quota exceeded",
    "read-only file system",
    "input/output error",
    "structure needs cleaning",
    "too many open files",
    "cannot allocate memory",
    // Its databases: libnetwork's store and that of volumes, which close when it stops.
    "store for object type",
    "database not open",
    // It ran into its own timeout, or is stopping.
    "context canceled",
    "context deadline exceeded",
    "shutting down",
    // It cannot reach containerd.
    "containerd.sock",
    "transport is closing",
    // The default text of a proxy.
    "internal server error",
];

/// Texts of a 503 that are a refusal: of swarm (daemon/cluster), and of a pool without an address
/// (libnetwork/ipamapi). Every other 503 is a fault of a proxy or of the engine.
const REFUSED_503: [&str; 3] = ["swarm", "no available", "no address"];

/// Names of calls to plugins. The text after one is the plugin's, not the engine's.
const PLUGIN_CALLS: [&str; 3] = ["volumedriver.", "networkdriver.", "ipamdriver."];

/// Texts of a 409 that mean that an object of the name exists. A disabled plugin is a 409 too.
const TAKEN: [&str; 4] = [
    "already exists",
    "must be unique",
    "does not match stored driver",
    "does not match passed in driver",
];

/// Texts that mean that containers, services or another host use the object.
const USED: [&str; 3] = ["has active endpoints", "has active mounts", "in use"];

/// Returns the meaning of an error answer for a call.
pub(super) fn meaning(call: EngineCall<'_>, status: u16, text: &str) -> EngineError {
    let plain = plain(text);
    let lower = plain.to_lowercase();
    let contains = |texts: &[&str]| texts.iter().any(|t| lower.contains(t));
    let redacted = redact(&plain);
    let fault = |text| EngineError::Unreachable {
        what: call.describe(),
        cause: Cause::Fault { status, text },
    };
    match (call, status) {
        (
            EngineCall::Version
            | EngineCall::Info
            | EngineCall::List(_)
            | EngineCall::Containers
            | EngineCall::JoinToken
            | EngineCall::UnlockKey
            | EngineCall::Events,
            400..=403 | 405..=407,
        ) => {
            return EngineError::Refused(redacted);
        }
        // A list that is not found says nothing about the objects in it.
        (
            EngineCall::Version
            | EngineCall::Info
            | EngineCall::List(_)
            | EngineCall::Containers
            | EngineCall::JoinToken
            | EngineCall::UnlockKey
            | EngineCall::Events,
            _,
        ) => {
            return fault(redacted);
        }
        (EngineCall::Remove(kind, name), 404) if is_missing(&lower, name) => {
            return EngineError::NotFound(format!("{} {name}", kind.object()));
        }
        (EngineCall::Container(_, id) | EngineCall::RemoveHelper(id), 404)
            if is_missing(&lower, id) =>
        {
            return EngineError::NotFound(format!("container {id}"));
        }
        (EngineCall::Remove(..), 400..=409 | 500) if contains(&USED) => {
            return EngineError::InUse(Vec::new());
        }
        (EngineCall::CreateHelper(_), 404) if contains(&["no such image"]) => {
            return EngineError::NotFound("the empty image".to_owned());
        }
        // The volume has gone since it was listed, and the engine would create another one.
        (EngineCall::CreateHelper(name), 400) if contains(&[MUST_EXIST]) => {
            return EngineError::NotFound(format!("volume {name}"));
        }
        (EngineCall::Create(kind, name), 409) if contains(&TAKEN) => {
            return EngineError::AlreadyExists(format!("{} {name}", kind.object()));
        }
        (
            EngineCall::Create(..)
            | EngineCall::Remove(..)
            | EngineCall::Update(..)
            | EngineCall::Container(..)
            | EngineCall::Unlock
            | EngineCall::ImportEmptyImage
            | EngineCall::CreateHelper(_)
            | EngineCall::TopFolder(_)
            | EngineCall::SetTopFolder(_)
            | EngineCall::RemoveHelper(_),
            _,
        ) => {}
    }
    let of_a_plugin = contains(&PLUGIN_CALLS);
    let is_fault = match status {
        // Too slow, too early, too many: the request was not processed.
        408 | 425 | 429 => true,
        400..=499 => false,
        // An engine always gives a reason as text.
        _ if lower.is_empty() || text.trim_start().starts_with('<') => true,
        500 => !of_a_plugin && contains(&FAULTS),
        // The engine cannot do that.
        501 => false,
        503 => !of_a_plugin && !contains(&REFUSED_503),
        // An engine does not use other statuses.
        _ => true,
    };
    if contains(&FOR_NOW) {
        EngineError::Busy(redacted)
    } else if is_fault {
        fault(redacted)
    } else {
        EngineError::Refused(redacted)
    }
}

/// Whether a 404 is about the object itself and not about something that it needs.
fn is_missing(text: &str, name: &str) -> bool {
    let not_found = text.contains("not found") || text.contains("no such");
    not_found
        && text.contains(&name.to_lowercase())
        && !text.contains("plugin")
        && !text.contains("pool")
}

/// Returns an answer as one line, without the markup of a proxy's page. Spaces stay, because secrets are
/// searched for in the text as it was sent.
fn plain(text: &str) -> String {
    let page = text.trim_start().starts_with('<');
    let mut line = String::new();
    let mut in_tag = false;
    for c in text.trim().chars() {
        let parts = match c {
            '\n' | '\r' => true,
            '<' if page => {
                in_tag = true;
                true
            }
            '>' if in_tag => {
                in_tag = false;
                continue;
            }
            _ => false,
        };
        if parts && !line.is_empty() && !line.ends_with(' ') {
            line.push(' ');
        } else if !parts && !in_tag {
            line.push(c);
        }
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
