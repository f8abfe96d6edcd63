//! What an engine must be to do what an entry asks. The table of each kind is in its folder.

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

/// A text that is no API version.
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

/// One feature of a kind of object that not every supported engine has.
#[derive(Debug)]
pub struct Capability<D> {
    /// Its name in the status of a host.
    pub name: &'static str,
    /// The oldest API version that has it.
    pub since: ApiVersion,
    /// The engine release of that version, for people.
    pub engine: &'static str,
    /// Returns the field that asks for it, where one does.
    pub(crate) asks: fn(&D) -> Option<&'static str>,
}

/// Returns the names of what an engine can do above the oldest supported one.
pub fn of(api: ApiVersion) -> Vec<String> {
    kinds::capabilities()
        .filter(|(_, since)| api >= *since)
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// Returns why an engine cannot do what is asked, naming the field, the needed and the actual
/// version; `None` where it can.
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
