//! A restic REST server: rest-server.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Listen, Store, StoreAddress, certificate, data, folder_with_data, secret, sockets};
use crate::program::{self, BuiltSet};

/// What a REST server asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestRules {
    /// It asks for user and password.
    pub login: bool,
    /// It lets nobody change or remove what is stored, except locks.
    pub append_only: bool,
}

impl Default for RestRules {
    fn default() -> Self {
        Self {
            login: true,
            append_only: false,
        }
    }
}

pub(super) fn start(listen: &Listen, rules: RestRules) -> Result<Store> {
    let folder = folder_with_data()?;
    let sockets = sockets(listen)?;
    let certificate = certificate(listen, folder.path())?;

    let program = program::built(BuiltSet::Restserver)?.join("rest-server");
    let mut command =
        program::command(program, ["--listen", &sockets.server.to_string(), "--path"]);
    command.arg(data(&folder));
    if let Some(files) = &certificate {
        command.arg("--tls");
        command.arg("--tls-cert").arg(&files.cert);
        command.arg("--tls-key").arg(&files.key);
    }
    if rules.append_only {
        command.arg("--append-only");
    }
    let login = if rules.login {
        let (user, password) = ("dockfleet".to_owned(), secret(32)?);
        let line = format!("{user}:{{SHA}}{}\n", STANDARD.encode(sha1(&password)?));
        let file = super::write(&folder, "htpasswd", &line)?;
        command.arg("--htpasswd-file").arg(file);
        Some((user, password))
    } else {
        command.arg("--no-auth");
        None
    };
    let address = StoreAddress::Rest {
        url: format!("{}://{}/", listen.scheme(), sockets.public),
        login,
        ca: certificate.map(|files| files.ca),
    };
    Store::started(address, folder, command, &sockets, listen)
}

/// Computes the only hash besides bcrypt that the server takes.
fn sha1(text: &str) -> Result<Vec<u8>> {
    let mut child = Command::new(program::require("openssl")?)
        .args(["dgst", "-sha1", "-binary"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "openssl: {}", output.status);
    Ok(output.stdout)
}
