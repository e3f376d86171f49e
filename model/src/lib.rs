//! The words that every layer of Tidings speaks: identifiers, log entries, cursors, ranges, roles,
//! refusals and time.
//!
//! `docs/formats.md` states the same for people who write clients. Nothing here does I/O, reads a
//! clock or draws randomness; nothing here knows a wire protocol, except that the events which the
//! server writes into logs ([`mod@event`]) have one encoding for all doors.

pub mod base32;
pub mod entry;
pub mod event;
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated;
pub mod id;
pub mod limits;
pub mod refusal;
pub mod role;
pub mod time;

pub use entry::{
    Checksum, Cursor, Entry, EntryKind, GroupEpoch, Hidden, HiddenReason, LogEpoch, Range, Seq,
};
pub use event::ConversationEvent;
pub use id::{AccountId, ConversationId, DeviceId, IdError, MessageId};
pub use refusal::Refusal;
pub use role::{ConversationKind, Role};
pub use time::{Monotonic, Now, Timestamp};
