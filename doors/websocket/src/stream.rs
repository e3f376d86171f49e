//! A WebSocket on a tokio transport: one poll that drives both directions and the timers of a
//! [`Connection`], which holds all the rules. No buffer of its own, no task of its own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tidings_protocol_websocket::{CloseCode, Config, Connection, Event, MessageKind, Side};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::io::poll_write_buf;

use crate::error::Error;
use crate::limits::{LINGER, READ_BYTES_MAX};

thread_local! {
    /// Where input lands before the connection takes it, within one poll: so that one buffer per
    /// thread is enough for all connections.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into());
}

/// What [`WebSocketStream::next`] waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole message.
    Message {
        /// Text or binary.
        kind: MessageKind,
        /// The message.
        payload: Bytes,
    },
    /// The connection is over. [`WebSocketStream::close`] says good-bye.
    Closed {
        /// The peer's code if it sent a Close, else ours; 1006 if the connection just ended.
        code: CloseCode,
        /// The words that go with the code, perhaps none.
        reason: String,
        /// Who wanted the end.
        by: Side,
    },
}

/// The server's end of a WebSocket.
///
/// A session is a loop around [`next`](Self::next), beside whatever else it waits for in a
/// `tokio::select!`; answers are put in with [`queue`](Self::queue) and leave while it waits, many
/// in one write. At its end stands [`close`](Self::close).
///
/// If `IO` wraps a transport, it should pass vectored writes on.
#[derive(Debug)]
pub struct WebSocketStream<IO> {
    io: IO,
    connection: Connection,
    opened: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// The transport took bytes that it may still hold back, as TLS does.
    needs_flush: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocketStream<IO> {
    /// A WebSocket on a transport whose opening handshake is done. `already_read` are bytes that
    /// came in behind the handshake.
    pub fn server(io: IO, already_read: &[u8], config: Arc<Config>) -> Self {
        let mut connection = Connection::server(Duration::ZERO, config);
        connection.handle_input(Duration::ZERO, already_read);
        Self { io, connection, opened: Instant::now(), timer: None, needs_flush: false }
    }

    /// Waits for the next message or the end, and meanwhile writes what is queued, answers pings
    /// and keeps the connection alive. While the peer leaves too much unread, nothing is read.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    ///
    /// # Errors
    ///
    /// If the transport fails, or after [`Incoming::Closed`].
    pub async fn next(&mut self) -> Result<Incoming, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// See [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Error>> {
        loop {
            // All that one read brought comes first, so that the answers to it are one write.
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Message { kind, payload } => {
                        return Poll::Ready(Ok(Incoming::Message { kind, payload }));
                    }
                    Event::Closed { code, reason, by } => {
                        tracing::debug!(%code, ?by, "WebSocket closed");
                        return Poll::Ready(Ok(Incoming::Closed { code, reason, by }));
                    }
                    Event::Ping(_) | Event::Pong(_) => {}
                }
            }
            if self.connection.is_closed() {
                return Poll::Ready(Err(Error::Closed));
            }
            if let Poll::Ready(Err(error)) = self.poll_transmit(cx) {
                return Poll::Ready(Err(error.into()));
            }
            if self.connection.wants_input()
                && let Poll::Ready(input) = self.poll_input(cx)
            {
                input?;
                continue;
            }
            ready!(self.poll_timer(cx));
        }
    }

    /// Queues a message. It is written by whatever is awaited next on this stream. Dropped if the
    /// connection is closed: [`next`](Self::next) tells.
    pub fn queue(&mut self, kind: MessageKind, payload: Bytes) {
        self.connection.send(kind, payload);
    }

    /// See [`Connection::raise_message_bytes_max`].
    pub fn raise_message_bytes_max(&mut self, bytes: usize) {
        self.connection.raise_message_bytes_max(bytes);
    }

    /// Bytes that the transport has not taken yet.
    pub fn queued_bytes(&self) -> usize {
        self.connection.unsent_bytes()
    }

    /// Waits until all that is queued is written, or the connection has ended. Reads nothing: only
    /// for a peer that is sure to read. Cancel safe.
    ///
    /// # Errors
    ///
    /// If the transport fails.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(written) = self.poll_transmit(cx) {
                    return Poll::Ready(written.map_err(Error::from));
                }
                ready!(self.poll_timer(cx));
                if self.connection.is_closed() {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }

    /// Ends the connection, whichever side began it: writes what is queued, exchanges Closes and
    /// waits a little for the peer to hang up, so that it can read our last bytes. Takes
    /// [`Config::close_timeout`] and [`LINGER`] at most. Messages that still arrive are dropped.
    pub async fn close(mut self, code: CloseCode, reason: &str) {
        let now = self.now();
        self.connection.close(now, code, reason);
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(Error::Closed) => break,
                Err(Error::Transport(_) | Error::Http(_)) => return,
            }
        }
        let last_words = poll_fn(|cx| self.poll_transmit(cx));
        if let Ok(Ok(())) = timeout(LINGER, last_words).await {
            linger(self.io).await;
        }
    }

    /// Bytes on the heap for input and output: zero while nothing flows.
    pub fn buffer_capacity(&self) -> usize {
        self.connection.buffer_capacity()
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Writes until nothing is left to write.
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.now();
        while let Some(mut transmit) = self.connection.poll_transmit(now) {
            let io = Pin::new(&mut self.io);
            if ready!(poll_write_buf(io, cx, &mut transmit))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.needs_flush = true;
        }
        if self.needs_flush {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut scratch = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut scratch))?;
            match scratch.filled() {
                [] => self.connection.handle_end_of_input(),
                input => self.connection.handle_input(self.opened.elapsed(), input),
            }
            Poll::Ready(Ok(()))
        })
    }

    /// Waits for the connection's next deadline and tells it.
    ///
    /// Deadlines move with every input, mostly away. So the timer is left as it is until it fires,
    /// and only then set to where the deadline has moved.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.connection.poll_timeout() else { return Poll::Pending };
        let Some(deadline) = self.opened.checked_add(deadline) else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        while timer.deadline() < deadline {
            ready!(timer.as_mut().poll(cx));
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        let now = self.now();
        self.connection.handle_timeout(now);
        Poll::Ready(())
    }
}

/// Ends our direction and waits for the peer to end its own: to drop a transport with unread input
/// can destroy output that the peer has not read.
pub(crate) async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) {
    let hang_up = async {
        io.shutdown().await?;
        while poll_fn(|cx| poll_discard(&mut io, cx)).await? > 0 {}
        io::Result::Ok(())
    };
    // Nothing is left to be done about a failure.
    _ = timeout(LINGER, hang_up).await;
}

fn poll_discard<IO: AsyncRead + Unpin>(
    io: &mut IO,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut scratch = ReadBuf::new(scratch);
        ready!(Pin::new(io).poll_read(cx, &mut scratch))?;
        Poll::Ready(Ok(scratch.filled().len()))
    })
}
