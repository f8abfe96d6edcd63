//! One host of a swarm with what it reports.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet_crds::swarm::{Member, SwarmState};
use dockfleet_crds::{EntryStatus, Reason, SwarmCluster, selector};

use super::MembershipDetail;
use crate::resource::HostReport;

/// One host with what it reports.
pub(super) struct Host<'a> {
    pub(super) name: &'a str,
    pub(super) report: &'a HostReport<'a>,
    /// The last report on the membership, whatever the revision of its entry was: what was observed stays
    /// observed.
    pub(super) status: Option<&'a EntryStatus>,
    pub(super) detail: MembershipDetail,
    /// It reports a membership that is not this resource's.
    pub(super) foreign: bool,
    /// It may be a manager.
    pub(super) eligible: bool,
    /// It is to leave or to be released.
    pub(super) retires: bool,
    /// What was recorded of it.
    pub(super) before: Option<&'a Member>,
}

impl<'a> Host<'a> {
    /// Returns the ID of its node; the recorded one if its report does not say.
    pub(super) fn node(&self) -> Option<String> {
        match self.status {
            Some(_) if self.foreign => None,
            Some(status) if status.is_because(Reason::Conflict) => self.detail.node.clone(),
            Some(status) if status.id.is_some() || !says_nothing(status) => status.id.clone(),
            Some(_) | None => self.before?.node_id.clone(),
        }
    }

    /// Whether it reports, about its present entry, that it is in no swarm.
    pub(super) fn is_free(&self) -> bool {
        let view = &self.report.view;
        let current = match (view.entry, self.status) {
            (Some(entry), Some(status)) => status.revision == entry.revision,
            (None, _) | (_, None) => false,
        };
        let waits = |s: &EntryStatus| s.id.is_none() && s.is_because(Reason::Progressing);
        current && !view.offline && view.refused.is_none() && self.status.is_some_and(waits)
    }

    /// Whether it has reported that it is in no swarm, whatever the revision of its entry was.
    pub(super) fn says_free(&self) -> bool {
        self.status
            .is_some_and(|s| s.id.is_none() && !says_nothing(s))
    }

    /// Returns the value of a label of the host.
    pub(super) fn label(&self, key: &str) -> Option<&'a str> {
        let labels = self.report.host.metadata.labels.as_ref()?;
        labels.get(key).map(String::as_str)
    }

    pub(super) fn is_online(&self) -> bool {
        !self.report.view.offline && self.report.view.refused.is_none()
    }

    /// Whether it reports that it is a manager which reaches a majority of the managers of this swarm.
    pub(super) fn manages(&self, cluster: &str) -> bool {
        self.is_online() && !self.foreign && self.detail.cluster.as_deref() == Some(cluster)
    }

    /// Whether it reports that it is a manager which reaches no majority.
    pub(super) fn lacks_quorum(&self) -> bool {
        self.is_online() && !self.foreign && self.detail.lacks_quorum
    }
}

/// Whether a status without the ID of a node leaves open whether the host is in a swarm: its agent could not look, or
/// this version does not know what it says. A host that only seems to be in no swarm would lose its node.
fn says_nothing(status: &EntryStatus) -> bool {
    let Some(reason) = status.reason.as_ref() else {
        return false;
    };
    match reason.known() {
        Some(
            Reason::Progressing
            | Reason::Missing
            | Reason::EngineRefused
            | Reason::EngineBusy
            | Reason::CredentialsMissing
            | Reason::Suspended
            | Reason::NoQuorum
            | Reason::AddressChanged
            | Reason::Conflict
            | Reason::InUse
            | Reason::Drifted
            | Reason::Removed
            | Reason::Retained,
        ) => false,
        Some(
            Reason::Lost
            | Reason::Unsupported
            | Reason::AgentTooOld
            | Reason::Invalid
            | Reason::EngineUnreachable
            | Reason::EngineShared
            | Reason::JournalFailed
            | Reason::Paused
            | Reason::Offline
            | Reason::NotAllowed
            | Reason::NotInSwarm
            | Reason::TooManyEntries
            | Reason::Unassigned
            | Reason::RemovalBraked
            | Reason::PartiallyFailed
            | Reason::Missed
            | Reason::NoVolume
            | Reason::SourceUnreadable
            | Reason::SourceEmpty
            | Reason::StoreUnreachable
            | Reason::StoreFull
            | Reason::StoreRefused
            | Reason::NoRepository
            | Reason::NotEmpty
            | Reason::WrongPassword
            | Reason::TargetNotEmpty
            | Reason::TargetUnwritable
            | Reason::TargetFull
            | Reason::NoSnapshot
            | Reason::Locked
            | Reason::Damaged
            | Reason::Interrupted
            | Reason::Internal,
        )
        | None => true,
    }
}

/// Returns the hosts, sorted by name.
pub(super) fn hosts<'a>(
    cluster: &'a SwarmCluster,
    before: &'a SwarmState,
    reports: &'a [HostReport<'a>],
) -> Vec<Host<'a>> {
    let none = BTreeMap::new();
    let mut hosts: Vec<Host<'a>> = reports
        .iter()
        .map(|report| {
            let name = report.host.metadata.name.as_deref().unwrap_or_default();
            let labels = report.host.metadata.labels.as_ref().unwrap_or(&none);
            let by_label = cluster.spec.managers.host_selector.as_ref();
            let status = report.view.status;
            Host {
                name,
                report,
                status,
                foreign: status.is_some_and(|s| s.is_because(Reason::Conflict)),
                detail: MembershipDetail::read(status.and_then(|s| s.detail.as_ref())),
                eligible: by_label.is_none_or(|s| selector::matches(s, labels)),
                retires: report.is_retiring(),
                before: before.members.iter().find(|m| m.host == name),
            }
        })
        .collect();
    hosts.sort_by_key(|h| h.name);
    // A worker does not know which swarm it is in, but a manager lists it.
    let id = before.cluster_id.as_deref();
    let managers = hosts.iter().filter(|h| id.is_some_and(|id| h.manages(id)));
    let listed: BTreeSet<String> = managers
        .flat_map(|h| h.detail.nodes.keys().cloned())
        .collect();
    for host in &mut hosts {
        host.foreign &= !host
            .detail
            .node
            .as_ref()
            .is_some_and(|id| listed.contains(id));
    }
    hosts
}
