//! Labels of objects that Dockfleet created on an engine.
//!
//! An engine cannot change the labels of a network or volume. So they say who created the object and
//! for which resource. The objects that an agent owns now are in its journal.

/// Prefix of all labels of Dockfleet. Users cannot set a label that starts with it.
pub const PREFIX: &str = "io.dockfleet.";
/// `true` on every object that an agent creates.
pub const MANAGED: &str = "io.dockfleet.managed";
/// Namespace of the resource that the object was created for.
pub const NAMESPACE: &str = "io.dockfleet.namespace";
/// Name of the resource that the object was created for.
pub const NAME: &str = "io.dockfleet.name";
/// UID of the resource that the object was created for.
pub const UID: &str = "io.dockfleet.uid";
/// Revision of the entry that the object was created from.
pub const REVISION: &str = "io.dockfleet.revision";
/// On containers and images that an agent needs for a moment: what for. They belong to no resource.
pub const HELPER: &str = "io.dockfleet.helper";
/// Identity of a volume. Engines give volumes no ID, and reuse their names.
pub const VOLUME_ID: &str = "io.dockfleet.volume-id";
