//! The network between the clients and the server: forwards bytes on loopback, cuts connections,
//! counts them, and lets a search see what passes.
//!
//! Both sides speak TLS, each with its own session. The proxy has the server's key, so that clients
//! find the certificate that they know; what they send is in the clear here and nowhere else on its
//! way. A cut drops what was read and not yet written, in both directions, so that frames are torn in
//! the middle and answers are lost whose requests arrived. Deliberately not here: what frames mean.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::frames::Payloads;
use crate::search::{Place, Search};

/// One read from a socket, in bytes: smaller than some frames, so that a cut can fall inside one.
const READ_BYTES: usize = 4 * 1024;

/// The wait after the system could not give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Where the server listens, and what its certificate is for.
const HOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The proxy. It forwards for as long as the runtime lives.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    server_port: u16,
    /// Until it serves.
    listener: Option<TcpListener>,
    connections: Arc<Connections>,
}

/// The two ends of TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
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

impl Tls {
    /// Takes the server's certificate with its key from the file where they are together.
    ///
    /// # Errors
    /// There is no such file, or TLS cannot be spoken with it.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let context = || format!("{}", file.display());
        let certificate = CertificateDer::from_pem_file(file).with_context(context)?;
        let key = PrivateKeyDer::from_pem_file(file).with_context(context)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .with_context(context)?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).with_context(context)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        client.alpn_protocols.clone_from(&server.alpn_protocols);
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }
}

impl Proxy {
    /// Takes a free port of loopback, for a server that will listen on `server_port`.
    ///
    /// # Errors
    /// The system gives no port.
    pub(crate) async fn bind(server_port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((HOST, 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { port, server_port, listener: Some(listener), connections: Arc::default() })
    }

    /// Forwards from now on, and lets a search see what passes.
    pub(crate) fn serve(&mut self, tls: Tls, search: Option<Search>) {
        let Some(listener) = self.listener.take() else { return };
        let (connections, server_port) = (Arc::clone(&self.connections), self.server_port);
        tokio::spawn(async move {
            loop {
                // Out of file descriptors: by and by some become free.
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let carried = Carried { client, server_port, tls: tls.clone() };
                tokio::spawn(Arc::clone(&connections).carry(carried, search.clone()));
            }
        });
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

/// A connection that was accepted.
struct Carried {
    client: TcpStream,
    server_port: u16,
    tls: Tls,
}

impl Connections {
    fn open(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        // Nothing that holds the lock can leave the map half changed.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self: Arc<Self>, carried: Carried, search: Option<Search>) {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed);
        let (cutter, cut) = oneshot::channel();
        self.open().insert(number, cutter);
        tokio::select! {
            _ = cut => {}
            // Whichever side ends it: so does the other.
            _ = self.forward_both(carried, search) => {}
        }
        self.open().remove(&number);
    }

    async fn forward_both(&self, carried: Carried, search: Option<Search>) -> io::Result<()> {
        let Carried { client, server_port, tls } = carried;
        let server = TcpStream::connect(SocketAddr::from((HOST, server_port))).await?;
        // Small frames must not wait for one another here: that would hide nothing and slow all.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let name = ServerName::IpAddress(IpAddr::V4(HOST).into());
        let server = tls.connector.connect(name, server).await?;
        let client = tls.acceptor.accept(client).await?;
        let (from_client, to_client) = tokio::io::split(client);
        let (from_server, to_server) = tokio::io::split(server);
        let answered = || {
            self.answered.fetch_add(1, Ordering::Relaxed);
        };
        let watch = |place| Watch::new(search.as_ref(), place);
        tokio::select! {
            ended = forward(from_client, to_server, watch(Place::FromClients), || {}) => ended,
            ended = forward(from_server, to_client, watch(Place::FromServer), answered) => ended,
        }
    }
}

/// What a search sees of one direction.
struct Watch {
    payloads: Payloads,
    scanner: Option<crate::search::Scanner>,
}

impl Watch {
    fn new(search: Option<&Search>, place: Place) -> Self {
        let scanner = search.map(|search| search.scanner(place));
        Self { payloads: Payloads::new(), scanner }
    }

    fn see(&mut self, bytes: &[u8]) {
        if let Some(scanner) = &mut self.scanner {
            self.payloads.feed(bytes, |payload| scanner.feed(payload));
        }
    }
}

/// Forwards until either side ends. `at_first_byte` is called once, before the first is passed on.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut watch: Watch,
    at_first_byte: impl Fn(),
) -> io::Result<()> {
    let mut buffer = [0; READ_BYTES];
    let mut is_first = true;
    while let count @ 1.. = from.read(&mut buffer).await? {
        if std::mem::take(&mut is_first) {
            at_first_byte();
        }
        watch.see(&buffer[..count]);
        to.write_all(&buffer[..count]).await?;
        to.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use tokio_rustls::client::TlsStream;

    use super::*;

    /// A certificate as a server makes it for itself.
    fn tls() -> Tls {
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("certificate.pem");
        std::fs::write(&file, certificate.pem() + &key.serialize_pem()).unwrap();
        Tls::load(&file).unwrap()
    }

    /// A server that sends back what it gets, and its port.
    async fn echo(tls: Tls) -> u16 {
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = tls.acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let (mut from, mut to) = tokio::io::split(stream);
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        port
    }

    async fn proxy(tls: &Tls, search: Option<Search>) -> Proxy {
        let mut proxy = Proxy::bind(echo(tls.clone()).await).await.unwrap();
        proxy.serve(tls.clone(), search);
        proxy
    }

    async fn connect(proxy: &Proxy, tls: &Tls) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect((HOST, proxy.port())).await?;
        tls.connector.connect(ServerName::IpAddress(IpAddr::V4(HOST).into()), stream).await
    }

    async fn say(stream: &mut TlsStream<TcpStream>, words: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(words).await?;
        stream.flush().await?;
        let mut answer = vec![0; words.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn bytes_pass_in_both_directions() {
        let tls = tls();
        let proxy = proxy(&tls, None).await;
        let mut stream = connect(&proxy, &tls).await.unwrap();
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        assert_eq!(proxy.answered(), 1);
    }

    #[tokio::test]
    async fn search_sees_what_passes_in_both_directions() {
        let tls = tls();
        let search = Search::new(["how do I unmount it"], &[], "hello").unwrap();
        let proxy = proxy(&tls, Some(search.clone())).await;
        let mut stream = connect(&proxy, &tls).await.unwrap();
        say(&mut stream, b"hello, how do I ").await.unwrap();
        say(&mut stream, b"unmount it").await.unwrap();
        let findings = search.findings();
        let is_found = |words: &str| findings.iter().any(|finding| finding.contains(words));
        assert!(is_found("from clients to the server have a line"), "{findings:?}");
        assert!(is_found("from the server to clients have a line"), "{findings:?}");
    }

    #[tokio::test]
    async fn cut_ends_one_connection_and_leaves_the_others() {
        let tls = tls();
        let proxy = proxy(&tls, None).await;
        let mut streams =
            [connect(&proxy, &tls).await.unwrap(), connect(&proxy, &tls).await.unwrap()];
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
        let vacant = TcpListener::bind((HOST, 0)).await.unwrap();
        let port = vacant.local_addr().unwrap().port();
        drop(vacant);
        let tls = tls();
        let mut proxy = Proxy::bind(port).await.unwrap();
        proxy.serve(tls.clone(), None);
        assert!(connect(&proxy, &tls).await.is_err());
        assert_eq!(proxy.answered(), 0);
        proxy.cut(3);
    }
}
