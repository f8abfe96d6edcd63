//! The servers of a control plane: how each is started and when it is ready.

use std::net::Ipv4Addr;

use anyhow::Result;

use crate::owned::Folder;
use crate::process::Process;
use crate::program::{self, BuiltSet};
use crate::server::{curl, free_port, when_ready};

/// Starts etcd on the loopback address and waits until it is healthy.
pub(super) fn start_etcd(folder: &Folder, port: u16) -> Result<Process> {
    let clients = format!("http://127.0.0.1:{port}");
    let peers = format!("http://127.0.0.1:{}", free_port(Ipv4Addr::LOCALHOST)?);
    let mut command = program::command(
        program::built(BuiltSet::Kubernetes)?.join("etcd"),
        ["--unsafe-no-fsync", "--log-level=warn", "--data-dir"],
    );
    command
        .arg(folder.file("etcd"))
        .args(["--listen-client-urls", &clients])
        .args(["--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers])
        .args(["--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("default={peers}")]);
    let process = Process::start(&command, &folder.file("etcd.log"))?;
    let url = format!("{clients}/health");
    when_ready("etcd", process, || curl(&[&url]))
}

/// Starts the API server and waits until it is ready, its post-start hooks included. Where there is
/// an audit policy, it keeps an audit log by that.
pub(super) fn start_api_server(
    folder: &Folder,
    address: Ipv4Addr,
    port: u16,
    etcd: u16,
) -> Result<Process> {
    let file = |name: &str| folder.file(name).display().to_string();
    let mut command = program::command(
        program::built(BuiltSet::Kubernetes)?.join("kube-apiserver"),
        [
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            format!("--bind-address={address}"),
            format!("--advertise-address={address}"),
            format!("--secure-port={port}"),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--cert-dir={}", file("server")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!(
                "--service-account-signing-key-file={}",
                file("accounts.key")
            ),
            // Endpoints of this server are of no use without nodes, and keep it from ending
            // quickly.
            "--endpoint-reconciler-type=none".to_owned(),
        ],
    );
    if folder.file(super::AUDIT_POLICY).exists() {
        command
            .arg(format!("--audit-policy-file={}", file(super::AUDIT_POLICY)))
            .arg(format!("--audit-log-path={}", file(super::AUDIT_LOG)));
    }
    let process = Process::start(&command, &folder.file("kube-apiserver.log"))?;
    let url = format!("https://{address}:{port}/readyz");
    let (authority, certificate, key) = (file("ca.crt"), file("admin.crt"), file("admin.key"));
    when_ready("kube-apiserver", process, || {
        curl(&[
            "--cacert",
            &authority,
            "--cert",
            &certificate,
            "--key",
            &key,
            &url,
        ])
    })
}

/// Starts the controller manager with these controllers only.
pub(super) fn start_controllers(folder: &Folder, controllers: &[&str]) -> Result<Process> {
    let mut command = program::command(
        program::built(BuiltSet::Kubernetes)?.join("kube-controller-manager"),
        ["--leader-elect=false", "--secure-port=0", "--kubeconfig"],
    );
    command
        .arg(folder.file(super::KUBECONFIG))
        .arg(format!("--controllers={}", controllers.join(",")))
        .arg("--service-account-private-key-file")
        .arg(folder.file("accounts.key"))
        .arg("--root-ca-file")
        .arg(folder.file("ca.crt"));
    Process::start(&command, &folder.file("kube-controller-manager.log"))
}
