//! Stores that a backup repository can be in, each a real server on this machine or a folder.

mod relay;
mod rest;
mod s3;
mod server;
mod sftp;

use std::fs::{self, DirBuilder, File};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use self::server::Server;
use crate::certificates::Authority;
use crate::fleet::Fleet;
use crate::owned::Folder;
use crate::server::free_port;

pub use relay::Relay;
pub use rest::RestRules;

/// Where a store listens, and how.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    fleet: Option<Fleet>,
    tls: bool,
    relay: bool,
}

impl Listen {
    /// On 127.0.0.1, which hosts of a fleet do not reach.
    pub fn on_loopback() -> Self {
        Self::default()
    }

    /// On the address of the fleet's bridge, which this machine and the hosts of the fleet reach.
    pub fn on(fleet: &Fleet) -> Self {
        Self {
            fleet: Some(fleet.clone()),
            ..Self::default()
        }
    }

    /// Over TLS, with a certificate of an authority of the store's own.
    #[must_use]
    pub fn with_tls(self) -> Self {
        Self { tls: true, ..self }
    }

    /// Behind a relay, which a test makes slow or cuts.
    #[must_use]
    pub fn behind_a_relay(self) -> Self {
        Self {
            relay: true,
            ..self
        }
    }

    fn address(&self) -> Ipv4Addr {
        self.fleet
            .as_ref()
            .map_or(Ipv4Addr::LOCALHOST, Fleet::address)
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

/// How a store is reached, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// A folder of this machine.
    Path(PathBuf),
    /// A bucket of an S3 server.
    S3 {
        /// Such as `http://127.0.0.1:18000`; buckets are in the path.
        endpoint: String,
        /// The name of a bucket that exists and is empty.
        bucket: String,
        /// The region of the bucket.
        region: String,
        /// The access key ID, 20 characters.
        access_key: String,
        /// The secret access key, 40 characters.
        secret_key: String,
        /// The file with the certificate of the authority.
        ca: Option<PathBuf>,
    },
    /// A restic REST server.
    Rest {
        /// Such as `http://127.0.0.1:18000/`, without user and password.
        url: String,
        /// User and password.
        login: Option<(String, String)>,
        /// The file with the certificate of the authority.
        ca: Option<PathBuf>,
    },
    /// A folder behind an ssh server.
    Sftp {
        /// The user.
        user: String,
        /// The address of the server.
        host: Ipv4Addr,
        /// Its port.
        port: u16,
        /// The folder, absolute.
        path: PathBuf,
        /// The file with the private key that the server lets in.
        identity: PathBuf,
        /// The file with the server's key.
        known_hosts: PathBuf,
    },
}

/// A store that runs; nothing of it is left after drop.
#[derive(Debug)]
pub struct Store {
    // The order of the fields is the order in which they go.
    relay: Option<Relay>,
    server: Option<Server>,
    address: StoreAddress,
    folder: Folder,
}

impl Store {
    /// Makes a folder.
    pub fn path() -> Result<Self> {
        let folder = folder_with_data()?;
        Ok(Self {
            relay: None,
            server: None,
            address: StoreAddress::Path(data(&folder)),
            folder,
        })
    }

    /// Starts an S3 server (versitygw) with a bucket.
    pub fn s3(listen: &Listen) -> Result<Self> {
        s3::start(listen)
    }

    /// Starts a restic REST server (rest-server).
    pub fn rest(listen: &Listen, rules: RestRules) -> Result<Self> {
        rest::start(listen, rules)
    }

    /// Starts an ssh server (dropbear with OpenSSH's sftp-server); what `listen` says of TLS does
    /// not matter.
    pub fn sftp(listen: &Listen) -> Result<Self> {
        sftp::start(listen)
    }

    /// Starts one of each sort: a folder, S3, REST server, SFTP.
    pub fn one_of_each(listen: &Listen) -> Result<[Self; 4]> {
        Ok([
            Self::path()?,
            Self::s3(listen)?,
            Self::rest(listen, RestRules::default())?,
            Self::sftp(listen)?,
        ])
    }

    /// Gives the word for its sort: `path`, `s3`, `rest` or `sftp`.
    pub fn sort(&self) -> &'static str {
        match self.address {
            StoreAddress::Path(_) => "path",
            StoreAddress::S3 { .. } => "s3",
            StoreAddress::Rest { .. } => "rest",
            StoreAddress::Sftp { .. } => "sftp",
        }
    }

    /// Gives how it is reached.
    pub fn address(&self) -> &StoreAddress {
        &self.address
    }

    /// Gives the folder of this machine that holds what is stored, for a test that looks at it or
    /// damages it. A bucket is a folder in it, an object a file.
    pub fn data(&self) -> PathBuf {
        data(&self.folder)
    }

    /// Gives the process ID of the server; `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Server::pid)
    }

    /// Kills the server (SIGKILL) with all its sessions; what is stored stays.
    pub fn kill(&self) -> Result<()> {
        self.server()?.kill()
    }

    /// Makes the server hang (SIGSTOP) with all its sessions: connections are accepted, nothing is
    /// answered.
    pub fn pause(&self) -> Result<()> {
        self.server()?.pause()
    }

    /// Lets a hanging server go on.
    pub fn resume(&self) -> Result<()> {
        self.server()?.resume()
    }

    /// Starts a server that was killed, with the same data, address and keys, and waits until it
    /// takes connections.
    pub fn start_again(&self) -> Result<()> {
        self.server()?.start_again()
    }

    /// Gives the relay in front of the server, where there is one.
    pub fn relay(&self) -> Result<&Relay> {
        self.relay.as_ref().context("no relay was asked for")
    }

    /// Gives the end of the server's log.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    fn server(&self) -> Result<&Server> {
        self.server.as_ref().context("a folder has no server")
    }

    /// Starts the server of a store that is made so far.
    fn started(
        address: StoreAddress,
        folder: Folder,
        command: Command,
        sockets: &Sockets,
        listen: &Listen,
    ) -> Result<Self> {
        let server = Server::start(
            command,
            sockets.server,
            folder.file("log"),
            listen.fleet.clone(),
        )?;
        let relay = if listen.relay {
            Some(Relay::start(sockets.public, sockets.server)?)
        } else {
            None
        };
        Ok(Self {
            relay,
            server: Some(server),
            address,
            folder,
        })
    }
}

/// Makes the folder of a store, with the one that holds what is stored.
fn folder_with_data() -> Result<Folder> {
    let folder = Folder::new()?;
    DirBuilder::new().mode(0o700).create(data(&folder))?;
    Ok(folder)
}

fn data(folder: &Folder) -> PathBuf {
    folder.file("data")
}

/// Where a server listens, and where its clients find it.
#[derive(Debug)]
struct Sockets {
    server: SocketAddrV4,
    public: SocketAddrV4,
}

/// Finds ports where `listen` says.
fn sockets(listen: &Listen) -> Result<Sockets> {
    let address = listen.address();
    let free = || anyhow::Ok(SocketAddrV4::new(address, free_port(address)?));
    let server = free()?;
    let public = if listen.relay { free()? } else { server };
    Ok(Sockets { server, public })
}

/// Certificate and key of a server, and its authority.
#[derive(Debug)]
struct Certificate {
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

/// Makes a certificate where `listen` asks for one.
fn certificate(listen: &Listen, folder: &Path) -> Result<Option<Certificate>> {
    if !listen.tls {
        return Ok(None);
    }
    Authority::new("dockfleet-e2e store")?.server(folder, listen.address())?;
    Ok(Some(Certificate {
        ca: folder.join("ca.pem"),
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    }))
}

/// Makes a secret of this many letters and digits.
fn secret(length: usize) -> Result<String> {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = vec![0; length];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect())
}

/// Writes a file that only this user reads: it is in the folder of the store, which is so.
fn write(folder: &Folder, name: &str, text: &str) -> Result<PathBuf> {
    let file = folder.file(name);
    fs::write(&file, text).with_context(|| format!("could not write {}", file.display()))?;
    Ok(file)
}
