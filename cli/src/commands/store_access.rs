//! How the commands for backups reach a store: its credentials, and the certificates that it is trusted by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, bail};
use dockfleet_vault::{Access, Address, Limits, Login, Ssh};

use crate::args::store::StoreArgs;

/// The names of an access key ID and its secret, as restic and all clients of S3 have them.
const S3: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// The names of user and password of a REST server, as restic has them.
const REST: [&str; 2] = ["RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"];

/// The variables with secrets of a store.
pub(super) const VARIABLES: [&str; 4] = [S3[0], S3[1], REST[0], REST[1]];

/// The variables that ssh gets: what it finds programs, its agent and its user by. Others may have secrets.
const SSH: [&str; 5] = ["HOME", "LOGNAME", "PATH", "SSH_AUTH_SOCK", "USER"];

/// Reads what is needed to reach a store.
pub(super) fn read(args: &StoreArgs, address: &Address) -> anyhow::Result<Access> {
    let login = match address {
        Address::Path(_) | Address::Sftp(_) => None,
        Address::S3(_) => Some(login(args, S3)?),
        // It may ask nobody who they are.
        Address::Rest(_) if args.credentials_file.is_none() && env::var(REST[0]).is_err() => None,
        Address::Rest(_) => Some(login(args, REST)?),
    };
    let ca = args.ca_file.as_deref().map(|file| {
        fs::read_to_string(file)
            .with_context(|| format!("the certificates cannot be read from {}", file.display()))
    });
    Ok(Access {
        login,
        region: args.region.clone(),
        ca: ca.transpose()?,
        ssh: Ssh {
            identity_file: absolute(args.identity_file.as_deref())?,
            known_hosts_file: absolute(args.known_hosts_file.as_deref())?,
            environment: match address {
                Address::Sftp(_) => SSH
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
                    .collect(),
                _ => BTreeMap::new(),
            },
        },
        limits: Limits {
            upload: args.limit_upload,
            download: args.limit_download,
        },
        patience: Some(args.retry_for),
    })
}

/// Returns the path of a file that ssh reads.
fn absolute(file: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let Some(file) = file else {
        return Ok(None);
    };
    let found = file.canonicalize();
    Ok(Some(found.with_context(|| file.display().to_string())?))
}

/// Returns user and secret, which have these names.
fn login(args: &StoreArgs, names: [&str; 2]) -> anyhow::Result<Login> {
    let (found, place) = match args.credentials_file.as_deref() {
        Some(file) => (lines(file)?, format!("in {}", file.display())),
        None => (
            names
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?)))
                .collect(),
            "as a variable; use --credentials-file".to_owned(),
        ),
    };
    let value = |name: &str| match found.get(name) {
        Some(value) if !value.is_empty() => Ok(value.clone()),
        _ => bail!("there is no {name} {place}"),
    };
    let [user, secret] = names;
    Ok(Login {
        user: value(user)?,
        secret: value(secret)?,
    })
}

/// Reads lines `NAME=VALUE`, as `docker run --env-file` and systemd do. No line is shown: it may have a secret.
fn lines(file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let unread = || format!("the credentials cannot be read from {}", file.display());
    let text = fs::read_to_string(file).with_context(unread)?;
    let mut found = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            bail!("{}: line {number} is not NAME=VALUE", unread());
        };
        found.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn args(text: &str) -> (tempfile::TempDir, StoreArgs) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        fs::write(&file, text).unwrap();
        let args = StoreArgs {
            credentials_file: Some(file),
            region: None,
            ca_file: None,
            identity_file: None,
            known_hosts_file: None,
            limit_upload: None,
            limit_download: None,
            retry_for: Duration::from_mins(5),
            lock_wait: Duration::from_hours(1),
        };
        (folder, args)
    }

    #[test]
    fn credentials_are_lines_of_name_and_value() {
        let (_folder, args) = args(
            "# of the shop\n\nAWS_ACCESS_KEY_ID=key\nAWS_SECRET_ACCESS_KEY = a=b+/ \r\nOTHER=x\n",
        );
        let address = "s3:https://s3.example.com/bucket".parse().unwrap();
        let login = read(&args, &address).unwrap().login.unwrap();
        assert_eq!(
            (login.user.as_str(), login.secret.as_str()),
            ("key", "a=b+/")
        );
        let folder = "/backup".parse().unwrap();
        assert_eq!(read(&args, &folder).unwrap().login, None);
    }

    #[test]
    fn i9_what_is_wrong_with_credentials_is_told_without_them() {
        let address = "s3:https://s3.example.com/bucket".parse().unwrap();
        for (text, told) in [
            (
                "AWS_ACCESS_KEY_ID=canary\n",
                "there is no AWS_SECRET_ACCESS_KEY in ",
            ),
            (
                "AWS_SECRET_ACCESS_KEY=\nAWS_ACCESS_KEY_ID=canary\n",
                "there is no AWS_SECRET_ACCESS_KEY in ",
            ),
            ("\ncanary\n", "line 2 is not NAME=VALUE"),
        ] {
            let (_folder, args) = args(text);
            let err = format!("{:#}", read(&args, &address).unwrap_err());
            assert!(err.contains(told) && !err.contains("canary"), "{err}");
        }
    }
}
