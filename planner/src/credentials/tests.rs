use k8s_openapi::ByteString;

use super::*;
use crate::fixtures::map;

fn secret(pairs: &[(&str, &str)]) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.labels = Some(map(&[(CREDENTIALS_LABEL, "true")]));
    let bytes = |(k, v): &(&str, &str)| ((*k).to_owned(), ByteString(v.as_bytes().to_vec()));
    secret.data = Some(pairs.iter().map(bytes).collect());
    secret
}

fn login(username: &str, password: &str, domain: &str) -> Credentials {
    Credentials {
        username: username.to_owned(),
        password: password.to_owned(),
        domain: domain.to_owned(),
        values: BTreeMap::new(),
    }
}

fn why(pairs: &[(&str, &str)]) -> String {
    Credentials::of(&secret(pairs)).unwrap_err().to_string()
}

#[test]
fn a_secret_is_read_by_its_keys() {
    let given = secret(&[("username", "a"), ("password", "b=c; d"), ("more", "x")]);
    assert_eq!(Credentials::of(&given), Ok(login("a", "b=c; d", "")));
    let given = secret(&[("username", "a"), ("password", "b"), ("domain", "D")]);
    assert_eq!(Credentials::of(&given), Ok(login("a", "b", "D")));
    // As a manifest from a file has it.
    let mut given = secret(&[("username", "a"), ("password", "old")]);
    given.string_data = Some(map(&[("password", "new")]));
    assert_eq!(Credentials::of(&given), Ok(login("a", "new", "")));
}

#[test]
fn a_secret_that_its_owner_did_not_label_is_not_used() {
    for label in [None, Some("false")] {
        let mut given = secret(&[("username", "a"), ("password", "b")]);
        given.metadata.labels = label.map(|l| map(&[(CREDENTIALS_LABEL, l)]));
        assert_eq!(Credentials::of(&given), Err(Unusable::NotAllowed));
    }
}

#[test]
fn a_value_that_does_not_fit_into_mount_options_is_refused_without_showing_it() {
    assert_eq!(
        why(&[("username", "a")]),
        "it has no key password; a mount needs the keys username and password; domain is optional"
    );
    let cases = [
        ("hunter2,ro", "its key password has a comma"),
        ("hunter2\n", "its key password ends in a line break"),
        ("hunter2\nx", "its key password has a control character"),
        ("", "its key password is empty"),
    ];
    for (password, wanted) in cases {
        let message = why(&[("username", "a"), ("password", password)]);
        assert!(message.starts_with(wanted), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    let long = "hunter2".repeat(100);
    assert!(why(&[("username", "a"), ("password", &long)]).contains("longer"));
    assert!(why(&[("username", "D\\a"), ("password", "b")]).contains("backslash"));
    assert!(why(&[("username", "a,b"), ("password", "b")]).contains("comma"));
    let mut binary = secret(&[("username", "a")]);
    let data = binary.data.as_mut().unwrap();
    data.insert("password".to_owned(), ByteString(vec![0xff, 0xfe]));
    let message = Credentials::of(&binary).unwrap_err().to_string();
    assert!(message.contains("not text"), "{message}");
}

#[test]
fn credentials_in_options_are_read_back() {
    let plain = map(&[("type", "cifs"), ("device", "//s/a"), ("o", "addr=s,rw")]);
    let given = login("a", "b=c", "D");
    let mut options = plain.clone();
    given.put_into(&mut options);
    assert_eq!(
        options.get("o").unwrap(),
        "addr=s,rw,username=a,password=b=c,domain=D"
    );
    assert_eq!(Credentials::take_out(&mut options), Some(given));
    assert_eq!(options, plain);
    assert_eq!(Credentials::take_out(&mut options), None);
}

#[test]
fn options_of_other_mounts_stay() {
    let nfs = map(&[("type", "nfs"), ("o", "addr=s,username=a")]);
    let mut options = nfs.clone();
    assert_eq!(Credentials::take_out(&mut options), None);
    assert_eq!(options, nfs);
    // A second value of a key does not count, and is hidden where it is shown.
    let mut twice = map(&[("type", "cifs"), ("o", "password=a,password=b")]);
    assert_eq!(Credentials::take_out(&mut twice), Some(login("", "a", "")));
    assert_eq!(twice.get("o").unwrap(), "password=b");
}

#[test]
fn i9_a_password_is_taken_out_of_any_text() {
    let given = login("user-x", "hunter\"2", "");
    assert_eq!(
        given.hidden_in("mount(hunter\"2): \"hunter\\\"2\" is bad"),
        "mount(…): \"…\" is bad"
    );
    assert_eq!(login("a", "it", "").hidden_in("it is it"), "it is it");
}

#[test]
fn i9_no_value_is_shown() {
    let mut store = CredentialStore::new();
    let parcel = CredentialEntry {
        version: "v1".to_owned(),
        credentials: login("user-x", "hunter2", "domain-x"),
    };
    assert_eq!(
        CredentialEntry::unpacked(&parcel.packed()),
        Some(parcel.clone())
    );
    assert_eq!(CredentialEntry::unpacked(b"hunter2"), None);
    store.insert("u1".to_owned(), parcel);
    assert!(store.get("u1", "v1").is_some());
    assert!(store.get("u1", "v2").is_none());
    let shown = format!("{store:?}");
    for secret in ["hunter2", "user-x", "domain-x"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
