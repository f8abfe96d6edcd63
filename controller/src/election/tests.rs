use k8s_openapi::jiff::Timestamp;

use super::*;

const TIMES: ElectionTimes = ElectionTimes {
    lease_duration: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    retry_period: Duration::from_secs(2),
};

fn lease(holder: Option<&str>, version: &str) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some("l".to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(20),
            ..LeaseSpec::default()
        }),
    }
}

fn s(seconds: u64) -> BootTime {
    BootTime::at(seconds * 1000)
}

/// What is seen when the Lease first looks like that at 100 s.
fn observed(holder: Option<&str>) -> ObservedLease {
    ObservedLease::next(None, Some(lease(holder, "1")), s(100), &TIMES)
}

fn decided(seen: &ObservedLease, renewed: Option<u64>, now: u64) -> Decision {
    decide("me", seen, renewed.map(s), s(now), &TIMES)
}

#[test]
fn a_changed_lease_expires_after_the_duration_of_its_holder() {
    let first = observed(Some("other"));
    assert_eq!(first.free_at, s(120));
    // The same again, later: it is the change that counts and not the look.
    let again = ObservedLease::next(
        Some(&first),
        Some(lease(Some("other"), "1")),
        s(110),
        &TIMES,
    );
    assert_eq!(again.free_at, s(120));
    let renewed = ObservedLease::next(
        Some(&first),
        Some(lease(Some("other"), "2")),
        s(110),
        &TIMES,
    );
    assert_eq!(renewed.free_at, s(130));
}

#[test]
fn a_released_lease_is_free_at_once() {
    let held = observed(Some("other"));
    for nobody in [None, Some("")] {
        let free = ObservedLease::next(Some(&held), Some(lease(nobody, "2")), s(101), &TIMES);
        assert_eq!(decided(&free, None, 101), Decision::Claim);
    }
}

#[test]
fn a_deleted_lease_keeps_its_expiry() {
    let held = observed(Some("other"));
    let gone = ObservedLease::next(Some(&held), None, s(101), &TIMES);
    assert_eq!(decided(&gone, None, 101), Decision::Wait(s(103)));
    assert_eq!(decided(&gone, None, 120), Decision::Claim);
    let never = ObservedLease::next(None, None, s(1), &TIMES);
    assert_eq!(decided(&never, None, 1), Decision::Claim);
}

#[test]
fn a_standby_waits_for_the_whole_duration_and_looks_meanwhile() {
    let held = observed(Some("other"));
    assert_eq!(decided(&held, None, 100), Decision::Wait(s(102)));
    assert_eq!(decided(&held, None, 119), Decision::Wait(s(120)));
    assert_eq!(decided(&held, None, 120), Decision::Claim);
}

#[test]
fn a_claim_whose_answer_was_lost_is_claimed_again() {
    assert_eq!(decided(&observed(Some("me")), None, 100), Decision::Claim);
}

#[test]
fn the_leader_renews_in_time_and_gives_up_before_others_take_over() {
    let mine = observed(Some("me"));
    assert_eq!(decided(&mine, Some(100), 101), Decision::Wait(s(102)));
    assert_eq!(decided(&mine, Some(100), 102), Decision::Claim);
    assert_eq!(decided(&mine, Some(100), 109), Decision::Claim);
    let expired = Decision::Lost(Loss::Expired(TIMES.renew_deadline));
    assert_eq!(decided(&mine, Some(100), 110), expired);
    // Halted for a day: the same, whatever is seen.
    assert_eq!(decided(&mine, Some(100), 86_500), expired);
}

#[test]
fn a_leader_that_sees_another_holder_has_lost() {
    let taken = Decision::Lost(Loss::Taken("other".to_owned()));
    assert_eq!(decided(&observed(Some("other")), Some(100), 101), taken);
    assert_eq!(
        decided(&observed(None), Some(100), 101),
        Decision::Lost(Loss::Cleared)
    );
    let mine = observed(Some("me"));
    let gone = ObservedLease::next(Some(&mine), None, s(102), &TIMES);
    assert_eq!(decided(&gone, Some(100), 102), Decision::Claim);
}

#[test]
fn no_two_decide_to_write_by_one_version() {
    // Whatever a standby sees and when: it claims at the earliest a whole duration after the
    // change, and by then the holder's deadline is over. The change is seen when it is made or
    // later, and it is made when the renewal is sent or later.
    for seen_late in 0..5 {
        for now in 100..140 {
            let leads = !matches!(
                decided(&observed(Some("me")), Some(100), now),
                Decision::Lost(_)
            );
            let seen = ObservedLease::next(
                None,
                Some(lease(Some("me"), "1")),
                s(100 + seen_late),
                &TIMES,
            );
            let other = decide("other", &seen, None, s(now), &TIMES);
            assert!(!(leads && other == Decision::Claim), "both at {now}");
        }
    }
}

#[test]
fn a_claim_carries_the_version_and_counts_changes_of_the_holder() {
    let time = MicroTime(Timestamp::UNIX_EPOCH);
    let first = claimed("me", "l", None, time.clone(), &TIMES);
    let spec = first.spec.unwrap();
    assert_eq!(first.metadata.resource_version, None);
    assert_eq!(spec.lease_transitions, Some(0));
    assert_eq!(spec.lease_duration_seconds, Some(15));

    let taken = claimed(
        "me",
        "l",
        Some(&lease(Some("other"), "7")),
        time.clone(),
        &TIMES,
    );
    assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
    let spec = taken.spec.clone().unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("me"));
    assert_eq!(spec.lease_transitions, Some(1));

    let later = MicroTime(Timestamp::from_second(9).unwrap());
    let kept = claimed("me", "l", Some(&taken), later.clone(), &TIMES);
    let spec = kept.spec.clone().unwrap();
    assert_eq!(spec.acquire_time, Some(time));
    assert_eq!(spec.renew_time, Some(later.clone()));
    assert_eq!(spec.lease_transitions, Some(1));

    let left = released(&kept, later);
    assert_eq!(holder(&left), None);
    assert_eq!(left.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(left.spec.unwrap().lease_transitions, Some(1));
}

#[test]
fn times_that_leave_no_room_are_refused_with_a_reason() {
    assert_eq!(ElectionTimes::default().check(), Ok(()));
    let with = |lease: u64, renew: u64, retry: u64| {
        let times = ElectionTimes {
            lease_duration: Duration::from_millis(lease),
            renew_deadline: Duration::from_millis(renew),
            retry_period: Duration::from_millis(retry),
        };
        times.check().map_err(|err| err.to_string())
    };
    assert_eq!(with(3000, 2000, 1000), Ok(()));
    assert_eq!(
        with(2500, 2000, 500).unwrap_err(),
        "the lease duration is 2.5s; write whole seconds, 1s or more"
    );
    assert_eq!(
        with(2000, 2000, 500).unwrap_err(),
        "the renew deadline 2s has to be less than the lease duration 2s"
    );
    for retry in [0, 1001] {
        assert!(
            with(3000, 2000, retry)
                .unwrap_err()
                .contains("at most half")
        );
    }
}
