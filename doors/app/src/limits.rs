//! The bounds of one session of the app door: value, unit, reason, and what happens when one is hit.
//!
//! Those of the frames stand in `tidings_protocol_app::limits`, those of the WebSocket in
//! `tidings_protocol_websocket::limits`.

use std::time::Duration;

/// Time from the opened WebSocket to a live session, whatever the peer does meanwhile: an honest app
/// asks its person for the password before it connects. Past it the connection closes with 1008.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests of one connection before its session is live: a person who mistypes a password a few
/// times stays far below. One more closes with 1008.
pub const LOGIN_REQUESTS_MAX: u32 = 32;

/// Time for a revoked device to take what was said to it and the Close. Past it the transport is
/// dropped: two seconds after the revocation at the latest no device has a connection.
pub const REVOKED_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Output that the peer has not taken, in bytes. Above it the session drops the live feed: what was
/// missed is told by conversation once the output has drained.
pub const QUEUED_BYTES_HIGH: usize = 256 * 1024;

/// Output below which a session that dropped the live feed takes it up again: low enough that it does
/// not fall behind again at once.
pub const QUEUED_BYTES_LOW: usize = 64 * 1024;

/// Answers that are on their way or not yet taken, in bytes as reserved for them. Requests beyond wait
/// in the session: sixty pages asked for at once by a peer that reads none of them cost two.
pub const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// Reserved for the answer to a fetch, a description or a claim: a full page, or the tree of a group
/// of a thousand members. One answer alone may be larger, up to
/// `tidings_protocol_app::limits::SERVER_FRAME_BYTES_MAX`; nothing follows it before it was read.
pub const LARGE_ANSWER_BYTES: usize = 256 * 1024;

/// Reserved for any other answer.
pub const SMALL_ANSWER_BYTES: usize = 1024;

/// Bytes of requests without an answer, together: 64 frames of the usual largest size, so that only
/// handshakes meet it. One more gets `OVERLOADED`.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// When such a request may come again.
pub const REQUEST_BYTES_RETRY: Duration = Duration::from_secs(1);

/// People whose presence or device list a slow reader missed. Beyond it the presence of the one with
/// the smallest identifier is lost, until that person comes or goes again; then lists, which are
/// fetched all the same when they are needed.
pub const MISSED_NEWS_MAX: usize = 1_024;

/// Bytes of entries in one answer with device lists: an app asks again beyond what it then knows.
pub const LISTS_BYTES_MAX: usize = 192 * 1024;

/// Bytes of conversation states in one frame, with room below the limit of frames for the rest.
pub const STATES_BYTES_MAX: usize = 192 * 1024;

/// Pause before the core is asked again how missed conversations stand, if it refused.
pub const STATES_RETRY: Duration = Duration::from_secs(1);
