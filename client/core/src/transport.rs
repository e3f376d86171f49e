//! What passes between the core and the program around it about the connection and the device.

use bytes::Bytes;
use tidings_protocol_identity::ServerAddress;

/// What the core asks of the transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// Connect to a server. It is answered by [`TransportEvent::Opened`] or by
    /// [`TransportEvent::Closed`]. A connection that is open or under way is dropped first.
    Connect(ServerAddress),
    /// Send a frame over the open connection.
    Frame(Bytes),
    /// Close the connection. Nothing of it is handed in after this, not even its end.
    Disconnect,
}

/// What the transport reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// The connection is open.
    Opened,
    /// A frame arrived.
    Frame(Bytes),
    /// There is no connection: it could not be made, or it ended.
    Closed(CloseReason),
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// It could not be made, or broke: a sentence for the person.
    Unreachable(String),
    /// The server is not the one that was meant (its certificate, or what it speaks): a sentence for
    /// the person. Trying again changes nothing until somebody acts.
    Untrusted(String),
    /// The other side closed it.
    Closed {
        /// The WebSocket close code.
        code: u16,
        /// Its words.
        reason: String,
    },
}

/// What happens to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// There is a network, or another one.
    NetworkUp,
    /// There is none.
    NetworkDown,
    /// The device goes to sleep.
    Sleep,
    /// It is awake again.
    Wake,
    /// The app is what the person looks at.
    Foreground,
    /// It is not.
    Background,
    /// A phone call began: the connection stays also in the background.
    CallStarted,
    /// It ended.
    CallEnded,
}
