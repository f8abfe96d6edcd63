use super::*;
use crate::fixtures::map;

fn d(field: &str, want: &str, have: &str) -> FieldDiff {
    FieldDiff {
        field: field.to_owned(),
        want: want.to_owned(),
        have: have.to_owned(),
    }
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn volumes(
    want: &[(&str, &str)],
    have: &[(&str, &str)],
    labels: (Pairs<'_>, Pairs<'_>),
) -> Vec<FieldDiff> {
    let want = DesiredVolume {
        name: "data".to_owned(),
        driver: "local".to_owned(),
        options: map(want),
        labels: map(labels.0),
        ..DesiredVolume::default()
    };
    let have = ObservedVolume {
        name: "data".to_owned(),
        driver: "local".to_owned(),
        options: map(have),
        labels: map(labels.1),
        ..ObservedVolume::default()
    };
    volume(&want, &have, None)
}

#[test]
fn a_volume_with_other_options_is_another_volume() {
    let none: (Pairs<'_>, Pairs<'_>) = (&[], &[]);
    assert_eq!(volumes(&[], &[], none), vec![]);
    assert_eq!(
        volumes(
            &[("type", "nfs")],
            &[("type", "tmpfs"), ("o", "size=1")],
            none
        ),
        vec![
            d("options[type]", "nfs", "tmpfs"),
            d("options[o]", "nothing", "size=1")
        ]
    );
    assert_eq!(volumes(&[], &[], (&[], &[("more", "x")])), vec![]);
    assert_eq!(
        volumes(&[], &[], (&[("a", "b")], &[])),
        vec![d("labels[a]", "b", "")]
    );
}

#[test]
fn credentials_of_a_mount_are_not_shown() {
    let none: (Pairs<'_>, Pairs<'_>) = (&[], &[]);
    assert_eq!(
        volumes(
            &[("o", "password=mine")],
            &[("o", "username=a,password=hunter2")],
            none
        ),
        vec![d("options[o]", "password=***", "username=a,password=***")]
    );
}
