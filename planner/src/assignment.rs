//! Works out one host's assignment.
//!
//! The previous assignment is an input, because tombstones are stored nowhere else: a resource that no longer
//! exists cannot be rendered. An entry leaves an assignment in one way only: the controller sees that its
//! resource is deleted or no longer selects the host, the entry becomes a tombstone, and the agent reports
//! that the tombstone is done (invariant 1: absence is never a permission).

use std::collections::BTreeMap;

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::host::AgentFacts;
use dockfleet_crds::policy::DeletionPolicy;
use dockfleet_crds::{DockerHost, Entry, EntryState, EntryStatus, Intent, Reason};

use crate::desired::{self, EntrySpec, Tombstone};
use crate::directive::{Directive, directive};
use crate::kinds::swarm::SwarmMembership;
use crate::render;
use crate::resource::Resource;
use crate::select::{NamespaceLabels, Selection, selection};
use crate::support;

/// The stage of a resource's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// It exists and is not being deleted.
    Live,
    /// It exists, and the [brake](crate::brake) has stopped it: it stays for now on hosts that it no longer
    /// selects.
    Braked,
    /// A person or tool deleted it.
    Deleted,
    /// It is deleted together with its namespace or its CRD: nobody asked for a change on any host.
    Cascaded,
}

/// The context in which the entries of a host are rendered.
#[derive(Clone, Copy, Debug)]
pub struct RenderContext<'a> {
    /// The host.
    pub host: &'a DockerHost,
    /// The host's name in messages, with its namespace if several hosts have the name.
    pub called: &'a str,
    /// The facts that the host's agent reports about itself, if it does.
    pub agent: Option<&'a AgentFacts>,
    /// The host's membership in a swarm, if it has one.
    pub swarm: Option<&'a SwarmMembership>,
    /// The credential versions of the resources that need credentials.
    pub credentials: &'a CredentialVersions,
}

/// The input from which one host's assignment is worked out.
#[derive(Debug)]
pub struct Input<'a> {
    /// The context for rendering entries.
    pub context: RenderContext<'a>,
    /// Every resource that may concern the host, with its lifecycle.
    pub resources: &'a [(&'a dyn Resource, Lifecycle)],
    /// Labels of namespaces.
    pub namespaces: &'a NamespaceLabels,
    /// The entries of the assignment that was last written.
    pub previous: &'a [Entry],
    /// The statuses that the agent last reported.
    pub statuses: &'a [EntryStatus],
    /// Why the host gets no new entries for now. Existing entries stay, and become tombstones as usual.
    pub closed: Option<&'a Refusal>,
    /// The maximum number of entries: [`dockfleet_crds::MAX_ENTRIES`] if an API server stores the assignment.
    pub most: usize,
}

/// The version of the credentials, or why there are none, for each resource whose mount needs credentials, by
/// UID.
pub type CredentialVersions = BTreeMap<String, Result<String, Refusal>>;

/// One host's assignment, and the messages for resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assigned {
    /// The entries, by UID.
    pub entries: Vec<Entry>,
    /// Resources that select the host and get no entry, by UID.
    pub refused: BTreeMap<String, Refusal>,
    /// Resources that have a name that another resource asks for too, by UID, with a message for each.
    pub contested: BTreeMap<String, String>,
}

/// Why a resource that selects a host gets no entry there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason, in one word.
    pub reason: Reason,
    /// The message, a sentence.
    pub message: String,
}

/// Works out one host's assignment.
pub fn assign(input: &Input<'_>) -> Assigned {
    let context = &input.context;
    let mut assigned = Assigned::default();
    let mut entries: BTreeMap<&str, Entry> = BTreeMap::new();
    let before: BTreeMap<&str, &Entry> =
        input.previous.iter().map(|e| (e.uid.as_str(), e)).collect();
    let statuses: BTreeMap<&str, &EntryStatus> =
        input.statuses.iter().map(|s| (s.uid.as_str(), s)).collect();

    let mut directives: BTreeMap<&str, (&dyn Resource, Directive)> = BTreeMap::new();
    for (resource, lifecycle) in input.resources {
        let selected = selection(*resource, context.host, input.namespaces);
        let may_remove = resource.may_remove_on(context.host);
        let directive = match directive(*resource, *lifecycle, selected).limited(may_remove) {
            Directive::Retire(DeletionPolicy::Delete) if resource.is_needed_on(context.host) => {
                Directive::Render
            }
            other => other,
        };
        directives.insert(resource.uid(), (*resource, directive));
        if selected == Selection::NotAllowed
            && matches!(lifecycle, Lifecycle::Live | Lifecycle::Braked)
        {
            let refusal = not_allowed(*resource, context.called);
            assigned.refused.insert(resource.uid().to_owned(), refusal);
        }
    }

    // Existing entries stay, unless their tombstone is done.
    for (uid, entry) in &before {
        let status = statuses.get(uid).copied();
        let is_missed = directives
            .get(uid)
            .is_some_and(|(resource, _)| !resource.may_forget_on(context.host));
        let Some(entry) = settle((*entry).clone(), status).or_else(|| {
            // It goes when it is recorded.
            is_missed.then(|| (*entry).clone())
        }) else {
            continue;
        };
        let entry = match directives.get(uid) {
            None => entry,
            Some((resource, directive)) => successor(entry, *resource, *directive, status, context),
        };
        entries.insert(uid, entry);
    }
    // Each wanted resource gets an entry, unless its name is taken. A resource that already has an entry
    // takes precedence over an older one: a name never passes from one owner to another by itself.
    let rendered_now = directives.values().filter(|(_, d)| *d == Directive::Render);
    let mut wanted: Vec<&dyn Resource> = rendered_now.map(|(resource, _)| *resource).collect();
    let present = |uid: &str| before.get(uid).is_some_and(|e| e.intent == Intent::Present);
    wanted.sort_by_key(|r| (!present(r.uid()), r.seniority()));
    let mut claims = incumbents(&before, &entries, &directives);
    for resource in wanted {
        // An entry of a newer controller stays unchanged.
        if before
            .get(resource.uid())
            .is_some_and(|e| !is_understood(e))
        {
            continue;
        }
        if let Some(refusal) = input.closed {
            assigned
                .refused
                .insert(resource.uid().to_owned(), refusal.clone());
            continue;
        }
        let rendered = match rendered(resource, context) {
            Ok(entry) => entry,
            Err(refusal) => {
                assigned.refused.insert(resource.uid().to_owned(), refusal);
                continue;
            }
        };
        let claim = (resource.kind(), resource.object_name());
        let owner = claims.get(&claim).copied();
        let owner = owner.unwrap_or_else(|| Claimant::of(resource));
        if owner.uid != resource.uid() {
            let (refusal, warning) = contest(resource, owner, context.called);
            assigned.refused.insert(resource.uid().to_owned(), refusal);
            assigned.contested.insert(owner.uid.to_owned(), warning);
            continue;
        }
        if entries.len() >= input.most && !entries.contains_key(resource.uid()) {
            let refusal = too_many(context.called, input.most);
            assigned.refused.insert(resource.uid().to_owned(), refusal);
            continue;
        }
        claims.insert(claim, owner);
        entries.insert(resource.uid(), rendered);
    }
    assigned.entries = entries.into_values().collect();
    assigned
}

/// The resource that has a name on a host.
#[derive(Clone, Copy)]
struct Claimant<'a> {
    uid: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Claimant<'a> {
    fn of(resource: &'a dyn Resource) -> Self {
        Self {
            uid: resource.uid(),
            namespace: resource.namespace(),
            name: resource.name(),
        }
    }
}

/// Returns the resources that had a name before and keep it, known or not: an entry that stays has its
/// object.
fn incumbents<'a>(
    before: &BTreeMap<&'a str, &'a Entry>,
    entries: &BTreeMap<&str, Entry>,
    directives: &BTreeMap<&str, (&'a dyn Resource, Directive)>,
) -> BTreeMap<(Kind, &'a str), Claimant<'a>> {
    let stays = |e: &&&Entry| {
        let now = entries.get(e.uid.as_str());
        e.intent == Intent::Present && now.is_some_and(|e| e.intent == Intent::Present)
    };
    let mut staying: Vec<&Entry> = before.values().filter(stays).copied().collect();
    let resource = |e: &Entry| {
        directives
            .get(e.uid.as_str())
            .map(|(resource, _)| *resource)
    };
    staying.sort_by_key(|e| resource(e).map(<dyn Resource>::seniority));
    let mut claims = BTreeMap::new();
    for entry in staying {
        if let (Some(kind), Some(name)) = (entry.kind.known(), desired::object_name(entry)) {
            claims.entry((kind, name)).or_insert(Claimant {
                uid: &entry.uid,
                namespace: &entry.namespace,
                name: &entry.name,
            });
        }
    }
    claims
}

/// Returns what an entry becomes by its directive, before its resource is rendered again.
fn successor(
    entry: Entry,
    resource: &dyn Resource,
    directive: Directive,
    status: Option<&EntryStatus>,
    context: &RenderContext<'_>,
) -> Entry {
    match (entry.intent.known(), directive) {
        (Some(Intent::Present), Directive::Render | Directive::Keep(_)) => {
            if resource.policies().suspend {
                // The agent has to know of the suspension, even if nothing else of the resource can reach it.
                rendered(resource, context).unwrap_or_else(|_| suspended(entry))
            } else {
                entry
            }
        }
        (Some(Intent::Present), Directive::Retire(policy)) => {
            let name = desired::object_name(&entry).unwrap_or_else(|| resource.object_name());
            let tombstone = Tombstone {
                name: name.to_owned(),
                policy,
            };
            render::tombstone(&entry, &tombstone, status.and_then(|s| s.id.clone()))
        }
        // A permission to remove is valid only as long as the resource still allows it, and is never widened.
        (Some(Intent::Absent), directive) if directive.permission() == DeletionPolicy::Retain => {
            retaining(entry)
        }
        // An entry with an intent of a newer controller stays unchanged.
        (Some(Intent::Absent) | None, _) => entry,
    }
}

/// Suspends an entry as it was last rendered.
fn suspended(entry: Entry) -> Entry {
    let Ok(EntrySpec::Present(mut desired)) = EntrySpec::of(&entry) else {
        return entry;
    };
    desired.policy_mut().suspend = true;
    let (spec, revision) = desired.payload();
    Entry {
        spec,
        revision,
        ..entry
    }
}

/// Whether this version knows the kind and the intent of an entry.
fn is_understood(entry: &Entry) -> bool {
    entry.kind.known().is_some() && entry.intent.known().is_some()
}

/// Renders the entry of a resource.
fn rendered(resource: &dyn Resource, context: &RenderContext<'_>) -> Result<Entry, Refusal> {
    if let Some(refusal) = support::refusal(context.agent, resource, context.called) {
        return Err(refusal);
    }
    if let Some(refusal) = resource.refusal(context.called, context.swarm) {
        return Err(refusal);
    }
    let named = resource.credentials_secret();
    let needed = named.filter(|_| resource.needs_credentials(context.host));
    let credentials = match (needed, context.credentials.get(resource.uid())) {
        // Those that it needs no more are named until they are taken from the host.
        (_, Some(Ok(version))) => Some(version.as_str()),
        (None, Some(Err(_)) | None) => None,
        (Some(_), Some(Err(refusal))) => return Err(refusal.clone()),
        (Some(secret), None) => {
            return Err(Refusal {
                reason: Reason::CredentialsMissing,
                message: format!("Secret {}/{secret} has not been read", resource.namespace()),
            });
        }
    };
    render::entry(resource, context.host, credentials).map_err(|err| Refusal {
        reason: Reason::Invalid,
        message: err.to_string(),
    })
}

/// Removes the permission to remove the object from a tombstone.
fn retaining(entry: Entry) -> Entry {
    match EntrySpec::of(&entry) {
        Ok(EntrySpec::Absent(_, t)) if t.policy == DeletionPolicy::Delete => {
            let policy = DeletionPolicy::Retain;
            render::tombstone(&entry, &Tombstone { policy, ..t }, entry.id.clone())
        }
        _ => entry,
    }
}

/// Drops a tombstone that is done by the agent's report, and adds the identity that the agent reported to
/// another.
fn settle(entry: Entry, status: Option<&EntryStatus>) -> Option<Entry> {
    if entry.intent != Intent::Absent {
        return Some(entry);
    }
    let status = match status {
        Some(status) if status.revision == entry.revision => status,
        _ => return Some(entry),
    };
    if status.state == EntryState::Gone {
        return None;
    }
    if status.id.is_some()
        && status.id != entry.id
        && let Ok(EntrySpec::Absent(_, tombstone)) = EntrySpec::of(&entry)
    {
        return Some(render::tombstone(&entry, &tombstone, status.id.clone()));
    }
    Some(entry)
}

fn not_allowed(resource: &dyn Resource, host: &str) -> Refusal {
    Refusal {
        reason: Reason::NotAllowed,
        message: format!(
            "host {host} does not allow resources from namespace {}; its administrator can allow \
             them with spec.allowedNamespaces",
            resource.namespace()
        ),
    }
}

fn too_many(host: &str, most: usize) -> Refusal {
    Refusal {
        reason: Reason::TooManyEntries,
        message: format!("host {host} has {most} entries, which is the maximum"),
    }
}

fn contest(loser: &dyn Resource, owner: Claimant<'_>, host: &str) -> (Refusal, String) {
    let what = format!(
        "{} {} on host {host}",
        loser.kind().object(),
        loser.object_name(),
    );
    let refusal = Refusal {
        reason: Reason::Conflict,
        message: format!("{what} belongs to {}/{}", owner.namespace, owner.name),
    };
    let by = format!("{}/{}", loser.namespace(), loser.name());
    (refusal, format!("{by} also asks for {what}"))
}

#[cfg(test)]
mod tests;
