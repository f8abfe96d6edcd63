//! The host of an agent and its API server, as a kubeconfig.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::Token;

/// Name of the cluster in the kubeconfig.
const CLUSTER: &str = "dockfleet";

/// The host of an agent, and its API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Address of the API server, with https.
    pub server: String,
    /// The CA certificates of the API server, in PEM; no others are trusted.
    pub ca: String,
    /// Namespace of the DockerHost.
    pub namespace: String,
    /// Name of the DockerHost.
    pub host: String,
}

/// Why an enrolment is not valid.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// Its text is not JSON.
    #[error("it is not a kubeconfig in JSON as `dockfleet enroll` writes it")]
    NoKubeconfig(#[source] serde_json::Error),
    /// Something is missing or wrong.
    #[error("{what} is {found:?}; it must be {wanted}")]
    Wrong {
        /// The part that is wrong.
        what: &'static str,
        /// The value.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// It cannot be turned into a client configuration.
    #[error("it does not describe a connection to an API server")]
    NoWay(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Enrolment {
    /// Checks the values without a call.
    pub fn check(&self) -> Result<(), KubeconfigError> {
        let wrong = |what, found: &str, wanted| KubeconfigError::Wrong {
            what,
            found: found.to_owned(),
            wanted,
        };
        if !self.server.starts_with("https://") || self.server.len() <= "https://".len() {
            let wanted =
                "an address such as https://10.0.0.1:6443: a token is not sent in the clear";
            return Err(wrong("the server", &self.server, wanted));
        }
        if certificates(&self.ca).is_none_or(|all| all.is_empty()) {
            let start: String = self.ca.chars().take(40).collect();
            let wanted = "PEM with at least one certificate, or a file of that";
            return Err(wrong("the CA", &start, wanted));
        }
        for (what, name) in [("the namespace", &self.namespace), ("the host", &self.host)] {
            let is_name =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
            if name.is_empty() || name.len() > 253 || !name.bytes().all(is_name) {
                return Err(wrong(what, name, "the name of a Kubernetes object"));
            }
        }
        Ok(())
    }

    /// Reads what [`to_kubeconfig`](Self::to_kubeconfig) wrote, and the token if there is one.
    pub fn from_kubeconfig(text: &str) -> Result<(Self, Option<Token>), KubeconfigError> {
        let value: Value = serde_json::from_str(text).map_err(KubeconfigError::NoKubeconfig)?;
        let first = |list: &str, path: &str| {
            let pointer = format!("/{list}/0/{path}");
            value
                .pointer(&pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let ca = STANDARD.decode(first("clusters", "cluster/certificate-authority-data"));
        let enrolment = Self {
            server: first("clusters", "cluster/server"),
            ca: ca
                .ok()
                .and_then(|pem| String::from_utf8(pem).ok())
                .unwrap_or_default(),
            namespace: first("contexts", "context/namespace"),
            host: first("contexts", "context/user"),
        };
        enrolment.check()?;
        Ok((enrolment, Token::parse(&first("users", "user/token"))))
    }

    /// Returns a kubeconfig with this user; `kubectl` can use it too.
    fn kubeconfig(&self, user: &Value) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.host,
            "clusters": [{"name": CLUSTER, "cluster": {
                "server": self.server,
                "certificate-authority-data": STANDARD.encode(&self.ca),
            }}],
            "users": [{"name": self.host, "user": user}],
            "contexts": [{"name": self.host, "context": {
                "cluster": CLUSTER,
                "user": self.host,
                "namespace": self.namespace,
            }}],
        })
    }

    /// Returns a kubeconfig with the token, to be copied to a host.
    pub fn to_kubeconfig(&self, token: &Token) -> String {
        format!("{:#}\n", self.kubeconfig(&json!({"token": token.expose()})))
    }

    /// Returns a kubeconfig that names a file with the token, to be kept on the host.
    pub(super) fn to_kubeconfig_with_file(&self, token: &str) -> String {
        format!("{:#}\n", self.kubeconfig(&json!({"tokenFile": token})))
    }

    /// Returns the client configuration, with a token or its file.
    pub(super) async fn config(
        &self,
        credential: &Proof<'_>,
    ) -> Result<kube::Config, KubeconfigError> {
        let user = match credential {
            Proof::Token(token) => json!({"token": token.expose()}),
            Proof::File(path) => json!({"tokenFile": path}),
        };
        let kubeconfig: Kubeconfig = serde_json::from_value(self.kubeconfig(&user))
            .map_err(KubeconfigError::NoKubeconfig)?;
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|err| KubeconfigError::NoWay(Box::new(err)))
    }

    /// Returns the namespace and the name of the host for a message.
    pub(super) fn which(&self) -> String {
        format!("{}/{}", self.namespace, self.host)
    }
}

/// The credential of a client.
pub(super) enum Proof<'a> {
    /// This token.
    Token(&'a Token),
    /// The token in this file, which the client reads again when it changes.
    File(&'a str),
}

/// Returns the certificates of a PEM text in DER form; `None` if one is not valid.
pub fn certificates(pem: &str) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let mut inside: Option<String> = None;
    for line in pem.lines().map(str::trim) {
        match (line, &mut inside) {
            ("-----BEGIN CERTIFICATE-----", _) => inside = Some(String::new()),
            ("-----END CERTIFICATE-----", body) => {
                all.push(STANDARD.decode(body.take()?).ok()?);
            }
            (line, Some(body)) => body.push_str(line),
            (_, None) => {}
        }
    }
    inside.is_none().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolment() -> Enrolment {
        Enrolment {
            server: "https://10.0.0.1:6443".to_owned(),
            ca: "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n".to_owned(),
            namespace: "hosts".to_owned(),
            host: "web-1".to_owned(),
        }
    }

    #[test]
    fn a_written_kubeconfig_can_be_read() {
        let token = Token::parse("a.b.c").unwrap();
        let text = enrolment().to_kubeconfig(&token);
        let read = Enrolment::from_kubeconfig(&text).unwrap();
        assert_eq!(read, (enrolment(), Some(token)));
        let text = enrolment().to_kubeconfig_with_file("/state/token");
        let read = Enrolment::from_kubeconfig(&text).unwrap();
        assert_eq!(read, (enrolment(), None));
    }

    #[test]
    fn an_invalid_enrolment_is_an_error_with_its_value() {
        let message = |change: fn(&mut Enrolment)| {
            let mut wrong = enrolment();
            change(&mut wrong);
            wrong.check().unwrap_err().to_string()
        };
        assert!(message(|e| e.server = "http://a".into()).contains("\"http://a\""));
        assert!(message(|e| e.ca = "nonsense".into()).contains("\"nonsense\""));
        assert!(message(|e| e.host = "../etc".into()).contains("\"../etc\""));
        assert!(message(|e| e.namespace = String::new()).contains("namespace"));
        assert!(Enrolment::from_kubeconfig("kind: Config").is_err());
    }

    #[test]
    fn certificates_are_found_between_their_lines() {
        let twice = enrolment().ca.repeat(2);
        assert_eq!(certificates(&twice), Some(vec![b"hello".to_vec(); 2]));
        assert_eq!(certificates("-----BEGIN CERTIFICATE-----\naGVs"), None);
    }
}
