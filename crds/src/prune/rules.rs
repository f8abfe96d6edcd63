//! Rules on the spec of a PrunePolicy that can be checked without an engine.

use schemars::Schema;

use crate::schema::{Rule, plain_options, rules, rules_at, selects_hosts};

/// Rules on the spec.
pub(super) fn spec(schema: &mut Schema) {
    plain_options(schema);
    selects_hosts(schema);
    rules_at(
        schema,
        ".kind",
        &[Rule {
            rule: "self.kind == oldSelf.kind",
            message: "'kind cannot change from %s to %s; create another PrunePolicy'.format([oldSelf.kind, self.kind])",
        }],
    );
    rules_at(
        schema,
        ".onlyAnonymous",
        &[Rule {
            rule: "self.kind == 'Volume' || !has(self.onlyAnonymous)",
            message: "'onlyAnonymous is for volumes, and kind is %s; remove it'.format([self.kind])",
        }],
    );
    rules_at(
        schema,
        ".includeNonEmpty",
        &[Rule {
            rule: "self.kind == 'Volume' || !has(self.includeNonEmpty)",
            message: "'includeNonEmpty is for volumes, and kind is %s; remove it'.format([self.kind])",
        }],
    );
}

/// A duration.
pub(super) fn duration(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^(0|[1-9][0-9]{0,5})(s|m|h|d)$')",
            message: "'%s is not a duration; write a whole number with s, m, h or d, such as 72h'.format([self])",
        }],
    );
}
