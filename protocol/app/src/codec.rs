//! Frames to bytes and back (protobuf, proto3).
//!
//! One WebSocket message holds one frame, so there is no framing of ours. Payloads in a decoded frame
//! share the memory of the bytes that came in. Bytes that are no frame break the protocol: the
//! connection is closed with 1007, as RFC 6455 §7.4.1 has it for data that does not fit its type.
//!
//! A frame that carries a handshake of MLS may be larger than any other, and a repeated field costs
//! more in memory than on the wire. So a large frame is looked over before it is decoded.

use bytes::Bytes;
use prost::Message;

use crate::limits::{
    FRAME_BYTES_MAX, HANDSHAKE_FIELDS_MAX, HANDSHAKE_FRAME_BYTES_MAX, SERVER_FRAME_BYTES_MAX,
};
use crate::wire;

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More than a frame of its kind may have.
    #[error("a frame of this kind has at most {max} bytes, not {bytes}")]
    TooLarge {
        /// How many they are.
        bytes: usize,
        /// How many they may be.
        max: usize,
    },
    /// No protobuf message of the schema: a length that lies, bad UTF-8, nesting without end.
    #[error("the frame is no message of tidings.app.v1: {0}")]
    Malformed(#[from] prost::DecodeError),
}

/// Reads a frame of an app. Above [`FRAME_BYTES_MAX`] it has to be one that carries a handshake.
///
/// # Errors
/// See [`DecodeError`]: the peer broke the protocol.
pub fn decode_client_frame(bytes: Bytes) -> Result<wire::ClientFrame, DecodeError> {
    let max = match bytes.len() > FRAME_BYTES_MAX && carries_handshake(&bytes) {
        true => HANDSHAKE_FRAME_BYTES_MAX,
        false => FRAME_BYTES_MAX,
    };
    decode(bytes, max)
}

/// Reads a frame of a server.
///
/// # Errors
/// See [`DecodeError`]: the peer broke the protocol.
pub fn decode_server_frame(bytes: Bytes) -> Result<wire::ServerFrame, DecodeError> {
    decode(bytes, SERVER_FRAME_BYTES_MAX)
}

/// Writes a frame.
pub fn encode<M: Message>(frame: &M) -> Bytes {
    frame.encode_to_vec().into()
}

fn decode<M: Message + Default>(bytes: Bytes, max: usize) -> Result<M, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), max });
    }
    Ok(M::decode(bytes)?)
}

/// Whether a client's frame is one that carries a handshake, with no more fields than one has. Bytes
/// that cannot be read are none.
fn carries_handshake(frame: &[u8]) -> bool {
    let mut fields = 0;
    for field in Fields(frame) {
        match field {
            Some((REQUEST_TAG, _)) => {}
            Some((CREATE_TAG | COMMIT_TAG | RESTART_TAG | OFFER_AGAIN_TAG, body)) => {
                let of_body = Fields(body).take(HANDSHAKE_FIELDS_MAX + 1);
                fields += of_body.take_while(Option::is_some).count();
            }
            Some(_) | None => return false,
        }
    }
    (1..=HANDSHAKE_FIELDS_MAX).contains(&fields)
}

// Numbers of `ClientFrame`; the tests hold them against the schema.
const REQUEST_TAG: u64 = 1;
const CREATE_TAG: u64 = 10;
const COMMIT_TAG: u64 = 40;
const RESTART_TAG: u64 = 42;
const OFFER_AGAIN_TAG: u64 = 60;

/// The fields of a protobuf message in their order, by number, with the bytes of those that have a
/// length; a `None` where the message cannot be read, and nothing after it.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, &'a [u8])> {
        let key = self.varint()?;
        let bytes = match key & 7 {
            0 => self.varint().map(|_| Default::default())?,
            1 => self.take(8)?,
            2 => {
                let length = self.varint()?;
                self.take(usize::try_from(length).ok()?)?
            }
            5 => self.take(4)?,
            // The schema has no groups.
            _ => return None,
        };
        Some((key >> 3, bytes))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
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

    #[track_caller]
    fn check_too_large(bytes: Bytes, max: usize) {
        let size = bytes.len();
        assert_eq!(decode_client_frame(bytes), Err(DecodeError::TooLarge { bytes: size, max }));
    }

    fn frame(body: wire::client_frame::Body) -> Bytes {
        encode(&wire::ClientFrame { request: 7, body: Some(body) })
    }

    fn commit(bytes: usize, joiners: usize) -> wire::Commit {
        wire::Commit {
            commit: vec![1; bytes].into(),
            joiners: vec![wire::commit::Joiner::default(); joiners],
            ..wire::Commit::default()
        }
    }

    #[test]
    fn frame_above_the_limit_is_refused_before_it_is_read() {
        check_too_large(vec![0; FRAME_BYTES_MAX + 1].into(), FRAME_BYTES_MAX);
        check_too_large(encode(&send(&vec![1; FRAME_BYTES_MAX])), FRAME_BYTES_MAX);
        let bytes = Bytes::from(vec![0; SERVER_FRAME_BYTES_MAX + 1]);
        let (bytes, max) = (SERVER_FRAME_BYTES_MAX + 1, decode_server_frame(bytes));
        assert_eq!(max, Err(DecodeError::TooLarge { bytes, max: SERVER_FRAME_BYTES_MAX }));
    }

    #[test]
    fn frame_with_a_handshake_may_be_larger_than_any_other() {
        use crate::limits::HANDSHAKE_BYTES_MAX;
        use wire::client_frame::Body;
        let group = wire::GroupPublicState {
            group_info: vec![1; 300].into(),
            tree: vec![2; HANDSHAKE_BYTES_MAX].into(),
        };
        for body in [
            Body::Commit(commit(HANDSHAKE_BYTES_MAX, 128)),
            Body::Create(wire::Create { group: Some(group.clone()), ..Default::default() }),
            Body::Restart(wire::Restart { group: Some(group), ..Default::default() }),
            Body::OfferAgain(wire::OfferAgain {
                handshake: Some(wire::offer_again::Handshake::Commit(vec![1; 300_000].into())),
                ..Default::default()
            }),
        ] {
            let decoded = decode_client_frame(frame(body.clone())).unwrap();
            assert_eq!(decoded, wire::ClientFrame { request: 7, body: Some(body) });
        }
        let too_large = frame(Body::Commit(commit(HANDSHAKE_FRAME_BYTES_MAX, 0)));
        check_too_large(too_large, HANDSHAKE_FRAME_BYTES_MAX);
    }

    #[test]
    fn large_frame_of_many_small_fields_is_refused_before_it_is_decoded() {
        use wire::client_frame::Body;
        check_too_large(frame(Body::Commit(commit(0, FRAME_BYTES_MAX))), FRAME_BYTES_MAX);
        let members = vec![Bytes::new(); FRAME_BYTES_MAX];
        let create = wire::Create { members, ..wire::Create::default() };
        check_too_large(frame(Body::Create(create)), FRAME_BYTES_MAX);
        let cursors = vec![wire::Cursor::default(); FRAME_BYTES_MAX];
        let resume = wire::Resume { cursors, ..wire::Resume::default() };
        check_too_large(frame(Body::Resume(resume.clone())), FRAME_BYTES_MAX);
        // Small behind a large one, and the same body again and again.
        let mut both = frame(Body::Commit(commit(FRAME_BYTES_MAX, 0))).to_vec();
        both.extend(frame(Body::Resume(resume)));
        check_too_large(both.into(), FRAME_BYTES_MAX);
        let again = frame(Body::Commit(commit(3_000, 1))).repeat(129);
        check_too_large(again.into(), FRAME_BYTES_MAX);
    }

    #[test]
    fn large_frame_whose_lengths_lie_is_refused() {
        let honest = frame(wire::client_frame::Body::Commit(commit(2 * FRAME_BYTES_MAX, 0)));
        for cut in [honest.len() - 1, FRAME_BYTES_MAX + 1] {
            check_too_large(honest.slice(..cut), FRAME_BYTES_MAX);
        }
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
