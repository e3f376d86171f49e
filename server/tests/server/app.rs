//! An app made by hand out of the specification: frames over a WebSocket.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use tidings_model::{AccountId, ConversationId, DeviceId};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{decode_server_frame, encode, id_bytes, wire};
use tidings_protocol_identity::scram::{ClientBinding, ClientExchange, Nonce, Verifier};
use tidings_protocol_identity::{DeviceToken, InviteToken, Password, UserName};
use tungstenite::{Message, WebSocket};

use crate::house::House;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// A connection of an app.
pub(crate) struct App<IO = TcpStream> {
    socket: WebSocket<IO>,
    last_number: u64,
    /// Events that came while an answer was waited for.
    events: VecDeque<Answer>,
}

/// What a device keeps.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) token: DeviceToken,
    pub(crate) counter: u64,
}

impl Person {
    /// Draws what a new account needs.
    pub(crate) fn named(name: &str) -> Self {
        let account = AccountId::from_bytes(random());
        let device = DeviceId::of_account(account, random());
        let token = DeviceToken::from_entropy(random());
        Self { name: name.to_owned(), account, device, token, counter: 0 }
    }

    /// Another device of the account.
    pub(crate) fn on_another_device(&self) -> Self {
        let device = DeviceId::of_account(self.account, random());
        Self { device, token: DeviceToken::from_entropy(random()), counter: 0, ..self.clone() }
    }

    pub(crate) fn sign_up(
        &self,
        invite: Option<&InviteToken>,
        verifier: &Verifier,
    ) -> wire::SignUp {
        wire::SignUp {
            invite: invite
                .map(|invite| Bytes::copy_from_slice(invite.as_bytes()))
                .unwrap_or_default(),
            account: id_bytes(self.account.as_bytes()),
            device: id_bytes(self.device.as_bytes()),
            user_name: self.name.clone(),
            display_name: String::new(),
            verifiers: vec![wire::Verifier {
                mechanism: "SCRAM-SHA-256".to_owned(),
                salt: Bytes::copy_from_slice(verifier.salt()),
                iterations: verifier.iterations(),
                stored_key: Bytes::copy_from_slice(verifier.stored_key()),
                server_key: Bytes::copy_from_slice(verifier.server_key()),
            }],
            device_name: "test".to_owned(),
            token_hash: self.token_hash(),
        }
    }

    pub(crate) fn resume(&mut self) -> wire::Resume {
        self.counter += 1;
        wire::Resume {
            device: id_bytes(self.device.as_bytes()),
            token: Bytes::copy_from_slice(self.token.as_bytes()),
            counter: self.counter,
            cursors: Vec::new(),
            since: 0,
        }
    }

    fn token_hash(&self) -> Bytes {
        Bytes::copy_from_slice(self.token.hash().as_bytes())
    }
}

/// A verifier that no test signs in with: making one of a password takes a while.
pub(crate) fn some_verifier() -> Verifier {
    Verifier::from_parts(&random::<16>(), 4_096, &random::<32>(), &random::<32>()).expect("valid")
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}

impl App {
    /// Opens a connection and says nothing.
    pub(crate) fn silent(house: &House) -> Self {
        Self::over(house.connect(), "ws")
    }

    /// Opens a connection and says Hello.
    pub(crate) fn greeted(house: &House) -> Self {
        let mut app = Self::silent(house);
        app.greet();
        app
    }

    /// Makes an account where sign-up is open, and a live session of it.
    pub(crate) fn new_person(house: &House, name: &str) -> (Self, Person) {
        let mut app = Self::greeted(house);
        let mut person = Person::named(name);
        let sign_up = person.sign_up(None, &some_verifier());
        let answer = app.ask(Body::SignUp(sign_up));
        assert!(matches!(answer, Answer::SignedUp(_)), "{answer:?}");
        app.resume(&mut person);
        (app, person)
    }

    /// A new connection of a person, live.
    pub(crate) fn live(house: &House, person: &mut Person) -> Self {
        let mut app = Self::greeted(house);
        app.resume(person);
        app
    }
}

impl<IO: Read + Write> App<IO> {
    /// Opens a WebSocket on a transport.
    pub(crate) fn over(transport: IO, scheme: &str) -> Self {
        let (socket, _) = tungstenite::client(format!("{scheme}://localhost/ws"), transport)
            .unwrap_or_else(|error| panic!("no WebSocket: {error}"));
        Self { socket, last_number: 0, events: VecDeque::new() }
    }

    pub(crate) fn greet(&mut self) {
        let answer = self.ask(Body::Hello(wire::Hello {
            version_lowest: 1,
            version_highest: 1,
            features: Vec::new(),
            agent: "test".to_owned(),
        }));
        assert!(matches!(answer, Answer::Hello(_)), "{answer:?}");
    }

    pub(crate) fn resume(&mut self, person: &mut Person) -> wire::Resumed {
        match self.ask(Body::Resume(person.resume())) {
            Answer::Resumed(resumed) => resumed,
            other => panic!("not resumed: {other:?}"),
        }
    }

    /// Signs a device in by password.
    pub(crate) fn sign_in(&mut self, device: &Person, password: &str) -> Answer {
        let name = UserName::parse(&device.name).expect("a valid name");
        let password = Password::parse(password).expect("a valid password");
        let nonce = Nonce::from_entropy(random());
        let (client_first, exchange) =
            ClientExchange::start(&name, password, &ClientBinding::Unsupported, nonce);
        let challenge = match self.ask(Body::SignInStart(wire::SignInStart {
            mechanism: "SCRAM-SHA-256".to_owned(),
            client_first: client_first.into(),
        })) {
            Answer::SignInChallenge(challenge) => challenge,
            other => return other,
        };
        let (client_final, awaiting) =
            exchange.handle_server_first(&challenge.server_first).expect("a valid challenge");
        let answer = self.ask(Body::SignInFinish(wire::SignInFinish {
            client_final: client_final.into(),
            device: id_bytes(device.device.as_bytes()),
            device_name: "another".to_owned(),
            token_hash: device.token_hash(),
        }));
        if let Answer::SignedIn(signed_in) = &answer {
            awaiting.handle_server_final(&signed_in.server_final).expect("the server's proof");
            assert_eq!(
                challenge.shard,
                u32::from(AccountId::try_from(&signed_in.account[..]).expect("an id").shard())
            );
        }
        answer
    }

    /// Sends a request and gives its number.
    pub(crate) fn say(&mut self, body: Body) -> u64 {
        self.last_number += 1;
        self.say_as(self.last_number, body);
        self.last_number
    }

    pub(crate) fn say_as(&mut self, request: u64, body: Body) {
        self.send(encode(&wire::ClientFrame { request, body: Some(body) }));
    }

    pub(crate) fn send(&mut self, frame: Bytes) {
        self.send_message(Message::Binary(frame));
    }

    pub(crate) fn send_message(&mut self, message: Message) {
        // A connection that the server has closed shows when it is read.
        let _ = self.socket.send(message);
    }

    /// Queues a request without writing it.
    pub(crate) fn queue(&mut self, body: Body) -> u64 {
        self.last_number += 1;
        self.queue_as(self.last_number, body);
        self.last_number
    }

    pub(crate) fn queue_as(&mut self, request: u64, body: Body) {
        let frame = wire::ClientFrame { request, body: Some(body) };
        self.socket.write(Message::Binary(encode(&frame))).expect("queued");
    }

    pub(crate) fn flush(&mut self) {
        self.socket.flush().expect("written");
    }

    /// Sends a request and waits for its answer; events are kept.
    #[track_caller]
    pub(crate) fn ask(&mut self, body: Body) -> Answer {
        let number = self.say(body);
        self.answer_to(number).unwrap_or_else(|closed| panic!("closed: {closed:?}"))
    }

    pub(crate) fn answer_to(&mut self, number: u64) -> Result<Answer, Closed> {
        loop {
            let (answered, answer) = self.hear()?;
            match answered {
                0 => self.events.push_back(answer),
                answered if answered == number => return Ok(answer),
                _ => {}
            }
        }
    }

    /// Waits for the next event.
    #[track_caller]
    pub(crate) fn event(&mut self) -> Answer {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        loop {
            match self.hear() {
                Ok((0, event)) => return event,
                Ok(_) => {}
                Err(closed) => panic!("closed: {closed:?}"),
            }
        }
    }

    /// Waits until the app is told of a conversation that is new to it: from then on it hears what
    /// happens there.
    #[track_caller]
    pub(crate) fn wait_for_conversation(&mut self, conversation: ConversationId) {
        let is_it =
            |state: &wire::ConversationState| state.conversation[..] == conversation.as_bytes()[..];
        while !matches!(
            self.event(),
            Answer::ConversationsChanged(changed) if changed.conversations.iter().any(is_it)
        ) {}
    }

    /// Waits for the next frame.
    pub(crate) fn hear(&mut self) -> Result<(u64, Answer), Closed> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(frame)) => {
                    let frame = decode_server_frame(frame).expect("a valid frame");
                    return Ok((frame.request, frame.body.expect("a known body")));
                }
                Ok(Message::Close(Some(close))) => {
                    let closed =
                        Closed { code: close.code.into(), reason: close.reason.to_string() };
                    let _ = self.socket.flush();
                    return Err(closed);
                }
                Ok(Message::Close(None)) => {
                    return Err(Closed { code: 1005, reason: String::new() });
                }
                Ok(_) => {}
                Err(error) => return Err(Closed { code: 1006, reason: error.to_string() }),
            }
        }
    }

    /// Waits for the end; whatever comes before is dropped.
    pub(crate) fn wait_for_close(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.hear() {
                return closed;
            }
        }
    }

    /// Shows that the session lives and is served.
    #[track_caller]
    pub(crate) fn check_alive(&mut self) {
        let answer = self.ask(Body::Ping(wire::Ping { round_trip_ms: 0 }));
        assert!(matches!(answer, Answer::Pong(_)), "{answer:?}");
    }
}

/// A group of these people.
pub(crate) fn create_group(members: &[&Person]) -> (ConversationId, Body) {
    let conversation = ConversationId::from_bytes(random());
    let body = Body::Create(wire::Create {
        conversation: id_bytes(conversation.as_bytes()),
        kind: wire::ConversationKind::Group as i32,
        name: "Choir".to_owned(),
        members: members.iter().map(|member| id_bytes(member.account.as_bytes())).collect(),
        message_id: id_bytes(&random()),
        group: None,
    });
    (conversation, body)
}

pub(crate) fn send(conversation: ConversationId, message_id: [u8; 16], payload: &[u8]) -> Body {
    Body::Send(wire::Send {
        conversation: id_bytes(conversation.as_bytes()),
        message_id: id_bytes(&message_id),
        payload: Bytes::copy_from_slice(payload),
        client_time: 0,
        expires_after_ms: 0,
    })
}

pub(crate) fn fetch(conversation: ConversationId, log_epoch: u64, after: u64) -> Body {
    Body::Fetch(wire::Fetch {
        conversation: id_bytes(conversation.as_bytes()),
        log_epoch,
        after,
        checksum: 0,
        entries_max: 0,
    })
}

#[track_caller]
pub(crate) fn accepted(answer: Answer) -> wire::Accepted {
    match answer {
        Answer::Accepted(accepted) => accepted,
        other => panic!("not accepted: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn refused(answer: Answer) -> wire::Refused {
    match answer {
        Answer::Refused(refused) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

/// All entries of a log that the person may read, page by page.
#[track_caller]
pub(crate) fn read_log<IO: Read + Write>(
    app: &mut App<IO>,
    conversation: ConversationId,
) -> Vec<wire::Entry> {
    let (mut entries, mut epoch, mut after) = (Vec::new(), 0, 0);
    loop {
        let page = match app.ask(fetch(conversation, epoch, after)) {
            Answer::Entries(page) => page,
            other => panic!("no entries: {other:?}"),
        };
        epoch = page.log_epoch;
        for item in page.items {
            match item.of.expect("an item") {
                wire::entries::item::Of::Entry(entry) => {
                    after = entry.seq;
                    entries.push(entry);
                }
                wire::entries::item::Of::Hidden(hidden) => after = hidden.to,
            }
        }
        if after >= page.head {
            return entries;
        }
    }
}
