//! Sources of a volume whose data is not in the engine's own data root.

use crate::schema::{Rule, plain_options, rules, rules_at};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// The largest number of a user or group. The kernel uses the next number for "none".
pub(super) const MAX_ID: i64 = 4_294_967_294;

/// A file system in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = tmpfs_rules)]
pub struct TmpfsSource {
    /// Maximum size, such as `64Mi`. Default of the kernel: half of the host's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), transform = quantity)]
    pub size: Option<String>,
    /// Permissions of the root folder in octal, such as `1777`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// ID of the user that owns the root folder, at most 4294967294.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_ID))]
    pub uid: Option<i64>,
    /// ID of the group that owns the root folder, at most 4294967294.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_ID))]
    pub gid: Option<i64>,
}

/// A folder of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = bind_rules)]
pub struct BindSource {
    /// Absolute path of the folder. It must exist when a container first uses the volume.
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,
    /// If true, containers can only read the volume. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// A folder of an NFS server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = nfs_rules)]
pub struct NfsSource {
    /// Name or address of the server.
    #[schemars(length(min = 1, max = 253))]
    pub server: String,
    /// Absolute path of the folder on the server.
    #[schemars(length(min = 1, max = 4096))]
    pub path: String,
    /// Version of the protocol, such as `4.2`. If it is not set, host and server agree on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub version: Option<String>,
    /// If true, containers can only read the volume. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// More mount options, one in each item, such as `hard` or `timeo=600`. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub mount_options: Vec<String>,
}

/// A size, with a message instead of the pattern.
pub(super) fn quantity(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            // A test checks that this is the pattern of `crate::quantity`.
            rule: "self.matches('^[1-9][0-9]{0,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$')",
            message: "'a size is a whole number from 1 on and at most one unit out of Ki, Mi, Gi, Ti, k, M, G, T, such as 10Gi'",
        }],
    );
}

fn tmpfs_rules(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".mode",
        &[Rule {
            rule: "!has(self.mode) || self.mode.matches('^[0-7]{3,4}$')",
            message: "'mode %s is not three or four octal digits; write one such as \"1777\"'.format([self.mode])",
        }],
    );
}

fn bind_rules(schema: &mut Schema) {
    rules_at(
        schema,
        ".path",
        &[Rule {
            rule: "self.path.startsWith('/')",
            message: "'path %s is not absolute; start it with /'.format([self.path])",
        }],
    );
}

fn nfs_rules(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".server",
        &[Rule {
            rule: "self.server.matches('^[^,/\\\\s]+$')",
            message: "'server %s is not a host name or an address; write one such as nfs.example.org, and the folder in path'.format([self.server])",
        }],
    );
    rules_at(
        schema,
        ".path",
        &[Rule {
            rule: "self.path.startsWith('/')",
            message: "'path %s is not absolute; start it with /'.format([self.path])",
        }],
    );
    rules_at(
        schema,
        ".version",
        &[Rule {
            rule: "!has(self.version) || self.version.matches('^([23]|4([.][0-2])?)$')",
            message: "'version %s is not a version of NFS; write \"3\", \"4\", \"4.0\", \"4.1\" or \"4.2\"'.format([self.version])",
        }],
    );
    rules_at(
        schema,
        ".mountOptions",
        &[
            Rule {
                rule: "!has(self.mountOptions) || self.mountOptions.all(o, o.matches('^[^,\\\\s]+$'))",
                message: "'mountOptions has %s; write one option in each item, without commas and spaces'.format([self.mountOptions.filter(o, !o.matches('^[^,\\\\s]+$'))[0]])",
            },
            Rule {
                rule: "!has(self.mountOptions) || !self.mountOptions.exists(o, o.startsWith('addr='))",
                message: "'mountOptions sets %s, which server sets itself; remove it'.format([self.mountOptions.filter(o, o.startsWith('addr='))[0]])",
            },
            Rule {
                rule: "!has(self.version) || !has(self.mountOptions) || !self.mountOptions.exists(o, o.startsWith('vers=') || o.startsWith('nfsvers='))",
                message: "'mountOptions sets %s, which version sets already; remove it'.format([self.mountOptions.filter(o, o.startsWith('vers=') || o.startsWith('nfsvers='))[0]])",
            },
            Rule {
                rule: "!has(self.mountOptions) || !self.mountOptions.exists(o, o in ['ro', 'rw'])",
                message: "'mountOptions sets %s, which readOnly says; remove it and set readOnly'.format([self.mountOptions.filter(o, o in ['ro', 'rw'])[0]])",
            },
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_a_size_has_the_pattern_of_a_size() {
        let mut schema = Schema::default();
        quantity(&mut schema);
        let rule = schema.pointer("/x-kubernetes-validations/0/rule").unwrap();
        assert_eq!(
            *rule,
            format!("self.matches('{}')", crate::quantity::PATTERN)
        );
    }
}
