//! HTTP/1.1 on an accepted byte stream, for as long as it takes until a request becomes a
//! WebSocket. The server is hyper; here are the limits it gets, the answers to upgrade requests, and
//! the way back from hyper to the bare transport.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::Error;
use crate::limits;
use crate::policy::{Upgrade, UpgradePolicy};
use crate::refusal::Refusal;
use crate::stream::{WebSocketStream, linger};

/// A request as the caller's handler gets it.
pub type HttpRequest = Request<hyper::body::Incoming>;

/// A response as the caller's handler gives it.
pub type HttpResponse = Response<Full<Bytes>>;

/// The smallest buffer that hyper accepts.
const HYPER_BUFFER_BYTES_MIN: usize = 8 * 1024;

/// What the HTTP server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Time for the whole head of a request.
    pub header_read_timeout: Duration,
    /// Bytes in the head of a request.
    pub header_bytes_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_read_timeout: limits::HEADER_READ_TIMEOUT,
            header_bytes_max: limits::HEADER_BYTES_MAX,
        }
    }
}

/// What the caller's handler makes of a request.
#[derive(Debug)]
pub enum Answer<C> {
    /// This response; the connection waits for the next request.
    Respond(HttpResponse),
    /// A WebSocket, if the request keeps to this policy. The context is handed back with it, so
    /// that the caller knows what it decided.
    Upgrade(Arc<UpgradePolicy>, C),
}

/// A connection that became a WebSocket.
#[derive(Debug)]
pub struct Accepted<IO, C> {
    /// The connection, open.
    pub websocket: WebSocketStream<IO>,
    /// The subprotocol that was agreed on.
    pub protocol: Option<String>,
    /// What the handler gave along.
    pub context: C,
}

/// What a response with status 101 leaves behind for the time after it was written.
struct Agreed<C> {
    policy: Arc<UpgradePolicy>,
    protocol: Option<String>,
    context: C,
}

/// Where the request's future leaves it.
type AgreedSlot<C> = Arc<Mutex<Option<Agreed<C>>>>;

/// Serves HTTP on `io` until a request becomes a WebSocket (`Some`) or the client is done (`None`).
///
/// `handler` sees every request but those with a Transfer-Encoding, which are refused. It must bound
/// what it reads of a body.
///
/// # Errors
///
/// If the client breaks HTTP's rules or its limits, after it was told so. The connection is closed
/// then.
pub async fn accept<IO, C, H, F>(
    io: IO,
    http_limits: &HttpLimits,
    handler: H,
) -> Result<Option<Accepted<IO, C>>, Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    C: Send + 'static,
    H: Fn(HttpRequest) -> F,
    F: Future<Output = Answer<C>> + Send + 'static,
{
    let agreed = AgreedSlot::<C>::default();
    let slot = agreed.clone();
    // Boxed, as hyper wants what it polls to be movable.
    let handler = Box::new(handler);
    let service = service_fn(move |request: HttpRequest| -> ResponseFuture {
        if request.headers().contains_key(TRANSFER_ENCODING) {
            return Box::pin(async { Ok(Refusal::TransferEncoding.response()) });
        }
        let (opening, body) = request.into_parts();
        let answer = handler(Request::from_parts(opening.clone(), body));
        let slot = slot.clone();
        Box::pin(async move {
            Ok(match answer.await {
                Answer::Respond(response) => response,
                Answer::Upgrade(policy, context) => {
                    answer_upgrade(&opening, policy, context, &slot)
                }
            })
        })
    });

    // Boxed, so that the future of a long session is not as large as hyper's connection.
    let mut http = Box::new(builder(http_limits).serve_connection(TokioIo::new(io), service));
    let served = poll_fn(|cx| http.poll_without_shutdown(cx)).await;
    let parts = http.into_parts();
    let io = parts.io.into_inner();
    let agreed = lock(&agreed).take();
    match (served, agreed) {
        (Ok(()), Some(Agreed { policy, protocol, context })) => {
            let websocket = WebSocketStream::server(io, &parts.read_buf, policy.config.clone());
            Ok(Some(Accepted { websocket, protocol, context }))
        }
        (Err(error), _) if error.is_timeout() => Err(error.into()),
        (served, _) => {
            linger(io).await;
            Ok(served.map(|()| None)?)
        }
    }
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<HttpResponse, Infallible>> + Send>>;

/// Agrees to the upgrade, and leaves in `slot` what was agreed on, or refuses it.
fn answer_upgrade<C>(
    opening: &Parts,
    policy: Arc<UpgradePolicy>,
    context: C,
    slot: &AgreedSlot<C>,
) -> HttpResponse {
    match policy.check(opening) {
        Ok(upgrade) => {
            let response = switching_protocols(&upgrade);
            *lock(slot) = Some(Agreed { policy, protocol: upgrade.protocol, context });
            response
        }
        Err(refusal) => {
            tracing::debug!(%refusal, "WebSocket refused");
            refusal.response()
        }
    }
}

fn lock<C>(slot: &AgreedSlot<C>) -> MutexGuard<'_, Option<Agreed<C>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

fn builder(http_limits: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(http_limits.header_read_timeout)
        .max_header_size(http_limits.header_bytes_max)
        .max_buf_size(http_limits.header_bytes_max.max(HYPER_BUFFER_BYTES_MIN));
    builder
}

fn switching_protocols(upgrade: &Upgrade) -> HttpResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let mut insert = |name, value: &str| {
        // Base64 and the names of subprotocols, which came in a header, are always fit for one.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    insert(SEC_WEBSOCKET_ACCEPT, &upgrade.accept);
    if let Some(protocol) = &upgrade.protocol {
        insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}
