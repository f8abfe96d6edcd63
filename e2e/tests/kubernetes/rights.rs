//! What an agent may do at the API server.

use anyhow::Result;
use dockfleet_e2e::Generation::Newest;

use crate::bench::{Bench, FLEET, network};

/// All that an agent is given: its own assignment and its own host, and to write their status.
const RIGHTS: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: {name: h1, namespace: dockfleet-hosts}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: h1, namespace: dockfleet-hosts}
rules:
- {apiGroups: [dockfleet.io], resources: [hostassignments], resourceNames: [h1], verbs: [get, list, watch]}
- {apiGroups: [dockfleet.io], resources: [dockerhosts], resourceNames: [h1], verbs: [get]}
- {apiGroups: [dockfleet.io], resources: [hostassignments/status, dockerhosts/status], resourceNames: [h1], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: h1, namespace: dockfleet-hosts}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: h1}
subjects: [{kind: ServiceAccount, name: h1, namespace: dockfleet-hosts}]
";

/// invariant 10.
#[test]
fn an_agent_works_with_rights_on_its_own_objects_only() -> Result<()> {
    let bench = Bench::prepare(&[("h1", Newest, "{}")])?;
    let [h1] = bench.hosts()?;
    bench.apply(RIGHTS)?;
    let token = bench.kubectl(&format!("create token h1 -n {FLEET}"))?;
    h1.use_kubeconfig(&bench.plane.kubeconfig_with_token(&token)?);
    bench.start_controller()?;
    h1.start_agent()?;
    bench.everybody_goes_on("front")?;
    bench.ready(&format!("dhost/h1 -n {FLEET}"))?;
    bench.kubectl("delete dnet/front --timeout=60s")?;
    h1.await_no_network("front")?;
    bench.assigned(h1, &[])?;

    // Taken away: it goes on by what it knows, and takes the refusal for nothing.
    bench.apply(&network("kept", "{hostSelector: {}}"))?;
    bench.ready("dnet/kept")?;
    let id = h1.network_id("kept")?;
    bench.kubectl(&format!("delete rolebinding/h1 -n {FLEET}"))?;
    h1.kill_agent()?;
    h1.engine.docker(["network", "rm", "kept"])?;
    h1.start_agent()?;
    assert_ne!(h1.await_network("kept")?["Id"], id.as_str());
    crate::bench::log_says(h1, "Forbidden")
}
