//! Containers that an earlier process has left paused or stopped, while the engine does not answer as it should.

use std::fs;

use dockfleet_agent::interruption::{has_left, put_back_left};

use crate::fake::{Fake, Fault};

const LEFT: &str =
    r#"{"volume":"data","consistency":"Stop","containers":[{"id":"c1","name":"app"}]}"#;

#[tokio::test]
async fn what_an_engine_that_is_not_up_cannot_put_back_is_put_back_later() {
    let fake = Fake::start("1.52");
    let engine = fake.connect().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data.interruption.json"), LEFT).unwrap();
    fake.fault("GET /containers/c1/json", Fault::Status(503, "starting"));
    for _ in 0..2 {
        assert!(has_left(folder.path()));
        let said = put_back_left(&engine, folder.path()).await;
        assert_eq!(
            said[0],
            "a backup of volume data was cut off; not all of its containers run again: app"
        );
        assert!(said[1].contains("container app: "), "{said:?}");
    }
    assert_eq!(fake.changes(), [""; 0]);
    fake.heal();
    fake.fault(
        "GET /containers/c1/json",
        Fault::Status(404, "No such container: c1"),
    );
    let said = put_back_left(&engine, folder.path()).await;
    assert_eq!(said[1..], ["container app is gone"]);
    assert!(!has_left(folder.path()));
}
