//! TLS to the server: rustls with ring, and who is believed.
//!
//! A server with a public certificate is checked against Mozilla's roots as browsers do. A server
//! with a certificate of its own is recognised by the SHA-256 that came with the invite link; then
//! that one certificate is believed and no other, whatever authority signed it. There is no third
//! case and no switch that turns checking off.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::error::CertificateProblem;

/// SHA-256 of a certificate's DER bytes.
pub(crate) type Pin = [u8; 32];

/// The configuration of a connection: pinned, or with the public roots.
pub(crate) fn client_config(pin: Option<Pin>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring offers suites for TLS 1.2 and 1.3");
    let mut config = match pin {
        Some(pin) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedCertificate::new(pin, &provider)))
            .with_no_client_auth(),
        None => builder.with_root_certificates(public_roots()).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Believes one certificate.
///
/// Its name and its dates are not looked at: the pin says more than either. That the server holds
/// the private key is still proven by the signature of the handshake.
#[derive(Debug)]
struct PinnedCertificate {
    pin: Pin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedCertificate {
    fn new(pin: Pin, provider: &CryptoProvider) -> Self {
        Self { pin, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Sha256::digest(end_entity.as_ref()).as_slice() == self.pin {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What is wrong with the certificate; `None` when the handshake failed for another reason.
pub(crate) fn certificate_problem(error: &rustls::Error) -> Option<CertificateProblem> {
    let rustls::Error::InvalidCertificate(problem) = error else { return None };
    Some(match problem {
        CertificateError::ApplicationVerificationFailure => CertificateProblem::PinDiffers,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateProblem::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateProblem::NotValidYet
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateProblem::OtherName
        }
        CertificateError::UnknownIssuer => CertificateProblem::UnknownIssuer,
        _ => CertificateProblem::Invalid,
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    /// A certificate, its pin, and a server that holds `key_of`'s private key for it.
    fn server(certificate: &CertifiedKey<rcgen::KeyPair>) -> (Pin, TlsAcceptor) {
        let der = certificate.cert.der().clone();
        let pin = Sha256::digest(&der).into();
        let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![der], key)
            .unwrap();
        (pin, TlsAcceptor::from(Arc::new(config)))
    }

    fn certificate() -> CertifiedKey<rcgen::KeyPair> {
        generate_simple_self_signed(["tidings.test".to_owned()]).unwrap()
    }

    async fn handshake(acceptor: TlsAcceptor, pin: Option<Pin>) -> io::Result<()> {
        let (ours, theirs) = tokio::io::duplex(16 * 1024);
        let connector = TlsConnector::from(client_config(pin));
        let name = ServerName::try_from("tidings.test").unwrap();
        let accept = acceptor.accept(theirs);
        let connect = connector.connect(name, ours);
        let (_, connected) = tokio::join!(accept, connect);
        connected.map(|_| ())
    }

    fn problem(error: &io::Error) -> Option<CertificateProblem> {
        certificate_problem(error.get_ref()?.downcast_ref()?)
    }

    #[tokio::test]
    async fn pinned_certificate_is_believed_although_nobody_vouches_for_it() {
        let (pin, acceptor) = server(&certificate());
        handshake(acceptor, Some(pin)).await.unwrap();
    }

    #[tokio::test]
    async fn another_certificate_than_the_pinned_one_is_refused() {
        let (pin, _) = server(&certificate());
        let (_, impostor) = server(&certificate());
        let error = handshake(impostor, Some(pin)).await.unwrap_err();
        assert_eq!(problem(&error), Some(CertificateProblem::PinDiffers));
    }

    #[tokio::test]
    async fn certificate_of_its_own_is_refused_without_a_pin() {
        let (_, acceptor) = server(&certificate());
        let error = handshake(acceptor, None).await.unwrap_err();
        assert_eq!(problem(&error), Some(CertificateProblem::UnknownIssuer));
    }

    #[tokio::test]
    async fn copy_of_the_pinned_certificate_is_refused_without_its_private_key() {
        let pinned = certificate();
        let (pin, _) = server(&pinned);
        let other_key = PrivateKeyDer::try_from(certificate().signing_key.serialize_der()).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&other_key).unwrap();
        let stolen = rustls::sign::CertifiedKey::new(vec![pinned.cert.der().clone()], key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(stolen)));
        let error = handshake(TlsAcceptor::from(Arc::new(config)), Some(pin)).await.unwrap_err();
        assert_eq!(problem(&error), Some(CertificateProblem::Invalid), "{error}");
    }
}
