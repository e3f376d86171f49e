//! The network between the clients and the server: forwards bytes on loopback, cuts connections, and
//! counts them.
//!
//! A cut drops what was read and not yet written, in both directions, so that frames are torn in the
//! middle and answers are lost whose requests arrived. Deliberately not here: what the bytes mean; TLS
//! passes through.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// One read from a socket, in bytes: smaller than some frames, so that a cut can fall inside one.
const READ_BYTES: usize = 4 * 1024;

/// The wait after the system could not give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The proxy. It forwards for as long as the runtime lives.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    port: u16,
    connections: Arc<Connections>,
}

/// What the proxy knows of its connections.
#[derive(Debug, Default)]
struct Connections {
    /// Those that are open, each with the means to cut it.
    open: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    last_number: AtomicU64,
    /// Those over which the server has said something.
    answered: AtomicU64,
}

impl Proxy {
    /// Listens on a free port of loopback and forwards to `server_port`.
    ///
    /// # Errors
    /// The system gives no port.
    pub(crate) async fn start(server_port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(Connections::default());
        let proxy = Self { port, connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            loop {
                // Out of file descriptors: by and by some become free.
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                tokio::spawn(Arc::clone(&connections).carry(client, server_port));
            }
        });
        Ok(proxy)
    }

    /// The port for clients.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections have reached the server so far.
    pub(crate) fn answered(&self) -> u64 {
        self.connections.answered.load(Ordering::Relaxed)
    }

    /// Cuts one of the open connections; `choice` says which.
    pub(crate) fn cut(&self, choice: u64) {
        let mut open = self.connections.open();
        if open.is_empty() {
            return;
        }
        let index = usize::try_from(choice % open.len() as u64).unwrap_or_default();
        if let Some(number) = open.keys().nth(index).copied() {
            // Dropping the sender ends the connection.
            open.remove(&number);
        }
    }
}

impl Connections {
    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        // Nothing that holds the lock can leave the map half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self: Arc<Self>, client: TcpStream, server_port: u16) {
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server_port));
        let Ok(server) = TcpStream::connect(server).await else { return };
        // Small frames must not wait for one another here: that would hide nothing and slow all.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let number = self.last_number.fetch_add(1, Ordering::Relaxed);
        let (cutter, cut) = oneshot::channel();
        self.open().insert(number, cutter);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let answered = || {
            self.answered.fetch_add(1, Ordering::Relaxed);
        };
        tokio::select! {
            _ = cut => {}
            () = forward(from_client, to_server, || {}) => {}
            () = forward(from_server, to_client, answered) => {}
        }
        self.open().remove(&number);
    }
}

/// Forwards until either side ends. `at_first_byte` is called once, before the first is passed on.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, at_first_byte: impl Fn()) {
    let mut buffer = [0; READ_BYTES];
    let mut is_first = true;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if std::mem::take(&mut is_first) {
            at_first_byte();
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, and its port.
    async fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        port
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).await.unwrap()
    }

    async fn say(stream: &mut TcpStream, words: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(words).await?;
        let mut answer = vec![0; words.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn bytes_pass_in_both_directions() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = connect(&proxy).await;
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        assert_eq!(proxy.answered(), 1);
    }

    #[tokio::test]
    async fn cut_ends_one_connection_and_leaves_the_others() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut streams = [connect(&proxy).await, connect(&proxy).await];
        for stream in &mut streams {
            say(stream, b"hello").await.unwrap();
        }
        proxy.cut(0);
        // The cut is done when the client sees it.
        assert_eq!(streams[0].read(&mut [0; 1]).await.unwrap_or_default(), 0);
        assert_eq!(say(&mut streams[1], b"still here").await.unwrap(), b"still here");
    }

    #[tokio::test]
    async fn connection_that_does_not_reach_the_server_is_not_counted() {
        let vacant = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = vacant.local_addr().unwrap().port();
        drop(vacant);
        let proxy = Proxy::start(port).await.unwrap();
        assert_eq!(connect(&proxy).await.read(&mut [0; 1]).await.unwrap_or_default(), 0);
        assert_eq!(proxy.answered(), 0);
        proxy.cut(3);
    }
}
