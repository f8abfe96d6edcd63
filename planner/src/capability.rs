//! The engine version that an entry needs. Each kind has a table in its folder.

use std::fmt;
use std::str::FromStr;

use crate::kinds;

/// A version of the Engine API, such as 1.41.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u32, pub u32);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A text that is not an API version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an API version such as 1.41")]
pub struct NoApiVersion(String);

impl FromStr for ApiVersion {
    type Err = NoApiVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('.')
            .and_then(|(major, minor)| Some(Self(major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| NoApiVersion(text.to_owned()))
    }
}

/// A feature of a kind of object that not every supported engine has.
#[derive(Debug)]
pub struct Capability<D> {
    /// Name in the status of a host.
    pub name: &'static str,
    /// The oldest API version that has it.
    pub since: ApiVersion,
    /// The engine release with that API version, for messages.
    pub engine: &'static str,
    /// Returns the field that needs it, if one does.
    pub(crate) asks: fn(&D) -> Option<&'static str>,
}

/// Returns the names of the capabilities that an engine has.
pub fn of(api: ApiVersion) -> Vec<String> {
    kinds::capabilities()
        .filter(|(_, since)| api >= *since)
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Returns why an engine does not support an object: the field, the version that it needs and the actual
/// version. `None` if the engine supports it.
pub(crate) fn missing<D>(table: &[Capability<D>], desired: &D, api: ApiVersion) -> Option<String> {
    table.iter().filter(|c| api < c.since).find_map(|c| {
        let field = (c.asks)(desired)?;
        Some(format!(
            "{field} needs Engine {} (API {}); this host has API {api}",
            c.engine, c.since
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_grow_with_the_version() {
        assert_eq!(of(ApiVersion(1, 41)), Vec::<String>::new());
        assert_eq!(
            of(ApiVersion(1, 45)),
            ["IpvlanFlag", "IpvlanL3s", "HostIPv6"]
        );
        assert_eq!(of(ApiVersion(2, 0)).len(), 8);
    }

    #[test]
    fn versions_are_numbers_and_not_text() {
        assert!("1.9".parse::<ApiVersion>().unwrap() < "1.41".parse().unwrap());
        assert_eq!(
            "latest".parse::<ApiVersion>().unwrap_err().to_string(),
            "\"latest\" is not an API version such as 1.41"
        );
    }
}
