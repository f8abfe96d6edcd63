//! Resources that have one object for several hosts: swarms, and the networks in them. What each host may do depends
//! on what all of them report, so it is [recorded](super::recorded) first.

use std::collections::{BTreeMap, BTreeSet};

use dockfleet::manifest::Document;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::swarm::{Member, MemberState, SwarmClusterStatus};
use dockfleet_crds::validation::validate;
use dockfleet_crds::{DockerHost, DockerNetwork, Reason, SwarmCluster};
use dockfleet_planner::aggregate::HostView;
use dockfleet_planner::assignment::Lifecycle;
use dockfleet_planner::credentials::CredentialEntry;
use dockfleet_planner::kinds::swarm::SwarmMembership;
use dockfleet_planner::resource::{HostReport, Resource, StatusContext};
use dockfleet_planner::select::{Selection, selection};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

use super::files::{Files, document_of, place_in, place_of};
use super::recorded::{RecordFolder, Recorded};
use crate::result::ResultRow;

/// What is known of resources that have one object for several hosts.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Where their states are recorded.
    pub(super) folder: RecordFolder,
    /// File and line of each that is in the files, by UID.
    places: BTreeMap<String, String>,
    /// Those that are in no file any more. To prune them is to delete them.
    former: Vec<Box<dyn Resource>>,
    /// Those of them that are not pruned, by UID.
    kept: BTreeSet<String>,
    /// Those that wait for something that does not happen by itself, by UID.
    pub(super) waiting: BTreeSet<String>,
    /// The last record of each, by UID.
    pub(super) recorded: BTreeMap<String, Recorded>,
    /// The hosts that are in a swarm, by namespace and name.
    memberships: BTreeMap<(String, String), SwarmMembership>,
}

impl Shared {
    /// Returns those of the files, without what is recorded of them.
    pub(super) fn of(
        resources: &[Box<dyn Resource>],
        documents: &[Document],
        folder: RecordFolder,
    ) -> Self {
        let shared = resources
            .iter()
            .map(AsRef::as_ref)
            .filter(|r| r.is_shared());
        let place = |r: &dyn Resource| {
            let place = place_of(documents, r.kind().as_str(), r.metadata());
            (r.uid().to_owned(), place)
        };
        Self {
            folder,
            places: shared.map(place).collect(),
            ..Self::default()
        }
    }

    /// Whether the files have any.
    pub(super) fn is_any(&self) -> bool {
        !self.places.is_empty()
    }

    /// Returns those in no file that are pruned.
    pub(super) fn pruned(&self) -> impl Iterator<Item = &dyn Resource> {
        let former = self.former.iter().map(AsRef::as_ref);
        former.filter(|r| !self.kept.contains(r.uid()))
    }

    /// Prunes only those for which `may_prune` is true.
    pub(super) fn prune_only(&mut self, may_prune: impl Fn(&dyn Resource) -> bool) {
        let kept = self.former.iter().filter(|r| !may_prune(&***r));
        self.kept = kept.map(|r| r.uid().to_owned()).collect();
    }

    /// Returns the recorded membership of a host.
    pub(super) fn membership(&self, host: &DockerHost) -> Option<&SwarmMembership> {
        self.memberships.get(&full_name(host))
    }

    /// Returns file and line of a resource, and its name; only the name if it is in no file.
    fn called(&self, resource: &dyn Resource) -> String {
        let name = called(resource);
        match self.places.get(resource.uid()) {
            Some(place) => format!("{place}: {name}"),
            None => name,
        }
    }
}

/// Returns kind, namespace and name of a resource.
pub(super) fn called(resource: &dyn Resource) -> String {
    let (kind, namespace) = (resource.kind().as_str(), resource.namespace());
    format!("{kind} {namespace}/{}", resource.name())
}

fn full_name(host: &DockerHost) -> (String, String) {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    (of(&host.metadata.namespace), of(&host.metadata.name))
}

/// Marks a resource as deleted; when does not matter.
fn mark_deleted(resource: &mut dyn Resource) {
    resource.metadata_mut().deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
}

impl Files {
    /// Marks the resources as deleted, for the planner.
    pub(super) fn mark_deleted(&mut self) {
        let shared = self.resources.iter_mut().filter(|r| r.is_shared());
        shared.for_each(|r| mark_deleted(&mut **r));
    }

    /// Reads what is recorded.
    ///
    /// # Errors
    /// If a record cannot be read: without it nobody knows what a host may do.
    pub(super) fn recall(&mut self) -> anyhow::Result<()> {
        self.shared.recorded.clear();
        self.shared.former.clear();
        for recorded in self.shared.folder.read()? {
            let mut before = recorded.resource()?;
            let uid = before.uid().to_owned();
            if let Some(now) = self.resources.iter_mut().find(|r| r.uid() == uid) {
                *now = now.with_own_status(before.own_status())?;
            } else {
                mark_deleted(&mut *before);
                self.shared.former.push(before);
            }
            self.shared.recorded.insert(uid, recorded);
        }
        self.follow_memberships();
        Ok(())
    }

    /// Replaces a resource by one with a newer status.
    pub(super) fn replace(&mut self, now: Box<dyn Resource>) {
        let all = self.resources.iter_mut().chain(&mut self.shared.former);
        let same = all.filter(|r| r.uid() == now.uid()).last();
        if let Some(before) = same {
            *before = now;
        }
    }

    /// Forgets the join tokens.
    pub(super) fn drop_tokens(&mut self) {
        let uids: Vec<String> = self.shared.places.keys().cloned().collect();
        for uid in &uids {
            self.credentials.revoke(uid);
        }
    }

    /// Takes the next steps that a preview can know: hosts get their join tokens, and networks their writers.
    pub(crate) fn assume_next(&mut self) {
        let assumed = self.shared_resources(false).filter(|r| !r.is_deleting());
        let mut tokens = Vec::new();
        let mut networks = Vec::new();
        for resource in assumed {
            if resource.credentials_secret().is_some() {
                tokens.push(resource.uid().to_owned());
            }
            if resource.needs_swarm() {
                let own = resource
                    .next_own_status(&StatusContext::new(jiff::Timestamp::now(), &|| {
                        self.assumed_reports(resource)
                    }));
                networks.extend(resource.with_own_status(own.fields).ok());
            }
        }
        for uid in tokens {
            self.credentials
                .grant(uid, Ok(CredentialEntry::of_token("")));
        }
        for network in networks {
            self.replace(network);
        }
    }

    fn assumed_reports(&self, resource: &dyn Resource) -> Vec<HostReport<'_>> {
        let hosts = self.targets.iter().map(|t| &t.host);
        let selected = hosts.filter(|h| selection(resource, h, &self.namespaces) == Selection::Yes);
        let report = |host| HostReport {
            host,
            view: HostView {
                host: host.metadata.name.as_deref().unwrap_or_default(),
                entry: None,
                status: None,
                refused: None,
                offline: false,
            },
            swarm: self.shared.membership(host),
        };
        selected.map(report).collect()
    }

    /// Whether a resource gets its object on a host in a later round, by what its row says now.
    pub(super) fn comes_later(&self, host: &DockerHost, row: &ResultRow) -> bool {
        let mut shared = self.shared_resources(false);
        let Some(resource) = shared.find(|r| r.uid() == row.uid && !r.is_deleting()) else {
            return false;
        };
        let forms = |r: &dyn Resource| {
            r.is_for_own_namespace() && selection(r, host, &self.namespaces) == Selection::Yes
        };
        if resource.is_for_own_namespace() {
            row.id.is_none() && row.is_because(Reason::Progressing)
        } else {
            row.is_because(Reason::NotInSwarm) && self.shared_resources(false).any(forms)
        }
    }

    /// Whether a host gives its object up in a later round, because other hosts need it until then.
    pub(super) fn goes_later(&self, host: &DockerHost, row: &ResultRow) -> bool {
        let mut shared = self.shared_resources(true);
        let resource = shared.find(|r| r.uid() == row.uid && r.is_deleting());
        resource.is_some_and(|r| r.is_needed_on(host) && r.deletion() == DeletionPolicy::Delete)
    }

    /// Works out the memberships from what is recorded.
    pub(super) fn follow_memberships(&mut self) {
        let all = self.resources.iter().chain(&self.shared.former);
        let memberships = all.flat_map(|r| {
            let namespace = r.namespace().to_owned();
            let of = r.memberships().into_iter();
            of.map(move |(host, membership)| ((namespace.clone(), host), membership))
        });
        self.shared.memberships = memberships.collect();
    }

    /// Returns the resources with one object for several hosts: those in the files, and those that are pruned.
    pub(super) fn shared_resources(&self, prunes: bool) -> impl Iterator<Item = &dyn Resource> {
        let in_files = self.resources.iter().map(AsRef::as_ref);
        let former = self.shared.pruned().filter(move |_| prunes);
        in_files
            .filter(|r: &&dyn Resource| r.is_shared())
            .chain(former)
    }

    /// Returns why the files do not do for a deletion, or for pruning: a host that is needed for it is in no
    /// file. Each is a message.
    pub(crate) fn lacking_hosts(&self, lifecycle: Lifecycle, prunes: bool) -> Vec<String> {
        let deleted = self.shared_resources(prunes).filter(|r| {
            lifecycle == Lifecycle::Deleted || !self.shared.places.contains_key(r.uid())
        });
        deleted.filter_map(|r| self.lacks(r)).collect()
    }

    fn lacks(&self, resource: &dyn Resource) -> Option<String> {
        let in_files: BTreeSet<(String, String)> =
            self.targets.iter().map(|t| full_name(&t.host)).collect();
        let recorded = self.shared.recorded.get(resource.uid())?;
        // Other files, with other hosts, may be applied with the same state folder.
        recorded
            .hosts()
            .find(|h| in_files.contains(&full_name(h)))?;
        let of_file = |full: &(String, String)| in_files.contains(full);
        let needed = needed_hosts(resource);
        let lacking: Vec<&str> = needed
            .iter()
            .filter(|n| !of_file(n))
            .map(|(_, name)| name.as_str())
            .collect();
        (!lacking.is_empty()).then(|| {
            format!(
                "{}: it is also on {}, which is in no file; add the DockerHost, so that the rest can be deleted \
                 with it",
                self.shared.called(resource),
                lacking.join(", ")
            )
        })
    }

    /// Returns what the files have and only a controller can do, and what cannot change, each as a message.
    pub(super) fn unsupported(&self, documents: &[Document]) -> Vec<String> {
        let mut problems = Vec::new();
        for resource in self.shared_resources(false) {
            let Some(swarm) = resource.downcast::<SwarmCluster>() else {
                continue;
            };
            let kind = resource.kind().as_str();
            let Some(document) = document_of(documents, kind, resource.metadata()) else {
                continue;
            };
            let mut add = |field: &str, message: &str| {
                let place = place_in(document, field);
                problems.push(format!("{place}: {}: {message}", called(resource)));
            };
            if swarm.spec.auto_lock == Some(true) {
                add(
                    "spec.autoLock",
                    "spec.autoLock is true, and without the controller nobody keeps the key that unlocks a \
                     manager; remove it",
                );
            }
            if let Some(before) = self.shared.recorded.get(resource.uid()) {
                for error in validate(kind, &document.value, Some(before.document())) {
                    add(&error.path, &error.to_string());
                }
            }
        }
        problems
    }

    /// Returns why the files cannot be watched, each as a message.
    pub(crate) fn unwatchable(&self) -> Vec<String> {
        let shared = self.shared_resources(false);
        shared
            .map(|r| {
                format!(
                    "{}: --watch does not follow swarms and overlay networks; run apply without --watch, or keep \
                     them in other files",
                    self.shared.called(r)
                )
            })
            .collect()
    }

    /// Returns the recorded hosts of a resource that are in no file and are members of its swarm. They stay as they
    /// are: absence from the files is no permission.
    pub(super) fn absent_members(&self, resource: &dyn Resource) -> Vec<DockerHost> {
        let Some(recorded) = self.shared.recorded.get(resource.uid()) else {
            return Vec::new();
        };
        let in_files: BTreeSet<(String, String)> =
            self.targets.iter().map(|t| full_name(&t.host)).collect();
        let members: BTreeSet<(String, String)> = match resource.downcast::<SwarmCluster>() {
            Some(_) => needed_hosts(resource).into_iter().collect(),
            None => BTreeSet::new(),
        };
        let is_absent = |h: &DockerHost| {
            let name = full_name(h);
            members.contains(&name) && !in_files.contains(&name)
        };
        recorded.hosts().filter(is_absent).collect()
    }
}

/// Returns the hosts without which a resource cannot be deleted: the members of a swarm, and the host that creates
/// an overlay network.
fn needed_hosts(resource: &dyn Resource) -> Vec<(String, String)> {
    if let Some(swarm) = resource.downcast::<SwarmCluster>() {
        let members = swarm.status.iter().flat_map(|s| &s.swarm.members);
        let joined = members.filter(|m| m.node_id.is_some());
        let name = |m: &Member| (resource.namespace().to_owned(), m.host.clone());
        return joined.map(name).collect();
    }
    let network = resource.downcast::<DockerNetwork>();
    let overlay = network.and_then(|n| n.status.as_ref()?.overlay.as_ref());
    let writer = overlay.and_then(|o| o.writer.split_once('/'));
    let writer = writer.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
    writer.into_iter().collect()
}

/// Forgets members that are in no file, were listed by the swarm, and are no longer: somebody removed them by hand.
pub(super) fn without_removed(
    before: &dyn Resource,
    own: Map<String, Value>,
    absent: &[DockerHost],
) -> anyhow::Result<Map<String, Value>> {
    if absent.is_empty() {
        return Ok(own);
    }
    let mut status: SwarmClusterStatus = serde_json::from_value(Value::Object(own))?;
    let is_absent = |m: &Member| {
        let mut names = absent.iter().map(|h| h.metadata.name.as_ref());
        names.any(|name| name == Some(&m.host))
    };
    let members = &mut status.swarm.members;
    let recorded = before.downcast::<SwarmCluster>();
    let recorded = recorded.and_then(|c| c.status.as_ref());
    let was_joining = |m: &Member| {
        let mut all = recorded.into_iter().flat_map(|s| &s.swarm.members);
        all.any(|b| b.host == m.host && b.state == MemberState::Joining)
    };
    members.retain(|m| !(is_absent(m) && m.state == MemberState::Joining && !was_joining(m)));
    let swarm = serde_json::to_value(status.swarm)?;
    match swarm {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use dockfleet_crds::swarm::{SwarmClusterSpec, SwarmState};
    use kube::core::ObjectMeta;

    use super::*;

    fn member(host: &str, state: MemberState) -> Member {
        Member {
            host: host.to_owned(),
            state: state.into(),
            node_id: Some(format!("node-{host}")),
            ..Member::default()
        }
    }

    fn host(name: &str) -> DockerHost {
        DockerHost {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            ..DockerHost::default()
        }
    }

    #[test]
    fn a_member_in_no_file_is_forgotten_when_the_swarm_no_longer_lists_it() {
        let mut swarm = SwarmCluster::new("shop", SwarmClusterSpec::default());
        let members = vec![
            member("h1", MemberState::Leader),
            member("h2", MemberState::Joining),
            member("h3", MemberState::Unreachable),
            member("h4", MemberState::Joining),
        ];
        let state = |members| SwarmClusterStatus {
            swarm: SwarmState {
                members,
                ..SwarmState::default()
            },
            ..SwarmClusterStatus::default()
        };
        swarm.status = Some(state(members.clone()));
        let own = (&swarm as &dyn Resource).own_status();
        let absent = [host("h3"), host("h4")];
        // h4 joins, and nobody has listed it yet.
        let now = without_removed(&swarm, own.clone(), &absent).unwrap();
        assert_eq!(now, own);
        // h2 is in a file and joins; h3 is in no file and unreachable; h4 was listed and was removed by hand.
        let mut before = swarm.clone();
        let mut listed = members.clone();
        listed[3].state = MemberState::Worker.into();
        before.status = Some(state(listed));
        let now = without_removed(&before, own, &absent).unwrap();
        let mut left = swarm.clone();
        left.status = Some(state(members.into_iter().take(3).collect()));
        assert_eq!(now, (&left as &dyn Resource).own_status());
    }

    #[test]
    fn a_deletion_needs_the_members_and_the_host_that_created_the_network() {
        let mut swarm = SwarmCluster::new("shop", SwarmClusterSpec::default());
        swarm.metadata.namespace = Some("hosts".to_owned());
        let absent = Member {
            node_id: None,
            ..member("h2", MemberState::Absent)
        };
        let members = vec![member("h1", MemberState::Leader), absent];
        let state = SwarmState {
            members,
            ..SwarmState::default()
        };
        swarm.status = Some(SwarmClusterStatus {
            swarm: state,
            ..SwarmClusterStatus::default()
        });
        let full = |name: &str| ("hosts".to_owned(), name.to_owned());
        assert_eq!(needed_hosts(&swarm), [full("h1")]);
        let network: DockerNetwork = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "mesh"},
            "spec": {"driver": "overlay"},
            "status": {"overlay": {"writer": "hosts/h2", "clusterID": "c"}},
        }))
        .unwrap();
        assert_eq!(needed_hosts(&network), [full("h2")]);
    }
}
