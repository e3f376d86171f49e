//! What waits for the transport: frames as a header and a payload that stay apart, so that a server
//! hands its payloads to a vectored write without having copied them. A client must mask: it does
//! so in place when nobody else holds the payload, and in a copy otherwise.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::frame::{EncodedHeader, Header, OpCode};
use crate::limits::UNSENT_PONGS_MAX;
use crate::mask::{MaskingKeys, apply_mask};

/// The sending half of a connection. Its queue is given back as soon as it is empty.
#[derive(Debug)]
pub(crate) struct Outgoing {
    frames: VecDeque<OutgoingFrame>,
    unsent_bytes: usize,
    unsent_pongs: u8,
    /// The latest ping that came while [`UNSENT_PONGS_MAX`] pongs were waiting.
    latest_ping: Option<Bytes>,
    /// A client's.
    masking_keys: Option<Box<MaskingKeys>>,
}

#[derive(Debug)]
struct OutgoingFrame {
    header: EncodedHeader,
    header_sent: u8,
    is_pong: bool,
    payload: Bytes,
}

impl OutgoingFrame {
    fn unsent_header(&self) -> &[u8] {
        &self.header[usize::from(self.header_sent)..]
    }

    /// Takes up to `bytes` off the frame, and returns how many it took.
    fn advance(&mut self, bytes: usize) -> usize {
        let of_header = bytes.min(self.unsent_header().len());
        self.header_sent += of_header as u8;
        let of_payload = (bytes - of_header).min(self.payload.len());
        self.payload.advance(of_payload);
        of_header + of_payload
    }

    fn is_sent(&self) -> bool {
        self.unsent_header().is_empty() && self.payload.is_empty()
    }
}

impl Outgoing {
    pub(crate) fn new(masking_keys: Option<Box<MaskingKeys>>) -> Self {
        Self {
            frames: VecDeque::new(),
            unsent_bytes: 0,
            unsent_pongs: 0,
            latest_ping: None,
            masking_keys,
        }
    }

    pub(crate) fn push(&mut self, opcode: OpCode, payload: Bytes) {
        let masking_key = self.masking_keys.as_mut().map(|keys| keys.draw());
        let mut header = Header {
            is_final: true,
            opcode,
            is_masked: masking_key.is_some(),
            payload_bytes: payload.len() as u64,
        }
        .encode();
        let payload = match masking_key {
            Some(key) => {
                header.push_masking_key(key);
                masked(payload, key)
            }
            None => payload,
        };
        self.unsent_bytes += header.len() + payload.len();
        self.frames.push_back(OutgoingFrame {
            header,
            header_sent: 0,
            is_pong: opcode == OpCode::Pong,
            payload,
        });
    }

    pub(crate) fn push_pong(&mut self, ping: Bytes) {
        if self.unsent_pongs == UNSENT_PONGS_MAX {
            self.latest_ping = Some(ping);
            return;
        }
        self.unsent_pongs += 1;
        self.push(OpCode::Pong, ping);
    }

    /// A Close is about to be pushed: nothing may follow it (RFC 6455 §5.5.1).
    pub(crate) fn forget_latest_ping(&mut self) {
        self.latest_ping = None;
    }

    pub(crate) fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    pub(crate) fn buffer_capacity(&self) -> usize {
        let payloads: usize = self.frames.iter().map(|frame| frame.payload.len()).sum();
        let latest_ping = self.latest_ping.as_ref().map_or(0, Bytes::len);
        self.frames.capacity() * size_of::<OutgoingFrame>() + payloads + latest_ping
    }

    fn advance(&mut self, mut bytes: usize) {
        assert!(bytes <= self.unsent_bytes, "cannot have sent more than there was");
        self.unsent_bytes -= bytes;
        while let Some(frame) = self.frames.front_mut() {
            bytes -= frame.advance(bytes);
            if !frame.is_sent() {
                return;
            }
            let was_pong = frame.is_pong;
            self.frames.pop_front();
            if was_pong {
                self.unsent_pongs -= 1;
                if let Some(ping) = self.latest_ping.take() {
                    self.push_pong(ping);
                }
            }
        }
        self.frames = VecDeque::new();
    }
}

fn masked(payload: Bytes, key: [u8; 4]) -> Bytes {
    let mut payload = payload.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    apply_mask(&mut payload, key, 0);
    payload.freeze()
}

/// The bytes that wait for the transport, as a [`Buf`]: write its chunks, all at once where the
/// transport takes vectored writes, and advance it by what was taken.
#[derive(Debug)]
pub struct Transmit<'a> {
    outgoing: &'a mut Outgoing,
    /// Where to note that the transport took bytes, if that is a sign of life.
    taken: Option<(Duration, &'a mut Duration)>,
}

impl<'a> Transmit<'a> {
    pub(crate) fn new(
        outgoing: &'a mut Outgoing,
        taken: Option<(Duration, &'a mut Duration)>,
    ) -> Self {
        Self { outgoing, taken }
    }
}

impl Buf for Transmit<'_> {
    fn remaining(&self) -> usize {
        self.outgoing.unsent_bytes
    }

    fn chunk(&self) -> &[u8] {
        self.outgoing.frames.front().map_or(&[], |frame| match frame.unsent_header() {
            [] => &frame.payload,
            header => header,
        })
    }

    fn chunks_vectored<'b>(&'b self, slices: &mut [IoSlice<'b>]) -> usize {
        let parts = self.outgoing.frames.iter().flat_map(|frame| {
            [frame.unsent_header(), &frame.payload].into_iter().filter(|part| !part.is_empty())
        });
        let mut filled = 0;
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    /// # Panics
    ///
    /// If `bytes` is more than what remains.
    fn advance(&mut self, bytes: usize) {
        self.outgoing.advance(bytes);
        if bytes > 0
            && let Some((now, last_heard)) = &mut self.taken
        {
            **last_heard = *now;
        }
    }
}
