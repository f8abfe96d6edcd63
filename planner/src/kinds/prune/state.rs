//! Adds up what the hosts of a policy report.

use dockfleet_crds::PrunePolicy;
use dockfleet_crds::prune::{MAX_CANDIDATES, PruneCandidate, PruneState};

use super::detail::PruneDetail;
use crate::desired::fields;
use crate::resource::{HostReport, OwnStatus, StatusEvent};

/// Works out the status of a policy from its hosts, which are sorted by name.
pub(super) fn status(policy: &PrunePolicy, hosts: &[HostReport<'_>]) -> OwnStatus {
    let mut state = PruneState::default();
    for report in hosts.iter().filter(|h| !h.is_retiring()) {
        let detail = report.view.status.and_then(|s| s.detail.as_ref());
        let Some(detail) = PruneDetail::read(detail) else {
            continue;
        };
        state.candidates += detail.candidates;
        state.recent += detail.recent;
        state.non_empty += detail.non_empty;
        state.removed += detail.removed;
        let candidates = detail.objects.into_iter().map(|object| PruneCandidate {
            host: report.view.host.to_owned(),
            name: object.name,
            id: object.id,
            created: object.created,
            unused_since: object.unused_since,
        });
        let room = MAX_CANDIDATES.saturating_sub(state.objects.len());
        state.objects.extend(candidates.take(room));
    }
    let before = policy.status.as_ref().map_or(0, |s| s.pruning.removed);
    let new = state.removed - before;
    let event = (new > 0).then(|| {
        let object = policy.spec.kind.object();
        let s = if new == 1 { "" } else { "s" };
        StatusEvent::normal(
            "Pruned",
            format!("removed {new} unused {object}{s}; {} in all", state.removed),
        )
    });
    OwnStatus {
        fields: fields(&state),
        events: event.into_iter().collect(),
        ..OwnStatus::default()
    }
}
