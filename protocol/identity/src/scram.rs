//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), both sides, without I/O.
//!
//! A sign-in is four messages. Each step takes the state by value and gives the next one, so that no
//! step can be left out, repeated or answered twice:
//!
//! ```text
//! ClientExchange::start ── client-first ──▶ ClientFirst::parse
//!                                           (the caller looks up the verifier)
//! handle_server_first   ◀── server-first ── ClientFirst::challenge
//!                       ── client-final ──▶ handle_client_final
//! handle_server_final   ◀── server-final ──
//! ```
//!
//! - The only channel binding is `tls-exporter` (RFC 9266): `tls-unique` does not exist in TLS 1.3.
//! - Extensions that a peer marks as mandatory (`m=`) are refused, others are skipped (RFC 5802 §5.1).
//! - Nobody signs in as somebody else: an authorization identity must equal the user name.
//! - An unknown user name gets the same messages in the same time, see [`Verifier::decoy`].
//!
//! Deliberately not here: SCRAM-SHA-1, and a table of mechanisms; a door lists [`Mechanism`]s.

mod client;
mod message;
mod server;
mod verifier;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

pub use client::{AwaitingServerFinal, ClientBinding, ClientExchange};
pub use server::{AwaitingClientFinal, ClientFirst};
pub use verifier::{Verifier, VerifierError};

use crate::limits::{ITERATIONS_MAX, ITERATIONS_MIN, NONCE_BYTES, SCRAM_MESSAGE_BYTES_MAX};

/// A SASL mechanism of this module. One [`Verifier`] serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Without channel binding.
    ScramSha256,
    /// Bound to the TLS connection that it runs on.
    ScramSha256Plus,
}

impl Mechanism {
    /// The name in the SASL registry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// Finds a mechanism by its registered name; `None` for all others.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ScramSha256, Self::ScramSha256Plus].into_iter().find(|known| known.name() == name)
    }
}

/// What both ends of one TLS connection export from it (RFC 9266 §2: label
/// `EXPORTER-Channel-Binding`, empty context, 32 bytes).
#[derive(Clone)]
pub struct TlsExporter(pub [u8; 32]);

impl std::fmt::Debug for TlsExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsExporter(hidden)")
    }
}

/// A side's part of the nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Makes a nonce of fresh random bytes. A nonce is used for one exchange only.
    pub fn from_entropy(entropy: [u8; NONCE_BYTES]) -> Self {
        // 18 bytes fill 24 characters of base64, which has no comma and here no padding either.
        Self(STANDARD.encode(entropy))
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a message of the other side. Each ends the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ScramError {
    /// Longer than [`SCRAM_MESSAGE_BYTES_MAX`].
    #[error("a SCRAM message has at most {SCRAM_MESSAGE_BYTES_MAX} bytes")]
    MessageTooLong,
    /// Not the grammar of RFC 5802 §7.
    #[error("the SCRAM message does not follow RFC 5802 §7: {0}")]
    Malformed(&'static str),
    /// A user name that is empty or has an `=` that begins no escape.
    #[error("the user name in the SCRAM message is not encoded as RFC 5802 §5.1 asks")]
    UserNameEncoding,
    /// An extension that must be understood.
    #[error("the SCRAM message demands an extension, and this side knows none")]
    ExtensionNotSupported,
    /// An authorization identity of somebody else.
    #[error("the SCRAM message asks to act as another user")]
    AuthorizationIdentity,
    /// The client believes that the server offers no channel binding, but it does: somebody between
    /// them has changed the list of mechanisms.
    #[error("the client was told that the server has no channel binding, which is not so")]
    ChannelBindingDowngrade,
    /// A flag that does not fit the mechanism, or a binding where the server has none.
    #[error("the client's channel binding flag does not fit the chosen mechanism")]
    ChannelBindingNotSupported,
    /// A binding other than `tls-exporter`.
    #[error("the only channel binding type here is tls-exporter")]
    ChannelBindingType,
    /// The two sides see different TLS connections.
    #[error("client and server are at the ends of different TLS connections")]
    ChannelBindingMismatch,
    /// The other side did not send back the nonce as agreed.
    #[error("the nonce of the SCRAM message belongs to another exchange")]
    NonceMismatch,
    /// The server asks for too little hashing.
    #[error(
        "the server asks for {0} iterations, fewer than {ITERATIONS_MIN}: it is not to be trusted"
    )]
    TooFewIterations(u32),
    /// The server asks for too much hashing.
    #[error("the server asks for {0} iterations, more than {ITERATIONS_MAX}")]
    TooManyIterations(u32),
    /// Wrong password, or no such user.
    #[error("the user name or the password is wrong")]
    InvalidProof,
    /// The server did not prove that it knows the verifier.
    #[error(
        "the server does not know this account's verifier: it is not the server that you signed up on"
    )]
    ServerSignature,
    /// The server refused with an `e=` value; it is not repeated, as it is the peer's text.
    #[error("the server refused the sign-in")]
    RefusedByServer,
}

impl ScramError {
    /// The server-final-message with the `e=` value of RFC 5802 §7, for protocols that carry it.
    ///
    /// A wrong proof and an unknown user have the same value here.
    pub fn server_final(self) -> Vec<u8> {
        let value = match self {
            Self::MessageTooLong | Self::Malformed(_) => "invalid-encoding",
            Self::UserNameEncoding => "invalid-username-encoding",
            Self::ExtensionNotSupported => "extensions-not-supported",
            Self::ChannelBindingDowngrade => "server-does-support-channel-binding",
            Self::ChannelBindingNotSupported => "channel-binding-not-supported",
            Self::ChannelBindingType => "unsupported-channel-binding-type",
            Self::ChannelBindingMismatch => "channel-bindings-dont-match",
            Self::InvalidProof => "invalid-proof",
            Self::AuthorizationIdentity
            | Self::NonceMismatch
            | Self::TooFewIterations(_)
            | Self::TooManyIterations(_)
            | Self::ServerSignature
            | Self::RefusedByServer => "other-error",
        };
        format!("e={value}").into_bytes()
    }
}

#[cfg(test)]
mod tests;
