//! What one direction of a WebSocket connection (RFC 6455) carries, as it passes by: the opening
//! request or answer in full, then the payloads of its frames, unmasked.
//!
//! Payloads of one direction are handed on as one stream, so that a text which was cut into frames is
//! still seen in one piece. After bytes that are no frame nothing more is handed on: that connection is
//! about to be closed by who got them.

use tidings_protocol_websocket::{Header, apply_mask};

/// The end of the opening request or answer.
const OPENING_END: &[u8] = b"\r\n\r\n";

/// Bytes of a masking key.
const KEY_BYTES: usize = 4;

/// Reads one direction.
#[derive(Debug)]
pub(crate) struct Payloads {
    at: At,
}

#[derive(Debug)]
enum At {
    /// In the opening; how much of its end was seen.
    Opening { matched: usize },
    /// In a frame's header, as far as it has come.
    Header(Vec<u8>),
    /// In a frame's payload.
    Payload { left: u64, key: Option<[u8; KEY_BYTES]>, offset: u64 },
    /// Behind something that is no frame.
    Lost,
}

impl Payloads {
    /// Begins with the opening.
    pub(crate) fn new() -> Self {
        Self { at: At::Opening { matched: 0 } }
    }

    /// Reads on, and hands on what is neither header nor mask.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = match &mut self.at {
                At::Opening { matched } => {
                    let taken = opening_bytes(rest, matched);
                    take(&rest[..taken]);
                    if *matched == OPENING_END.len() {
                        self.at = At::Header(Vec::new());
                    }
                    taken
                }
                At::Header(head) => {
                    head.push(rest[0]);
                    let head = std::mem::take(head);
                    self.at = behind_header(head);
                    1
                }
                At::Payload { left, key, offset } => {
                    let taken = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let mut payload = rest[..taken].to_vec();
                    if let Some(key) = key {
                        apply_mask(&mut payload, *key, *offset);
                    }
                    take(&payload);
                    *left -= taken as u64;
                    *offset += taken as u64;
                    if *left == 0 {
                        self.at = At::Header(Vec::new());
                    }
                    taken
                }
                At::Lost => return,
            };
            rest = &rest[taken..];
        }
    }
}

/// How many bytes belong to the opening, whose end is looked for on the way.
fn opening_bytes(bytes: &[u8], matched: &mut usize) -> usize {
    for (index, byte) in bytes.iter().enumerate() {
        *matched = match *byte {
            byte if byte == OPENING_END[*matched] => *matched + 1,
            b'\r' => 1,
            _ => 0,
        };
        if *matched == OPENING_END.len() {
            return index + 1;
        }
    }
    bytes.len()
}

/// Where a direction is behind these first bytes of a frame.
fn behind_header(head: Vec<u8>) -> At {
    let (header, header_bytes) = match Header::decode(&head) {
        Ok(Some(decoded)) => decoded,
        Ok(None) => return At::Header(head),
        Err(_) => return At::Lost,
    };
    let key = &head[header_bytes..];
    let key = match (header.is_masked, <[u8; KEY_BYTES]>::try_from(key)) {
        (false, _) => None,
        (true, Ok(key)) => Some(key),
        (true, Err(_)) => return At::Header(head),
    };
    match header.payload_bytes {
        0 => At::Header(Vec::new()),
        left => At::Payload { left, key, offset: 0 },
    }
}

#[cfg(test)]
mod tests {
    use tidings_protocol_websocket::OpCode;

    use super::*;

    fn frame(payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
        let header = Header {
            is_final: true,
            opcode: OpCode::Binary,
            is_masked: key.is_some(),
            payload_bytes: payload.len() as u64,
        };
        let mut frame = header.encode().to_vec();
        let mut payload = payload.to_vec();
        if let Some(key) = key {
            frame.extend(key);
            apply_mask(&mut payload, key, 0);
        }
        frame.extend(payload);
        frame
    }

    /// What comes out of bytes that arrive in parts of a length.
    fn read(bytes: &[u8], part: usize) -> Vec<u8> {
        let mut payloads = Payloads::new();
        let mut out = Vec::new();
        for part in bytes.chunks(part) {
            payloads.feed(part, |bytes| out.extend(bytes));
        }
        out
    }

    #[test]
    fn payloads_come_out_unmasked_however_the_bytes_arrive() {
        let opening = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
        let long = vec![b'l'; 70_000];
        let mut bytes = opening.clone();
        bytes.extend(frame(b"hello", Some([1, 2, 3, 4])));
        bytes.extend(frame(b"", Some([9, 9, 9, 9])));
        bytes.extend(frame(&long, Some([5, 6, 7, 8])));
        bytes.extend(frame(b"in the clear", None));
        let expected = [&opening[..], b"hello", &long, b"in the clear"].concat();
        for part in [1, 7, 4_096, bytes.len()] {
            assert_eq!(read(&bytes, part), expected, "{part}");
        }
    }

    #[test]
    fn nothing_is_read_behind_what_is_no_frame() {
        let bytes = [&b"\r\n\r\n"[..], &[0xff, 0xff], &frame(b"hello", None)].concat();
        assert_eq!(read(&bytes, 3), b"\r\n\r\n");
    }
}
