//! A simulated Docker Engine: it answers what an agent asks of one, on a Unix socket, and keeps what
//! it is given. Beyond that it does nothing, so that a machine has room for thousands.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// The version of the Docker Engine API that it speaks.
const API: &str = "1.51";
/// Events that wait for a slow listener; a pass changes no more than an assignment has entries.
const EVENTS: usize = 512;

/// What one engine has.
#[derive(Debug)]
struct Engine {
    objects: Mutex<Objects>,
    events: broadcast::Sender<Bytes>,
}

#[derive(Debug, Default)]
struct Objects {
    networks: Vec<Value>,
    volumes: Vec<Value>,
    /// Networks that were ever made.
    made: u64,
}

/// Starts an engine without any object on a socket, until the returned task is aborted.
pub(crate) fn start(socket: &Path) -> Result<JoinHandle<()>> {
    let listener = UnixListener::bind(socket)
        .with_context(|| format!("could not listen on {}", socket.display()))?;
    let engine = Arc::new(Engine {
        objects: Mutex::default(),
        events: broadcast::channel(EVENTS).0,
    });
    let router = Router::new().fallback(answer).with_state(engine);
    Ok(tokio::spawn(async move {
        // It never ends by itself.
        let _ = axum::serve(listener, router).await;
    }))
}

async fn answer(
    State(engine): State<Arc<Engine>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let path = without_version(uri.path());
    let mut objects = engine
        .objects
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match (method.as_str(), path) {
        ("GET", "/version") => {
            let reported = json!({
                "Version": "simulated", "ApiVersion": API, "Os": "linux", "Arch": "amd64",
            });
            axum::Json(reported).into_response()
        }
        ("GET", "/networks") => axum::Json(&objects.networks).into_response(),
        // Who asks for one by a filter picks it out of the answer, too.
        ("GET", "/volumes") => {
            axum::Json(json!({"Volumes": objects.volumes, "Warnings": null})).into_response()
        }
        // Nothing runs here.
        ("GET", "/containers/json") => axum::Json(json!([])).into_response(),
        ("GET", "/events") => events(&engine),
        ("POST", "/networks/create") => match serde_json::from_slice(&body) {
            Ok(network) => engine.create_network(&mut objects, network),
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("POST", "/volumes/create") => match serde_json::from_slice(&body) {
            Ok(volume) => engine.create_volume(&mut objects, &volume),
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("DELETE", path) => engine.remove(&mut objects, path),
        (_, path) => refuse(StatusCode::NOT_FOUND, &format!("page not found: {path}")),
    }
}

/// Takes the version off a path such as `/v1.51/networks`.
fn without_version(path: &str) -> &str {
    path.strip_prefix("/v1.")
        .and_then(|rest| rest.find('/').and_then(|at| rest.get(at..)))
        .unwrap_or(path)
}

impl Engine {
    fn create_network(&self, objects: &mut Objects, mut network: Value) -> Response {
        let name = text(&network, "Name").to_owned();
        if objects.networks.iter().any(|n| text(n, "Name") == name) {
            let why = format!("network with name {name} already exists");
            return refuse(StatusCode::CONFLICT, &why);
        }
        objects.made += 1;
        let id = format!("{:064x}", objects.made);
        if let Some(network) = network.as_object_mut() {
            network.insert("Id".to_owned(), json!(id));
            network.insert("Scope".to_owned(), json!("local"));
            network.insert("EnableIPv4".to_owned(), json!(true));
            network.entry("EnableIPv6").or_insert(json!(false));
        }
        objects.networks.push(network);
        self.tell("network", "create", &id);
        let answer = axum::Json(json!({"Id": id, "Warning": ""}));
        (StatusCode::CREATED, answer).into_response()
    }

    fn create_volume(&self, objects: &mut Objects, volume: &Value) -> Response {
        let name = text(volume, "Name");
        let there = objects.volumes.iter().find(|v| text(v, "Name") == name);
        if let Some(there) = there {
            return (StatusCode::CREATED, axum::Json(there)).into_response();
        }
        let made = json!({
            "Name": name,
            "Driver": text(volume, "Driver"),
            "Options": volume.get("DriverOpts"),
            "Labels": volume.get("Labels"),
            "Mountpoint": format!("/var/lib/docker/volumes/{name}/_data"),
            "Scope": "local",
        });
        self.tell("volume", "create", name);
        let answer = (StatusCode::CREATED, axum::Json(&made)).into_response();
        objects.volumes.push(made);
        answer
    }

    fn remove(&self, objects: &mut Objects, path: &str) -> Response {
        let (list, kind, key, id) = if let Some(id) = path.strip_prefix("/networks/") {
            (&mut objects.networks, "network", "Id", id)
        } else if let Some(name) = path.strip_prefix("/volumes/") {
            (&mut objects.volumes, "volume", "Name", name)
        } else {
            return refuse(StatusCode::NOT_FOUND, &format!("page not found: {path}"));
        };
        let Some(at) = list.iter().position(|object| text(object, key) == id) else {
            return refuse(StatusCode::NOT_FOUND, &format!("{kind} {id} not found"));
        };
        list.remove(at);
        self.tell(kind, "destroy", id);
        StatusCode::NO_CONTENT.into_response()
    }

    fn tell(&self, kind: &str, action: &str, id: &str) {
        let event = json!({"Type": kind, "Action": action, "Actor": {"ID": id}});
        // Nobody has to listen.
        let _ = self.events.send(Bytes::from(format!("{event}\n")));
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    (status, axum::Json(json!({"message": why}))).into_response()
}

/// Answers with a stream that goes on for as long as both sides want it.
fn events(engine: &Engine) -> Response {
    let listener = engine.events.subscribe();
    let stream = futures::stream::unfold(listener, |mut listener| async move {
        // Who lags behind is cut off, as by an engine, and opens the stream again.
        let event = listener.recv().await.ok()?;
        Some((Ok::<_, io::Error>(event), listener))
    });
    Body::from_stream(stream).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use dockfleet_agent::effect::Effects;
    use dockfleet_agent::engine::{Endpoint, Engine, EngineEvent};
    use dockfleet_agent::journal::Journal;
    use dockfleet_agent::pass;
    use dockfleet_crds::assignment::Kind;
    use dockfleet_crds::policy::DeletionPolicy;
    use dockfleet_crds::{Entry, EntryState};
    use dockfleet_planner::credentials::CredentialStore;
    use dockfleet_planner::desired::{Behaviour, Tombstone, payload};
    use dockfleet_planner::kinds::is_observed_always;
    use dockfleet_planner::kinds::network::DesiredNetwork;
    use dockfleet_planner::kinds::volume::DesiredVolume;
    use dockfleet_planner::plan::Planned;
    use dockfleet_planner::render;
    use futures::StreamExt as _;

    use super::*;

    struct Host {
        engine: Engine,
        journal: Journal,
        _folder: tempfile::TempDir,
    }

    impl Host {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let socket = folder.path().join("docker.sock");
            start(&socket).unwrap();
            Self {
                engine: connect(&socket).await,
                journal: Journal::open(&folder.path().join("journal")).unwrap(),
                _folder: folder,
            }
        }

        /// Makes a pass that has to leave nothing to do, and returns how much it changed.
        async fn settle(&mut self, entries: &[Entry], expected: EntryState) -> usize {
            let effects = Effects::default();
            let report = pass::pass(
                &self.engine,
                &mut self.journal,
                entries,
                &CredentialStore::new(),
                &effects,
                &mut |_| {},
            )
            .await;
            let mut statuses = report.statuses.iter();
            assert!(statuses.all(|s| s.state == expected), "{report:?}");
            assert_eq!((report.unfinished, report.waiting), (0, 0));
            report.changed
        }

        async fn left_to_do(&self, entries: &[Entry]) -> Vec<Planned> {
            let plan = pass::preview(
                &self.engine,
                &self.journal,
                entries,
                &CredentialStore::new(),
            )
            .await;
            let mut plan = plan.unwrap();
            plan.retain(|planned| !planned.actions.is_empty());
            plan
        }
    }

    async fn connect(socket: &Path) -> Engine {
        Engine::connect(&Endpoint::Unix(socket.to_owned()))
            .await
            .unwrap()
    }

    fn entry(kind: Kind, name: &str, desired: &impl serde::Serialize) -> Entry {
        let (spec, revision) = payload(desired, None);
        Entry {
            uid: format!("uid-{name}"),
            kind: kind.into(),
            namespace: "apps".to_owned(),
            name: name.to_owned(),
            revision,
            spec,
            ..Entry::default()
        }
    }

    fn network(label: &str) -> Entry {
        let desired = DesiredNetwork {
            name: "net".to_owned(),
            driver: "bridge".to_owned(),
            labels: BTreeMap::from([("edit".to_owned(), label.to_owned())]),
            policy: Behaviour {
                update_when_unused: true,
                ..Behaviour::default()
            },
            ..DesiredNetwork::default()
        };
        entry(Kind::DockerNetwork, "net", &desired)
    }

    fn volume() -> Entry {
        let desired = DesiredVolume {
            name: "vol".to_owned(),
            driver: "local".to_owned(),
            ..DesiredVolume::default()
        };
        entry(Kind::DockerVolume, "vol", &desired)
    }

    #[tokio::test]
    async fn an_agents_pass_makes_changes_and_removes_and_then_has_nothing_to_do() {
        let mut host = Host::new().await;
        let entries = [network("1"), volume()];
        assert_eq!(host.settle(&entries, EntryState::Ready).await, 2);
        assert_eq!(host.left_to_do(&entries).await, []);

        let edited = [network("2"), volume()];
        assert_eq!(host.left_to_do(&edited).await.len(), 1);
        assert_eq!(host.settle(&edited, EntryState::Ready).await, 1);
        assert_eq!(host.left_to_do(&edited).await, []);

        let gone = edited.map(|entry| {
            let tombstone = Tombstone {
                name: entry.name.clone(),
                policy: DeletionPolicy::Delete,
            };
            render::tombstone(&entry, &tombstone, None)
        });
        assert_eq!(host.settle(&gone, EntryState::Gone).await, 2);
        let seen = host.engine.observe().await.observed;
        for kind in Kind::all().filter(|kind| is_observed_always(*kind)) {
            assert_eq!(seen.all(kind).map(<[_]>::len), Some(0), "{}", kind.as_str());
        }
    }

    #[tokio::test]
    async fn who_listens_hears_of_what_comes_and_goes() {
        let mut host = Host::new().await;
        let mut events = Box::pin(host.engine.events());
        // The stream is open once the first event arrives, so changes are made until one does.
        let heard = async {
            loop {
                let heard = tokio::time::timeout(Duration::from_millis(50), events.next());
                if let Ok(happening) = heard.await {
                    break happening;
                }
                let changed = if host.left_to_do(&[network("1")]).await.is_empty() {
                    "2"
                } else {
                    "1"
                };
                host.settle(&[network(changed)], EntryState::Ready).await;
            }
        };
        let heard = tokio::time::timeout(Duration::from_mins(1), heard).await;
        assert_eq!(heard.unwrap().unwrap().unwrap(), EngineEvent::Object);
    }

    #[test]
    fn a_path_means_the_same_with_and_without_a_version() {
        assert_eq!(without_version("/v1.51/networks"), "/networks");
        assert_eq!(without_version("/volumes/v1.2"), "/volumes/v1.2");
        assert_eq!(without_version("/version"), "/version");
    }
}
