//! The header of a frame (RFC 6455 §5.2): everything about it that holds for both roles and needs
//! no knowledge of other frames. Payloads are not here: they are never held as frames.

use std::ops::Deref;

use crate::error::Violation;
use crate::limits::CONTROL_PAYLOAD_BYTES_MAX;

const FIN: u8 = 0b1000_0000;
const RESERVED: u8 = 0b0111_0000;
const OPCODE: u8 = 0b0000_1111;
const MASK: u8 = 0b1000_0000;
const LENGTH: u8 = 0b0111_1111;

/// `LENGTH` says that the length follows in two bytes.
const LENGTH_IN_16_BITS: u8 = 126;
/// `LENGTH` says that the length follows in eight bytes.
const LENGTH_IN_64_BITS: u8 = 127;

/// Two bytes, the longest length and a masking key.
pub(crate) const HEADER_BYTES_MAX: usize = 14;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// More of the message that an earlier frame began.
    Continuation = 0x0,
    /// Begins a text message.
    Text = 0x1,
    /// Begins a binary message.
    Binary = 0x2,
    /// Ends the connection.
    Close = 0x8,
    /// Asks for a sign of life.
    Ping = 0x9,
    /// Gives a sign of life.
    Pong = 0xA,
}

impl OpCode {
    /// Whether frames of this kind may stand between the fragments of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    fn from_bits(bits: u8) -> Result<Self, Violation> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xA => Ok(Self::Pong),
            reserved => Err(Violation::ReservedOpCode(reserved)),
        }
    }
}

/// The header of a frame, up to its masking key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub is_final: bool,
    /// What the frame is for.
    pub opcode: OpCode,
    /// A masking key of four bytes follows the header.
    pub is_masked: bool,
    /// Length of the payload, as announced.
    pub payload_bytes: u64,
}

impl Header {
    /// Reads the header at the start of `input`, and says how many bytes it took; the masking key
    /// is not among them. `None` if more input is needed.
    ///
    /// # Errors
    ///
    /// As soon as the bytes at hand break a rule, whatever may follow.
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let [first, second, rest @ ..] = input else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = OpCode::from_bits(first & OPCODE)?;
        let is_final = first & FIN != 0;
        let short_length = second & LENGTH;
        if opcode.is_control() {
            if !is_final {
                return Err(Violation::ControlFragmented);
            }
            if usize::from(short_length) > CONTROL_PAYLOAD_BYTES_MAX {
                return Err(Violation::ControlTooLong);
            }
        }
        let Some((payload_bytes, length_bytes)) = decode_length(short_length, rest)? else {
            return Ok(None);
        };
        let header = Self { is_final, opcode, is_masked: second & MASK != 0, payload_bytes };
        Ok(Some((header, 2 + length_bytes)))
    }

    /// Writes the header in its shortest form, without a masking key.
    pub fn encode(&self) -> EncodedHeader {
        let mut encoded = EncodedHeader { bytes: [0; HEADER_BYTES_MAX], len: 0 };
        let first = if self.is_final { FIN } else { 0 } | self.opcode as u8;
        let mask = if self.is_masked { MASK } else { 0 };
        match self.payload_bytes {
            length @ 0..126 => encoded.push(&[first, mask | length as u8]),
            length @ 126..=0xFFFF => {
                encoded.push(&[first, mask | LENGTH_IN_16_BITS]);
                encoded.push(&(length as u16).to_be_bytes());
            }
            length => {
                encoded.push(&[first, mask | LENGTH_IN_64_BITS]);
                encoded.push(&length.to_be_bytes());
            }
        }
        encoded
    }
}

/// The length that `short_length` announces, and the bytes of `rest` that it stood in.
fn decode_length(short_length: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (length, length_bytes, shortest) = match short_length {
        LENGTH_IN_16_BITS => match rest.first_chunk::<2>() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 2, 126),
            None => return Ok(None),
        },
        LENGTH_IN_64_BITS => match rest.first_chunk::<8>() {
            Some(length) => (u64::from_be_bytes(*length), 8, 0x1_0000),
            None => return Ok(None),
        },
        length => (u64::from(length), 0, 0),
    };
    if length < shortest {
        return Err(Violation::LengthNotShortest);
    }
    if length >> 63 != 0 {
        return Err(Violation::LengthTopBit);
    }
    Ok(Some((length, length_bytes)))
}

/// A header as it travels.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u8,
}

impl EncodedHeader {
    /// Appends the masking key that a masked header needs.
    pub(crate) fn push_masking_key(&mut self, key: [u8; 4]) {
        self.push(&key);
    }

    fn push(&mut self, bytes: &[u8]) {
        let len = usize::from(self.len);
        self.bytes[len..len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

impl Deref for EncodedHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], expected: Result<Option<(Header, usize)>, Violation>) {
        assert_eq!(Header::decode(bytes), expected, "{bytes:x?}");
    }

    fn header(opcode: OpCode, payload_bytes: u64) -> Header {
        Header { is_final: true, opcode, is_masked: false, payload_bytes }
    }

    /// RFC 6455 §5.7.
    #[test]
    fn rfc_examples_decode() {
        check(b"\x81\x05Hello", Ok(Some((header(OpCode::Text, 5), 2))));
        let masked = Header { is_masked: true, ..header(OpCode::Text, 5) };
        check(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Ok(Some((masked, 2))));
        let fragment = Header { is_final: false, ..header(OpCode::Text, 3) };
        check(b"\x01\x03Hel", Ok(Some((fragment, 2))));
        check(b"\x80\x02lo", Ok(Some((header(OpCode::Continuation, 2), 2))));
        check(b"\x89\x05Hello", Ok(Some((header(OpCode::Ping, 5), 2))));
        let masked = Header { is_masked: true, ..header(OpCode::Pong, 5) };
        check(b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Ok(Some((masked, 2))));
        check(b"\x82\x7e\x01\x00", Ok(Some((header(OpCode::Binary, 256), 4))));
        check(
            b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
            Ok(Some((header(OpCode::Binary, 65_536), 10))),
        );
    }

    #[test]
    fn broken_rules_are_named_from_the_first_bytes_that_show_them() {
        for first in [0x91, 0xA1, 0xC1, 0xF1] {
            check(&[first, 0], Err(Violation::ReservedBits));
        }
        for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
            check(&[0x80 | opcode, 0], Err(Violation::ReservedOpCode(opcode)));
        }
        for control in [0x8, 0x9, 0xA] {
            check(&[control, 0], Err(Violation::ControlFragmented));
            check(&[0x80 | control, 126], Err(Violation::ControlTooLong));
            check(&[0x80 | control, 127], Err(Violation::ControlTooLong));
        }
        check(b"\x82\x7e\x00\x7d", Err(Violation::LengthNotShortest));
        check(b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", Err(Violation::LengthNotShortest));
        check(b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", Err(Violation::LengthTopBit));
    }

    #[test]
    fn part_of_a_header_asks_for_more() {
        for part in [&b""[..], b"\x82", b"\x82\x7e\x01", b"\x82\x7f\0\0\0\0\0\x01\0"] {
            check(part, Ok(None));
        }
    }

    proptest! {
        #[test]
        fn header_survives_the_round_trip(
            is_final in any::<bool>(),
            is_masked in any::<bool>(),
            opcode in prop::sample::select(vec![OpCode::Continuation, OpCode::Text, OpCode::Binary]),
            payload_bytes in prop_oneof![0..200_u64, 65_000..66_000_u64, 0..1_u64 << 63],
        ) {
            let header = Header { is_final, opcode, is_masked, payload_bytes };
            let encoded = header.encode();
            prop_assert_eq!(Header::decode(&encoded), Ok(Some((header, encoded.len()))));
        }
    }
}
