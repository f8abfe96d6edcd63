//! Owner and permissions of the top folder of a volume.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::source::MAX_ID;
use crate::schema::{Rule, plain_options, rules, rules_at};

/// Owner and permissions of the top folder of a volume. The files in it are never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = ownership_rules)]
pub struct Ownership {
    /// ID of the user that owns the folder, as containers see it, at most 4294967294. If it is not
    /// set, the owner stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_ID))]
    pub uid: Option<i64>,
    /// ID of the group that owns the folder, as containers see it, at most 4294967294. If it is not
    /// set, the group stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MAX_ID))]
    pub gid: Option<i64>,
    /// Permissions of the folder in octal, such as `0750`. If it is not set, they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub mode: Option<String>,
    /// How long the folder is kept like this. `Initial` (default) means as long as the volume is
    /// empty: a container can give an empty volume another owner, and then it is set again. `Root`
    /// means always.
    #[serde(default)]
    pub apply: OwnershipApply,
}

/// How long the owner and the permissions of a folder are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OwnershipApply {
    /// As long as the volume is empty.
    #[default]
    Initial,
    /// Always.
    Root,
}

fn ownership_rules(schema: &mut Schema) {
    plain_options(schema);
    rules(
        schema,
        &[Rule {
            rule: "has(self.uid) || has(self.gid) || has(self.mode)",
            message: "'ownership sets nothing; set uid, gid or mode, such as uid: 1000'",
        }],
    );
    rules_at(
        schema,
        ".mode",
        &[Rule {
            rule: "!has(self.mode) || self.mode.matches('^[0-7]{3,4}$')",
            message: "'mode %s is not three or four octal digits; write one such as \"0750\"'.format([self.mode])",
        }],
    );
}
