//! The bounds of the app protocol, with value, unit, reason, and what happens when they are hit.
//!
//! The server tells those that an app has to keep in `ServerHello.limits`; sizes of payloads and
//! groups are in `tidings_model::limits`.

/// One frame, in bytes: four of the largest messages, or a resume with every cursor. A larger one
/// closes the connection with 1009 before anything is allocated for it.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Requests of one connection without an answer: a full outbox window, a few reads and the person's
/// own acts fit. One more gets `TOO_MANY_IN_FLIGHT`.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;

/// Items in the answer to one fetch: a screen and its surroundings in one round trip. A request for
/// more gets this many; the answer ends earlier where the frame is full.
pub const ENTRIES_PER_FETCH_MAX: usize = 256;

/// Cursors in a resume: as many as an account has conversations
/// (`tidings_model::limits::CONVERSATIONS_MAX`). More get `TOO_MANY_CURSORS`.
pub const CURSORS_PER_RESUME_MAX: usize = 4_096;

/// The agent in `Hello`, in bytes: a name and a version for a line of the log. A longer one gets
/// `INVALID_FIELD`.
pub const AGENT_BYTES_MAX: usize = 64;

/// Features in `Hello`: none are defined yet, and a list without a bound is an attack. More get
/// `INVALID_FIELD`.
pub const FEATURES_MAX: usize = 32;

/// Verifiers in a sign-up: SHA-256 and one for each later mechanism. More get `INVALID_FIELD`.
pub const VERIFIERS_MAX: usize = 4;

/// A device's token, in bytes.
pub const DEVICE_TOKEN_BYTES: usize = 32;

/// The token of an invite, in bytes.
pub const INVITE_TOKEN_BYTES: usize = 16;

/// The hash of a token (SHA-256), in bytes.
pub const TOKEN_HASH_BYTES: usize = 32;
