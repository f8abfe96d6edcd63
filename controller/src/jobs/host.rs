//! Calls about one host: its assignment is written, or looked up.

use dockfleet_crds::HostAssignment;
use kube::Api;
use kube::api::{DeleteParams, Patch, Preconditions};
use tracing::{info, warn};

use super::{Context, Done, Key, Learned, apply, in_time};
use crate::index::{HostCall, HostWork};
use crate::object::Name;

/// Does what is to be done about a host.
pub(crate) async fn work_on_host(ctx: Context, host: Name, work: HostWork) -> Done {
    let api: Api<HostAssignment> = Api::namespaced(ctx.client.clone(), &host.namespace);
    let HostWork { call, asked_with } = work;
    let answer = match call {
        HostCall::Write(assignment) => {
            let params = apply();
            let patch = Patch::Apply(&*assignment);
            in_time(api.patch(&host.name, &params, &patch))
                .await
                .map(|written| {
                    info!(
                        entries = written.spec.entries.len(),
                        generation = written.metadata.generation,
                        "assigned"
                    );
                    let assignment = Box::new(written);
                    Learned::Written {
                        host: host.clone(),
                        asked_with,
                        assignment,
                    }
                })
        }
        HostCall::Look => in_time(api.get_opt(&host.name)).await.map(|seen| {
            let assignment = seen.map(Box::new);
            Learned::Looked {
                host: host.clone(),
                asked_with,
                assignment,
            }
        }),
        HostCall::Discard(uid) => {
            let params = DeleteParams::default().preconditions(Preconditions {
                uid: Some(uid),
                resource_version: None,
            });
            in_time(async {
                match api.delete(&host.name, &params).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                    other => other.map(drop),
                }
            })
            .await
            .map(|()| {
                warn!("the API server was set back; the assignment is made anew");
                Learned::Looked {
                    host: host.clone(),
                    asked_with,
                    assignment: None,
                }
            })
        }
    };
    let key = Key::Host(host);
    match answer {
        Ok(learned) => Done {
            key,
            learned: vec![learned],
            failed: None,
        },
        Err(err) => Done {
            key,
            learned: Vec::new(),
            failed: Some(err),
        },
    }
}
