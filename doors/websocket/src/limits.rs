//! The bounds of the driver: value, unit, reason, and what happens when one is hit. Those of the
//! protocol stand in `tidings_protocol_websocket::limits`.

use std::time::Duration;

/// Time for the whole head of a request, also of the next one on a kept connection. Past it the
/// connection is closed without an answer, so that slow senders hold nothing.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Head of a request: what the cookies and tokens of a browser's request may add up to, with room.
/// A longer one gets status 431, then the connection is closed.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Input taken at once. One buffer of this size per thread serves all its connections; it bounds
/// how many messages one read can bring.
pub const READ_BYTES_MAX: usize = 64 * 1024;

/// Time that a closed connection may take to carry our last bytes to a peer that is still sending.
/// Past it the transport is dropped.
pub const LINGER: Duration = Duration::from_secs(2);
