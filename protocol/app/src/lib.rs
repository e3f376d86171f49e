//! The app protocol `tidings.app.v1`: its frames, how they become bytes, and how their fields become
//! the model's types.
//!
//! The schema in `proto/` is the public specification, `docs/app-protocol.md` explains the
//! conversation of frames. [`wire`] holds the types generated from the schema; nothing outside the
//! client core and the app's door needs them. Deliberately not here: sockets, sessions, and what a
//! request does.

pub mod close_code;
mod codec;
mod convert;
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated;
pub mod limits;
mod refused;
pub mod sealed;

pub use codec::{DecodeError, decode_client_frame, decode_server_frame, encode};
pub use convert::{
    ConversationCursor, FieldError, client_time, id, id_bytes, ids, optional_id, seq,
};
pub use refused::{Refused, code};

/// The generated types of `tidings.app.v1`, field by field as they travel.
pub mod wire {
    pub use crate::generated::*;
}

/// The lowest version of the protocol that this crate speaks.
pub const VERSION_LOWEST: u32 = 1;

/// The highest version of the protocol that this crate speaks.
pub const VERSION_HIGHEST: u32 = 1;
