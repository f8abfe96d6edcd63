//! Requests to reconcile again. The value of an annotation goes to the hosts of a resource as a short mark,
//! and each agent reports the mark after its next pass.
//!
//! The convention is Flux's: a client writes a new value, usually the time, and waits until the status has
//! it.

use dockfleet_crds::Intent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sha2::{Digest, Sha256};

use crate::aggregate::HostView;
use crate::desired::hex;

/// The annotation of a request.
pub const REQUESTED_AT: &str = "dockfleet.io/reconcile-requested-at";

/// Bytes of a mark. It only has to differ from that of the previous request.
const MARK: usize = 4;

fn requested(meta: &ObjectMeta) -> Option<&str> {
    let annotations = meta.annotations.as_ref()?;
    annotations.get(REQUESTED_AT).map(String::as_str)
}

/// Returns the mark of a resource's annotation.
pub fn mark(meta: &ObjectMeta) -> Option<String> {
    requested(meta).map(|value| hex(&Sha256::digest(value), MARK))
}

/// Returns the value of the last request that every host has handled; `before` while a host has not handled
/// it. A host that cannot have the resource has nothing to handle, and an offline host is not waited for.
pub fn handled<'a>(
    meta: &ObjectMeta,
    before: Option<&str>,
    mut hosts: impl Iterator<Item = HostView<'a>>,
) -> Option<String> {
    let Some(value) = requested(meta).filter(|value| before != Some(*value)) else {
        return before.map(str::to_owned);
    };
    let mark = mark(meta);
    let all_handled = hosts.all(|host| match (host.refused, host.entry) {
        _ if host.offline => true,
        (Some(_), _) => true,
        (None, Some(entry)) if entry.intent == Intent::Absent => true,
        (None, Some(entry)) => {
            entry.request == mark && host.status.is_some_and(|status| status.handled == mark)
        }
        (None, None) => false,
    });
    all_handled.then_some(value).or(before).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::{Entry, EntryStatus, Reason};

    use super::*;
    use crate::assignment::Refusal;

    fn asking(value: &str) -> ObjectMeta {
        ObjectMeta {
            annotations: Some([(REQUESTED_AT.to_owned(), value.to_owned())].into()),
            ..ObjectMeta::default()
        }
    }

    fn entry(request: Option<String>) -> Entry {
        Entry {
            request,
            ..Entry::default()
        }
    }

    fn status(handled: Option<String>) -> EntryStatus {
        EntryStatus {
            handled,
            ..EntryStatus::default()
        }
    }

    fn host<'a>(entry: Option<&'a Entry>, status: Option<&'a EntryStatus>) -> HostView<'a> {
        HostView {
            host: "h1",
            entry,
            status,
            refused: None,
            offline: false,
        }
    }

    #[test]
    fn a_new_value_is_a_new_mark() {
        assert_eq!(mark(&ObjectMeta::default()), None);
        assert_ne!(mark(&asking("1")), mark(&asking("2")));
        assert_eq!(mark(&asking(&"x".repeat(9999))).map(|m| m.len()), Some(8));
    }

    #[test]
    fn a_request_is_handled_when_every_host_has_reported_it() {
        let meta = asking("new");
        let (new, old) = (mark(&meta), mark(&asking("old")));
        let (asked, not_yet) = (entry(new.clone()), entry(old.clone()));
        let (current, behind) = (status(new), status(old));
        let all = |hosts: &[HostView<'_>]| handled(&meta, Some("old"), hosts.iter().cloned());
        let done = host(Some(&asked), Some(&current));
        assert_eq!(all(std::slice::from_ref(&done)), Some("new".to_owned()));
        assert_eq!(all(&[]), Some("new".to_owned()));
        let offline = HostView {
            offline: true,
            ..host(Some(&asked), None)
        };
        assert_eq!(all(&[done.clone(), offline]), Some("new".to_owned()));
        for other in [
            host(Some(&asked), Some(&behind)),
            host(Some(&asked), None),
            // The report is about an entry that has changed since.
            host(Some(&not_yet), Some(&current)),
            host(None, None),
        ] {
            assert_eq!(all(&[done.clone(), other]), Some("old".to_owned()));
        }
    }

    #[test]
    fn a_host_that_cannot_have_the_resource_is_not_waited_for() {
        let refused = Refusal {
            reason: Reason::NotAllowed,
            message: String::new(),
        };
        let leaves = Entry {
            intent: Intent::Absent.into(),
            ..Entry::default()
        };
        let hosts = [
            HostView {
                refused: Some(&refused),
                ..host(None, None)
            },
            host(Some(&leaves), None),
        ];
        let value = handled(&asking("new"), None, hosts.into_iter());
        assert_eq!(value, Some("new".to_owned()));
    }

    #[test]
    fn the_handled_value_stays_when_the_annotation_is_removed() {
        let nobody = ObjectMeta::default();
        assert_eq!(handled(&nobody, None, std::iter::empty()), None);
        let kept = handled(&nobody, Some("old"), std::iter::empty());
        assert_eq!(kept, Some("old".to_owned()));
    }
}
