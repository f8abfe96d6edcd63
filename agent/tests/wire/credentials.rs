//! A share's password is in the call that creates the volume, and in nothing that is reported.

use dockfleet_crds::assignment::Kind;
use dockfleet_crds::{Entry, EntryState, Reason};
use dockfleet_planner::credentials::{CredentialEntry, Credentials};
use dockfleet_planner::kinds::volume::DesiredVolume;
use dockfleet_planner::record::RecordKey;

use crate::fake::Fault;
use crate::test_host::{TestHost, entry, state_of};

const PASSWORD: &str = "zaunkoenig \"0815\"";

fn share() -> Entry {
    let pair = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
    let options = [
        ("type", "cifs"),
        ("device", "//nas/a"),
        ("o", "addr=nas,rw"),
    ];
    let desired = DesiredVolume {
        name: "a".to_owned(),
        driver: "local".to_owned(),
        options: options.map(pair).into(),
        credentials: Some("v1".to_owned()),
        ..DesiredVolume::default()
    };
    entry(Kind::DockerVolume, "a", &desired)
}

fn parcel() -> CredentialEntry {
    let o = format!("username=u,password={PASSWORD}");
    let pair = |(k, v): (&str, &str)| (k.to_owned(), v.to_owned());
    let mut options = [("type", "cifs"), ("o", o.as_str())].map(pair).into();
    CredentialEntry {
        version: "v1".to_owned(),
        credentials: Credentials::take_out(&mut options).unwrap(),
    }
}

#[tokio::test]
async fn a_share_waits_for_its_credentials_and_is_created_with_them() {
    let mut host = TestHost::new().await;
    let report = host.pass(&[share()]).await;
    let (state, reason, _) = state_of(&report, "a");
    assert_eq!(
        (state, reason),
        (EntryState::Pending, Some(Reason::CredentialsMissing))
    );
    assert_eq!(host.fake.changes(), Vec::<String>::new());
    assert!(host.journal.records().is_empty());
    host.store.insert("uid-a".to_owned(), parcel());
    host.settle(&[share()]).await;
    let made = host.fake.volumes();
    assert_eq!(
        made[0]["Options"]["o"],
        format!("addr=nas,rw,username=u,password={PASSWORD}")
    );
    // What was seen once is known without the credentials.
    let record = &host.journal.records()[&RecordKey::object("uid-a")];
    assert_eq!(record.credentials.as_deref(), Some("v1"));
    host.store = dockfleet_planner::credentials::CredentialStore::new();
    host.settle(&[share()]).await;
}

/// Invariant 9.
#[tokio::test]
async fn i9_an_engine_that_echoes_a_password_is_not_repeated() {
    let mut host = TestHost::new().await;
    host.store.insert("uid-a".to_owned(), parcel());
    for (status, text) in [
        (400, "bad secret zaunkoenig \"0815\" for //nas/a"),
        (500, "invalid option: \"zaunkoenig \\\"0815\\\"\""),
        (500, "mount: o=addr=nas,password=zaunkoenig \"0815\",rw"),
        (503, "zaunkoenig \"0815\""),
    ] {
        host.fake
            .fault("POST /volumes/create", Fault::Status(status, text));
        let report = host.pass(&[share()]).await;
        let (_, _, message) = state_of(&report, "a");
        assert!(!message.contains("zaunkoenig"), "{message}");
        assert!(message.contains('…'), "{message}");
        assert!(!format!("{report:?}").contains("zaunkoenig"));
        host.fake.heal();
    }
    let journal = std::fs::read(host.folder.path().join("journal.db")).unwrap();
    let log = std::fs::read(host.folder.path().join("journal.db-wal")).unwrap_or_default();
    for bytes in [journal, log] {
        let found = bytes.windows(10).any(|w| w == b"zaunkoenig");
        assert!(!found, "the journal has it");
    }
}
