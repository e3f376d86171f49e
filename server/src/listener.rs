//! The listener of the apps: connections are accepted, brought through TLS and HTTP in tasks of their
//! own, and handed to sessions. Whoever is slow or too many is dropped before they cost anything.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::StatusCode;
use rustls::ServerConfig;
use tidings_door_app::{Service, driver};
use tidings_door_websocket::{
    Answer, HttpLimits, HttpRequest, Origins, UpgradePolicy, accept as accept_websocket,
};
use tidings_messaging::request::PeerNetwork;
use tidings_protocol_identity::ServerAddress;
use tidings_protocol_websocket::Config;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::clock::entropy;
use crate::configuration::Configuration;
use crate::core_driver::CoreHandle;
use crate::limits::{ACCEPT_BACKLOG, ACCEPT_PAUSE, HTTP_TIMEOUT, TLS_TIMEOUT};
use crate::metrics::Metrics;
use crate::network::{Network, client_address, peer_network};
use crate::page;

/// Where apps connect.
const WEBSOCKET_PATH: &str = "/ws";

/// What all connections have in common.
pub(crate) struct Door {
    pub(crate) core: CoreHandle,
    pub(crate) service: Arc<Service>,
    pub(crate) policy: Arc<UpgradePolicy>,
    /// TLS as it is now; `None` without.
    pub(crate) tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    pub(crate) proxies: Vec<Network>,
    pub(crate) metrics: Arc<Metrics>,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
}

impl Door {
    /// Puts a door together.
    pub(crate) fn new(
        configuration: &Configuration,
        core: CoreHandle,
        service: Service,
        address: &ServerAddress,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let policy = UpgradePolicy {
            origins: Origins::Listed(origins(address, &configuration.origins)),
            protocols: Vec::new(),
            config: Arc::new(Config::default()),
        };
        Self {
            core,
            service: Arc::new(service),
            policy: Arc::new(policy),
            tls,
            proxies: configuration.behind_proxy.clone(),
            metrics,
            connections: semaphore(configuration.connections_max),
            handshakes: semaphore(configuration.handshakes_max),
        }
    }
}

fn semaphore(permits: u32) -> Arc<Semaphore> {
    let permits = usize::try_from(permits).unwrap_or(usize::MAX);
    Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)))
}

/// The pages that may connect: those of the server itself, and the listed ones.
fn origins(address: &ServerAddress, listed: &[String]) -> Vec<String> {
    let link = address.invite_prefix();
    let own = link.split_once("/#").map_or(link.as_str(), |(origin, _)| origin);
    let mut origins = vec![own.to_owned()];
    // Browsers leave out the port of the scheme.
    origins.extend(own.strip_suffix(":443").map(str::to_owned));
    origins.extend(listed.iter().cloned());
    origins
}

/// Binds the listener.
///
/// # Errors
/// The address cannot be had.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match bind_exactly(address) {
        // A machine without IPv6: every address that it has is of the other family.
        Err(error)
            if address.is_ipv6()
                && address.ip().is_unspecified()
                && error.kind() != io::ErrorKind::AddrInUse
                && error.kind() != io::ErrorKind::PermissionDenied =>
        {
            bind_exactly(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port()))
        }
        bound => bound,
    }
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
    // A server that was killed takes its port again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}

/// Accepts connections until the program stops listening by dropping this future.
pub(crate) async fn accept(listener: TcpListener, door: Arc<Door>) {
    let mut pauses = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                pauses = false;
                door.metrics.connections_accepted.inc();
                admit(stream, peer.ip(), &door);
            }
            Err(error) => {
                // Out of files or memory, most likely. Those who are connected go on.
                if !std::mem::replace(&mut pauses, true) {
                    tracing::warn!(%error, "accepting pauses");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Starts a connection's task, unless it is turned away: then it is closed by dropping it.
fn admit(stream: TcpStream, peer: IpAddr, door: &Arc<Door>) {
    let may_come = door.tls.is_some() || may_be_plain(peer, &door.proxies);
    let connection = Arc::clone(&door.connections).try_acquire_owned().ok();
    let handshake = Arc::clone(&door.handshakes).try_acquire_owned().ok();
    match admission(may_come, connection, handshake) {
        Ok((connection, handshake)) => {
            let connection = OpenConnection::new(connection, Arc::clone(&door.metrics));
            tokio::spawn(shake_hands(stream, peer, Arc::clone(door), connection, handshake));
        }
        Err(reason) => {
            tracing::debug!(%peer, ?reason, "turned away");
            door.metrics.connections_shed.inc();
        }
    }
}

/// Why a connection is closed before anything is read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TurnedAway {
    /// Without TLS, and neither a proxy nor on this machine.
    PlainStranger,
    /// `limits.connections` is reached.
    Connections,
    /// `limits.unfinished_handshakes` is reached.
    UnfinishedHandshakes,
}

/// Decides whom to admit, and passes on what was taken of the limits for whoever is.
fn admission<P>(
    may_come: bool,
    connection: Option<P>,
    handshake: Option<P>,
) -> Result<(P, P), TurnedAway> {
    if !may_come {
        return Err(TurnedAway::PlainStranger);
    }
    let connection = connection.ok_or(TurnedAway::Connections)?;
    Ok((connection, handshake.ok_or(TurnedAway::UnfinishedHandshakes)?))
}

/// Whether somebody may come without TLS: a proxy, which has ended it, or a program on this machine.
fn may_be_plain(peer: IpAddr, proxies: &[Network]) -> bool {
    peer.to_canonical().is_loopback() || proxies.iter().any(|proxy| proxy.contains(peer))
}

/// A connection's share of the limit and of the metrics, for as long as it is open.
struct OpenConnection {
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
}

impl OpenConnection {
    fn new(permit: OwnedSemaphorePermit, metrics: Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self { metrics, _permit: permit }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

/// Brings a connection through TLS and HTTP.
async fn shake_hands(
    stream: TcpStream,
    peer: IpAddr,
    door: Arc<Door>,
    connection: OpenConnection,
    _handshake: OwnedSemaphorePermit,
) {
    // Frames are small and people wait for them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection lost");
        return;
    }
    let Some(tls) = &door.tls else {
        return serve_http(stream, peer, &door, connection).await;
    };
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.borrow()));
    match timeout(TLS_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve_http(stream, peer, &door, connection).await,
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS failed");
            door.metrics.handshakes_failed.inc();
        }
        Err(_) => {
            tracing::debug!("TLS took too long");
            door.metrics.handshakes_failed.inc();
        }
    }
}

/// Answers requests until one becomes a WebSocket, which goes on in a task of its own: the memory of
/// the handshakes is not held by the session that follows.
async fn serve_http<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    io: IO,
    peer: IpAddr,
    door: &Door,
    connection: OpenConnection,
) {
    let policy = Arc::clone(&door.policy);
    let proxies = door.proxies.clone();
    let handler = move |request: HttpRequest| {
        let answer = route(&request, peer, &proxies, &policy);
        async move { answer }
    };
    let http_limits = HttpLimits::default();
    match timeout(HTTP_TIMEOUT, accept_websocket(io, &http_limits, handler)).await {
        Ok(Ok(Some(accepted))) => {
            let (port, inputs) = door.core.connect(accepted.context);
            let service = Arc::clone(&door.service);
            let session = driver::serve(accepted.websocket, service, entropy(), port, inputs);
            tokio::spawn(hold(connection, session));
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => {
            tracing::debug!(%error, "no WebSocket");
            door.metrics.handshakes_failed.inc();
        }
        Err(_) => {
            tracing::debug!("no WebSocket in time");
            door.metrics.handshakes_failed.inc();
        }
    }
}

async fn hold(_connection: OpenConnection, session: impl Future<Output = ()>) {
    session.await;
}

fn route(
    request: &HttpRequest,
    peer: IpAddr,
    proxies: &[Network],
    policy: &Arc<UpgradePolicy>,
) -> Answer<PeerNetwork> {
    if request.uri().path() != WEBSOCKET_PATH {
        return Answer::Respond(page::answer(request.method(), request.uri().path()));
    }
    let forwarded_for = request.headers().get_all("x-forwarded-for");
    let mut lines = Vec::new();
    for line in forwarded_for {
        match line.to_str() {
            Ok(line) => lines.push(line),
            Err(_) => {
                let sentence = "X-Forwarded-For is not text\n";
                return Answer::Respond(page::text(StatusCode::BAD_REQUEST, sentence));
            }
        }
    }
    let client = client_address(peer, proxies, lines.into_iter());
    Answer::Upgrade(Arc::clone(policy), peer_network(client))
}

#[cfg(test)]
mod tests {
    use tidings_protocol_identity::Transport;

    use super::*;

    #[test]
    fn without_tls_only_proxies_and_loopback_may_come() {
        let proxies: Vec<Network> =
            ["10.0.0.0/24", "fd00::1/128"].iter().map(|text| text.parse().unwrap()).collect();
        let may = |peer: &str| may_be_plain(peer.parse().unwrap(), &proxies);
        for peer in
            ["10.0.0.7", "::ffff:10.0.0.7", "fd00::1", "127.0.0.9", "::1", "::ffff:127.0.0.1"]
        {
            assert!(may(peer), "{peer}");
        }
        for peer in ["10.0.1.7", "192.0.2.1", "::ffff:192.0.2.1", "fd00::2", "2001:db8::1"] {
            assert!(!may(peer), "{peer}");
        }
        assert_eq!(admission(false, Some(1), Some(2)), Err(TurnedAway::PlainStranger));
    }

    #[test]
    fn connection_above_a_limit_is_turned_away_and_takes_nothing() {
        assert_eq!(admission(true, Some(1), Some(2)), Ok((1, 2)));
        assert_eq!(admission(true, None, Some(2)), Err(TurnedAway::Connections));
        assert_eq!(admission(true, Some(1), None), Err(TurnedAway::UnfinishedHandshakes));
        let limit = semaphore(1);
        let taken = Arc::clone(&limit).try_acquire_owned().ok();
        assert!(admission(true, taken, None).is_err());
        assert_eq!(limit.available_permits(), 1);
    }

    #[test]
    fn own_pages_may_connect_with_and_without_the_port_that_browsers_leave_out() {
        let address = |port| {
            let transport = Transport::Tls { certificate_sha256: None };
            ServerAddress::new("chat.example.org", port, transport).unwrap()
        };
        assert_eq!(origins(&address(8443), &[]), ["https://chat.example.org:8443"]);
        let listed = ["https://app.example.org".to_owned()];
        assert_eq!(
            origins(&address(443), &listed),
            ["https://chat.example.org:443", "https://chat.example.org", "https://app.example.org"]
        );
    }
}
