//! An ssh server with SFTP: dropbear, which runs OpenSSH's `sftp-server`.

use std::fs;

use anyhow::{Result, ensure};

use super::{Listen, Store, StoreAddress, data, folder_with_data, sockets};
use crate::program::{self, tool};

/// Where dropbear looks for it.
const SFTP_SERVER: &str = "/usr/lib/sftp-server";
/// Starts the server in a mount namespace in which the user's home folder holds the one key that is
/// let in: dropbear goes by the user's home folder, not by $HOME. A process namespace of its own has
/// every session end with it.
const SERVER: &str = r#"
set -e
mount -t tmpfs -o mode=700 tmpfs "$3"
mkdir -m 700 "$3/.ssh"
cp "$1/key.pub" "$3/.ssh/authorized_keys"
exec dropbear -F -E -s -j -k -r "$1/host-key" -P "$1/pid" -p "$2"
"#;

pub(super) fn start(listen: &Listen) -> Result<Store> {
    ensure!(
        fs::exists(SFTP_SERVER)?,
        "`{SFTP_SERVER}` is not installed: run `make deps`"
    );
    program::require("dropbear")?;
    let folder = folder_with_data()?;
    let sockets = sockets(listen)?;
    let file = |name: &str| folder.file(name).display().to_string();
    let (key, host_key) = (file("key"), file("host-key"));
    tool(
        "ssh-keygen",
        ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &key],
    )?;
    tool("dropbearkey", ["-t", "ed25519", "-f", &host_key])?;
    let shown = tool("dropbearkey", ["-y", "-f", &host_key])?;
    let public = shown.lines().find(|line| line.starts_with("ssh-"));
    let known = format!(
        "[{}]:{} {}\n",
        sockets.public.ip(),
        sockets.public.port(),
        public.unwrap_or_default()
    );
    let known_hosts = super::write(&folder, "known_hosts", &known)?;

    let user = tool("id", ["-un"])?.trim().to_owned();
    let entry = tool("getent", ["passwd", &user])?;
    let home = entry.split(':').nth(5).unwrap_or("/root");
    let command = program::command(
        program::require("unshare")?,
        [
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            SERVER,
            "sftp",
            &folder.path().display().to_string(),
            &sockets.server.to_string(),
            home,
        ],
    );
    let address = StoreAddress::Sftp {
        user,
        host: *sockets.public.ip(),
        port: sockets.public.port(),
        path: data(&folder),
        identity: folder.file("key"),
        known_hosts,
    };
    Store::started(address, folder, command, &sockets, listen)
}
