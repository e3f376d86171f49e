//! The server's side of an exchange.
//!
//! Between its two halves the caller reads a verifier from its store, by the name in
//! [`ClientFirst::user_name`]. It goes on with [`Verifier::decoy`] where there is none: a server
//! that stops there tells strangers which names exist.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::message::{BindingFlag, ClientFinalMessage, ClientFirstMessage};
use super::verifier::{Verifier, auth_message};
use super::{Mechanism, Nonce, ScramError, TlsExporter};

/// A client's first message, checked but not answered yet.
pub struct ClientFirst {
    user_name: String,
    bare: String,
    nonce: String,
    /// What the client's `c=` value must hold: its GS2 header and the server's view of the binding.
    channel_binding: Vec<u8>,
}

impl ClientFirst {
    /// Reads a client-first-message.
    ///
    /// `mechanism` is the one that the client chose. `exporter` is present if and only if the server
    /// listed SCRAM-SHA-256-PLUS on this connection.
    ///
    /// # Errors
    ///
    /// The exchange ends before any look-up: the message is malformed, or its flag shows that
    /// the list of mechanisms was changed on its way.
    pub fn parse(
        message: &[u8],
        mechanism: Mechanism,
        exporter: Option<&TlsExporter>,
    ) -> Result<Self, ScramError> {
        let first = ClientFirstMessage::parse(message)?;
        let bound: &[u8] = match (mechanism, first.flag, exporter) {
            (Mechanism::ScramSha256Plus, BindingFlag::TlsExporter, Some(exporter)) => &exporter.0,
            (Mechanism::ScramSha256, BindingFlag::Unsupported, _)
            | (Mechanism::ScramSha256, BindingFlag::NotOffered, None) => &[],
            (Mechanism::ScramSha256, BindingFlag::NotOffered, Some(_)) => {
                return Err(ScramError::ChannelBindingDowngrade);
            }
            (Mechanism::ScramSha256, BindingFlag::TlsExporter, _)
            | (Mechanism::ScramSha256Plus, _, _) => {
                return Err(ScramError::ChannelBindingNotSupported);
            }
        };
        if first.authorization_identity.is_some_and(|identity| identity != first.user_name) {
            return Err(ScramError::AuthorizationIdentity);
        }
        Ok(Self {
            user_name: first.user_name,
            bare: first.bare.to_owned(),
            nonce: first.nonce.to_owned(),
            channel_binding: [first.gs2_header.as_bytes(), bound].concat(),
        })
    }

    /// The user name as the client sent it: not prepared, and perhaps of nobody.
    pub fn user_name(&self) -> &str {
        &self.user_name
    }

    /// Gives the server-first-message.
    pub fn challenge(self, verifier: Verifier, nonce: &Nonce) -> (Vec<u8>, AwaitingClientFinal) {
        let nonce = format!("{}{}", self.nonce, nonce.as_str());
        let salt = STANDARD.encode(verifier.salt());
        let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations());
        let message = server_first.clone().into_bytes();
        let channel_binding = self.channel_binding;
        let client_first_bare = self.bare;
        let waiting = AwaitingClientFinal {
            verifier,
            client_first_bare,
            server_first,
            nonce,
            channel_binding,
        };
        (message, waiting)
    }
}

/// An exchange that waits for the client's proof.
pub struct AwaitingClientFinal {
    verifier: Verifier,
    client_first_bare: String,
    server_first: String,
    nonce: String,
    channel_binding: Vec<u8>,
}

impl AwaitingClientFinal {
    /// Checks the client-final-message and gives the server-final-message. The client has signed in
    /// if this succeeds.
    ///
    /// # Errors
    ///
    /// The exchange ends; [`ScramError::InvalidProof`] for a wrong password and for a decoy.
    pub fn handle_client_final(self, message: &[u8]) -> Result<Vec<u8>, ScramError> {
        let last = ClientFinalMessage::parse(message)?;
        if !bool::from(last.nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(ScramError::NonceMismatch);
        }
        if !bool::from(last.channel_binding.ct_eq(&self.channel_binding)) {
            return Err(ScramError::ChannelBindingMismatch);
        }
        let covered = auth_message(&self.client_first_bare, &self.server_first, last.without_proof);
        let signature = self.verifier.verify(&covered, &last.proof)?;
        Ok(format!("v={}", STANDARD.encode(signature)).into_bytes())
    }
}
