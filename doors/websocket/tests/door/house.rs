//! A server on loopback whose sessions echo, and a client that can send anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::Response;
use tidings_door_websocket::{
    Accepted, Answer, Error, HttpLimits, HttpRequest, Incoming, Origins, UpgradePolicy, accept,
};
use tidings_protocol_websocket::{
    ClientHandshake, CloseCode, Config, Connection, Event, Header, MessageKind, MessageKinds,
    OpCode, apply_mask,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ORIGIN: &str = "https://chat.example.org";

/// A configuration that takes text too, and long messages.
pub(crate) fn lenient() -> Config {
    Config {
        message_bytes_max: 16 << 20,
        unsent_bytes_max: 64 << 20,
        message_kinds: MessageKinds::TextAndBinary,
        ..Config::default()
    }
}

pub(crate) fn policy(config: Config) -> Arc<UpgradePolicy> {
    Arc::new(UpgradePolicy {
        origins: Origins::Listed(vec![ORIGIN.to_owned()]),
        protocols: vec!["echo".to_owned()],
        config: Arc::new(config),
    })
}

/// Echoes on one transport until it is closed; `/health` is answered by HTTP.
pub(crate) async fn echo<IO>(
    io: IO,
    http_limits: &HttpLimits,
    policy: Arc<UpgradePolicy>,
    handled: Arc<AtomicUsize>,
) -> Result<(), Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let handler = move |request: HttpRequest| {
        handled.fetch_add(1, Ordering::Relaxed);
        std::future::ready(match request.uri().path() {
            "/health" => Answer::Respond(Response::new("fine".into())),
            _ => Answer::Upgrade(policy.clone(), ()),
        })
    };
    let Some(Accepted { mut websocket, .. }) = accept(io, http_limits, handler).await? else {
        return Ok(());
    };
    while let Incoming::Message { kind, payload } = websocket.next().await? {
        websocket.queue(kind, payload);
    }
    websocket.close(CloseCode::NORMAL, "").await;
    Ok(())
}

/// The server.
pub(crate) struct House {
    pub(crate) address: std::net::SocketAddr,
    /// Requests that the handler saw.
    pub(crate) handled: Arc<AtomicUsize>,
}

impl House {
    pub(crate) async fn open(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handled = Arc::new(AtomicUsize::new(0));
        let policy = policy(config);
        let counter = handled.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (policy, counter) = (policy.clone(), counter.clone());
                tokio::spawn(async move {
                    // How a connection of the tests ends is what its client sees.
                    _ = echo(stream, &HttpLimits::default(), policy, counter).await;
                });
            }
        });
        Self { address, handled }
    }

    /// Sends `request` and gives the head of the answer.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read_head(&mut stream).await
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::open(TcpStream::connect(self.address).await.unwrap()).await
    }
}

/// An upgrade request with `headers` added, each ended by a line break.
pub(crate) fn upgrade_request(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// The client's end of an open connection.
pub(crate) struct Client<IO> {
    pub(crate) io: IO,
    connection: Connection,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Client<IO> {
    /// Opens a WebSocket on a transport, with our own client's handshake.
    pub(crate) async fn open(mut io: IO) -> Self {
        let mut handshake = ClientHandshake::new("chat.example.org", "/ws", &[], [1; 16]).unwrap();
        io.write_all(handshake.request()).await.unwrap();
        loop {
            let byte = io.read_u8().await.unwrap();
            if handshake.handle_input(&[byte]).unwrap().is_some() {
                let config = Arc::new(lenient());
                return Self {
                    io,
                    connection: Connection::client(Duration::ZERO, config, [2; 32]),
                };
            }
        }
    }

    /// Sends bytes that nobody checked.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.connection.poll_event() {
                return event;
            }
            match self.io.read_u8().await {
                Ok(byte) => self.connection.handle_input(Duration::ZERO, &[byte]),
                Err(_) => self.connection.handle_end_of_input(),
            }
        }
    }

    /// The echo of a binary message.
    pub(crate) async fn echo(&mut self, payload: &'static [u8]) -> Event {
        self.connection.send(MessageKind::Binary, Bytes::from_static(payload));
        let mut transmit = self.connection.poll_transmit(Duration::ZERO).unwrap();
        let bytes = transmit.copy_to_bytes(transmit.remaining());
        self.send_raw(&bytes).await;
        self.next().await
    }

    /// Waits for the server's Close, which must have `code`, and for the end of the transport
    /// behind it; gives the reason.
    pub(crate) async fn expect_close(&mut self, code: CloseCode) -> String {
        loop {
            let Event::Closed { code: closed, reason, .. } = self.next().await else { continue };
            assert_eq!(closed, code, "{reason}");
            assert_eq!(self.io.read(&mut [0]).await.unwrap(), 0, "nothing follows a close");
            return reason;
        }
    }
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
    let key = [1, 2, 3, 4];
    let payload_bytes = payload.len() as u64;
    let header = Header { is_final, opcode, is_masked: true, payload_bytes }.encode();
    let mut payload = payload.to_vec();
    apply_mask(&mut payload, key, 0);
    [&header[..], &key, &payload].concat()
}
