//! The kinds of resource that users write.

use dockfleet_crds::assignment::Kind;

/// The kind of a host.
pub(super) const HOST: &str = "DockerHost";

/// Returns every kind, as in a manifest.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(HOST).chain(Kind::all().map(Kind::as_str))
}

/// Whether users write this kind.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Returns the kind of this name, if its resources select hosts.
pub(super) fn of(name: &str) -> Option<Kind> {
    Kind::all().find(|kind| kind.as_str() == name)
}
