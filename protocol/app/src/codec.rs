//! Frames to bytes and back (protobuf, proto3).
//!
//! One WebSocket message holds one frame, so there is no framing of ours. Payloads in a decoded frame
//! share the memory of the bytes that came in. Bytes that are no frame break the protocol: the
//! connection is closed with 1007, as RFC 6455 §7.4.1 has it for data that does not fit its type.

use bytes::Bytes;
use prost::Message;

use crate::limits::FRAME_BYTES_MAX;
use crate::wire;

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More than [`FRAME_BYTES_MAX`].
    #[error("a frame has at most {FRAME_BYTES_MAX} bytes, not {bytes}")]
    TooLarge {
        /// How many they are.
        bytes: usize,
    },
    /// No protobuf message of the schema: a length that lies, bad UTF-8, nesting without end.
    #[error("the frame is no message of tidings.app.v1: {0}")]
    Malformed(#[from] prost::DecodeError),
}

/// Reads a frame of an app.
///
/// # Errors
/// See [`DecodeError`]: the peer broke the protocol.
pub fn decode_client_frame(bytes: Bytes) -> Result<wire::ClientFrame, DecodeError> {
    decode(bytes)
}

/// Reads a frame of a server.
///
/// # Errors
/// See [`DecodeError`]: the peer broke the protocol.
pub fn decode_server_frame(bytes: Bytes) -> Result<wire::ServerFrame, DecodeError> {
    decode(bytes)
}

/// Writes a frame.
pub fn encode<M: Message>(frame: &M) -> Bytes {
    frame.encode_to_vec().into()
}

fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, DecodeError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLarge { bytes: bytes.len() });
    }
    Ok(M::decode(bytes)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn send(payload: &[u8]) -> wire::ClientFrame {
        wire::ClientFrame {
            request: 7,
            body: Some(wire::client_frame::Body::Send(wire::Send {
                conversation: Bytes::from_static(&[1; 16]),
                message_id: Bytes::from_static(&[2; 16]),
                payload: Bytes::copy_from_slice(payload),
                client_time: -3,
                expires_after_ms: 0,
            })),
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let mut bytes = encode(&send(b"hello")).to_vec();
        bytes.extend([0xfa, 0x3f, 0x02, b'h', b'i']);
        assert_eq!(decode_client_frame(bytes.into()), Ok(send(b"hello")));
    }

    #[test]
    fn unknown_body_leaves_the_request_number_readable() {
        let frame = decode_client_frame(Bytes::from_static(&[0x08, 0x09, 0xfa, 0x3f, 0x00]));
        assert_eq!(frame, Ok(wire::ClientFrame { request: 9, body: None }));
    }

    #[test]
    fn length_that_lies_is_an_error() {
        let honest = encode(&send(b"hello"));
        for at in 0..honest.len() {
            assert!(
                decode_client_frame(honest.slice(..at)).ok() != Some(send(b"hello")),
                "cut at {at}"
            );
        }
        let announces_4_gib = [0x5a, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(decode_client_frame(Bytes::copy_from_slice(&announces_4_gib)).is_err());
    }

    #[test]
    fn nesting_without_end_is_an_error() {
        let groups = [0xfb, 0x3f].repeat(200);
        assert!(decode_client_frame(groups.into()).is_err());
    }

    #[test]
    fn text_that_is_no_utf_8_is_an_error() {
        let hello = [0x12, 0x04, 0x22, 0x02, 0xed, 0xa0];
        assert!(decode_client_frame(Bytes::copy_from_slice(&hello)).is_err());
    }

    #[test]
    fn frame_above_the_limit_is_refused_before_it_is_read() {
        let bytes = Bytes::from(vec![0; FRAME_BYTES_MAX + 1]);
        assert_eq!(
            decode_server_frame(bytes),
            Err(DecodeError::TooLarge { bytes: FRAME_BYTES_MAX + 1 })
        );
    }

    proptest! {
        #[test]
        fn every_payload_comes_back(payload in prop::collection::vec(any::<u8>(), 0..512)) {
            prop_assert_eq!(decode_client_frame(encode(&send(&payload))), Ok(send(&payload)));
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = decode_client_frame(Bytes::from(bytes.clone()));
            let _ = decode_server_frame(Bytes::from(bytes));
        }

        #[test]
        fn damaged_frame_never_panics(at in 0usize..64, value: u8) {
            let mut bytes = encode(&send(b"a line of somebody's")).to_vec();
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = decode_client_frame(bytes.into());
        }
    }
}
