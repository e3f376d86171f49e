//! What was acknowledged is there after a SIGKILL, once and in order.

use std::collections::HashMap;

use tidings_protocol_app::wire::server_frame::Body as Answer;

use crate::app::{App, Person, accepted, create_group, random, read_log, send};
use crate::house::House;

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_and_a_retry_doubles_nothing() {
    let fast = ["--limits-messages-per-second", "100000", "--limits-messages-burst", "100000"];
    let mut house = House::plain(&[&["--accounts-sign-up", "open"], &fast[..]].concat());
    let (mut app, mut anna) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    accepted(app.ask(create));
    // What was sent, in order, and the seq of what was acknowledged.
    let mut sent: Vec<[u8; 16]> = Vec::new();
    let mut acknowledged: HashMap<[u8; 16], u64> = HashMap::new();
    for life in 1..=4 {
        let mut answers = 0;
        let mut awaited = HashMap::new();
        // The kill meets requests without an answer.
        while answers < 60 * life {
            for _ in 0..8 {
                let id = random();
                awaited.insert(app.queue(send(group, id, &id)), id);
                sent.push(id);
            }
            app.flush();
            for _ in 0..6 {
                let (number, answer) = app.hear().expect("it lives");
                if let Answer::Accepted(accepted) = answer {
                    acknowledged.insert(awaited[&number], accepted.seq);
                    answers += 1;
                }
            }
            if awaited.len() - answers > 40 {
                break;
            }
        }
        house.kill_and_restart();
        app = App::live(&house, &mut anna);
        retry_unanswered(&mut app, &sent, &mut acknowledged, group);
    }
    check_log(&house, &mut anna, group, &sent, &acknowledged);
}

fn retry_unanswered(
    app: &mut App,
    sent: &[[u8; 16]],
    acknowledged: &mut HashMap<[u8; 16], u64>,
    group: tidings_model::ConversationId,
) {
    for id in sent {
        let answer = accepted(app.ask(send(group, *id, id)));
        let seq = *acknowledged.entry(*id).or_insert(answer.seq);
        assert_eq!(answer.seq, seq, "a retry gets the first seq");
        assert!(!answer.payload_differs);
    }
}

fn check_log(
    house: &House,
    anna: &mut Person,
    group: tidings_model::ConversationId,
    sent: &[[u8; 16]],
    acknowledged: &HashMap<[u8; 16], u64>,
) {
    let log = read_log(&mut App::live(house, anna), group);
    assert!(log.iter().map(|entry| entry.seq).eq(1..=log.len() as u64), "gap-free");
    assert_eq!(log.len(), sent.len() + 1, "each once");
    for entry in &log[1..] {
        assert_eq!(entry.payload, entry.message_id, "whole");
        let id: [u8; 16] = entry.message_id[..].try_into().unwrap();
        assert_eq!(acknowledged[&id], entry.seq);
    }
}
