//! Requests to the API server by the test itself, without a `kubectl`.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};
use http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// A client of an API server. Objects are named by their paths in the API, such as
/// `/apis/dockfleet.io/v1alpha1/namespaces/default/dockernetworks/front`.
pub struct ApiClient {
    runtime: Runtime,
    client: Client,
}

impl ApiClient {
    /// Makes a client with the credential of a kubeconfig.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let client = runtime.block_on(async {
            let options = KubeConfigOptions::default();
            let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self { runtime, client })
    }

    /// Gives an object; nothing where there is none.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        match self.send(Method::GET, path, "", &Value::Null) {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            answer => Ok(Some(answer.with_context(|| path.to_owned())?)),
        }
    }

    /// Makes an object of the kind whose path this is, and gives it as it was stored.
    pub fn create<T: DeserializeOwned>(&self, path: &str, object: &Value) -> Result<T> {
        let answer = self.send(Method::POST, path, "application/json", object);
        answer.with_context(|| format!("{path}: {object}"))
    }

    /// Merges a change into an object.
    pub fn merge(&self, path: &str, change: &Value) -> Result<Value> {
        let answer = self.send(Method::PATCH, path, "application/merge-patch+json", change);
        answer.with_context(|| format!("{path}: {change}"))
    }

    /// Applies an object on the server as `manager`, which takes over what another one has set.
    pub fn apply(&self, path: &str, manager: &str, object: &Value) -> Result<Value> {
        let url = format!("{path}?fieldManager={manager}&force=true");
        let answer = self.send(Method::PATCH, &url, "application/apply-patch+yaml", object);
        answer.with_context(|| format!("{url}: {object}"))
    }

    /// Deletes an object.
    pub fn delete(&self, path: &str) -> Result<Value> {
        let answer = self.send(Method::DELETE, path, "application/json", &json!({}));
        answer.with_context(|| path.to_owned())
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        form: &str,
        body: &Value,
    ) -> Result<T, kube::Error> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request::builder().method(method).uri(path);
        let request = request.header("Content-Type", form).body(body);
        let request = request.map_err(kube::Error::HttpError)?;
        self.runtime.block_on(self.client.request(request))
    }
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiClient").finish_non_exhaustive()
    }
}
