//! Rules on the spec of a swarm that can be checked without an engine.

use schemars::Schema;

use crate::schema::{Rule, plain_options, rules, rules_at, selects_hosts};

/// Rules on the spec of a swarm.
pub(super) fn spec(schema: &mut Schema) {
    plain_options(schema);
    selects_hosts(schema);
    // An engine takes these when it creates the swarm, and never again.
    rules_at(
        schema,
        ".defaultAddressPools",
        &[Rule {
            rule: "has(self.defaultAddressPools) == has(oldSelf.defaultAddressPools) && (!has(self.defaultAddressPools) || self.defaultAddressPools == oldSelf.defaultAddressPools)",
            message: "'defaultAddressPools cannot change: the engine takes them only when the swarm is created'",
        }],
    );
    rules_at(
        schema,
        ".subnetSize",
        &[Rule {
            rule: "has(self.subnetSize) == has(oldSelf.subnetSize) && (!has(self.subnetSize) || self.subnetSize == oldSelf.subnetSize)",
            message: "'subnetSize cannot change: the engine takes it only when the swarm is created'",
        }],
    );
    rules_at(
        schema,
        ".dataPathPort",
        &[Rule {
            rule: "has(self.dataPathPort) == has(oldSelf.dataPathPort) && (!has(self.dataPathPort) || self.dataPathPort == oldSelf.dataPathPort)",
            message: "'dataPathPort cannot change: the engine takes it only when the swarm is created'",
        }],
    );
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

/// The number of managers. An even number survives no more losses than the odd number below it.
pub(super) fn odd(schema: &mut Schema) {
    rules(
        schema,
        &[Rule {
            rule: "self in [1, 3, 5, 7]",
            message: "'%d managers is not possible; set 1, 3, 5 or 7'.format([self])",
        }],
    );
}
