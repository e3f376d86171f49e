//! Certificates: the operator's files, or one of the server's own, made at the first start and kept in
//! the data folder. rustls with ring, TLS 1.2 and 1.3; there is no switch that weakens it.
//!
//! A certificate of the server's own has no end: apps know it by its SHA-256 from the invite link, and
//! a new one would lock out everybody who came by the old.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::configuration::{Configuration, Tls};

/// The server's own certificate with its key, in one file, so that they belong together.
const OWN_CERTIFICATE: &str = "certificate.pem";

/// What the listener speaks TLS with.
pub(crate) struct Identity {
    /// For new connections.
    pub(crate) server: Arc<ServerConfig>,
    /// SHA-256 of a certificate that no authority vouches for: it goes into invite links.
    pub(crate) certificate_sha256: Option<[u8; 32]>,
}

/// Loads the certificate, or makes it; `None` without TLS.
///
/// # Errors
/// A file cannot be read, or is not what it should be.
pub(crate) fn load(configuration: &Configuration) -> Result<Option<Identity>> {
    match (configuration.tls, &configuration.certificate, &configuration.key) {
        (Tls::Off, ..) => Ok(None),
        (Tls::Files, Some(certificate), Some(key)) => {
            Ok(Some(Identity { server: read(certificate, key)?, certificate_sha256: None }))
        }
        (Tls::Files, ..) => Err(anyhow!("tls.certificate and tls.key are not set")),
        (Tls::SelfSigned, ..) => own(&configuration.data, &configuration.host).map(Some),
    }
}

fn own(folder: &Path, host: &str) -> Result<Identity> {
    let file = folder.join(OWN_CERTIFICATE);
    if !file.exists() {
        let pem = make(host).context("a certificate cannot be made")?;
        write_secret(folder, &file, pem.as_bytes())
            .with_context(|| format!("{} cannot be written", file.display()))?;
        tracing::info!(file = %file.display(), "made a certificate of the server's own");
    }
    let certificate = CertificateDer::from_pem_file(&file)
        .with_context(|| format!("{} holds no certificate", file.display()))?;
    let certificate_sha256 = Sha256::digest(&certificate).into();
    Ok(Identity { server: read(&file, &file)?, certificate_sha256: Some(certificate_sha256) })
}

fn make(host: &str) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut names = vec![host.to_owned()];
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.dedup();
    let certificate = CertificateParams::new(names)?.self_signed(&key)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("{} cannot be read as certificates", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} cannot be read as a private key", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .with_context(|| {
            format!("{} does not belong to {}", key.display(), certificate.display())
        })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

/// Writes a file that its owner alone may read, whole or not at all.
pub(crate) fn write_secret(folder: &Path, file: &Path, content: &[u8]) -> io::Result<()> {
    let mut unfinished = PathBuf::from(file);
    unfinished.set_extension("unfinished");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(&unfinished)?;
    opened.write_all(content)?;
    opened.sync_all()?;
    fs::rename(&unfinished, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_certificate_is_made_once_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = own(folder.path(), "chat.example.org").unwrap().certificate_sha256;
        let again = own(folder.path(), "other.example.org").unwrap().certificate_sha256;
        assert!(first.is_some());
        assert_eq!(first, again);
    }

    #[cfg(unix)]
    #[test]
    fn private_key_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        own(folder.path(), "localhost").unwrap();
        let mode = fs::metadata(folder.path().join(OWN_CERTIFICATE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, pem: String| {
            let file = folder.path().join(name);
            fs::write(&file, pem).unwrap();
            file
        };
        let one = file("one.pem", make("localhost").unwrap());
        let other = file("other.pem", make("localhost").unwrap());
        assert!(read(&one, &one).is_ok());
        let error = read(&one, &other).unwrap_err();
        assert!(error.to_string().contains("does not belong to"), "{error}");
    }
}
