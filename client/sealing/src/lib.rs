//! How a conversation's content becomes the payload of an entry, and how it is read back.
//!
//! A conversation is open or sealed from its first entry on, and [`Sealing`] is the one seam between
//! the client core and either. The core knows no library of cryptography and no case by name: it
//! hands content to [`Sealing::seal`] before it leaves the device and entries of the log to
//! [`Sealing::take_in`], strictly in log order. [`Open`] is the case of conversations that the server
//! can read. Deliberately not here: storage. A case with state of its own keeps it in the client's
//! database, in the same change set as the entries that moved it.

mod open;

use bytes::Bytes;
use tidings_model::{ConversationId, Entry, MessageId};

pub use open::Open;

/// What is sealed, and for where.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The conversation.
    pub conversation: ConversationId,
    /// The logical message; it is bound to the payload, so that a server cannot relabel it.
    pub message_id: MessageId,
    /// `tidings.content.v1`, encoded.
    pub content: Bytes,
}

/// The two ways between content and payload.
pub trait Sealing {
    /// Makes the payload of a message. The same message may be sealed again for another attempt.
    ///
    /// # Errors
    /// See [`SealingError`]; nothing has left the device.
    fn seal(&mut self, outgoing: &Outgoing) -> Result<Bytes, SealingError>;

    /// Reads the content of an entry of kind message. Entries come in log order, none left out.
    ///
    /// # Errors
    /// See [`SealingError`]; the entry is kept as one that cannot be read.
    fn take_in(
        &mut self,
        conversation: ConversationId,
        entry: &Entry,
    ) -> Result<Bytes, SealingError>;
}

/// Why content was not sealed or not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The payload is larger than a conversation's log takes.
    #[error("a message takes at most {max} bytes once sealed, not {bytes}")]
    TooLarge {
        /// How many it takes.
        bytes: usize,
        /// The limit, `tidings_model::limits::PAYLOAD_BYTES_MAX`.
        max: usize,
    },
}
