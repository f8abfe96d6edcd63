//! Requests as one agent, by its own token.
//!
//! Every verb that a request stands for is tried by that request, with `dryRun=All` where it would
//! change something: authorization and admission are the same then. The verbs that no request stands
//! for (impersonate, bind, ...) are asked for by a `SelfSubjectAccessReview`, and impersonation is tried
//! by its header too.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::{ControlPlane, eventually};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::discovery::{self, Served, Verb};
use crate::test_cluster::{FLEET, SOON};
use crate::test_host::TestHost;

/// Requests at the same time.
const AT_ONCE: usize = 16;

/// Whose object is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// Of the own name, in the own namespace.
    Own,
    /// Of another host's name, in the own namespace.
    OtherHost,
    /// Without a name, in the own namespace.
    Unnamed,
    /// Of the own name, in another namespace.
    OtherNamespace,
    /// Without a name, in another namespace.
    UnnamedElsewhere,
    /// Without name and namespace.
    Everywhere,
    /// Of the own name, of a kind that has no namespace.
    Cluster,
}

impl Target {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own name",
            Self::OtherHost => "another host's name",
            Self::Unnamed => "no name",
            Self::OtherNamespace => "own name, another namespace",
            Self::UnnamedElsewhere => "no name, another namespace",
            Self::Everywhere => "no name, all namespaces",
            Self::Cluster => "cluster-scoped, own name",
        }
    }

    fn is_named(self) -> bool {
        matches!(
            self,
            Self::Own | Self::OtherHost | Self::OtherNamespace | Self::Cluster
        )
    }
}

/// What the API server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 403.
    Refused,
    /// Anything else, with its code: whoever comes as far as a 404, 405 or 422 was let in.
    Allowed(u16),
}

/// One thing that was tried.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// `group/resource`.
    pub(crate) resource: String,
    pub(crate) verb: Verb,
    pub(crate) target: Target,
    pub(crate) outcome: Outcome,
}

/// Tries things as the agent of one host.
pub(crate) struct Prober<'a> {
    runtime: Runtime,
    client: Client,
    plane: &'a ControlPlane,
    own: String,
    other: String,
}

impl<'a> Prober<'a> {
    /// Takes the token that the agent of `host` uses.
    pub(crate) fn new(plane: &'a ControlPlane, host: &TestHost, other: &str) -> Result<Self> {
        let token = std::fs::read_to_string(host.state_dir().join("token"))?;
        let path = plane.kubeconfig_with_token(&token)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(&path)?;
            let options = KubeConfigOptions::default();
            let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
            // Every answer is an answer here.
            config.default_retry = false;
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self {
            runtime,
            client,
            plane,
            own: host.name().to_owned(),
            other: other.to_owned(),
        })
    }

    /// Tries every verb on every resource.
    pub(crate) fn try_everything(&self) -> Result<Vec<Attempt>> {
        let mut planned: Vec<(Served, Verb, Target)> = Vec::new();
        for served in discovery::everything(self.plane)? {
            for target in targets(&served) {
                let is_sub = served.name.contains('/');
                let requests = Verb::REQUESTS.into_iter();
                let requests = requests.filter(|v| fits(*v, target, is_sub));
                for verb in requests.chain(Verb::SPECIAL) {
                    planned.push((served.clone(), verb, target));
                }
            }
        }
        // Users, groups and UIDs are served by nobody, and can be impersonated.
        for name in ["users", "groups", "uids", "userextras/scopes"] {
            let served = Served {
                group: if name.starts_with('u') && name != "users" {
                    "authentication.k8s.io".to_owned()
                } else {
                    String::new()
                },
                version: "v1".to_owned(),
                name: name.to_owned(),
                is_namespaced: false,
            };
            planned.push((served, Verb::Special("impersonate"), Target::Cluster));
        }
        let attempts = self.runtime.block_on(async {
            futures::stream::iter(planned)
                .map(|(served, verb, target)| self.attempt(served, verb, target))
                .buffer_unordered(AT_ONCE)
                .try_collect::<Vec<Attempt>>()
                .await
        })?;
        self.try_impersonation()?;
        Ok(attempts)
    }

    async fn attempt(&self, served: Served, verb: Verb, target: Target) -> Result<Attempt> {
        let outcome = match verb {
            Verb::Special(verb) => self.ask(&served, verb, target).await?,
            verb => {
                let request = self.request(&served, verb, target)?;
                self.send(request).await?
            }
        };
        Ok(Attempt {
            resource: format!("{}/{}", served.group, served.name),
            verb,
            target,
            outcome,
        })
    }

    fn name(&self, target: Target) -> &str {
        match target {
            Target::OtherHost => &self.other,
            _ => &self.own,
        }
    }

    fn request(&self, served: &Served, verb: Verb, target: Target) -> Result<Request<Body>> {
        let mut path = if served.group.is_empty() {
            format!("/api/{}", served.version)
        } else {
            format!("/apis/{}/{}", served.group, served.version)
        };
        match namespace(target) {
            Some(namespace) if served.is_namespaced => {
                path = format!("{path}/namespaces/{namespace}");
            }
            _ => {}
        }
        let (resource, sub) = served.name.split_once('/').unwrap_or((&served.name, ""));
        path = format!("{path}/{resource}");
        // A list or watch of one name is a field selector.
        let mut query = match verb {
            Verb::List | Verb::Watch if target.is_named() => {
                format!(
                    "fieldSelector=metadata.name%3D{}&limit=1",
                    self.name(target)
                )
            }
            Verb::List | Verb::Watch => "limit=1".to_owned(),
            Verb::Get => String::new(),
            _ => "dryRun=All".to_owned(),
        };
        let by_path = !matches!(verb, Verb::List | Verb::Watch | Verb::DeleteCollection)
            && (verb != Verb::Create || !sub.is_empty());
        if target.is_named() && by_path {
            path = format!("{path}/{}", self.name(target));
            if !sub.is_empty() {
                path = format!("{path}/{sub}");
            }
        }
        if verb == Verb::Watch {
            query.push_str("&watch=1&timeoutSeconds=1");
        }
        let method = match verb {
            Verb::Create => Method::POST,
            Verb::Update => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete | Verb::DeleteCollection => Method::DELETE,
            _ => Method::GET,
        };
        let body = if served.name == "serviceaccounts/token" {
            token_request(self.name(target), 600)
        } else {
            json!({})
        };
        let has_body = matches!(verb, Verb::Create | Verb::Update | Verb::Patch);
        let body = if has_body {
            body.to_string().into_bytes()
        } else {
            Vec::new()
        };
        let kind = match verb {
            Verb::Patch => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}?{query}"))
            .header("Content-Type", kind);
        Ok(request.body(Body::from(body))?)
    }

    async fn send(&self, request: Request<Body>) -> Result<Outcome> {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = self.client.send(request).await.context(what.clone())?;
        let code = answer.status().as_u16();
        ensure!(code != 401 && code < 500, "{what}: {code}");
        Ok(if code == 403 {
            Outcome::Refused
        } else {
            Outcome::Allowed(code)
        })
    }

    async fn ask(&self, served: &Served, verb: &str, target: Target) -> Result<Outcome> {
        let (resource, sub) = served.name.split_once('/').unwrap_or((&served.name, ""));
        let name = if target.is_named() {
            self.name(target)
        } else {
            ""
        };
        let namespace = namespace(target).filter(|_| served.is_namespaced);
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "group": served.group, "version": served.version, "resource": resource,
                "subresource": sub, "verb": verb, "name": name,
                "namespace": namespace.unwrap_or_default(),
            }},
        });
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("Content-Type", "application/json")
            .body(review.to_string().into_bytes())?;
        let answer: Value = self.client.request(request).await?;
        let allowed = answer["status"]["allowed"].as_bool().context("no answer")?;
        Ok(if allowed {
            Outcome::Allowed(0)
        } else {
            Outcome::Refused
        })
    }

    /// Tries to be somebody else.
    fn try_impersonation(&self) -> Result<()> {
        let account = |name: &str| format!("system:serviceaccount:{FLEET}:{name}");
        for who in [
            account(&self.other),
            account(&self.own),
            "system:admin".to_owned(),
            "system:serviceaccount:dockfleet-system:dockfleet-controller".to_owned(),
        ] {
            let request = Request::get(format!("/api/v1/namespaces/{FLEET}/secrets/{}", self.own))
                .header("Impersonate-User", &who)
                .body(Body::empty())?;
            let outcome = self.runtime.block_on(self.send(request))?;
            ensure!(outcome == Outcome::Refused, "as {who}: {outcome:?}");
        }
        Ok(())
    }

    /// Waits until the authorizer knows of a right that was just given.
    pub(crate) fn await_right(&self, verb: &str, group: &str, resource: &str) -> Result<()> {
        let served = Served {
            group: group.to_owned(),
            version: "v1".to_owned(),
            name: resource.to_owned(),
            is_namespaced: true,
        };
        eventually("the right", SOON, || {
            let asked = self
                .runtime
                .block_on(self.ask(&served, verb, Target::Unnamed));
            match asked {
                Ok(Outcome::Allowed(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
    }

    /// Of its own Secret an agent may write the secrets of its swarm.
    fn try_keys_of_the_secret(&self, secret: &str) -> Result<()> {
        for other in [
            json!({"data": {"uid": "YQ=="}}),
            json!({"stringData": {"swarm-join-token": "a", "uid": "a"}}),
        ] {
            let (status, text) = self.raw(&Method::PATCH, secret, &other)?;
            let refused = status == 403 && text.contains("may write no other key");
            ensure!(refused, "{other}: {status} {text}");
        }
        let own = json!({"stringData": {"swarm-join-token": "a", "swarm-unlock-key": "a"}});
        let (status, text) = self.raw(&Method::PATCH, secret, &own)?;
        ensure!(status == 200, "the secrets of its swarm: {status} {text}");
        Ok(())
    }

    /// Tries what the Role of an agent cannot forbid; nothing here is a dry run, so that what is
    /// there afterwards counts too.
    pub(crate) fn try_what_the_policy_forbids(&self) -> Result<()> {
        let fleet = |path: &str| format!("namespaces/{FLEET}/{path}");
        let own = &self.own;
        let core = |path: &str| format!("/api/v1/{}", fleet(path));
        let dockfleet = |path: &str| format!("/apis/dockfleet.io/v1alpha1/{}", fleet(path));
        let lease = format!(
            "/apis/coordination.k8s.io/v1/{}",
            fleet(&format!("leases/{own}"))
        );
        let marks = [
            json!({"metadata": {"labels": {"a": "b"}}}),
            json!({"metadata": {"annotations": {"a": "b"}}}),
            json!({"metadata": {"finalizers": ["a.io/b"]}}),
            json!({"metadata": {"ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "b"}]}}),
        ];
        let mut tried = 0;
        let mut refuse = |method: Method, path: &str, body: &Value, says: &str| -> Result<()> {
            let (status, text) = self.raw(&method, path, body)?;
            ensure!(
                status == 403 && text.contains(says),
                "{method} {path} {body}: {status} {text}"
            );
            tried += 1;
            Ok(())
        };
        // Everything but a status, a Lease and a token.
        let says = "an agent may write its own status";
        for mark in &marks {
            for path in [
                dockfleet(&format!("dockerhosts/{own}")),
                dockfleet(&format!("hostassignments/{own}")),
                core(&format!("serviceaccounts/{own}")),
            ] {
                refuse(Method::PATCH, &path, mark, says)?;
            }
            for path in [lease.clone(), core(&format!("secrets/{own}"))] {
                refuse(Method::PATCH, &path, mark, "may not change labels")?;
            }
        }
        self.try_keys_of_the_secret(&core(&format!("secrets/{own}")))?;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "more"}});
        refuse(Method::POST, &core("secrets"), &secret, says)?;
        for path in [
            core(&format!("secrets/{own}")),
            dockfleet(&format!("dockerhosts/{own}")),
            lease.clone(),
        ] {
            refuse(Method::DELETE, &path, &json!({}), says)?;
        }
        // Others' status and Lease.
        let says = format!("may not write what is named {}", self.other);
        let status = json!({"status": {}});
        for kind in ["dockerhosts", "hostassignments"] {
            let path = dockfleet(&format!("{kind}/{}/status", self.other));
            refuse(Method::PATCH, &path, &status, &says)?;
        }
        let held = json!({"spec": {"holderIdentity": self.other}});
        refuse(Method::PATCH, &lease, &held, "has to be held by")?;
        // Tokens.
        let token = core(&format!("serviceaccounts/{own}/token"));
        let others = core(&format!("serviceaccounts/{}/token", self.other));
        let week = 7 * 24 * 3600;
        refuse(
            Method::POST,
            &others,
            &token_request(&self.other, 600),
            &says,
        )?;
        let unbound = json!({"spec": {"expirationSeconds": 600}});
        refuse(Method::POST, &token, &unbound, "has to be bound to Secret")?;
        let to_other = token_request(&self.other, 600);
        refuse(Method::POST, &token, &to_other, "has to be bound to Secret")?;
        refuse(
            Method::POST,
            &token,
            &token_request(own, week + 1),
            "at most",
        )?;
        let (status, text) = self.raw(&Method::POST, &token, &token_request(own, week))?;
        ensure!(status == 201, "its own: {status} {text}");
        // The API server itself takes no metadata by way of a status.
        for (kind, mark) in ["dockerhosts", "hostassignments"]
            .into_iter()
            .flat_map(|kind| marks.iter().map(move |mark| (kind, mark)))
        {
            let path = dockfleet(&format!("{kind}/{own}/status"));
            let (status, text) = self.raw(&Method::PATCH, &path, mark)?;
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            let meta = &answer["metadata"];
            let took = meta["labels"]["a"] == "b"
                || meta["annotations"]["a"] == "b"
                || meta["finalizers"].to_string().contains("a.io/b")
                || meta["ownerReferences"].to_string().contains("Node");
            ensure!(
                status == 403 || (status == 200 && !took),
                "{path} {mark}: {status} {text}"
            );
        }
        ensure!(tried > 25, "{tried} were tried");
        Ok(())
    }

    fn raw(&self, method: &Method, path: &str, body: &Value) -> Result<(u16, String)> {
        let kind = if *method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header("Content-Type", kind)
            .body(Body::from(body.to_string().into_bytes()))?;
        self.runtime.block_on(async {
            let answer = self.client.send(request).await?;
            let code = answer.status().as_u16();
            let read = answer.into_body().collect_bytes();
            let bytes = tokio::time::timeout(Duration::from_secs(30), read).await??;
            Ok((code, String::from_utf8_lossy(&bytes).into_owned()))
        })
    }
}

fn namespace(target: Target) -> Option<&'static str> {
    match target {
        Target::Own | Target::OtherHost | Target::Unnamed => Some(FLEET),
        Target::OtherNamespace | Target::UnnamedElsewhere => Some("default"),
        Target::Everywhere | Target::Cluster => None,
    }
}

fn targets(served: &Served) -> Vec<Target> {
    use Target::{Cluster, Everywhere, OtherHost, OtherNamespace, Own, Unnamed, UnnamedElsewhere};
    let is_sub = served.name.contains('/');
    let all = if served.is_namespaced {
        vec![
            Own,
            OtherHost,
            OtherNamespace,
            Unnamed,
            UnnamedElsewhere,
            Everywhere,
        ]
    } else {
        vec![Cluster, Everywhere]
    };
    // A subresource is one of a named object.
    all.into_iter()
        .filter(|t| !is_sub || t.is_named())
        .collect()
}

/// Whether a verb can be tried on what has a name, or on what has none.
fn fits(verb: Verb, target: Target, is_sub: bool) -> bool {
    match verb {
        // A subresource is neither listed nor deleted with others.
        Verb::List | Verb::Watch | Verb::DeleteCollection if is_sub => false,
        Verb::Get | Verb::Update | Verb::Patch | Verb::Delete => target.is_named(),
        Verb::DeleteCollection => !target.is_named(),
        // Resources are made without a name in the path, subresources with one.
        Verb::List | Verb::Watch | Verb::Create | Verb::Special(_) => true,
    }
}

fn token_request(secret: &str, seconds: u64) -> Value {
    json!({"spec": {
        "expirationSeconds": seconds,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": secret},
    }})
}
