//! The grammar of the four SCRAM messages (RFC 5802 §7): reading, and the escapes of user names.
//!
//! What is read borrows from the message, as the proof covers its bytes and not its meaning.
//! Deliberately not here: what the values must be; the two sides judge that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::ScramError;
use crate::limits::{SALT_BYTES_MAX, SCRAM_MESSAGE_BYTES_MAX};

/// What a client says about channel binding (`gs2-cbind-flag`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag {
    /// `n`: the client has none.
    Unsupported,
    /// `y`: the client has one, and believes that the server has none.
    NotOffered,
    /// `p=tls-exporter`.
    TlsExporter,
}

pub(super) struct ClientFirstMessage<'a> {
    pub(super) flag: BindingFlag,
    pub(super) gs2_header: &'a str,
    pub(super) bare: &'a str,
    pub(super) authorization_identity: Option<String>,
    pub(super) user_name: String,
    pub(super) nonce: &'a str,
}

pub(super) struct ServerFirstMessage<'a> {
    pub(super) text: &'a str,
    pub(super) nonce: &'a str,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

pub(super) struct ClientFinalMessage<'a> {
    pub(super) without_proof: &'a str,
    pub(super) channel_binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: [u8; 32],
}

pub(super) enum ServerFinalMessage {
    Signature([u8; 32]),
    Refused,
}

impl<'a> ClientFirstMessage<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let text = text(message)?;
        let missing = ScramError::Malformed("the GS2 header is cut short");
        let (flag, rest) = text.split_once(',').ok_or(missing)?;
        let (identity, bare) = rest.split_once(',').ok_or(missing)?;
        let flag = match flag {
            "n" => BindingFlag::Unsupported,
            "y" => BindingFlag::NotOffered,
            "p=tls-exporter" => BindingFlag::TlsExporter,
            other if other.starts_with("p=") => return Err(ScramError::ChannelBindingType),
            _ => return Err(ScramError::Malformed("the channel binding flag is not n, y or p")),
        };
        let authorization_identity = match identity {
            "" => None,
            given => Some(unescape(value(Some(given), 'a')?)?),
        };
        let mut attributes = attributes(bare)?;
        let user_name = unescape(value(attributes.next(), 'n')?)?;
        let nonce = nonce(value(attributes.next(), 'r')?)?;
        check_extensions(attributes)?;
        let gs2_header = &text[..text.len() - bare.len()];
        Ok(Self { flag, gs2_header, bare, authorization_identity, user_name, nonce })
    }
}

impl<'a> ServerFirstMessage<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let text = text(message)?;
        let mut attributes = attributes(text)?;
        let nonce = nonce(value(attributes.next(), 'r')?)?;
        let salt = bytes(value(attributes.next(), 's')?)?;
        if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
            return Err(ScramError::Malformed("the salt is empty or too long"));
        }
        let iterations = iterations(value(attributes.next(), 'i')?)?;
        check_extensions(attributes)?;
        Ok(Self { text, nonce, salt, iterations })
    }
}

impl<'a> ClientFinalMessage<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, ScramError> {
        let text = text(message)?;
        let (without_proof, proof) = text
            .rsplit_once(",p=")
            .ok_or(ScramError::Malformed("the proof does not stand at the end"))?;
        let mut attributes = attributes(without_proof)?;
        let channel_binding = bytes(value(attributes.next(), 'c')?)?;
        let nonce = nonce(value(attributes.next(), 'r')?)?;
        check_extensions(attributes)?;
        Ok(Self { without_proof, channel_binding, nonce, proof: hash_bytes(proof)? })
    }
}

impl ServerFinalMessage {
    pub(super) fn parse(message: &[u8]) -> Result<Self, ScramError> {
        let text = text(message)?;
        if text.starts_with("e=") {
            return Ok(Self::Refused);
        }
        let mut attributes = attributes(text)?;
        let signature = hash_bytes(value(attributes.next(), 'v')?)?;
        check_extensions(attributes)?;
        Ok(Self::Signature(signature))
    }
}

/// Writes a user name so that it holds no comma and no `=` of its own (`saslname`).
pub(super) fn escape(user_name: &str) -> String {
    user_name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape(escaped: &str) -> Result<String, ScramError> {
    if escaped.is_empty() || escaped.contains('\0') {
        return Err(ScramError::UserNameEncoding);
    }
    let mut pieces = escaped.split('=');
    let mut name = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (character, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            (None, None) => return Err(ScramError::UserNameEncoding),
        };
        name.push(character);
        name.push_str(rest);
    }
    Ok(name)
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > SCRAM_MESSAGE_BYTES_MAX {
        return Err(ScramError::MessageTooLong);
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is not UTF-8"))
}

/// Splits a message into its attributes, after a look at the first: `m=` may stand only there.
fn attributes(text: &str) -> Result<std::str::Split<'_, char>, ScramError> {
    if text.starts_with("m=") {
        return Err(ScramError::ExtensionNotSupported);
    }
    Ok(text.split(','))
}

fn value(attribute: Option<&str>, key: char) -> Result<&str, ScramError> {
    attribute
        .and_then(|attribute| attribute.strip_prefix(key))
        .and_then(|rest| rest.strip_prefix('='))
        .ok_or(ScramError::Malformed("an attribute is missing or out of order"))
}

/// Skips the attributes of later standards, as long as they are attributes.
fn check_extensions(mut attributes: std::str::Split<'_, char>) -> Result<(), ScramError> {
    let all_well_formed = attributes.all(|attribute| {
        let mut characters = attribute.chars();
        characters.next().is_some_and(|key| key.is_ascii_alphabetic())
            && characters.next() == Some('=')
            && characters.next().is_some()
    });
    if all_well_formed { Ok(()) } else { Err(ScramError::Malformed("an extension has no value")) }
}

fn nonce(text: &str) -> Result<&str, ScramError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(ScramError::Malformed("the nonce is empty or not printable"))
}

fn iterations(text: &str) -> Result<u32, ScramError> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let count = if digits { text.parse().ok() } else { None };
    count.ok_or(ScramError::Malformed("the iteration count is no positive number"))
}

fn bytes(text: &str) -> Result<Vec<u8>, ScramError> {
    STANDARD.decode(text).map_err(|_| ScramError::Malformed("a value is not base64"))
}

fn hash_bytes(text: &str) -> Result<[u8; 32], ScramError> {
    bytes(text)?.try_into().map_err(|_| ScramError::Malformed("a proof does not have 32 bytes"))
}
