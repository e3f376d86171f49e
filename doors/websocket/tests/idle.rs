//! What an idle connection costs: counted in a process of its own, by its allocator.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidings_door_websocket::{
    Accepted, Answer, HttpLimits, Incoming, Origins, UpgradePolicy, accept,
};
use tidings_protocol_websocket::Config;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 1_000;

/// On the heap for one connection, all in all: its task, socket and timer. Below the smallest
/// buffer that anybody would give it.
const BYTES_PER_CONNECTION_MAX: usize = 3 * 1_024;

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Echoes, and when `inspect` changes reports the capacity of its buffers.
async fn session(
    stream: tokio::net::TcpStream,
    policy: Arc<UpgradePolicy>,
    mut inspect: watch::Receiver<()>,
    report: mpsc::Sender<usize>,
) {
    let upgrade = move |_| std::future::ready(Answer::Upgrade(policy.clone(), ()));
    let accepted = accept(stream, &HttpLimits::default(), upgrade).await.unwrap();
    let Some(Accepted { mut websocket, .. }) = accepted else { panic!("no upgrade") };
    loop {
        tokio::select! {
            incoming = websocket.next() => match incoming {
                Ok(Incoming::Message { kind, payload }) => websocket.queue(kind, payload),
                Ok(Incoming::Closed { .. }) | Err(_) => return,
            },
            Ok(()) = inspect.changed() => {
                report.send(websocket.buffer_capacity()).await.unwrap();
            }
        }
    }
}

/// Opens a connection and has one message echoed; without an allocation that stays.
fn connect(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(REQUEST).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let mut message = vec![0x82, 0xfe, 0x07, 0xd0, 0, 0, 0, 0];
    message.resize(message.len() + 2_000, 7);
    stream.write_all(&message).unwrap();
    stream.read_exact(&mut [0; 2_004]).unwrap();
    stream
}

#[test]
fn thousand_idle_connections_hold_no_buffers() {
    rlimit::increase_nofile_limit(4 * CONNECTIONS as u64).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let policy = Arc::new(UpgradePolicy {
        origins: Origins::Any,
        protocols: Vec::new(),
        config: Arc::new(Config::default()),
    });
    let (inspect, inspected) = watch::channel(());
    let (report, mut reports) = mpsc::channel(CONNECTIONS + 1);
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let session = session(stream, policy.clone(), inspected.clone(), report.clone());
            tokio::spawn(session);
        }
    });

    // The first makes what threads and the runtime keep for good.
    let _first = connect(address);
    let before = live_bytes();
    let mut connections = Vec::with_capacity(CONNECTIONS);
    connections.extend((0..CONNECTIONS).map(|_| connect(address)));
    inspect.send(()).unwrap();
    for _ in 0..=CONNECTIONS {
        assert_eq!(reports.blocking_recv(), Some(0), "bytes in buffers");
    }
    let per_connection = live_bytes().saturating_sub(before) / CONNECTIONS;
    assert!(per_connection <= BYTES_PER_CONNECTION_MAX, "{per_connection} bytes each");
    println!("{per_connection} bytes on the heap for each connection");
}
