//! Labels that mark what Dockfleet made on an engine.
//!
//! An engine never lets the labels of a network or volume change, so they say who made the object
//! and for what; what the agent owns now is in its journal.

/// Prefix of every label of ours; users cannot set a label that starts with it.
pub const PREFIX: &str = "io.dockfleet.";
/// `true` on everything an agent creates.
pub const MANAGED: &str = "io.dockfleet.managed";
/// Namespace of the resource the object was made for.
pub const NAMESPACE: &str = "io.dockfleet.namespace";
/// Name of the resource the object was made for.
pub const NAME: &str = "io.dockfleet.name";
/// UID of the resource the object was made for.
pub const UID: &str = "io.dockfleet.uid";
/// Revision of the entry the object was made from.
pub const REVISION: &str = "io.dockfleet.revision";
/// Identity of a volume: the engine gives volumes none, and reuses their names.
pub const VOLUME_ID: &str = "io.dockfleet.volume-id";
