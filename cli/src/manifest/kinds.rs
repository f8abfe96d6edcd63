//! The kinds of resource that people write.

use dockfleet_crds::assignment::Kind;

/// The kind of a host, which does not go to hosts.
pub(super) const HOST: &str = "DockerHost";

/// Returns every kind, as it stands in a manifest.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once(HOST).chain(Kind::all().map(Kind::as_str))
}

/// Whether this is one of the kinds that people write.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Returns the kind of this name that goes to hosts.
pub(super) fn of(name: &str) -> Option<Kind> {
    Kind::all().find(|kind| kind.as_str() == name)
}
