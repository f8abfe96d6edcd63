//! DockerHost: one Docker Engine of the fleet.

mod network;

use std::collections::BTreeMap;

use crate::policy::HostRemovalPolicy;
use crate::schema::{Rule, plain_options, rules_at, selector, unobserved};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

pub use network::{HostNetwork, Interface, PortCheck};

/// Spec of a DockerHost. The host selectors of resources match its labels.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "dockfleet.io",
    version = "v1alpha1",
    kind = "DockerHost",
    namespaced,
    status = "DockerHostStatus",
    shortname = "dhost",
    category = "dockfleet",
    derive = "Default",
    derive = "PartialEq",
    doc = "One Docker Engine of the fleet. By creating a DockerHost, you accept the host.",
    printcolumn(
        name = "Engine",
        type_ = "string",
        json_path = ".status.engine.version"
    ),
    printcolumn(
        name = "Entries",
        type_ = "integer",
        json_path = ".status.entries.desired"
    ),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.entries.ready"),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.entries.failed"
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Reachable\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "API",
        type_ = "string",
        json_path = ".status.engine.apiVersion",
        priority = 1
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        json_path = ".status.agent.version",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = plain_options)]
pub struct DockerHostSpec {
    /// Namespaces whose resources this host accepts. Default: only the namespace of the host.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// If true, nothing is changed on the host. Checks, reports and heartbeats continue. Default:
    /// false. `dockfleet apply` ignores this field.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What happens to the objects on the host when this DockerHost is deleted. `Keep` (default)
    /// leaves them there. With `Clean`, the agent first removes or releases each object by its
    /// `deletionPolicy`, as if no resource selected the host any longer. The DockerHost is deleted
    /// after that; if the host will never come back, set `Keep`. Nothing is removed if the
    /// namespace or the CRD is deleted. `dockfleet apply` ignores this field.
    #[serde(default)]
    pub removal: HostRemovalPolicy,
    /// How to connect to the engine. If it is not set, the agent beside the engine connects to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
}

/// Namespaces whose resources a host accepts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = allowed_rules)]
pub struct AllowedNamespaces {
    /// Which namespaces are allowed. `Same` (default) allows the namespace of the host, `All`
    /// allows every namespace, and `Selector` allows the namespaces that `selector` selects.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Selects namespaces by their labels. Required with `from: Selector`, and not allowed
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The namespace of the host.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// Namespaces that a selector selects.
    Selector,
}

/// How to connect to an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The address that `dockfleet apply` connects to. The controller never uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<DirectConnection>,
}

/// The address of an engine, in the forms of `DOCKER_HOST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = direct_rules)]
pub struct DirectConnection {
    /// Address of the engine: `unix:///var/run/docker.sock`, `tcp://host:2376` or
    /// `ssh://user@host`.
    #[schemars(length(max = 1024))]
    pub endpoint: String,
    /// Folder with `ca.pem`, `cert.pem` and `key.pem` for a tcp endpoint with TLS, like
    /// `DOCKER_CERT_PATH`. The path is relative to the YAML file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cert_path: Option<String>,
}

/// Status of a DockerHost. The agent writes it, except the conditions Reachable, Clean and Stalled,
/// which the controller writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct DockerHostStatus {
    /// Generation of the spec that this status is about; -1 before the agent has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Version and identity of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineFacts>,
    /// Version of the agent, and what it supports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentFacts>,
    /// The network of the host. Only an agent that shares it reports it: a container needs `--network
    /// host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<HostNetwork>,
    /// Numbers of the host's entries by state.
    #[serde(default)]
    pub entries: EntryCounts,
    /// The conditions Ready, Paused, Reachable, Clean and Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Version and identity of an engine, as the engine reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineFacts {
    /// Version of the engine, such as `29.1.0`.
    pub version: String,
    /// Newest API version that the engine supports, such as `1.52`.
    pub api_version: String,
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor architecture, such as `amd64`.
    pub architecture: String,
    /// Capabilities that this engine has and the oldest supported engine does not have, such as
    /// `GatewayModeIsolated`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// ID of the engine, as in `docker info`. Cloned machines may have the same ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the machine that the engine runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Data folder of the engine on its machine, such as `/var/lib/docker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_root: Option<String>,
}

/// The identity of an engine.
///
/// The ID alone is not enough: cloned machines have the same ID, and so have two engines 20.10 on
/// one machine, which read it from the same file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineIdentity {
    /// ID of the engine.
    pub id: String,
    /// Name of its machine.
    pub hostname: String,
    /// Its data folder.
    pub data_root: String,
}

impl EngineFacts {
    /// Returns the identity of the engine, or `None` if a part of it is not known, as with an older
    /// agent.
    pub fn identity(&self) -> Option<EngineIdentity> {
        let known = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        Some(EngineIdentity {
            id: known(&self.id)?,
            hostname: known(&self.hostname)?,
            data_root: known(&self.data_root)?,
        })
    }
}

impl std::fmt::Display for EngineIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "ID {}, machine {}, data in {}",
            self.id, self.hostname, self.data_root
        )
    }
}

/// Version of an agent, and what it supports. The controller assigns to a host only what its agent
/// supports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentFacts {
    /// Version of the agent, such as `0.1.0`.
    pub version: String,
    /// Kinds of resource that the agent supports, such as `DockerNetwork`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Parts of resources that this agent supports and earlier agents do not, such as
    /// `VolumeCredentials`.
    #[serde(default)]
    pub features: Vec<String>,
}

/// Numbers of entries of one host by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryCounts {
    /// Entries that the host must have.
    #[serde(default)]
    pub desired: i32,
    /// Entries whose object matches.
    #[serde(default)]
    pub ready: i32,
    /// Entries whose object differs and is not changed, because of a policy.
    #[serde(default)]
    pub drifted: i32,
    /// Entries that could not be applied, or that the agent does not support.
    #[serde(default)]
    pub failed: i32,
    /// Objects that are in the agent's journal but in no entry.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unassigned: i32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde calls"
)]
fn is_zero(count: &i32) -> bool {
    *count == 0
}

impl DockerHostSpec {
    /// Whether a host in the namespace `own` accepts resources of `namespace`, which has `labels`.
    pub fn allows(&self, own: &str, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        match self.allowed_namespaces.from {
            NamespacesFrom::Same => namespace == own,
            NamespacesFrom::All => true,
            // The selector is required with `Selector`. Without one, nothing is allowed.
            NamespacesFrom::Selector => self
                .allowed_namespaces
                .selector
                .as_ref()
                .is_some_and(|s| crate::selector::matches(s, labels)),
        }
    }
}

fn allowed_rules(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".selector",
        &[Rule {
            rule: "(self.from == 'Selector') == has(self.selector)",
            message: "'selector belongs to from: Selector, but from is %s; set both or neither'.format([self.from])",
        }],
    );
}

fn direct_rules(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".endpoint",
        &[Rule {
            rule: "self.endpoint.matches('^(unix:///.+|tcp://[^/]+:[0-9]+|ssh://[^/]+(/.*)?)$')",
            message: "'endpoint %s has no known form; write unix:///path, tcp://host:port or ssh://user@host'.format([self.endpoint])",
        }],
    );
    rules_at(
        schema,
        ".certPath",
        &[Rule {
            rule: "!has(self.certPath) || self.endpoint.startsWith('tcp://')",
            message: "'certPath is set, but endpoint %s is not tcp://; remove it'.format([self.endpoint])",
        }],
    );
}
