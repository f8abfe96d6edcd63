//! The keys and certificates of one control plane, and the kubeconfig files made from them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, SigningKey as _,
};
use serde_json::{Value, json};

/// The first address of the service range, which the API server calls itself by.
const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Writes everything the servers and the administrator need into `folder`: `ca.crt`, `server.crt`,
/// `server.key`, `admin.crt`, `admin.key`, `accounts.key` and `accounts.pub`.
pub(super) fn write(folder: &Path, address: Ipv4Addr) -> Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    authority
        .distinguished_name
        .push(DnType::CommonName, "dockfleet-e2e");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let save = |name: &str, text: String| {
        fs::write(folder.join(name), text).with_context(|| format!("could not write {name}"))
    };
    save("ca.crt", authority.pem())?;

    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "kubernetes".to_owned()])?;
    server.subject_alt_names.extend(
        [Ipv4Addr::LOCALHOST, address, SERVICE_ADDRESS]
            .map(|address| SanType::IpAddress(IpAddr::V4(address))),
    );
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    save("server.crt", server.signed_by(&key, &authority)?.pem())?;
    save("server.key", key.serialize_pem())?;

    let mut admin = CertificateParams::new(Vec::new())?;
    admin
        .distinguished_name
        .push(DnType::CommonName, "e2e-admin");
    admin
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    save("admin.crt", admin.signed_by(&key, &authority)?.pem())?;
    save("admin.key", key.serialize_pem())?;

    // The API server signs with the one and checks with the other; it takes elliptic curve keys as
    // it takes RSA.
    let key = KeyPair::generate()?;
    save("accounts.key", key.serialize_pem())?;
    save("accounts.pub", key.public_key_pem())
}

/// Gives the administrator's entry of a kubeconfig.
pub(super) fn admin(folder: &Path) -> Value {
    json!({
        "client-certificate": folder.join("admin.crt"),
        "client-key": folder.join("admin.key"),
    })
}

/// Writes a kubeconfig whose user has the entry `user`; JSON is YAML.
pub(super) fn write_kubeconfig(
    folder: &Path,
    name: &str,
    server: &str,
    user: &Value,
) -> Result<()> {
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "e2e",
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "clusters": [{"name": "e2e", "cluster": {
            "server": server,
            "certificate-authority": folder.join("ca.crt"),
        }}],
        "users": [{"name": "e2e", "user": user}],
    });
    fs::write(folder.join(name), format!("{text:#}\n"))
        .with_context(|| format!("could not write {name}"))
}

/// Signs a token with these claims, as the API server does: with the key of service accounts.
pub(super) fn sign(folder: &Path, claims: &Value) -> Result<String> {
    let key = KeyPair::from_pem(&fs::read_to_string(folder.join("accounts.key"))?)?;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": "ES256", "typ": "JWT"});
    let text = format!("{}.{}", part(&header), part(claims));
    let signature = key.sign(text.as_bytes())?;
    let signature = fixed(&signature).context("an odd signature")?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Turns a signature in DER (a sequence of two integers) into the form that a token has it in: both
/// with 32 bytes.
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    let mut rest = der.get(2..)?;
    let mut all = Vec::new();
    for _ in 0..2 {
        let length = usize::from(*rest.get(1)?);
        let number = rest.get(2..2 + length)?;
        rest = rest.get(2 + length..)?;
        let significant = number.get(number.len().saturating_sub(32)..)?;
        all.extend(std::iter::repeat_n(0, 32 - significant.len()));
        all.extend(significant);
    }
    Some(all)
}
