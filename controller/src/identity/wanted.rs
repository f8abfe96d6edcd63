//! What the objects of a host's identity look like.

use std::collections::BTreeMap;

use dockfleet_crds::GROUP;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;

/// The label of everything that the controller creates for a host.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "dockfleet");
/// The type of a host's Secret.
const SECRET_TYPE: &str = "dockfleet.io/host";
const RBAC: &str = "rbac.authorization.k8s.io";

fn metadata(namespace: &str, host: &str) -> ObjectMeta {
    let (key, value) = MANAGED_BY;
    ObjectMeta {
        name: Some(host.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
        ..ObjectMeta::default()
    }
}

/// The ServiceAccount of a host's agent.
pub(super) fn service_account(namespace: &str, host: &str) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(namespace, host),
        // No pod uses this ServiceAccount.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

/// The rights of a host's agent, all limited to objects with the host's own name. The table of
/// `docs/kubernetes.md` has the same list, and a test tries everything else.
pub(super) fn role(namespace: &str, host: &str) -> Role {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| {
        let owned = |all: &[&str]| -> Vec<String> { all.iter().map(|s| (*s).to_owned()).collect() };
        PolicyRule {
            api_groups: Some(owned(&[group])),
            resources: Some(owned(resources)),
            resource_names: Some(owned(&[host])),
            verbs: owned(verbs),
            ..PolicyRule::default()
        }
    };
    Role {
        metadata: metadata(namespace, host),
        rules: Some(vec![
            rule(GROUP, &["dockerhosts"], &["get"]),
            rule(GROUP, &["hostassignments"], &["get", "list", "watch"]),
            rule(
                GROUP,
                &["dockerhosts/status", "hostassignments/status"],
                &["patch"],
            ),
            rule("coordination.k8s.io", &["leases"], &["patch"]),
            rule("", &["secrets"], &["get", "patch"]),
            rule("", &["serviceaccounts/token"], &["create"]),
        ]),
    }
}

/// Binds the Role to a host's agent.
pub(super) fn role_binding(namespace: &str, host: &str) -> RoleBinding {
    RoleBinding {
        metadata: metadata(namespace, host),
        role_ref: RoleRef {
            api_group: RBAC.to_owned(),
            kind: "Role".to_owned(),
            name: host.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: host.to_owned(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        }]),
    }
}

/// The Secret that a host's tokens are bound to. They become invalid with it. Its content is not
/// managed here.
pub(super) fn secret(namespace: &str, host: &str) -> Secret {
    Secret {
        metadata: metadata(namespace, host),
        type_: Some(SECRET_TYPE.to_owned()),
        ..Secret::default()
    }
}

/// A kind of object that every host has one of.
pub(super) trait Piece: Sized {
    /// Which one it is.
    const KIND: PieceKind;
    /// Whether an existing object is as wanted for the host with its namespace and name. It has our
    /// label: no others are watched.
    fn is_as_wanted(&self, namespace: &str, host: &str) -> bool;
}

/// The kinds of object that every host has one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PieceKind {
    /// What tokens are bound to.
    Secret,
    /// Who the agent is.
    ServiceAccount,
    /// What it may do.
    Role,
    /// That it may.
    RoleBinding,
}

impl PieceKind {
    /// Every kind, in the order of creation: when a token can be created, all rights exist. The
    /// Secret is first: a new leader that finds the others without it must assume that it was
    /// deleted.
    pub(super) const ALL: [Self; 4] = [
        Self::Secret,
        Self::Role,
        Self::RoleBinding,
        Self::ServiceAccount,
    ];

    /// Returns the kind as in a manifest.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
            Self::Role => "Role",
            Self::RoleBinding => "RoleBinding",
        }
    }
}

impl Piece for PartialObjectMeta<Secret> {
    const KIND: PieceKind = PieceKind::Secret;

    fn is_as_wanted(&self, _namespace: &str, _host: &str) -> bool {
        true
    }
}

impl Piece for ServiceAccount {
    const KIND: PieceKind = PieceKind::ServiceAccount;

    fn is_as_wanted(&self, _namespace: &str, _host: &str) -> bool {
        self.automount_service_account_token == Some(false)
    }
}

impl Piece for Role {
    const KIND: PieceKind = PieceKind::Role;

    fn is_as_wanted(&self, namespace: &str, host: &str) -> bool {
        self.rules == role(namespace, host).rules
    }
}

impl Piece for RoleBinding {
    const KIND: PieceKind = PieceKind::RoleBinding;

    fn is_as_wanted(&self, namespace: &str, host: &str) -> bool {
        let wanted = role_binding(namespace, host);
        // The API server sets the API group of a subject.
        let who = |of: &Self| -> Vec<(String, String, Option<String>)> {
            let all = of.subjects.iter().flatten();
            all.map(|s| (s.kind.clone(), s.name.clone(), s.namespace.clone()))
                .collect()
        };
        self.role_ref == wanted.role_ref && who(self) == who(&wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Invariant 10.
    #[test]
    fn i10_every_rule_is_about_the_hosts_own_name_alone() {
        for rule in role("hosts", "h1").rules.unwrap() {
            assert_eq!(rule.resource_names, Some(vec!["h1".to_owned()]), "{rule:?}");
            for verb in &rule.verbs {
                // A create has no name that a rule could match, except for a subresource.
                let of_a_subresource = rule.resources.iter().flatten().all(|r| r.contains('/'));
                assert!(verb != "create" || of_a_subresource, "{rule:?}");
                assert!(
                    !verb.contains('*') && verb != "deletecollection",
                    "{rule:?}"
                );
            }
        }
    }

    #[test]
    fn a_created_object_is_as_wanted_and_a_changed_one_is_not() {
        let mut widened = role("hosts", "h1");
        assert!(widened.is_as_wanted("hosts", "h1"));
        assert!(!widened.is_as_wanted("hosts", "h2"));
        if let Some(rules) = &mut widened.rules {
            rules.first_mut().unwrap().resource_names = None;
        }
        assert!(!widened.is_as_wanted("hosts", "h1"));

        let mut shared = role_binding("hosts", "h1");
        assert!(shared.is_as_wanted("hosts", "h1"));
        let other = role_binding("hosts", "h2").subjects.unwrap();
        shared.subjects.as_mut().unwrap().extend(other);
        assert!(!shared.is_as_wanted("hosts", "h1"));
    }
}
