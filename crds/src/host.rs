//! DockerHost: one Docker Engine of the fleet.

use std::collections::BTreeMap;

use crate::policy::HostRemovalPolicy;
use crate::schema::{Rule, plain_options, rules_at, selector, unobserved};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// Spec of a DockerHost. Its labels are what the selectors of resources see.
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
    doc = "One Docker Engine of the fleet. Creating it accepts the host.",
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
    /// Namespaces whose resources may go to this host; only the host's own when left out.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// Nothing is changed on the host while true; looking, reporting and heartbeats go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What happens to what is on the host when this DockerHost is deleted. `Keep` leaves it there.
    /// `Clean` has the agent let go of it first, as if no resource selected the host any more, and
    /// the DockerHost waits for that; back to `Keep` where the host will never come back. Nothing is
    /// removed where the namespace or the CRD goes. `dockfleet apply` makes nothing of it.
    #[serde(default)]
    pub removal: HostRemovalPolicy,
    /// How the engine is reached; by the agent beside it when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Connection>,
}

/// Namespaces whose resources may go to a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = allowed_rules)]
pub struct AllowedNamespaces {
    /// `Same` allows the host's own namespace, `All` every one, `Selector` those that `selector`
    /// selects.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Namespaces by their labels, with `from: Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector)]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// The host's own.
    #[default]
    Same,
    /// Every one.
    All,
    /// Those a selector selects.
    Selector,
}

/// How an engine is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// By its address, from where `dockfleet apply` runs. A controller never uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<DirectConnection>,
}

/// The address of an engine, in the forms of `DOCKER_HOST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = direct_rules)]
pub struct DirectConnection {
    /// `unix:///var/run/docker.sock`, `tcp://host:2376` or `ssh://user@host`.
    #[schemars(length(max = 1024))]
    pub endpoint: String,
    /// Folder with `ca.pem`, `cert.pem` and `key.pem` for a tcp endpoint with TLS, as
    /// `DOCKER_CERT_PATH` has it; relative to the file that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cert_path: Option<String>,
}

/// Status of a DockerHost, written by its agent, but for the conditions Reachable, Clean and Stalled,
/// which are the controller's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = unobserved)]
pub struct DockerHostStatus {
    /// Generation of the spec that this status speaks of; -1 before the agent heard of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What the engine said of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineFacts>,
    /// What the agent reports of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentFacts>,
    /// How many of the host's entries are in which state.
    #[serde(default)]
    pub entries: EntryCounts,
    /// Ready, Paused, Reachable, Clean and Stalled, by the conventions of Kubernetes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// What an engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineFacts {
    /// Version of the engine, such as `29.1.0`.
    pub version: String,
    /// Newest API version it speaks, such as `1.52`.
    pub api_version: String,
    /// Operating system, such as `linux`.
    pub os: String,
    /// Processor architecture, such as `amd64`.
    pub architecture: String,
    /// What this engine can do, by the capability table: the features above the oldest supported
    /// engine, such as `GatewayModeIsolated`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// ID of the engine, as `docker info` shows it. Machines that were cloned may have one ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the engine's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Folder of the engine's data on its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_root: Option<String>,
}

/// What tells one engine from another.
///
/// The ID alone does not: machines that were cloned have the same one, and so have two engines 20.10
/// on one machine, which read it from one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EngineIdentity {
    /// ID of the engine.
    pub id: String,
    /// Name of its machine.
    pub hostname: String,
    /// Folder of its data.
    pub data_root: String,
}

impl EngineFacts {
    /// Returns what tells the engine from others; nothing where a part of it is not known, as with an
    /// agent that is older.
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

/// What an agent reports of itself. The controller assigns nothing to a host that its agent does not
/// support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentFacts {
    /// Version of the agent, such as `0.1.0`.
    pub version: String,
    /// Kinds of resource that it supports, such as `DockerNetwork`.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Parts of resources that it supports and earlier agents may not, such as `VolumeCredentials`.
    #[serde(default)]
    pub features: Vec<String>,
}

/// Numbers of entries of one host by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryCounts {
    /// Entries the host must have.
    #[serde(default)]
    pub desired: i32,
    /// Entries that are as they must be.
    #[serde(default)]
    pub ready: i32,
    /// Entries that differ and stay so by policy.
    #[serde(default)]
    pub drifted: i32,
    /// Entries that could not be made so, or that the agent does not support.
    #[serde(default)]
    pub failed: i32,
    /// Objects that the agent has a journal record of and that no entry asks for.
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
    /// Whether resources of `namespace`, which has `labels`, may go to a host in `own`.
    pub fn allows(&self, own: &str, namespace: &str, labels: &BTreeMap<String, String>) -> bool {
        match self.allowed_namespaces.from {
            NamespacesFrom::Same => namespace == own,
            NamespacesFrom::All => true,
            // The selector is required with `Selector`; without one nothing is allowed.
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
