//! Sessions with well-meaning clients: tungstenite over TCP and TLS, and our own in paused time.

use std::net::{SocketAddr, TcpStream as BlockingTcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_door_websocket::{Answer, HttpLimits, Incoming, WebSocketStream, accept};
use tidings_protocol_websocket::{CloseCode, Config, Event, MessageKind, OpCode, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{Message, WebSocket};

use crate::house::*;

/// Opens a WebSocket with tungstenite, which takes long messages.
fn connect(address: SocketAddr) -> WebSocket<BlockingTcpStream> {
    let stream = BlockingTcpStream::connect(address).unwrap();
    let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
    let url = format!("ws://{address}/ws");
    let (socket, _) = tungstenite::client::client_with_config(url, stream, Some(config)).unwrap();
    socket
}

async fn blocking<T: Send + 'static>(peer: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(peer).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tungstenite_gets_its_messages_back() {
    let house = House::open(lenient()).await;
    blocking(move || {
        let mut socket = connect(house.address);
        for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 16 << 20] {
            let message = Message::binary(vec![0xa5; length]);
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
        }
        let message = Message::text("Grüße, 世界 🌍");
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_sent_without_waiting_come_back_in_order() {
    let house = House::open(lenient()).await;
    blocking(move || {
        let mut socket = connect(house.address);
        for at in 0..2_000_u32 {
            socket.write(Message::binary(at.to_be_bytes().to_vec())).unwrap();
        }
        socket.flush().unwrap();
        for at in 0..2_000_u32 {
            assert_eq!(socket.read().unwrap(), Message::binary(at.to_be_bytes().to_vec()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn tungstenite_is_answered_its_pings_and_its_close() {
    let house = House::open(lenient()).await;
    blocking(move || {
        let mut socket = connect(house.address);
        socket.send(Message::Ping(Bytes::from_static(b"there?"))).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Pong(Bytes::from_static(b"there?")));
        let farewell = CloseFrame { code: 4_321.into(), reason: "enough".into() };
        socket.close(Some(farewell)).unwrap();
        let Message::Close(Some(answer)) = socket.read().unwrap() else { panic!("no close") };
        assert_eq!(u16::from(answer.code), 4_321);
        assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn servers_close_reaches_tungstenite_behind_what_was_queued() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = tokio::task::spawn_blocking(move || {
        let mut socket = connect(address);
        let last_words = socket.read().unwrap();
        let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no close") };
        assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
        (last_words, u16::from(frame.code), frame.reason.to_string())
    });
    let (stream, _) = listener.accept().await.unwrap();
    let upgrade = |_| std::future::ready(Answer::Upgrade(policy(lenient()), "context"));
    let accepted = accept(stream, &HttpLimits::default(), upgrade).await.unwrap().unwrap();
    assert_eq!((accepted.context, accepted.protocol), ("context", None));
    let mut websocket = accepted.websocket;
    websocket.queue(MessageKind::Binary, Bytes::from_static(b"last words"));
    assert_eq!(websocket.queued_bytes(), 2 + 10);
    websocket.close(CloseCode(4401), "signed out").await;
    let (last_words, code, reason) = client.await.unwrap();
    assert_eq!(last_words, Message::binary(&b"last words"[..]));
    assert_eq!((code, reason.as_str()), (4_401, "signed out"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn session_over_tls_is_like_any_other() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server_config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client_config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = tokio::task::spawn_blocking(move || {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let tls = rustls::ClientConnection::new(Arc::new(client_config), name).unwrap();
        let stream = BlockingTcpStream::connect(address).unwrap();
        let stream = rustls::StreamOwned::new(tls, stream);
        let (mut socket, _) = tungstenite::client("wss://localhost/ws", stream).unwrap();
        for length in [0, 1, 100_000, 1 << 20] {
            let message = Message::binary(vec![0x5a; length]);
            socket.send(message.clone()).unwrap();
            assert_eq!(socket.read().unwrap(), message);
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    });
    let (stream, _) = listener.accept().await.unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server_config));
    let stream = acceptor.accept(stream).await.unwrap();
    echo(stream, &HttpLimits::default(), policy(lenient()), Arc::default()).await.unwrap();
    client.await.unwrap();
}

#[tokio::test]
async fn requests_that_are_no_upgrade_are_the_handlers_on_one_kept_connection() {
    let house = House::open(Config::default()).await;
    let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
        let mut body = [0; 4];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"fine");
    }
    stream.write_all(upgrade_request("/ws", "").as_bytes()).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn subprotocol_that_both_speak_is_agreed_on() {
    let house = House::open(Config::default()).await;
    let offer = "Sec-WebSocket-Protocol: other, echo\r\n";
    let head = house.ask(&upgrade_request("/ws", offer)).await;
    assert!(head.to_lowercase().contains("sec-websocket-protocol: echo\r\n"), "{head}");
}

#[tokio::test]
async fn frame_in_the_same_write_as_the_handshake_is_read() {
    let house = House::open(Config::default()).await;
    let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
    let mut bytes = upgrade_request("/ws", "").into_bytes();
    bytes.extend(frame(OpCode::Binary, b"eager"));
    stream.write_all(&bytes).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
    let mut echo = [0; 7];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x82\x05eager");
}

/// A server's end in memory and what its client sees, for the tests in paused time.
fn in_memory(
    config: Config,
    pipe_bytes: usize,
) -> (WebSocketStream<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
    let (client, io) = tokio::io::duplex(pipe_bytes);
    (WebSocketStream::server(io, b"", Arc::new(config)), client)
}

fn lost(reason: &str, by: Side) -> Incoming {
    Incoming::Closed { code: CloseCode::ABNORMAL, reason: reason.to_owned(), by }
}

#[tokio::test(start_paused = true)]
async fn silent_client_is_pinged_twice_and_given_up_after_45_s() {
    let (mut websocket, mut client) = in_memory(Config::default(), 1_024);
    let begun = tokio::time::Instant::now();
    assert_eq!(websocket.next().await.unwrap(), lost("no sign of life", Side::Local));
    assert_eq!(begun.elapsed().as_secs(), 45);
    assert!(websocket.next().await.is_err(), "there is nothing behind the end");
    drop(websocket);
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, b"\x89\x00\x89\x00");
}

#[tokio::test(start_paused = true)]
async fn client_that_answers_pings_is_kept() {
    let (mut websocket, mut client) = in_memory(Config::default(), 1_024);
    let client = tokio::spawn(async move {
        for _ in 0..10 {
            let mut ping = [0; 2];
            client.read_exact(&mut ping).await.unwrap();
            assert_eq!(&ping, b"\x89\x00");
            client.write_all(&frame(OpCode::Pong, b"")).await.unwrap();
        }
        client.write_all(&frame(OpCode::Binary, b"alive")).await.unwrap();
        client
    });
    let begun = tokio::time::Instant::now();
    let payload = Bytes::from_static(b"alive");
    assert_eq!(
        websocket.next().await.unwrap(),
        Incoming::Message { kind: MessageKind::Binary, payload }
    );
    assert_eq!(begun.elapsed().as_secs(), 200);
    drop(client.await.unwrap());
    let reason = "the transport ended without a close";
    assert_eq!(websocket.next().await.unwrap(), lost(reason, Side::Peer));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_message_can_be_given_up_at_any_byte() {
    let (mut websocket, mut client) = in_memory(Config::default(), 1_024);
    tokio::spawn(async move {
        for byte in frame(OpCode::Binary, b"piece by piece") {
            client.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::future::pending::<()>().await;
    });
    let mut given_up = 0;
    let message = loop {
        match tokio::time::timeout(Duration::from_millis(7), websocket.next()).await {
            Ok(message) => break message.unwrap(),
            Err(_) => given_up += 1,
        }
    };
    assert!(given_up > 10);
    let payload = Bytes::from_static(b"piece by piece");
    assert_eq!(message, Incoming::Message { kind: MessageKind::Binary, payload });
}

#[tokio::test(start_paused = true)]
async fn client_that_does_not_read_is_not_read_from() {
    let config = Config { unsent_bytes_max: 1_000, ..Config::default() };
    let (mut websocket, client) = in_memory(config, 100);
    let (mut reader, mut writer) = tokio::io::split(client);
    websocket.queue(MessageKind::Binary, Bytes::from(vec![0; 2_000]));
    let question = frame(OpCode::Binary, b"?");
    writer.write_all(&question).await.unwrap();
    let second = Duration::from_secs(1);
    tokio::time::timeout(second, websocket.next()).await.expect_err("no question is read");

    tokio::spawn(async move { reader.read_exact(&mut [0; 2_004]).await.map(|_| reader) });
    let payload = Bytes::from_static(b"?");
    assert_eq!(
        websocket.next().await.unwrap(),
        Incoming::Message { kind: MessageKind::Binary, payload }
    );
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_the_client_but_not_for_a_dead_one() {
    let (mut websocket, mut client) = in_memory(Config::default(), 100);
    websocket.queue(MessageKind::Binary, Bytes::from(vec![0; 1_000]));
    let reader = tokio::spawn(async move {
        client.read_exact(&mut [0; 1_004]).await.unwrap();
        client
    });
    websocket.flush().await.unwrap();
    assert_eq!((websocket.queued_bytes(), websocket.buffer_capacity()), (0, 0));
    let _client = reader.await.unwrap();

    websocket.queue(MessageKind::Binary, Bytes::from(vec![0; 1_000]));
    websocket.flush().await.unwrap();
    assert!(websocket.queued_bytes() > 0);
    assert_eq!(websocket.next().await.unwrap(), lost("no sign of life", Side::Local));
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_a_client_that_never_answers() {
    let (websocket, _client) = in_memory(Config::default(), 1_024);
    let begun = tokio::time::Instant::now();
    websocket.close(CloseCode::GOING_AWAY, "restart").await;
    assert_eq!(begun.elapsed().as_secs(), 5 + 2, "the close timeout and the linger");
}

#[tokio::test]
async fn our_own_client_and_server_understand_each_other() {
    let mut client = House::open(Config::default()).await.connect().await;
    let payload = Bytes::from_static(b"hello");
    let expected = Event::Message { kind: MessageKind::Binary, payload };
    assert_eq!(client.echo(b"hello").await, expected);
}
