//! One connection to the server, from dialling to the last byte: TCP, TLS, the opening handshake and
//! the frames of RFC 6455. What a frame means is the core's business.
//!
//! A link is driven by one task. Frames leave in the order in which they are handed over; while a frame
//! that arrived waits to be taken nothing more is read.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tidings_client_core::TransportEvent;
use tidings_protocol_identity::{ServerAddress, Transport};
use tidings_protocol_websocket::{
    ClientHandshake, CloseCode, Config, Connection, Event, HandshakeError, MessageKind,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use crate::connection::Reporter;
use crate::dial::{Reach, dial, told_apart};
use crate::limits::{CLOSE_WRITE_TIMEOUT, HANDSHAKE_TIMEOUT, READ_BYTES, UNSENT_BYTES_MAX};
use crate::{ConnectError, tls};

/// Where the app door listens.
const TARGET: &str = "/ws";

/// The rules of every link: those of the protocol, whose largest frame is also the largest message.
static CONFIG: LazyLock<Arc<Config>> = LazyLock::new(|| {
    Arc::new(Config {
        message_bytes_max: tidings_protocol_app::limits::SERVER_FRAME_BYTES_MAX,
        ..Config::default()
    })
});

trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// An open connection.
pub(crate) struct Link {
    stream: Box<dyn ByteStream>,
    connection: Connection,
    opened_at: Instant,
}

/// How a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkEnd {
    /// The WebSocket close code; 1006 when the connection just broke.
    pub(crate) code: u16,
    /// The words that came with it.
    pub(crate) reason: String,
}

impl Link {
    /// Connects to the server and opens the WebSocket.
    pub(crate) async fn open(server: &ServerAddress) -> Result<Self, ConnectError> {
        let mut stream = open_stream(server).await?;
        let address = server.authority();
        let rest = timeout(HANDSHAKE_TIMEOUT, handshake(&mut stream, &address))
            .await
            .map_err(|_| ConnectError::TimedOut { address })??;
        let opened_at = Instant::now();
        let mut connection =
            Connection::client(Duration::ZERO, Arc::clone(&CONFIG), crate::entropy()?);
        connection.handle_input(Duration::ZERO, &rest);
        Ok(Self { stream, connection, opened_at })
    }

    /// Carries frames until the connection ends. Closing `outgoing` asks for a clean end.
    pub(crate) async fn run(
        mut self,
        mut outgoing: mpsc::UnboundedReceiver<Bytes>,
        incoming: &Reporter,
    ) -> LinkEnd {
        let end = self.carry(&mut outgoing, incoming).await;
        // What is left is our Close, and a peer that does not take it is not waited for.
        let _ = timeout(CLOSE_WRITE_TIMEOUT, self.write_rest()).await;
        end
    }

    async fn carry(
        &mut self,
        outgoing: &mut mpsc::UnboundedReceiver<Bytes>,
        incoming: &Reporter,
    ) -> LinkEnd {
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let mut scratch = vec![0; READ_BYTES];
        let mut may_send = true;
        let mut must_flush = false;
        loop {
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Message { payload, .. } => {
                        if !incoming.tell(TransportEvent::Frame(payload)).await {
                            let now = self.opened_at.elapsed();
                            self.connection.close(now, CloseCode::GOING_AWAY, "");
                        }
                    }
                    Event::Ping(_) | Event::Pong(_) => {}
                    Event::Closed { code, reason, .. } => return LinkEnd { code: code.0, reason },
                }
            }
            let wants_input = self.connection.wants_input();
            let has_room = may_send && self.connection.unsent_bytes() < UNSENT_BYTES_MAX;
            let due_at = self.connection.poll_timeout().map(|due| self.opened_at + due);
            let mut transmit = self.connection.poll_transmit(self.opened_at.elapsed());
            let must_write = must_flush || transmit.is_some();
            let write = async {
                match &mut transmit {
                    Some(transmit) => writer.write_buf(transmit).await.map(|_| true),
                    None => writer.flush().await.map(|()| false),
                }
            };
            tokio::select! {
                written = write, if must_write => match written {
                    Ok(more_to_flush) => must_flush = more_to_flush,
                    Err(error) => return broken(&error),
                },
                read = reader.read(&mut scratch), if wants_input => {
                    let now = self.opened_at.elapsed();
                    match read {
                        Ok(0) => self.connection.handle_end_of_input(),
                        Ok(bytes) => self.connection.handle_input(now, &scratch[..bytes]),
                        Err(error) => return broken(&error),
                    }
                },
                frame = outgoing.recv(), if has_room => match frame {
                    Some(frame) => self.connection.send(MessageKind::Binary, frame),
                    None => {
                        may_send = false;
                        let now = self.opened_at.elapsed();
                        self.connection.close(now, CloseCode::NORMAL, "");
                    }
                },
                () = sleep_until(due_at.unwrap_or_else(Instant::now)), if due_at.is_some() => {
                    self.connection.handle_timeout(self.opened_at.elapsed());
                }
            }
        }
    }

    async fn write_rest(&mut self) -> io::Result<()> {
        let now = self.opened_at.elapsed();
        while let Some(mut transmit) = self.connection.poll_transmit(now) {
            self.stream.write_all_buf(&mut transmit).await?;
        }
        self.stream.shutdown().await
    }
}

fn broken(error: &io::Error) -> LinkEnd {
    LinkEnd { code: CloseCode::ABNORMAL.0, reason: error.to_string() }
}

async fn open_stream(server: &ServerAddress) -> Result<Box<dyn ByteStream>, ConnectError> {
    let certificate_sha256 = match server.transport() {
        Transport::Plain => {
            return Ok(Box::new(dial(server.host(), server.port(), Reach::Loopback).await?));
        }
        Transport::Tls { certificate_sha256 } => certificate_sha256,
    };
    let address = server.authority();
    let name = ServerName::try_from(server.host().to_owned())
        .map_err(|_| ConnectError::NameNotFound { host: server.host().to_owned() })?;
    let stream = dial(server.host(), server.port(), Reach::Anywhere).await?;
    let connector = TlsConnector::from(tls::client_config(certificate_sha256));
    match timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(tls_failed(&error, address)),
        Err(_) => Err(ConnectError::TimedOut { address }),
    }
}

fn tls_failed(error: &io::Error, address: String) -> ConnectError {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    // A connection that just ends says nothing about the server: it may be killed at this moment.
    let Some(tls_error) = source else { return told_apart(error, &address) };
    match tls::certificate_problem(tls_error) {
        Some(problem) => ConnectError::Certificate { address, problem },
        None => ConnectError::NotTidings { address, detail: tls_error.to_string() },
    }
}

/// Opens the WebSocket and gives what arrived behind the answer.
async fn handshake(stream: &mut dyn ByteStream, address: &str) -> Result<Bytes, ConnectError> {
    let broke = |error: io::Error| told_apart(&error, address);
    let mut handshake = ClientHandshake::new(address, TARGET, &[], crate::entropy()?)
        .map_err(|error| refused(&error, address))?;
    stream.write_all(handshake.request()).await.map_err(broke)?;
    stream.flush().await.map_err(broke)?;
    let mut scratch = vec![0; READ_BYTES];
    loop {
        let bytes = stream.read(&mut scratch).await.map_err(broke)?;
        if bytes == 0 {
            return Err(broke(io::ErrorKind::UnexpectedEof.into()));
        }
        match handshake.handle_input(&scratch[..bytes]) {
            Ok(Some(established)) => return Ok(established.rest),
            Ok(None) => {}
            Err(error) => return Err(refused(&error, address)),
        }
    }
}

/// Tells a proxy whose server is away from a program that is no server of ours.
fn refused(error: &HandshakeError, address: &str) -> ConnectError {
    let address = address.to_owned();
    match error {
        // Request Timeout and Too Many Requests are passing too.
        HandshakeError::Refused(status @ (408 | 429 | 500..)) => {
            ConnectError::Away { address, status: *status }
        }
        error => ConnectError::NotTidings { address, detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// A listener of this machine and its address without TLS.
    async fn listener() -> (TcpListener, ServerAddress) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = ServerAddress::new("127.0.0.1", port, Transport::Plain).unwrap();
        (listener, address)
    }

    /// Accepts one connection, answers the opening request with `answer`, and keeps it open.
    async fn answer(listener: TcpListener, answer: &str) -> TcpStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    }

    async fn read_request(stream: &mut TcpStream) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        String::from_utf8(request).unwrap()
    }

    /// Accepts one connection as a WebSocket server.
    async fn upgrade(listener: TcpListener) -> (TcpStream, Connection) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let key = request
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .expect("a key in the request");
        let accept = tidings_protocol_websocket::accept_key(key);
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        (stream, Connection::server(Duration::ZERO, Arc::clone(&CONFIG)))
    }

    /// The next event of the server's end.
    async fn next_event(stream: &mut TcpStream, connection: &mut Connection) -> Event {
        let mut scratch = vec![0; READ_BYTES];
        loop {
            let event = connection.poll_event();
            while let Some(mut transmit) = connection.poll_transmit(Duration::ZERO) {
                stream.write_all_buf(&mut transmit).await.unwrap();
            }
            if let Some(event) = event {
                return event;
            }
            let bytes = stream.read(&mut scratch).await.unwrap();
            connection.handle_input(Duration::ZERO, &scratch[..bytes]);
        }
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_on_both_sides() {
        let (listener, address) = listener().await;
        let server = async {
            let (mut stream, mut connection) = upgrade(listener).await;
            for number in 0..10_u8 {
                let Event::Message { payload, .. } = next_event(&mut stream, &mut connection).await
                else {
                    panic!("a message was expected")
                };
                assert_eq!(payload, vec![number; 50_000]);
                connection.send(MessageKind::Binary, payload);
            }
            next_event(&mut stream, &mut connection).await
        };
        let client = async {
            let link = Link::open(&address).await.unwrap();
            let (outgoing, frames) = mpsc::unbounded_channel();
            let (reporter, mut incoming) = Reporter::new(1);
            for number in 0..10_u8 {
                outgoing.send(vec![number; 50_000].into()).unwrap();
            }
            let read = async {
                for number in 0..10_u8 {
                    let frame = TransportEvent::Frame(vec![number; 50_000].into());
                    assert_eq!(incoming.recv().await.unwrap().event, frame);
                }
                drop(outgoing);
            };
            tokio::join!(link.run(frames, &reporter), read).0
        };
        let (closed, end) = tokio::join!(server, client);
        assert!(matches!(closed, Event::Closed { code: CloseCode::NORMAL, .. }), "{closed:?}");
        assert_eq!(end, LinkEnd { code: 1000, reason: String::new() });
    }

    #[tokio::test]
    async fn connection_that_breaks_ends_the_link_without_a_code() {
        let (listener, address) = listener().await;
        let server = async { drop(upgrade(listener).await) };
        let client = async {
            let link = Link::open(&address).await.unwrap();
            let (_outgoing, frames) = mpsc::unbounded_channel();
            let (reporter, _incoming) = Reporter::new(1);
            link.run(frames, &reporter).await
        };
        let ((), end) = tokio::join!(server, client);
        assert_eq!(end.code, CloseCode::ABNORMAL.0);
    }

    #[tokio::test]
    async fn web_server_is_told_apart_from_a_tidings_server() {
        let (listener, address) = listener().await;
        let response = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
        let (_stream, opened) = tokio::join!(answer(listener, response), Link::open(&address));
        let error = opened.err().unwrap();
        assert!(matches!(error, ConnectError::NotTidings { .. }), "{error:?}");
        assert!(error.to_string().contains("status 404"), "{error}");
    }

    #[tokio::test]
    async fn server_that_is_away_for_a_moment_is_told_apart_from_none() {
        let (busy, address) = listener().await;
        let response = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
        let (_stream, opened) = tokio::join!(answer(busy, response), Link::open(&address));
        let away = ConnectError::Away { address: address.authority(), status: 502 };
        assert_eq!(opened.err(), Some(away));

        let (dying, address) = listener().await;
        let killed = async { drop(dying.accept().await.unwrap()) };
        let ((), opened) = tokio::join!(killed, Link::open(&address));
        assert!(matches!(opened.err(), Some(ConnectError::Broken { .. })));

        let (dying, plain) = listener().await;
        let transport = Transport::Tls { certificate_sha256: Some([0; 32]) };
        let address = ServerAddress::new("127.0.0.1", plain.port(), transport).unwrap();
        let killed = async { drop(dying.accept().await.unwrap()) };
        let ((), opened) = tokio::join!(killed, Link::open(&address));
        assert!(matches!(opened.err(), Some(ConnectError::Broken { .. })));
    }

    #[tokio::test]
    async fn program_without_tls_is_told_apart_from_a_certificate_problem() {
        let (listener, plain) = listener().await;
        let transport = Transport::Tls { certificate_sha256: Some([0; 32]) };
        let address = ServerAddress::new("127.0.0.1", plain.port(), transport).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
            stream
        };
        let (_stream, opened) = tokio::join!(server, Link::open(&address));
        let error = opened.err().unwrap();
        assert!(matches!(error, ConnectError::NotTidings { .. }), "{error:?}");
    }
}
