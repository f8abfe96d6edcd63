//! Adapts a status to a CRD that is older than this agent.
//!
//! An API server refuses a whole status if its CRD does not have one field or value, for example after a
//! rollback of the CRDs. Everything else must still be written (invariant 15).

use kube::core::Status;
use serde_json::Value;

/// End of an API server's message about a field that the CRD does not have. Source: `typed/validate.go` in
/// `sigs.k8s.io/structured-merge-diff`.
const NOT_DECLARED: &str = ": field not declared in schema";
/// Reason of a cause: the CRD has an enum at that field, and the value is not in it.
const NOT_SUPPORTED: &str = "FieldValueNotSupported";
/// The state that replaces a state that the CRD does not have; every version of the CRD has it.
const NEAREST_STATE: &str = "Failed";

/// Removes the fields and values that the CRD does not have from a refused status. Returns whether anything
/// was removed: a status that was refused for another reason is not changed.
pub(super) fn fit(status: &mut Value, refusal: &Status) -> bool {
    let mut fitted = false;
    for before in undeclared(&refusal.message) {
        fitted |= take_out(status, before, None);
    }
    let causes = refusal.details.iter().flat_map(|d| &d.causes);
    for cause in causes.filter(|c| c.reason == NOT_SUPPORTED) {
        let field = cause.field.rsplit('.').next();
        let nearest = (field == Some("state")).then_some(NEAREST_STATE);
        fitted |= take_out(status, &cause.field, nearest);
    }
    fitted
}

/// Returns the paths in a message of fields that are not declared, such as `.status.agent`.
fn undeclared(message: &str) -> impl Iterator<Item = &str> {
    let ends = message.match_indices(NOT_DECLARED).map(|(at, _)| at);
    let before = ends.filter_map(|at| message.get(..at));
    before.filter_map(|text| text.split_whitespace().next_back())
}

/// Removes the field at a path such as `.status.entries[0].reason`, or sets another value.
fn take_out(status: &mut Value, path: &str, word: Option<&str>) -> bool {
    let pointer = path.replace(['.', '['], "/").replace(']', "");
    let pointer = pointer.trim_start_matches('/');
    let Some(pointer) = pointer.strip_prefix("status") else {
        return false;
    };
    let Some((parent, field)) = pointer.rsplit_once('/') else {
        return false;
    };
    let Some(Value::Object(parent)) = status.pointer_mut(parent) else {
        return false;
    };
    match word {
        Some(word) => parent.insert(field.to_owned(), word.into()).is_some(),
        None => parent.remove(field).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};
    use serde_json::json;

    use super::*;

    #[test]
    fn i15_fields_and_words_that_the_crd_does_not_have_are_taken_out_and_nothing_else() {
        let mut status = json!({
            "agent": {"version": "0.2.0"},
            "entries": {"desired": 1, "unassigned": 2},
            "conditions": [{"type": "Ready"}],
        });
        let refusal = Status::failure(
            "failed to create typed patch object (fleet/web-1; dockfleet.io/v1alpha1, Kind=DockerHost): \
             errors:\n  .status.agent: field not declared in schema\n  \
             .status.entries.unassigned: field not declared in schema",
            "InternalError",
        );
        assert!(fit(&mut status, &refusal));
        let expected = json!({"entries": {"desired": 1}, "conditions": [{"type": "Ready"}]});
        assert_eq!(status, expected);

        let mut status = json!({"entries": [
            {"uid": "a", "state": "Ready"},
            {"uid": "b", "state": "Unsupported", "reason": "AgentTooOld", "message": "why"},
        ]});
        let cause = |field: &str| StatusCause {
            reason: NOT_SUPPORTED.to_owned(),
            message: "Unsupported value".to_owned(),
            field: field.to_owned(),
        };
        let mut refusal = Status::failure("HostAssignment web-1 is invalid", "Invalid");
        refusal.details = Some(StatusDetails {
            name: "web-1".to_owned(),
            group: "dockfleet.io".to_owned(),
            kind: "HostAssignment".to_owned(),
            uid: String::new(),
            causes: vec![
                cause("status.entries[1].state"),
                cause("status.entries[1].reason"),
            ],
            retry_after_seconds: 0,
        });
        assert!(fit(&mut status, &refusal));
        let expected = json!({"entries": [
            {"uid": "a", "state": "Ready"},
            {"uid": "b", "state": "Failed", "message": "why"},
        ]});
        assert_eq!(status, expected);
    }

    #[test]
    fn a_status_that_is_refused_for_another_reason_stays_as_it_is() {
        let status = json!({"entries": []});
        for message in [
            "etcdserver: request timed out",
            ": field not declared in schema",
            ".spec.x: field not declared in schema",
            ".status.nothing[3].like: field not declared in schema",
        ] {
            let mut refused = status.clone();
            assert!(!fit(
                &mut refused,
                &Status::failure(message, "InternalError")
            ));
            assert_eq!(refused, status);
        }
    }
}
