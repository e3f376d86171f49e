//! A server of a later version, which has no version of the protocol in common with this program: it
//! answers the first frame as docs/app-protocol.md says, and closes.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tidings_model::Refusal;
use tidings_protocol_app::{close_code, decode_client_frame, encode, wire};
use tidings_protocol_websocket::{CloseCode, Config, Connection, Event, MessageKind, accept_key};

/// Starts one that serves one connection, without TLS; gives its port.
pub(crate) fn start() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    (port, thread::spawn(move || serve(&listener.accept().expect("a connection").0)))
}

fn serve(mut stream: &TcpStream) {
    let accept = accept_key(&read_key(stream));
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).expect("an open connection");
    let now = Duration::ZERO;
    let mut connection = Connection::server(now, Arc::new(Config::default()));
    let mut scratch = vec![0; 4096];
    loop {
        while let Some(event) = connection.poll_event() {
            let Event::Message { payload, .. } = event else { return };
            let hello = decode_client_frame(payload).expect("a frame");
            let refused = Refusal::VersionUnsupported { lowest: 7, highest: 9 };
            let frame = wire::ServerFrame {
                request: hello.request,
                body: Some(wire::server_frame::Body::Refused((&refused).into())),
            };
            connection.send(MessageKind::Binary, encode(&frame));
            connection.close(now, CloseCode(close_code::VERSION_UNSUPPORTED), "");
        }
        while let Some(mut transmit) = connection.poll_transmit(now) {
            use bytes::Buf as _;
            let sent = stream.write(transmit.chunk()).expect("an open connection");
            transmit.advance(sent);
        }
        let bytes = stream.read(&mut scratch).unwrap_or(0);
        if bytes == 0 {
            return;
        }
        connection.handle_input(now, &scratch[..bytes]);
    }
}

fn read_key(mut stream: &TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a request");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    key.expect("a key").to_owned()
}
