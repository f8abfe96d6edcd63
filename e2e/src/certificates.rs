//! Certificates for servers of a test and their clients, as an administrator makes them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

/// Somebody who signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one with a key of its own.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// Writes `ca.pem`, `cert.pem` and `key.pem` for a server at `address`.
    pub fn server(&self, folder: &Path, address: Ipv4Addr) -> Result<()> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(address))];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.write(folder, &params)
    }

    /// Writes `ca.pem`, `cert.pem` and `key.pem` for a client.
    pub fn client(&self, folder: &Path) -> Result<()> {
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "administrator");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.write(folder, &params)
    }

    /// Writes `ca.pem` alone.
    pub fn root(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join("ca.pem"), self.issuer.pem())?;
        Ok(())
    }

    fn write(&self, folder: &Path, params: &CertificateParams) -> Result<()> {
        fs::create_dir_all(folder)?;
        let key = KeyPair::generate()?;
        fs::write(
            folder.join("cert.pem"),
            params.signed_by(&key, &self.issuer)?.pem(),
        )?;
        fs::write(folder.join("key.pem"), key.serialize_pem())?;
        self.root(folder)
    }
}
