//! Restic, as the judge of what is in a repository: Debian's own program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::host::Host;
use crate::owned::Folder;
use crate::program::{self, Output};
use crate::store::StoreAddress;

/// How long one command may take, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_mins(15);
/// The keys of an S3 store, in the form that clients of S3 share.
const S3_KEYS: &str = "s3-keys";

/// What ssh says; restic loses it at times.
const SSH_LOG: &str = "ssh-log";
/// How the differences begin that a tree has after a backup and a restore by restic 0.14 alone.
const LOST: &[&str] = &[
    // Its snapshots are JSON: names of attributes and targets of symlinks are text.
    r#""attributes/odd names": attribute user.not UTF-8 "#,
    r#""symlinks/odd": target "#,
    r#""attributes/symlink": attribute trusted.dockfleet missing"#,
    // Hard links are those of files.
    r#""links/fifo": one file with no other"#,
    r#""links/other/fifo": one file with no other"#,
    r#""links/symlink": one file with no other"#,
    r#""links/other/symlink": one file with no other"#,
    // From 0.15 on by `restore --sparse`.
    r#""sparse/hole at the end": takes "#,
    r#""sparse/hole first": takes "#,
    r#""sparse/hole in the middle": takes "#,
    r#""sparse/many holes": takes "#,
    r#""sparse/only a hole": takes "#,
    r#""special/socket": missing"#,
    // After the year 2262.
    r#""times/file 8": modified "#,
    r#""times/folder 8": modified "#,
];

/// Takes out of the differences of a [`tree`](crate::tree) those that restic is the reason of, when it
/// made the copy.
pub fn beyond_restic(mut differences: Vec<String>) -> Vec<String> {
    differences.retain(|line| !LOST.iter().any(|lost| line.starts_with(lost)));
    differences
}

/// Restic on one repository of a store.
///
/// Addresses and secrets are in files of its folder, so that no process shows them.
#[derive(Debug)]
pub struct Restic {
    folder: Folder,
    options: Vec<OsString>,
}

impl Restic {
    /// Takes the repository at `path` in a store, which has this password.
    pub fn new(address: &StoreAddress, path: &str, password: &str) -> Result<Self> {
        let folder = Folder::new()?;
        fs::write(folder.file("password"), password)?;
        let (repository, mut options) = match address {
            StoreAddress::Path(root) => (root.join(path).display().to_string(), Vec::new()),
            StoreAddress::S3 {
                endpoint,
                bucket,
                region,
                access_key,
                secret_key,
                ca,
            } => {
                let keys = format!(
                    "[default]\naws_access_key_id={access_key}\naws_secret_access_key={secret_key}\n"
                );
                fs::write(folder.file(S3_KEYS), keys)?;
                let mut options = vec!["-o".into(), format!("s3.region={region}").into()];
                options.extend(trust(ca.as_deref()));
                (format!("s3:{endpoint}/{bucket}/{path}"), options)
            }
            StoreAddress::Rest { url, login, ca } => {
                let url = match login {
                    Some((user, password)) => {
                        url.replacen("://", &format!("://{user}:{password}@"), 1)
                    }
                    None => url.clone(),
                };
                (format!("rest:{url}{path}/"), trust(ca.as_deref()))
            }
            StoreAddress::Sftp {
                user,
                host,
                port,
                path: root,
                identity,
                known_hosts,
            } => {
                let ssh = format!(
                    "sftp.command=ssh -F none -E {} -o BatchMode=yes -o IdentitiesOnly=yes \
                     -o UserKnownHostsFile={} -i {} -p {port} {user}@{host} -s sftp",
                    folder.file(SSH_LOG).display(),
                    known_hosts.display(),
                    identity.display()
                );
                let root = root.join(path);
                let repository = format!("sftp:{user}@{host}:{}", root.display());
                (repository, vec!["-o".into(), ssh.into()])
            }
        };
        fs::write(folder.file("repository"), repository)?;
        options.push("--repository-file".into());
        options.push(folder.file("repository").into());
        options.push("--password-file".into());
        options.push(folder.file("password").into());
        options.push("--cache-dir".into());
        options.push(folder.file("cache").into());
        Ok(Self { folder, options })
    }

    /// Runs a command, such as `["snapshots"]`.
    pub fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
        self.finish(&self.command(args)?)
    }

    /// Runs a command in the network of a host.
    pub fn run_on(
        &self,
        host: &Host,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Output> {
        self.finish(&host.command(&self.command(args)?))
    }

    /// Makes the repository.
    pub fn init(&self) -> Result<()> {
        self.said(["init"]).map(drop)
    }

    /// Backs a folder up, by its absolute path.
    pub fn backup(&self, folder: &Path) -> Result<()> {
        self.said([OsStr::new("backup"), folder.as_os_str()])
            .map(drop)
    }

    /// Reads everything that is stored and checks it.
    pub fn check(&self) -> Result<()> {
        self.said(["check", "--read-data"]).map(drop)
    }

    /// Gives the snapshots, oldest first.
    pub fn snapshots(&self) -> Result<Vec<Value>> {
        let text = self.said(["snapshots", "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("no list of snapshots: {text}"))
    }

    /// Restores a snapshot (an ID or `latest`) into a folder. A path of the snapshot is a path in it.
    pub fn restore(&self, snapshot: &str, target: &Path) -> Result<()> {
        let words = [OsStr::new("restore"), OsStr::new(snapshot)];
        let target = [OsStr::new("--target"), target.as_os_str()];
        self.said(words.into_iter().chain(target)).map(drop)
    }

    fn finish(&self, command: &Command) -> Result<Output> {
        let log = self.folder.file(SSH_LOG);
        let _ = fs::remove_file(&log);
        let mut output = program::run(command, LIMIT)?;
        output
            .stderr
            .push_str(&fs::read_to_string(&log).unwrap_or_default());
        Ok(output)
    }

    fn said(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
        self.run(args)?.ok()
    }

    fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Command> {
        let mut command = program::command(program::require("restic")?, &self.options);
        command.args(args);
        // Nothing of whoever runs the tests.
        for (name, _) in env::vars_os() {
            let name_of = |of: &[u8]| name.as_bytes().starts_with(of);
            if name_of(b"AWS_") || name_of(b"RESTIC_") {
                command.env_remove(&name);
            }
        }
        command
            .env("HOME", self.folder.path())
            .env("AWS_SHARED_CREDENTIALS_FILE", self.folder.file(S3_KEYS));
        Ok(command)
    }
}

/// Gives the options that have restic trust an authority.
fn trust(ca: Option<&Path>) -> Vec<OsString> {
    ca.map_or_else(Vec::new, |file| vec!["--cacert".into(), file.into()])
}
