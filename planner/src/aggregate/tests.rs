use super::*;

fn entry(intent: Intent) -> Entry {
    Entry {
        uid: "u".to_owned(),
        revision: "r".to_owned(),
        intent: intent.into(),
        ..Entry::default()
    }
}

fn status(state: EntryState, reason: Option<Reason>, message: &str) -> EntryStatus {
    EntryStatus {
        uid: "u".to_owned(),
        revision: "r".to_owned(),
        state: state.into(),
        reason: reason.map(Into::into),
        message: message.to_owned(),
        ..EntryStatus::default()
    }
}

/// One host with its entry and its reported status.
#[derive(Default)]
struct Host {
    entry: Option<Entry>,
    status: Option<EntryStatus>,
    refused: Option<Refusal>,
    offline: bool,
}

fn present(state: EntryState, reason: Option<Reason>, message: &str) -> Host {
    Host {
        entry: Some(entry(Intent::Present)),
        status: Some(status(state, reason, message)),
        ..Host::default()
    }
}

fn ready() -> Host {
    present(EntryState::Ready, None, "")
}

fn unreported(intent: Intent) -> Host {
    Host {
        entry: Some(entry(intent)),
        ..Host::default()
    }
}

fn refused(reason: Reason) -> Host {
    let message = "no".to_owned();
    Host {
        refused: Some(Refusal { reason, message }),
        ..Host::default()
    }
}

fn add(hosts: &[Host], notes: &Notes) -> Aggregate {
    let names: Vec<String> = (0..hosts.len()).map(|i| format!("h{i:02}")).collect();
    let views = hosts.iter().zip(&names).map(|(h, host)| HostView {
        host,
        entry: h.entry.as_ref(),
        status: h.status.as_ref(),
        refused: h.refused.as_ref(),
        offline: h.offline,
    });
    aggregate(views, notes)
}

fn failing(host: &str, reason: Reason, message: &str) -> FailingHost {
    FailingHost {
        host: host.to_owned(),
        reason: reason.into(),
        message: message.to_owned(),
    }
}

/// Returns the conditions as `Type=Status/Reason`.
fn short(a: &Aggregate) -> Vec<String> {
    a.conditions
        .iter()
        .map(|c| format!("{}={}/{}", c.type_, c.status.as_str(), c.reason))
        .collect()
}

/// The result of kstatus for the conditions (cli-utils pkg/kstatus/status/generic.go).
fn kstatus(a: &Aggregate) -> &'static str {
    let is = |t: &str| a.conditions.iter().find(|c| c.type_ == t).map(|c| c.status);
    match (
        is(condition::RECONCILING),
        is(condition::STALLED),
        is(condition::READY),
    ) {
        (Some(ConditionStatus::True), _, _) => "InProgress",
        (_, Some(ConditionStatus::True), _) => "Failed",
        (_, _, Some(ConditionStatus::True) | None) => "Current",
        _ => "InProgress",
    }
}

#[test]
fn all_hosts_ready() {
    assert_eq!(
        add(&[ready(), ready()], &Notes::default()),
        Aggregate {
            hosts: HostCounts {
                desired: 2,
                ready: 2,
                ..HostCounts::default()
            },
            failing: vec![],
            conditions: vec![
                NewCondition::new(
                    condition::READY,
                    ConditionStatus::True,
                    "Ready",
                    "2 of 2 hosts are ready"
                ),
                NewCondition::new(condition::ACCEPTED, ConditionStatus::True, "Accepted", ""),
            ],
        }
    );
}

#[test]
fn no_host_is_no_failure() {
    let a = add(&[], &Notes::default());
    assert_eq!(short(&a), ["Ready=True/NoHosts", "Accepted=True/Accepted"]);
    assert_eq!(kstatus(&a), "Current");
}

#[test]
fn ready_is_unknown_while_progressing() {
    let stale = Host {
        status: Some(EntryStatus {
            revision: "old".to_owned(),
            ..status(EntryState::Failed, Some(Reason::Conflict), "old news")
        }),
        ..unreported(Intent::Present)
    };
    // Selected, but the entry is not written yet.
    for host in [unreported(Intent::Present), stale, Host::default()] {
        let a = add(&[ready(), host], &Notes::default());
        assert_eq!(
            short(&a),
            [
                "Ready=Unknown/Progressing",
                "Reconciling=True/Progressing",
                "Accepted=True/Accepted"
            ]
        );
        assert_eq!((a.hosts.ready, a.hosts.pending, a.failing), (1, 1, vec![]));
    }
}

#[test]
fn what_waits_is_named() {
    let waits = present(
        EntryState::Pending,
        Some(Reason::EngineUnreachable),
        "no answer",
    );
    let a = add(&[waits], &Notes::default());
    assert_eq!(
        a.failing,
        [failing("h00", Reason::EngineUnreachable, "no answer")]
    );
    assert_eq!(
        short(&a),
        [
            "Ready=Unknown/EngineUnreachable",
            "Reconciling=True/Progressing",
            "Accepted=True/Accepted"
        ]
    );
}

#[test]
fn a_failure_that_does_not_end_by_itself_is_stalled() {
    let a = add(
        &[
            ready(),
            present(EntryState::Failed, Some(Reason::Conflict), "taken"),
        ],
        &Notes::default(),
    );
    assert_eq!(
        a.conditions,
        [
            NewCondition::new(
                condition::READY,
                ConditionStatus::False,
                "Conflict",
                "1 of 2 hosts are ready; h01: taken"
            ),
            NewCondition::new(
                condition::STALLED,
                ConditionStatus::True,
                "Conflict",
                "1 of 2 hosts are ready; h01: taken"
            ),
            NewCondition::new(condition::ACCEPTED, ConditionStatus::True, "Accepted", ""),
        ]
    );
    assert_eq!(kstatus(&a), "Failed");
}

#[test]
fn nothing_is_stalled_while_a_host_makes_progress() {
    let conflict = || present(EntryState::Failed, Some(Reason::Conflict), "taken");
    let refused = || {
        present(
            EntryState::Failed,
            Some(Reason::EngineBusy),
            "no pool is free",
        )
    };
    for hosts in [
        vec![conflict(), unreported(Intent::Present)],
        vec![conflict(), unreported(Intent::Absent)],
        vec![conflict(), refused()],
        vec![refused()],
    ] {
        let a = add(&hosts, &Notes::default());
        assert!(short(&a).contains(&"Reconciling=True/Progressing".to_owned()));
        assert!(a.conditions.iter().all(|c| c.type_ != condition::STALLED));
        assert_eq!(kstatus(&a), "InProgress");
    }
}

#[test]
fn a_refusal_of_an_engine_is_stalled() {
    let refused = present(EntryState::Failed, Some(Reason::EngineRefused), "no");
    let a = add(&[refused], &Notes::default());
    assert_eq!(
        short(&a),
        [
            "Ready=False/EngineRefused",
            "Stalled=True/EngineRefused",
            "Accepted=True/Accepted"
        ]
    );
    assert_eq!(kstatus(&a), "Failed");
}

#[test]
fn drift_that_is_left_is_not_ready() {
    let a = add(
        &[present(
            EntryState::Drifted,
            Some(Reason::Drifted),
            "left as it is",
        )],
        &Notes::default(),
    );
    assert_eq!(
        short(&a),
        [
            "Ready=False/Drifted",
            "Stalled=True/Drifted",
            "Accepted=True/Accepted"
        ]
    );
    assert_eq!((a.hosts.drifted, a.hosts.failed), (1, 0));
}

#[test]
fn the_worst_host_gives_the_reason() {
    let hosts = [
        present(
            EntryState::Pending,
            Some(Reason::EngineUnreachable),
            "no answer",
        ),
        present(EntryState::Drifted, Some(Reason::Drifted), "left"),
        present(EntryState::Failed, Some(Reason::Lost), "gone"),
    ];
    let a = add(&hosts, &Notes::default());
    assert_eq!(short(&a).first().unwrap(), "Ready=False/Lost");
    assert_eq!(a.failing.len(), 3);
}

#[test]
fn at_most_ten_hosts_are_named_and_failures_before_waits() {
    let mut hosts: Vec<Host> = (0..20)
        .map(|_| present(EntryState::Pending, Some(Reason::EngineUnreachable), ""))
        .collect();
    hosts.push(present(EntryState::Failed, Some(Reason::Invalid), "bad"));
    let a = add(&hosts, &Notes::default());
    assert_eq!(a.failing.len(), MAX_FAILING_HOSTS);
    assert_eq!(a.failing.first().unwrap().host, "h00");
    assert_eq!(
        a.failing.last().unwrap(),
        &failing("h20", Reason::Invalid, "bad")
    );
    assert_eq!(
        (a.hosts.pending, a.hosts.failed, a.hosts.desired),
        (20, 1, 21)
    );
}

#[test]
fn a_failure_without_a_reason_is_a_failure() {
    let a = add(&[present(EntryState::Failed, None, "")], &Notes::default());
    assert_eq!(short(&a).first().unwrap(), "Ready=False/Failed");
}

#[test]
fn tombstones_count_as_removing_until_the_entry_is_removed() {
    let done = Host {
        entry: Some(entry(Intent::Absent)),
        status: Some(status(EntryState::Gone, Some(Reason::Removed), "")),
        ..Host::default()
    };
    let in_use = Host {
        entry: Some(entry(Intent::Absent)),
        status: Some(status(
            EntryState::Pending,
            Some(Reason::InUse),
            "used by web",
        )),
        ..Host::default()
    };
    let a = add(
        &[ready(), done, in_use, unreported(Intent::Absent)],
        &Notes::default(),
    );
    assert_eq!(
        a.hosts,
        HostCounts {
            desired: 1,
            ready: 1,
            removing: 3,
            ..HostCounts::default()
        }
    );
    assert_eq!(a.failing, [failing("h02", Reason::InUse, "used by web")]);
    assert_eq!(
        short(&a),
        [
            "Ready=True/Ready",
            "Reconciling=True/Progressing",
            "Accepted=True/Accepted"
        ]
    );
}

#[test]
fn a_resource_being_deleted_is_never_ready() {
    let notes = Notes {
        deleting: true,
        ..Notes::default()
    };
    assert_eq!(
        short(&add(&[unreported(Intent::Absent)], &notes)),
        [
            "Ready=Unknown/Deleting",
            "Reconciling=True/Progressing",
            "Accepted=True/Accepted"
        ]
    );
}

#[test]
fn a_suspended_resource_makes_no_progress() {
    let notes = Notes {
        suspended: true,
        ..Notes::default()
    };
    let waits = present(
        EntryState::Pending,
        Some(Reason::Suspended),
        "to be created",
    );
    assert_eq!(
        short(&add(&[waits], &notes)),
        ["Ready=Unknown/Suspended", "Accepted=True/Accepted"]
    );
    assert_eq!(
        short(&add(&[ready()], &notes)),
        ["Ready=True/Ready", "Accepted=True/Accepted"]
    );
}

#[test]
fn hosts_that_do_not_allow_the_namespace_make_it_not_accepted() {
    let a = add(&[ready(), refused(Reason::NotAllowed)], &Notes::default());
    assert_eq!(
        short(&a),
        [
            "Ready=False/NotAllowed",
            "Stalled=True/NotAllowed",
            "Accepted=False/NotAllowed"
        ]
    );
    assert_eq!(
        a.conditions.last().unwrap().message,
        "1 of 2 selected hosts do not allow this namespace"
    );
    let a = add(&[refused(Reason::Conflict)], &Notes::default());
    assert_eq!(short(&a).last().unwrap(), "Accepted=True/Accepted");
}

#[test]
fn warnings_are_shown_and_change_nothing() {
    let notes = Notes {
        warnings: vec!["one".to_owned(), "two".to_owned()],
        ..Notes::default()
    };
    assert_eq!(
        add(&[ready()], &notes).conditions.last().unwrap(),
        &NewCondition::new(
            condition::ACCEPTED,
            ConditionStatus::True,
            "AcceptedWithWarnings",
            "one; two"
        )
    );
}

fn offline(host: Host) -> Host {
    Host {
        offline: true,
        ..host
    }
}

/// invariant 7.
#[test]
fn an_offline_host_blocks_nothing_and_is_counted() {
    let gone = unreported(Intent::Present);
    let sum = add(&[ready(), offline(gone)], &Notes::default());
    assert_eq!((sum.hosts.ready, sum.hosts.offline), (1, 1));
    assert_eq!((sum.hosts.desired, sum.hosts.pending), (2, 0));
    assert_eq!(short(&sum), ["Ready=True/Ready", "Accepted=True/Accepted"]);
    assert_eq!(
        sum.conditions[0].message,
        "1 of 2 hosts are ready; 1 offline"
    );
    let message = "the host has not reported for a long time";
    assert_eq!(sum.failing, [failing("h01", Reason::Offline, message)]);
    assert_eq!(kstatus(&sum), "Current");
}

#[test]
fn the_last_report_of_an_offline_host_does_not_count() {
    let failed = present(EntryState::Failed, Some(Reason::Conflict), "taken");
    let sum = add(&[ready(), offline(failed)], &Notes::default());
    assert_eq!((sum.hosts.failed, sum.hosts.offline), (0, 1));
    assert_eq!(kstatus(&sum), "Current");
    // It does not hide the reports of other hosts.
    let failed = present(EntryState::Failed, Some(Reason::Conflict), "taken");
    let sum = add(&[failed, offline(ready())], &Notes::default());
    assert_eq!(
        short(&sum),
        [
            "Ready=False/Conflict",
            "Stalled=True/Conflict",
            "Accepted=True/Accepted"
        ]
    );
}

#[test]
fn with_ready_policy_all_offline_hosts_are_waited_for() {
    let all = Notes {
        ready_policy: ReadyPolicy::All,
        ..Notes::default()
    };
    let waiting = [
        "Ready=Unknown/Offline",
        "Reconciling=True/Progressing",
        "Accepted=True/Accepted",
    ];
    assert_eq!(short(&add(&[ready(), offline(ready())], &all)), waiting);
    // If all hosts are offline, the resource is not ready, whatever the policy.
    let nobody = add(&[offline(ready()), offline(ready())], &Notes::default());
    assert_eq!(short(&nobody), waiting);
    assert_eq!(kstatus(&nobody), "InProgress");
}

#[test]
fn a_removal_on_an_offline_host_is_not_waited_for() {
    let tombstone = offline(unreported(Intent::Absent));
    let sum = add(&[ready(), tombstone], &Notes::default());
    assert_eq!((sum.hosts.removing, sum.hosts.offline), (1, 0));
    assert_eq!(kstatus(&sum), "Current");
    let tombstone = unreported(Intent::Absent);
    assert_eq!(
        kstatus(&add(&[ready(), tombstone], &Notes::default())),
        "InProgress"
    );
}

#[test]
fn a_host_that_is_being_worked_on_is_progress_beside_an_offline_one() {
    let sum = add(
        &[unreported(Intent::Present), offline(ready())],
        &Notes::default(),
    );
    assert_eq!(
        short(&sum),
        [
            "Ready=Unknown/Progressing",
            "Reconciling=True/Progressing",
            "Accepted=True/Accepted"
        ]
    );
}

#[test]
fn i15_a_state_or_reason_of_a_newer_agent_is_neither_good_nor_bad_and_is_passed_on() {
    let mut host = present(EntryState::Ready, None, "the moon is full");
    if let Some(status) = &mut host.status {
        status.state = Open::Unknown("Waxing".to_owned());
        status.reason = Some(Open::Unknown("MoonPhase".to_owned()));
    }
    let all = add(&[ready(), host], &Notes::default());
    assert_eq!((all.hosts.ready, all.hosts.pending), (1, 1));
    let unknown = FailingHost {
        host: "h01".to_owned(),
        reason: Open::Unknown("MoonPhase".to_owned()),
        message: "the moon is full".to_owned(),
    };
    assert_eq!(all.failing, [unknown]);
    let want = [
        "Ready=Unknown/MoonPhase",
        "Reconciling=True/Progressing",
        "Accepted=True/Accepted",
    ];
    assert_eq!(short(&all), want);
}

#[test]
fn an_entry_that_an_agent_does_not_support_has_failed_and_is_stalled() {
    let reason = Some(Reason::AgentTooOld);
    let all = add(
        &[present(
            EntryState::Unsupported,
            reason,
            "upgrade the agent",
        )],
        &Notes::default(),
    );
    assert_eq!(all.hosts.failed, 1);
    let want = [
        "Ready=False/AgentTooOld",
        "Stalled=True/AgentTooOld",
        "Accepted=True/Accepted",
    ];
    assert_eq!(short(&all), want);
}
