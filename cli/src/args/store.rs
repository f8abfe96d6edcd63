//! How the commands for backups are told where a repository is, and how its store is reached.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command};
use dockfleet_vault::{Address, AddressError};

use crate::duration::duration;

/// How the store of a repository is reached.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// File with the credentials of the store, a line NAME=VALUE for each: `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY` of S3, `RESTIC_REST_USERNAME` and `RESTIC_REST_PASSWORD` of a REST server. Without
    /// it: the variables with these names.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials_file: Option<PathBuf>,
    /// Region of the S3 bucket. Default: us-east-1.
    #[arg(long, env = "AWS_REGION", value_name = "REGION", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) region: Option<String>,
    /// File with the certificates of the only authorities that the server of the store is trusted by. Default:
    /// those that this host trusts.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// File with the private key for sftp. Default: as ssh is configured.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity_file: Option<PathBuf>,
    /// File with the keys of ssh servers. Default: as ssh is configured. A server whose key is in no such file is
    /// refused.
    #[arg(long, value_name = "FILE")]
    pub(crate) known_hosts_file: Option<PathBuf>,
    /// Most bytes in a second to the store, such as 5MB. Default: no limit.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) limit_upload: Option<u64>,
    /// Most bytes in a second from the store, such as 5MB. Default: no limit.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub(crate) limit_download: Option<u64>,
    /// How long an operation is tried again if the store does not answer.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub(crate) retry_for: Duration,
    /// How long the locks of others are waited for, at most. The lock of a process that was killed counts for 40
    /// minutes.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(crate) lock_wait: Duration,
}

/// Reads bytes in a second, such as `5MB`.
fn rate(text: &str) -> Result<u64, String> {
    let wrong = || "write bytes in a second, at least 1KB, such as 500KB, 5MB or 5MiB".to_owned();
    let ByteSize(rate) = text.parse().map_err(|_| wrong())?;
    if rate < 1000 {
        return Err(wrong());
    }
    Ok(rate)
}

/// Reads an address. What is wrong is not shown again: it may have a password.
#[derive(Clone, Debug)]
pub(crate) struct AddressParser;

impl TypedValueParser for AddressParser {
    type Value = Address;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Address, clap::Error> {
        let parsed = value.to_str().ok_or(AddressError::Unknown);
        parsed.and_then(str::parse).map_err(|err| {
            let arg = arg.map(ToString::to_string).unwrap_or_default();
            clap::Error::raw(ErrorKind::ValueValidation, format!("{arg}: {err}\n"))
                .with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_units() {
        assert_eq!(rate("5MB"), Ok(5_000_000));
        assert_eq!(rate("1MiB"), Ok(1 << 20));
        assert_eq!(rate("1000"), Ok(1000));
        for bad in ["", "5 apples", "0", "999B", "-1MB"] {
            assert!(rate(bad).unwrap_err().contains("such as 500KB"), "{bad}");
        }
    }
}
