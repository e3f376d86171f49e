//! The client's side of the opening handshake (RFC 6455 §4.1): the request as text, and the check
//! of the response as it arrives. Redirects and authentication are not followed: our servers use
//! neither here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{VERSION, accept_key, check_upgrade, elements, only_value};
use crate::error::HandshakeError;
use crate::limits::{RESPONSE_HEAD_BYTES_MAX, RESPONSE_HEADERS_MAX};

/// A client's opening handshake.
///
/// Write [`request`](Self::request), then hand what arrives to
/// [`handle_input`](Self::handle_input) until the connection is established.
#[derive(Debug)]
pub struct ClientHandshake {
    request: String,
    accept: String,
    protocols: Vec<String>,
    head: Vec<u8>,
}

/// The server agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// The subprotocol that the server chose.
    pub protocol: Option<String>,
    /// What arrived behind the response: input for the [`Connection`](crate::Connection).
    pub rest: Bytes,
}

impl ClientHandshake {
    /// Opens a WebSocket at `target` (a path with or without a query) of `host` (with `:port` where
    /// it is not the scheme's own), offering `protocols`, the best first. `nonce` must be fresh
    /// entropy.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::RequestInvalid`] if a part is empty or has spaces, control or non-ASCII
    /// characters.
    pub fn new(
        host: &str,
        target: &str,
        protocols: &[&str],
        nonce: [u8; 16],
    ) -> Result<Self, HandshakeError> {
        for part in [host, target].iter().chain(protocols) {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(HandshakeError::RequestInvalid((*part).to_owned()));
            }
        }
        let key = STANDARD.encode(nonce);
        let mut request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: {VERSION}\r\n"
        );
        if !protocols.is_empty() {
            request += &format!("Sec-WebSocket-Protocol: {}\r\n", protocols.join(", "));
        }
        request += "\r\n";
        Ok(Self {
            request,
            accept: accept_key(&key),
            protocols: protocols.iter().map(|&protocol| protocol.to_owned()).collect(),
            head: Vec::new(),
        })
    }

    /// The request, to be written as it is.
    pub fn request(&self) -> &[u8] {
        self.request.as_bytes()
    }

    /// Takes bytes that arrived. `None` if the response is not complete.
    ///
    /// # Errors
    ///
    /// If this is no WebSocket server or it refuses; close the transport then.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<Option<Established>, HandshakeError> {
        self.head.extend_from_slice(input);
        let mut headers = [httparse::EMPTY_HEADER; RESPONSE_HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let head_bytes = match response.parse(&self.head) {
            Ok(httparse::Status::Complete(bytes)) if bytes <= RESPONSE_HEAD_BYTES_MAX => bytes,
            Ok(httparse::Status::Partial) if self.head.len() <= RESPONSE_HEAD_BYTES_MAX => {
                return Ok(None);
            }
            Ok(_) | Err(httparse::Error::TooManyHeaders) => {
                return Err(HandshakeError::ResponseTooLarge);
            }
            Err(_) => return Err(HandshakeError::ResponseMalformed),
        };
        let protocol = self.check_response(&response)?;
        let rest = Bytes::copy_from_slice(&self.head[head_bytes..]);
        Ok(Some(Established { protocol, rest }))
    }

    /// RFC 6455 §4.1, from "The client MUST validate the server's response"; gives the chosen
    /// subprotocol.
    fn check_response(
        &self,
        response: &httparse::Response<'_, '_>,
    ) -> Result<Option<String>, HandshakeError> {
        let status = response.code.unwrap_or_default();
        if status != 101 {
            return Err(HandshakeError::Refused(status));
        }
        if response.version != Some(1) {
            return Err(HandshakeError::ResponseMalformed);
        }
        let headers: Vec<_> =
            response.headers.iter().map(|header| (header.name, header.value)).collect();
        check_upgrade(&headers)?;
        if only_value(&headers, "sec-websocket-accept") != Some(&self.accept) {
            return Err(HandshakeError::AcceptMismatch);
        }
        if elements(&headers, "sec-websocket-extensions").next().is_some() {
            return Err(HandshakeError::ExtensionNotOffered);
        }
        let chosen: Vec<_> = elements(&headers, "sec-websocket-protocol").collect();
        match chosen[..] {
            [] => Ok(None),
            [one] if self.protocols.iter().any(|offered| offered == one) => {
                Ok(Some(one.to_owned()))
            }
            _ => Err(HandshakeError::ProtocolNotOffered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: chat\r\n\r\n";

    /// RFC 6455 §1.2.
    fn handshake() -> ClientHandshake {
        let protocols = ["chat", "superchat"];
        let nonce = *b"the sample nonce";
        ClientHandshake::new("server.example.com", "/chat", &protocols, nonce).unwrap()
    }

    fn check(response: &str) -> Result<Option<Established>, HandshakeError> {
        handshake().handle_input(response.as_bytes())
    }

    #[test]
    fn request_is_the_one_of_the_rfc() {
        assert_eq!(
            std::str::from_utf8(handshake().request()).unwrap(),
            "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat, superchat\r\n\r\n"
        );
    }

    #[test]
    fn response_in_single_bytes_is_accepted_and_what_follows_is_kept() {
        let mut handshake = handshake();
        let (last, head) = SOUND.as_bytes().split_last().unwrap();
        for byte in head {
            assert_eq!(handshake.handle_input(&[*byte]), Ok(None));
        }
        assert_eq!(
            handshake.handle_input(&[*last, 0x82, 0x00]),
            Ok(Some(Established {
                protocol: Some("chat".to_owned()),
                rest: Bytes::from_static(b"\x82\x00"),
            }))
        );
    }

    #[test]
    fn each_unsound_response_is_named() {
        use HandshakeError::*;
        for (from, to, expected) in [
            ("101 Switching Protocols", "403 Forbidden", Refused(403)),
            ("HTTP/1.1", "HTTP/1.0", ResponseMalformed),
            ("HTTP/1.1", "SSH-2.0", ResponseMalformed),
            ("Upgrade: websocket", "Upgrade: h2c", UpgradeMissing),
            ("Connection: Upgrade", "Connection: close", UpgradeMissing),
            ("s3pPLM", "s3pPLN", AcceptMismatch),
            ("Protocol: chat", "Protocol: other", ProtocolNotOffered),
            ("Protocol: chat", "Protocol: chat, superchat", ProtocolNotOffered),
            ("Protocol: chat", "Extensions: permessage-deflate", ExtensionNotOffered),
        ] {
            assert_eq!(check(&SOUND.replace(from, to)), Err(expected), "{to}");
        }
    }

    #[test]
    fn endless_response_is_refused_at_the_limits() {
        let long_line = format!("HTTP/1.1 101 Yes\r\nX: {}", "x".repeat(RESPONSE_HEAD_BYTES_MAX));
        assert_eq!(check(&long_line), Err(HandshakeError::ResponseTooLarge));
        let many_lines = format!("HTTP/1.1 101 Yes\r\n{}", "X: x\r\n".repeat(101));
        assert_eq!(check(&many_lines), Err(HandshakeError::ResponseTooLarge));
    }

    #[test]
    fn line_breaks_cannot_be_smuggled_into_the_request() {
        for (host, target) in [("a\r\nX: b", "/"), ("a", "/ HTTP/1.1\r\n"), ("", "/"), ("é", "/")]
        {
            let refused = ClientHandshake::new(host, target, &[], [0; 16]).unwrap_err();
            assert!(matches!(refused, HandshakeError::RequestInvalid(_)));
        }
    }
}
