//! The opening handshake (RFC 6455 §4): what a server checks in a request, as plain values, so that
//! any HTTP server can use it, and the whole of a client's side in [`ClientHandshake`].
//!
//! Not here: who may connect (origins, cookies, paths). That is the service's policy.

mod client;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

pub use client::{ClientHandshake, Established};

use crate::error::HandshakeError;

/// What RFC 6455 §1.3 appends to a key before it is hashed.
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The only version of the protocol.
const VERSION: &str = "13";

/// The header lines of a message, names in any case.
type Headers<'a, 'b> = &'b [(&'a str, &'a [u8])];

/// What a server takes from a sound opening request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningRequest<'a> {
    /// The value of Sec-WebSocket-Accept in the answer.
    pub accept: String,
    /// The subprotocols that the client offers, the best first.
    pub protocols: Vec<&'a str>,
}

/// The Sec-WebSocket-Accept that proves that `key`, a Sec-WebSocket-Key, was read and understood.
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize())
}

/// Checks an opening request (RFC 6455 §4.2.1), apart from its HTTP version and target.
///
/// # Errors
///
/// The first rule that is broken. [`HandshakeError::VersionUnsupported`] must be answered with
/// status 426 and `Sec-WebSocket-Version: 13` (§4.2.2).
pub fn check_request<'a>(
    method: &str,
    headers: Headers<'a, '_>,
) -> Result<OpeningRequest<'a>, HandshakeError> {
    if method != "GET" {
        return Err(HandshakeError::MethodNotGet);
    }
    only_value(headers, "host").ok_or(HandshakeError::HostMissing)?;
    check_upgrade(headers)?;
    if only_value(headers, "sec-websocket-version") != Some(VERSION) {
        return Err(HandshakeError::VersionUnsupported);
    }
    let key = only_value(headers, "sec-websocket-key")
        .filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16))
        .ok_or(HandshakeError::KeyInvalid)?;
    let protocols = elements(headers, "sec-websocket-protocol").collect();
    Ok(OpeningRequest { accept: accept_key(key), protocols })
}

/// The two headers that requests and responses share.
fn check_upgrade(headers: Headers<'_, '_>) -> Result<(), HandshakeError> {
    let names = |name, wanted| {
        elements(headers, name).any(|element: &str| element.eq_ignore_ascii_case(wanted))
    };
    if names("connection", "upgrade") && names("upgrade", "websocket") {
        Ok(())
    } else {
        Err(HandshakeError::UpgradeMissing)
    }
}

/// The values of all lines of a header. A value that is not UTF-8 is nothing that we understand.
fn values<'a, 'b>(
    headers: Headers<'a, 'b>,
    name: &'static str,
) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
    headers
        .iter()
        .filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name))
        .filter_map(|&(_, value)| std::str::from_utf8(value).ok())
        .map(str::trim)
}

/// The value of a header that must stand there once.
fn only_value<'a>(headers: Headers<'a, '_>, name: &'static str) -> Option<&'a str> {
    let mut values = values(headers, name);
    values.next().filter(|_| values.next().is_none())
}

/// The elements of a header that is a list, over all its lines.
fn elements<'a, 'b>(
    headers: Headers<'a, 'b>,
    name: &'static str,
) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
    values(headers, name)
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §1.2.
    const SOUND: &[(&str, &str)] = &[
        ("Host", "server.example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://example.com"),
        ("Sec-WebSocket-Protocol", "chat, superchat"),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn bytes((name, value): (&'static str, &'static str)) -> (&'static str, &'static [u8]) {
        (name, value.as_bytes())
    }

    /// The sound request, with one header replaced, or removed by `None`.
    fn check(
        name: &'static str,
        value: Option<&'static str>,
    ) -> Result<OpeningRequest<'static>, HandshakeError> {
        let others = SOUND.iter().copied().filter(|(other, _)| *other != name);
        let headers: Vec<_> = others.chain(value.map(|value| (name, value))).map(bytes).collect();
        check_request("GET", &headers)
    }

    #[test]
    fn rfc_example_is_accepted() {
        assert_eq!(
            check("X-Unknown", Some("ignored")),
            Ok(OpeningRequest {
                accept: "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned(),
                protocols: vec!["chat", "superchat"],
            })
        );
    }

    #[test]
    fn lists_and_cases_that_browsers_send_are_accepted() {
        assert!(check("Connection", Some("keep-alive, upgrade")).is_ok());
        assert!(check("Upgrade", Some("WebSocket")).is_ok());
        assert_eq!(check("Sec-WebSocket-Protocol", None).unwrap().protocols, Vec::<&str>::new());
    }

    #[test]
    fn each_missing_or_wrong_header_is_named() {
        use HandshakeError::*;
        for (name, value, expected) in [
            ("Host", None, HostMissing),
            ("Upgrade", None, UpgradeMissing),
            ("Upgrade", Some("h2c"), UpgradeMissing),
            ("Connection", None, UpgradeMissing),
            ("Connection", Some("keep-alive"), UpgradeMissing),
            ("Sec-WebSocket-Version", None, VersionUnsupported),
            ("Sec-WebSocket-Version", Some("8"), VersionUnsupported),
            ("Sec-WebSocket-Key", None, KeyInvalid),
            ("Sec-WebSocket-Key", Some("c2hvcnQ="), KeyInvalid),
            ("Sec-WebSocket-Key", Some("!GhlIHNhbXBsZSBub25jZQ=="), KeyInvalid),
        ] {
            assert_eq!(check(name, value), Err(expected), "{name}: {value:?}");
        }
    }

    #[test]
    fn repeated_key_and_other_methods_are_refused() {
        let twice: Vec<_> = SOUND.iter().chain(&SOUND[3..4]).copied().map(bytes).collect();
        assert_eq!(check_request("GET", &twice), Err(HandshakeError::KeyInvalid));
        assert_eq!(check_request("POST", &twice), Err(HandshakeError::MethodNotGet));
    }
}
