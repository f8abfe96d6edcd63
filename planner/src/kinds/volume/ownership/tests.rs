use super::*;
use crate::fixtures::map;

fn ownership(apply: OwnershipApply) -> DesiredOwnership {
    DesiredOwnership {
        uid: Some(1000),
        gid: None,
        mode: Some(0o750),
        apply,
    }
}

fn want(apply: OwnershipApply) -> DesiredVolume {
    DesiredVolume {
        name: "data".to_owned(),
        driver: LOCAL.to_owned(),
        ownership: Some(ownership(apply)),
        ..DesiredVolume::default()
    }
}

fn have(folder: Option<TopFolder>) -> ObservedVolume {
    ObservedVolume {
        name: "data".to_owned(),
        driver: LOCAL.to_owned(),
        top_folder: folder,
        ..ObservedVolume::default()
    }
}

/// A folder of root, in the group 7.
fn of_root(has_files: bool) -> TopFolder {
    TopFolder {
        uid: 0,
        gid: 7,
        mode: 0o755,
        has_files,
    }
}

fn right(has_files: bool) -> TopFolder {
    TopFolder {
        uid: 1000,
        mode: 0o750,
        ..of_root(has_files)
    }
}

#[test]
fn an_empty_volume_is_set_and_one_with_files_only_with_root() {
    use OwnershipApply::{Initial, Root};
    let next = |apply, folder| ownership(apply).next(&folder);
    // What is not set stays as it is: the group.
    assert_eq!(next(Initial, of_root(false)), Some(right(false)));
    assert_eq!(next(Initial, of_root(true)), None);
    assert_eq!(next(Root, of_root(true)), Some(right(true)));
    for apply in [Initial, Root] {
        assert_eq!(next(apply, right(false)), None);
    }
    let fields = |apply, folder| -> Vec<String> {
        let diff = diff(&want(apply), &have(folder)).into_iter();
        diff.map(|d| d.to_string()).collect()
    };
    let both = [
        "ownership.uid: want 1000, have 0",
        "ownership.mode: want 0750, have 0755",
    ];
    assert_eq!(fields(Initial, Some(of_root(false))), both);
    assert_eq!(fields(Root, Some(of_root(true))), both);
    assert_eq!(fields(Initial, Some(of_root(true))), [""; 0]);
    assert_eq!(fields(Root, None), [""; 0]);
}

#[test]
fn an_owner_that_stays_because_of_files_is_told() {
    use OwnershipApply::{Initial, Root};
    let told = |apply, folder| note(&want(apply), &have(Some(folder)));
    assert_eq!(
        told(Initial, of_root(true)).as_deref(),
        Some(
            "the volume has files, so its top folder stays as it is: ownership.uid: want 1000, have 0; \
             ownership.mode: want 0750, have 0755; to change it, set apply: Root"
        )
    );
    for (apply, folder) in [
        (Initial, right(true)),
        (Initial, of_root(false)),
        (Root, of_root(true)),
    ] {
        assert_eq!(told(apply, folder), None);
    }
}

#[test]
fn a_folder_is_examined_only_where_something_may_change_it() {
    use OwnershipApply::{Initial, Root};
    let on = |apply, folder| examine_on(&want(apply), &have(folder));
    assert_eq!(on(Initial, None), Some(Occasion::None));
    assert_eq!(on(Root, None), Some(Occasion::None));
    assert_eq!(on(Initial, Some(right(false))), Some(Occasion::Containers));
    assert_eq!(on(Initial, Some(right(true))), None);
    assert_eq!(on(Root, Some(right(true))), Some(Occasion::Time));
    let plain = DesiredVolume::default();
    assert_eq!(examine_on(&plain, &have(None)), None);
}

/// An agent never goes into a folder that the engine mounts from elsewhere, or that a plugin keeps.
#[test]
fn only_the_folder_of_a_volume_on_the_engines_disk_has_an_owner() {
    let mounted = ObservedVolume {
        options: map(&[("type", "none"), ("o", "bind"), ("device", "/srv")]),
        ..have(Some(of_root(false)))
    };
    let of_plugin = ObservedVolume {
        driver: "plugin".to_owned(),
        ..have(Some(of_root(false)))
    };
    for volume in [mounted, of_plugin] {
        let want = want(OwnershipApply::Root);
        assert_eq!(diff(&want, &volume), []);
        assert_eq!(change(&want, &volume), None);
        assert_eq!(examine_on(&want, &volume), None);
    }
    let quota = ObservedVolume {
        options: map(&[("size", "1")]),
        ..have(Some(of_root(false)))
    };
    assert!(change(&want(OwnershipApply::Initial), &quota).is_some());
}

#[test]
fn what_was_found_is_kept_and_recalled() {
    use crate::kinds::ObservedObject as _;
    let seen = have(Some(of_root(true)));
    let kept = seen.examined().unwrap();
    assert_eq!(
        kept,
        serde_json::json!({"uid": 0, "gid": 7, "mode": 493, "hasFiles": true})
    );
    let mut later = have(None);
    later.recall(&kept);
    assert_eq!(later, seen);
    // A form of another version is as if nothing was found.
    later.recall(&serde_json::json!({"owner": "root"}));
    assert_eq!(later, have(None));
}

#[test]
fn a_mode_is_read_as_octal() {
    let spec = |mode: &str| Ownership {
        mode: Some(mode.to_owned()),
        ..Ownership::default()
    };
    let mode = |text: &str| DesiredOwnership::of(&spec(text)).map(|o| o.mode);
    assert_eq!(mode("750"), Ok(Some(0o750)));
    assert_eq!(mode("2750"), Ok(Some(0o2750)));
    assert_eq!(
        mode("rwx").unwrap_err().to_string(),
        "spec.ownership.mode: rwx is not a mode such as 0750"
    );
    let entry = serde_json::to_value(DesiredOwnership::of(&spec("0750")).unwrap()).unwrap();
    assert_eq!(entry, serde_json::json!({"mode": 488}));
}
