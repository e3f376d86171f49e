//! One connection of the app door as a state machine: frames and the core's answers go in, frames and
//! requests come out. `docs/app-protocol.md` says what a peer may send when.
//!
//! A session is *connected* until the peer's Hello, then *greeted*, then *live* once the core has
//! granted a resume. What is made of the single frames stands in `login` and `requests`, what is made
//! of answers in `replies`; here are the order of things, what waits, and the bounds on it.
//!
//! A slow reader costs a bounded buffer: above [`QUEUED_BYTES_HIGH`] the live feed is dropped, and
//! once the output has drained the session asks the core how the conversations stand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tidings_messaging::request::{CloseReason, RequestId};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{ConversationId, Monotonic, Now, Refusal};
use tidings_protocol_app::limits::{
    FRAME_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX, REQUESTS_IN_FLIGHT_MAX,
};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{DecodeError, close_code, decode_client_frame};
use tidings_protocol_identity::scram::Nonce;
use tidings_protocol_websocket::CloseCode;

use crate::limits::{
    ANSWER_BYTES_MAX, LARGE_ANSWER_BYTES, LOGIN_TIMEOUT, QUEUED_BYTES_HIGH, QUEUED_BYTES_LOW,
    REQUEST_BYTES_MAX, REQUEST_BYTES_RETRY, SMALL_ANSWER_BYTES, STATES_RETRY,
};
use crate::login::{self, Authenticated, Awaited, Login};
use crate::missed::Missed;
use crate::refusals::{self, Verdict};
use crate::{replies, requests};

/// What all sessions of a server share.
#[derive(Debug, Clone)]
pub struct Service {
    /// Name and version of the server.
    pub agent: String,
    /// Whether sign-up needs an invite.
    pub invite_required: bool,
    /// What stands before the token in an invite link.
    pub invite_prefix: String,
    /// What stands after it.
    pub invite_suffix: String,
    /// Messages that one session may send, a second on average.
    pub messages_per_second: u32,
    /// How many of them may come at once.
    pub messages_burst: u32,
    /// Makes the decoys that unknown user names are answered with; drawn once per server.
    pub server_secret: [u8; 32],
}

/// How the session ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// The WebSocket close code.
    pub code: CloseCode,
    /// A word for whoever debugs the peer.
    pub reason: &'static str,
}

impl Close {
    const MALFORMED: Self = Self { code: CloseCode::INVALID_PAYLOAD, reason: "MalformedFrame" };
    const TOO_LARGE: Self = Self { code: CloseCode::MESSAGE_TOO_BIG, reason: "FrameTooLarge" };
    const REQUEST_NUMBER: Self =
        Self { code: CloseCode::POLICY_VIOLATION, reason: "RequestNumberZero" };
    const LOGIN_DEADLINE: Self =
        Self { code: CloseCode::POLICY_VIOLATION, reason: "LoginDeadline" };
    pub(crate) const LOGIN_REQUESTS: Self =
        Self { code: CloseCode::POLICY_VIOLATION, reason: "TooManyLoginRequests" };
    pub(crate) const UNAUTHENTICATED: Self =
        Self { code: CloseCode::POLICY_VIOLATION, reason: "Unauthenticated" };
    pub(crate) const VERSION: Self =
        Self { code: CloseCode(close_code::VERSION_UNSUPPORTED), reason: "VersionUnsupported" };
    pub(crate) const REVOKED: Self =
        Self { code: CloseCode(close_code::TOKEN_REVOKED), reason: "TokenRevoked" };
    const REPLACED: Self = Self { code: CloseCode(close_code::REPLACED), reason: "Replaced" };
    const GOING_AWAY: Self = Self { code: CloseCode::GOING_AWAY, reason: "GoingAway" };
    const INTERNAL: Self = Self { code: CloseCode::INTERNAL_ERROR, reason: "Internal" };
}

/// What a frame leads to, if it is not refused.
pub(crate) enum Step {
    /// The core is asked.
    Ask(Request, Awaited),
    /// The session answers by itself.
    Answer(Answer),
    /// The peer broke the rules.
    Close(Close),
}

enum Phase {
    /// Nothing was said yet.
    Connected,
    /// Hello was answered.
    Greeted(Box<Login>),
    /// The core has granted a resume.
    Live(Authenticated),
}

/// A request on its way to the core and back.
struct Pending {
    /// The peer's number for it; 0 for one of the session's own.
    number: u64,
    what: Waiting,
    /// Bytes of its frame, which it shares the memory of.
    request_bytes: usize,
    /// Bytes reserved for its answer, once it was handed out.
    answer_bytes: usize,
}

enum Waiting {
    /// The peer waits for the answer.
    Peer(Awaited),
    /// The session itself asked how these conversations stand.
    States(Vec<ConversationId>),
}

/// The state machine of one connection.
pub struct Session {
    service: Arc<Service>,
    phase: Phase,
    login_deadline: Monotonic,
    entropy: [u8; 32],
    nonces: u64,
    next_request: u64,
    in_flight: BTreeMap<RequestId, Pending>,
    /// Requests that were not handed out yet, in the peer's order.
    held: VecDeque<(RequestId, Request)>,
    /// Sum of the frames of requests without an answer.
    request_bytes: usize,
    /// Sum of what is reserved for the answers of requests that were handed out.
    reserved_bytes: usize,
    transmits: VecDeque<Bytes>,
    waiting_bytes: usize,
    unsent_bytes: usize,
    is_lagging: bool,
    missed: Missed,
    states_not_before: Option<Monotonic>,
    close: Option<Close>,
}

impl Session {
    /// Begins with the opened connection. `entropy` is fresh for each session: its nonces come from it.
    pub fn new(now: Now, entropy: [u8; 32], service: Arc<Service>) -> Self {
        Self {
            service,
            phase: Phase::Connected,
            login_deadline: now.monotonic.plus(LOGIN_TIMEOUT),
            entropy,
            nonces: 0,
            next_request: 1,
            in_flight: BTreeMap::new(),
            held: VecDeque::new(),
            request_bytes: 0,
            reserved_bytes: 0,
            transmits: VecDeque::new(),
            waiting_bytes: 0,
            unsent_bytes: 0,
            is_lagging: false,
            missed: Missed::default(),
            states_not_before: None,
            close: None,
        }
    }

    /// Takes a binary message of the peer's.
    pub fn handle_frame(&mut self, now: Now, frame: Bytes) {
        if self.close.is_some() {
            return;
        }
        let frame_bytes = frame.len();
        if frame_bytes > self.frame_bytes_max() {
            return self.end(Close::TOO_LARGE);
        }
        let frame = match decode_client_frame(frame) {
            Ok(frame) => frame,
            Err(DecodeError::TooLarge { .. }) => return self.end(Close::TOO_LARGE),
            Err(DecodeError::Malformed(error)) => {
                tracing::debug!(%error, "frame cannot be read");
                return self.end(Close::MALFORMED);
            }
        };
        let number = frame.request;
        if number == 0 {
            return self.end(Close::REQUEST_NUMBER);
        }
        let step = match self.admit(number, frame_bytes) {
            Ok(()) => self.step(now, frame.body),
            Err(refusal) => Err(refusal),
        };
        match step {
            Ok(Step::Ask(request, awaited)) => {
                self.ask(number, frame_bytes, request, Waiting::Peer(awaited));
            }
            Ok(Step::Answer(answer)) => self.answer(number, answer),
            Ok(Step::Close(close)) => self.end(close),
            Err(refusal) => self.refuse(number, &refusal),
        }
    }

    /// Takes the core's answer to a request.
    pub fn handle_reply(&mut self, now: Now, request: RequestId, reply: Result<Reply, Refusal>) {
        let Some(pending) = self.in_flight.remove(&request) else { return };
        self.reserved_bytes = self.reserved_bytes.saturating_sub(pending.answer_bytes);
        self.request_bytes = self.request_bytes.saturating_sub(pending.request_bytes);
        if self.close.is_some() {
            return;
        }
        match pending.what {
            Waiting::Peer(awaited) => self.answer_peer(now, pending.number, awaited, reply),
            Waiting::States(asked) => self.tell_states(now, asked, reply),
        }
        self.catch_up(now);
    }

    /// Takes what the core tells unasked.
    pub fn handle_event(&mut self, event: Event) {
        if self.close.is_some() || !matches!(self.phase, Phase::Live(_)) {
            return;
        }
        if self.queued_bytes() > QUEUED_BYTES_HIGH {
            self.is_lagging = true;
        }
        if self.is_lagging && self.missed.takes(&event) {
            return;
        }
        for frame in replies::event_frames(event) {
            self.transmit(frame);
        }
    }

    /// Ends the session because the core says so.
    pub fn handle_close(&mut self, reason: CloseReason) {
        self.end(match reason {
            CloseReason::Revoked => Close::REVOKED,
            CloseReason::Replaced => Close::REPLACED,
        });
    }

    /// Ends the session because the server stops.
    pub fn handle_stop(&mut self) {
        self.end(Close::GOING_AWAY);
    }

    /// Learns how much of what [`poll_transmit`](Self::poll_transmit) gave the transport has not
    /// taken yet.
    pub fn handle_queued(&mut self, now: Now, unsent_bytes: usize) {
        self.unsent_bytes = unsent_bytes;
        self.catch_up(now);
    }

    /// Acts on the time. To be called at [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Now) {
        if self.close.is_none()
            && let Phase::Connected | Phase::Greeted(_) = &self.phase
            && now.monotonic >= self.login_deadline
        {
            if self.is_resuming() {
                // It is the server that is slow.
                self.login_deadline = now.monotonic.plus(LOGIN_TIMEOUT);
            } else {
                self.end(Close::LOGIN_DEADLINE);
            }
        }
        if self.states_not_before.is_some_and(|at| at <= now.monotonic) {
            self.states_not_before = None;
        }
        self.catch_up(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        match (&self.close, &self.phase) {
            (Some(_), _) => None,
            (None, Phase::Live(_)) => self.states_not_before,
            (None, Phase::Connected | Phase::Greeted(_)) => Some(self.login_deadline),
        }
    }

    /// How many bytes the peer's next frame may have: more once the session is live, since a handshake of
    /// a large group is one frame.
    pub fn frame_bytes_max(&self) -> usize {
        match self.phase {
            Phase::Connected | Phase::Greeted(_) => FRAME_BYTES_MAX,
            Phase::Live(_) => HANDSHAKE_FRAME_BYTES_MAX,
        }
    }

    /// Gives the next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        let Some(frame) = self.transmits.pop_front() else {
            // An idle session keeps no buffers.
            self.transmits = VecDeque::new();
            return None;
        };
        self.waiting_bytes -= frame.len();
        self.unsent_bytes += frame.len();
        Some(frame)
    }

    /// Gives the next request for the core. Those for whose answer there is no room wait.
    pub fn poll_request(&mut self) -> Option<(RequestId, Request)> {
        let Some((id, request)) = self.held.front() else {
            self.held = VecDeque::new();
            return None;
        };
        let answer_bytes = answer_bytes(request);
        if self.queued_bytes() + self.reserved_bytes + answer_bytes > ANSWER_BYTES_MAX {
            return None;
        }
        if let Some(pending) = self.in_flight.get_mut(id) {
            pending.answer_bytes = answer_bytes;
            self.reserved_bytes += answer_bytes;
        }
        self.held.pop_front()
    }

    /// Tells whether the session would go on with something if the output drained below
    /// [`QUEUED_BYTES_LOW`].
    pub fn waits_for_room(&self) -> bool {
        self.unsent_bytes > QUEUED_BYTES_LOW
            && (self.is_lagging || !self.missed.is_empty() || !self.held.is_empty())
    }

    /// Tells that the session is over, once every frame before it was given out.
    pub fn poll_close(&self) -> Option<Close> {
        self.close.filter(|_| self.transmits.is_empty())
    }

    /// Output that the peer has not taken.
    fn queued_bytes(&self) -> usize {
        self.waiting_bytes + self.unsent_bytes
    }

    fn is_resuming(&self) -> bool {
        self.in_flight
            .values()
            .any(|pending| matches!(pending.what, Waiting::Peer(Awaited::Resumed(_))))
    }

    fn admit(&self, number: u64, frame_bytes: usize) -> Result<(), Refusal> {
        if self.in_flight.values().any(|pending| pending.number == number) {
            return Err(Refusal::DuplicateRequest);
        }
        if self.in_flight.len() >= REQUESTS_IN_FLIGHT_MAX {
            return Err(Refusal::TooManyInFlight { max: REQUESTS_IN_FLIGHT_MAX as u64 });
        }
        if self.request_bytes + frame_bytes > REQUEST_BYTES_MAX {
            return Err(Refusal::Overloaded { retry_after: REQUEST_BYTES_RETRY });
        }
        Ok(())
    }

    fn step(&mut self, now: Now, body: Option<Body>) -> Result<Step, Refusal> {
        match &mut self.phase {
            Phase::Connected => {
                let Some(Body::Hello(hello)) = body else {
                    return Ok(Step::Close(Close::UNAUTHENTICATED));
                };
                let answer = login::greet(now, &self.service, &hello)?;
                self.phase = Phase::Greeted(Box::default());
                Ok(Step::Answer(answer))
            }
            Phase::Greeted(login) => {
                let nonce = || next_nonce(&self.entropy, &mut self.nonces);
                login.handle(now, &self.service, nonce, body)
            }
            Phase::Live(authenticated) => {
                Ok(Step::Ask(requests::live_request(authenticated, body)?, Awaited::Answer))
            }
        }
    }

    fn ask(&mut self, number: u64, request_bytes: usize, request: Request, what: Waiting) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.request_bytes += request_bytes;
        self.in_flight.insert(id, Pending { number, what, request_bytes, answer_bytes: 0 });
        self.held.push_back((id, request));
    }

    fn answer_peer(
        &mut self,
        now: Now,
        number: u64,
        awaited: Awaited,
        reply: Result<Reply, Refusal>,
    ) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(refusal) => {
                if let (Awaited::Resumed(_), Phase::Greeted(login)) = (awaited, &mut self.phase) {
                    login.resume_refused();
                }
                return self.refuse(number, &refusal);
            }
        };
        match (awaited, reply, &mut self.phase) {
            (Awaited::Challenge(start), Reply::Verifier(found), Phase::Greeted(login)) => {
                let nonce = next_nonce(&self.entropy, &mut self.nonces);
                let challenge = login.challenge(&self.service, *start, found, &nonce);
                self.answer(number, challenge);
            }
            (Awaited::Resumed(resuming), Reply::Resumed(resumed), Phase::Greeted(_)) => {
                self.phase = Phase::Live(resuming.granted(&resumed));
                for frame in replies::resumed_frames(now, number, *resumed) {
                    self.transmit(frame);
                }
            }
            (Awaited::SignedIn { server_final }, Reply::SignedIn { profile, administrator }, _) => {
                self.answer(number, replies::signed_in(server_final, profile, administrator));
            }
            (Awaited::Answer, reply, phase) => {
                let device = match phase {
                    Phase::Live(authenticated) => Some(authenticated.device()),
                    Phase::Connected | Phase::Greeted(_) => None,
                };
                match replies::answer(now, &self.service, device, reply) {
                    Some(answer) => self.answer(number, answer),
                    None => self.end(Close::INTERNAL),
                }
            }
            (Awaited::Challenge(_) | Awaited::Resumed(_) | Awaited::SignedIn { .. }, reply, _) => {
                tracing::error!(?reply, "the core's answer does not fit the request");
                self.end(Close::INTERNAL);
            }
        }
    }

    fn tell_states(&mut self, now: Now, asked: Vec<ConversationId>, reply: Result<Reply, Refusal>) {
        if let Ok(Reply::States(states)) = reply {
            for frame in replies::event_frames(Event::ConversationsChanged(states)) {
                self.transmit(frame);
            }
        } else {
            self.missed.put_back(asked);
            self.states_not_before = Some(now.monotonic.plus(STATES_RETRY));
        }
    }

    /// Makes up for what the reader missed, once it has read what was sent before.
    fn catch_up(&mut self, now: Now) {
        if self.close.is_some() || self.queued_bytes() > QUEUED_BYTES_LOW {
            return;
        }
        self.is_lagging = false;
        for event in self.missed.take_news() {
            for frame in replies::event_frames(event) {
                self.transmit(frame);
            }
        }
        let asks_already =
            self.in_flight.values().any(|pending| matches!(pending.what, Waiting::States(_)));
        if asks_already || self.states_not_before.is_some_and(|at| at > now.monotonic) {
            return;
        }
        let conversations = self.missed.take_conversations();
        if !conversations.is_empty() {
            let request = Request::States { conversations: conversations.clone() };
            self.ask(0, 0, request, Waiting::States(conversations));
        }
    }

    fn refuse(&mut self, number: u64, refusal: &Refusal) {
        tracing::debug!(number, refusal = refusal.name(), "request refused");
        match refusals::verdict(refusal) {
            Verdict::Refuse(refused) => self.answer(number, Answer::Refused(refused)),
            Verdict::RefuseAndClose(refused, close) => {
                self.answer(number, Answer::Refused(refused));
                self.end(close);
            }
            Verdict::Close(close) => self.end(close),
        }
    }

    fn answer(&mut self, number: u64, answer: Answer) {
        self.transmit(replies::frame(number, answer));
    }

    fn transmit(&mut self, frame: Bytes) {
        self.waiting_bytes += frame.len();
        self.transmits.push_back(frame);
    }

    fn end(&mut self, close: Close) {
        if self.close.is_none() {
            tracing::debug!(code = %close.code, reason = close.reason, "session ends");
            self.close = Some(close);
            self.held.clear();
        }
    }
}

/// The next nonce of a session: 144 bits out of its entropy and a counter, by SHA-256.
fn next_nonce(entropy: &[u8; 32], nonces: &mut u64) -> Nonce {
    *nonces += 1;
    let digest = Sha256::new().chain_update(entropy).chain_update(nonces.to_be_bytes()).finalize();
    let mut drawn = [0; tidings_protocol_identity::limits::NONCE_BYTES];
    drawn.copy_from_slice(&digest[..tidings_protocol_identity::limits::NONCE_BYTES]);
    Nonce::from_entropy(drawn)
}

/// What to reserve for the answer to a request.
fn answer_bytes(request: &Request) -> usize {
    match request {
        Request::Fetch { .. }
        | Request::Describe { .. }
        | Request::States { .. }
        | Request::Resume(_)
        | Request::FetchGroup { .. }
        | Request::FetchDeviceLists(_)
        | Request::ClaimKeyPackages { .. }
        | Request::FetchInbox { .. }
        | Request::FetchAccountValues { .. }
        | Request::FetchBackupChunk { .. } => LARGE_ANSWER_BYTES,
        _ => SMALL_ANSWER_BYTES,
    }
}

#[cfg(test)]
mod tests;
