//! Properties: what a connection writes another one reads, however it is cut, and no bytes make it
//! panic or hold more than its limits.

use crate::peer::*;
use bytes::{Buf, Bytes};
use proptest::prelude::*;
use tidings_protocol_websocket::{Config, Connection, Event, MessageKind, OpCode};

fn message() -> impl Strategy<Value = (MessageKind, Bytes)> {
    let lengths = prop_oneof![0..20_usize, 120..130_usize, 65_530..65_540_usize];
    prop_oneof![
        lengths
            .prop_flat_map(|length| prop::collection::vec(any::<u8>(), length))
            .prop_map(|payload| (MessageKind::Binary, Bytes::from(payload))),
        ".{0,60}".prop_map(|payload| (MessageKind::Text, Bytes::from(payload))),
    ]
}

/// Moves everything from one end to the other in pieces of the given sizes, over and over.
fn carry(from: &mut Connection, to: &mut Connection, pieces: &[usize]) -> Vec<Event> {
    let mut received = Vec::new();
    let mut pieces = pieces.iter().cycle();
    while let Some(mut transmit) = from.poll_transmit(START) {
        let piece = transmit.remaining().min(*pieces.next().unwrap());
        to.handle_input(START, &transmit.copy_to_bytes(piece));
        received.extend(events(to));
    }
    received
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_survive_both_ways_in_any_pieces(
        messages in prop::collection::vec(message(), 0..5),
        pieces in prop::collection::vec(1..70_000_usize, 1..8),
    ) {
        let expected: Vec<_> = messages
            .iter()
            .map(|(kind, payload)| Event::Message { kind: *kind, payload: payload.clone() })
            .collect();
        let mut client = client(text_too());
        let mut server = server(text_too());
        for (kind, payload) in messages {
            client.send(kind, payload.clone());
            server.send(kind, payload);
        }
        prop_assert_eq!(&carry(&mut client, &mut server, &pieces), &expected);
        prop_assert_eq!(&carry(&mut server, &mut client, &pieces), &expected);
        prop_assert_eq!((client.buffer_capacity(), server.buffer_capacity()), (0, 0));
    }

    #[test]
    fn message_survives_any_fragmentation(
        payload in "\\PC{0,200}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        pieces in 1..40_usize,
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        cuts.sort_unstable();
        let mut input = Vec::new();
        let mut opcode = OpCode::Text;
        let mut start = 0;
        for cut in cuts {
            input.extend(fragment(opcode, &payload.as_bytes()[start..cut]));
            input.extend(frame(OpCode::Pong, b"between"));
            (opcode, start) = (OpCode::Continuation, cut);
        }
        input.extend(frame(opcode, &payload.as_bytes()[start..]));

        let mut server = server(text_too());
        for piece in input.chunks(pieces) {
            server.handle_input(START, piece);
        }
        let last = events(&mut server).pop();
        prop_assert_eq!(last, Some(text(&payload)));
    }

    #[test]
    fn text_is_taken_exactly_if_it_is_utf8(
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            prop::collection::vec(0x80..=0xf5_u8, 0..6),
            "\\PC{0,8}".prop_map(String::into_bytes),
        ],
        pieces in 1..20_usize,
    ) {
        let mut server = server(text_too());
        for piece in frame(OpCode::Text, &payload).chunks(pieces) {
            server.handle_input(START, piece);
        }
        prop_assert_eq!(server.is_closed(), std::str::from_utf8(&payload).is_err());
    }

    #[test]
    fn any_bytes_leave_the_connection_within_its_limits(
        input in prop::collection::vec(any::<u8>(), 0..300),
        pieces in 1..50_usize,
    ) {
        let config = Config { message_bytes_max: 100, ..text_too() };
        for mut connection in [server(config.clone()), client(config)] {
            for piece in input.chunks(pieces) {
                connection.handle_input(START, piece);
                for event in events(&mut connection) {
                    if let Event::Message { payload, .. } = event {
                        prop_assert!(payload.len() <= 100);
                    }
                }
                written(&mut connection);
                prop_assert!(connection.buffer_capacity() <= 100 + 125);
            }
        }
    }

    #[test]
    fn announced_length_that_never_comes_costs_no_memory(
        announced in any::<u64>(),
        arrived in 0..200_usize,
    ) {
        let mut server = server(Config { message_bytes_max: usize::MAX, ..text_too() });
        let announced = announced >> 1;
        let mut input = announce(true, OpCode::Binary, announced);
        input.resize(input.len() + arrived, 0);
        server.handle_input(START, &input);
        drop(events(&mut server));
        drop(written(&mut server));
        prop_assert!(server.buffer_capacity() <= 2 * arrived);
    }
}
