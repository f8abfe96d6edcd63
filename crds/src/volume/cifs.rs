//! A share of an SMB server as the source of a volume.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::source::MAX_ID;
use crate::schema::{Rule, plain_options, rules_at};

/// The label, with the value `true`, by which the owner of a Secret allows Dockfleet to copy it to
/// hosts. A user who may write a DockerVolume may not be allowed to read every Secret of its
/// namespace.
pub const CREDENTIALS_LABEL: &str = "dockfleet.io/credentials";

/// A share of an SMB server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = cifs_rules)]
pub struct CifsSource {
    /// Name or IPv4 address of the server.
    #[schemars(length(min = 1, max = 253))]
    pub server: String,
    /// Name of the share, optionally with a folder after a slash, such as `team` or `team/media`.
    #[schemars(length(min = 1, max = 1024))]
    pub share: String,
    /// The Secret with the user name and password, in the namespace of the resource. If it is not
    /// set, the share is mounted as guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret: Option<SecretName>,
    /// Version of the protocol, such as `3.1.1`. If it is not set, host and server agree on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub version: Option<String>,
    /// ID of the user that owns every file, at most 4294967294. Default: root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_ID))]
    pub uid: Option<i64>,
    /// ID of the group that owns every file, at most 4294967294. Default: root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_ID))]
    pub gid: Option<i64>,
    /// Permissions of every file in octal, such as `0640`. Default: `0755`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub file_mode: Option<String>,
    /// Permissions of every folder in octal, such as `0750`. Default: `0755`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub dir_mode: Option<String>,
    /// If true, containers can only read the volume. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// More mount options, one in each item, such as `nobrl` or `cache=none`. Options that have a
    /// field, and credentials, are refused. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub mount_options: Vec<String>,
}

/// Refers to a Secret by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = name_rules)]
pub struct SecretName {
    /// Name of the Secret. It must have the keys `username` and `password`, and may have `domain`.
    /// It must have the label `dockfleet.io/credentials: "true"`, which allows Dockfleet to copy it
    /// to hosts.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

fn name_rules(schema: &mut Schema) {
    rules_at(
        schema,
        ".name",
        &[Rule {
            rule: "self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            message: "'%s is not the name of a Secret; write lower case letters, digits, - and ., such as nas-login'.format([self.name])",
        }],
    );
}

fn cifs_rules(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".server",
        &[Rule {
            // Engines since 28 refuse a port in the device, and read a part of an IPv6 address as a
            // port.
            rule: "self.server.matches('^[^,/:\\\\\\\\\\\\s]+$')",
            message: "'server %s is not a host name or an IPv4 address; write one such as files.example.org, the share in share, and another port in mountOptions as port=1445'.format([self.server])",
        }],
    );
    rules_at(
        schema,
        ".share",
        &[Rule {
            rule: "self.share.matches('^[^/\\\\\\\\]+(/[^/\\\\\\\\]+)*$')",
            message: "'share %s is not the name of a share; write one such as team or team/media, without backslashes and outer slashes'.format([self.share])",
        }],
    );
    rules_at(
        schema,
        ".version",
        &[Rule {
            rule: "!has(self.version) || self.version in ['1.0', '2.0', '2.1', '3', '3.0', '3.0.2', '3.1.1']",
            message: "'version %s is not a version of SMB; write \"1.0\", \"2.0\", \"2.1\", \"3\", \"3.0\", \"3.0.2\" or \"3.1.1\"'.format([self.version])",
        }],
    );
    rules_at(
        schema,
        ".fileMode",
        &[Rule {
            rule: "!has(self.fileMode) || self.fileMode.matches('^[0-7]{3,4}$')",
            message: "'fileMode %s is not three or four octal digits; write one such as \"0640\"'.format([self.fileMode])",
        }],
    );
    rules_at(
        schema,
        ".dirMode",
        &[Rule {
            rule: "!has(self.dirMode) || self.dirMode.matches('^[0-7]{3,4}$')",
            message: "'dirMode %s is not three or four octal digits; write one such as \"0750\"'.format([self.dirMode])",
        }],
    );
    mount_options(schema);
}

fn mount_options(schema: &mut Schema) {
    rules_at(
        schema,
        ".mountOptions",
        &[
            Rule {
                rule: "!has(self.mountOptions) || self.mountOptions.all(o, o.matches('^[^,\\\\s]+$'))",
                message: "'mountOptions has %s; write one option in each item, without commas and spaces'.format([self.mountOptions.filter(o, !o.matches('^[^,\\\\s]+$'))[0]])",
            },
            Rule {
                // The value may be a password, so it is not in the message.
                rule: "!has(self.mountOptions) || !self.mountOptions.exists(o, o.matches('^(user(name)?|pass(word2?)?|dom(ain)?|workgroup|cred(entials)?)='))",
                message: "'mountOptions sets %s, which everybody who reads the resource would see; put it into a Secret and name that in credentialsSecret'.format([self.mountOptions.filter(o, o.matches('^(user(name)?|pass(word2?)?|dom(ain)?|workgroup|cred(entials)?)='))[0].split('=')[0]])",
            },
            Rule {
                rule: "!has(self.mountOptions) || !self.mountOptions.exists(o, o.matches('^(addr|ip|vers|uid|gid|file_mode|dir_mode)='))",
                message: "'mountOptions sets %s; use the field of cifs for it: server, version, uid, gid, fileMode or dirMode'.format([self.mountOptions.filter(o, o.matches('^(addr|ip|vers|uid|gid|file_mode|dir_mode)='))[0]])",
            },
            Rule {
                rule: "!has(self.mountOptions) || !self.mountOptions.exists(o, o in ['ro', 'rw'])",
                message: "'mountOptions sets %s, which readOnly says; remove it and set readOnly'.format([self.mountOptions.filter(o, o in ['ro', 'rw'])[0]])",
            },
        ],
    );
}
