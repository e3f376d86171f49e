//! The state machine: requests and the store's completions go in, effects come out.
//!
//! Every `handle_*` runs to its end at once; what needs the store leaves as an [`Effect`] with a
//! [`Ticket`] and goes on when that ticket comes back. Nothing is in memory that the store does not
//! hold, except what is never stored (typing, presence) and what may be lost (receipts of the last two
//! seconds). Collections are ordered trees: the same inputs give the same effects in the same order,
//! which the simulator relies on, and no peer can choose keys that collide.

mod account;
mod append;
mod asked;
mod change;
mod create;
mod device;
mod fetch;
mod handshake;
mod heads;
mod healing;
mod memory;
mod pace;
mod presence;
mod published;
mod receipt;
mod resume;
mod throttle;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tidings_model::{AccountId, ConversationId, DeviceId, Monotonic, Now, Refusal};

use crate::group::{Judge, Judged};
use crate::limits::{Limits, PENDING_BYTES_MAX};
use crate::request::{CloseReason, Event, PeerNetwork, Reply, Request, RequestId, SessionId};
use crate::store::{Answer, Operation, Outcome, Query, ReadFailure};

use memory::{Load, Memory};
use throttle::{SignInFailures, TokenBucket};
use upkeep::{FIRST_CONVERSATION, Timer};

/// Names an operation or a query on its way to the store and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What an operator chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Limits.
    pub limits: Limits,
    /// Whether sign-up needs an invite.
    pub invite_required: bool,
    /// Whether everybody may invite, or administrators only.
    pub everybody_invites: bool,
    /// How long entries are kept; `None`: for ever. Those that a member has not acknowledged are kept
    /// longer, others at least [`crate::limits::ACKNOWLEDGED_KEPT`] after they all have.
    pub retention: Option<Duration>,
}

/// What a driver carries out, in the order in which [`Core::poll_effect`] gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
// An allocation for each operation would cost more than the moves: the queue is emptied at each step.
#[allow(clippy::large_enum_variant)]
pub enum Effect {
    /// Hand an operation to the writer, in this order; its outcome goes to
    /// [`Core::handle_outcome`]. A batch that failed because the disk is full gives `STORAGE_FULL` for
    /// each of its operations.
    Apply(Ticket, Operation),
    /// Hand a query to a reader, in any order; its answer goes to [`Core::handle_answer`].
    Read(Ticket, Query),
    /// Let an observer judge, in this order for each conversation and account; what comes out goes to
    /// [`Core::handle_judged`].
    Judge(Ticket, Box<Judge>),
    /// Answer a request.
    Reply(SessionId, RequestId, Result<Reply, Refusal>),
    /// Tell a session.
    Event(SessionId, Event),
    /// Close a session; what was said to it before still goes out.
    Close(SessionId, CloseReason),
    /// Tell the operator.
    Report(Report),
}

/// What an operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A device's cursor does not fit the log: the data folder was copied back, or a disk lied about
    /// a sync. The log gets a new epoch.
    LogMismatch {
        /// The log.
        conversation: ConversationId,
        /// Whose cursor it was.
        account: AccountId,
    },
    /// The store could not answer.
    StoreUnreadable(String),
    /// An operation of the server's own was refused.
    UpkeepRefused(Refusal),
}

/// Numbers for an operator's dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Connections, live or not yet.
    pub sessions: usize,
    /// Sessions that have resumed.
    pub live_sessions: usize,
    /// Accounts in memory.
    pub accounts: usize,
    /// Conversations in memory.
    pub conversations: usize,
    /// Operations and queries that wait for the store.
    pub pending: usize,
    /// Their payloads, in bytes.
    pub pending_bytes: usize,
}

/// The core.
#[derive(Debug)]
pub struct Core {
    configuration: Configuration,
    sessions: BTreeMap<SessionId, Session>,
    memory: Memory,
    waiting: BTreeMap<Ticket, Waiting>,
    waiting_bytes: usize,
    loads: BTreeMap<Ticket, Load>,
    last_ticket: u64,
    timers: BTreeSet<(Monotonic, Timer)>,
    sign_in_failures: SignInFailures,
    relay_runs: bool,
    relay_again: bool,
    effects: VecDeque<Effect>,
}

/// A connection as the core sees it.
#[derive(Debug)]
struct Session {
    peer: PeerNetwork,
    bucket: TokenBucket,
    /// As its app has measured it.
    round_trip: Option<Duration>,
    /// The device whose resume is on its way; a revocation meanwhile clears it.
    resuming: Option<DeviceId>,
    live: Option<LiveSession>,
}

/// What a resume adds to a session.
#[derive(Debug)]
struct LiveSession {
    account: AccountId,
    device: DeviceId,
    hidden: bool,
    views: BTreeSet<ConversationId>,
}

/// A request that has an answer to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    session: SessionId,
    request: RequestId,
}

/// Who asks, in a live session. Only a finished resume makes one.
#[derive(Debug, Clone, Copy)]
struct Asker {
    origin: Origin,
    account: AccountId,
    device: DeviceId,
}

/// What waits for a ticket.
#[derive(Debug)]
struct Waiting {
    bytes: usize,
    then: Then,
}

/// How things go on when a ticket comes back.
#[derive(Debug)]
enum Then {
    Account(account::AccountStep),
    Resume(resume::ResumeStep),
    Create(create::CreateStep),
    Append(append::AppendStep),
    Change(change::ChangeStep),
    Handshake(handshake::HandshakeStep),
    Device(device::DeviceStep),
    Fetch(fetch::FetchStep),
    Upkeep(upkeep::UpkeepStep),
}

impl Core {
    /// Makes a core that knows nothing yet; [`Core::handle_start`] comes next.
    pub fn new(configuration: Configuration) -> Self {
        Self {
            configuration,
            sessions: BTreeMap::new(),
            memory: Memory::default(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            loads: BTreeMap::new(),
            last_ticket: 0,
            timers: BTreeSet::new(),
            sign_in_failures: SignInFailures::default(),
            relay_runs: false,
            relay_again: false,
            effects: VecDeque::new(),
        }
    }

    /// Takes up what an earlier run left: effects that were not relayed, payloads that have expired,
    /// entries past their retention.
    pub fn handle_start(&mut self, now: Now) {
        self.relay();
        self.sweep_expired(now);
        self.sweep_retained(now, FIRST_CONVERSATION);
    }

    /// A door has a new connection.
    pub fn handle_connect(&mut self, now: Now, session: SessionId, peer: PeerNetwork) {
        let limits = &self.configuration.limits;
        let bucket =
            TokenBucket::full(limits.messages_per_second, limits.messages_burst, now.monotonic);
        let state = Session { peer, bucket, round_trip: None, resuming: None, live: None };
        self.sessions.insert(session, state);
    }

    /// A door's connection is gone. Requests of it that are on their way still take effect.
    pub fn handle_disconnect(&mut self, now: Now, session: SessionId) {
        self.end_session(now, session);
        self.sessions.remove(&session);
    }

    /// A door asks. `entropy` is 32 fresh random bytes.
    pub fn handle_request(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        session: SessionId,
        request: RequestId,
        body: Request,
    ) {
        let origin = Origin { session, request };
        if self.waiting_bytes > PENDING_BYTES_MAX {
            let retry_after = Duration::from_secs(1);
            return self.reply(origin, Err(Refusal::Overloaded { retry_after }));
        }
        match body {
            Request::SignUp { account, device, invite } => {
                self.sign_up(now, origin, account, device, invite);
            }
            Request::FindVerifier { user_name, mechanism } => {
                self.find_verifier(now, origin, user_name, mechanism);
            }
            Request::SignInFailed { user_name } => self.sign_in_failed(now, origin, user_name),
            Request::SignIn { account, device } => self.sign_in(now, origin, account, device),
            Request::Resume(resume) => self.resume(now, entropy, origin, resume),
            body => match self.asker(origin) {
                Some(asker) => self.handle_live_request(now, entropy, asker, body),
                None => self.reply(origin, Err(Refusal::Unauthenticated)),
            },
        }
    }

    fn handle_live_request(&mut self, now: Now, entropy: [u8; 32], asker: Asker, body: Request) {
        match body {
            Request::Create { conversation, kind, name, members, message_id, group } => {
                let act = create::NewConversation {
                    conversation,
                    kind,
                    name,
                    members,
                    message_id,
                    group,
                };
                self.create(now, entropy, asker, act);
            }
            Request::Send {
                conversation,
                message_id,
                payload,
                expires_after_ms,
                sealed_in,
                client_time,
            } => {
                let message = append::Message {
                    conversation,
                    message_id,
                    payload,
                    expires_after_ms,
                    sealed_in,
                    client_time,
                };
                self.send(now, asker, message);
            }
            Request::Change { conversation, message_id, act } => {
                self.change(now, asker, conversation, message_id, act);
            }
            Request::Erase { conversation, seq } => self.erase(asker, conversation, seq),
            Request::Describe { conversation } => self.describe(asker, conversation),
            Request::States { conversations } => self.states(asker, &conversations),
            Request::SetPresence { hidden } => self.set_presence(now, asker, hidden),
            Request::LookUpName(name) => self.look_up_name(now, asker, name),
            Request::LookUpAccount(account) => self.look_up_account(now, asker, account),
            Request::SetDisplayName(name) => self.set_display_name(asker, name),
            Request::CreateInvite(invite) => self.create_invite(now, asker, invite),
            Request::ListDevices => self.list_devices(asker),
            Request::RevokeDevice(device) => self.revoke_device(asker, device),
            Request::Tail { round_trip } => self.tail(asker, round_trip),
            Request::Commit(ref commit) => {
                let conversation = commit.conversation;
                self.with_part(now, entropy, asker, conversation, body);
            }
            Request::OfferAgain(ref offer) => {
                let conversation = offer.conversation;
                self.with_part(now, entropy, asker, conversation, body);
            }
            Request::Fetch { conversation, .. }
            | Request::Acknowledge { conversation, .. }
            | Request::Typing { conversation, .. }
            | Request::View { conversation, .. }
            | Request::Leave { conversation, .. }
            | Request::Restart { conversation, .. }
            | Request::FetchGroup { conversation } => {
                self.with_part(now, entropy, asker, conversation, body);
            }
            Request::PublishDeviceList { .. }
            | Request::OfferDeviceList { .. }
            | Request::FetchDeviceLists(_)
            | Request::PublishKeyPackages { .. }
            | Request::ClaimKeyPackages { .. }
            | Request::FetchInbox { .. }
            | Request::AcknowledgeInbox { .. }
            | Request::SendToDevice { .. }
            | Request::PutAccountValue { .. }
            | Request::PutBackupChunk { .. }
            | Request::FetchBackupChunk { .. }
            | Request::DropBackup
            | Request::FetchAccountValues { .. } => self.handle_device_request(now, asker, body),
            Request::SignUp { .. }
            | Request::FindVerifier { .. }
            | Request::SignInFailed { .. }
            | Request::SignIn { .. }
            | Request::Resume(_) => {
                self.reply(asker.origin, Err(Refusal::NothingToChange));
            }
        }
    }

    /// Goes on with a request once its conversation is in memory as a part of the asker's.
    fn with_part(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        asker: Asker,
        conversation: ConversationId,
        body: Request,
    ) {
        if self.memory.has_part(asker.account, conversation) {
            self.handle_part_request(now, entropy, asker, body);
        } else {
            self.adopt(asker.account, conversation, Some((asker.origin, entropy, body)));
        }
    }

    fn tail(&mut self, asker: Asker, round_trip: Option<Duration>) {
        if let (Some(session), Some(_)) = (self.sessions.get_mut(&asker.origin.session), round_trip)
        {
            session.round_trip = round_trip;
        }
        let sum = self.memory.sum_of_heads(asker.account);
        self.reply(asker.origin, Ok(Reply::Tail(sum)));
    }

    /// Requests about a conversation that is in memory as a part of the asker's.
    fn handle_part_request(&mut self, now: Now, entropy: [u8; 32], asker: Asker, body: Request) {
        match body {
            Request::Fetch { conversation, epoch, after, checksum, entries_max } => {
                let fetch = fetch::Fetch { conversation, epoch, after, checksum, entries_max };
                self.fetch(now, entropy, asker, fetch);
            }
            Request::Acknowledge { conversation, epoch, marks } => {
                self.acknowledge(now, asker, conversation, epoch, marks);
            }
            Request::Typing { conversation, typing } => {
                self.typing(now, asker, conversation, typing);
            }
            Request::View { conversation, open } => self.view(asker, conversation, open),
            Request::Commit(commit) => self.commit(now, asker, *commit),
            Request::OfferAgain(offer) => self.offer_again(now, asker, *offer),
            Request::Leave { conversation, message_id, payload } => {
                self.leave(now, asker, conversation, message_id, payload);
            }
            Request::Restart { conversation, message_id, group } => {
                self.restart(now, asker, conversation, message_id, group);
            }
            Request::FetchGroup { conversation } => self.fetch_group(asker, conversation),
            _ => self.reply(asker.origin, Err(Refusal::NotFound)),
        }
    }

    /// The writer has applied or rejected an operation.
    pub fn handle_outcome(&mut self, now: Now, ticket: Ticket, outcome: Outcome) {
        let Some(then) = self.take_waiting(ticket) else { return };
        match then {
            Then::Account(step) => self.account_applied(now, step, outcome),
            Then::Resume(step) => self.resume_applied(now, step, outcome),
            Then::Create(step) => self.create_applied(step, outcome),
            Then::Append(step) => self.append_applied(now, step, outcome),
            Then::Change(step) => self.change_applied(now, step, outcome),
            Then::Handshake(step) => self.handshake_applied(now, step, outcome),
            Then::Device(step) => self.device_applied(now, step, outcome),
            Then::Fetch(step) => self.fetch_applied(step, outcome),
            Then::Upkeep(step) => self.upkeep_applied(now, step, outcome),
        }
    }

    /// A reader has answered a query.
    pub fn handle_answer(&mut self, now: Now, ticket: Ticket, answer: Result<Answer, ReadFailure>) {
        let load = self.loads.remove(&ticket);
        let Some(then) = self.take_waiting(ticket) else { return };
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.answer_failed(now, then, failure),
        };
        match then {
            Then::Account(step) => self.account_answered(now, step, answer),
            Then::Resume(step) => self.resume_answered(now, step, load, answer),
            Then::Create(step) => self.create_answered(step, answer),
            // Nothing is read on the way of a message.
            Then::Append(step) => self.reply(step.origin(), Err(Refusal::Unavailable)),
            Then::Change(step) => self.change_answered(now, step, answer),
            Then::Handshake(step) => self.handshake_answered(step, answer),
            Then::Device(step) => self.device_answered(now, step, answer),
            Then::Fetch(step) => self.fetch_answered(now, step, answer),
            Then::Upkeep(step) => self.upkeep_answered(step, answer),
        }
    }

    /// An observer has judged.
    pub fn handle_judged(&mut self, now: Now, ticket: Ticket, judged: Result<Judged, Refusal>) {
        match self.take_waiting(ticket) {
            Some(Then::Create(step)) => self.create_judged(step, judged),
            Some(Then::Handshake(step)) => self.handshake_judged(now, step, judged),
            Some(Then::Device(device::DeviceStep::Published(step))) => match judged {
                Ok(judged) => self.published_judged(now, step, judged),
                Err(refusal) => self.reply(step.origin(), Err(refusal)),
            },
            // Nothing else is judged.
            Some(_) | None => {}
        }
    }

    /// The time that [`Core::poll_timeout`] gave has come.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(at, timer)) = self.timers.first() {
            if at > now.monotonic {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Receipt(conversation, account) => {
                    self.publish_receipt(now, conversation, account);
                }
                Timer::Expiry => self.sweep_expired(now),
                Timer::Retention(from) => self.sweep_retained(now, from),
                Timer::Relay => self.relay(),
            }
        }
    }

    /// The server stops soon: every live session is told, and goes on being served.
    pub fn handle_drain(&mut self, _now: Now, spread: Duration) {
        for (session, state) in &self.sessions {
            if state.live.is_some() {
                self.effects.push_back(Effect::Event(*session, Event::GoingAway { spread }));
            }
        }
    }

    /// What to carry out next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Core::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Numbers for an operator's dashboard.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            sessions: self.sessions.len(),
            live_sessions: self.memory.live_sessions(),
            accounts: self.memory.accounts.len(),
            conversations: self.memory.conversations.len(),
            pending: self.waiting.len(),
            pending_bytes: self.waiting_bytes,
        }
    }

    fn asker(&self, origin: Origin) -> Option<Asker> {
        let live = self.sessions.get(&origin.session)?.live.as_ref()?;
        Some(Asker { origin, account: live.account, device: live.device })
    }

    fn reply(&mut self, origin: Origin, result: Result<Reply, Refusal>) {
        self.effects.push_back(Effect::Reply(origin.session, origin.request, result));
    }

    fn apply(&mut self, operation: Operation, bytes: usize, then: Then) {
        let ticket = self.wait(bytes, then);
        self.effects.push_back(Effect::Apply(ticket, operation));
    }

    fn read(&mut self, query: Query, then: Then) -> Ticket {
        let ticket = self.wait(0, then);
        self.effects.push_back(Effect::Read(ticket, query));
        ticket
    }

    fn judge(&mut self, judge: Judge, bytes: usize, then: Then) {
        let ticket = self.wait(bytes, then);
        self.effects.push_back(Effect::Judge(ticket, Box::new(judge)));
    }

    fn wait(&mut self, payload_bytes: usize, then: Then) -> Ticket {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        let bytes = payload_bytes + std::mem::size_of::<Waiting>();
        self.waiting_bytes += bytes;
        self.waiting.insert(ticket, Waiting { bytes, then });
        ticket
    }

    fn take_waiting(&mut self, ticket: Ticket) -> Option<Then> {
        let waiting = self.waiting.remove(&ticket)?;
        self.waiting_bytes -= waiting.bytes;
        Some(waiting.then)
    }

    /// Gives whoever asked the refusal of a query that failed.
    fn answer_failed(&mut self, now: Now, then: Then, failure: ReadFailure) {
        let refusal = match failure {
            ReadFailure::Refused(refusal) => refusal,
            ReadFailure::Unreadable(why) => {
                self.effects.push_back(Effect::Report(Report::StoreUnreadable(why)));
                Refusal::Unavailable
            }
        };
        let origin = match &then {
            Then::Account(step) => step.origin(),
            Then::Resume(step) => step.origin(),
            Then::Create(step) => Some(step.origin()),
            Then::Append(step) => Some(step.origin()),
            Then::Change(step) => Some(step.origin()),
            Then::Handshake(step) => Some(step.origin()),
            Then::Device(step) => Some(step.origin()),
            Then::Fetch(step) => step.origin(),
            Then::Upkeep(_) => {
                self.retry_relay(now);
                None
            }
        };
        if let Some(origin) = origin {
            self.reply(origin, Err(refusal));
        }
    }
}
