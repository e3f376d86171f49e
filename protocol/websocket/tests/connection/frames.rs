//! The rules for frames and messages, each from the server's side: framing, fragmentation, UTF-8
//! and limits. The cases are those that RFC 6455 suites try.

use crate::peer::*;
use tidings_protocol_websocket::{CloseCode, Config, Event, Header, OpCode};

#[test]
fn message_arrives_whole_whatever_its_length() {
    for length in [0, 1, 125, 126, 127, 128, 65_535, 65_536, 262_144] {
        let payload = vec![0xfe; length];
        check_events(Config::default(), &frame(OpCode::Binary, &payload), &[binary(&payload)]);
    }
}

#[test]
fn masked_hello_of_the_rfc_is_read() {
    let input = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    check_events(text_too(), input, &[text("Hello")]);
}

#[test]
fn unmasked_hello_of_the_rfc_is_read_by_a_client() {
    let mut client = client(text_too());
    client.handle_input(START, b"\x01\x03Hel\x80\x02lo");
    assert_eq!(events(&mut client), [text("Hello")]);
}

#[test]
fn fragments_are_put_together_with_control_frames_between() {
    let input = [
        fragment(OpCode::Text, b"Hel"),
        frame(OpCode::Ping, b"there?"),
        fragment(OpCode::Continuation, b""),
        frame(OpCode::Pong, b"yes"),
        frame(OpCode::Continuation, b"lo"),
    ]
    .concat();
    let ping = Event::Ping(b"there?".as_slice().into());
    let pong = Event::Pong(b"yes".as_slice().into());
    check_events(text_too(), &input, &[ping, pong, text("Hello")]);
}

#[test]
fn fragments_out_of_order_close_with_1002() {
    let first = fragment(OpCode::Binary, b"a");
    for input in [
        frame(OpCode::Continuation, b"a"),
        fragment(OpCode::Continuation, b"a"),
        [first.clone(), first.clone()].concat(),
        [first.clone(), frame(OpCode::Binary, b"b")].concat(),
        [first, frame(OpCode::Continuation, b"b"), frame(OpCode::Continuation, b"c")].concat(),
    ] {
        check_fails(Config::default(), &input, CloseCode::PROTOCOL_ERROR);
    }
}

#[test]
fn reserved_bits_and_opcodes_close_with_1002() {
    for first in [0xC2, 0xA2, 0x92, 0xF2, 0x83, 0x87, 0x8B, 0x8F] {
        check_fails(Config::default(), &[first, 0x80, 0, 0, 0, 0], CloseCode::PROTOCOL_ERROR);
    }
}

#[test]
fn control_frame_that_is_fragmented_or_long_closes_with_1002() {
    for opcode in [OpCode::Close, OpCode::Ping, OpCode::Pong] {
        check_fails(Config::default(), &fragment(opcode, b""), CloseCode::PROTOCOL_ERROR);
        let long = frame(opcode, &[0; 126]);
        check_fails(Config::default(), &long, CloseCode::PROTOCOL_ERROR);
    }
}

#[test]
fn client_frame_must_be_masked_and_server_frame_must_not() {
    check_fails(Config::default(), b"\x82\x01a", CloseCode::PROTOCOL_ERROR);

    let mut client = client(Config::default());
    client.handle_input(START, &frame(OpCode::Binary, b"a"));
    let [Event::Closed { code: CloseCode::PROTOCOL_ERROR, .. }] = &events(&mut client)[..] else {
        panic!("a masked server frame must be refused");
    };
}

#[test]
fn length_that_is_not_shortest_or_has_its_top_bit_closes_with_1002() {
    for header in [
        &b"\x82\xfe\x00\x7d"[..],
        b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff",
        b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00",
    ] {
        check_fails(Config::default(), header, CloseCode::PROTOCOL_ERROR);
    }
}

#[test]
fn announced_length_above_the_limit_closes_with_1009_before_any_payload() {
    let config = Config { message_bytes_max: 1_000, ..Config::default() };
    for announced in [1_001, 65_536, 1 << 62] {
        let header = announce(true, OpCode::Binary, announced);
        check_fails(config.clone(), &header, CloseCode::MESSAGE_TOO_BIG);
        let without_key = &header[..header.len() - 4];
        check_fails(config.clone(), without_key, CloseCode::MESSAGE_TOO_BIG);
    }
    let fragments =
        [fragment(OpCode::Binary, &[0; 600]), announce(true, OpCode::Continuation, 401)].concat();
    check_fails(config.clone(), &fragments, CloseCode::MESSAGE_TOO_BIG);
    let fitting =
        [fragment(OpCode::Binary, &[0; 600]), frame(OpCode::Continuation, &[0; 400])].concat();
    check_events(config, &fitting, &[binary(&[0; 1_000])]);
}

#[test]
fn raised_limit_holds_from_then_on_and_costs_nothing_before_it_is_used() {
    let mut server = server(Config { message_bytes_max: 1_000, ..Config::default() });
    server.raise_message_bytes_max(3_000);
    server.raise_message_bytes_max(0);
    assert_eq!(server.buffer_capacity(), 0);
    server.handle_input(START, &frame(OpCode::Binary, &[0; 3_000]));
    assert_eq!(events(&mut server), [binary(&[0; 3_000])]);
    server.handle_input(START, &announce(true, OpCode::Binary, 3_001));
    let Some(Event::Closed { code, .. }) = server.poll_event() else { panic!("still open") };
    assert_eq!(code, CloseCode::MESSAGE_TOO_BIG);
}

#[test]
fn buffer_grows_with_what_arrived_not_with_what_was_announced() {
    let mut server = server(Config { message_bytes_max: 1 << 30, ..Config::default() });
    server.handle_input(START, &announce(true, OpCode::Binary, 1 << 30));
    assert_eq!(server.buffer_capacity(), 0);
    for arrived in 1..=100 {
        server.handle_input(START, &[0; 1_000]);
        assert!(server.buffer_capacity() <= 2 * arrived * 1_000, "after {arrived} kB");
    }
}

#[test]
fn fragments_above_the_limit_close_with_1008() {
    let config = Config { fragments_max: Some(3), ..Config::default() };
    let three = [
        fragment(OpCode::Binary, b"a"),
        fragment(OpCode::Continuation, b""),
        frame(OpCode::Continuation, b"c"),
    ];
    check_events(config.clone(), &three.concat(), &[binary(b"ac")]);
    let mut four = three.to_vec();
    four.insert(1, fragment(OpCode::Continuation, b"b"));
    check_fails(config, &four.concat(), CloseCode::POLICY_VIOLATION);
    let unlimited = Config { fragments_max: None, ..Config::default() };
    check_events(unlimited, &four.concat(), &[binary(b"abc")]);
}

#[test]
fn text_where_only_binary_is_taken_closes_with_1003() {
    check_fails(Config::default(), &frame(OpCode::Text, b"a"), CloseCode::UNSUPPORTED_DATA);
}

#[test]
fn text_must_be_utf8_also_across_fragments() {
    let kosme = "κόσμε";
    for cut in 0..=kosme.len() {
        let (head, tail) = kosme.as_bytes().split_at(cut);
        let input = [fragment(OpCode::Text, head), frame(OpCode::Continuation, tail)].concat();
        check_events(text_too(), &input, &[text(kosme)]);
    }
    for invalid in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..],
        b"\xc0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xed\xbf\xbf",
        b"ends in a character \xe2\x82",
    ] {
        check_fails(text_too(), &frame(OpCode::Text, invalid), CloseCode::INVALID_PAYLOAD);
    }
    let unfinished = [fragment(OpCode::Text, b"\xce"), frame(OpCode::Continuation, b"")].concat();
    check_fails(text_too(), &unfinished, CloseCode::INVALID_PAYLOAD);
}

#[test]
fn invalid_text_fails_at_its_first_impossible_byte() {
    let sound_so_far = "κόσμε".as_bytes();
    let first_impossible = [sound_so_far, b"\xf4\x90"].concat();
    let mut input = announce(true, OpCode::Text, 1_000);
    input.extend(&frame(OpCode::Text, &first_impossible)[6..]);

    let mut server = server(text_too());
    let (last, before) = input.split_last().unwrap();
    server.handle_input(START, before);
    assert_eq!(events(&mut server), []);
    server.handle_input(START, &[*last]);
    let [Event::Closed { code: CloseCode::INVALID_PAYLOAD, .. }] = &events(&mut server)[..] else {
        panic!("0xF4 0x90 begins no character");
    };
}

#[test]
fn binary_is_not_checked_as_text() {
    let payload = b"\xff\xfe\xc0\x80";
    check_events(text_too(), &frame(OpCode::Binary, payload), &[binary(payload)]);
}

#[test]
fn output_is_framed_in_the_shortest_form_without_copying_the_payload() {
    use bytes::Buf;

    let payload = bytes::Bytes::from(vec![7; 300]);
    let mut server = server(Config::default());
    server.send(tidings_protocol_websocket::MessageKind::Binary, payload.clone());
    let transmit = server.poll_transmit(START).unwrap();
    let mut slices = [std::io::IoSlice::new(&[]); 4];
    assert_eq!(transmit.chunks_vectored(&mut slices), 2);
    assert_eq!(&slices[0][..], b"\x82\x7e\x01\x2c");
    assert_eq!(slices[1].as_ptr(), payload.as_ptr());
}

#[test]
fn client_output_is_masked_with_a_new_key_for_each_frame() {
    let mut client = client(Config::default());
    let shared = bytes::Bytes::from(vec![0; 8]);
    client.send(tidings_protocol_websocket::MessageKind::Binary, shared.clone());
    client.send(tidings_protocol_websocket::MessageKind::Binary, shared.clone());
    let bytes = written(&mut client);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for sent in [first, second] {
        let (header, header_bytes) = Header::decode(sent).unwrap().unwrap();
        assert!(header.is_masked);
        // A payload of zeros shows the key.
        assert_eq!(sent[header_bytes..][..4], sent[header_bytes + 4..][..4]);
    }
    assert_ne!(first, second);
    assert_eq!(shared, vec![0; 8], "what others hold is left alone");
}
