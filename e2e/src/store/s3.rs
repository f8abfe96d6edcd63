//! An S3 server: versitygw, which keeps objects as files of a folder.

use anyhow::Result;

use super::{Listen, Store, StoreAddress, certificate, data, folder_with_data, secret, sockets};
use crate::program::{self, BuiltSet};
use crate::server::curl;

/// The region of the server, which requests are signed for.
const REGION: &str = "eu-central-1";
/// A header that the server asks for and curl leaves out: the SHA-256 of nothing.
const NO_CONTENT: &str = "x-amz-content-sha256: \
    e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The bucket that a test finds.
const BUCKET: &str = "backups";

pub(super) fn start(listen: &Listen) -> Result<Store> {
    let folder = folder_with_data()?;
    let sockets = sockets(listen)?;
    let certificate = certificate(listen, folder.path())?;
    // As long as those of the large providers: clients check that.
    let (access_key, secret_key) = (format!("AKIA{}", secret(16)?), secret(40)?);
    let endpoint = format!("{}://{}", listen.scheme(), sockets.public);

    let program = program::built(BuiltSet::Versitygw)?.join("versitygw");
    let mut command = program::command(program, ["--port", &sockets.server.to_string()]);
    command
        .args(["--region", REGION, "--quiet"])
        .env("ROOT_ACCESS_KEY", &access_key)
        .env("ROOT_SECRET_KEY", &secret_key);
    if let Some(files) = &certificate {
        command.arg("--cert").arg(&files.cert);
        command.arg("--key").arg(&files.key);
    }
    command.arg("posix").arg(data(&folder));

    let config = format!("user = \"{access_key}:{secret_key}\"\n");
    let config = super::write(&folder, "curl", &config)?;
    let ca = certificate.map(|files| files.ca);
    let address = StoreAddress::S3 {
        endpoint: endpoint.clone(),
        bucket: BUCKET.to_owned(),
        region: REGION.to_owned(),
        access_key,
        secret_key,
        ca: ca.clone(),
    };
    let store = Store::started(address, folder, command, &sockets, listen)?;
    let config = config.display().to_string();
    let (scope, url) = (
        format!("aws:amz:{REGION}:s3"),
        format!("{endpoint}/{BUCKET}"),
    );
    let mut args = vec!["--config", &config, "--aws-sigv4", &scope];
    args.extend(["--request", "PUT", "--header", NO_CONTENT, &url]);
    let ca = ca.map(|file| file.display().to_string());
    if let Some(ca) = &ca {
        args.extend(["--cacert", ca]);
    }
    curl(&args)?;
    Ok(store)
}
