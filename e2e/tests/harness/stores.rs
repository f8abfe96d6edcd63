use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dockfleet_e2e::tree::{Content, differences};
use dockfleet_e2e::{
    Fleet, Folder, Listen, Process, RestRules, Restic, Store, StoreAddress, beyond_restic,
    eventually,
};

const PASSWORD: &str = "a password of the repository";
const SOON: Duration = Duration::from_secs(20);
/// How long a server is listened to that is not to answer.
const SILENCE: Duration = Duration::from_millis(300);

/// Has restic keep a tree in the store, check it and give it back.
fn keeps_a_tree(store: &Store) -> Result<()> {
    let folder = Folder::new()?;
    let (original, target) = (folder.file("original"), folder.file("restored"));
    let content = Content {
        small_files: 100,
        random_bytes: 5_000_000,
        seed: 1,
    };
    content.make(&original)?;
    let restic = Restic::new(store.address(), "fleet/h1", PASSWORD)?;
    restic.init()?;
    restic.backup(&original)?;
    restic.check()?;
    let snapshots = restic.snapshots()?;
    assert_eq!(snapshots.len(), 1, "{snapshots:#?}");
    let id = snapshots[0]["id"].as_str().context("no ID")?;
    restic.restore(id, &target)?;
    let restored = target.join(original.strip_prefix("/")?);
    let found = beyond_restic(differences(&original, &restored)?);
    assert_eq!(found, Vec::<String>::new(), "{}", store.sort());
    // It is in the store and nowhere else.
    let elsewhere = Restic::new(store.address(), "fleet/h2", PASSWORD)?;
    assert!(!elsewhere.run(["snapshots"])?.success());
    Ok(())
}

#[test]
fn a_folder_keeps_a_tree() -> Result<()> {
    keeps_a_tree(&Store::path()?)
}

#[test]
fn an_s3_server_keeps_a_tree() -> Result<()> {
    keeps_a_tree(&Store::s3(&Listen::on_loopback())?)
}

#[test]
fn an_s3_server_keeps_a_tree_over_tls() -> Result<()> {
    keeps_a_tree(&Store::s3(&Listen::on_loopback().with_tls())?)
}

#[test]
fn a_rest_server_keeps_a_tree() -> Result<()> {
    keeps_a_tree(&Store::rest(&Listen::on_loopback(), RestRules::default())?)
}

#[test]
fn a_rest_server_keeps_a_tree_over_tls_of_anybody() -> Result<()> {
    let rules = RestRules {
        login: false,
        append_only: false,
    };
    keeps_a_tree(&Store::rest(&Listen::on_loopback().with_tls(), rules)?)
}

#[test]
fn an_sftp_server_keeps_a_tree() -> Result<()> {
    keeps_a_tree(&Store::sftp(&Listen::on_loopback())?)
}

#[test]
fn a_host_of_the_fleet_reaches_every_store() -> Result<()> {
    let fleet = Fleet::new()?;
    let host = fleet.host("h1")?;
    for store in Store::one_of_each(&Listen::on(&fleet))? {
        let restic = Restic::new(store.address(), "fleet/h1", PASSWORD)?;
        restic.init()?;
        let said = restic.run_on(&host, ["snapshots"])?.ok();
        said.with_context(|| store.sort())?;
    }
    Ok(())
}

#[test]
fn a_rest_server_that_only_appends_lets_nobody_remove() -> Result<()> {
    for (append_only, expected) in [(true, "403 Forbidden"), (false, "200 OK")] {
        let rules = RestRules {
            login: false,
            append_only,
        };
        let store = Store::rest(&Listen::on_loopback(), rules)?;
        let restic = Restic::new(store.address(), "fleet/h1", PASSWORD)?;
        restic.init()?;
        restic.backup(Path::new("/etc/hostname"))?;
        let snapshot = &restic.snapshots()?[0];
        let id = snapshot["id"].as_str().context("no ID")?;
        // Restic itself would try again for a minute.
        let request = format!("DELETE /fleet/h1/snapshots/{id} HTTP/1.0\r\n\r\n");
        let answer = ask(&store, &request)?;
        assert!(answer.contains(expected), "{answer}");
        assert_eq!(restic.snapshots()?.len(), usize::from(append_only));
    }
    Ok(())
}

/// Gives why restic could not make a repository there.
fn refused(address: &StoreAddress) -> Result<String> {
    let made = Restic::new(address, "fleet/h1", PASSWORD)?.run(["init"])?;
    ensure!(!made.success(), "{address:?} let a stranger in");
    Ok(made.stderr)
}

#[test]
fn a_stranger_is_let_into_no_store_and_no_strange_store_is_trusted() -> Result<()> {
    let listen = Listen::on_loopback().with_tls();
    let (ours, others) = (Store::one_of_each(&listen)?, Store::one_of_each(&listen)?);
    for (ours, other) in ours.iter().zip(&others) {
        let (mut stranger, mut strange) = (ours.address().clone(), ours.address().clone());
        let expected = match (&mut stranger, &mut strange, other.address()) {
            // Whoever reads the folder is in.
            (StoreAddress::Path(_), ..) => continue,
            (
                StoreAddress::S3 { secret_key, .. },
                StoreAddress::S3 { ca, .. },
                StoreAddress::S3 {
                    secret_key: other_key,
                    ca: other_ca,
                    ..
                },
            ) => {
                secret_key.clone_from(other_key);
                ca.clone_from(other_ca);
                ["Access Denied", "certificate signed by unknown authority"]
            }
            (
                StoreAddress::Rest { login, .. },
                StoreAddress::Rest { ca, .. },
                StoreAddress::Rest {
                    login: other_login,
                    ca: other_ca,
                    ..
                },
            ) => {
                login.clone_from(other_login);
                ca.clone_from(other_ca);
                ["401", "certificate signed by unknown authority"]
            }
            (
                StoreAddress::Sftp { identity, .. },
                StoreAddress::Sftp {
                    known_hosts, port, ..
                },
                StoreAddress::Sftp {
                    identity: other_identity,
                    port: other_port,
                    ..
                },
            ) => {
                identity.clone_from(other_identity);
                *port = *other_port;
                ensure!(known_hosts.exists());
                [
                    "Permission denied (publickey)",
                    "Host key verification failed",
                ]
            }
            sorts => bail!("not of one sort: {sorts:?}"),
        };
        for (address, why) in [&stranger, &strange].into_iter().zip(expected) {
            let said = refused(address)?;
            assert!(said.contains(why), "{}: {said}", ours.sort());
        }
    }
    Ok(())
}

/// Gives the beginning of what the server says to a request, nothing when it is silent; an error when
/// it takes no connection.
fn ask(store: &Store, request: &str) -> Result<String> {
    let address = match store.address() {
        StoreAddress::Path(path) => bail!("{} has no server", path.display()),
        StoreAddress::S3 { endpoint: url, .. } | StoreAddress::Rest { url, .. } => url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned(),
        StoreAddress::Sftp { host, port, .. } => format!("{host}:{port}"),
    };
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut said = [0; 100];
    match stream.read(&mut said) {
        Ok(length) => Ok(String::from_utf8_lossy(&said[..length]).into_owned()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// Says whether the server answers; an ssh server speaks first.
fn answers(store: &Store) -> Result<bool> {
    Ok(!ask(store, "GET / HTTP/1.0\r\n\r\n")?.is_empty())
}

fn comes_back(store: &Store) -> Result<()> {
    eventually("an answer", SOON, || match answers(store) {
        Ok(true) => Ok(()),
        other => Err(format!("{}: {other:?}", store.sort())),
    })
}

#[test]
fn a_store_hangs_and_goes_on_is_killed_and_comes_back() -> Result<()> {
    for store in Store::one_of_each(&Listen::on_loopback())? {
        if store.sort() == "path" {
            assert!(store.kill().is_err() && store.pid().is_none());
            continue;
        }
        let restic = Restic::new(store.address(), "fleet/h1", PASSWORD)?;
        restic.init()?;
        comes_back(&store)?;
        store.pause()?;
        assert!(!answers(&store)?, "{} hangs", store.sort());
        store.resume()?;
        comes_back(&store)?;
        store.kill()?;
        assert!(answers(&store).is_err(), "{} is gone", store.sort());
        assert!(store.pause().is_err());
        store.start_again()?;
        comes_back(&store)?;
        assert_eq!(restic.snapshots()?.len(), 0);
    }
    Ok(())
}

#[test]
fn nothing_is_left_of_a_store_not_even_an_open_session() -> Result<()> {
    let stores = Store::one_of_each(&Listen::on_loopback())?;
    let folders: Vec<_> = stores.iter().map(Store::data).collect();
    let pids: Vec<_> = stores.iter().filter_map(Store::pid).collect();
    assert_eq!(pids.len(), 3);
    let [.., sftp] = &stores;
    let StoreAddress::Sftp {
        user,
        host,
        port,
        identity,
        known_hosts,
        ..
    } = sftp.address()
    else {
        bail!("{:?}", sftp.address());
    };
    let known = format!("UserKnownHostsFile={}", known_hosts.display());
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", &known, "-i"])
        .arg(identity)
        .args(["-p", &port.to_string(), &format!("{user}@{host}")])
        .arg("echo here; exec sleep 1000");
    let session = Process::start_alone(&ssh)?;
    eventually("a session", SOON, || {
        (session.log() == "here\n")
            .then_some(())
            .ok_or_else(|| session.log())
    })?;
    drop(stores);
    session.wait(SOON)?;
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
    assert!(folders.iter().all(|folder| !folder.exists()));
    Ok(())
}
