//! How a device of an account brings in another one: a code of eight characters, and a key exchange
//! that it authenticates (SPAKE2 over Ed25519's group; the encodings are those of the crate `spake2`,
//! which are older than RFC 9382's).
//!
//! The new device has signed in and shows a [`LinkCode`]; a person types or scans it on an old one. The
//! two exchange messages through the server, which learns nothing and can guess once per attempt, five
//! times in all ([`limits::TRIES_MAX`]). At its end each knows that the other one knows the code, the
//! old one knows the new one's signature key, and the new one the beginning of the account's device
//! list and the account storage key. Both sides' persons say yes: the old one's before it signs the
//! new device into the list, the new one's before it takes what it was given.
//!
//! State machines without a clock: times and random bytes are arguments. Deliberately not here: the
//! device list itself, and telling the account's other devices, which see the list grow.

mod code;
mod exchange;
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated;
pub mod limits;
mod sealed;

pub use code::LinkCode;
pub use exchange::{Bundle, NewDevice, OldDevice, Party, Secret32};
pub use sealed::HistoryKey;

/// The messages of `tidings.device.v1`.
pub mod wire {
    pub use crate::generated::*;
}

/// Why a link was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// What was typed or scanned is no code.
    #[error(
        "a link code has eight letters and digits, such as abcd-efgh: look at the other device"
    )]
    NoCode,
    /// The other side does not know the code.
    #[error("the code is not the one that the other device shows: look again")]
    WrongCode,
    /// The code's time is over.
    #[error("the code is no longer valid: take the new one that the other device shows")]
    Expired,
    /// The code was tried too often.
    #[error("the code was tried too often: take the new one that the other device shows")]
    TooManyTries,
    /// The message belongs to another attempt, or comes out of turn.
    #[error("the message belongs to another attempt to link")]
    OutOfTurn,
    /// The bytes are no such message.
    #[error("the message is malformed")]
    Malformed,
}
