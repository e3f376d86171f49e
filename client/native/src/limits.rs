//! The bounds of the driver: value, unit, reason, and what happens when one is hit.

use std::time::Duration;

/// Time for finding the server and opening a TCP connection, all addresses together. Past it:
/// [`ConnectError::TimedOut`](crate::ConnectError::TimedOut).
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// Time for the TLS and the WebSocket handshake each. Past it:
/// [`ConnectError::TimedOut`](crate::ConnectError::TimedOut).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);

/// Head start of an address before the next one is tried beside it (RFC 8305 §5 recommends it).
pub const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Addresses of a name that are tried. The rest is left out.
pub const ADDRESSES_MAX: usize = 8;

/// One read from the socket, in bytes: a TLS record.
pub const READ_BYTES: usize = 16 * 1024;

/// Bytes that wait for the socket before a link takes no more frames: one of the largest and a few
/// small ones. The rest waits in the core, where a lost connection does not lose it.
pub const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// Time for the last bytes of a link that ends, our Close among them. Past it they are dropped.
pub const CLOSE_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Difference between the clocks that counts as sleep: more than a correction of the wall clock makes
/// at once, less than any connection is worth keeping after.
pub const SLEEP_NOTICED_FROM: Duration = Duration::from_secs(10);

/// Commands and reads that wait for the driver. Past it whoever hands one over waits.
pub const INPUTS_MAX: usize = 256;

/// Frames and ends of connections that wait for the driver. Past it nothing more is read from the
/// socket, and TCP slows the server down.
pub const REPORTS_MAX: usize = 64;

/// Events that wait for their reader. Past it the oldest are dropped and the reader is told so.
pub const EVENTS_MAX: usize = 1_024;

/// Time for the connection's end in a shutdown. Past it the socket is just closed.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
