//! TLS: the self-signed certificate is the one that the invite link names.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    SignatureScheme, StreamOwned,
};
use sha2::{Digest as _, Sha256};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_identity::Transport;

use crate::app::{App, Person, some_verifier};
use crate::house::House;

/// Believes the one certificate with this SHA-256, as our apps do.
#[derive(Debug)]
struct Pinned([u8; 32]);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if Sha256::digest(end_entity)[..] == self.0 {
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
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn over_tls(
    house: &House,
    pin: [u8; 32],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(connection, house.connect());
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

fn pin(house: &House) -> [u8; 32] {
    match house.invite().server.transport() {
        Transport::Tls { certificate_sha256: Some(pin) } => pin,
        other => panic!("no pin in the link: {other:?}"),
    }
}

#[test]
fn link_pins_the_certificate_which_stays_over_restarts() {
    let mut house = House::start(&[]);
    let pinned = pin(&house);
    let mut app = App::over(over_tls(&house, pinned).expect("TLS"), "ws");
    app.greet();
    let mut anna = Person::named("anna");
    let sign_up = anna.sign_up(Some(&house.invite().token), &some_verifier());
    assert!(matches!(app.ask(Body::SignUp(sign_up)), Answer::SignedUp(_)));
    app.resume(&mut anna);
    app.check_alive();

    let other = over_tls(&house, [7; 32]);
    assert!(other.is_err(), "another pin does not fit");
    house.kill_and_restart();
    assert!(over_tls(&house, pinned).is_ok());
}

#[test]
fn certificate_files_are_read_again_at_sighup() {
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = (files.path().join("certificate.pem"), files.path().join("key.pem"));
    let make = || {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        <[u8; 32]>::from(Sha256::digest(made.cert.der()))
    };
    let first = make();
    let house = House::start(&[
        "--tls-mode",
        "files",
        "--tls-certificate",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ]);
    assert!(over_tls(&house, first).is_ok());
    let second = make();
    house.signal("-HUP");
    house.wait_for_log("the certificate was read again");
    assert!(over_tls(&house, first).is_err());
    assert!(over_tls(&house, second).is_ok());
}

#[test]
fn plain_http_to_the_tls_port_gets_no_answer() {
    use std::io::{Read as _, Write as _};
    let house = House::start(&[]);
    let mut stream = house.connect();
    write!(stream, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"));
}
