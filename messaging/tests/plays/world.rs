//! A core, a store, and people with sessions; time passes only when a play says so.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tidings_messaging::conformance::ModelStore;
use tidings_messaging::group::{Judge, Judged, Observer as _};
use tidings_messaging::limits::Limits;
use tidings_messaging::request::{
    Change, CloseReason, LogItem, PeerNetwork, RequestId, Resume, Resumed, SessionId,
};
use tidings_messaging::store::{
    Answer, Appended, NewAccount, NewDevice, Operation, ReadFailure, Reader, TokenHash, Verifier,
    Writer,
};
use tidings_messaging::{Configuration, Core, Effect, Event, Reply, Report, Request, Ticket};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, Cursor, DeviceId, LogEpoch, MessageId, Monotonic,
    Now, Refusal, Seq, Timestamp,
};

use crate::observer::PlainObserver;

/// A person with one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person(pub(crate) u8);

pub(crate) const ANNA: Person = Person(1);
pub(crate) const KOFI: Person = Person(2);
pub(crate) const NOOR: Person = Person(3);

/// The group that plays are set in.
pub(crate) const CHOIR: ConversationId = ConversationId::from_bytes([0xc0; 16]);

impl Person {
    pub(crate) fn account(self) -> AccountId {
        AccountId::from_bytes([self.0; 16])
    }

    pub(crate) fn device(self) -> DeviceId {
        DeviceId::of_account(self.account(), [self.0 ^ 0x55; 16])
    }

    pub(crate) fn name(self) -> String {
        format!("person{}", self.0)
    }

    pub(crate) fn token(self) -> TokenHash {
        TokenHash([self.0; 32])
    }
}

pub(crate) struct World {
    pub(crate) core: Core,
    configuration: Configuration,
    pub(crate) store: ModelStore,
    now: Now,
    /// Operations that the writer has not taken yet.
    pub(crate) writes: VecDeque<(Ticket, Operation)>,
    /// What the observer has not judged yet.
    pub(crate) judges: VecDeque<(Ticket, Box<Judge>)>,
    /// What was judged but not handed over yet.
    pub(crate) judged: VecDeque<(Ticket, Result<Judged, Refusal>)>,
    /// Answers that were read but not handed over yet.
    pub(crate) answers: VecDeque<(Ticket, Result<Answer, ReadFailure>)>,
    pub(crate) reads: usize,
    replies: BTreeMap<(SessionId, RequestId), Result<Reply, Refusal>>,
    pub(crate) events: BTreeMap<SessionId, Vec<Event>>,
    pub(crate) closed: Vec<(SessionId, CloseReason)>,
    pub(crate) reports: Vec<Report>,
    sessions: u64,
    requests: u64,
    counters: BTreeMap<Person, u64>,
    messages: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self::with_configuration(Configuration {
            limits,
            invite_required: false,
            everybody_invites: true,
            retention: None,
        })
    }

    pub(crate) fn with_configuration(configuration: Configuration) -> Self {
        let mut world = Self {
            core: Core::new(configuration.clone()),
            configuration,
            store: ModelStore::default(),
            now: Now {
                monotonic: Monotonic::default(),
                wall: Timestamp::from_millis(1_700_000_000_000),
            },
            writes: VecDeque::new(),
            judges: VecDeque::new(),
            judged: VecDeque::new(),
            answers: VecDeque::new(),
            reads: 0,
            replies: BTreeMap::new(),
            events: BTreeMap::new(),
            closed: Vec::new(),
            reports: Vec::new(),
            sessions: 0,
            requests: 0,
            counters: BTreeMap::new(),
            messages: 0,
        };
        world.core.handle_start(world.now);
        world.settle();
        world
    }

    /// People who have signed up and resumed.
    pub(crate) fn with(people: &[Person]) -> (Self, Vec<SessionId>) {
        let mut world = Self::new();
        let sessions = people
            .iter()
            .map(|person| {
                world.sign_up(*person).expect("signs up");
                world.come(*person)
            })
            .collect();
        (world, sessions)
    }

    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// Lets time pass, and what is due happen.
    pub(crate) fn pass(&mut self, span: Duration) {
        self.advance(span);
        self.settle();
    }

    /// Lets time pass, and nothing of what waits happen.
    pub(crate) fn advance(&mut self, span: Duration) {
        self.now.monotonic = self.now.monotonic.plus(span);
        self.now.wall = self.now.wall.plus(span);
        self.core.handle_timeout(self.now);
        self.take_effects();
    }

    /// A new server on the same store: everything in memory is gone.
    pub(crate) fn restart(&mut self) {
        self.writes.clear();
        self.judges.clear();
        self.judged.clear();
        self.answers.clear();
        self.core = Core::new(self.configuration.clone());
        self.core.handle_start(self.now);
        self.settle();
    }

    pub(crate) fn connect(&mut self) -> SessionId {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        self.core.handle_connect(self.now, session, PeerNetwork([1; 6]));
        session
    }

    pub(crate) fn disconnect(&mut self, session: SessionId) {
        self.core.handle_disconnect(self.now, session);
        self.settle();
    }

    /// Hands a request over without waiting for the store.
    pub(crate) fn begin(&mut self, session: SessionId, body: Request) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.requests.to_le_bytes());
        entropy[8..16].copy_from_slice(&self.requests.to_le_bytes());
        self.core.handle_request(self.now, entropy, session, request, body);
        self.take_effects();
        request
    }

    pub(crate) fn answer_to(
        &mut self,
        session: SessionId,
        request: RequestId,
    ) -> Option<Result<Reply, Refusal>> {
        self.replies.remove(&(session, request))
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, session: SessionId, body: Request) -> Result<Reply, Refusal> {
        let request = self.begin(session, body);
        self.settle();
        self.answer_to(session, request).expect("every request is answered")
    }

    pub(crate) fn settle(&mut self) {
        loop {
            self.take_effects();
            if !self.commit()
                && !self.judge()
                && !self.hand_over_judged()
                && !self.hand_over_answer()
            {
                break;
            }
        }
    }

    /// The writer takes all that waits, in one batch.
    pub(crate) fn commit(&mut self) -> bool {
        let (tickets, batch): (Vec<_>, Vec<_>) = self.writes.drain(..).unzip();
        if batch.is_empty() {
            return false;
        }
        let outcomes = self.store.apply(&batch).expect("the model store never fails");
        for (ticket, outcome) in tickets.into_iter().zip(outcomes) {
            self.core.handle_outcome(self.now, ticket, outcome);
        }
        self.take_effects();
        true
    }

    /// The observer judges what it was asked first, by what is in the store now.
    pub(crate) fn judge(&mut self) -> bool {
        let Some((ticket, judge)) = self.judges.pop_front() else { return false };
        let judged = PlainObserver(self.store.clone()).judge(&judge);
        self.judged.push_back((ticket, judged));
        true
    }

    pub(crate) fn hand_over_judged(&mut self) -> bool {
        let Some((ticket, judged)) = self.judged.pop_front() else { return false };
        self.core.handle_judged(self.now, ticket, judged);
        self.take_effects();
        true
    }

    pub(crate) fn hand_over_answer(&mut self) -> bool {
        self.hand_over_answer_at(0)
    }

    /// Readers answer in any order.
    pub(crate) fn hand_over_answer_at(&mut self, index: usize) -> bool {
        let Some((ticket, answer)) = self.answers.remove(index) else { return false };
        self.core.handle_answer(self.now, ticket, answer);
        self.take_effects();
        true
    }

    pub(crate) fn take_effects(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Apply(ticket, operation) => self.writes.push_back((ticket, operation)),
                Effect::Read(ticket, query) => {
                    self.reads += 1;
                    let answer = self.store.answer(&query);
                    self.answers.push_back((ticket, answer));
                }
                Effect::Judge(ticket, judge) => self.judges.push_back((ticket, judge)),
                Effect::Reply(session, request, reply) => {
                    let earlier = self.replies.insert((session, request), reply);
                    assert_eq!(earlier, None, "a request is answered once");
                }
                Effect::Event(session, event) => {
                    self.events.entry(session).or_default().push(event);
                }
                Effect::Close(session, reason) => self.closed.push((session, reason)),
                Effect::Report(report) => self.reports.push(report),
            }
        }
    }

    pub(crate) fn heard(&mut self, session: SessionId) -> Vec<Event> {
        self.events.remove(&session).unwrap_or_default()
    }

    /// The payloads that a session heard live, as text.
    pub(crate) fn heard_text(&mut self, session: SessionId) -> Vec<String> {
        let heard = self.heard(session);
        let entries = heard.iter().filter_map(|event| match event {
            Event::Entry(live) if live.entry.kind == tidings_model::EntryKind::Message => {
                Some(String::from_utf8_lossy(&live.entry.payload).into_owned())
            }
            _ => None,
        });
        entries.collect()
    }

    pub(crate) fn sign_up(&mut self, person: Person) -> Result<Reply, Refusal> {
        let session = self.connect();
        let reply = self.ask(session, sign_up(person));
        self.disconnect(session);
        reply
    }

    pub(crate) fn resume_of(
        &mut self,
        person: Person,
        cursors: Vec<(ConversationId, Cursor, u64)>,
    ) -> Resume {
        let counter = self.counters.entry(person).or_default();
        *counter += 1;
        Resume {
            device: person.device(),
            token_hash: person.token(),
            counter: *counter,
            cursors,
            since: self.now.wall,
        }
    }

    /// A person connects and resumes with nothing.
    pub(crate) fn come(&mut self, person: Person) -> SessionId {
        let session = self.connect();
        let resume = self.resume_of(person, Vec::new());
        self.ask(session, Request::Resume(resume)).expect("resumes");
        session
    }

    pub(crate) fn resumed(
        &mut self,
        session: SessionId,
        person: Person,
        cursors: Vec<(ConversationId, Cursor, u64)>,
    ) -> Resumed {
        let resume = self.resume_of(person, cursors);
        match self.ask(session, Request::Resume(resume)) {
            Ok(Reply::Resumed(resumed)) => *resumed,
            other => panic!("resumes: {other:?}"),
        }
    }

    pub(crate) fn message_id(&mut self) -> MessageId {
        self.messages += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.messages.to_be_bytes());
        MessageId::from_bytes(bytes)
    }

    pub(crate) fn create_choir(
        &mut self,
        session: SessionId,
        others: &[Person],
    ) -> Result<Reply, Refusal> {
        let message_id = self.message_id();
        let members = others.iter().map(|person| person.account()).collect();
        let kind = ConversationKind::Group;
        let name = "Choir".into();
        let body =
            Request::Create { conversation: CHOIR, kind, name, members, message_id, group: None };
        self.ask(session, body)
    }

    pub(crate) fn say(
        &mut self,
        session: SessionId,
        conversation: ConversationId,
        text: &str,
    ) -> Result<Appended, Refusal> {
        let message_id = self.message_id();
        self.say_as(session, conversation, text, message_id)
    }

    pub(crate) fn say_as(
        &mut self,
        session: SessionId,
        conversation: ConversationId,
        text: &str,
        message_id: MessageId,
    ) -> Result<Appended, Refusal> {
        match self.ask(session, send(conversation, text, message_id))? {
            Reply::Accepted { appended, .. } => Ok(appended),
            other => panic!("is accepted: {other:?}"),
        }
    }

    pub(crate) fn change(
        &mut self,
        session: SessionId,
        conversation: ConversationId,
        act: Change,
    ) -> Result<Reply, Refusal> {
        let message_id = self.message_id();
        self.ask(session, Request::Change { conversation, message_id, act })
    }

    /// Reads a log to its end, page by page.
    pub(crate) fn read_all(
        &mut self,
        session: SessionId,
        conversation: ConversationId,
    ) -> Result<(LogEpoch, Vec<LogItem>), Refusal> {
        let mut after = Seq::ZERO;
        let mut all = Vec::new();
        loop {
            let fetch = fetch(conversation, None, after);
            let Reply::Entries { epoch, items, head, .. } = self.ask(session, fetch)? else {
                panic!("a fetch is answered with entries");
            };
            after = items.last().map_or(after, last_seq);
            all.extend(items);
            if after >= head {
                return Ok((epoch, all));
            }
        }
    }

    /// The texts of a log, with hidden spans as `[from-to]` and events as `*`.
    pub(crate) fn read_text(
        &mut self,
        session: SessionId,
        conversation: ConversationId,
    ) -> Vec<String> {
        let (_, items) = self.read_all(session, conversation).expect("may read");
        items.iter().map(item_text).collect()
    }
}

pub(crate) fn last_seq(item: &LogItem) -> Seq {
    match item {
        LogItem::Entry(entry) => entry.seq,
        LogItem::Hidden(hidden) => hidden.to,
    }
}

fn item_text(item: &LogItem) -> String {
    match item {
        LogItem::Hidden(hidden) => format!("[{}-{}]", hidden.from.get(), hidden.to.get()),
        LogItem::Entry(entry) if entry.kind == tidings_model::EntryKind::Event => "*".into(),
        LogItem::Entry(entry) => String::from_utf8_lossy(&entry.payload).into_owned(),
    }
}

pub(crate) fn sign_up(person: Person) -> Request {
    Request::SignUp {
        account: NewAccount {
            account: person.account(),
            user_name: person.name(),
            display_name: person.name().to_uppercase(),
            verifiers: vec![Verifier {
                mechanism: "SCRAM-SHA-256".into(),
                salt: vec![1; 16],
                iterations: 4_096,
                stored_key: vec![2; 32],
                server_key: vec![3; 32],
            }],
        },
        device: new_device(person.device(), person.token()),
        invite: None,
    }
}

pub(crate) fn new_device(device: DeviceId, token_hash: TokenHash) -> NewDevice {
    NewDevice { device, name: "laptop".into(), token_hash }
}

pub(crate) fn send(conversation: ConversationId, text: &str, message_id: MessageId) -> Request {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    Request::Send {
        conversation,
        message_id,
        payload,
        expires_after_ms: None,
        sealed_in: None,
        client_time: None,
    }
}

pub(crate) fn fetch(conversation: ConversationId, epoch: Option<LogEpoch>, after: Seq) -> Request {
    Request::Fetch { conversation, epoch, after, checksum: None, entries_max: 0 }
}

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number).expect("a small number")
}
