//! Hostile requests. The numbers are those of the project's table of hostile inputs.

use bytes::Bytes;
use tidings_model::{ConversationId, DeviceId};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{id_bytes, wire};

use crate::app::{App, Person, accepted, create_group, fetch, random, read_log, refused, send};
use crate::house::House;

fn open_house() -> House {
    House::plain(&["--accounts-sign-up", "open"])
}

#[test]
fn row_11_request_before_auth_closes_with_1008() {
    let house = open_house();
    let (mut witness, _) = App::new_person(&house, "witness");
    let conversation = ConversationId::from_bytes(random());
    for mut app in [App::silent(&house), App::greeted(&house)] {
        app.say(send(conversation, random(), b"x"));
        let closed = app.hear().expect_err("no frame");
        assert_eq!((closed.code, closed.reason.as_str()), (1008, "Unauthenticated"));
    }
    witness.check_alive();
}

/// Every request that names somebody's thing, aimed at a conversation and a device.
fn requests_about(conversation: ConversationId, device: DeviceId, member: &Person) -> Vec<Body> {
    let id = || id_bytes(conversation.as_bytes());
    let account = || id_bytes(member.account.as_bytes());
    let change = |act| {
        Body::Change(wire::Change {
            conversation: id(),
            message_id: id_bytes(&random()),
            act: Some(act),
        })
    };
    use wire::change::{Act, Add, Leave, Remove, Rename, SetRole};
    vec![
        send(conversation, random(), b"x"),
        change(Act::Add(Add { accounts: vec![account()] })),
        change(Act::Remove(Remove { account: account() })),
        change(Act::Leave(Leave {})),
        change(Act::Rename(Rename { name: "Mine".to_owned() })),
        change(Act::SetRole(SetRole { account: account(), role: wire::Role::Owner as i32 })),
        Body::Erase(wire::Erase { conversation: id(), seq: 1 }),
        fetch(conversation, 0, 0),
        fetch(conversation, 77, 1),
        Body::Describe(wire::Describe { conversation: id() }),
        Body::Acknowledge(wire::Acknowledge {
            conversation: id(),
            log_epoch: 77,
            delivered: 1,
            read: 1,
        }),
        Body::Typing(wire::Typing { conversation: id(), typing: true }),
        Body::View(wire::View { conversation: id(), open: true }),
        Body::RevokeDevice(wire::RevokeDevice { device: id_bytes(device.as_bytes()) }),
    ]
}

#[test]
fn row_12_things_of_others_are_not_found_and_look_like_absent_ones() {
    let house = open_house();
    let (mut anna_app, anna) = App::new_person(&house, "anna");
    let (mut mallory, mallory_account) = App::new_person(&house, "mallory");
    let (group, create) = create_group(&[]);
    accepted(anna_app.ask(create));
    accepted(anna_app.ask(send(group, random(), b"secret")));

    let absent = ConversationId::from_bytes(random());
    let nobodys = DeviceId::of_account(anna.account, random());
    let of_others = requests_about(group, anna.device, &mallory_account);
    let of_nobody = requests_about(absent, nobodys, &mallory_account);
    for (others, nobodys) in of_others.into_iter().zip(of_nobody) {
        let what = format!("{others:?}");
        let (others, nobodys) = (refused(mallory.ask(others)), refused(mallory.ask(nobodys)));
        assert_eq!(others.name, "NOT_FOUND", "{what}");
        assert_eq!(others, nobodys, "{what}");
    }
    assert_eq!(read_log(&mut anna_app, group).len(), 2, "nothing was changed");
    anna_app.check_alive();
}

#[test]
fn row_12_former_member_sees_what_was_theirs_and_changes_nothing() {
    let house = open_house();
    let (mut anna_app, _) = App::new_person(&house, "anna");
    let (mut kofi_app, kofi) = App::new_person(&house, "kofi");
    let (group, create) = create_group(&[&kofi]);
    accepted(anna_app.ask(create));
    let remove = wire::change::Act::Remove(wire::change::Remove {
        account: id_bytes(kofi.account.as_bytes()),
    });
    accepted(anna_app.ask(Body::Change(wire::Change {
        conversation: id_bytes(group.as_bytes()),
        message_id: id_bytes(&random()),
        act: Some(remove),
    })));
    accepted(anna_app.ask(send(group, random(), b"about Kofi")));
    assert_eq!(refused(kofi_app.ask(send(group, random(), b"x"))).name, "NOT_A_MEMBER");
    let seen: Vec<_> = read_log(&mut kofi_app, group).iter().map(|entry| entry.seq).collect();
    assert_eq!(seen, [1, 2], "up to the entry that took him out");
}

#[test]
fn row_13_number_twice_in_flight_is_refused_the_second_time() {
    let fast = ["--limits-messages-per-second", "100000", "--limits-messages-burst", "100000"];
    let house = House::plain(&[&["--accounts-sign-up", "open"], &fast[..]].concat());
    let (mut app, _) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    accepted(app.ask(create));
    // The first has to be in flight when the second comes. It waits for the disk, which is almost
    // always the slower; where it was not, the number was free again.
    let was_refused = (0..100).any(|_| {
        app.queue_as(500, send(group, random(), b"x"));
        app.queue_as(500, send(group, random(), b"y"));
        app.flush();
        let (first, second) = (app.answer_to(500).unwrap(), app.answer_to(500).unwrap());
        accepted(second);
        match first {
            Answer::Accepted(_) => false,
            other => refused(other).name == "DUPLICATE_REQUEST",
        }
    });
    assert!(was_refused);
}

#[test]
fn row_14_cursor_ahead_or_of_another_epoch_is_told_where_to_go_on() {
    let house = open_house();
    let (mut app, _) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    let first = accepted(app.ask(create));
    let ahead = refused(app.ask(fetch(group, first.log_epoch, 900)));
    assert_eq!((ahead.name.as_str(), ahead.head), ("CURSOR_AHEAD", 1));
    // Such a cursor is a sign of a log that was cut short, so that the log begins a new epoch.
    let epoch = loop {
        if let Answer::ConversationsChanged(changed) = app.event()
            && changed.conversations[0].log_epoch != first.log_epoch
        {
            break changed.conversations[0].log_epoch;
        }
    };
    let former = refused(app.ask(fetch(group, first.log_epoch, 1)));
    assert_eq!((former.name.as_str(), former.log_epoch), ("EPOCH_CHANGED", epoch));
    assert_eq!(former.log_epoch_since, 1, "what was read up to there is still right");
    assert!(matches!(app.ask(fetch(group, epoch, 1)), Answer::Entries(_)));
    assert_eq!(read_log(&mut app, group).len(), 1);
}

#[test]
fn row_15_message_id_with_another_payload_gets_the_first_seq_and_a_flag() {
    let house = open_house();
    let (mut app, _) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    accepted(app.ask(create));
    let id = random();
    let first = accepted(app.ask(send(group, id, b"first")));
    let again = accepted(app.ask(send(group, id, b"first")));
    assert_eq!((again.seq, again.payload_differs), (first.seq, false));
    let other = accepted(app.ask(send(group, id, b"other")));
    assert_eq!((other.seq, other.payload_differs), (first.seq, true));
    let log = read_log(&mut app, group);
    assert_eq!(log.len(), 2);
    assert_eq!(&log[1].payload[..], b"first");
}

#[test]
fn row_15_message_id_with_another_act_gets_the_first_seq_and_a_flag() {
    let house = open_house();
    let (mut app, _) = App::new_person(&house, "anna");
    let (_, kofi) = App::new_person(&house, "kofi");
    let (group, Body::Create(create)) = create_group(&[&kofi]) else { panic!("a creation") };
    let made = accepted(app.ask(Body::Create(create.clone())));
    let again = accepted(app.ask(Body::Create(create.clone())));
    assert_eq!((again.seq, again.payload_differs), (made.seq, false));
    let alone = wire::Create { members: Vec::new(), ..create.clone() };
    let renamed = wire::Create { name: "Band".to_owned(), ..create.clone() };
    for other in [alone, renamed] {
        let other = accepted(app.ask(Body::Create(other)));
        assert_eq!((other.seq, other.payload_differs), (made.seq, true));
    }

    let id = random();
    let change = |act| {
        Body::Change(wire::Change {
            conversation: id_bytes(group.as_bytes()),
            message_id: id_bytes(&id),
            act: Some(act),
        })
    };
    use wire::change::{Act, Remove, Rename};
    let rename = |name: &str| change(Act::Rename(Rename { name: name.to_owned() }));
    let first = accepted(app.ask(rename("Band")));
    let again = accepted(app.ask(rename("Band")));
    assert_eq!((again.seq, again.payload_differs), (first.seq, false));
    let remove = change(Act::Remove(Remove { account: id_bytes(kofi.account.as_bytes()) }));
    for other in [rename("Orchestra"), remove, send(group, id, b"Band")] {
        let other = accepted(app.ask(other));
        assert_eq!((other.seq, other.payload_differs), (first.seq, true));
    }
    let over_a_change =
        accepted(app.ask(Body::Create(wire::Create { message_id: id_bytes(&id), ..create })));
    assert_eq!((over_a_change.seq, over_a_change.payload_differs), (first.seq, true));
    assert_eq!(read_log(&mut app, group).len(), 2, "the first ones stand alone");
}

#[test]
fn row_16_time_of_the_client_is_kept_as_a_hint_and_the_servers_rules() {
    const TEN_YEARS_MS: i64 = 10 * 365 * 24 * 3_600 * 1_000;
    let house = open_house();
    let (mut app, _) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    let created = accepted(app.ask(create));
    let told = [created.time - TEN_YEARS_MS, created.time + TEN_YEARS_MS, i64::MIN, i64::MAX, 0];
    for client_time in told {
        let sent = accepted(app.ask(Body::Send(wire::Send {
            conversation: id_bytes(group.as_bytes()),
            message_id: id_bytes(&random()),
            payload: Bytes::from_static(b"x"),
            client_time,
            expires_after_ms: 0,
        })));
        assert!((created.time..created.time + TEN_YEARS_MS / 2).contains(&sent.time));
    }
    let log = read_log(&mut app, group);
    assert!(log.is_sorted_by_key(|entry| (entry.seq, entry.time)));
    assert!(log.iter().all(|entry| (0..TEN_YEARS_MS / 2).contains(&(entry.time - created.time))));
    let kept: Vec<i64> = log.iter().skip(1).map(|entry| entry.client_time).collect();
    assert_eq!(kept, told, "as they came, and 0 where none was told");
}

#[test]
fn every_limit_of_a_request_is_named() {
    let house = open_house();
    let (mut app, _) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    accepted(app.ask(create));
    let id = || id_bytes(group.as_bytes());
    let add = |people: usize| {
        let accounts = (0..people).map(|_| id_bytes(&random())).collect();
        Body::Change(wire::Change {
            conversation: id(),
            message_id: id_bytes(&random()),
            act: Some(wire::change::Act::Add(wire::change::Add { accounts })),
        })
    };
    let rename = |bytes: usize| {
        Body::Change(wire::Change {
            conversation: id(),
            message_id: id_bytes(&random()),
            act: Some(wire::change::Act::Rename(wire::change::Rename { name: "x".repeat(bytes) })),
        })
    };
    for (request, name, limit, value) in [
        (send(group, random(), &[0; 65_537]), "PAYLOAD_TOO_LARGE", "payload_bytes", 65_536),
        (rename(257), "NAME_TOO_LONG", "name_bytes", 256),
        (add(129), "TOO_MANY_ADDED", "adds_per_change", 128),
    ] {
        let refused = refused(app.ask(request));
        assert_eq!((refused.name.as_str(), refused.limit.as_str()), (name, limit));
        assert_eq!(refused.limit_value, value);
    }
    let rate = loop {
        match app.ask(send(group, random(), b"x")) {
            Answer::Accepted(_) => {}
            answer => break refused(answer),
        }
    };
    assert_eq!((rate.name.as_str(), rate.limit_value), ("RATE_LIMITED", 20));
    assert!(rate.retry && rate.retry_after_ms > 0);
}
