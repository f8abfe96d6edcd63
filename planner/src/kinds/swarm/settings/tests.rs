use super::*;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn changed(pairs: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
    let pairs = pairs.iter();
    pairs
        .map(|(k, v)| ((*k).to_owned(), v.map(str::to_owned)))
        .collect()
}

/// Applies settings to a node.
fn apply(settings: NodeSettings, node: &mut Node) {
    if let Some(availability) = settings.availability {
        node.availability = availability;
    }
    for (key, value) in settings.labels {
        match value {
            Some(value) => drop(node.labels.insert(key, value)),
            None => drop(node.labels.remove(&key)),
        }
    }
}

/// Applies what changes, and checks that nothing is left to change.
fn settle(want: &DesiredNode, node: &mut Node) -> NodeSettings {
    let settings = NodeSettings::of(want, node);
    apply(settings.clone(), node);
    assert!(NodeSettings::of(want, node).is_empty(), "{want:?} {node:?}");
    settings
}

#[test]
fn labels_that_are_no_longer_wanted_are_removed_and_those_of_others_stay() {
    let mut node = Node {
        labels: labels(&[("theirs", "1")]),
        ..Node::default()
    };
    let mut want = DesiredNode {
        labels: labels(&[("disk", "ssd"), ("rack", "r1")]),
        ..DesiredNode::default()
    };
    settle(&want, &mut node);
    assert_eq!(
        node.labels,
        labels(&[
            ("disk", "ssd"),
            ("rack", "r1"),
            ("theirs", "1"),
            (LABEL_KEYS, "disk,rack")
        ])
    );
    want.labels = labels(&[("disk", "hdd")]);
    let change = settle(&want, &mut node).labels;
    assert_eq!(
        change,
        changed(&[
            ("disk", Some("hdd")),
            ("rack", None),
            (LABEL_KEYS, Some("disk"))
        ])
    );
    want.labels = labels(&[]);
    settle(&want, &mut node);
    assert_eq!(node.labels, labels(&[("theirs", "1")]));
}

#[test]
fn the_availability_is_changed_only_if_it_is_set() {
    let mut node = Node {
        availability: Availability::Pause,
        ..Node::default()
    };
    let mut want = DesiredNode::default();
    assert!(settle(&want, &mut node).is_empty());
    want.availability = Some(Availability::Active.into());
    settle(&want, &mut node);
    assert_eq!(node.availability, Availability::Active);
}

#[test]
fn a_node_that_was_to_leave_and_stays_is_used_again() {
    let mut node = Node::default();
    let mut want = DesiredNode {
        leaves: true,
        ..DesiredNode::default()
    };
    settle(&want, &mut node);
    assert_eq!(node.availability, Availability::Drain);
    want.leaves = false;
    settle(&want, &mut node);
    assert_eq!(node, Node::default());
    // One that somebody else had drained stays drained.
    node.availability = Availability::Drain;
    want.leaves = true;
    assert!(settle(&want, &mut node).is_empty());
    want.leaves = false;
    assert!(settle(&want, &mut node).is_empty());
}
