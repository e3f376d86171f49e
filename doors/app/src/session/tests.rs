//! Plays of one peer, one session and a core that a test answers for, in virtual time.

mod random;
mod sealed;

use std::time::Duration;

use tidings_messaging::request::{ConversationState, LiveEntry, LogItem, Resumed};
use tidings_messaging::store::Profile;
use tidings_model::{
    AccountId, Checksum, ConversationKind, DeviceId, Entry, EntryKind, LogEpoch, MessageId, Role,
    Seq, Timestamp,
};
use tidings_protocol_app::limits::CURSORS_PER_RESUME_MAX;
use tidings_protocol_app::wire;
use tidings_protocol_app::{decode_server_frame, encode, id_bytes};
use tidings_protocol_identity::scram::{ClientBinding, ClientExchange, Verifier};
use tidings_protocol_identity::{Password, UserName};

use super::*;
use crate::limits::LOGIN_REQUESTS_MAX;

const ANNA: AccountId = AccountId::from_bytes([1; 16]);
const PHONE: DeviceId = DeviceId::from_bytes([1; 16]);
const CHOIR: ConversationId = ConversationId::from_bytes([7; 16]);

/// A peer with its session.
struct Play {
    session: Session,
    millis: u64,
    last_number: u64,
}

impl Play {
    fn connected() -> Self {
        let service = Service {
            agent: "tidings-server/0".to_owned(),
            invite_required: true,
            invite_prefix: "https://localhost:8443/#invite=".to_owned(),
            invite_suffix: String::new(),
            messages_per_second: 20,
            messages_burst: 100,
            server_secret: [9; 32],
        };
        let session = Session::new(at(0), [3; 32], Arc::new(service));
        Self { session, millis: 0, last_number: 0 }
    }

    fn greeted() -> Self {
        let mut play = Self::connected();
        let answer = play.ask(hello(1, 1));
        assert!(matches!(answer, Some(Answer::Hello(hello)) if hello.version == 1));
        play
    }

    fn live() -> Self {
        let mut play = Self::greeted();
        play.say(resume());
        let (id, request) = play.session.poll_request().unwrap();
        assert!(matches!(request, Request::Resume(_)));
        play.core_answers(id, Ok(resumed(Vec::new())));
        assert!(matches!(play.hear(), Some((_, Answer::Resumed(_)))));
        play
    }

    /// Sends a request and gives its number.
    fn say(&mut self, body: Body) -> u64 {
        self.last_number += 1;
        self.say_as(self.last_number, body);
        self.last_number
    }

    fn say_as(&mut self, request: u64, body: Body) {
        self.send(encode(&wire::ClientFrame { request, body: Some(body) }));
    }

    fn send(&mut self, frame: Bytes) {
        self.session.handle_frame(at(self.millis), frame);
    }

    /// Sends a request that the session answers by itself.
    fn ask(&mut self, body: Body) -> Option<Answer> {
        let number = self.say(body);
        let (answered, answer) = self.hear()?;
        assert_eq!(answered, number);
        Some(answer)
    }

    /// Takes the next frame; the transport takes it at once.
    fn hear(&mut self) -> Option<(u64, Answer)> {
        let frame = self.session.poll_transmit()?;
        self.session.handle_queued(at(self.millis), 0);
        let frame = decode_server_frame(frame).unwrap();
        Some((frame.request, frame.body.unwrap()))
    }

    fn core_answers(&mut self, id: RequestId, reply: Result<Reply, Refusal>) {
        self.session.handle_reply(at(self.millis), id, reply);
    }

    fn wait(&mut self, millis: u64) {
        self.millis += millis;
        let due = self.session.poll_timeout();
        if due.is_some_and(|due| due <= at(self.millis).monotonic) {
            self.session.handle_timeout(at(self.millis));
        }
    }
}

fn at(millis: u64) -> Now {
    Now {
        monotonic: Monotonic::from_start(Duration::from_millis(millis)),
        wall: Timestamp::from_millis(1_000_000 + millis as i64),
    }
}

fn hello(version_lowest: u32, version_highest: u32) -> Body {
    Body::Hello(wire::Hello {
        version_lowest,
        version_highest,
        features: Vec::new(),
        agent: "test".to_owned(),
    })
}

fn resume() -> Body {
    Body::Resume(wire::Resume {
        device: id_bytes(PHONE.as_bytes()),
        token: vec![5; 32].into(),
        counter: 1,
        cursors: Vec::new(),
        since: 0,
    })
}

fn resumed(conversations: Vec<ConversationState>) -> Reply {
    Reply::Resumed(Box::new(Resumed {
        profile: anna(),
        administrator: false,
        restored: false,
        conversations,
        more: false,
        heads: Default::default(),
    }))
}

fn anna() -> Profile {
    Profile { account: ANNA, user_name: "anna".to_owned(), display_name: "Anna".to_owned() }
}

fn send(payload: usize) -> Body {
    Body::Send(wire::Send {
        conversation: id_bytes(CHOIR.as_bytes()),
        message_id: id_bytes(&[3; 16]),
        payload: vec![0; payload].into(),
        client_time: 0,
        expires_after_ms: 0,
    })
}

fn fetch() -> Body {
    Body::Fetch(wire::Fetch { conversation: id_bytes(CHOIR.as_bytes()), ..wire::Fetch::default() })
}

fn entry(seq: u64, payload: usize) -> Entry {
    Entry {
        seq: Seq::new(seq).unwrap(),
        account: ANNA,
        device: PHONE,
        message_id: MessageId::from_bytes([3; 16]),
        time: Timestamp::from_millis(5),
        kind: EntryKind::Message,
        payload: vec![0; payload].into(),
        checksum: Checksum(1),
        expires_after_ms: None,
        client_time: None,
        erased: false,
    }
}

fn live_entry(seq: u64, payload: usize) -> Event {
    let epoch = LogEpoch::new(1).unwrap();
    Event::Entry(Arc::new(LiveEntry::new(CHOIR, epoch, entry(seq, payload))))
}

fn state(conversation: ConversationId, name: String) -> ConversationState {
    ConversationState {
        conversation,
        kind: ConversationKind::Group,
        name,
        epoch: LogEpoch::new(1).unwrap(),
        epoch_since: Seq::ZERO,
        head: Seq::new(40).unwrap(),
        head_time: Timestamp::from_millis(5),
        head_checksum: Some(Checksum(2)),
        roster_version: 1,
        role: Some(Role::Member),
        ranges: Vec::new(),
        member_count: 2,
        partner: None,
        receipts: Vec::new(),
        group: None,
    }
}

#[track_caller]
fn check_closed(play: &mut Play, code: u16, reason: &str) {
    assert_eq!(play.hear(), None, "a closed session has no more to say");
    let close = play.session.poll_close().expect("the session is over");
    assert_eq!((close.code.0, close.reason), (code, reason));
}

#[track_caller]
fn check_refused(answer: Option<Answer>, name: &str) -> wire::Refused {
    match answer {
        Some(Answer::Refused(refused)) => {
            assert_eq!(refused.name, name);
            refused
        }
        other => panic!("{name} expected, not {other:?}"),
    }
}

#[test]
fn hello_is_answered_with_the_limits_in_force() {
    let mut play = Play::connected();
    let Some(Answer::Hello(hello)) = play.ask(hello(1, 9)) else { panic!("no hello") };
    assert_eq!(hello.version, 1);
    assert!(hello.invite_required);
    let limits = hello.limits.unwrap();
    assert_eq!((limits.payload_bytes, limits.requests_in_flight), (65_536, 64));
}

#[test]
fn no_common_version_is_said_and_closes_with_4400() {
    let mut play = Play::connected();
    check_refused(play.ask(hello(2, 3)), "VERSION_UNSUPPORTED");
    check_closed(&mut play, 4400, "VersionUnsupported");
}

#[test]
fn second_hello_is_refused_and_the_session_lives() {
    let mut play = Play::live();
    let refused = check_refused(play.ask(hello(1, 1)), "INVALID_FIELD");
    assert_eq!(refused.message, "the field hello was said already on this connection");
    assert_eq!(play.session.poll_close(), None);
}

#[test]
fn row_9_frame_that_cannot_be_read_closes_with_1007() {
    let deep = [0xfb, 0x3f].repeat(200);
    let length_lie = vec![0x5a, 0xff, 0xff, 0xff, 0xff, 0x0f];
    for frame in [deep, length_lie] {
        let mut play = Play::live();
        play.send(frame.into());
        check_closed(&mut play, 1007, "MalformedFrame");
    }
}

#[test]
fn row_9_unknown_field_is_ignored_and_unknown_body_refused() {
    let mut play = Play::live();
    let mut frame = encode(&wire::ClientFrame { request: 40, body: Some(fetch()) }).to_vec();
    frame.extend([0xfa, 0x3f, 0x02, b'h', b'i']);
    play.send(frame.into());
    assert!(matches!(play.session.poll_request(), Some((_, Request::Fetch { .. }))));
    play.send(Bytes::from_static(&[0x08, 0x29, 0xfa, 0x3f, 0x00]));
    let (number, answer) = play.hear().unwrap();
    assert_eq!(number, 41);
    check_refused(Some(answer), "UNKNOWN_REQUEST");
}

#[test]
fn row_10_hostile_names_close_or_name_their_field() {
    let mut play = Play::greeted();
    // A lone surrogate is no UTF-8.
    play.send(Bytes::from_static(&[0x08, 0x09, 0x1a, 0x05, 0x22, 0x03, 0xed, 0xa0, 0x80]));
    check_closed(&mut play, 1007, "MalformedFrame");
    let mut play = Play::live();
    for (name, field) in
        [("a\0b", "display_name"), ("", "display_name"), ("\u{1b}[31m", "display_name")]
    {
        let set = wire::SetDisplayName { display_name: name.to_owned() };
        let refused = check_refused(play.ask(Body::SetDisplayName(set)), "INVALID_FIELD");
        assert!(refused.message.contains(field), "{}", refused.message);
    }
    let set = wire::SetDisplayName { display_name: "x".repeat(129) };
    let refused = check_refused(play.ask(Body::SetDisplayName(set)), "NAME_TOO_LONG");
    assert_eq!((refused.limit.as_str(), refused.limit_value), ("name_bytes", 128));
}

#[test]
fn row_11_request_before_a_live_session_closes_with_1008() {
    for mut play in [Play::connected(), Play::greeted()] {
        play.say(send(1));
        assert!(play.session.poll_request().is_none());
        check_closed(&mut play, 1008, "Unauthenticated");
    }
}

#[test]
fn row_11_request_beside_a_resume_closes_too() {
    let mut play = Play::greeted();
    play.say(resume());
    play.say(fetch());
    check_closed(&mut play, 1008, "Unauthenticated");
}

#[test]
fn row_13_number_in_flight_is_refused_and_free_again_after_the_answer() {
    let mut play = Play::live();
    play.say_as(50, send(1));
    let (id, _) = play.session.poll_request().unwrap();
    play.say_as(50, send(1));
    let (number, answer) = play.hear().unwrap();
    assert_eq!(number, 50);
    check_refused(Some(answer), "DUPLICATE_REQUEST");
    play.core_answers(id, Ok(Reply::Done));
    assert!(matches!(play.hear(), Some((50, Answer::Done(_)))));
    play.say_as(50, send(1));
    assert!(play.session.poll_request().is_some());
}

#[test]
fn row_20_revoked_token_closes_with_4401_and_says_nothing() {
    let mut play = Play::greeted();
    play.say(resume());
    let (id, _) = play.session.poll_request().unwrap();
    play.core_answers(id, Err(Refusal::TokenRevoked));
    check_closed(&mut play, 4401, "TokenRevoked");
}

#[test]
fn revoked_or_replaced_session_closes_with_its_code() {
    for (reason, code, word) in
        [(CloseReason::Revoked, 4401, "TokenRevoked"), (CloseReason::Replaced, 4409, "Replaced")]
    {
        let mut play = Play::live();
        play.session.handle_close(reason);
        check_closed(&mut play, code, word);
    }
}

#[test]
fn revoked_session_says_what_was_said_before_and_closes_at_once() {
    let mut play = Play::live();
    play.say(send(1));
    let (asked, _) = play.session.poll_request().unwrap();
    play.say(send(2));
    play.session.handle_event(live_entry(1, 10));
    play.session.handle_close(CloseReason::Revoked);
    // Whatever comes now is for a session that is over.
    play.session.handle_event(live_entry(2, 10));
    play.core_answers(asked, Ok(Reply::Done));
    play.say(send(3));

    let Some((0, Answer::Entry(said))) = play.hear() else { panic!("silence") };
    assert_eq!(said.entry.unwrap().seq, 1);
    check_closed(&mut play, 4401, "TokenRevoked");
    assert!(play.session.poll_request().is_none(), "nothing more is asked");
    assert_eq!(play.session.poll_timeout(), None, "nothing is waited for");
}

#[test]
fn request_number_0_closes_with_1008() {
    let mut play = Play::live();
    play.say_as(0, send(1));
    check_closed(&mut play, 1008, "RequestNumberZero");
}

#[test]
fn login_ends_after_ten_seconds_whatever_the_peer_says() {
    let mut play = Play::greeted();
    for _ in 0..9 {
        play.wait(1_000);
        assert!(matches!(
            play.ask(Body::Ping(wire::Ping { round_trip_ms: 0 })),
            Some(Answer::Pong(_))
        ));
    }
    play.wait(1_000);
    check_closed(&mut play, 1008, "LoginDeadline");
}

#[test]
fn slow_store_does_not_end_a_login_and_a_live_session_has_no_deadline() {
    let mut play = Play::greeted();
    play.say(resume());
    let (id, _) = play.session.poll_request().unwrap();
    play.wait(11_000);
    assert_eq!(play.session.poll_close(), None);
    play.core_answers(id, Ok(resumed(Vec::new())));
    assert!(matches!(play.hear(), Some((_, Answer::Resumed(_)))));
    assert_eq!(play.session.poll_timeout(), None);
}

#[test]
fn endless_tries_before_a_live_session_close_with_1008() {
    let mut play = Play::greeted();
    for _ in 0..LOGIN_REQUESTS_MAX {
        play.ask(Body::Ping(wire::Ping { round_trip_ms: 0 })).unwrap();
    }
    play.say(Body::Ping(wire::Ping { round_trip_ms: 0 }));
    check_closed(&mut play, 1008, "TooManyLoginRequests");
}

#[test]
fn request_above_the_limit_in_flight_is_refused_by_name() {
    let mut play = Play::live();
    for _ in 0..REQUESTS_IN_FLIGHT_MAX {
        play.say(send(1));
    }
    let refused = check_refused(play.ask(send(1)), "TOO_MANY_IN_FLIGHT");
    assert_eq!((refused.limit.as_str(), refused.limit_value), ("requests_in_flight", 64));
}

#[test]
fn cursors_above_the_limit_are_refused_by_name_and_the_session_lives() {
    let mut play = Play::greeted();
    let resume_with = |cursors: usize| {
        let Body::Resume(mut resume) = resume() else { panic!("no resume") };
        resume.cursors = vec![wire::Cursor::default(); cursors];
        Body::Resume(resume)
    };
    let too_many = play.ask(resume_with(CURSORS_PER_RESUME_MAX + 1));
    let refused = check_refused(too_many, "TOO_MANY_CURSORS");
    assert_eq!((refused.limit.as_str(), refused.limit_value), ("cursors_per_resume", 4_096));
    play.say(resume_with(CURSORS_PER_RESUME_MAX));
    assert!(play.session.poll_request().is_some());
}

#[test]
fn payload_above_the_limit_is_refused_by_name() {
    let mut play = Play::live();
    let refused = check_refused(play.ask(send(65_537)), "PAYLOAD_TOO_LARGE");
    assert_eq!((refused.limit.as_str(), refused.limit_value), ("payload_bytes", 65_536));
    play.say(send(65_536));
    assert!(play.session.poll_request().is_some());
}

/// Plays a sign-in up to the app's proof. `verifier`: what the core knows of the name.
fn sign_in(play: &mut Play, password: &str, verifier: Option<Verifier>) -> Option<Answer> {
    let name = UserName::parse("Anna").unwrap();
    let password = Password::parse(password).unwrap();
    let nonce = Nonce::from_entropy([8; 18]);
    let (client_first, exchange) =
        ClientExchange::start(&name, password, &ClientBinding::Unsupported, nonce);
    play.say(Body::SignInStart(wire::SignInStart {
        mechanism: "SCRAM-SHA-256".to_owned(),
        client_first: client_first.into(),
    }));
    let (id, request) = play.session.poll_request().unwrap();
    let Request::FindVerifier { user_name, mechanism } = request else { panic!("{request:?}") };
    assert_eq!((user_name.as_str(), mechanism.as_str()), ("anna", "SCRAM-SHA-256"));
    let found = verifier.map(|verifier| {
        let stored = tidings_messaging::store::Verifier {
            mechanism,
            salt: verifier.salt().to_vec(),
            iterations: verifier.iterations(),
            stored_key: verifier.stored_key().to_vec(),
            server_key: verifier.server_key().to_vec(),
        };
        Box::new((ANNA, stored))
    });
    play.core_answers(id, Ok(Reply::Verifier(found)));
    let Some((_, Answer::SignInChallenge(challenge))) = play.hear() else { panic!("unanswered") };
    let (client_final, awaiting) = exchange.handle_server_first(&challenge.server_first).unwrap();
    let number = play.say(Body::SignInFinish(wire::SignInFinish {
        client_final: client_final.into(),
        device: id_bytes(PHONE.as_bytes()),
        device_name: "phone".to_owned(),
        token_hash: vec![4; 32].into(),
    }));
    let (id, request) = play.session.poll_request().unwrap();
    match request {
        Request::SignIn { account, device } => {
            assert_eq!((account, device.device), (ANNA, PHONE));
            let reply = Reply::SignedIn { profile: anna(), administrator: false };
            play.core_answers(id, Ok(reply));
        }
        Request::SignInFailed { user_name } => {
            assert_eq!(user_name, "anna");
            play.core_answers(id, Err(Refusal::NotAuthenticated));
        }
        other => panic!("{other:?}"),
    }
    let (answered, answer) = play.hear()?;
    assert_eq!(answered, number);
    if let Answer::SignedIn(signed_in) = &answer {
        awaiting.handle_server_final(&signed_in.server_final).unwrap();
    }
    Some(answer)
}

fn verifier(password: &str) -> Verifier {
    Verifier::derive(&Password::parse(password).unwrap(), [6; 16])
}

#[test]
fn right_password_signs_in_and_the_server_proves_itself() {
    let mut play = Play::greeted();
    let answer = sign_in(&mut play, "correct horse", Some(verifier("correct horse")));
    assert!(matches!(answer, Some(Answer::SignedIn(_))));
    play.say(send(1));
    check_closed(&mut play, 1008, "Unauthenticated");
}

#[test]
fn wrong_password_and_unknown_name_get_the_same_refusal() {
    let mut play = Play::greeted();
    for known in [Some(verifier("correct horse")), None] {
        let answer = sign_in(&mut play, "battery staple", known);
        check_refused(answer, "NOT_AUTHENTICATED");
    }
    let answer = sign_in(&mut play, "correct horse", Some(verifier("correct horse")));
    assert!(matches!(answer, Some(Answer::SignedIn(_))), "the next try may succeed");
}

#[test]
fn proof_without_a_challenge_is_refused() {
    let mut play = Play::greeted();
    let finish = wire::SignInFinish {
        client_final: Bytes::new(),
        device: id_bytes(PHONE.as_bytes()),
        device_name: "phone".to_owned(),
        token_hash: vec![4; 32].into(),
    };
    check_refused(play.ask(Body::SignInFinish(finish)), "INVALID_FIELD");
}

#[test]
fn live_feed_goes_to_a_live_session_alone() {
    let mut play = Play::greeted();
    play.session.handle_event(live_entry(1, 10));
    assert_eq!(play.hear(), None);
    let mut play = Play::live();
    play.session.handle_event(live_entry(1, 10));
    assert!(matches!(play.hear(), Some((0, Answer::Entry(_)))));
}

#[test]
fn entry_is_encoded_once_for_all_readers() {
    let (mut one, mut other) = (Play::live(), Play::live());
    let event = live_entry(1, 10);
    one.session.handle_event(event.clone());
    other.session.handle_event(event);
    let (one, other) = (one.session.poll_transmit(), other.session.poll_transmit());
    assert_eq!(one.unwrap().as_ptr(), other.unwrap().as_ptr());
}

/// Takes all frames out without the peer reading any, and gives their bytes.
fn stall(play: &mut Play, unsent: usize) -> usize {
    let mut bytes = unsent;
    while let Some(frame) = play.session.poll_transmit() {
        bytes += frame.len();
    }
    play.session.handle_queued(at(play.millis), bytes);
    bytes
}

#[test]
fn slow_reader_costs_a_bounded_buffer_and_is_told_what_it_missed() {
    let mut play = Play::live();
    let mut unsent = 0;
    for seq in 1..=1_000 {
        play.session.handle_event(live_entry(seq, 4_096));
        unsent = stall(&mut play, unsent);
    }
    assert!(unsent <= QUEUED_BYTES_HIGH + 8_192, "{unsent} bytes queued");
    assert!(play.session.waits_for_room());
    assert!(play.session.poll_request().is_none(), "nothing is asked before it has drained");

    play.session.handle_queued(at(0), 0);
    let (id, request) = play.session.poll_request().unwrap();
    assert_eq!(request, Request::States { conversations: vec![CHOIR] });
    play.core_answers(id, Ok(Reply::States(vec![state(CHOIR, "Choir".to_owned())])));
    let Some((0, Answer::ConversationsChanged(changed))) = play.hear() else { panic!("silence") };
    assert_eq!(changed.conversations[0].head, 40);
    play.session.handle_event(live_entry(1_001, 10));
    assert!(matches!(play.hear(), Some((0, Answer::Entry(_)))), "the live feed goes on");
}

#[test]
fn slow_reader_keeps_its_answers_and_the_latest_presence_of_each() {
    let mut play = Play::live();
    play.say_as(77, send(1));
    let (id, _) = play.session.poll_request().unwrap();
    play.session.handle_queued(at(0), QUEUED_BYTES_HIGH + 1);
    for online in [true, false] {
        let last_seen = None;
        play.session.handle_event(Event::PresenceChanged { account: ANNA, online, last_seen });
    }
    play.core_answers(id, Ok(Reply::Done));
    let frame = decode_server_frame(play.session.poll_transmit().unwrap()).unwrap();
    assert!(matches!(frame, wire::ServerFrame { request: 77, body: Some(Answer::Done(_)) }));
    assert_eq!(play.session.poll_transmit(), None);
    play.session.handle_queued(at(0), 0);
    let Some((0, Answer::PresenceChanged(presence))) = play.hear() else { panic!("silence") };
    assert!(!presence.online);
    assert_eq!(play.hear(), None);
}

#[test]
fn missed_conversations_are_asked_for_again_when_the_core_is_overloaded() {
    let mut play = Play::live();
    play.session.handle_queued(at(0), QUEUED_BYTES_HIGH + 1);
    play.session.handle_event(live_entry(1, 10));
    play.session.handle_queued(at(0), 0);
    let (id, _) = play.session.poll_request().unwrap();
    play.core_answers(id, Err(Refusal::Overloaded { retry_after: Duration::from_secs(1) }));
    assert!(play.session.poll_request().is_none(), "not at once");
    play.wait(1_000);
    assert!(matches!(play.session.poll_request(), Some((_, Request::States { .. }))));
}

#[test]
fn pages_that_nobody_reads_hold_back_the_requests_behind_them() {
    let mut play = Play::live();
    for _ in 0..REQUESTS_IN_FLIGHT_MAX {
        play.say(fetch());
    }
    let mut unsent = 0;
    let mut answered = 0;
    while let Some((id, _)) = play.session.poll_request() {
        let epoch = LogEpoch::new(1).unwrap();
        let items = (1..=2).map(|seq| LogItem::Entry(entry(seq, 64 * 1024))).collect();
        let head = Seq::new(2).unwrap();
        play.core_answers(id, Ok(Reply::Entries { conversation: CHOIR, epoch, items, head }));
        unsent = stall(&mut play, unsent);
        answered += 1;
    }
    assert!(answered < 5, "{answered} pages of {REQUESTS_IN_FLIGHT_MAX} were answered unread");
    assert!(unsent <= ANSWER_BYTES_MAX + LARGE_ANSWER_BYTES);
    play.session.handle_queued(at(0), 0);
    assert!(play.session.poll_request().is_some(), "reading goes on");
}

#[test]
fn states_that_do_not_fit_the_answer_to_a_resume_follow_in_events() {
    let states: Vec<_> = (0..64u8)
        .map(|index| {
            let mut state = state(ConversationId::from_bytes([index; 16]), "x".repeat(256));
            let receipt = (ANNA, tidings_messaging::store::Marks::default());
            state.receipts = vec![receipt; 512];
            state
        })
        .collect();
    let mut play = Play::greeted();
    play.say(resume());
    let (id, _) = play.session.poll_request().unwrap();
    play.core_answers(id, Ok(resumed(states)));
    let Some((_, Answer::Resumed(first))) = play.hear() else { panic!("not resumed") };
    assert!(first.more);
    let mut heard = first.conversations.len();
    while let Some((number, Answer::ConversationsChanged(rest))) = play.hear() {
        assert_eq!(number, 0);
        heard += rest.conversations.len();
    }
    assert_eq!(heard, 64);
}

#[test]
fn stop_of_the_server_is_announced_and_then_closes_with_1001() {
    let mut play = Play::live();
    play.session.handle_event(Event::GoingAway { spread: Duration::from_secs(5) });
    assert!(matches!(play.hear(), Some((0, Answer::GoingAway(away))) if away.spread_ms == 5_000));
    play.session.handle_stop();
    check_closed(&mut play, 1001, "GoingAway");
}
