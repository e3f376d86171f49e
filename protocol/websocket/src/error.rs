//! What can go wrong, by who must act. A [`Violation`] is the peer's on an open connection and
//! becomes a close code; a [`HandshakeError`] is returned, for the driver to answer with an HTTP
//! status or to give up with.

use thiserror::Error;

use crate::close::CloseCode;
use crate::limits::{CONTROL_PAYLOAD_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX};

/// A rule that the peer broke on an open connection. Its text travels as the reason of our Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// A reserved bit is set and no extension was agreed on (RFC 6455 §5.2).
    #[error("reserved bits are set")]
    ReservedBits,
    /// An opcode that RFC 6455 §5.2 keeps for the future.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpCode(u8),
    /// A control frame without the FIN bit (§5.5).
    #[error("control frame is fragmented")]
    ControlFragmented,
    /// A control frame with a long payload (§5.5).
    #[error("control frame exceeds {CONTROL_PAYLOAD_BYTES_MAX} bytes")]
    ControlTooLong,
    /// A length in more bytes than it needs (§5.2).
    #[error("payload length is not in its shortest form")]
    LengthNotShortest,
    /// A length of 2^63 or more (§5.2).
    #[error("payload length has its top bit set")]
    LengthTopBit,
    /// A client's frame without a mask (§5.1).
    #[error("client frame is not masked")]
    NotMasked,
    /// A server's frame with a mask (§5.1).
    #[error("server frame is masked")]
    Masked,
    /// A continuation of nothing (§5.4).
    #[error("continuation frame without a message to continue")]
    NothingToContinue,
    /// A new message before the last was complete (§5.4).
    #[error("message begins before the last one ended")]
    MessageUnfinished,
    /// A Close frame with a single byte (§5.5.1).
    #[error("close frame has one byte")]
    CloseTooShort,
    /// A Close frame with a code that may not travel (§7.4).
    #[error("close code {0} may not be sent")]
    CloseCodeInvalid(CloseCode),
    /// A Close frame whose reason is not UTF-8 (§5.5.1, §8.1).
    #[error("close reason is not UTF-8")]
    CloseReasonNotUtf8,
    /// A text message that is not UTF-8 (§8.1).
    #[error("text is not UTF-8")]
    TextNotUtf8,
    /// A text message where [`Config::message_kinds`](crate::Config::message_kinds) has none.
    #[error("only binary messages are taken")]
    TextNotTaken,
    /// A message above [`Config::message_bytes_max`](crate::Config::message_bytes_max).
    #[error("message exceeds message_bytes_max, {0} bytes")]
    MessageTooBig(usize),
    /// A message above [`Config::fragments_max`](crate::Config::fragments_max).
    #[error("message exceeds fragments_max, {0} frames")]
    TooManyFragments(u32),
    /// More than
    /// [`Config::control_frames_per_sec_max`](crate::Config::control_frames_per_sec_max).
    #[error("pings and pongs exceed control_frames_per_sec_max, {0}")]
    TooManyControlFrames(u32),
}

impl Violation {
    /// The code of the Close that answers it.
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpCode(_)
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthNotShortest
            | Self::LengthTopBit
            | Self::NotMasked
            | Self::Masked
            | Self::NothingToContinue
            | Self::MessageUnfinished
            | Self::CloseTooShort
            | Self::CloseCodeInvalid(_) => CloseCode::PROTOCOL_ERROR,
            Self::CloseReasonNotUtf8 | Self::TextNotUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::TextNotTaken => CloseCode::UNSUPPORTED_DATA,
            Self::MessageTooBig(_) => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments(_) | Self::TooManyControlFrames(_) => {
                CloseCode::POLICY_VIOLATION
            }
        }
    }
}

/// Why an opening handshake came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// The request's method is not GET.
    #[error("the method must be GET")]
    MethodNotGet,
    /// The request has no Host header, or several.
    #[error("one Host header is needed")]
    HostMissing,
    /// `Upgrade: websocket` or `Connection: Upgrade` is missing, in a request or in a response.
    #[error("the headers `Upgrade: websocket` and `Connection: Upgrade` are needed")]
    UpgradeMissing,
    /// The request's Sec-WebSocket-Version is not 13.
    #[error("Sec-WebSocket-Version must be 13")]
    VersionUnsupported,
    /// The request's Sec-WebSocket-Key is missing, repeated or not 16 bytes in Base64.
    #[error("one Sec-WebSocket-Key of 16 bytes in Base64 is needed")]
    KeyInvalid,
    /// A host, target or protocol for a client's request that would break the request's lines.
    #[error("`{0}` cannot stand in a request")]
    RequestInvalid(String),
    /// The response is not HTTP/1.1.
    #[error("the answer is not HTTP/1.1")]
    ResponseMalformed,
    /// The response's head is above [`limits`](crate::limits).
    #[error("the answer's head exceeds {RESPONSE_HEAD_BYTES_MAX} bytes or its header lines")]
    ResponseTooLarge,
    /// The server answered with another status than 101.
    #[error("the server answered with status {0}")]
    Refused(u16),
    /// The response's Sec-WebSocket-Accept does not fit our key: not a WebSocket server.
    #[error("Sec-WebSocket-Accept does not belong to our key")]
    AcceptMismatch,
    /// The response names an extension, and none was offered.
    #[error("the server chose an extension that was not offered")]
    ExtensionNotOffered,
    /// The response names a subprotocol that was not offered.
    #[error("the server chose a subprotocol that was not offered")]
    ProtocolNotOffered,
}
