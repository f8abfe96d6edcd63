//! A fake Docker Engine on a Unix socket that stores objects and fails as configured.

mod folders;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use dockfleet_agent::engine::{Endpoint, Engine, Timeouts};
use dockfleet_agent::journal::Journal;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::{broadcast, watch};

use self::folders::{Folder, Folders};

/// The fault of a call.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status and text.
    Status(u16, &'static str),
    /// No answer at all.
    Hang,
    /// The right answer, with a delay.
    Slow(Duration),
    /// The connection ends in the middle of the body.
    Cut,
    /// 200 with a body that is not JSON.
    Garbage,
    /// 201, and nothing is created.
    Ignored,
    /// 201, and the object has no driver options.
    WithoutOptions,
    /// Somebody else creates an object of that name just before.
    Raced,
    /// The same, and the engine does not check the name (Engine 20.10 and older).
    Duplicated,
    /// Somebody replaces it by another object of that name just before.
    Exchanged,
}

#[derive(Default)]
struct Things {
    networks: Vec<Value>,
    volumes: Vec<Value>,
    /// What the engine says about its list of volumes.
    warnings: Vec<String>,
    containers: Vec<Value>,
    folders: Folders,
    calls: Vec<String>,
    faults: BTreeMap<String, Fault>,
    made: usize,
    journal: Option<PathBuf>,
    /// The stages in the journal at each call that changes something.
    stages: Vec<Vec<String>>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    things: Arc<Mutex<Things>>,
    api: &'static str,
    events: broadcast::Sender<Option<Value>>,
    calls: Arc<watch::Sender<usize>>,
    socket: PathBuf,
    _folder: Arc<tempfile::TempDir>,
}

/// Short enough for a test, long enough for a busy machine.
pub(crate) const SHORT: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(1),
    change: Duration::from_secs(1),
};

impl Fake {
    /// Starts an engine with this API version.
    pub(crate) fn start(api: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = Self {
            things: Arc::default(),
            api,
            events: broadcast::channel(64).0,
            calls: Arc::new(watch::channel(0).0),
            socket: folder.path().join("docker.sock"),
            _folder: Arc::new(folder),
        };
        drop(fake.serve());
        fake
    }

    /// Listens (again) until the returned handle is aborted.
    pub(crate) fn serve(&self) -> tokio::task::JoinHandle<()> {
        let _ = std::fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::Unix(self.socket.clone())
    }

    pub(crate) async fn connect(&self) -> Engine {
        Engine::connect_within(&self.endpoint(), SHORT)
            .await
            .unwrap()
    }

    /// Makes a call fail from now on, such as `POST /networks/create`, or `POST /volumes/create nfs-plugin`
    /// where it is for that driver.
    pub(crate) fn fault(&self, call: &str, fault: Fault) {
        self.things
            .lock()
            .unwrap()
            .faults
            .insert(call.to_owned(), fault);
    }

    fn slowness(&self, method: &Method, path: &str) -> Option<Duration> {
        match self
            .things
            .lock()
            .unwrap()
            .faults
            .get(&format!("{method} {path}"))
        {
            Some(Fault::Slow(wait)) => Some(*wait),
            _ => None,
        }
    }

    pub(crate) fn heal(&self) {
        self.things.lock().unwrap().faults.clear();
    }

    /// Reads the journal in a folder at each call that changes something.
    pub(crate) fn watch_journal(&self, dir: &Path) {
        self.things.lock().unwrap().journal = Some(dir.to_owned());
    }

    pub(crate) fn stages(&self) -> Vec<Vec<String>> {
        self.things.lock().unwrap().stages.clone()
    }

    /// Returns the calls since the last time, without their API version.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.things.lock().unwrap().calls)
    }

    /// Returns the calls since the last time that change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|c| !c.starts_with("GET"));
        calls
    }

    pub(crate) fn networks(&self) -> Vec<Value> {
        self.things.lock().unwrap().networks.clone()
    }

    pub(crate) fn volumes(&self) -> Vec<Value> {
        self.things.lock().unwrap().volumes.clone()
    }

    pub(crate) fn add_network(&self, network: Value) {
        self.things.lock().unwrap().add_network(network);
    }

    /// Makes the engine list no volumes but those of the local driver, as if the plugins do not answer.
    pub(crate) fn lose_plugins(&self, warnings: &[&str]) {
        let mut things = self.things.lock().unwrap();
        things.warnings = warnings.iter().map(|w| (*w).to_owned()).collect();
        things.volumes.retain(|v| v["Driver"] == "local");
    }

    pub(crate) fn add_container(&self, container: Value) {
        self.things.lock().unwrap().containers.push(container);
    }

    pub(crate) fn containers(&self) -> Vec<Value> {
        self.things.lock().unwrap().containers.clone()
    }

    /// Returns the top folder of a volume.
    pub(crate) fn folder(&self, volume: &str) -> Folder {
        *self.things.lock().unwrap().folder(volume)
    }

    /// Changes the top folder of a volume as a container would.
    pub(crate) fn set_folder(&self, volume: &str, folder: Folder) {
        *self.things.lock().unwrap().folder(volume) = folder;
    }

    pub(crate) fn clear_containers(&self) {
        self.things.lock().unwrap().containers.clear();
    }

    /// Removes everything as somebody with a shell would, and sends events.
    pub(crate) fn lose_everything(&self) {
        {
            let mut things = self.things.lock().unwrap();
            things.networks.clear();
            things.volumes.clear();
        }
        let _ = self
            .events
            .send(Some(json!({"Type": "network", "Action": "destroy"})));
    }

    /// Sends an event.
    pub(crate) fn happen(&self, event: Value) {
        let _ = self.events.send(Some(event));
    }

    /// Cuts every stream of events.
    pub(crate) fn cut_events(&self) {
        let _ = self.events.send(None);
    }

    /// Waits until there have been this many calls, or fails after a while.
    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let mut calls = self.calls.subscribe();
        let wait = async {
            while !done(self) {
                calls.changed().await.unwrap();
            }
        };
        let in_time = tokio::time::timeout(Duration::from_mins(1), wait).await;
        assert!(in_time.is_ok(), "in vain: {what}");
    }
}

impl Things {
    fn add_network(&mut self, mut network: Value) -> String {
        self.made += 1;
        let id = format!("{:064x}", self.made);
        network["Id"] = json!(id);
        self.networks.push(network);
        id
    }

    fn add_volume(&mut self, volume: &Value) -> Value {
        let shown = json!({
            "Name": volume["Name"],
            "Driver": volume["Driver"],
            "Options": volume.get("DriverOpts").cloned().unwrap_or(Value::Null),
            "Labels": volume.get("Labels").cloned().unwrap_or(Value::Null),
            "Mountpoint": "/data",
            "Scope": "local",
        });
        self.volumes.push(shown.clone());
        shown
    }

    fn note_stages(&mut self) {
        if let Some(dir) = &self.journal {
            let journal = Journal::read_only(dir).unwrap();
            let records = journal.records();
            let stages = records
                .values()
                .map(|r| format!("{} {}", r.object, r.stage));
            self.stages.push(stages.collect());
        }
    }
}

async fn answer(State(fake): State<Fake>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = without_version(&parts.uri, fake.api);
    if let Some(wait) = fake.slowness(&parts.method, &path) {
        tokio::time::sleep(wait).await;
    }
    let response = respond(&fake, &parts.method, &path, &body);
    fake.calls.send_modify(|n| *n += 1);
    match response {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

fn without_version(uri: &Uri, api: &str) -> String {
    let path = uri.path();
    let Some((version, rest)) = path.strip_prefix("/v").and_then(|p| p.split_once('/')) else {
        return path.to_owned();
    };
    let number = |v: &str| {
        v.split_once('.')
            .and_then(|(_, minor)| minor.parse::<u32>().ok())
    };
    match (number(version), number(api)) {
        (Some(asked), Some(known)) if asked <= known => format!("/{rest}"),
        (Some(_), _) => format!("/too-new/{rest}"),
        (None, _) => path.to_owned(),
    }
}

/// Answers, or returns `None` to let the caller wait.
fn respond(fake: &Fake, method: &Method, path: &str, body: &Bytes) -> Option<Response> {
    let mut things = fake.things.lock().unwrap();
    let call = format!("{method} {path}");
    things.calls.push(call.clone());
    if method != Method::GET {
        things.note_stages();
    }
    let short = format!(
        "{method} /{}",
        path.trim_start_matches('/').split('/').next().unwrap()
    );
    let sent: Value = serde_json::from_slice(body).unwrap_or_default();
    let with_driver = format!("{call} {}", sent["Driver"].as_str().unwrap_or_default());
    let fault = things
        .faults
        .get(&call)
        .or_else(|| things.faults.get(&short))
        .or_else(|| things.faults.get(&with_driver))
        .cloned();
    match &fault {
        Some(Fault::Status(status, text)) => return Some(error(*status, text)),
        Some(Fault::Hang) => return None,
        Some(Fault::Cut) => return Some(cut()),
        Some(Fault::Garbage) => return Some("{\"Volumes\": [".into_response()),
        _ => {}
    }
    let fake_api: u32 = fake.api.split_once('.').unwrap().1.parse().unwrap();
    Some(match (method.as_str(), path) {
        ("GET", "/_ping") => {
            let headers = [
                ("api-version", fake.api),
                ("ostype", "linux"),
                ("server", "Docker/fake (linux)"),
            ];
            (headers, "OK").into_response()
        }
        ("GET", "/version") => axum::Json(json!({
            "Version": "fake", "ApiVersion": fake.api, "Os": "linux", "Arch": "amd64"
        }))
        .into_response(),
        ("GET", "/networks") => axum::Json(&things.networks).into_response(),
        ("GET", "/volumes") => {
            let answer = json!({"Volumes": things.volumes, "Warnings": things.warnings});
            if let Some(Fault::Exchanged) = things.faults.get("DELETE /volumes") {
                // The next list has another volume of that name.
                for volume in &mut things.volumes {
                    volume["Labels"] = Value::Null;
                }
            }
            axum::Json(answer).into_response()
        }
        ("GET", "/containers/json") => axum::Json(&things.containers).into_response(),
        ("GET", "/events") => events(fake),
        ("POST", "/images/create") => things.import(),
        ("POST", "/containers/create") => things.create_helper(body, fault.as_ref()),
        ("GET", path) if path.ends_with("/archive") => things.archive(id(path)),
        ("PUT", path) if path.ends_with("/archive") => things.extract(id(path), body),
        ("DELETE", path) if path.starts_with("/containers/") => things.remove_helper(id(path)),
        ("POST", "/networks/create") => create_network(&mut things, body, fault.as_ref(), fake_api),
        ("POST", "/volumes/create") => {
            let mut volume: Value = serde_json::from_slice(body).unwrap();
            if matches!(fault, Some(Fault::Raced)) {
                things.add_volume(&json!({"Name": volume["Name"], "Driver": "local"}));
            }
            if matches!(fault, Some(Fault::WithoutOptions)) {
                volume["DriverOpts"] = Value::Null;
            }
            let there = things
                .volumes
                .iter()
                .find(|v| v["Name"] == volume["Name"])
                .cloned();
            let shown = there.unwrap_or_else(|| things.add_volume(&volume));
            (StatusCode::CREATED, axum::Json(shown)).into_response()
        }
        ("DELETE", path) => {
            let (list, key, name) = match path.strip_prefix("/networks/") {
                Some(id) => (&mut things.networks, "Id", id),
                None => (
                    &mut things.volumes,
                    "Name",
                    path.trim_start_matches("/volumes/"),
                ),
            };
            let before = list.len();
            list.retain(|o| o[key] != json!(name));
            if list.len() == before {
                return Some(error(
                    404,
                    &format!("network {name} not found, get {name}: no such volume"),
                ));
            }
            StatusCode::NO_CONTENT.into_response()
        }
        _ => error(400, "client version is too new"),
    })
}

/// Returns the ID in the path of a container.
fn id(path: &str) -> &str {
    path.split('/').nth(2).unwrap()
}

fn create_network(
    things: &mut Things,
    body: &Bytes,
    fault: Option<&Fault>,
    minor: u32,
) -> Response {
    let mut network: Value = serde_json::from_slice(body).unwrap();
    let check = network["CheckDuplicate"] == json!(true) || minor >= 44;
    let name = network["Name"].clone();
    if matches!(fault, Some(Fault::Raced | Fault::Duplicated)) {
        things.add_network(json!({"Name": name, "Driver": "bridge"}));
    }
    let taken = things.networks.iter().any(|n| n["Name"] == name);
    if taken && check && !matches!(fault, Some(Fault::Duplicated)) {
        return error(409, "network with that name already exists");
    }
    if matches!(fault, Some(Fault::WithoutOptions)) {
        network["Options"] = Value::Null;
    }
    let id = match fault {
        Some(Fault::Ignored) => "0".repeat(64),
        _ => things.add_network(network),
    };
    (
        StatusCode::CREATED,
        axum::Json(json!({"Id": id, "Warning": ""})),
    )
        .into_response()
}

fn error(status: u16, text: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, axum::Json(json!({"message": text}))).into_response()
}

fn cut() -> Response {
    let parts = [
        Ok(Bytes::from("[{\"Name\":")),
        Err(std::io::Error::other("cut")),
    ];
    Body::from_stream(futures::stream::iter(parts)).into_response()
}

fn events(fake: &Fake) -> Response {
    let receiver = fake.events.subscribe();
    let stream = futures::stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(Some(event)) => Some((
                Ok::<_, std::io::Error>(Bytes::from(format!("{event}\n"))),
                receiver,
            )),
            Ok(None) | Err(_) => None,
        }
    });
    Body::from_stream(stream).into_response()
}
