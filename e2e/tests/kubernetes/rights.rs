//! What an agent may do at the API server: what is in the table of `docs/kubernetes.md`, and nothing
//! else.

mod attempts;
mod discovery;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use dockfleet_e2e::Generation::{Debian20, Newest};
use dockfleet_e2e::eventually;

use crate::test_cluster::{FLEET, SOON, TestCluster};
use attempts::{Outcome, Prober, Target};
use discovery::Verb;

/// What the documents list for agents: `group/resource verb`, for objects of the own name.
fn listed() -> Result<BTreeSet<(String, Verb)>> {
    let page = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/kubernetes.md"
    ))?;
    let table = page
        .lines()
        .skip_while(|line| *line != "| API group | resource | verbs |")
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut listed = BTreeSet::new();
    for line in table {
        let cells: Vec<&str> = line
            .split('|')
            .map(|c| c.trim().trim_matches('`'))
            .collect();
        let [_, group, resource, verbs, _] = cells[..] else {
            anyhow::bail!("an odd row: {line}");
        };
        let group = if group == "core" { "" } else { group };
        for verb in verbs.split(", ") {
            let verb = Verb::of(verb).with_context(|| format!("no verb: {verb}"))?;
            listed.insert((format!("{group}/{resource}"), verb));
        }
    }
    ensure!(listed.len() > 8, "the table is gone: {listed:?}");
    Ok(listed)
}

/// Show 1 of the fleet's access; invariant 10.
#[test]
fn i10_an_agent_may_do_what_the_documents_list_and_nothing_else() -> Result<()> {
    let cluster = TestCluster::start(&[
        ("h1", Newest, "{}"),
        ("h2", Newest, "{}"),
        ("h3", Debian20, "{}"),
    ])?;
    // It works, from end to end.
    cluster.everybody_goes_on("front")?;
    cluster.kubectl("delete dnet/front --timeout=60s")?;
    for host in &cluster.hosts {
        host.await_no_network("front")?;
        cluster.assigned(host, &[])?;
    }
    cluster.kubectl("create secret generic s -n default --from-literal=a=b")?;

    let listed = listed()?;
    let mut table = String::new();
    for (host, other) in [("h1", "h2"), ("h2", "h3"), ("h3", "h1")] {
        let host = cluster.hosts.iter().find(|m| m.name() == host);
        let host = host.context("no such host")?;
        let prober = Prober::new(&cluster.plane, host, other)?;
        let found = prober.try_everything()?;
        let mut counts: BTreeMap<(Verb, Target), (usize, usize)> = BTreeMap::new();
        let mut used = BTreeSet::new();
        let mut trespasses = Vec::new();
        for attempt in &found {
            let (allowed, refused) = counts.entry((attempt.verb, attempt.target)).or_default();
            if attempt.outcome == Outcome::Refused {
                *refused += 1;
                continue;
            }
            *allowed += 1;
            let right = (attempt.resource.clone(), attempt.verb);
            if attempt.target == Target::Own && listed.contains(&right) {
                used.insert(right);
            } else if !discovery::is_everybodys(&attempt.resource, attempt.verb) {
                trespasses.push(attempt);
            }
        }
        writeln!(table, "agent of {}: {} attempts", host.name(), found.len())?;
        for ((verb, target), (allowed, refused)) in &counts {
            let (verb, target) = (verb.as_str(), target.as_str());
            writeln!(
                table,
                "  {verb:17} {target:34} {allowed:4} allowed {refused:5} refused"
            )?;
        }
        ensure!(trespasses.is_empty(), "{table}\n{trespasses:#?}");
        // The list is no longer than what is needed.
        assert_eq!(used, listed, "{table}");
    }
    println!("{table}0 allowed beyond the list in docs/kubernetes.md");
    Ok(())
}

/// What rights cannot tell apart, the policy does.
#[test]
fn i10_a_policy_keeps_labels_and_tokens_from_agents() -> Result<()> {
    let cluster = TestCluster::start(&[("h1", Newest, "{}"), ("h2", Newest, "{}")])?;
    let [h1, _] = cluster.hosts()?;
    // Whatever its Role says.
    cluster.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\n\
         metadata: {{name: too-much, namespace: {FLEET}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}\n\
         subjects: [{{kind: ServiceAccount, name: h1, namespace: {FLEET}}}]\n"
    ))?;
    cluster.apply(&format!(
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\n\
         metadata: {{name: h1, namespace: {FLEET}}}\n"
    ))?;
    let prober = Prober::new(&cluster.plane, h1, "h2")?;
    prober.await_right("create", "", "secrets")?;
    prober.try_what_the_policy_forbids()
}

/// `helm install` brings the rights and the controller at the same time.
#[test]
fn a_controller_that_is_there_before_its_rights_waits_for_them() -> Result<()> {
    let cluster = TestCluster::prepare(&[("h1", Newest, "{}")])?;
    let [h1] = cluster.hosts()?;
    cluster.kubectl("delete clusterrolebinding dockfleet-controller")?;
    let config = cluster.plane.kubeconfig_for_controller()?;
    let config = config.display();
    let question = format!("--kubeconfig {config} auth can-i list dockerhosts.dockfleet.io -A");
    eventually("an API server that knows of it", SOON, || {
        let may = cluster.plane.kubectl(question.split_whitespace());
        let may = may.map_err(|e| e.to_string())?.stdout;
        (may.trim() == "no").then_some(()).ok_or(may)
    })?;
    cluster.start_controller()?;
    let log = cluster.controller_log_path()?;
    eventually("a controller that waits", SOON, || {
        let text = std::fs::read_to_string(&log).map_err(|e| e.to_string())?;
        let waits = text.contains("cannot start yet") && text.contains("is forbidden");
        waits.then_some(()).ok_or(text)
    })?;
    cluster.plane.grant_rights(FLEET)?;
    h1.join(&cluster.plane)?;
    h1.start_agent()?;
    cluster.everybody_goes_on("front")
}
