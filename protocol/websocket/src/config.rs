//! What a service lets its peers do on a WebSocket connection. One [`Config`] is shared by all the
//! connections of a service; its defaults stand in [`limits`](crate::limits) with their reasons.

use std::time::Duration;

use crate::limits;

/// The rules of a service's connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes in one message, whole; a longer one closes with 1009. A connection can be allowed more:
    /// [`Connection::raise_message_bytes_max`](crate::Connection::raise_message_bytes_max).
    pub message_bytes_max: usize,
    /// Frames in one message, or no bound; one more closes with 1008.
    pub fragments_max: Option<u32>,
    /// Pings and pongs in one second; one more closes with 1008.
    pub control_frames_per_sec_max: u32,
    /// Unsent bytes above which no input is wanted.
    pub unsent_bytes_max: usize,
    /// The kinds of message that are taken; another one closes with 1003.
    pub message_kinds: MessageKinds,
    /// When to ask a silent peer for a sign of life, or never.
    pub keep_alive: Option<KeepAlive>,
    /// How long the peer may take to answer our Close.
    pub close_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            message_bytes_max: limits::MESSAGE_BYTES_MAX,
            fragments_max: Some(limits::FRAGMENTS_MAX),
            control_frames_per_sec_max: limits::CONTROL_FRAMES_PER_SEC_MAX,
            unsent_bytes_max: limits::UNSENT_BYTES_MAX,
            message_kinds: MessageKinds::BinaryOnly,
            keep_alive: Some(KeepAlive::default()),
            close_timeout: limits::CLOSE_TIMEOUT,
        }
    }
}

/// The kinds of message that a service takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKinds {
    /// Binary messages alone.
    BinaryOnly,
    /// Text and binary messages.
    TextAndBinary,
}

/// When a silent peer is pinged, and when it is given up.
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    /// Silence after which a ping is sent, and again after as much more.
    pub ping_after: Duration,
    /// Silence after which the connection ends with 1006.
    pub dead_after: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { ping_after: limits::PING_AFTER, dead_after: limits::DEAD_AFTER }
    }
}
