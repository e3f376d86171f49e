//! The life of a connection: control frames, keep-alive, the closing handshake, and what an idle
//! one costs.

use std::time::Duration;

use crate::peer::*;
use bytes::{Buf, Bytes};
use tidings_protocol_websocket::{
    CloseCode, Config, Connection, Event, KeepAlive, MessageKind, OpCode, Side, limits,
};

const SECOND: Duration = Duration::from_secs(1);

fn closed(code: CloseCode, reason: &str, by: Side) -> Event {
    Event::Closed { code, reason: reason.to_owned(), by }
}

/// Sends a Close with `payload` to a fresh server and gives what it answers.
fn answer_to_close(payload: &[u8]) -> (Vec<Event>, Vec<(OpCode, Vec<u8>)>) {
    let mut server = server(Config::default());
    server.handle_input(START, &frame(OpCode::Close, payload));
    (events(&mut server), frames(&written(&mut server)))
}

#[test]
fn idle_connection_is_small_and_owns_nothing_on_the_heap() {
    assert!(size_of::<Connection>() <= 352, "{} bytes", size_of::<Connection>());
    let mut server = server(text_too());
    assert_eq!(server.buffer_capacity(), 0);

    let traffic = [
        fragment(OpCode::Text, b"half a "),
        frame(OpCode::Ping, b"there?"),
        frame(OpCode::Continuation, b"message"),
    ]
    .concat();
    server.handle_input(START, &traffic);
    server.send(MessageKind::Binary, Bytes::from(vec![0; 1_000]));
    assert!(server.buffer_capacity() > 1_000);
    drop(events(&mut server));
    drop(written(&mut server));
    assert_eq!(server.buffer_capacity(), 0);
}

#[test]
fn each_ping_is_answered_in_order_with_its_payload() {
    let mut server = server(Config::default());
    let pings: Vec<_> = (0..10).map(|at| vec![at; usize::from(at) * 13]).collect();
    for ping in &pings {
        server.handle_input(START, &frame(OpCode::Ping, ping));
    }
    let pongs: Vec<_> = pings.into_iter().map(|ping| (OpCode::Pong, ping)).collect();
    assert_eq!(frames(&written(&mut server)), pongs);
}

#[test]
fn pings_to_a_stalled_transport_are_answered_up_to_a_bound_and_then_the_latest() {
    let mut server = server(Config::default());
    for at in 0..50 {
        server.handle_input(START, &frame(OpCode::Ping, &[at]));
    }
    let mut sent = Vec::new();
    while let Some(mut transmit) = server.poll_transmit(START) {
        sent.push(transmit.get_u8());
    }
    let pongs: Vec<u8> = frames(&sent).into_iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(pongs, (0..limits::UNSENT_PONGS_MAX).chain([49]).collect::<Vec<_>>());
}

#[test]
fn control_frames_above_the_rate_close_with_1008() {
    let config = Config { control_frames_per_sec_max: 10, ..Config::default() };
    let flood = frame(OpCode::Ping, b"").repeat(11);
    check_fails(config.clone(), &flood, CloseCode::POLICY_VIOLATION);

    let mut server = server(config);
    for second in 0..5 {
        server.handle_input(START + second * SECOND, &flood[..flood.len() / 11 * 10]);
    }
    assert!(!server.is_closed());
}

#[test]
fn silent_peer_is_pinged_and_at_last_given_up() {
    let mut server = server(Config::default());
    assert_eq!(server.poll_timeout(), Some(START + limits::PING_AFTER));
    server.handle_timeout(START + limits::PING_AFTER - SECOND);
    assert_eq!(written(&mut server), b"", "not before its time");

    for ping in 1..=2 {
        assert_eq!(server.poll_timeout(), Some(START + ping * limits::PING_AFTER));
        server.handle_timeout(START + ping * limits::PING_AFTER);
        assert_eq!(frames(&written(&mut server)), [(OpCode::Ping, vec![])]);
    }
    assert_eq!(server.poll_timeout(), Some(START + limits::DEAD_AFTER));
    server.handle_timeout(START + limits::DEAD_AFTER);
    assert_eq!(events(&mut server), [closed(CloseCode::ABNORMAL, "no sign of life", Side::Local)]);
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn any_input_is_a_sign_of_life() {
    let mut server = server(Config::default());
    let pong = frame(OpCode::Pong, b"");
    let heard = START + 44 * SECOND;
    server.handle_input(heard, &pong);
    server.handle_timeout(START + limits::DEAD_AFTER);
    assert!(!server.is_closed());
    assert_eq!(server.poll_timeout(), Some(heard + limits::PING_AFTER));
}

#[test]
fn without_keep_alive_no_timer_runs() {
    let mut server = server(Config { keep_alive: None, ..Config::default() });
    assert_eq!(server.poll_timeout(), None);
    server.handle_timeout(START + 1_000_000 * SECOND);
    assert!(!server.is_closed());
}

#[test]
fn reading_stops_while_the_peer_leaves_output_unread() {
    let keep_alive = Some(KeepAlive { ping_after: 200 * SECOND, dead_after: 45 * SECOND });
    let config = Config { unsent_bytes_max: 1_000, keep_alive, ..Config::default() };
    let mut server = server(config);
    server.send(MessageKind::Binary, Bytes::from(vec![0; 2_000]));
    assert!(!server.wants_input());

    let reads_on = START + 40 * SECOND;
    server.poll_transmit(reads_on).unwrap().advance(500);
    assert_eq!(server.poll_timeout(), Some(reads_on + 45 * SECOND), "a sign of life");

    server.poll_transmit(reads_on + SECOND).unwrap().advance(1_000);
    assert!(server.wants_input());
    server.poll_transmit(reads_on + 2 * SECOND).unwrap().advance(500);
    assert_eq!(
        server.poll_timeout(),
        Some(reads_on + 46 * SECOND),
        "a dead peer's transport takes a little too, so that small writes show nothing"
    );
}

#[test]
fn close_of_the_peer_is_answered_with_its_code() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let (events, answer) = answer_to_close(&close_payload(code, b"bye"));
        assert_eq!(events, [closed(CloseCode(code), "bye", Side::Peer)]);
        assert_eq!(answer, [(OpCode::Close, close_payload(code, b""))]);
    }
    let (events, answer) = answer_to_close(b"");
    assert_eq!(events, [closed(CloseCode::NO_STATUS, "", Side::Peer)]);
    assert_eq!(answer, [(OpCode::Close, vec![])]);
    let longest = [b'*'; limits::CLOSE_REASON_BYTES_MAX];
    let (events, _) = answer_to_close(&close_payload(1000, &longest));
    assert_eq!(events, [closed(CloseCode::NORMAL, &"*".repeat(123), Side::Peer)]);
}

#[test]
fn unsound_close_is_refused() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let close = frame(OpCode::Close, &close_payload(code, b""));
        check_fails(Config::default(), &close, CloseCode::PROTOCOL_ERROR);
    }
    check_fails(Config::default(), &frame(OpCode::Close, b"\x03"), CloseCode::PROTOCOL_ERROR);
    let not_utf8 = frame(OpCode::Close, &close_payload(1000, b"\xce\xba\xed\xa0\x80"));
    check_fails(Config::default(), &not_utf8, CloseCode::INVALID_PAYLOAD);
}

#[test]
fn nothing_is_read_behind_a_close() {
    let mut server = server(Config::default());
    let input = [
        fragment(OpCode::Binary, b"half"),
        frame(OpCode::Close, &close_payload(1000, b"")),
        frame(OpCode::Ping, b""),
        frame(OpCode::Binary, b"late"),
    ]
    .concat();
    server.handle_input(START, &input);
    server.handle_input(START, &frame(OpCode::Close, b""));
    assert_eq!(events(&mut server), [closed(CloseCode::NORMAL, "", Side::Peer)]);
    assert_eq!(frames(&written(&mut server)).len(), 1);
    assert!(!server.wants_input());
}

#[test]
fn messages_before_the_end_can_still_be_answered() {
    for (end, code) in [
        (frame(OpCode::Close, &close_payload(1000, b"")), 1000),
        (b"\x83\x80\0\0\0\0".to_vec(), 1002),
    ] {
        let mut server = server(Config::default());
        server.handle_input(START, &[frame(OpCode::Binary, b"question"), end].concat());
        assert_eq!(server.poll_event(), Some(binary(b"question")));
        server.send(MessageKind::Binary, Bytes::from_static(b"answer"));
        let Some(Event::Closed { .. }) = server.poll_event() else { panic!("the end must come") };
        server.send(MessageKind::Binary, Bytes::from_static(b"too late"));
        let [answer, (OpCode::Close, close)] = &frames(&written(&mut server))[..] else {
            panic!("an answer and a close must be written");
        };
        assert_eq!(answer, &(OpCode::Binary, b"answer".to_vec()));
        assert_eq!(close[..2], u16::to_be_bytes(code));
        assert!(server.is_closed());
    }
}

#[test]
fn what_was_queued_leaves_before_our_close_and_nothing_behind_it() {
    let mut server = server(Config::default());
    server.send(MessageKind::Binary, Bytes::from_static(b"last words"));
    server.close(START, CloseCode(4401), "signed out");
    server.send(MessageKind::Binary, Bytes::from_static(b"too late"));
    server.handle_input(START, &frame(OpCode::Ping, b"there?"));
    assert_eq!(
        frames(&written(&mut server)),
        [
            (OpCode::Binary, b"last words".to_vec()),
            (OpCode::Close, close_payload(4401, b"signed out")),
        ]
    );
}

#[test]
fn our_close_waits_for_the_peers_and_drops_messages_meanwhile() {
    let mut server = server(Config::default());
    server.handle_input(START, &fragment(OpCode::Binary, &[0; 1_000]));
    server.close(START, CloseCode::GOING_AWAY, "restart");
    written(&mut server);
    assert_eq!(server.buffer_capacity(), 0);
    assert!(!server.is_closed());

    server.handle_input(START, &frame(OpCode::Continuation, &[0; 1_000]));
    server.handle_input(START, &frame(OpCode::Binary, b"crossed"));
    assert_eq!(events(&mut server), []);
    server.handle_input(START, &frame(OpCode::Close, &close_payload(1001, b"")));
    assert_eq!(events(&mut server), [closed(CloseCode::GOING_AWAY, "", Side::Local)]);
    assert_eq!(written(&mut server), b"", "one close is enough");
}

#[test]
fn peer_that_does_not_answer_our_close_is_left_at_the_deadline() {
    let mut server = server(Config::default());
    server.close(START, CloseCode::NORMAL, "");
    let deadline = START + limits::CLOSE_TIMEOUT;
    assert_eq!(server.poll_timeout(), Some(deadline));
    server.handle_timeout(deadline - SECOND);
    assert!(!server.is_closed());
    server.handle_timeout(deadline);
    assert_eq!(
        events(&mut server),
        [closed(CloseCode::ABNORMAL, "our close was not answered", Side::Local)]
    );
}

#[test]
fn transport_that_ends_without_a_close_is_reported_once() {
    let mut server = server(Config::default());
    server.handle_end_of_input();
    server.handle_end_of_input();
    let reason = "the transport ended without a close";
    assert_eq!(events(&mut server), [closed(CloseCode::ABNORMAL, reason, Side::Peer)]);
}
