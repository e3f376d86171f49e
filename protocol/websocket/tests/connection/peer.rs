//! A peer for the tests that writes frames by hand, sound or not, and reads what comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tidings_protocol_websocket::{
    CloseCode, Config, Connection, Event, Header, MessageKind, MessageKinds, OpCode, Side,
    apply_mask,
};

pub(crate) const START: Duration = Duration::from_secs(1_000);
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A configuration that takes text too.
pub(crate) fn text_too() -> Config {
    Config { message_kinds: MessageKinds::TextAndBinary, ..Config::default() }
}

pub(crate) fn server(config: Config) -> Connection {
    Connection::server(START, Arc::new(config))
}

pub(crate) fn client(config: Config) -> Connection {
    Connection::client(START, Arc::new(config), [7; 32])
}

/// A final frame as a client sends it.
pub(crate) fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    masked(true, opcode, payload)
}

/// A frame that more of the message follows.
pub(crate) fn fragment(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    masked(false, opcode, payload)
}

fn masked(is_final: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = announce(is_final, opcode, payload.len() as u64);
    let mut payload = payload.to_vec();
    apply_mask(&mut payload, KEY, 0);
    bytes.extend(payload);
    bytes
}

/// The header and masking key of a client's frame, true or not.
pub(crate) fn announce(is_final: bool, opcode: OpCode, payload_bytes: u64) -> Vec<u8> {
    let header = Header { is_final, opcode, is_masked: true, payload_bytes };
    [&header.encode()[..], &KEY].concat()
}

pub(crate) fn close_payload(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// Everything that waits to be written.
pub(crate) fn written(connection: &mut Connection) -> Vec<u8> {
    connection
        .poll_transmit(START)
        .map(|mut transmit| transmit.copy_to_bytes(transmit.remaining()).to_vec())
        .unwrap_or_default()
}

/// The frames in what a server wrote.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(OpCode, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (header, header_bytes) = Header::decode(bytes).unwrap().unwrap();
        let (payload, rest) = bytes[header_bytes..].split_at(header.payload_bytes as usize);
        frames.push((header.opcode, payload.to_vec()));
        bytes = rest;
    }
    frames
}

pub(crate) fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

pub(crate) fn text(payload: &str) -> Event {
    Event::Message { kind: MessageKind::Text, payload: Bytes::from(payload.to_owned()) }
}

pub(crate) fn binary(payload: &[u8]) -> Event {
    Event::Message { kind: MessageKind::Binary, payload: Bytes::copy_from_slice(payload) }
}

/// Feeds `input` to a fresh server, whole and then byte by byte, and expects that it ends with
/// `code`, by our wish, and says so to the peer.
pub(crate) fn check_fails(config: Config, input: &[u8], code: CloseCode) {
    for piece_bytes in [input.len().max(1), 1] {
        let mut server = server(config.clone());
        for piece in input.chunks(piece_bytes) {
            server.handle_input(START, piece);
        }
        let Some(Event::Closed { code: closed, by: Side::Local, reason }) =
            events(&mut server).pop()
        else {
            panic!("{input:x?} must be refused");
        };
        assert_eq!(closed, code, "{input:x?}: {reason}");
        let answer = frames(&written(&mut server)).pop();
        let expected = close_payload(code.0, reason.as_bytes());
        assert_eq!(answer, Some((OpCode::Close, expected)));
        assert_eq!(server.buffer_capacity(), 0);
    }
}

/// Feeds `input` to a fresh server, whole and then byte by byte, and expects `expected`.
pub(crate) fn check_events(config: Config, input: &[u8], expected: &[Event]) {
    for piece_bytes in [input.len().max(1), 1] {
        let mut server = server(config.clone());
        for piece in input.chunks(piece_bytes) {
            server.handle_input(START, piece);
        }
        assert_eq!(events(&mut server), expected, "in pieces of {piece_bytes}");
    }
}
