//! One session on tokio: joins the state machine, the core and a WebSocket. It decides nothing.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tidings_door_websocket::{Error, Incoming, WebSocketStream};
use tidings_messaging::request::{CloseReason, RequestId};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{Monotonic, Now, Refusal};
use tidings_protocol_websocket::{CloseCode, MessageKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{sleep, timeout};

use crate::limits::{QUEUED_BYTES_LOW, REVOKED_CLOSE_TIMEOUT};
use crate::session::{Close, Service, Session};

/// What a session hears from the core's driver.
#[derive(Debug)]
pub enum SessionInput {
    /// The answer to a request.
    Reply(RequestId, Result<Reply, Refusal>),
    /// Something that the session did not ask for.
    Event(Event),
    /// The core closes the session.
    Close(CloseReason),
    /// The server stops.
    Stop,
}

/// What a session needs of the program around it.
pub trait CorePort {
    /// Hands a request of this session to the core.
    fn request(&self, request: RequestId, body: Request);

    /// Reads the clocks.
    fn now(&self) -> Now;
}

/// Serves a connection to its end. `entropy` is fresh; `inputs` come from the core's driver, and their
/// end is the end of the server.
///
/// The channel is without a bound and this loop always empties it: what the session keeps of it is
/// bounded by the session. Inputs come in boxes because the channel holds room for 32 of them from the
/// start, which would be most of what an idle connection costs.
pub async fn serve<IO, P>(
    mut websocket: WebSocketStream<IO>,
    service: Arc<Service>,
    entropy: [u8; 32],
    port: P,
    mut inputs: UnboundedReceiver<Box<SessionInput>>,
) where
    IO: AsyncRead + AsyncWrite + Unpin,
    P: CorePort,
{
    let mut session = Session::new(port.now(), entropy, service);
    loop {
        session.handle_queued(port.now(), websocket.queued_bytes());
        websocket.raise_message_bytes_max(session.frame_bytes_max());
        while let Some(frame) = session.poll_transmit() {
            websocket.queue(MessageKind::Binary, frame);
        }
        while let Some((request, body)) = session.poll_request() {
            port.request(request, body);
        }
        if let Some(close) = session.poll_close() {
            return end(websocket, close).await;
        }
        tokio::select! {
            incoming = next(&mut websocket, session.waits_for_room()) => match incoming {
                Ok(Some(Incoming::Message { payload, .. })) => {
                    session.handle_frame(port.now(), payload);
                }
                Ok(Some(Incoming::Closed { code, .. })) => return websocket.close(code, "").await,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "connection lost");
                    return;
                }
            },
            input = inputs.recv() => match input {
                Some(input) => {
                    handle_input(&mut session, port.now(), *input);
                    // What came at once leaves in one write.
                    while let Ok(input) = inputs.try_recv() {
                        handle_input(&mut session, port.now(), *input);
                    }
                }
                None => return websocket.close(CloseCode::GOING_AWAY, "GoingAway").await,
            },
            () = sleep_until(port.now(), session.poll_timeout()) => {
                session.handle_timeout(port.now());
            }
        }
    }
}

/// Exchanges Closes. A revoked device may be in wrong hands: if it does not take its Close soon, it
/// loses the connection.
async fn end<IO: AsyncRead + AsyncWrite + Unpin>(websocket: WebSocketStream<IO>, close: Close) {
    let closing = websocket.close(close.code, close.reason);
    if close == Close::REVOKED {
        if timeout(REVOKED_CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::debug!("a revoked device did not take its Close");
        }
    } else {
        closing.await;
    }
}

fn handle_input(session: &mut Session, now: Now, input: SessionInput) {
    match input {
        SessionInput::Reply(request, reply) => session.handle_reply(now, request, reply),
        SessionInput::Event(event) => session.handle_event(event),
        SessionInput::Close(reason) => session.handle_close(reason),
        SessionInput::Stop => session.handle_stop(),
    }
}

/// Waits for the next message; `None` once the output has drained, where the session waits for that.
async fn next<IO: AsyncRead + AsyncWrite + Unpin>(
    websocket: &mut WebSocketStream<IO>,
    waits_for_room: bool,
) -> Result<Option<Incoming>, Error> {
    poll_fn(|cx| match websocket.poll_next(cx) {
        Poll::Ready(incoming) => Poll::Ready(incoming.map(Some)),
        Poll::Pending if waits_for_room && websocket.queued_bytes() <= QUEUED_BYTES_LOW => {
            Poll::Ready(Ok(None))
        }
        Poll::Pending => Poll::Pending,
    })
    .await
}

async fn sleep_until(now: Now, at: Option<Monotonic>) {
    match at {
        Some(at) => sleep(at.since(now.monotonic).max(Duration::from_millis(1))).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tidings_model::Timestamp;
    use tidings_protocol_websocket::Config;
    use tokio::sync::mpsc;
    use tokio::time::{Instant, advance};

    use super::*;

    /// Virtual time, and a core that says nothing.
    struct SilentCore(Instant);

    impl CorePort for SilentCore {
        fn request(&self, _: RequestId, _: Request) {}

        fn now(&self) -> Now {
            Now {
                monotonic: Monotonic::from_start(self.0.elapsed()),
                wall: Timestamp::from_millis(0),
            }
        }
    }

    fn service() -> Arc<Service> {
        Arc::new(Service {
            agent: String::new(),
            invite_required: true,
            invite_prefix: String::new(),
            invite_suffix: String::new(),
            messages_per_second: 20,
            messages_burst: 100,
            server_secret: [9; 32],
        })
    }

    #[tokio::test(start_paused = true)]
    async fn revoked_device_that_takes_nothing_loses_its_connection_within_two_seconds() {
        // The peer's end: it neither reads nor hangs up, and what is queued does not fit.
        let (io, peer) = tokio::io::duplex(64);
        let mut websocket = WebSocketStream::server(io, &[], Arc::new(Config::default()));
        websocket.queue(MessageKind::Binary, Bytes::from(vec![0; 4_096]));
        let (told, inputs) = mpsc::unbounded_channel();
        let core = SilentCore(Instant::now());
        let session = tokio::spawn(serve(websocket, service(), [3; 32], core, inputs));
        advance(Duration::from_secs(1)).await;
        assert!(!session.is_finished(), "it waits for the peer");
        told.send(Box::new(SessionInput::Close(CloseReason::Revoked))).unwrap();
        let revoked = Instant::now();
        session.await.unwrap();
        assert!(revoked.elapsed() <= Duration::from_millis(2_001), "{:?}", revoked.elapsed());
        drop(peer);
    }
}
