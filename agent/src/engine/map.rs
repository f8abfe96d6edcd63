//! Maps of strings: sorted here, in hash maps in the client library.

use std::collections::{BTreeMap, HashMap};

/// Returns a map for a request. An empty map is left out, so that the engine's defaults apply.
pub(crate) fn to_engine(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// Returns a map from an answer.
pub(crate) fn from_engine(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.into_iter().flatten().collect()
}
