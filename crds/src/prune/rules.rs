//! Rules on the spec of a PrunePolicy that can be checked without an engine.

use schemars::Schema;

use crate::schema::{Rule, plain_options, rules_at, selects_hosts};

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
