//! Calls that the client library has no function for.

use bollard::{BollardRequest, Docker, body_full};
use serde_json::Value;

use super::{Engine, EngineCall, EngineError, on_path};

impl Engine {
    /// Gets the answer of a path as text.
    pub(crate) async fn get(
        &self,
        call: EngineCall<'_>,
        path: &str,
    ) -> Result<String, EngineError> {
        let client = self.for_request(path, |_| {});
        self.read(call, client.ping()).await
    }

    /// Posts a JSON value to a path.
    pub(crate) async fn post(
        &self,
        call: EngineCall<'_>,
        path: &str,
        body: &Value,
    ) -> Result<(), EngineError> {
        let body = body.to_string();
        let client = self.for_request(path, move |request| {
            *request.method_mut() = "POST".parse().unwrap_or_default();
            if let Ok(json) = "application/json".parse() {
                request.headers_mut().insert("content-type", json);
            }
            *request.body_mut() = body_full(body.clone().into());
        });
        self.change(call, client.ping()).await.map(drop)
    }

    /// Returns a client whose ping, the only call with a text as its answer, is another request.
    fn for_request(
        &self,
        path: &str,
        change: impl Fn(&mut BollardRequest) + Send + Sync + 'static,
    ) -> Docker {
        let (api, path) = (self.api, path.to_owned());
        self.docker.clone().with_request_modifier(move |request| {
            let mut request = on_path(request, api, Some(&path));
            change(&mut request);
            request
        })
    }
}
