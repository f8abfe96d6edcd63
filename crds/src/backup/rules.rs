//! Rules on backups and repositories that can be checked without an engine.

use schemars::Schema;
use serde_json::Value;

use crate::schema::{Rule, plain_options, rules, rules_at, selects_hosts};

/// Rules on the spec of a repository.
pub(super) fn repository(schema: &mut Schema) {
    plain_options(schema);
    rules(
        schema,
        &[Rule {
            rule: "[has(self.path), has(self.s3), has(self.rest)].filter(s, s).size() == 1",
            message: "'%s; set one of path, s3 and rest'.format([!(has(self.path) || has(self.s3) || has(self.rest)) ? 'no store is set' : 'more than one store is set'])",
        }],
    );
}

/// A folder.
pub(super) fn path(schema: &mut Schema) {
    rules_at(
        schema,
        ".folder",
        &[Rule {
            rule: "self.folder.startsWith('/') && !self.folder.split('/').exists(p, p == '..' || p == '.')",
            message: "'folder %s is not an absolute path without .. and .; write one such as /mnt/backup'.format([self.folder])",
        }],
    );
}

/// The address of a bucket.
pub(super) fn s3(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".endpoint",
        &[Rule {
            // The value may have a password, so it is not in the message.
            rule: "self.endpoint.matches('^https?://[^/@?#[:space:]]+$')",
            message: "'endpoint is not http:// or https:// with a host and nothing behind it; write one such as https://s3.example.com, the bucket in bucket, and keys in the Secret'",
        }],
    );
    rules_at(
        schema,
        ".bucket",
        &[Rule {
            rule: "self.bucket.matches('^[a-z0-9][a-z0-9.-]*[a-z0-9]$')",
            message: "'bucket %s is not the name of a bucket; write lower case letters, digits, - and ., such as backups'.format([self.bucket])",
        }],
    );
    rules_at(
        schema,
        ".prefix",
        &[Rule {
            rule: "!has(self.prefix) || self.prefix.matches('^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$') && !self.prefix.split('/').exists(p, p == '..' || p == '.')",
            message: "'prefix %s is not a path without outer slashes; write letters, digits, _, ., - and /, such as backups/shop'.format([self.prefix])",
        }],
    );
}

/// The address of a REST server.
pub(super) fn rest(schema: &mut Schema) {
    plain_options(schema);
    rules_at(
        schema,
        ".url",
        &[Rule {
            // The value may have a password, so it is not in the message.
            rule: "self.url.matches('^https?://[^/@?#[:space:]]+(/[^@?#[:space:]]*)?$')",
            message: "'url is not http:// or https:// with a host and a path; write one such as https://backup.example.com:8000/shop, and user and password in the Secret'",
        }],
    );
}

/// The name of a Secret.
pub(super) fn secret_name(schema: &mut Schema) {
    rules_at(
        schema,
        ".name",
        &[Rule {
            rule: "self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            message: "'%s is not the name of a Secret; write lower case letters, digits, - and ., such as backup-keys'.format([self.name])",
        }],
    );
}

/// Rules on what stays.
pub(super) fn retention(schema: &mut Schema) {
    plain_options(schema);
    rules(
        schema,
        &[Rule {
            rule: "has(self.last) || has(self.hourly) || has(self.daily) || has(self.weekly) || has(self.monthly) || has(self.yearly) || has(self.within)",
            message: "'retention has no rule; set one such as daily: 7, or remove retention to keep all snapshots'",
        }],
    );
}

/// A number of bytes.
pub(super) fn quantity(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: QUANTITY,
            message: "'%s is not a size; write a whole number with Ki, Mi, Gi, k, M or G, such as 10Mi'.format([self])",
        }],
    );
}

/// [`PATTERN`](crate::quantity::PATTERN), as a rule.
const QUANTITY: &str = "self.matches('^[1-9][0-9]{0,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$')";

/// Rules on the spec of a schedule. Its template may change, which a backup may not.
pub(super) fn schedule(schema: &mut Schema) {
    plain_options(schema);
    let rules = schema
        .pointer_mut("/properties/template/x-kubernetes-validations")
        .and_then(Value::as_array_mut);
    if let Some(rules) = rules {
        rules.retain(|rule| !rule.to_string().contains("oldSelf"));
    }
}

/// Rules on the spec of a restore. It is done once, so a change would have no effect.
pub(super) fn restore(schema: &mut Schema) {
    plain_options(schema);
    rules(
        schema,
        &[Rule {
            rule: "self == oldSelf",
            message: "'a VolumeRestore is done once and cannot be changed; create another one'",
        }],
    );
    rules_at(
        schema,
        ".snapshot",
        &[Rule {
            rule: "self.snapshot == 'latest' || self.snapshot.matches('^[0-9a-f]+$')",
            message: "'snapshot %s is not latest or the first digits of an ID, such as c1d2e3f4'.format([self.snapshot])",
        }],
    );
}

/// Rules on the spec of a backup. It is done once, so a change would have no effect.
pub(super) fn backup(schema: &mut Schema) {
    plain_options(schema);
    selects_hosts(schema);
    rules(
        schema,
        &[Rule {
            rule: "self == oldSelf",
            message: "'a VolumeBackup is made once and cannot be changed; create another one'",
        }],
    );
}

#[cfg(test)]
mod tests {
    use super::QUANTITY;
    use crate::quantity::PATTERN;

    #[test]
    fn a_size_is_what_it_is_elsewhere() {
        assert_eq!(QUANTITY, format!("self.matches('{PATTERN}')"));
    }
}
