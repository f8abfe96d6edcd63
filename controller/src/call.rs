//! The verb and resource of an API request, and how it failed. Both are closed sets, because they
//! are labels of metrics.

use http::{Method, StatusCode, Uri};

macro_rules! resources {
    ($($kind:ident $object:literal $plural:literal,)*) => {
        /// The resources that the controller reads or writes.
        const RESOURCES: &[&str] = &[
            $($plural, concat!($plural, "/status"),)*
            "customresourcedefinitions",
            "dockerhosts",
            "dockerhosts/status",
            "events",
            "hostassignments",
            "hostassignments/status",
            "leases",
            "namespaces",
            "rolebindings",
            "roles",
            "secrets",
            "serviceaccounts",
            "serviceaccounts/token",
        ];
    };
}

dockfleet_crds::kinds!(resources);

/// Everything else, such as API discovery.
const OTHER: &str = "other";

/// A Kubernetes verb and a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ApiCall {
    verb: &'static str,
    resource: &'static str,
}

impl ApiCall {
    /// Returns the call that a request makes.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<&str> = uri.path().split('/').filter(|p| !p.is_empty()).collect();
        // The path of the core group is `/api/VERSION`, that of every other group
        // `/apis/GROUP/VERSION`.
        let mut parts = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest.to_vec(),
            _ => Vec::new(),
        };
        if parts.len() > 2 && parts.first() == Some(&"namespaces") {
            parts.drain(..2);
        }
        let wanted = match parts.as_slice() {
            [resource, _, sub] => format!("{resource}/{sub}"),
            [resource, ..] => (*resource).to_owned(),
            [] => String::new(),
        };
        let resource = RESOURCES.iter().find(|known| **known == wanted);
        let verb = match (method.as_str(), parts.len()) {
            ("GET", _) if is_watch(uri) => "watch",
            ("GET", 1) => "list",
            ("GET" | "HEAD", _) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", _) => "delete",
            _ => OTHER,
        };
        Self {
            verb,
            resource: resource.copied().unwrap_or(OTHER),
        }
    }

    /// Returns the resource, with its subresource.
    pub(crate) fn resource(self) -> &'static str {
        self.resource
    }

    /// Returns the call as a label of metrics.
    pub(crate) fn label(self) -> String {
        format!("{} {}", self.verb, self.resource)
    }
}

fn is_watch(uri: &Uri) -> bool {
    let mut pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
    pairs.any(|pair| matches!(pair, "watch=true" | "watch=1"))
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ApiFailure {
    /// The API server did not answer in time.
    Timeout,
    /// The request did not reach the API server.
    Unreachable,
    /// The request was not sent, because this controller is not the leader.
    NotLeading,
    /// The caller is not authenticated or not authorized.
    Forbidden,
    /// The object to write does not exist.
    NotFound,
    /// Another client changed the object first.
    Conflict,
    /// The API server is overloaded.
    Throttled,
    /// The API server refused for another reason.
    Refused,
    /// The API server failed.
    Server,
}

impl ApiFailure {
    /// Returns the failure that a response stands for, if any. Not found is a normal result of a
    /// read.
    pub(crate) fn of(call: ApiCall, status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            404 if matches!(call.verb, "get" | "list" | "watch") => None,
            ..400 => None,
            401 | 403 => Some(Self::Forbidden),
            404 | 410 => Some(Self::NotFound),
            409 => Some(Self::Conflict),
            429 => Some(Self::Throttled),
            504 => Some(Self::Timeout),
            400..500 => Some(Self::Refused),
            _ => Some(Self::Server),
        }
    }

    /// Returns the failure as a label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::NotLeading => "not-leading",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Server => "server",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &Method, uri: &str) -> String {
        ApiCall::of(method, &uri.parse().unwrap()).label()
    }

    #[test]
    fn a_request_is_a_verb_and_a_resource() {
        let fleet = "/apis/dockfleet.io/v1alpha1/namespaces/dockfleet-hosts";
        for (method, uri, expected) in [
            (
                Method::PATCH,
                format!("{fleet}/hostassignments/web-1?force=true"),
                "patch hostassignments",
            ),
            (
                Method::PATCH,
                "/apis/dockfleet.io/v1alpha1/namespaces/n/dockernetworks/x/status".to_owned(),
                "patch dockernetworks/status",
            ),
            (
                Method::GET,
                "/apis/dockfleet.io/v1alpha1/dockernetworks?&limit=500".to_owned(),
                "list dockernetworks",
            ),
            (
                Method::GET,
                "/apis/dockfleet.io/v1alpha1/dockernetworks?&watch=true&timeoutSeconds=290"
                    .to_owned(),
                "watch dockernetworks",
            ),
            (
                Method::GET,
                "/api/v1/namespaces".to_owned(),
                "list namespaces",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/kube-system".to_owned(),
                "get namespaces",
            ),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/n/events?".to_owned(),
                "create events",
            ),
            (
                Method::DELETE,
                format!("{fleet}/hostassignments/web-1"),
                "delete hostassignments",
            ),
            (Method::GET, "/version".to_owned(), "get other"),
            (
                Method::PUT,
                "/api/v1/namespaces/n/pods/p".to_owned(),
                "update other",
            ),
        ] {
            assert_eq!(call(&method, &uri), expected, "{uri}");
        }
    }

    #[test]
    fn not_found_is_a_failure_of_writes_only() {
        let of = |method, code| {
            let call = ApiCall::of(&method, &Uri::from_static("/api/v1/namespaces/n"));
            ApiFailure::of(call, StatusCode::from_u16(code).unwrap())
        };
        assert_eq!(of(Method::GET, 404), None);
        assert_eq!(of(Method::PATCH, 404), Some(ApiFailure::NotFound));
        assert_eq!(of(Method::PATCH, 200), None);
        assert_eq!(of(Method::PATCH, 409), Some(ApiFailure::Conflict));
        assert_eq!(of(Method::PATCH, 422), Some(ApiFailure::Refused));
        assert_eq!(of(Method::GET, 503), Some(ApiFailure::Server));
    }
}
