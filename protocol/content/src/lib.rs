//! What people say to one another: `tidings.content.v1`, the bytes inside the encryption.
//!
//! [`Content`] is the typed form of the generated schema in [`wire`]. What this version acts on has a
//! case of its own in [`Body`]; the rest of the schema is kept as it came and shown by its fallback
//! text, as is anything that a later version adds. Deliberately not here: sealing, and what an edit,
//! a deletion or a reaction does to its target (the client's timeline).

mod body;
mod content;
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod generated;
pub mod limits;

pub use body::{Body, Mention, Reference, Text};
pub use content::{Content, ContentError};

/// The generated types of `tidings.content.v1`, field by field as they are sealed.
pub mod wire {
    pub use crate::generated::*;
}
