//! The bounds of a WebSocket connection: value, unit, reason, and what happens when one is hit.
//! Those that a service may want to set otherwise are the defaults of [`Config`](crate::Config).

use std::time::Duration;

/// Bytes in one message. The header that would go past it closes with 1009 before anything is
/// allocated for its payload.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Frames in one message: nobody who means well cuts [`MESSAGE_BYTES_MAX`] smaller than 256 bytes.
/// One more closes with 1008.
pub const FRAGMENTS_MAX: u32 = 1_024;

/// Pings and pongs that a peer may send in one second, far above any keep-alive: each costs us an
/// answer. One more closes with 1008.
pub const CONTROL_FRAMES_PER_SEC_MAX: u32 = 100;

/// Pongs that wait for the transport. Past it only the latest ping is remembered, as RFC 6455
/// §5.5.3 allows, so that a peer who pings and never reads costs a bounded queue.
pub const UNSENT_PONGS_MAX: u8 = 16;

/// Bytes that wait for the transport before [`Connection::wants_input`] says no: a peer who does
/// not read the answers may not go on asking.
///
/// [`Connection::wants_input`]: crate::Connection::wants_input
pub const UNSENT_BYTES_MAX: usize = 256 * 1024;

/// Silence after which we send a ping: below the 30 s after which the tightest common proxies and
/// phone networks forget an idle connection.
pub const PING_AFTER: Duration = Duration::from_secs(20);

/// Silence after which a peer counts as gone: two pings were not answered, and 5 s for the slowest
/// network to bring the answer to the second.
pub const DEAD_AFTER: Duration = Duration::from_secs(45);

/// Time for the peer to answer our Close. Past it the connection ends with 1006.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Payload of a control frame (RFC 6455 §5.5). One byte more closes with 1002.
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// Reason in a Close frame: what the code leaves of [`CONTROL_PAYLOAD_BYTES_MAX`]. A longer one is
/// cut when it is sent.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - 2;

/// Head of a server's response to the opening handshake, much as browsers allow. A longer one is
/// refused by the client.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Header lines in a server's response to the opening handshake. More are refused by the client.
pub const RESPONSE_HEADERS_MAX: usize = 100;
