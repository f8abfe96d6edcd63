//! Rules on the spec of a swarm that can be checked without an engine.

use schemars::Schema;

use crate::schema::{Rule, overrides_hosts, plain_options, rules, rules_at, selects_hosts};

/// The rule that a field cannot change.
macro_rules! fixed {
    ($field:literal) => {
        Rule {
            rule: concat!(
                "has(self.",
                $field,
                ") == has(oldSelf.",
                $field,
                ") && (!has(self.",
                $field,
                ") || self.",
                $field,
                " == oldSelf.",
                $field,
                ")"
            ),
            message: concat!(
                "'",
                $field,
                " cannot change: the engine takes it only when the swarm is created'"
            ),
        }
    };
}

/// Rules on the spec of a swarm.
pub(super) fn spec(schema: &mut Schema) {
    plain_options(schema);
    selects_hosts(schema);
    node_labels(schema);
    // An engine takes these when it creates the swarm, and never again.
    rules_at(
        schema,
        ".defaultAddressPools",
        &[fixed!("defaultAddressPools")],
    );
    rules_at(schema, ".subnetSize", &[fixed!("subnetSize")]);
    rules_at(schema, ".dataPathPort", &[fixed!("dataPathPort")]);
    let Some(pools) = schema.pointer_mut("/properties/defaultAddressPools/items") else {
        return;
    };
    if let Ok(pools) = <&mut Schema>::try_from(pools) {
        rules(
            pools,
            &[Rule {
                rule: "isCIDR(self) && cidr(self) == cidr(self).masked()",
                message: "'%s is not a subnet; write it in CIDR form, such as 10.20.0.0/16'.format([self])",
            }],
        );
    }
}

/// Rules on an override.
pub(super) fn host_override(schema: &mut Schema) {
    plain_options(schema);
    overrides_hosts(schema);
    node_labels(schema);
}

/// Labels that Dockfleet writes itself.
fn node_labels(schema: &mut Schema) {
    rules_at(
        schema,
        ".nodeLabels",
        &[
            Rule {
                rule: "!has(self.nodeLabels) || self.nodeLabels.all(k, k.matches('^[a-zA-Z0-9][a-zA-Z0-9_./-]*$'))",
                message: "'label %s has another character than letters, digits, _, ., - and /'.format([self.nodeLabels.filter(k, !k.matches('^[a-zA-Z0-9][a-zA-Z0-9_./-]*$'))[0]])",
            },
            Rule {
                rule: "!has(self.nodeLabels) || !self.nodeLabels.exists(k, k.startsWith('io.dockfleet.'))",
                message: "'label %s is reserved for Dockfleet; choose a key outside io.dockfleet.'.format([self.nodeLabels.filter(k, k.startsWith('io.dockfleet.'))[0]])",
            },
        ],
    );
}

/// An address, an interface or a subnet.
pub(super) fn address(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "!self.contains('/') || isCIDR(self)",
            message: "'%s is not a subnet; write an address, an interface, or a subnet such as 10.20.0.0/16'.format([self])",
        }],
    );
}

/// The ID of a swarm (swarmkit, `identity`: 25 characters in base 36).
pub(super) fn cluster_id(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^[a-z0-9]{25}$')",
            message: "'%s is not the ID of a swarm; `docker info` on a manager shows it as ClusterID'.format([self])",
        }],
    );
}

/// A duration that the engine accepts for certificates: an hour or more.
pub(super) fn hours(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self.matches('^[1-9][0-9]{0,4}h$')",
            message: "'%s is not a number of hours; write it like 2160h'.format([self])",
        }],
    );
}

/// The number of managers. An even number survives no more losses than the odd number below it.
pub(super) fn odd(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self in [1, 3, 5, 7]",
            message: "'the number of managers is %d; set 1, 3, 5 or 7'.format([self])",
        }],
    );
}
