//! Hostile input. The rows are those of the project's table of hostile inputs, W: WebSocket and
//! HTTP; each asserts the exact answer, and that a neighbour's session goes on.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tidings_door_websocket::{Error, HttpLimits};
use tidings_protocol_websocket::{CloseCode, Config, Event, Header, MessageKind, OpCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::house::*;

/// Sends `bytes` on a fresh session, expects a Close with `code`, and gives its reason.
async fn check_closes(bytes: &[u8], code: CloseCode) -> String {
    let house = House::open(Config::default()).await;
    let mut neighbour = house.connect().await;
    let mut attacker = house.connect().await;
    attacker.send_raw(bytes).await;
    let reason = attacker.expect_close(code).await;
    assert_goes_on(&mut neighbour).await;
    reason
}

/// Sends `request`, and expects `status` in answer.
async fn check_refused(request: &str, status: u16) -> String {
    let house = House::open(Config::default()).await;
    let mut neighbour = house.connect().await;
    let head = house.ask(request).await;
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    assert_goes_on(&mut neighbour).await;
    head.to_lowercase()
}

async fn assert_goes_on(neighbour: &mut Client<TcpStream>) {
    let payload = Bytes::from_static(b"still here");
    let expected = Event::Message { kind: MessageKind::Binary, payload };
    assert_eq!(neighbour.echo(b"still here").await, expected);
}

#[tokio::test]
async fn row_01_upgrade_with_a_foreign_origin_gets_403() {
    let foreign = upgrade_request("/ws", "Origin: https://evil.example\r\n");
    check_refused(&foreign, 403).await;
    let ours = upgrade_request("/ws", &format!("Origin: {ORIGIN}\r\n"));
    check_refused(&ours, 101).await;
}

#[tokio::test]
async fn row_02_upgrade_with_a_cookie_and_no_origin_gets_401() {
    let head = check_refused(&upgrade_request("/ws", "Cookie: session=1\r\n"), 401).await;
    assert!(head.contains("www-authenticate: "), "{head}");
}

#[tokio::test]
async fn row_03_text_frame_closes_1003() {
    check_closes(&frame(OpCode::Text, b"hello"), CloseCode::UNSUPPORTED_DATA).await;
}

#[tokio::test]
async fn row_04_unmasked_client_frame_closes_1002() {
    check_closes(b"\x82\x05hello", CloseCode::PROTOCOL_ERROR).await;
}

/// That nothing is allocated is asserted in the protocol's own tests, where it can be seen.
#[tokio::test]
async fn row_05_frame_header_of_2_62_bytes_closes_1009() {
    let header =
        Header { is_final: true, opcode: OpCode::Binary, is_masked: true, payload_bytes: 1 << 62 };
    let reason = check_closes(&header.encode(), CloseCode::MESSAGE_TOO_BIG).await;
    assert_eq!(reason, "message exceeds message_bytes_max, 262144 bytes");
}

#[tokio::test]
async fn row_06_fragments_of_1_byte_close_1008_after_1024() {
    let mut fragments = fragment(OpCode::Binary, b"a");
    fragments.extend(fragment(OpCode::Continuation, b"a").repeat(99_999));
    let reason = check_closes(&fragments, CloseCode::POLICY_VIOLATION).await;
    assert_eq!(reason, "message exceeds fragments_max, 1024 frames");

    let mut allowed = fragment(OpCode::Binary, b"a");
    allowed.extend(fragment(OpCode::Continuation, b"a").repeat(1_022));
    allowed.extend(frame(OpCode::Continuation, b"a"));
    let mut client = House::open(Config::default()).await.connect().await;
    client.send_raw(&allowed).await;
    let payload = Bytes::from(vec![b'a'; 1_024]);
    assert_eq!(client.next().await, Event::Message { kind: MessageKind::Binary, payload });
}

#[tokio::test]
async fn row_07_permessage_deflate_is_not_offered_so_that_a_bomb_closes_1002() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let head = check_refused(&upgrade_request("/ws", offer), 101).await;
    assert!(!head.contains("extensions"), "{head}");
    let mut bomb = frame(OpCode::Binary, &[0; 100]);
    bomb[0] |= 0b0100_0000;
    check_closes(&bomb, CloseCode::PROTOCOL_ERROR).await;
}

#[tokio::test]
async fn row_08_ping_flood_closes_1008() {
    let flood = frame(OpCode::Ping, b"").repeat(10_000);
    let reason = check_closes(&flood, CloseCode::POLICY_VIOLATION).await;
    assert_eq!(reason, "pings and pongs exceed control_frames_per_sec_max, 100");
}

/// In the runtime's paused time: ten seconds pass at once.
#[tokio::test(start_paused = true)]
async fn row_17_headers_at_1_byte_per_second_are_closed_at_10_s() {
    for sent_per_sec in [&b"G"[..], b""] {
        let (mut slow, io) = tokio::io::duplex(1_024);
        let server = tokio::spawn(async move {
            let begun = Instant::now();
            let policy = policy(Config::default());
            let served = echo(io, &HttpLimits::default(), policy, Arc::default()).await;
            (served, begun.elapsed())
        });
        while !server.is_finished() {
            slow.write_all(sent_per_sec).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let (served, elapsed) = server.await.unwrap();
        assert!(matches!(served, Err(Error::Http(error)) if error.is_timeout()));
        assert_eq!(elapsed.as_secs(), 10);
        assert_eq!(slow.read(&mut [0]).await.unwrap(), 0, "no answer");
    }
}

#[tokio::test]
async fn row_18_header_of_2_mb_gets_431() {
    let long = format!("X-Long: {}\r\n", "x".repeat(2 << 20));
    check_refused(&upgrade_request("/ws", &long), 431).await;
    let many = "X: x\r\n".repeat(2_000);
    check_refused(&upgrade_request("/ws", &many), 431).await;
}

#[tokio::test]
async fn row_18_smuggling_by_two_lengths_gets_400_and_the_connection_closes() {
    let smuggled = "0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    let content_length = format!("Content-Length: {}\r\n", smuggled.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    for lengths in [content_length.clone() + chunked, chunked.to_owned() + &content_length] {
        let house = House::open(Config::default()).await;
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        let request = format!("POST /health HTTP/1.1\r\nHost: a\r\n{lengths}\r\n{smuggled}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "one answer, then the end: {answer}");
        assert_eq!(house.handled.load(Ordering::Relaxed), 0);
    }
}

/// What is logged, at any level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn row_19_token_in_the_query_gets_400_and_is_not_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // The test's runtime has this one thread, so that the server logs here too.
    let _guard = tracing::subscriber::set_default(subscriber);
    check_refused(&upgrade_request("/ws?token=canary", ""), 400).await;
    check_refused(&upgrade_request("/ws?a=b&access_token=canary", ""), 400).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("refused"), "the refusal is logged: {log}");
    assert!(!log.contains("canary"), "the token is not: {log}");
}

#[tokio::test]
async fn wrong_version_gets_426_and_the_right_one() {
    let request = upgrade_request("/ws", "").replace("Version: 13", "Version: 8");
    let head = check_refused(&request, 426).await;
    assert!(head.contains("sec-websocket-version: 13"), "{head}");
    let plain = "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n";
    check_refused(plain, 426).await;
}
