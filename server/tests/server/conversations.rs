//! Talking: sending and fetching, live delivery, cursors, slow readers.

use tidings_model::ConversationId;
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{id_bytes, wire};

use crate::app::{App, accepted, create_group, random, read_log, send};
use crate::house::House;

#[test]
fn message_reaches_the_live_reader_and_the_one_who_comes_later() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut anna_app, anna) = App::new_person(&house, "anna");
    let (mut kofi_app, mut kofi) = App::new_person(&house, "kofi");
    let direct = ConversationId::direct(anna.account, kofi.account);
    let create = Body::Create(wire::Create {
        conversation: id_bytes(direct.as_bytes()),
        kind: wire::ConversationKind::Direct as i32,
        name: String::new(),
        members: vec![id_bytes(kofi.account.as_bytes())],
        message_id: id_bytes(&random()),
        group: None,
    });
    assert_eq!(accepted(anna_app.ask(create)).seq, 1);
    kofi_app.wait_for_conversation(direct);
    let sent = accepted(anna_app.ask(send(direct, random(), b"hello")));
    assert_eq!(sent.seq, 2);

    let entry = loop {
        if let Answer::Entry(live) = kofi_app.event()
            && let Some(entry) = live.entry
            && entry.seq == 2
        {
            break entry;
        }
    };
    assert_eq!(&entry.payload[..], b"hello");
    assert_eq!(&entry.account[..], anna.account.as_bytes());
    drop(kofi_app);

    accepted(anna_app.ask(send(direct, random(), b"are you there?")));
    let mut kofi_app = App::greeted(&house);
    let resumed = kofi_app.resume(&mut kofi);
    assert_eq!(resumed.conversations[0].head, 3);
    let log = read_log(&mut kofi_app, direct);
    let payloads: Vec<_> = log.iter().skip(1).map(|entry| entry.payload.clone()).collect();
    assert_eq!(payloads, [&b"hello"[..], b"are you there?"]);
}

#[test]
fn resume_with_cursors_tells_only_what_has_changed() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut app, mut anna) = App::new_person(&house, "anna");
    let mut cursors = Vec::new();
    for _ in 0..3 {
        let (group, create) = create_group(&[]);
        app.ask(create);
        let last = accepted(app.ask(send(group, random(), b"x")));
        let log = read_log(&mut app, group);
        cursors.push(wire::Cursor {
            conversation: id_bytes(group.as_bytes()),
            log_epoch: last.log_epoch,
            seq: last.seq,
            checksum: log.last().unwrap().checksum,
            roster_version: 1,
        });
    }
    let changed = ConversationId::try_from(&cursors[1].conversation[..]).unwrap();
    accepted(app.ask(send(changed, random(), b"y")));
    let mut app = App::greeted(&house);
    let resume = wire::Resume { cursors, ..anna.resume() };
    let Answer::Resumed(resumed) = app.ask(Body::Resume(resume)) else { panic!("not resumed") };
    let told: Vec<_> = resumed.conversations.iter().map(|state| &state.conversation[..]).collect();
    assert_eq!(told, [&changed.as_bytes()[..]]);
}

#[test]
fn slow_reader_loses_the_live_feed_and_not_one_message() {
    const MESSAGES: usize = 800;
    let fast = ["--limits-messages-per-second", "100000", "--limits-messages-burst", "100000"];
    let house = House::plain(&[&["--accounts-sign-up", "open"], &fast[..]].concat());
    let (mut writer, anna) = App::new_person(&house, "anna");
    let (mut slow, kofi) = App::new_person(&house, "kofi");
    let (mut quick, _) = App::new_person(&house, "witness");
    let (group, create) = create_group(&[&kofi]);
    accepted(writer.ask(create));
    // Far more than the system buffers on the way, while Kofi's app reads nothing.
    let payload = vec![b'x'; 60 * 1024];
    for _ in 0..MESSAGES / 32 {
        let numbers: Vec<_> =
            (0..32).map(|_| writer.queue(send(group, random(), &payload))).collect();
        writer.flush();
        for number in numbers {
            accepted(writer.answer_to(number).expect("served"));
        }
        quick.check_alive();
    }
    let mut live_entries = 0;
    let head = loop {
        match slow.event() {
            Answer::Entry(_) => live_entries += 1,
            Answer::ConversationsChanged(changed)
                if changed.conversations[0].head == MESSAGES as u64 + 1 =>
            {
                break changed.conversations[0].head;
            }
            _ => {}
        }
    };
    assert!(live_entries < MESSAGES, "the live feed was dropped");
    let log = read_log(&mut slow, group);
    assert!(log.iter().map(|entry| entry.seq).eq(1..=head));
    assert!(log.iter().skip(1).all(|entry| entry.payload == payload));
    assert!(log.iter().all(|entry| &entry.account[..] == anna.account.as_bytes()));
}

#[test]
fn typing_and_receipts_reach_the_partner() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut anna, _) = App::new_person(&house, "anna");
    let (mut kofi, kofi_account) = App::new_person(&house, "kofi");
    let (group, create) = create_group(&[&kofi_account]);
    accepted(anna.ask(create));
    for app in [&mut anna, &mut kofi] {
        app.wait_for_conversation(group);
    }
    let sent = accepted(anna.ask(send(group, random(), b"x")));
    let conversation = id_bytes(group.as_bytes());
    kofi.ask(Body::Typing(wire::Typing { conversation: conversation.clone(), typing: true }));
    kofi.ask(Body::Acknowledge(wire::Acknowledge {
        conversation,
        log_epoch: sent.log_epoch,
        delivered: sent.seq,
        read: sent.seq,
    }));
    let (mut typed, mut read) = (false, false);
    while !(typed && read) {
        match anna.event() {
            Answer::TypingChanged(change) => typed |= change.typing,
            Answer::ReceiptsChanged(change) => {
                read |= change.receipts.iter().any(|receipt| {
                    receipt.account[..] == kofi_account.account.as_bytes()[..]
                        && receipt.read == sent.seq
                });
            }
            _ => {}
        }
    }
}
