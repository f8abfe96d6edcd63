//! Names and versions of objects: which of two versions of one object is newer.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// The name of an object of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    /// Its namespace; empty where its kind has none.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Name {
    /// Returns the name of an object.
    pub(crate) fn of(meta: &ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// Where a version of an object comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A watch, which may be late.
    Watched,
    /// The response to a read or write of this controller, or an item of a list.
    Answered {
        /// The version that was known when the request was sent.
        asked_with: Option<String>,
    },
}

/// Whether a new version replaces the known one.
///
/// Resource versions of the API server are growing numbers, so the higher one is newer. A response
/// counts whatever its number if nothing came in between: after a restore of etcd all numbers are
/// lower than before.
pub(crate) fn supersedes(known: &ObjectMeta, new: &ObjectMeta, source: &Source) -> bool {
    if let Source::Answered { asked_with } = source
        && asked_with.is_some()
        && *asked_with == known.resource_version
    {
        return true;
    }
    match (number(known), number(new)) {
        (Some(known), Some(new)) => new > known,
        _ => known.uid != new.uid || new.generation >= known.generation,
    }
}

fn number(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(version: &str) -> ObjectMeta {
        ObjectMeta {
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(supersedes(&meta("9"), &meta("10"), &Source::Watched));
        assert!(!supersedes(&meta("10"), &meta("9"), &Source::Watched));
        assert!(!supersedes(&meta("10"), &meta("10"), &Source::Watched));
    }

    #[test]
    fn an_answer_counts_unless_something_newer_came_in_between() {
        let answered = |version: &str| Source::Answered {
            asked_with: Some(version.to_owned()),
        };
        assert!(supersedes(&meta("900"), &meta("12"), &answered("900")));
        assert!(!supersedes(&meta("901"), &meta("12"), &answered("900")));
    }
}
