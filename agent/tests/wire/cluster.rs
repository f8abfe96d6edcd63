//! An API server that knows one DockerHost and at most one HostAssignment.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dockfleet_crds::Entry;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

#[derive(Clone)]
pub(crate) struct Cluster {
    things: Arc<Mutex<Things>>,
    watchers: broadcast::Sender<Value>,
    changes: Arc<watch::Sender<usize>>,
}

#[derive(Default)]
struct Things {
    assignment: Option<Value>,
    assignment_status: Value,
    host_status: Value,
    writes: usize,
    beats: Vec<Instant>,
    away: bool,
    refuses_host: bool,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self {
            things: Arc::default(),
            watchers: broadcast::channel(16).0,
            changes: Arc::new(watch::channel(0).0),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(
            Router::new().fallback(answer).with_state(self.clone()),
            "hosts",
        )
    }

    /// Replaces the assignment, and sends an event to watchers.
    pub(crate) fn assign(&self, hub: &str, uid: &str, generation: i64, entries: &[Entry]) {
        let object = json!({
            "apiVersion": "dockfleet.io/v1alpha1",
            "kind": "HostAssignment",
            "metadata": {
                "name": "h1", "namespace": "hosts", "uid": uid, "generation": generation,
                "resourceVersion": format!("{generation}"),
            },
            "spec": {"hub": hub, "entries": entries},
        });
        self.things.lock().unwrap().assignment = Some(object.clone());
        let _ = self
            .watchers
            .send(json!({"type": "MODIFIED", "object": object}));
    }

    /// Sets an assignment that no agent can read.
    pub(crate) fn spoil(&self) {
        let mut things = self.things.lock().unwrap();
        if let Some(object) = &mut things.assignment {
            object["spec"]["entries"][0]["kind"] = json!(7);
        }
    }

    /// Changes the first entry to a kind of a newer version.
    pub(crate) fn make_newer(&self) {
        let mut things = self.things.lock().unwrap();
        if let Some(object) = &mut things.assignment {
            let entry = &mut object["spec"]["entries"][0];
            entry["kind"] = json!("DockerGalaxy");
            entry["orbit"] = json!(7);
        }
    }

    /// Pauses the host, in a newer generation of the assignment, and sends an event to watchers.
    pub(crate) fn pause(&self, generation: i64) {
        let mut things = self.things.lock().unwrap();
        let object = things.assignment.as_mut().unwrap();
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["resourceVersion"] = json!(format!("{generation}"));
        object["spec"]["paused"] = json!(true);
        let event = json!({"type": "MODIFIED", "object": object});
        let _ = self.watchers.send(event);
    }

    /// Returns when the Lease was renewed.
    pub(crate) fn beats(&self) -> Vec<Instant> {
        self.things.lock().unwrap().beats.clone()
    }

    /// Deletes the assignment.
    pub(crate) fn unassign(&self) {
        let object = self.things.lock().unwrap().assignment.take();
        let _ = self
            .watchers
            .send(json!({"type": "DELETED", "object": object}));
    }

    /// Makes every call fail.
    pub(crate) fn go_away(&self) {
        self.things.lock().unwrap().away = true;
    }

    /// Makes calls work again.
    pub(crate) fn come_back(&self) {
        self.things.lock().unwrap().away = false;
    }

    /// Refuses writes of the host's status, as without permission.
    pub(crate) fn refuse_host(&self) {
        self.things.lock().unwrap().refuses_host = true;
    }

    pub(crate) fn host_status(&self) -> Value {
        self.things.lock().unwrap().host_status.clone()
    }

    pub(crate) fn assignment_status(&self) -> Value {
        self.things.lock().unwrap().assignment_status.clone()
    }

    pub(crate) fn writes(&self) -> usize {
        self.things.lock().unwrap().writes
    }

    /// Returns the reason of the host's Ready condition.
    pub(crate) fn ready_reason(&self) -> String {
        self.host_status()["conditions"][0]["reason"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) async fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        let wait = async {
            while !done(self) {
                changes.changed().await.unwrap();
            }
        };
        let in_time = tokio::time::timeout(Duration::from_mins(1), wait).await;
        assert!(
            in_time.is_ok(),
            "in vain: {what}; host {}",
            self.host_status()
        );
    }
}

async fn answer(State(cluster): State<Cluster>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let response = respond(&cluster, parts.method.as_str(), &path, &query, &body);
    cluster.changes.send_modify(|n| *n += 1);
    response
}

fn respond(cluster: &Cluster, method: &str, path: &str, query: &str, body: &Bytes) -> Response {
    let mut things = cluster.things.lock().unwrap();
    if things.away {
        return failure(500, "InternalError");
    }
    let assignments = path.contains("/hostassignments");
    match method {
        "GET" if assignments && !path.ends_with("/h1") => {
            assert!(
                query.contains("fieldSelector=metadata.name%3Dh1"),
                "one name only: {query}"
            );
            if query.contains("watch=true") {
                return watching(cluster);
            }
            let items: Vec<&Value> = things.assignment.iter().collect();
            axum::Json(json!({
                "apiVersion": "dockfleet.io/v1alpha1", "kind": "HostAssignmentList",
                "metadata": {"resourceVersion": "1"}, "items": items,
            }))
            .into_response()
        }
        "GET" if assignments => match things.assignment.clone() {
            Some(mut object) => {
                object["status"] = things.assignment_status.clone();
                axum::Json(object).into_response()
            }
            None => failure(404, "NotFound"),
        },
        "GET" => axum::Json(host(&things.host_status)).into_response(),
        "PATCH" if path.ends_with("/leases/h1") => {
            things.beats.push(Instant::now());
            axum::Json(json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": "h1", "namespace": "hosts"},
            }))
            .into_response()
        }
        "PATCH" => {
            assert!(
                path.ends_with("/h1/status"),
                "beside its Lease an agent writes statuses only: {path}"
            );
            let body: Value = serde_json::from_slice(body).unwrap();
            if things.refuses_host && !assignments {
                return failure(403, "Forbidden");
            }
            things.writes += 1;
            if !assignments {
                things.host_status = body["status"].clone();
                return axum::Json(host(&things.host_status)).into_response();
            }
            let Some(mut whole) = things.assignment.clone() else {
                return failure(404, "NotFound");
            };
            if whole["metadata"]["uid"] != body["metadata"]["uid"] {
                return failure(409, "Conflict");
            }
            things.assignment_status = body["status"].clone();
            whole["status"] = body["status"].clone();
            axum::Json(whole).into_response()
        }
        other => panic!("an agent never makes a {other} of {path}"),
    }
}

fn host(status: &Value) -> Value {
    json!({
        "apiVersion": "dockfleet.io/v1alpha1", "kind": "DockerHost",
        "metadata": {"name": "h1", "namespace": "hosts"}, "spec": {}, "status": status,
    })
}

fn watching(cluster: &Cluster) -> Response {
    let receiver = cluster.watchers.subscribe();
    let stream = futures::stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await.ok()?;
        Some((
            Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))),
            receiver,
        ))
    });
    Body::from_stream(stream).into_response()
}

fn failure(code: u16, reason: &str) -> Response {
    let status = StatusCode::from_u16(code).unwrap();
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason,
        "code": code, "message": reason,
    });
    (status, axum::Json(body)).into_response()
}
