use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rules::Group;
use super::*;

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "dockfleet.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn errors(kind: &str, spec: &Value) -> Vec<String> {
    let object = object(kind, "lab", spec);
    validate(kind, &object, None)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// A network with many fields, as in the documents.
fn network() -> Value {
    json!({
        "hostSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["lab"]}]},
        "hostNames": ["docker-01"],
        "networkName": "cameras",
        "driver": "macvlan",
        "macvlan": {"parent": "eth0.50", "mode": "bridge"},
        "options": {"com.example.key": "value"},
        "labels": {"team": "lab", "0": "zero"},
        "enableIPv6": true,
        "ipam": {"config": [
            {"subnet": "10.20.0.0/24", "ipRange": "10.20.0.128/25", "gateway": "10.20.0.1",
             "auxAddresses": {"printer": "10.20.0.9"}},
            {"subnet": "10.30.0.0/24"},
            {"subnet": "fd00:20::/64", "gateway": "fd00:20::1"},
        ]},
        "hostOverrides": [{"hostNames": ["docker-02"], "parent": "eth1"}],
    })
}

#[test]
fn every_schema_and_every_rule_compiles() {
    let kinds: Vec<_> = kinds().collect();
    assert_eq!(
        kinds,
        [
            "DockerHost",
            "DockerNetwork",
            "DockerVolume",
            "BackupRepository",
            "PrunePolicy",
            "VolumeBackup",
            "VolumeBackupSchedule",
            "VolumeRestore",
            "SwarmCluster",
            "HostAssignment"
        ]
    );
    for kind in kinds {
        let schema = schema::of(kind).unwrap();
        let mut compiled = 0;
        schema.rules.each(&mut |rules, _| {
            let errors = rules.compilation_errors();
            assert!(errors.is_empty(), "{kind}: {errors:?}");
            compiled += rules.validations.len();
        });
        // All rules of the schema were found.
        assert_eq!(compiled, rules_in(&schema.raw), "{kind}");
    }
}

#[test]
fn a_rule_that_is_left_out_without_a_field_holds_without_it() {
    let mut left_out = BTreeSet::new();
    for kind in kinds() {
        schema::of(kind).unwrap().rules.each(&mut |_, groups| {
            for (field, broken) in groups.iter().filter_map(Group::broken_without_field) {
                assert_eq!(broken, [""; 0], "{kind}: {field}");
                left_out.insert(field.to_owned());
            }
        });
    }
    // These decide how long a short document takes.
    for field in [
        "auxAddresses",
        "gateway",
        "hostOverrides",
        "ipam",
        "ipRange",
        "options",
    ] {
        assert!(left_out.contains(field), "{field}: {left_out:?}");
    }
}

fn rules_in(schema: &Value) -> usize {
    match schema {
        Value::Object(keywords) => {
            let here = keywords.get(rules::KEYWORD).and_then(Value::as_array);
            here.map_or(0, Vec::len) + keywords.values().map(rules_in).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(rules_in).sum(),
        _ => 0,
    }
}

#[test]
fn every_field_has_a_text_of_its_own() {
    fn look(path: &str, schema: &Value, silent: &mut Vec<String>) {
        for (name, field) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let path = format!("{path}.{name}");
            if field.get("description").is_none() {
                silent.push(path.clone());
            }
            look(&path, field, silent);
            look(&path, field.get("items").unwrap_or(&Value::Null), silent);
        }
    }
    const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";
    let mut silent = Vec::new();
    let mut texts = BTreeMap::new();
    for (file, crd) in crate::manifests::all() {
        let crd = serde_json::to_value(crd).unwrap();
        let schema = crd.pointer(SCHEMA).unwrap();
        look(file, schema, &mut silent);
        texts.insert(file, schema.clone());
    }
    assert_eq!(silent, Vec::<String>::new());
    let text = texts["dockernetworks.yaml"]
        .pointer("/properties/spec/properties/bridge/properties/gatewayModeIPv4/description")
        .and_then(Value::as_str);
    assert!(text.unwrap().contains("gateway_mode_ipv4"), "{text:?}");
}

#[test]
fn a_valid_document_has_no_errors() {
    assert_eq!(errors("DockerNetwork", &network()), Vec::<String>::new());
    let volume = json!({"hostSelector": {}, "nfs": {
        "server": "nfs.example.org", "path": "/export", "version": "4.2", "mountOptions": ["hard"],
    }});
    assert_eq!(errors("DockerVolume", &volume), Vec::<String>::new());
    let host = json!({"allowedNamespaces": {"from": "All"}, "connection": {"direct": {
        "endpoint": "tcp://docker-01:2376", "certPath": "certs",
    }}});
    assert_eq!(errors("DockerHost", &host), Vec::<String>::new());
    let assignment = json!({"hub": "h", "entries": [{
        "uid": "u", "kind": "DockerVolume", "namespace": "n", "name": "v", "revision": "r",
        "spec": {"anything": ["goes"]},
    }]});
    assert_eq!(errors("HostAssignment", &assignment), Vec::<String>::new());
}

#[test]
fn a_field_without_a_value_is_not_set() {
    let spec = json!({"hostSelector": {}, "driver": "macvlan", "bridge": null, "labels": null});
    assert_eq!(errors("DockerNetwork", &spec), Vec::<String>::new());
}

#[test]
fn unknown_fields_are_reported_first_and_alone() {
    let mut object = object(
        "DockerNetwork",
        "My_Net",
        &json!({"drivr": "x", "ipam": {"subnet": 1}}),
    );
    object["metadata"]["lables"] = json!({});
    object["status"] = json!({"stat": 1});
    let errors: Vec<_> = validate("DockerNetwork", &object, None)
        .iter()
        .map(ToString::to_string)
        .collect();
    let unknown = [
        "metadata.lables",
        "spec.drivr",
        "spec.ipam.subnet",
        "status.stat",
    ];
    assert_eq!(
        errors,
        unknown.map(|path| format!("unknown field \"{path}\""))
    );
}

#[test]
fn rules_are_checked_after_the_structure() {
    let spec = json!({"driver": "brigde", "ipam": {"config": [{"subnet": "10.0.0.1/24"}]}});
    assert_eq!(
        errors("DockerNetwork", &spec),
        [
            "spec.driver: Unsupported value: \"brigde\": supported values: \"bridge\", \"macvlan\", \"ipvlan\", \"overlay\""
        ],
    );
}

#[test]
fn limits_are_reported_like_in_an_api_server() {
    let spec = json!({
        "hostSelector": {},
        "bridge": {"mtu": 1450.5, "bridgeName": "br-production-backend", "enableICC": "yes"},
        "labels": {"": 1},
        "ipam": {"config": [{}, 1]},
        "hostOverrides": {},
    });
    let mut reported = errors("DockerNetwork", &spec);
    reported.sort();
    assert_eq!(
        reported,
        [
            "spec.bridge.bridgeName: Too long: may not be more than 15 bytes",
            "spec.bridge.enableICC: Invalid value: \"string\": spec.bridge.enableICC in body must be of type boolean: \
         \"string\"",
            "spec.bridge.mtu: Invalid value: \"float64\": spec.bridge.mtu in body must be of type int32: \"float64\"",
            "spec.hostOverrides: Invalid value: \"object\": spec.hostOverrides in body must be of type array: \"object\"",
            "spec.ipam.config[0].subnet: Required value",
            "spec.ipam.config[1]: Invalid value: \"integer\": spec.ipam.config[1] in body must be of type object: \
         \"integer\"",
            "spec.labels.: Invalid value: \"integer\": spec.labels. in body must be of type string: \"integer\"",
        ]
    );
    let many: Vec<_> = (0..9)
        .map(|n| json!({"subnet": format!("10.{n}.0.0/24")}))
        .collect();
    assert_eq!(
        errors(
            "DockerNetwork",
            &json!({"hostSelector": {}, "driver": "ipvlan", "ipam": {"config": many}})
        ),
        ["spec.ipam.config: Too many: 9: must have at most 8 items"],
    );
}

#[test]
fn a_rule_on_a_string_shows_the_string() {
    assert_eq!(
        errors(
            "DockerVolume",
            &json!({"hostSelector": {}, "tmpfs": {"size": "64MB"}})
        ),
        [
            "spec.tmpfs.size: Invalid value: \"64MB\": a size is a whole number from 1 on and at most one unit out of Ki, Mi, \
             Gi, Ti, k, M, G, T, such as 10Gi"
        ],
    );
}

#[test]
fn addresses_are_read_as_the_api_server_reads_them() {
    let subnets = [
        "10.020.0.0/24",
        "10.20.0.0/024",
        "::ffff:10.0.0.0/104",
        "10.20.0.0",
        "10.20.0.0/33",
    ];
    for subnet in subnets {
        let spec = json!({"hostSelector": {}, "enableIPv6": true, "ipam": {"config": [{"subnet": subnet}]}});
        let want = format!(
            "spec.ipam.config[0].subnet: Invalid value: subnet {subnet} is not a CIDR block; write an address and a \
             prefix length, such as 10.20.0.0/24"
        );
        assert_eq!(errors("DockerNetwork", &spec), [want]);
    }
}

#[test]
fn every_option_that_a_field_sets_may_not_be_repeated() {
    let spec = json!({
        "hostSelector": {}, "driver": "ipvlan", "ipvlan": {"parent": "eth0", "mode": "l2"},
        "options": {"parent": "eth1", "ipvlan_flag": "vepa"},
    });
    assert_eq!(
        errors("DockerNetwork", &spec),
        [
            "spec.options: Invalid value: options sets parent, which ipvlan.parent sets already; remove it from \
             options"
        ],
    );
}

#[test]
fn overrides_have_to_fit_the_network() {
    let with = |block: Value| {
        let spec = json!({"hostSelector": {}, "hostOverrides": [{"hostNames": ["a"], "ipamConfig": block}]});
        errors("DockerNetwork", &spec)
    };
    assert_eq!(
        with(json!([{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}])),
        [
            "spec.hostOverrides: Invalid value: a host override has the IPv6 subnet fd00::/64, which the engine \
             ignores unless IPv6 is enabled; set enableIPv6: true"
        ],
    );
    assert_eq!(
        with(json!([{"subnet": "10.1.0.0/16"}, {"subnet": "10.1.0.0/24"}])),
        [
            "spec.hostOverrides: Invalid value: driver bridge takes one subnet of each family, and a host override \
             has more; keep one IPv4 and one IPv6 subnet",
            "spec.hostOverrides[0].ipamConfig: Invalid value: subnets 10.1.0.0/16 and 10.1.0.0/24 overlap; keep one \
             or choose others",
        ],
    );
}

#[test]
fn a_gateway_is_an_address_that_an_interface_can_have() {
    let with = |subnet: &str, gateway: &str| {
        let block = json!({"subnet": subnet, "gateway": gateway});
        let spec = json!({"hostSelector": {}, "enableIPv6": true, "ipam": {"config": [block]}});
        errors("DockerNetwork", &spec)
    };
    for (subnet, gateway) in [
        ("10.20.0.0/22", "10.20.0.1"),
        ("10.20.0.0/22", "10.20.2.255"),
        ("10.20.0.0/22", "10.20.3.0"),
        ("10.20.0.2/31", "10.20.0.2"),
        ("10.20.0.2/31", "10.20.0.3"),
        ("10.20.0.2/32", "10.20.0.2"),
        ("fd00::/64", "fd00::"),
        ("fd00::/120", "fd00::ff"),
    ] {
        assert_eq!(
            with(subnet, gateway),
            Vec::<String>::new(),
            "{gateway} of {subnet}"
        );
    }
    for (subnet, gateway, what) in [
        ("10.20.0.0/22", "10.20.0.0", "network"),
        ("10.20.0.0/22", "10.20.3.255", "broadcast"),
        ("10.20.0.4/30", "10.20.0.4", "network"),
        ("10.20.0.4/30", "10.20.0.7", "broadcast"),
        ("10.0.0.0/8", "10.255.255.255", "broadcast"),
    ] {
        let want = format!(
            "spec.ipam.config[0].gateway: Invalid value: gateway {gateway} is the {what} address of subnet {subnet}, \
             which no interface can have; choose another address of it"
        );
        assert_eq!(with(subnet, gateway), [want]);
    }
    // Another rule reports it.
    assert_eq!(with("10.20.0.0/24", "10.20.1.255").len(), 1);
    assert_eq!(with("10.20.0.0/24", "router").len(), 1);
}

#[test]
fn an_owner_is_for_a_volume_on_the_disk_of_the_engine_only() {
    let with = |mut spec: Value| {
        spec["hostSelector"] = json!({});
        spec["ownership"] = json!({"uid": 0});
        errors("DockerVolume", &spec)
    };
    assert_eq!(with(json!({"size": "1Gi"})), [""; 0]);
    let start = "spec.ownership: Invalid value: ownership is for a volume on the engine's own disk";
    for (spec, rest) in [
        (
            json!({"tmpfs": {}}),
            " and cannot be joined with tmpfs; set tmpfs.uid, tmpfs.gid and tmpfs.mode",
        ),
        (
            json!({"bind": {"path": "/srv"}}),
            " and cannot be joined with bind; set the owner of the folder on the host",
        ),
        (
            json!({"nfs": {"server": "a", "path": "/b"}}),
            " and cannot be joined with nfs; set the owner of the folder on the server",
        ),
        (
            json!({"cifs": {"server": "a", "share": "b"}}),
            " and cannot be joined with cifs; set cifs.uid, cifs.gid and cifs.dirMode",
        ),
        (
            json!({"options": {"type": "nfs", "device": ":/b"}}),
            ", but options sets device; remove ownership",
        ),
        (
            json!({"driver": "rexray", "options": {"device": "x"}}),
            ", but driver is rexray; remove ownership",
        ),
    ] {
        assert_eq!(with(spec), [format!("{start}{rest}")]);
    }
}

#[test]
fn an_option_beside_a_source_is_reported_once() {
    for (options, key) in [
        (json!({"o": "soft"}), "o"),
        (json!({"type": "nfs"}), "type"),
        (json!({"device": ":/x"}), "device"),
    ] {
        let spec =
            json!({"hostSelector": {}, "nfs": {"server": "a", "path": "/b"}, "options": options});
        let reported = errors("DockerVolume", &spec);
        let [reported] = reported.as_slice() else {
            panic!("{reported:?}")
        };
        assert!(
            reported.contains(&format!("options sets {key}, which the source sets itself")),
            "{reported}"
        );
    }
}

#[test]
fn a_selector_that_silently_selects_nothing_is_refused() {
    let with = |term: Value| {
        errors(
            "DockerNetwork",
            &json!({"hostSelector": {"matchExpressions": [term]}}),
        )
    };
    assert_eq!(
        with(json!({"key": "tier", "operator": "Near"})),
        [
            "spec.hostSelector.matchExpressions[0].operator: Unsupported value: \"Near\": supported values: \"In\", \
             \"NotIn\", \"Exists\", \"DoesNotExist\""
        ],
    );
    assert_eq!(
        with(json!({"key": "tier", "operator": "In"})),
        [
            "spec.hostSelector.matchExpressions[0].values: Invalid value: operator In of tier needs values; add values or \
             use Exists"
        ],
    );
    assert_eq!(
        errors("DockerVolume", &json!({"hostNames": []})),
        [
            "spec: Invalid value: no host is selected; set hostNames, or hostSelector ({} selects every host)"
        ],
    );
}

#[test]
fn a_name_on_the_host_cannot_change() {
    let old = object(
        "DockerNetwork",
        "lab",
        &json!({"hostSelector": {}, "networkName": "a"}),
    );
    let new = object(
        "DockerNetwork",
        "lab",
        &json!({"hostSelector": {}, "networkName": "b"}),
    );
    let [error] = validate("DockerNetwork", &new, Some(&old))
        .try_into()
        .unwrap();
    let want = "spec.networkName: Invalid value: networkName cannot change from a; delete the resource and create \
                one with the new name";
    assert_eq!(error.to_string(), want);
    assert_eq!(validate("DockerNetwork", &old, Some(&old)), []);
}

#[test]
fn metadata_is_checked_too() {
    let reported = |metadata: Value| {
        let mut object = object("DockerNetwork", "lab", &json!({"hostSelector": {}}));
        object["metadata"] = metadata;
        validate("DockerNetwork", &object, None)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        reported(json!({})),
        ["metadata.name: Required value: name or generateName is required"]
    );
    assert_eq!(
        reported(json!({"name": "a", "namespace": "a.b"})),
        ["metadata.namespace: Invalid value: \"a.b\": must not contain dots"],
    );
    assert_eq!(
        reported(json!({"name": "a", "labels": {"tier": 1}})),
        ["json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"],
    );
    let [error] = reported(json!({"name": "a", "labels": {"tier": "a b"}}))
        .try_into()
        .unwrap();
    assert!(
        error.starts_with("metadata.labels: Invalid value: \"a b\": a valid label must be"),
        "{error}"
    );
}

#[test]
fn defaults_are_those_of_an_api_server() {
    let spec = json!({"driver": null, "hostSelector": {}});
    let with = admit(
        "DockerNetwork",
        &object("DockerNetwork", "lab", &spec),
        None,
    )
    .unwrap();
    let want = json!({
        "hostSelector": {}, "driver": "bridge", "updatePolicy": "Never", "driftPolicy": "Enforce", "adoptionPolicy": "Never",
        "deletionPolicy": "Delete", "managementPolicy": "Manage", "readyPolicy": "Reachable",
    });
    assert_eq!(with["spec"], want);
}

#[test]
fn another_kind_or_version_is_no_match() {
    let reported = |kind, object: &Value| {
        validate(kind, object, None)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let mut network = object("DockerNetwork", "lab", &network());
    network["apiVersion"] = json!("dockfleet.io/v1");
    assert_eq!(
        reported("DockerNetwork", &network),
        ["no matches for kind \"DockerNetwork\" in version \"dockfleet.io/v1\""],
    );
    assert_eq!(
        reported("Pod", &json!({"kind": "Pod"})),
        ["no matches for kind \"Pod\" in version \"\""]
    );
}
