use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::files::parse;
use dockfleet_crds::{DockerNetwork, DockerVolume};
use dockfleet_planner::resource::Resource;

use super::*;

const NETWORK: &str = "apiVersion: dockfleet.io/v1alpha1
kind: DockerNetwork
metadata:
  name: lab
spec:
  hostSelector: {}
  bridge:
";

fn messages(text: &str) -> Vec<String> {
    let documents = parse("lab.yaml", text).unwrap();
    check(&documents)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("dockfleet-manifest-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn every_broken_manifest_says_what_its_first_line_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../e2e/broken");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 45);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let want = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix("# expect: ")
            .unwrap()
            .to_owned();
        let errors = check(&load(std::slice::from_ref(&file), false).unwrap()).unwrap_err();
        let [error] = errors.as_slice() else {
            panic!("{}: {errors:#?}", file.display())
        };
        let ManifestError::Invalid { message, .. } = error else {
            panic!("{error}")
        };
        // kubectl does not print the known kinds and a suggestion.
        let more = message.strip_prefix(&want);
        assert!(
            more.is_some_and(|more| more.is_empty() || more.starts_with("; ")),
            "{message}\nin place of\n{want}"
        );
    }
}

#[test]
fn an_error_names_file_line_resource_and_field() {
    assert_eq!(
        messages(&format!(
            "{NETWORK}    mtu: 42\n  internal: nay\n  drift: x\n"
        )),
        ["lab.yaml:10: DockerNetwork/lab: unknown field \"spec.drift\""],
    );
    assert_eq!(
        messages(&format!("{NETWORK}    mtu: 42\n  internal: nay\n")),
        [
            "lab.yaml:8: DockerNetwork/lab: spec.bridge.mtu: Invalid value: 42: spec.bridge.mtu in body should be \
             greater than or equal to 68",
            "lab.yaml:9: DockerNetwork/lab: spec.internal: Invalid value: \"string\": spec.internal in body must be \
             of type boolean: \"string\"; write true or false, without quotes",
        ],
    );
}

#[test]
fn a_missing_field_is_reported_at_its_parent() {
    let text = NETWORK.replace(
        "  bridge:\n",
        "  ipam:\n    config:\n    - gateway: 10.0.0.1\n",
    );
    assert_eq!(
        messages(&text),
        ["lab.yaml:9: DockerNetwork/lab: spec.ipam.config[0].subnet: Required value"]
    );
}

#[test]
fn an_unknown_kind_is_reported_with_the_known_kinds() {
    let known = "known are DockerHost, DockerNetwork, DockerVolume, BackupRepository, PrunePolicy, VolumeBackup, \
                 VolumeBackupSchedule, VolumeRestore, SwarmCluster in version \"dockfleet.io/v1alpha1\", and Namespace and Secret in version \"v1\"";
    assert_eq!(
        messages("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\n"),
        [format!(
            "lab.yaml:2: ConfigMap/s: no matches for kind \"ConfigMap\" in version \"v1\"; {known}"
        )],
    );
    assert_eq!(
        messages("apiVersion: dockfleet.io/v1alpha1\nkind: HostAssignment\nmetadata: {name: h}\n"),
        [
            "lab.yaml:2: HostAssignment/h: only the controller writes a HostAssignment; remove it from the \
             files"
        ],
    );
    assert_eq!(
        messages("kind: DockerHost\n"),
        ["lab.yaml:1: DockerHost/(no name): apiVersion not set"]
    );
    assert_eq!(
        messages("apiVersion: dockfleet.io/v1alpha1\nmetadata: {name: h}\n"),
        ["lab.yaml:1: (no kind)/h: kind not set"],
    );
    assert_eq!(
        messages("- a\n"),
        [
            "lab.yaml:1: (no kind)/(no name): expected a resource: apiVersion, kind, metadata and spec"
        ],
    );
}

#[test]
fn resources_are_typed_with_namespace_and_defaults() {
    let text = format!(
        "{NETWORK}---
apiVersion: v1
kind: Namespace
metadata: {{name: cams, labels: {{tier: lab}}}}
---
apiVersion: v1
kind: List
items:
- apiVersion: dockfleet.io/v1alpha1
  kind: DockerVolume
  metadata: {{name: data, namespace: cams}}
  spec: {{hostNames: [a]}}
  status: {{observedGeneration: 1}}
- apiVersion: dockfleet.io/v1alpha1
  kind: DockerHost
  metadata: {{name: a}}
  spec: {{connection: {{direct: {{endpoint: tcp://a:2376, certPath: certs/a}}}}}}
"
    );
    let documents = parse("site/lab.yaml", &text).unwrap();
    assert_eq!(
        documents
            .iter()
            .map(|d| (d.index, d.line))
            .collect::<Vec<_>>(),
        [(0, 1), (1, 9), (2, 16), (3, 21)]
    );
    let resources = check(&documents).unwrap();
    let [network] = all::<DockerNetwork>(&resources)[..] else {
        panic!("{resources:?}")
    };
    assert_eq!(network.metadata.namespace.as_deref(), Some("default"));
    // `bridge:` without a value is a field that is not set.
    assert_eq!(network.spec.bridge, None);
    let [volume] = all::<DockerVolume>(&resources)[..] else {
        panic!("{resources:?}")
    };
    assert_eq!(volume.metadata.namespace.as_deref(), Some("cams"));
    assert_eq!(
        (volume.spec.driver.as_str(), &volume.status),
        ("local", &None)
    );
    let [host] = resources.hosts.as_slice() else {
        panic!("{resources:?}")
    };
    let direct = host
        .spec
        .connection
        .as_ref()
        .unwrap()
        .direct
        .as_ref()
        .unwrap();
    assert_eq!(direct.cert_path.as_deref(), Some("site/certs/a"));
    assert_eq!(resources.namespaces["cams"]["tier"], "lab");
}

/// Returns the resources of one kind.
fn all<K: Resource>(resources: &Resources) -> Vec<&K> {
    let all = resources.resources.iter();
    all.filter_map(|r| r.downcast()).collect()
}

#[test]
fn a_duplicate_resource_is_reported_with_both_lines() {
    assert_eq!(
        messages(&format!("{NETWORK}---\n{NETWORK}")),
        ["lab.yaml:12: DockerNetwork/lab: this resource is also in lab.yaml:4; keep one of them"],
    );
    let other = NETWORK.replace("name: lab\n", "name: lab\n  namespace: other\n");
    let documents = parse("lab.yaml", &format!("{NETWORK}---\n{other}")).unwrap();
    assert_eq!(check(&documents).unwrap().resources.len(), 2);
}

#[test]
fn a_folder_is_read_in_order_and_subfolders_on_request() {
    let folder = folder("order");
    fs::create_dir(folder.join("inner")).unwrap();
    for file in ["b.yml", "a.yaml", "c.json", "inner/d.yaml", "notes.txt"] {
        fs::write(folder.join(file), format!("{{\"kind\": \"{file}\"}}")).unwrap();
    }
    let kinds = |recursive| {
        let documents = load(std::slice::from_ref(&folder), recursive).unwrap();
        documents
            .iter()
            .map(|d| d.value["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds(false), ["a.yaml", "b.yml", "c.json"]);
    assert_eq!(kinds(true), ["a.yaml", "b.yml", "c.json", "inner/d.yaml"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_unreadable_file_is_reported() {
    let folder = folder("unreadable");
    fs::write(folder.join("twice.yaml"), "kind: A\nkind: B\n").unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    let paths = [
        folder.join("twice.yaml"),
        folder.join("empty"),
        folder.join("missing.yaml"),
    ];
    let errors: Vec<_> = load(&paths, false)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    let [twice, empty, missing] = errors.as_slice() else {
        panic!("{errors:?}")
    };
    assert!(
        twice.ends_with("twice.yaml:2: A: kind: this field is also in line 1; keep one of them"),
        "{twice}"
    );
    assert!(
        empty.ends_with(
            "empty: it contains no manifest: no file in this folder ends in .yaml, .yml or .json"
        ),
        "{empty}"
    );
    assert!(
        missing.contains("missing.yaml: cannot be read: No such file"),
        "{missing}"
    );
    fs::remove_dir_all(folder).unwrap();
}

/// Returns the errors of paths that cannot be read, without their folder.
fn unreadable(paths: &[PathBuf], recursive: bool) -> Vec<String> {
    let errors = load(paths, recursive).unwrap_err();
    let words = errors.iter().map(ToString::to_string);
    let plain = |text: String| {
        let text = text.replace(&format!("{}/", paths[0].display()), "");
        text.split(';').next().unwrap().to_owned()
    };
    words.map(plain).collect()
}

#[test]
fn an_unreadable_file_in_a_folder_is_reported_and_not_ignored() {
    let folder = folder("links");
    fs::write(folder.join("good.yaml"), NETWORK).unwrap();
    fs::create_dir_all(folder.join("inner")).unwrap();
    fs::write(folder.join("inner/deep.yaml"), NETWORK).unwrap();
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    let here = std::slice::from_ref(&folder);

    // Folders in which no file is read.
    link("nowhere", "notes");
    link("inner", "more");
    link("good.yaml", "notes.txt");
    let socket = std::os::unix::net::UnixListener::bind(folder.join("engine.sock")).unwrap();
    assert_eq!(load(here, false).unwrap().len(), 1);
    // With `-R`, the first two could be folders with files.
    assert_eq!(
        unreadable(here, true),
        [
            "more: cannot be read: a link to a folder, which is not followed",
            "notes: cannot be read: a link to nowhere, which does not exist",
        ]
    );
    fs::remove_file(folder.join("more")).unwrap();
    fs::remove_file(folder.join("notes")).unwrap();

    link("../gone.yaml", "a.yaml");
    link("b.yaml", "b.yaml");
    link("inner", "c.json");
    drop(std::os::unix::net::UnixListener::bind(folder.join("d.yml")).unwrap());
    let reported = unreadable(here, false);
    let want = [
        "a.yaml: cannot be read: a link to ../gone.yaml, which does not exist",
        "b.yaml: cannot be read: a broken link: Too many levels of symbolic links (os error 40)",
        "c.json: cannot be read: a link to a folder, which is not followed",
        "d.yml: cannot be read: a socket, not a file",
    ];
    assert_eq!(reported, want);
    drop(socket);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn links_to_files_are_followed_and_hidden_files_count() {
    let folder = folder("hidden");
    fs::create_dir_all(folder.join(".inner")).unwrap();
    for file in ["one", ".two.yaml", ".inner/three.yaml"] {
        fs::write(folder.join(file), format!("kind: {file}\n")).unwrap();
    }
    std::os::unix::fs::symlink("one", folder.join("link.yaml")).unwrap();
    std::os::unix::fs::symlink(".", folder.join(".inner/whole")).unwrap();
    let here = std::slice::from_ref(&folder);
    let kinds = |documents: Vec<Document>| -> Vec<Value> {
        documents.iter().map(|d| d.value["kind"].clone()).collect()
    };
    assert_eq!(kinds(load(here, false).unwrap()), [".two.yaml", "one"]);
    fs::remove_file(folder.join(".inner/whole")).unwrap();
    assert_eq!(
        kinds(load(here, true).unwrap()),
        [".inner/three.yaml", ".two.yaml", "one"]
    );
    // The path of `-f` itself may be any link.
    std::os::unix::fs::symlink(".inner", folder.join("named")).unwrap();
    let named = load(&[folder.join("named")], false).unwrap();
    assert_eq!(kinds(named), [".inner/three.yaml"]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_missing_path_is_reported_with_a_correction() {
    let reported = |path: &str| {
        let errors = load(&[PathBuf::from(path)], false).unwrap_err();
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(
        reported(""),
        "-f '': an empty path; name a file, a folder, or - for standard input"
    );
    assert_eq!(
        reported("https://example.org/a.yaml"),
        "-f 'https://example.org/a.yaml': nothing is fetched from elsewhere; fetch it yourself, such as with \
         curl -fsSL https://example.org/a.yaml, and hand it on with -f -"
    );
    assert!(reported("none/*.yaml").contains("so that the shell does it"));
    let folder = folder("named");
    fs::write(folder.join("a,b.yaml"), "kind: A\n").unwrap();
    fs::write(folder.join("empty.yaml"), "# nothing\n").unwrap();
    assert_eq!(
        reported(&folder.join("empty.yaml").display().to_string()),
        format!(
            "{}/empty.yaml: it contains no manifest: it is empty, or has only comments or empty lists",
            folder.display()
        )
    );
    let both = folder.join("a,b.yaml").display().to_string();
    assert_eq!(
        named(&[both.clone(), "x,y".to_owned()]),
        [both.as_str(), "x", "y"].map(PathBuf::from)
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_list_is_its_items_with_the_kind_of_the_list() {
    let kinds = |text: &str| -> Vec<(Value, usize)> {
        let documents = parse("lab.yaml", text).unwrap();
        documents
            .iter()
            .map(|d| (d.value["kind"].clone(), d.line))
            .collect()
    };
    let text = "apiVersion: v1\nkind: List\nitems:\n- kind: A\n- apiVersion: v1\n  kind: List\n  items:\n  - kind: B\n\
                - kind: C\n";
    assert_eq!(
        kinds(text),
        [(json!("A"), 4), (json!("B"), 8), (json!("C"), 9)]
    );
    for items in ["[]", "null", ""] {
        assert_eq!(
            kinds(&format!("apiVersion: v1\nkind: List\nitems: {items}\n")),
            []
        );
    }
    let text = "apiVersion: dockfleet.io/v1alpha1\nkind: DockerNetworkList\nitems:\n- metadata: {name: a}\n  spec: {hostSelector: {}}\n";
    let found = check(&parse("lab.yaml", text).unwrap()).unwrap();
    assert_eq!(found.resources.len(), 1);
    assert_eq!(
        messages("apiVersion: v1\nkind: List\nitems: {kind: A}\n"),
        [
            "lab.yaml:3: List/(no name): items: expected a list of resources: items, a colon, and - before each"
        ]
    );
}

/// A slow machine slows both down.
#[test]
fn the_time_for_a_list_grows_with_its_items_and_not_with_their_square() {
    let list = |count: usize, json: bool| {
        let item = |n: usize| {
            if json {
                format!(
                    "{{\"apiVersion\": \"dockfleet.io/v1alpha1\", \"kind\": \"DockerVolume\", \"metadata\": \
                     {{\"name\": \"v{n}\"}}, \"spec\": {{\"hostSelector\": {{}}, \"labels\": {{\"a\": \"b\"}}}}}}"
                )
            } else {
                format!(
                    "- apiVersion: dockfleet.io/v1alpha1\n  kind: DockerVolume\n  metadata:\n    name: v{n}\n  \
                     spec:\n    hostSelector: {{}}\n    labels:\n      a: b\n"
                )
            }
        };
        let items: Vec<String> = (0..count).map(item).collect();
        if json {
            let items = items.join(",\n");
            format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n{items}]}}")
        } else {
            format!("apiVersion: v1\nkind: List\nitems:\n{}", items.concat())
        }
    };
    for json in [false, true] {
        let time = |count: usize| {
            let text = list(count, json);
            let begun = std::time::Instant::now();
            assert_eq!(parse("lab.yaml", &text).unwrap().len(), count);
            begun.elapsed()
        };
        let best = |count| (0..3).map(|_| time(count)).min().unwrap();
        let (few, many) = (best(250), best(2_000));
        // 8 times as many items: 8 if it is linear, 64 if it is not.
        assert!(
            many < few * 32,
            "json {json}: {few:?} for 250 items, {many:?} for 2,000"
        );
    }
}

#[test]
fn a_similar_field_is_suggested_for_an_unknown_one() {
    let reported = |text: &str| messages(text).join("\n");
    for (from, to, meant) in [
        (
            "hostSelector",
            "hostselector",
            "unknown field \"spec.hostselector\"; did you mean \"hostSelector\"?",
        ),
        (
            "hostSelector",
            "host_selectors",
            "did you mean \"hostSelector\"?",
        ),
        (
            "bridge:",
            "mtu: 1400",
            "unknown field \"spec.mtu\"; did you mean \"spec.bridge.mtu\" or \"spec.overlay.mtu\"?",
        ),
        (
            "  name: lab",
            "  name: lab\n  lables: {}",
            "unknown field \"metadata.lables\"; did you mean \"labels\"?",
        ),
        (
            "spec:",
            "finalizers: []\nspec:",
            "unknown field \"finalizers\"; did you mean \"metadata.finalizers\"?",
        ),
    ] {
        let reported = reported(&NETWORK.replace(from, to));
        assert!(reported.contains(meant), "{reported}");
    }
    let reported = reported(&NETWORK.replace("bridge:", "xyzzy: 1"));
    assert!(
        reported.ends_with("unknown field \"spec.xyzzy\""),
        "{reported}"
    );
}

#[test]
fn a_wrong_type_is_reported_with_a_hint_about_quotes() {
    let reported = |more: &str| messages(&format!("{NETWORK}{more}")).join("\n");
    for (more, place, hint) in [
        (
            "  labels: {a: yes}",
            "spec.labels.a",
            "; put the value into quotes",
        ),
        (
            "  internal: 'yes'",
            "spec.internal",
            "; write true or false, without quotes",
        ),
        (
            "    mtu: '1420'",
            "spec.bridge.mtu",
            "; write the number without quotes",
        ),
        (
            "    mtu: 1420.5",
            "lab.yaml:8: DockerNetwork/lab: spec.bridge.mtu",
            "; write a whole number",
        ),
    ] {
        let reported = reported(more);
        assert!(
            reported.contains(place) && reported.ends_with(hint),
            "{reported}"
        );
    }
    let reported =
        messages(&NETWORK.replace("name: lab", "name: lab\n  labels:\n    a: x\n    b: 1"));
    assert_eq!(
        reported,
        [
            "lab.yaml:7: DockerNetwork/lab: json: cannot unmarshal number into Go struct field ObjectMeta.labels of type \
             string; metadata.labels.b: put the value into quotes"
        ]
    );
}

#[test]
fn numbers_and_booleans_are_those_of_kubectl() {
    let spec = |more: &str| {
        let documents = parse("lab.yaml", &format!("{NETWORK}{more}")).unwrap();
        let found = check(&documents).unwrap();
        all::<DockerNetwork>(&found)[0].spec.clone()
    };
    for text in [
        "1420",
        "1420.0",
        "1_420",
        "0x58C",
        "02614",
        "0b10110001100",
        "1.42e3",
    ] {
        let bridge = spec(&format!("    mtu: {text}\n")).bridge.unwrap();
        assert_eq!(bridge.mtu, Some(1420), "{text}");
    }
    for text in ["yes", "On", "TRUE", "y"] {
        assert!(spec(&format!("  internal: {text}\n")).internal, "{text}");
    }
}

#[test]
fn a_key_without_a_value_is_dropped_with_a_warning_but_refused_in_a_selector() {
    let text = format!("{NETWORK}  labels:\n    a: b\n    c:\n");
    let text = text.replace("name: lab", "name: lab\n  labels: {d: , e: f}");
    let found = check(&parse("lab.yaml", &text).unwrap()).unwrap();
    assert_eq!(
        found.warnings,
        [
            "lab.yaml:11: DockerNetwork/lab: spec.labels.c: it has no value and is ignored, as in an API server; \
             write '' for an empty string"
        ]
    );
    let network = all::<DockerNetwork>(&found)[0];
    assert_eq!(network.spec.labels.len(), 1);
    let labels = network.metadata.labels.as_ref().unwrap();
    assert_eq!(labels.get("d").map(String::as_str), Some(""));

    let text = NETWORK.replace("hostSelector: {}", "hostSelector: {matchLabels: {tier: }}");
    let reported = messages(&text);
    let [reported] = reported.as_slice() else {
        panic!("{reported:?}")
    };
    assert!(
        reported.starts_with(
            "lab.yaml:6: DockerNetwork/lab: spec.hostSelector.matchLabels.tier: it has no value"
        ),
        "{reported}"
    );
}

const SHARE: &str = "apiVersion: dockfleet.io/v1alpha1
kind: DockerVolume
metadata: {name: share}
spec:
  hostSelector: {}
  cifs: {server: nas, share: a, credentialsSecret: {name: login}}
---
apiVersion: v1
kind: Secret
metadata:
  name: login
  labels: {dockfleet.io/credentials: 'true'}
";

#[test]
fn a_secret_is_read_for_the_volume_that_uses_it() {
    let login = |values: &str| {
        let documents = parse("lab.yaml", &format!("{SHARE}{values}")).unwrap();
        let found = check(&documents).unwrap();
        let key = ("default".to_owned(), "login".to_owned());
        found.secrets.get(&key).unwrap().clone()
    };
    let plain = login("stringData: {username: a, password: hunter2}\n").unwrap();
    let encoded = login("data: {username: YQ==, password: aHVudGVyMg==}\n").unwrap();
    assert_eq!(plain, encoded);
    let why = login("stringData: {username: a}\n").unwrap_err();
    assert!(why.to_string().contains("no key password"), "{why}");
}

/// Invariant 9.
#[test]
fn an_error_in_a_secret_is_reported_without_its_values() {
    let cases = [
        (
            "stringData: {username: a, password: 4711}",
            "stringData.password: expected a string; put the value into quotes",
        ),
        ("data: {password: 'hunter4711!'}", "it cannot be read"),
        ("data: [hunter4711]", "data: expected keys with strings"),
        (
            "stringData: {password: hunter4711}\ntype: [hunter4711]",
            "it cannot be read",
        ),
    ];
    for (values, wanted) in cases {
        let reported = messages(&format!("{SHARE}{values}\n")).join("\n");
        assert!(reported.contains(wanted), "{reported}");
        assert!(!reported.contains("4711"), "{reported}");
    }
}

#[test]
fn a_secret_that_no_volume_uses_is_refused() {
    let reported = messages("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n");
    let [reported] = reported.as_slice() else {
        panic!("{reported:?}")
    };
    assert!(
        reported.starts_with("lab.yaml:3: Secret/s: no DockerVolume"),
        "{reported}"
    );
}
