//! Close codes and the payload of Close frames (RFC 6455 §5.5.1 and §7.4), with the codes that the
//! IANA registry has added since (1012 to 1014).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Violation;
use crate::limits::CLOSE_REASON_BYTES_MAX;

/// Why a connection ended. 4000 to 4999 are free for a service's own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the rules of RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of message that this endpoint does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// The peer's Close had no code. Reported, never sent.
    pub const NO_STATUS: Self = Self(1005);
    /// The connection ended without a Close. Reported, never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// The payload is not what the kind of message demands, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A rule of the service was broken.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// The message is too big.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server met a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The server is overloaded: come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// Whether the code may stand in a Close frame.
    pub fn may_travel(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The payload of a Close frame. A code that may not travel gives an empty one, a long reason is
/// cut between two characters.
pub(crate) fn encode_close(code: CloseCode, reason: &str) -> Bytes {
    if !code.may_travel() {
        return Bytes::new();
    }
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    let mut payload = BytesMut::with_capacity(2 + reason.len());
    payload.put_u16(code.0);
    payload.put_slice(reason.as_bytes());
    payload.freeze()
}

/// Reads the payload of a Close frame; [`CloseCode::NO_STATUS`] if it is empty.
pub(crate) fn decode_close(payload: &[u8]) -> Result<(CloseCode, String), Violation> {
    let (code, reason) = match payload.split_first_chunk::<2>() {
        Some((code, reason)) => (CloseCode(u16::from_be_bytes(*code)), reason),
        None if payload.is_empty() => return Ok((CloseCode::NO_STATUS, String::new())),
        None => return Err(Violation::CloseTooShort),
    };
    if !code.may_travel() {
        return Err(Violation::CloseCodeInvalid(code));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
    Ok((code, reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_travel_are_those_of_the_registry_and_of_applications() {
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 4999] {
            assert!(CloseCode(code).may_travel(), "{code}");
        }
        for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!CloseCode(code).may_travel(), "{code}");
        }
    }

    #[test]
    fn long_reason_is_cut_between_characters() {
        let payload = encode_close(CloseCode::NORMAL, &"é".repeat(100));
        assert_eq!(payload.len(), 2 + 122);
        let (code, reason) = decode_close(&payload).unwrap();
        assert_eq!((code, reason.as_str()), (CloseCode::NORMAL, "é".repeat(61).as_str()));
    }

    #[test]
    fn code_that_may_not_travel_is_sent_as_an_empty_close() {
        assert!(encode_close(CloseCode::ABNORMAL, "lost").is_empty());
        assert_eq!(decode_close(b"").unwrap().0, CloseCode::NO_STATUS);
    }

    #[test]
    fn close_payload_must_be_a_valid_code_and_utf8() {
        assert_eq!(decode_close(b"\x03"), Err(Violation::CloseTooShort));
        assert_eq!(
            decode_close(b"\x03\xed"),
            Err(Violation::CloseCodeInvalid(CloseCode::NO_STATUS))
        );
        assert_eq!(decode_close(b"\x03\xe8\xce\xba\xe1"), Err(Violation::CloseReasonNotUtf8));
    }
}
