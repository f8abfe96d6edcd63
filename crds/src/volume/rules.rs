//! Rules over several fields of a volume that can be checked without an engine.

use crate::schema::{Rule, plain_options, rules, rules_at, selects_hosts};
use schemars::Schema;

/// Rules on the spec of a volume.
pub(super) fn spec(schema: &mut Schema) {
    plain_options(schema);
    selects_hosts(schema);
    sources(schema);
    options(schema);
    ownership(schema);
    update_policy(schema);
    rules_at(
        schema,
        ".volumeName",
        &[Rule {
            rule: "has(self.volumeName) == has(oldSelf.volumeName) && (!has(self.volumeName) || self.volumeName == oldSelf.volumeName)",
            message: "'volumeName cannot change from %s; delete the resource and create one with the new name'.format([has(oldSelf.volumeName) ? oldSelf.volumeName : 'the default'])",
        }],
    );
    rules_at(
        schema,
        ".labels",
        &[Rule {
            rule: "!has(self.labels) || !self.labels.exists(k, k.startsWith('io.dockfleet.'))",
            message: "'label %s is reserved for Dockfleet; choose a key outside io.dockfleet.'.format([self.labels.filter(k, k.startsWith('io.dockfleet.'))[0]])",
        }],
    );
}

/// At most one source, and only with the driver that supports it.
fn sources(schema: &mut Schema) {
    rules(
        schema,
        &[
            Rule {
                rule: "[has(self.tmpfs), has(self.bind), has(self.nfs), has(self.cifs)].filter(s, s).size() <= 1",
                message: "'%s%s%s%s are set together; keep one of them'.format([has(self.tmpfs) ? 'tmpfs' : '', !has(self.bind) ? '' : has(self.tmpfs) ? ' and bind' : 'bind', !has(self.nfs) ? '' : has(self.tmpfs) || has(self.bind) ? ' and nfs' : 'nfs', has(self.cifs) ? ' and cifs' : ''])",
            },
            Rule {
                rule: "self.driver == 'local' || !(has(self.tmpfs) || has(self.bind) || has(self.nfs) || has(self.cifs) || has(self.size))",
                message: "'tmpfs, bind, nfs, cifs and size belong to driver local, but driver is %s; use options with this driver'.format([self.driver])",
            },
        ],
    );
    rules_at(
        schema,
        ".size",
        &[Rule {
            rule: "!has(self.size) || !(has(self.tmpfs) || has(self.bind) || has(self.nfs) || has(self.cifs))",
            message: "'size %s limits a volume on the host\\'s disk and cannot be joined with tmpfs, bind, nfs or cifs; for tmpfs set tmpfs.size'.format([self.size])",
        }],
    );
}

/// Raw options that a source sets, and the options of driver local, which refuses unknown ones.
fn options(schema: &mut Schema) {
    rules_at(
        schema,
        ".options",
        &[
            Rule {
                rule: "!has(self.options) || !(has(self.tmpfs) || has(self.bind) || has(self.nfs) || has(self.cifs)) || !self.options.exists(k, k in ['type', 'o', 'device'])",
                message: "'options sets %s, which the source sets itself; remove it from options%s'.format([self.options.filter(k, k in ['type', 'o', 'device'])[0], 'o' in self.options && (has(self.nfs) || has(self.cifs)) ? ', and write mount options in mountOptions of the source' : ''])",
            },
            Rule {
                rule: "!has(self.options) || !has(self.size) || !('size' in self.options)",
                message: "'options sets size = %s, which the field size sets already; remove it from options'.format([self.options['size']])",
            },
            Rule {
                rule: "!has(self.options) || self.driver != 'local' || self.options.all(k, k in ['type', 'o', 'device', 'size'])",
                message: "'driver local has no option %s; it knows type, o, device and size'.format([self.options.filter(k, !(k in ['type', 'o', 'device', 'size']))[0]])",
            },
            Rule {
                rule: "!has(self.options) || self.driver != 'local' || has(self.tmpfs) || has(self.bind) || has(self.nfs) || has(self.cifs) || ('type' in self.options) == ('device' in self.options)",
                message: "'driver local takes the options type and device only together, and %s is missing; set both'.format(['type' in self.options ? 'device' : 'type'])",
            },
            Rule {
                rule: "!has(self.options) || self.driver != 'local' || has(self.tmpfs) || has(self.bind) || has(self.nfs) || has(self.cifs) || !('o' in self.options) || 'device' in self.options || 'type' in self.options",
                message: "'driver local takes the option o = %s only with type and device; set them too'.format([self.options['o']])",
            },
        ],
    );
}

/// Only the folder of a volume that the engine keeps on its own disk has an owner that can be set.
fn ownership(schema: &mut Schema) {
    rules_at(
        schema,
        ".ownership",
        &[
            Rule {
                rule: "!has(self.ownership) || !(has(self.tmpfs) || has(self.bind) || has(self.nfs) || has(self.cifs))",
                message: "'ownership is for a volume on the engine\\'s own disk and cannot be joined with %s; %s'.format([has(self.tmpfs) ? 'tmpfs' : has(self.bind) ? 'bind' : has(self.nfs) ? 'nfs' : 'cifs', has(self.tmpfs) ? 'set tmpfs.uid, tmpfs.gid and tmpfs.mode' : has(self.cifs) ? 'set cifs.uid, cifs.gid and cifs.dirMode' : has(self.nfs) ? 'set the owner of the folder on the server' : 'set the owner of the folder on the host'])",
            },
            Rule {
                rule: "!has(self.ownership) || self.driver == 'local' && !(has(self.options) && 'device' in self.options)",
                message: "'ownership is for a volume on the engine\\'s own disk, but %s; remove ownership'.format([self.driver == 'local' ? 'options sets device' : 'driver is ' + self.driver])",
            },
        ],
    );
}

/// A volume that stores data on the host is never replaced.
fn update_policy(schema: &mut Schema) {
    rules_at(
        schema,
        ".updatePolicy",
        &[Rule {
            rule: "self.updatePolicy != 'WhenUnused' || has(self.tmpfs) || has(self.bind) || has(self.nfs) || has(self.cifs) || self.driver == 'local' && has(self.options) && 'device' in self.options",
            message: "'updatePolicy WhenUnused is for a volume whose data is elsewhere (tmpfs, bind, nfs or cifs), because a volume that stores data on the host is never replaced; set Never'",
        }],
    );
}
