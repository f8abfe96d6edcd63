//! A Kubernetes control plane without nodes: etcd, the API server, and controllers when a test asks
//! for them.

mod api_client;
mod credentials;
mod servers;

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::chart;
use crate::dockfleet::Dockfleet;
use crate::fleet::Fleet;
use crate::owned::Folder;
use crate::process::Process;
use crate::program::{self, BuiltSet, Output};
use crate::server::free_port;

pub use api_client::ApiClient;

/// The administrator's kubeconfig in the control plane's folder.
const KUBECONFIG: &str = "admin.kubeconfig";
/// What the API server writes down of each request, and where to.
const AUDIT_POLICY: &str = "audit-policy.yaml";
const AUDIT_LOG: &str = "audit.log";
/// Every write of everybody but the API server itself, with what became of the object.
const WRITES: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
omitManagedFields: true
rules:
- {level: None, verbs: [get, list, watch]}
- {level: None, users: ['system:apiserver']}
- {level: None, resources: [{group: apiextensions.k8s.io}]}
- {level: RequestResponse}
";
/// How long a server may take to end when it is asked to.
const STOP: Duration = Duration::from_mins(1);
/// How long one `kubectl` command may take.
const LIMIT: Duration = Duration::from_mins(2);

/// A running control plane; nothing of it is left after drop.
#[derive(Debug)]
pub struct ControlPlane {
    // The order of the fields is the order in which they go.
    servers: Mutex<Servers>,
    address: Ipv4Addr,
    port: u16,
    etcd_port: u16,
    next_file: AtomicU32,
    folder: Folder,
    /// Keeps the bridge that the API server listens on.
    _fleet: Option<Fleet>,
}

/// The servers that run; the order of the fields is the order in which they go.
#[derive(Debug, Default)]
struct Servers {
    controllers: Option<Process>,
    api: Option<Process>,
    etcd: Option<Process>,
}

/// The state of a control plane at one moment, for [`ControlPlane::restore`]; it goes with the
/// control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlPlaneSnapshot {
    folder: PathBuf,
}

impl ControlPlane {
    /// Starts a control plane that this machine and the hosts of `fleet` reach, and waits until it
    /// is ready.
    ///
    /// It listens on the address of the fleet's bridge, so nothing outside this machine can reach
    /// it.
    pub fn start(fleet: &Fleet) -> Result<Self> {
        Self::start_at(fleet.address(), Some(fleet.clone()), Folder::new()?)
    }

    /// Starts a control plane that this machine alone reaches, on 127.0.0.1, and waits until it is
    /// ready.
    pub fn start_on_loopback() -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, None, Folder::new()?)
    }

    /// Starts a control plane as [`ControlPlane::start_on_loopback`] does, which writes down every
    /// write.
    pub fn start_audited() -> Result<Self> {
        let folder = Folder::new()?;
        fs::write(folder.file(AUDIT_POLICY), WRITES)?;
        Self::start_at(Ipv4Addr::LOCALHOST, None, folder)
    }

    fn start_at(address: Ipv4Addr, fleet: Option<Fleet>, folder: Folder) -> Result<Self> {
        let plane = Self {
            servers: Mutex::default(),
            address,
            port: free_port(address)?,
            etcd_port: free_port(Ipv4Addr::LOCALHOST)?,
            next_file: AtomicU32::new(0),
            folder,
            _fleet: fleet,
        };
        let path = plane.folder.path();
        credentials::write(path, address)?;
        credentials::write_kubeconfig(path, KUBECONFIG, &plane.url(), &credentials::admin(path))?;
        plane.start_again()?;
        Ok(plane)
    }

    /// Starts what does not run of etcd and the API server, with the same data and address, and
    /// waits until it is ready.
    pub fn start_again(&self) -> Result<()> {
        let mut servers = self.servers();
        if !runs(servers.etcd.as_ref()) {
            servers.etcd = Some(servers::start_etcd(&self.folder, self.etcd_port)?);
        }
        if !runs(servers.api.as_ref()) {
            servers.api = Some(servers::start_api_server(
                &self.folder,
                self.address,
                self.port,
                self.etcd_port,
            )?);
        }
        Ok(())
    }

    /// Ends the API server as an administrator does (SIGTERM); etcd goes on.
    pub fn stop(&self) -> Result<()> {
        let api = self.servers().api.take();
        let api = api.context("the API server does not run")?;
        api.terminate(STOP)?;
        Ok(())
    }

    /// Kills the API server (SIGKILL); etcd goes on.
    pub fn kill(&self) -> Result<()> {
        let api = self.servers().api.take();
        api.map(drop).context("the API server does not run")
    }

    /// Makes the API server hang (SIGSTOP): connections are accepted, nothing is answered.
    pub fn pause(&self) -> Result<()> {
        let servers = self.servers();
        servers
            .api
            .as_ref()
            .context("the API server does not run")?
            .pause()
    }

    /// Lets a hanging API server go on.
    pub fn resume(&self) -> Result<()> {
        let servers = self.servers();
        servers
            .api
            .as_ref()
            .context("the API server does not run")?
            .resume()
    }

    /// Starts these controllers of the controller manager in place of those it runs, without
    /// waiting for them.
    ///
    /// Deleting a namespace takes `namespace-controller`, deleting dependents
    /// `garbage-collector-controller`.
    pub fn start_controllers(&self, controllers: &[&str]) -> Result<()> {
        let mut servers = self.servers();
        servers.controllers = None;
        servers.controllers = Some(servers::start_controllers(&self.folder, controllers)?);
        Ok(())
    }

    /// Keeps a copy of the current state; nothing is restarted.
    pub fn snapshot(&self) -> Result<ControlPlaneSnapshot> {
        let servers = self.servers();
        let etcd = servers.etcd.as_ref().context("etcd does not run")?;
        let folder = self.new_file("snapshot");
        // What a stopped process has written is what it would find after a crash, and it survives
        // those.
        etcd.pause()?;
        let copied = copy(&self.data(), &folder);
        etcd.resume()?;
        copied?;
        Ok(ControlPlaneSnapshot { folder })
    }

    /// Sets the state back to `snapshot`, older resource versions included: kills both servers, and
    /// starts them again.
    pub fn restore(&self, snapshot: &ControlPlaneSnapshot) -> Result<()> {
        {
            let mut servers = self.servers();
            servers.api = None;
            servers.etcd = None;
            fs::remove_dir_all(self.data())?;
            copy(&snapshot.folder, &self.data())?;
        }
        self.start_again()
    }

    /// Gives the API server's address, such as `https://10.99.7.1:18000`, which is the same for
    /// this machine and hosts.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.address, self.port)
    }

    /// Gives the administrator's kubeconfig, for use on this machine.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.file(KUBECONFIG)
    }

    /// Gives the administrator's kubeconfig, for use on the hosts of the fleet; on the loopback
    /// address there are none.
    pub fn kubeconfig_for_hosts(&self) -> Result<PathBuf> {
        ensure!(
            !self.address.is_loopback(),
            "hosts cannot reach a control plane on the loopback address"
        );
        Ok(self.kubeconfig())
    }

    /// Writes a kubeconfig for whoever `token` belongs to, as `kubectl create token` prints it.
    pub fn kubeconfig_with_token(&self, token: &str) -> Result<PathBuf> {
        let path = self.new_file("token.kubeconfig");
        let name = path
            .file_name()
            .and_then(OsStr::to_str)
            .context("the path has no name")?;
        let user = json!({ "token": token.trim() });
        credentials::write_kubeconfig(self.folder.path(), name, &self.url(), &user)?;
        Ok(path)
    }

    /// Makes the namespaces of the controller and of hosts (`hosts`), and gives both sides the rights
    /// and locks of the chart. The chart's CRDs have to be there.
    pub fn grant_rights(&self, hosts: &str) -> Result<()> {
        let manifests = self.new_file("rights.yaml");
        fs::write(&manifests, chart::rights(hosts)?)?;
        let apply = ["apply", "--server-side", "-f"].map(OsStr::new);
        self.kubectl(apply.into_iter().chain([manifests.as_os_str()]))?
            .ok()?;
        Ok(())
    }

    /// Writes a kubeconfig for the controller, with the rights of the chart and no others.
    pub fn kubeconfig_for_controller(&self) -> Result<PathBuf> {
        self.kubeconfig_for(chart::SYSTEM, chart::CONTROLLER)
    }

    /// Writes a kubeconfig for a ServiceAccount, with a token that was made now.
    pub fn kubeconfig_for(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let token = self.kubectl(["create", "token", account, "-n", namespace])?;
        self.kubeconfig_with_token(&token.ok()?)
    }

    /// Makes a client with the administrator's rights.
    pub fn client(&self) -> Result<ApiClient> {
        ApiClient::new(&self.kubeconfig())
    }

    /// Installs the CRDs as the program prints them, and waits until they are served.
    pub fn install_crds(&self, dockfleet: &Dockfleet) -> Result<()> {
        let file = self.new_file("crds.yaml");
        fs::write(&file, dockfleet.run(["crds"])?.ok()?)?;
        let file = file.display().to_string();
        self.kubectl(["apply", "--server-side", "-f", &file])?
            .ok()?;
        self.kubectl(["wait", "--for=condition=Established", "-f", &file])?
            .ok()?;
        Ok(())
    }

    /// Makes a token of a ServiceAccount that is bound to the Secret of the same name, as the API
    /// server would have made it at another time or for a shorter life than it gives; both times are
    /// seconds since 1970.
    pub fn token(&self, namespace: &str, name: &str, issued: i64, expires: i64) -> Result<String> {
        let uid = |kind: &str| -> Result<Value> {
            let object = self.get_json(&[kind, name, "-n", namespace])?;
            let uid = object.pointer("/metadata/uid").cloned();
            uid.context("it has no UID")
        };
        let audience = "https://kubernetes.default.svc";
        let claims = json!({
            "iss": audience, "aud": [audience],
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "iat": issued, "nbf": issued, "exp": expires,
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": name, "uid": uid("serviceaccount")?},
                "secret": {"name": name, "uid": uid("secret")?},
            },
        });
        credentials::sign(self.folder.path(), &claims)
    }

    /// Runs `kubectl` as the administrator.
    pub fn kubectl(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Output> {
        program::run(&self.kubectl_command(args)?, LIMIT)
    }

    /// Makes the command that runs `kubectl` as the administrator.
    pub(crate) fn kubectl_command(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Command> {
        let mut command =
            program::command(program::built(BuiltSet::Kubernetes)?.join("kubectl"), args);
        command
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.folder.file("kubectl-cache"));
        Ok(command)
    }

    /// Applies YAML as a user does (`kubectl apply -f`) and gives what it printed; a refusal is an
    /// error with its text.
    pub fn apply_yaml(&self, text: &str) -> Result<String> {
        let file = self.new_file("apply.yaml");
        fs::write(&file, text)?;
        self.kubectl([OsStr::new("apply"), OsStr::new("-f"), file.as_os_str()])?
            .ok()
    }

    /// Runs `kubectl get -o json` with these arguments.
    pub fn get_json(&self, args: &[&str]) -> Result<Value> {
        let printed = self
            .kubectl([&["get", "-o", "json"], args].concat())?
            .ok()?;
        serde_json::from_str(&printed).context("kubectl printed no JSON")
    }

    /// Gives the writes that were asked for since the start of an audited control plane, in the order
    /// in which they were answered, as the API server's audit log has them.
    pub fn writes(&self) -> Result<Vec<Value>> {
        let log = fs::read_to_string(self.folder.file(AUDIT_LOG))?;
        let lines = log.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().context("no audit log")
    }

    /// Gives the end of each server's log.
    pub fn log(&self) -> String {
        let servers = self.servers();
        let all = [&servers.etcd, &servers.api, &servers.controllers];
        let logs: Vec<String> = all.into_iter().flatten().map(Process::log).collect();
        logs.join("\n")
    }

    /// Gives the process id of the API server, for measurements.
    pub fn api_server_pid(&self) -> Result<u32> {
        let servers = self.servers();
        Ok(servers
            .api
            .as_ref()
            .context("the API server does not run")?
            .pid())
    }

    /// Gives the process id of etcd, for measurements.
    pub fn etcd_pid(&self) -> Result<u32> {
        let servers = self.servers();
        Ok(servers.etcd.as_ref().context("etcd does not run")?.pid())
    }

    fn data(&self) -> PathBuf {
        self.folder.file("etcd")
    }

    fn new_file(&self, name: &str) -> PathBuf {
        let number = self.next_file.fetch_add(1, Ordering::Relaxed);
        self.folder.file(&format!("{number}-{name}"))
    }

    fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runs(server: Option<&Process>) -> bool {
    server.is_some_and(Process::is_running)
}

/// Copies etcd's folder, most of which is a log of zeros that is written ahead of need.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let options = ["--archive", "--sparse=always"].map(OsStr::new);
    let args = options
        .into_iter()
        .chain([from.as_os_str(), to.as_os_str()]);
    program::tool("cp", args).map(drop)
}
