//! A map of driver options.

use std::collections::BTreeMap;

/// A map of options that ignores unset values.
#[derive(Debug, Default)]
pub(crate) struct Options(BTreeMap<String, String>);

impl Options {
    pub(crate) fn set(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.insert(key.to_owned(), value.to_string());
        }
    }

    pub(crate) fn extend(&mut self, more: &BTreeMap<String, String>) {
        self.0
            .extend(more.iter().map(|(k, v)| (k.clone(), v.clone())));
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }
}
