//! An open WebSocket connection of either role, from the end of the opening handshake to the last
//! byte of the closing one (RFC 6455 §5.5, §7): what control frames mean, keep-alive, and the order
//! in which a connection ends. How frames are read and written stands in `incoming` and `outgoing`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::close::{CloseCode, encode_close};
use crate::config::Config;
use crate::error::Violation;
use crate::frame::OpCode;
use crate::incoming::{Incoming, Received};
use crate::mask::MaskingKeys;
use crate::outgoing::{Outgoing, Transmit};

/// Which end of the connection this is. A client masks what it sends, a server does not (RFC 6455
/// §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accepted the connection.
    Server,
    /// Opened the connection.
    Client,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// The payload is UTF-8: checked in what arrives, the caller's duty in what is sent.
    Text,
    /// The payload is any bytes.
    Binary,
}

/// One of the two ends, seen from this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This end.
    Local,
    /// The other end, or the network between.
    Peer,
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A whole message arrived.
    Message {
        /// Text or binary.
        kind: MessageKind,
        /// The message, put together from its fragments.
        payload: Bytes,
    },
    /// The peer asked for a sign of life. The answer is already on its way.
    Ping(Bytes),
    /// The peer gave a sign of life.
    Pong(Bytes),
    /// The connection is over, and this is its last event. Unsent output, our Close at its end,
    /// should still be written, then the transport be closed.
    Closed {
        /// The peer's code if it sent a Close, else ours; 1006 if the connection just ended.
        code: CloseCode,
        /// The words that go with the code, perhaps none.
        reason: String,
        /// Who wanted the end.
        by: Side,
    },
}

#[derive(Debug)]
enum Phase {
    Open,
    /// Our Close is queued or sent, the peer's has not come.
    Closing {
        deadline: Duration,
    },
    /// Nothing is read any more, and [`Event::Closed`] waits behind the last messages. With it goes
    /// the payload of our Close if there is one to send: so late, so that those messages can still
    /// be answered.
    Ending {
        close: Option<Bytes>,
    },
    /// All is said.
    Closed,
}

/// A WebSocket connection after its opening handshake.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    role: Role,
    phase: Phase,
    incoming: Incoming,
    outgoing: Outgoing,
    events: VecDeque<Event>,
    last_heard: Duration,
    last_ping: Duration,
    control_frames: ControlFrames,
}

/// Counts the peer's pings and pongs within one second.
#[derive(Debug)]
struct ControlFrames {
    since: Duration,
    count: u32,
}

impl Connection {
    /// The server's end of a connection that was opened at `now`.
    pub fn server(now: Duration, config: Arc<Config>) -> Self {
        Self::new(now, config, Role::Server, None)
    }

    /// The client's end of a connection that was opened at `now`. `seed` must be 32 bytes of good
    /// entropy, fresh for each connection: the masking keys come from it.
    pub fn client(now: Duration, config: Arc<Config>, seed: [u8; 32]) -> Self {
        Self::new(now, config, Role::Client, Some(Box::new(MaskingKeys::new(seed))))
    }

    fn new(
        now: Duration,
        config: Arc<Config>,
        role: Role,
        masking_keys: Option<Box<MaskingKeys>>,
    ) -> Self {
        Self {
            config,
            role,
            phase: Phase::Open,
            incoming: Incoming::default(),
            outgoing: Outgoing::new(masking_keys),
            events: VecDeque::new(),
            last_heard: now,
            last_ping: now,
            control_frames: ControlFrames { since: now, count: 0 },
        }
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Takes bytes that arrived, all of them. Call [`poll_event`](Self::poll_event) until it is
    /// empty before the next input: each event is bounded by the configuration, and their number by
    /// the size of one input.
    pub fn handle_input(&mut self, now: Duration, mut input: &[u8]) {
        if !input.is_empty() {
            self.last_heard = now;
        }
        while let Phase::Open | Phase::Closing { .. } = self.phase {
            match self.incoming.decode(&mut input, self.role, &self.config) {
                Ok(Some(received)) => self.handle_received(now, received),
                Ok(None) => return,
                Err(violation) => self.fail(violation),
            }
        }
    }

    /// Lets the peer send larger messages than [`Config::message_bytes_max`] from now on: it has shown
    /// who it is, say. It costs nothing until such a message arrives. Less than is allowed already
    /// changes nothing.
    pub fn raise_message_bytes_max(&mut self, bytes: usize) {
        self.incoming.raise_message_bytes_max(bytes);
    }

    /// The transport has ended: nothing more will arrive.
    pub fn handle_end_of_input(&mut self) {
        if let Phase::Open | Phase::Closing { .. } = self.phase {
            let reason = "the transport ended without a close".to_owned();
            self.end(CloseCode::ABNORMAL, reason, Side::Peer, None);
        }
    }

    /// Does what is due at `now`: asks a silent peer for a sign of life, gives up one that is
    /// silent for too long, or that did not answer our Close. Harmless if called early.
    pub fn handle_timeout(&mut self, now: Duration) {
        match (&self.phase, &self.config.keep_alive) {
            (Phase::Open, Some(keep_alive))
                if now >= self.last_heard.saturating_add(keep_alive.dead_after) =>
            {
                self.give_up("no sign of life");
            }
            (Phase::Open, Some(keep_alive)) if now >= self.next_ping(keep_alive.ping_after) => {
                self.last_ping = now;
                self.outgoing.push(OpCode::Ping, Bytes::new());
            }
            (Phase::Closing { deadline }, _) if now >= *deadline => {
                self.give_up("our close was not answered");
            }
            _ => {}
        }
    }

    /// The moment at which [`handle_timeout`](Self::handle_timeout) has something to do, unless
    /// input comes before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.phase {
            Phase::Open => self.config.keep_alive.as_ref().map(|keep_alive| {
                let dead_at = self.last_heard.saturating_add(keep_alive.dead_after);
                dead_at.min(self.next_ping(keep_alive.ping_after))
            }),
            Phase::Closing { deadline } => Some(deadline),
            Phase::Ending { .. } | Phase::Closed => None,
        }
    }

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.events = VecDeque::new();
        }
        if let Some(Event::Closed { .. }) = event
            && let Phase::Ending { close: Some(close) } =
                std::mem::replace(&mut self.phase, Phase::Closed)
        {
            self.push_close(close);
        }
        event
    }

    /// The bytes to write next, if there are any.
    pub fn poll_transmit(&mut self, now: Duration) -> Option<Transmit<'_>> {
        if self.outgoing.unsent_bytes() == 0 {
            return None;
        }
        // While we refuse to read, the peer cannot show that it lives, except by reading on.
        let taken = if self.wants_input() { None } else { Some((now, &mut self.last_heard)) };
        Some(Transmit::new(&mut self.outgoing, taken))
    }

    /// Queues a message. One that comes behind our Close is dropped: the peer would not read it.
    pub fn send(&mut self, kind: MessageKind, payload: Bytes) {
        let opcode = match kind {
            MessageKind::Text => OpCode::Text,
            MessageKind::Binary => OpCode::Binary,
        };
        match self.phase {
            Phase::Open | Phase::Ending { close: Some(_) } => self.outgoing.push(opcode, payload),
            Phase::Closing { .. } | Phase::Ending { close: None } | Phase::Closed => {}
        }
    }

    /// Begins the closing handshake, behind what is queued. Messages that arrive from now on are
    /// dropped. [`Event::Closed`] follows when the peer has answered or its time is up. Does nothing
    /// if the connection is closing already.
    pub fn close(&mut self, now: Duration, code: CloseCode, reason: &str) {
        if let Phase::Open = self.phase {
            self.push_close(encode_close(code, reason));
            self.incoming.discard_messages();
            self.phase = Phase::Closing { deadline: now.saturating_add(self.config.close_timeout) };
        }
    }

    /// Whether nothing more is read: [`Event::Closed`] was the last event, or will be.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. } | Phase::Closed)
    }

    /// Whether the driver may read from the transport: not after the end, and not while the peer
    /// leaves too much of our output unread.
    pub fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Open => self.outgoing.unsent_bytes() <= self.config.unsent_bytes_max,
            Phase::Closing { .. } => true,
            Phase::Ending { .. } | Phase::Closed => false,
        }
    }

    /// Bytes that wait for the transport.
    pub fn unsent_bytes(&self) -> usize {
        self.outgoing.unsent_bytes()
    }

    /// Bytes on the heap for input and output: zero on an idle connection.
    pub fn buffer_capacity(&self) -> usize {
        self.incoming.buffer_capacity()
            + self.outgoing.buffer_capacity()
            + self.events.capacity() * size_of::<Event>()
    }

    fn next_ping(&self, ping_after: Duration) -> Duration {
        self.last_heard.max(self.last_ping).saturating_add(ping_after)
    }

    fn handle_received(&mut self, now: Duration, received: Received) {
        match received {
            Received::Message { kind, payload } => {
                self.events.push_back(Event::Message { kind, payload });
            }
            Received::Ping(payload) => {
                if self.admit_control_frame(now) {
                    if let Phase::Open = self.phase {
                        self.outgoing.push_pong(payload.clone());
                    }
                    self.events.push_back(Event::Ping(payload));
                }
            }
            Received::Pong(payload) => {
                if self.admit_control_frame(now) {
                    self.events.push_back(Event::Pong(payload));
                }
            }
            Received::Close { code, reason } => match self.phase {
                Phase::Open => {
                    let answer = encode_close(code, "");
                    self.end(code, reason, Side::Peer, Some(answer));
                }
                _ => self.end(code, reason, Side::Local, None),
            },
        }
    }

    /// Counts a ping or pong; `false` if it was one too many and the connection has failed.
    fn admit_control_frame(&mut self, now: Duration) -> bool {
        if now >= self.control_frames.since.saturating_add(Duration::from_secs(1)) {
            self.control_frames = ControlFrames { since: now, count: 0 };
        }
        self.control_frames.count += 1;
        let max = self.config.control_frames_per_sec_max;
        if self.control_frames.count > max {
            self.fail(Violation::TooManyControlFrames(max));
            return false;
        }
        true
    }

    /// RFC 6455 §7.1.7: says why, and reads nothing more.
    fn fail(&mut self, violation: Violation) {
        let (code, reason) = (violation.close_code(), violation.to_string());
        let close = match self.phase {
            Phase::Open => Some(encode_close(code, &reason)),
            _ => None,
        };
        self.end(code, reason, Side::Local, close);
    }

    /// Ends without a Close: nobody is there to read it.
    fn give_up(&mut self, reason: &str) {
        self.end(CloseCode::ABNORMAL, reason.to_owned(), Side::Local, None);
    }

    fn end(&mut self, code: CloseCode, reason: String, by: Side, close: Option<Bytes>) {
        self.phase = Phase::Ending { close };
        self.incoming = Incoming::default();
        self.events.push_back(Event::Closed { code, reason, by });
    }

    fn push_close(&mut self, payload: Bytes) {
        self.outgoing.forget_latest_ping();
        self.outgoing.push(OpCode::Close, payload);
    }
}
