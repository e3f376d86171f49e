//! From bytes as they arrive to messages and control frames: the rules that concern the order of
//! frames (RFC 6455 §5.4), a role's masking (§5.1), UTF-8 (§8.1) and the limits of a [`Config`].
//! What a control frame means, and the clock, belong to the connection.
//!
//! A buffer exists only for a payload that has arrived in part, and grows with what arrived, never
//! with what was announced.

use bytes::Bytes;

use crate::close::{CloseCode, decode_close};
use crate::config::{Config, MessageKinds};
use crate::connection::{MessageKind, Role};
use crate::error::Violation;
use crate::frame::{HEADER_BYTES_MAX, Header, OpCode};
use crate::mask::apply_mask;

/// What a complete frame completed.
#[derive(Debug)]
pub(crate) enum Received {
    Message { kind: MessageKind, payload: Bytes },
    Ping(Bytes),
    Pong(Bytes),
    Close { code: CloseCode, reason: String },
}

/// The receiving half of a connection.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    header: PartialHeader,
    frame: Option<FrameInProgress>,
    message: Option<MessageInProgress>,
    control_payload: Vec<u8>,
    discards_messages: bool,
    /// Where this is more, it takes the place of what the configuration says.
    raised_message_bytes_max: usize,
}

/// The bytes of a header, with its masking key, that arrived so far.
#[derive(Debug, Default)]
struct PartialHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u8,
}

#[derive(Debug)]
struct FrameInProgress {
    opcode: OpCode,
    is_final: bool,
    /// Zero without a mask, which changes nothing.
    masking_key: [u8; 4],
    received: u64,
    announced: u64,
}

impl FrameInProgress {
    fn missing(&self) -> u64 {
        self.announced - self.received
    }
}

#[derive(Debug)]
struct MessageInProgress {
    kind: MessageKind,
    fragments: u32,
    payload: Vec<u8>,
    /// How much of a text is known to be UTF-8; up to three bytes of a character may follow.
    utf8_bytes: usize,
}

impl Incoming {
    /// Takes from `input` until it is empty (`None`) or a frame has completed something. Must not
    /// be called again after an error.
    pub(crate) fn decode(
        &mut self,
        input: &mut &[u8],
        role: Role,
        config: &Config,
    ) -> Result<Option<Received>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.decode_header(input, role, config)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            self.take_payload(&mut frame, input, config)?;
            if frame.missing() > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(received) = self.finish_frame(&frame)? {
                return Ok(Some(received));
            }
        }
    }

    /// From now on messages may be this large, unless the configuration allows larger ones anyway.
    pub(crate) fn raise_message_bytes_max(&mut self, bytes: usize) {
        self.raised_message_bytes_max = self.raised_message_bytes_max.max(bytes);
    }

    /// From now on messages are checked but neither kept nor handed out.
    pub(crate) fn discard_messages(&mut self) {
        self.discards_messages = true;
        if let Some(message) = &mut self.message {
            message.payload = Vec::new();
            message.utf8_bytes = 0;
        }
    }

    pub(crate) fn buffer_capacity(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.payload.capacity());
        message + self.control_payload.capacity()
    }

    fn decode_header(
        &mut self,
        input: &mut &[u8],
        role: Role,
        config: &Config,
    ) -> Result<Option<FrameInProgress>, Violation> {
        if self.header.len == 0 {
            // The common case: the whole header is at hand, and read where it stands.
            if let Some((frame, header_bytes)) = self.admit(input, role, config)? {
                *input = &input[header_bytes..];
                return Ok(Some(self.begin(frame)));
            }
        }
        while let [byte, rest @ ..] = *input {
            self.header.bytes[usize::from(self.header.len)] = *byte;
            self.header.len += 1;
            *input = rest;
            let bytes = &self.header.bytes[..usize::from(self.header.len)];
            if let Some((frame, _)) = self.admit(bytes, role, config)? {
                self.header.len = 0;
                return Ok(Some(self.begin(frame)));
            }
        }
        Ok(None)
    }

    /// Reads a header and its masking key, and refuses a frame that may not come now. A refusal
    /// does not wait for the masking key.
    fn admit(
        &self,
        bytes: &[u8],
        role: Role,
        config: &Config,
    ) -> Result<Option<(FrameInProgress, usize)>, Violation> {
        let Some((header, header_bytes)) = Header::decode(bytes)? else { return Ok(None) };
        match role {
            Role::Server if !header.is_masked => return Err(Violation::NotMasked),
            Role::Client if header.is_masked => return Err(Violation::Masked),
            Role::Server | Role::Client => {}
        }
        if !header.opcode.is_control() {
            self.admit_fragment(&header, config)?;
        }
        let (masking_key, key_bytes) = if header.is_masked {
            let Some(key) = bytes[header_bytes..].first_chunk::<4>() else { return Ok(None) };
            (*key, key.len())
        } else {
            ([0; 4], 0)
        };
        let frame = FrameInProgress {
            opcode: header.opcode,
            is_final: header.is_final,
            masking_key,
            received: 0,
            announced: header.payload_bytes,
        };
        Ok(Some((frame, header_bytes + key_bytes)))
    }

    fn admit_fragment(&self, header: &Header, config: &Config) -> Result<(), Violation> {
        let (fragments, bytes) = match (&self.message, header.opcode) {
            (None, OpCode::Continuation) => return Err(Violation::NothingToContinue),
            (Some(message), OpCode::Continuation) => (message.fragments, message.payload.len()),
            (None, _) => (0, 0),
            (Some(_), _) => return Err(Violation::MessageUnfinished),
        };
        if header.opcode == OpCode::Text && config.message_kinds == MessageKinds::BinaryOnly {
            return Err(Violation::TextNotTaken);
        }
        if let Some(fragments_max) = config.fragments_max
            && fragments >= fragments_max
        {
            return Err(Violation::TooManyFragments(fragments_max));
        }
        let message_bytes_max = self.message_bytes_max(config);
        let room = message_bytes_max - bytes;
        if header.payload_bytes > room as u64 {
            return Err(Violation::MessageTooBig(message_bytes_max));
        }
        Ok(())
    }

    fn message_bytes_max(&self, config: &Config) -> usize {
        config.message_bytes_max.max(self.raised_message_bytes_max)
    }

    fn begin(&mut self, frame: FrameInProgress) -> FrameInProgress {
        let kind = match frame.opcode {
            OpCode::Text => MessageKind::Text,
            OpCode::Binary => MessageKind::Binary,
            OpCode::Continuation => {
                if let Some(message) = &mut self.message {
                    message.fragments = message.fragments.saturating_add(1);
                }
                return frame;
            }
            OpCode::Close | OpCode::Ping | OpCode::Pong => return frame,
        };
        self.message =
            Some(MessageInProgress { kind, fragments: 1, payload: Vec::new(), utf8_bytes: 0 });
        frame
    }

    fn take_payload(
        &mut self,
        frame: &mut FrameInProgress,
        input: &mut &[u8],
        config: &Config,
    ) -> Result<(), Violation> {
        let taken = input.len().min(usize::try_from(frame.missing()).unwrap_or(usize::MAX));
        let (chunk, rest) = input.split_at(taken);
        *input = rest;
        let message_bytes_max = self.message_bytes_max(config);
        if frame.opcode.is_control() {
            append_unmasked(&mut self.control_payload, chunk, frame);
        } else if let Some(message) = &mut self.message
            && !self.discards_messages
        {
            message.append(chunk, frame, message_bytes_max)?;
        }
        frame.received += taken as u64;
        Ok(())
    }

    fn finish_frame(&mut self, frame: &FrameInProgress) -> Result<Option<Received>, Violation> {
        match frame.opcode {
            OpCode::Continuation | OpCode::Text | OpCode::Binary if !frame.is_final => Ok(None),
            OpCode::Continuation | OpCode::Text | OpCode::Binary => {
                let message = self.message.take().filter(|_| !self.discards_messages);
                message.map(MessageInProgress::finish).transpose()
            }
            OpCode::Ping => Ok(Some(Received::Ping(self.take_control_payload()))),
            OpCode::Pong => Ok(Some(Received::Pong(self.take_control_payload()))),
            OpCode::Close => {
                let (code, reason) = decode_close(&self.take_control_payload())?;
                Ok(Some(Received::Close { code, reason }))
            }
        }
    }

    fn take_control_payload(&mut self) -> Bytes {
        std::mem::take(&mut self.control_payload).into()
    }
}

impl MessageInProgress {
    fn append(
        &mut self,
        chunk: &[u8],
        frame: &FrameInProgress,
        message_bytes_max: usize,
    ) -> Result<(), Violation> {
        let len = self.payload.len();
        if self.payload.capacity() - len < chunk.len() {
            // Doubling, so that a message in many parts is not copied for each of them, but no
            // further than the message can still grow. A frame that is whole gets its exact size.
            let end =
                if frame.is_final { len + frame.missing() as usize } else { message_bytes_max };
            let wanted = (2 * len).max(len + chunk.len()).min(end);
            self.payload.reserve_exact(wanted - len);
        }
        append_unmasked(&mut self.payload, chunk, frame);
        match self.kind {
            MessageKind::Text => self.check_utf8(),
            MessageKind::Binary => Ok(()),
        }
    }

    /// Fails at the first byte that no text can go on with, not only at the end of the message.
    fn check_utf8(&mut self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.payload[self.utf8_bytes..]) {
            Ok(text) => self.utf8_bytes += text.len(),
            Err(error) if error.error_len().is_none() => self.utf8_bytes += error.valid_up_to(),
            Err(_) => return Err(Violation::TextNotUtf8),
        }
        Ok(())
    }

    fn finish(self) -> Result<Received, Violation> {
        if self.kind == MessageKind::Text && self.utf8_bytes < self.payload.len() {
            return Err(Violation::TextNotUtf8);
        }
        Ok(Received::Message { kind: self.kind, payload: self.payload.into() })
    }
}

fn append_unmasked(payload: &mut Vec<u8>, chunk: &[u8], frame: &FrameInProgress) {
    let len = payload.len();
    payload.extend_from_slice(chunk);
    apply_mask(&mut payload[len..], frame.masking_key, frame.received);
}
