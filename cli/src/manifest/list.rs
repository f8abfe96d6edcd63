//! Lists of resources, as in `kubectl get -o yaml`.

use std::sync::Arc;

use serde_json::Value;

use super::kinds;
use super::yaml::Node;

/// A resource, with the fields that its list sets for all items.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) node: Arc<Node>,
    pub(super) value: Value,
}

/// Adds a document to `all`. For a list it adds the items, also those of nested lists.
pub(super) fn take_apart(node: Arc<Node>, all: &mut Vec<Item>) {
    let mut left = vec![(node, None)];
    while let Some((node, of)) = left.pop() {
        let items = is_list(&node).then(|| node.get("items")).flatten();
        match items.and_then(|items| items.items()) {
            Some(items) => {
                let of = Of::list(&node);
                let items = items.iter().rev().cloned();
                left.extend(items.map(|item| (item, of.clone())));
            }
            // An empty list.
            None if items.is_some_and(|items| items.is_null()) => {}
            None => {
                let mut value = node.value();
                if let Some(of) = of {
                    of.tell(&mut value);
                }
                all.push(Item { node, value });
            }
        }
    }
}

/// `List`, or a list of one kind from an API server.
fn is_list(node: &Node) -> bool {
    let (kind, version) = (node.text("kind"), node.text("apiVersion"));
    match kind.and_then(|kind| kind.strip_suffix("List")) {
        Some("") => version == Some("v1"),
        Some(kind) => kinds::is_known(kind),
        None => false,
    }
}

/// The kind of the items of such a list, which do not have it themselves.
#[derive(Clone, Debug)]
struct Of {
    kind: String,
    version: String,
}

impl Of {
    fn list(node: &Node) -> Option<Self> {
        let kind = node.text("kind")?.strip_suffix("List")?;
        (!kind.is_empty()).then(|| Self {
            kind: kind.to_owned(),
            version: node.text("apiVersion").unwrap_or_default().to_owned(),
        })
    }

    fn tell(self, value: &mut Value) {
        let Some(fields) = value.as_object_mut() else {
            return;
        };
        for (name, text) in [("kind", self.kind), ("apiVersion", self.version)] {
            fields.entry(name).or_insert_with(|| text.into());
        }
    }
}
