//! The client's side of an exchange.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::message::{ServerFinalMessage, ServerFirstMessage, escape};
use super::verifier::{SaltedPassword, auth_message};
use super::{Mechanism, Nonce, ScramError, TlsExporter};
use crate::limits::{ITERATIONS_MAX, ITERATIONS_MIN};
use crate::{Password, UserName};

/// What a client knows about channel binding before it begins.
#[derive(Clone, Debug)]
pub enum ClientBinding {
    /// The client cannot bind: a browser does not show its TLS connection.
    Unsupported,
    /// The client can bind, but the server listed no -PLUS mechanism. A server that did list one
    /// then ends the exchange, as somebody has changed the list.
    NotOffered,
    /// Both can: the exchange is SCRAM-SHA-256-PLUS.
    TlsExporter(TlsExporter),
}

/// A sign-in that waits for the server's challenge.
pub struct ClientExchange {
    password: Password,
    nonce: Nonce,
    first_bare: String,
    /// The `c=` value: the GS2 header and the binding itself.
    channel_binding: String,
    mechanism: Mechanism,
}

impl ClientExchange {
    /// Begins a sign-in and gives the client-first-message.
    pub fn start(
        user_name: &UserName,
        password: Password,
        binding: &ClientBinding,
        nonce: Nonce,
    ) -> (Vec<u8>, Self) {
        let (mechanism, gs2_header, exported): (_, _, &[u8]) = match binding {
            ClientBinding::Unsupported => (Mechanism::ScramSha256, "n,,", &[]),
            ClientBinding::NotOffered => (Mechanism::ScramSha256, "y,,", &[]),
            ClientBinding::TlsExporter(exporter) => {
                (Mechanism::ScramSha256Plus, "p=tls-exporter,,", &exporter.0)
            }
        };
        let first_bare = format!("n={},r={}", escape(user_name.as_str()), nonce.as_str());
        let message = format!("{gs2_header}{first_bare}").into_bytes();
        let channel_binding = STANDARD.encode([gs2_header.as_bytes(), exported].concat());
        (message, Self { password, nonce, first_bare, channel_binding, mechanism })
    }

    /// The mechanism to name to the server.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Answers the server-first-message with the client-final-message.
    ///
    /// This hashes the password and takes some time by intent, see [`super::Verifier::derive`].
    ///
    /// # Errors
    ///
    /// The exchange ends: the message is malformed, for another nonce, or asks for a number of
    /// iterations that is not safe. Nothing that depends on the password has left the device.
    pub fn handle_server_first(
        self,
        message: &[u8],
    ) -> Result<(Vec<u8>, AwaitingServerFinal), ScramError> {
        let challenge = ServerFirstMessage::parse(message)?;
        let server_part = challenge.nonce.strip_prefix(self.nonce.as_str());
        if server_part.is_none_or(str::is_empty) {
            return Err(ScramError::NonceMismatch);
        }
        if challenge.iterations < ITERATIONS_MIN {
            return Err(ScramError::TooFewIterations(challenge.iterations));
        }
        if challenge.iterations > ITERATIONS_MAX {
            return Err(ScramError::TooManyIterations(challenge.iterations));
        }
        let password =
            SaltedPassword::derive(&self.password, &challenge.salt, challenge.iterations);
        let without_proof = format!("c={},r={}", self.channel_binding, challenge.nonce);
        let covered = auth_message(&self.first_bare, challenge.text, &without_proof);
        let proof = STANDARD.encode(password.proof(&covered));
        let server_signature = password.server_signature(&covered);
        let message = format!("{without_proof},p={proof}").into_bytes();
        Ok((message, AwaitingServerFinal { server_signature }))
    }
}

/// A sign-in that has proven its password and waits for the server's proof.
pub struct AwaitingServerFinal {
    server_signature: [u8; 32],
}

impl AwaitingServerFinal {
    /// Checks the server-final-message. The sign-in counts only after this.
    ///
    /// # Errors
    ///
    /// The server refused, or it does not know the verifier and only pretends to be the server.
    pub fn handle_server_final(self, message: &[u8]) -> Result<(), ScramError> {
        match ServerFinalMessage::parse(message)? {
            ServerFinalMessage::Refused => Err(ScramError::RefusedByServer),
            ServerFinalMessage::Signature(signature)
                if bool::from(signature.ct_eq(&self.server_signature)) =>
            {
                Ok(())
            }
            ServerFinalMessage::Signature(_) => Err(ScramError::ServerSignature),
        }
    }
}
