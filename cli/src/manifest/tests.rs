use std::fs;
use std::path::{Path, PathBuf};

use super::files::parse;
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

/// An empty folder of its own for a test.
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
    assert_eq!(files.len(), 34);
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
        // Which kinds there are, kubectl does not say.
        let message = message.split("; known are ").next().unwrap();
        assert_eq!(message, want);
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
             of type boolean: \"string\"",
        ],
    );
}

#[test]
fn a_missing_field_is_told_at_what_should_hold_it() {
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
fn what_is_no_resource_of_ours_is_told_which_are() {
    let known = "known are DockerHost, DockerNetwork, DockerVolume in version \"dockfleet.io/v1alpha1\", and \
                 Namespace and Secret in version \"v1\"";
    assert_eq!(
        messages("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\n"),
        [format!(
            "lab.yaml:2: ConfigMap/s: no matches for kind \"ConfigMap\" in version \"v1\"; {known}"
        )],
    );
    assert_eq!(
        messages("apiVersion: dockfleet.io/v1alpha1\nkind: HostAssignment\nmetadata: {name: h}\n"),
        [
            "lab.yaml:2: HostAssignment/h: a HostAssignment is written by the controller only; remove it from the \
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
            "lab.yaml:1: (no kind)/(no name): a resource is wanted: apiVersion, kind, metadata and spec"
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
    let [network] = resources.networks.as_slice() else {
        panic!("{resources:?}")
    };
    assert_eq!(network.metadata.namespace.as_deref(), Some("default"));
    // `bridge:` with nothing behind it is a field left out.
    assert_eq!(network.spec.bridge, None);
    let [volume] = resources.volumes.as_slice() else {
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

#[test]
fn a_resource_given_twice_is_told_with_both_places() {
    assert_eq!(
        messages(&format!("{NETWORK}---\n{NETWORK}")),
        ["lab.yaml:12: DockerNetwork/lab: this resource is also in lab.yaml:4; keep one of them"],
    );
    let other = NETWORK.replace("name: lab\n", "name: lab\n  namespace: other\n");
    let documents = parse("lab.yaml", &format!("{NETWORK}---\n{other}")).unwrap();
    assert_eq!(check(&documents).unwrap().networks.len(), 2);
}

#[test]
fn a_folder_is_read_in_order_and_inner_folders_on_request() {
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
fn everything_that_cannot_be_read_is_told() {
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
        twice.contains("twice.yaml:2: ") && twice.contains("duplicate"),
        "{twice}"
    );
    assert!(empty.contains("empty: no manifest in it"), "{empty}");
    assert!(
        missing.contains("missing.yaml: cannot be read: "),
        "{missing}"
    );
    fs::remove_dir_all(folder).unwrap();
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
fn a_secret_is_read_for_the_volume_that_names_it() {
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
fn a_mistake_in_a_secret_is_told_without_its_values() {
    let cases = [
        (
            "stringData: {username: a, password: 4711}",
            "stringData.password: a text is wanted; put it into quotes",
        ),
        ("data: {password: 'hunter4711!'}", "it cannot be read"),
        ("data: [hunter4711]", "data: keys with texts are wanted"),
        (
            "stringData: {password: hunter4711}\ntype: [hunter4711]",
            "it cannot be read",
        ),
    ];
    for (values, wanted) in cases {
        let told = messages(&format!("{SHARE}{values}\n")).join("\n");
        assert!(told.contains(wanted), "{told}");
        assert!(!told.contains("4711"), "{told}");
    }
}

#[test]
fn a_secret_that_no_volume_names_is_refused() {
    let told = messages("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n");
    let [told] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        told.starts_with("lab.yaml:3: Secret/s: no DockerVolume"),
        "{told}"
    );
}
