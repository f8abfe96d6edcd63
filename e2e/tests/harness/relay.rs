use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use dockfleet_e2e::{Folder, Listen, RestRules, Restic, Store, StoreAddress, eventually};

const PASSWORD: &str = "a password of the repository";
const SOON: Duration = Duration::from_mins(1);

/// The path of a million letters x, by their SHA-256.
const MILLION: &str =
    "/fleet/h1/data/1b977e9f84f1b26b6ed7f68b0498faee2385ea4125bd29adce4a7d9106ba3134";

/// A REST server behind a relay, which takes files from anybody.
struct Behind {
    store: Store,
}

impl Behind {
    fn new() -> Result<Self> {
        let rules = RestRules {
            login: false,
            append_only: false,
        };
        let store = Store::rest(&Listen::on_loopback().behind_a_relay(), rules)?;
        let behind = Self { store };
        assert!(behind.post("/fleet/h1/?create=true", 0)?.contains("200 OK"));
        Ok(behind)
    }

    /// Sends a file of this many bytes, and gives the answer.
    fn post(&self, path: &str, length: usize) -> Result<String> {
        let StoreAddress::Rest { url, .. } = self.store.address() else {
            return Err(anyhow!("{}", self.store.sort()));
        };
        let address = url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address)?;
        let head = format!("POST {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        stream.write_all(&vec![b'x'; length])?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        // The server puts data into folders by the beginning of its name.
        let path = path.replace("data/", "data/1b/");
        self.store.data().join(path).exists()
    }
}

#[test]
fn a_relay_cuts_in_the_middle_of_a_transfer() -> Result<()> {
    let behind = Behind::new()?;
    let relay = behind.store.relay()?;
    let refused = |length: usize| -> bool {
        let answer = behind.post(MILLION, length);
        answer.as_ref().map_or(true, String::is_empty)
    };
    let before = relay.sent();
    relay.cut_after(300_000);
    assert!(refused(1_000_000));
    assert!(relay.is_cut());
    assert_eq!(relay.sent() - before, 300_000);
    // Nobody gets through, however little is sent.
    assert!(refused(1));
    assert!(!behind.has(MILLION));

    relay.mend();
    assert!(!relay.is_cut());
    let answer = behind.post(MILLION, 1_000_000)?;
    assert!(answer.contains("200 OK"), "{answer}");
    assert!(behind.has(MILLION));
    Ok(())
}

#[test]
fn a_relay_slows_a_transfer_down_until_it_is_told_otherwise() -> Result<()> {
    let behind = Behind::new()?;
    let relay = behind.store.relay()?;
    relay.limit(Some(500_000));
    let begin = Instant::now();
    // The name is not that of the content, which the server says when it has all.
    let answer = behind.post(MILLION, 250_000)?;
    assert!(answer.contains("400 Bad Request"), "{answer}");
    // But for the last piece, after which nobody waits.
    assert!(begin.elapsed() > Duration::from_millis(400));

    // At one byte in a second this would take days.
    relay.limit(Some(1));
    let answer = thread::scope(|scope| {
        let sent = relay.sent();
        let post = scope.spawn(|| behind.post(MILLION, 1_000_000));
        eventually("the beginning of a transfer", SOON, || {
            (relay.sent() > sent).then_some(()).ok_or_else(String::new)
        })?;
        relay.limit(None);
        post.join().map_err(|_| anyhow!("the thread panicked"))?
    })?;
    assert!(answer.contains("200 OK"), "{answer}");
    Ok(())
}

#[test]
fn restic_goes_on_after_a_cut_in_mid_upload() -> Result<()> {
    let folder = Folder::new()?;
    let noise = folder.file("noise");
    let random = std::fs::File::open("/dev/urandom")?;
    std::io::copy(
        &mut random.take(5_000_000),
        &mut std::fs::File::create(&noise)?,
    )?;
    let listen = Listen::on_loopback().behind_a_relay();
    for store in [
        Store::s3(&listen)?,
        Store::rest(&listen, RestRules::default())?,
    ] {
        let relay = store.relay()?;
        let restic = Restic::new(store.address(), "fleet/h1", PASSWORD)?;
        restic.init()?;
        relay.cut_after(2_000_000);
        thread::scope(|scope| {
            let backup = scope.spawn(|| restic.backup(&noise));
            eventually("the cut", SOON, || {
                relay.is_cut().then_some(()).ok_or_else(String::new)
            })?;
            relay.mend();
            backup.join().map_err(|_| anyhow!("the thread panicked"))?
        })?;
        restic.check()?;
    }
    Ok(())
}

#[test]
fn an_ssh_session_is_cut_with_its_relay() -> Result<()> {
    let store = Store::sftp(&Listen::on_loopback().behind_a_relay())?;
    let restic = Restic::new(store.address(), "fleet/h1", PASSWORD)?;
    restic.init()?;
    store.relay()?.cut_after(0);
    assert!(!restic.run(["snapshots"])?.success());
    store.relay()?.mend();
    assert_eq!(restic.snapshots()?.len(), 0);
    Ok(())
}
