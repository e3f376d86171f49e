//! A new device gets what was said before it came: from the device that has linked it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tidings_client_core::view::TimelineRow;
use tidings_client_core::{Command, Notice, Outcome};
use tidings_model::ConversationId;
use tidings_protocol_app::wire::inbox_items;
use tidings_protocol_app::wire::server_frame::Body;
use tidings_sim::World;

/// Anna, who talks with Kofi, with Romy, and with both.
fn world(seed: u64, messages: usize) -> (World, Vec<ConversationId>) {
    let mut world = World::new(seed);
    world.people(&["anna", "kofi", "romy"]);
    let talks = vec![
        world.direct("anna", "kofi"),
        world.group("choir", &["anna", "kofi", "romy"]),
        world.direct("romy", "anna"),
    ];
    for number in 0..messages {
        let other = ["kofi", "romy", "romy"];
        for (talk, other) in talks.iter().zip(other) {
            let speaker = if number % 3 == 0 { "anna" } else { other };
            world.say(speaker, *talk, &format!("{speaker} says {number}"));
        }
        if number % 10 == 9 {
            world.until_quiet();
        }
    }
    world.until_quiet();
    (world, talks)
}

fn history_is_over(world: &World, device: &str) -> bool {
    let is_over = |notice: &Notice| matches!(notice, Notice::HistoryEnded { completed: true, .. });
    world.notices(device).iter().any(is_over)
}

/// How many conversations are done, of how many, and whether the other device is waited for: as it was told
/// last.
fn progress(world: &World, device: &str) -> Option<(usize, usize, bool)> {
    world.notices(device).iter().rev().find_map(|notice| match notice {
        Notice::HistoryComes { done, total, waits, .. } => Some((*done, *total, *waits)),
        _ => None,
    })
}

fn check_same(world: &mut World, device: &str, other: &str, talks: &[ConversationId]) {
    for talk in talks {
        let texts = world.texts(device, *talk);
        assert_eq!(texts, world.texts(other, *talk));
        let rows = world.timeline(device, *talk);
        let is_gap = |row: &TimelineRow| matches!(row, TimelineRow::Gap(_));
        let of_old = world.timeline(other, *talk);
        assert_eq!(
            rows.iter().filter(|row| is_gap(row)).count(),
            of_old.iter().filter(|row| is_gap(row)).count(),
            "{device} lacks something that {other} has"
        );
    }
}

fn found(world: &mut World, device: &str, query: &str) -> usize {
    match world.outcome(device, Command::Search { query: query.to_owned() }) {
        Outcome::Found(hits) => hits.len(),
        other => panic!("{device}: {other:?}"),
    }
}

#[test]
fn linked_device_gets_the_history_and_can_be_used_meanwhile() {
    let (mut world, talks) = world(1, 100);
    let phone = world.unlinked("anna");
    world.link_with("anna", &phone);
    world.run_until("a first part", |world| progress(world, &phone).is_some());
    world.run_until("a place in a group", |world| {
        world.summary(&phone, talks[0]).is_some_and(|summary| summary.head.get() > 0)
    });
    world.say("kofi", talks[1], "is your phone new?");
    world.run_until("the history", |world| history_is_over(world, &phone));
    world.until_quiet();
    world.say(&phone, talks[1], "yes, and it has everything");
    world.until_quiet();
    check_same(&mut world, &phone, "anna", &talks);
    assert_eq!(world.texts(&phone, talks[1]).len(), 102);
    let of_old = found(&mut world, "anna", "says");
    assert_eq!(found(&mut world, &phone, "says"), of_old, "it is found by search");
    let unread = world.summary(&phone, talks[0]).map(|summary| summary.unread);
    assert_eq!(unread, Some(0), "what is old is not new again");
}

#[test]
fn history_waits_for_the_old_device_and_says_so() {
    let (mut world, talks) = world(6, 20);
    let phone = world.unlinked("anna");
    world.link_with("anna", &phone);
    world.go_offline("anna");
    world.run_for(Duration::from_secs(2 * 24 * 60 * 60));
    let (done, total, waits) = progress(&world, &phone).expect("it was told");
    assert!(done < total && waits, "{done} of {total}");
    world.say(&phone, talks[0], "from the new one");
    world.go_online("anna");
    world.run_until("the history", |world| history_is_over(world, &phone));
    world.until_quiet();
    check_same(&mut world, &phone, "anna", &talks);
}

#[test]
fn what_was_edited_deleted_and_reacted_to_looks_the_same_on_the_new_device() {
    let (mut world, talks) = world(7, 12);
    let of = |world: &mut World, text: &str| {
        let rows = world.timeline("anna", talks[0]);
        rows.into_iter()
            .find_map(|row| match row {
                TimelineRow::Message(message) if format!("{:?}", message.text).contains(text) => {
                    Some(message.message)
                }
                _ => None,
            })
            .expect("it was said")
    };
    let (first, second) = (of(&mut world, "anna says 3"), of(&mut world, "anna says 6"));
    let third = of(&mut world, "kofi says 4");
    let (conversation, text) = (talks[0], "better".to_owned());
    world.command("anna", Command::React { conversation, target: third, emoji: "👍".into() });
    world.command("anna", Command::Delete { conversation, target: second });
    world.until_quiet();
    world.command("anna", Command::Edit { conversation, target: first, text });
    world.until_quiet();
    let phone = world.link("anna");
    world.run_until("the history", |world| history_is_over(world, &phone));
    let of_messages = |world: &mut World, device: &str| {
        let rows = world.timeline(device, conversation);
        rows.into_iter()
            .filter_map(|row| match row {
                TimelineRow::Message(message) => Some(format!("{message:?}")),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of_messages(&mut world, &phone), of_messages(&mut world, "anna"));
    assert_eq!(found(&mut world, &phone, "better"), 1);
}

#[test]
fn server_that_alters_parts_can_neither_read_them_nor_show_what_was_not_said() {
    let (mut world, talks) = world(8, 20);
    let altered = Rc::new(Cell::new(0));
    let count = altered.clone();
    world.tamper(move |_, mut frame| {
        let Some(Body::InboxItems(items)) = &mut frame.body else { return vec![frame] };
        for item in &mut items.items {
            let Some(inbox_items::item::Of::Message(message)) = &mut item.of else { continue };
            let mut payload = message.payload.to_vec();
            assert!(!payload.windows(5).any(|part| part == b"says "), "the server reads a part");
            // Of the messages between devices only parts of a history are so long.
            if payload.len() > 1_000 && count.get() < 3 {
                count.set(count.get() + 1);
                let last = payload.len() - 1;
                payload[last] ^= 1;
                message.payload = payload.into();
            }
        }
        vec![frame]
    });
    let phone = world.unlinked("anna");
    world.link_with("anna", &phone);
    world.run_until("three altered parts", |_| altered.get() == 3);
    world.run_for(Duration::from_secs(60));
    world.stop_tampering();
    world.run_until("the history", |world| history_is_over(world, &phone));
    world.until_quiet();
    check_same(&mut world, &phone, "anna", &talks);
}

#[test]
fn history_of_a_group_that_the_account_has_left_comes_too() {
    let (mut world, talks) = world(9, 20);
    world.leave("anna", talks[1]);
    world.until_quiet();
    world.say("kofi", talks[1], "she has gone");
    world.until_quiet();
    let phone = world.link("anna");
    world.run_until("the history", |world| history_is_over(world, &phone));
    world.until_quiet();
    check_same(&mut world, &phone, "anna", &talks);
    assert_eq!(world.texts(&phone, talks[1]).len(), 20);
}
