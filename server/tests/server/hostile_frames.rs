//! Hostile input below the requests: HTTP, WebSocket frames, protobuf. The numbers are those of the
//! project's table of hostile inputs; each must get exactly its answer, and others must not notice.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{encode, wire};
use tungstenite::Message;

use crate::app::{App, Person, refused, some_verifier};
use crate::house::{House, read_response};

/// A house with somebody in it who must not notice anything.
fn house_with_witness() -> (House, App) {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (witness, _) = App::new_person(&house, "witness");
    (house, witness)
}

const OPENING: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends an opening request with more headers.
fn open_with(house: &House, headers: &str) -> TcpStream {
    let mut stream = house.connect();
    write!(stream, "{OPENING}{headers}\r\n").expect("written");
    stream
}

/// Opens a WebSocket for frames that no library would send.
fn open_bare(house: &House) -> TcpStream {
    let mut stream = open_with(house, "");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a whole head");
        head.extend(byte);
    }
    String::from_utf8(head).expect("text")
}

/// The code of the Close that the server sends, whatever it sends before.
fn close_code(stream: &mut TcpStream) -> u16 {
    loop {
        let mut header = [0; 2];
        stream.read_exact(&mut header).expect("a Close before the end");
        let length = usize::from(header[1]);
        assert!(length < 126, "only control frames are expected");
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).expect("a whole frame");
        if header[0] == 0x88 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

/// A masked frame of a client; the mask is zero, so that the payload stands as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[first, 0x80 | payload.len() as u8, 0, 0, 0, 0], payload].concat()
}

#[test]
fn row_1_upgrade_from_a_foreign_page_gets_403() {
    let (house, mut witness) = house_with_witness();
    let mut stream = open_with(&house, "Origin: https://evil.example\r\nConnection: close\r\n");
    assert_eq!(read_response(&mut stream).0, 403);
    let own = format!("Origin: http://localhost:{}\r\n", house.port);
    assert!(read_head(&mut open_with(&house, &own)).starts_with("HTTP/1.1 101 "));
    witness.check_alive();
}

#[test]
fn row_2_upgrade_with_a_cookie_and_no_origin_gets_401() {
    let (house, mut witness) = house_with_witness();
    let mut stream = open_with(&house, "Cookie: session=1\r\nConnection: close\r\n");
    assert_eq!(read_response(&mut stream).0, 401);
    witness.check_alive();
}

#[test]
fn row_3_text_message_closes_with_1003() {
    let (house, mut witness) = house_with_witness();
    let mut app = App::silent(&house);
    app.send_message(Message::text("hello"));
    assert_eq!(app.wait_for_close().code, 1003);
    witness.check_alive();
}

#[test]
fn row_4_unmasked_frame_closes_with_1002() {
    let (house, mut witness) = house_with_witness();
    let mut stream = open_bare(&house);
    stream.write_all(&[0x82, 0x01, b'x']).unwrap();
    assert_eq!(close_code(&mut stream), 1002);
    witness.check_alive();
}

#[test]
fn row_5_frame_that_announces_2_to_the_62_bytes_closes_with_1009() {
    let (house, mut witness) = house_with_witness();
    let mut stream = open_bare(&house);
    let length = (1u64 << 62).to_be_bytes();
    stream.write_all(&[&[0x82, 0xff], &length[..], &[0; 4]].concat()).unwrap();
    assert_eq!(close_code(&mut stream), 1009);
    witness.check_alive();
}

#[test]
fn row_6_endless_fragments_close_with_1008() {
    let (house, mut witness) = house_with_witness();
    let mut stream = open_bare(&house);
    let mut fragments = frame(0x02, b"x");
    for _ in 0..1_024 {
        fragments.extend(frame(0x00, b"x"));
    }
    // The server may close before all of it is written.
    let _ = stream.write_all(&fragments);
    assert_eq!(close_code(&mut stream), 1008);
    witness.check_alive();
}

#[test]
fn row_7_compression_is_not_agreed_to() {
    let (house, mut witness) = house_with_witness();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let head = read_head(&mut open_with(&house, offer)).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    witness.check_alive();
}

#[test]
fn row_8_flood_of_pings_closes_with_1008() {
    let (house, mut witness) = house_with_witness();
    let mut stream = open_bare(&house);
    let flood: Vec<u8> = (0..10_000).flat_map(|_| frame(0x89, b"")).collect();
    let _ = stream.write_all(&flood);
    assert_eq!(close_code(&mut stream), 1008);
    witness.check_alive();
}

#[test]
fn row_9_protobuf_that_lies_or_nests_closes_and_unknown_fields_do_not() {
    let (house, mut witness) = house_with_witness();
    let deep = [0xfb, 0x3f].repeat(200);
    let length_lie = vec![0x5a, 0xff, 0xff, 0xff, 0xff, 0x0f];
    for frame in [deep, length_lie] {
        let mut app = App::greeted(&house);
        app.send(frame.into());
        assert_eq!(app.wait_for_close().code, 1007);
    }
    let mut app = App::greeted(&house);
    let ping =
        wire::ClientFrame { request: 900, body: Some(Body::Ping(wire::Ping { round_trip_ms: 0 })) };
    let mut unknown = encode(&ping).to_vec();
    unknown.extend([0xfa, 0x3f, 0x02, b'h', b'i']);
    app.send(unknown.into());
    assert!(matches!(app.answer_to(900), Ok(Answer::Pong(_))));
    witness.check_alive();
}

#[test]
fn row_10_names_that_are_no_text_close_and_hostile_ones_are_named() {
    let (house, mut witness) = house_with_witness();
    for surrogate in [&[0xed, 0xa0, 0x80][..], &[0xff, 0xfe]] {
        let mut app = App::greeted(&house);
        // A sign-up whose user name is these bytes.
        let name = [&[0x22, surrogate.len() as u8], surrogate].concat();
        app.send([&[0x08, 0x09, 0x1a, name.len() as u8], &name[..]].concat().into());
        assert_eq!(app.wait_for_close().code, 1007);
    }
    let mut app = App::greeted(&house);
    for name in ["a\0b", "", " ", "a b", "a@b", "\u{202e}a", "\u{200b}"] {
        let sign_up = Person::named(name).sign_up(None, &some_verifier());
        let refused = refused(app.ask(Body::SignUp(sign_up)));
        assert_eq!(refused.name, "INVALID_FIELD", "{name:?}");
        assert!(refused.message.contains("user_name"), "{}", refused.message);
    }
    let set = wire::SetDisplayName { display_name: "a\0b".to_owned() };
    let refused = refused(witness.ask(Body::SetDisplayName(set)));
    assert!(refused.message.contains("display_name"), "{}", refused.message);
    witness.check_alive();
}

#[test]
fn row_18_huge_or_smuggling_heads_are_refused() {
    let (house, mut witness) = house_with_witness();
    let mut stream = house.connect();
    let _ = write!(stream, "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(2_000_000));
    assert_eq!(read_response(&mut stream).0, 431);
    let mut stream = house.connect();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    .unwrap();
    assert_eq!(read_response(&mut stream).0, 400);
    witness.check_alive();
}

#[test]
fn row_19_token_in_the_query_gets_400_and_is_not_logged() {
    let house = House::plain(&["--accounts-sign-up", "open", "--log-filter", "trace"]);
    let mut stream = house.connect();
    let request = OPENING.replace("/ws", "/ws?token=canary-in-the-query");
    write!(stream, "{request}Connection: close\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream).0, 400);
    house.wait_for_log("WebSocket refused");
    assert!(!house.log().contains("canary-in-the-query"));
}

#[test]
fn message_above_the_limit_closes_with_1009() {
    let (house, mut witness) = house_with_witness();
    let mut app = App::greeted(&house);
    app.send(Bytes::from(vec![0; 256 * 1024 + 1]));
    assert_eq!(app.wait_for_close().code, 1009);
    witness.check_alive();
}
