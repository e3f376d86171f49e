//! Plays with named people: what they see of each other through real clients and a model of the
//! server.

use std::time::Duration;

use tidings_client_core::database::{Database, Draft, DraftPurpose, Standing};
use tidings_client_core::view::DeliveryState;
use tidings_client_core::{
    Change, Command, ConnectionState, Failure, Lifecycle, Notice, OfflineReason, Outcome, Send,
    SignIn, SignUp, Unsent,
};
use tidings_model::{ConversationId, Refusal, Seq};
use tidings_protocol_content::{Content, Reference};
use tidings_protocol_identity::{Password, UserName};

use crate::world::{World, address, in_words, message_id, messages};

pub(crate) fn sign_up(name: &str) -> Command {
    Command::SignUp(Box::new(SignUp {
        server: address(),
        invite: None,
        user_name: UserName::parse(name).expect("a good name"),
        password: Password::parse("correct horse").expect("a good password"),
        display_name: String::new(),
        device_name: "laptop".into(),
    }))
}

pub(crate) fn sign_in(name: &str, password: &str) -> Command {
    Command::SignIn(Box::new(SignIn {
        server: address(),
        user_name: UserName::parse(name).expect("a good name"),
        password: Password::parse(password).expect("a good password"),
        device_name: "phone".into(),
    }))
}

#[test]
fn anna_signs_up_and_signs_in_on_another_device() {
    let mut world = World::new(1);
    world.add_person("laptop");
    let command = world.command("laptop", sign_up("Anna"));
    world.calm();
    let [Outcome::SignedIn(me)] = world.outcomes("laptop", command) else {
        panic!("{:?}", world.outcomes("laptop", command));
    };
    assert_eq!((me.user_name.as_str(), me.administrator), ("anna", true));
    let account = me.account;
    world.command("laptop", Command::CreateNotesToSelf { open: true });
    world.calm();

    world.add_person("phone");
    let wrong = world.command("phone", sign_in("anna", "wrong horse"));
    world.pass(Duration::from_secs(5));
    let [Outcome::Refused(refused)] = world.outcomes("phone", wrong) else { panic!("refused") };
    assert_eq!(refused.name, "NOT_AUTHENTICATED");

    let right = world.command("phone", sign_in("anna", "correct horse"));
    world.calm();
    let [Outcome::SignedIn(me)] = world.outcomes("phone", right) else { panic!("signed in") };
    assert_eq!(me.account, account);
    assert_eq!(world.person("phone").list.len(), 1);
}

#[test]
fn sign_up_that_was_cut_off_goes_on_as_the_same_account() {
    let mut world = World::new(2);
    world.add_person("Anna");
    world.command("Anna", sign_up("anna"));
    world.deliver_to_client("Anna");
    world.deliver_to_server("Anna");
    world.deliver_to_client("Anna");
    // The server takes the sign-up, and its answer is lost with the program.
    assert!(world.deliver_to_server("Anna"));
    assert_eq!(world.server.accounts.len(), 1);
    world.restart_client("Anna");
    world.calm();
    let me = world.people["Anna"].client.me().expect("Anna is signed in");
    assert_eq!(me.account, world.server.accounts[0].id);
    assert_eq!(world.server.accounts.len(), 1);
}

#[test]
fn sign_up_without_a_server_fails_in_words_and_does_not_try_for_ever() {
    let mut world = World::new(3);
    world.is_cut = true;
    world.add_person("Anna");
    let command = world.command("Anna", sign_up("anna"));
    world.pass(Duration::from_secs(60));
    let [Outcome::Failed(failure)] = world.outcomes("Anna", command) else { panic!("failed") };
    assert_eq!(failure.to_string(), "the server cannot be reached: the network is cut");
}

#[test]
fn kofi_reads_what_anna_says_and_she_sees_it_pass_every_state() {
    let mut world = World::with_people(4, &["Anna", "Kofi"]);
    let kofi = world.id("Kofi");
    let command = world.command("Anna", Command::CreateDirect { with: kofi, open: true });
    world.calm();
    let [Outcome::Queued { conversation, .. }, Outcome::Accepted { .. }] =
        *world.outcomes("Anna", command)
    else {
        panic!("made");
    };
    world.timeline("Anna", conversation);
    let state = |world: &mut World| {
        let rows = &world.person("Anna").timelines[&conversation];
        messages(rows)[0].state.clone()
    };
    world.say("Anna", conversation, "Hello, Kofi");
    assert_eq!(state(&mut world), Some(DeliveryState::Waiting));
    world.cut("Kofi");
    while world.deliver_to_server("Anna") || world.deliver_to_client("Anna") {}
    assert_eq!(state(&mut world), Some(DeliveryState::Stored));
    world.pass(Duration::from_secs(10));
    assert_eq!(state(&mut world), Some(DeliveryState::Delivered));

    let summary = world.person("Kofi").list[0].clone();
    assert_eq!((summary.title.as_str(), summary.unread), ("Anna", 1));
    world.command("Kofi", Command::MarkRead { conversation, up_to: summary.head });
    world.pass(Duration::from_secs(5));
    assert_eq!(world.person("Kofi").list[0].unread, 0);
    assert_eq!(state(&mut world), Some(DeliveryState::Read));
    world.check();
}

#[test]
fn everything_said_offline_is_shown_at_once_and_arrives_in_order() {
    let mut world = World::with_people(5, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.is_cut = true;
    world.cut("Anna");
    for line in ["one", "two", "three"] {
        world.say("Anna", choir, line);
    }
    assert_eq!(world.lines("Anna", choir)[1..], ["Anna: one", "Anna: two", "Anna: three"]);
    world.restart_client("Anna");
    assert_eq!(world.lines("Anna", choir)[1..], ["Anna: one", "Anna: two", "Anna: three"]);
    world.is_cut = false;
    world.calm();
    assert_eq!(world.lines("Kofi", choir)[1..], ["Anna: one", "Anna: two", "Anna: three"]);
    world.check();
}

#[test]
fn same_message_id_handed_over_again_is_answered_and_never_doubled() {
    let mut world = World::with_people(6, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let send = || {
        Command::Send(Send {
            conversation: choir,
            message_id: Some(message_id(1)),
            text: "once".into(),
            reply_to: None,
        })
    };
    world.is_cut = true;
    world.cut("Anna");
    let first = world.command("Anna", send());
    let again = world.command("Anna", send());
    assert!(matches!(world.outcomes("Anna", first), [Outcome::Queued { .. }]));
    assert!(matches!(world.outcomes("Anna", again), [Outcome::Queued { .. }]));
    world.is_cut = false;
    world.calm();
    let later = world.command("Anna", send());
    assert!(matches!(
        world.outcomes("Anna", later),
        [Outcome::Queued { .. }, Outcome::Accepted { seq: Some(_), .. }]
    ));
    world.calm();
    assert_eq!(world.texts(choir).len(), 1);
}

#[test]
fn edit_deletion_and_reaction_change_the_message_for_everybody() {
    let mut world = World::with_people(7, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let draft = world.say("Anna", choir, "Rehersal at 8");
    let secret = world.say("Anna", choir, "a secret");
    world.calm();
    let edit = Command::Edit { conversation: choir, target: draft, text: "Rehearsal at 8".into() };
    world.command("Anna", edit);
    world.command("Anna", Command::Delete { conversation: choir, target: secret });
    let react = |emoji: &str| Command::React {
        conversation: choir,
        target: draft,
        emoji: emoji.to_owned(),
    };
    world.command("Kofi", react("👍"));
    world.command("Anna", react("👎"));
    world.command("Anna", react("👍"));
    world.calm();
    let expected = ["Anna: Rehearsal at 8 (edited) 👍×2", "Anna: (deleted)"];
    assert_eq!(world.lines("Anna", choir)[1..], expected);
    assert_eq!(world.lines("Kofi", choir)[1..], expected);
    let log = &world.server.conversations[&choir].log;
    assert!(log.iter().any(|entry| entry.message_id == secret.message_id && entry.erased));

    world.command("Kofi", react(""));
    world.calm();
    assert_eq!(world.lines("Anna", choir)[1], "Anna: Rehearsal at 8 (edited) 👍×1");
    let stranger = Command::Edit { conversation: choir, target: draft, text: "no".into() };
    let command = world.command("Kofi", stranger);
    assert_eq!(world.outcomes("Kofi", command), [Outcome::Failed(Failure::NotYours)]);
}

#[test]
fn what_kofi_may_not_do_changes_nothing_even_when_his_client_lies() {
    let mut world = World::with_people(8, &["Anna", "Kofi", "Noor"]);
    let choir = world.group("Choir", &["Anna", "Kofi", "Noor"]);
    let target = world.say("Anna", choir, "mine");
    world.calm();
    let kofi = world.id("Kofi");
    for content in
        [Content::edit(message_id(1), target, "forged"), Content::deletion(message_id(2), target)]
    {
        let id = content.message_id;
        world.server.inject(choir, kofi, id, content.encode().expect("content"));
    }
    world.calm();
    assert_eq!(world.lines("Noor", choir)[1..], ["Anna: mine"]);
    let anna = world.id("Anna");
    let by_the_owner = world.say("Kofi", choir, "off topic");
    world.calm();
    let content = Content::deletion(message_id(3), by_the_owner);
    world.server.inject(choir, anna, content.message_id, content.encode().expect("content"));
    world.calm();
    assert_eq!(world.lines("Noor", choir)[2..], ["Kofi: (deleted)"]);
}

#[test]
fn message_that_stands_in_the_log_twice_is_shown_once() {
    let mut world = World::with_people(35, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let message = world.say("Anna", choir, "once");
    world.calm();
    let again = Content::text(message.message_id, "and another time");
    let anna = world.id("Anna");
    world.server.inject(choir, anna, message.message_id, again.encode().expect("content"));
    world.say("Anna", choir, "next");
    world.calm();
    assert_eq!(world.lines("Kofi", choir)[1..], ["Anna: once", "Anna: next"]);
    assert_eq!(world.person("Kofi").list[0].unread, 2);
}

#[test]
fn who_leaves_and_comes_back_sees_the_gap_and_nothing_of_it() {
    let mut world = World::with_people(9, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.say("Kofi", choir, "bye");
    world.command("Kofi", Command::Change { conversation: choir, change: Change::Leave });
    world.calm();
    world.say("Anna", choir, "he is gone");
    world.calm();
    let refused = world.command(
        "Kofi",
        Command::Send(Send {
            conversation: choir,
            message_id: None,
            text: "still here?".into(),
            reply_to: None,
        }),
    );
    assert_eq!(world.outcomes("Kofi", refused), [Outcome::Failed(Failure::NotAMember)]);
    let kofi = world.id("Kofi");
    let add = Command::Change { conversation: choir, change: Change::Add(vec![kofi]) };
    world.command("Anna", add);
    world.say("Anna", choir, "welcome back");
    world.calm();
    assert_eq!(
        world.lines("Kofi", choir),
        [
            "Anna made it",
            "Kofi: bye",
            "Kofi left",
            "gap 4-4",
            "Anna added Kofi",
            "Anna: welcome back"
        ]
    );
    assert_eq!(world.lines("Anna", choir)[2..4], ["Kofi left", "Anna: he is gone"]);
    world.check();
}

#[test]
fn late_comer_is_told_of_the_gap_before_and_of_all_members() {
    let mut world = World::with_people(10, &["Anna", "Kofi", "Noor"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.say("Anna", choir, "before");
    world.calm();
    let noor = world.id("Noor");
    let add = Command::Change { conversation: choir, change: Change::Add(vec![noor]) };
    world.command("Anna", add);
    let name = Change::Rename("Chœur".into());
    world.command("Anna", Command::Change { conversation: choir, change: name });
    world.calm();
    assert_eq!(world.lines("Noor", choir), ["gap 1-2", "Anna added Noor", "Anna renamed it Chœur"]);
    let command = world.command("Noor", Command::Members { conversation: choir });
    let [Outcome::Members(members)] = world.outcomes("Noor", command) else { panic!("members") };
    assert_eq!(members.len(), 3);
    assert_eq!(world.person("Noor").list[0].title, "Chœur");
    world.check();
}

#[test]
fn message_that_is_refused_for_good_is_kept_with_the_reason_and_can_be_retried() {
    let mut world = World::with_people(11, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.server.faults.refuse = Some(|| Refusal::PayloadTooLarge { max: 10 });
    let refused = world.say("Anna", choir, "too long");
    world.calm();
    world.server.faults.refuse = None;
    world.say("Anna", choir, "short");
    world.calm();
    let rows = world.timeline("Anna", choir);
    let states: Vec<_> = messages(&rows).iter().map(|message| message.state.clone()).collect();
    let reason = "a payload has at most 10 bytes: send longer things as a file";
    assert_eq!(states[1], Some(DeliveryState::Failed(reason.into())));
    world.restart_client("Anna");
    world.calm();
    assert_eq!(world.lines("Anna", choir)[1..], ["Anna: short", "Anna: too long"]);
    let retry = world.command("Anna", Command::Retry { message_id: refused.message_id });
    world.calm();
    assert!(matches!(
        world.outcomes("Anna", retry),
        [Outcome::Queued { .. }, Outcome::Accepted { .. }]
    ));
    assert_eq!(world.lines("Kofi", choir)[1..], ["Anna: short", "Anna: too long"]);
}

#[test]
fn message_that_is_refused_for_good_can_be_discarded() {
    let mut world = World::with_people(12, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.server.faults.refuse = Some(|| Refusal::Forbidden);
    let refused = world.say("Anna", choir, "no");
    world.calm();
    let discard = Command::Discard { message_id: refused.message_id };
    let command = world.command("Anna", discard);
    assert_eq!(world.outcomes("Anna", command), [Outcome::Done]);
    assert_eq!(world.lines("Anna", choir).len(), 1);
}

#[test]
fn full_disk_at_the_server_holds_the_outbox_and_keeps_its_order() {
    let mut world = World::with_people(13, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.server.faults.refuse = Some(|| Refusal::StorageFull);
    for line in ["one", "two", "three"] {
        world.say("Anna", choir, line);
    }
    world.pass(Duration::from_secs(40));
    assert_eq!(world.people["Anna"].client.unsent(), 3);
    world.server.faults.refuse = None;
    world.calm();
    assert_eq!(world.lines("Kofi", choir)[1..], ["Anna: one", "Anna: two", "Anna: three"]);
}

#[test]
fn passing_refusal_is_told_once_for_each_reason_and_until_the_server_takes_something() {
    let mut world = World::with_people(19, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let held = |world: &World| world.people["Anna"].client.outbox_held().map(str::to_owned);
    let (full, busy) = (Refusal::StorageFull.to_string(), Refusal::Unavailable.to_string());
    assert_eq!(held(&world), None);
    world.server.faults.refuse = Some(|| Refusal::StorageFull);
    world.say("Anna", choir, "one");
    world.say("Anna", choir, "two");
    // Tries again many times, over a new connection too.
    world.pass(Duration::from_secs(200));
    world.cut("Anna");
    world.pass(Duration::from_secs(200));
    assert_eq!(held(&world).as_ref(), Some(&full));
    world.server.faults.refuse = Some(|| Refusal::Unavailable);
    world.pass(Duration::from_secs(200));
    assert_eq!(held(&world).as_ref(), Some(&busy));
    world.server.faults.refuse = None;
    world.calm();
    assert_eq!(held(&world), None);
    let told = |reason| Notice::OutboxHeld { reason };
    let expected = [told(full.clone()), told(busy), Notice::OutboxReleased];
    assert_eq!(world.people["Anna"].notices, expected);
    // The same reason is told again when it comes back.
    world.server.faults.refuse = Some(|| Refusal::StorageFull);
    world.say("Anna", choir, "three");
    world.deliver_all();
    assert_eq!(world.people["Anna"].notices[3..], [told(full)]);
}

#[test]
fn full_disk_of_the_device_fails_the_command_and_nothing_else() {
    let mut world = World::with_people(14, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.person("Anna").database.is_full = true;
    let send = Send { conversation: choir, message_id: None, text: "lost?".into(), reply_to: None };
    let command = world.command("Anna", Command::Send(send));
    let [Outcome::Failed(failure)] = world.outcomes("Anna", command) else { panic!("failed") };
    assert!(failure.to_string().contains("disk of this device is full"));
    world.person("Anna").database.is_full = false;
    world.say("Anna", choir, "kept");
    world.calm();
    assert_eq!(world.texts(choir).len(), 1);
    assert_eq!(world.lines("Kofi", choir)[1..], ["Anna: kept"]);
    world.check();
}

#[test]
fn revoked_device_is_signed_out_and_keeps_what_was_typed() {
    let mut world = World::with_people(15, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.is_cut = true;
    world.cut("Anna");
    world.say("Anna", choir, "typed on a train");
    let device = world.people["Anna"].device();
    world.server.revoke(device);
    world.is_cut = false;
    world.pass(Duration::from_secs(10));
    let person = world.person("Anna");
    assert!(person.notices.contains(&Notice::SignedOut));
    assert_eq!(
        person.client.connection_state(),
        ConnectionState::Offline(OfflineReason::SignedOut)
    );
    assert_eq!(world.lines("Anna", choir)[1..], ["Anna: typed on a train"]);
    assert_eq!(world.people["Anna"].client.unsent(), 1);
}

#[test]
fn live_connection_of_a_revoked_device_ends_signed_out_and_the_others_hear_of_it() {
    let mut world = World::with_people(16, &["Anna"]);
    world.add_device("Anna", "Anna's phone");
    let device = world.people["Anna"].device();
    let revoke = world.command("Anna's phone", Command::RevokeDevice { device });
    world.pass(Duration::from_secs(3));
    assert_eq!(world.outcomes("Anna's phone", revoke), [Outcome::Done]);
    let standing = world.people["Anna"].database.account().unwrap().unwrap().standing;
    assert_eq!(standing, Standing::SignedOut);
    assert_eq!(world.people["Anna"].notices, [Notice::SignedOut]);
    assert_eq!(
        world.people["Anna's phone"].notices,
        [Notice::DeviceRevoked { name: "laptop".into() }]
    );
}

#[test]
fn signing_out_asks_before_it_loses_what_was_not_sent() {
    let mut world = World::with_people(17, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.is_cut = true;
    world.cut("Anna");
    world.say("Anna", choir, "not yet");
    let command = world.command("Anna", Command::SignOut(Unsent::Keep));
    assert_eq!(world.outcomes("Anna", command), [Outcome::Failed(Failure::Unsent { count: 1 })]);
    world.is_cut = false;
    world.calm();
    let command = world.command("Anna", Command::SignOut(Unsent::Keep));
    world.pass(Duration::from_secs(5));
    assert_eq!(world.outcomes("Anna", command), [Outcome::Done]);
    let person = world.person("Anna");
    assert!(person.client.me().is_none() && person.list.is_empty());
    assert!(person.database.account().unwrap().is_none());
}

#[test]
fn request_without_a_connection_fails_after_a_while() {
    let mut world = World::with_people(18, &["Anna"]);
    world.is_cut = true;
    world.cut("Anna");
    let user_name = UserName::parse("kofi").unwrap();
    let command = world.command("Anna", Command::LookUp { user_name });
    world.pass(Duration::from_secs(30));
    assert_eq!(world.outcomes("Anna", command), [Outcome::Failed(Failure::NotConnected)]);
}

#[test]
fn looked_up_person_is_found_and_unknown_one_is_refused() {
    let mut world = World::with_people(19, &["Anna", "Kofi"]);
    let look_up = |name: &str| Command::LookUp { user_name: UserName::parse(name).unwrap() };
    let found = world.command("Anna", look_up("kofi"));
    let missing = world.command("Anna", look_up("nobody"));
    world.calm();
    world.deliver_all();
    assert!(matches!(world.outcomes("Anna", found), [Outcome::Profile(_)]));
    assert!(matches!(world.outcomes("Anna", missing), [Outcome::Refused(_)]));
}

#[test]
fn draft_survives_a_restart_and_is_emptied_by_the_message_that_it_becomes() {
    let mut world = World::with_people(20, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let question = world.say("Kofi", choir, "When?");
    world.calm();
    let draft = Draft { text: "At eight".into(), purpose: DraftPurpose::Reply(question) };
    world.command("Anna", Command::SetDraft { conversation: choir, draft });
    world.restart_client("Anna");
    world.calm();
    assert_eq!(world.person("Anna").list[0].draft.as_deref(), Some("At eight"));
    world.command("Anna", Command::SendDraft { conversation: choir });
    assert_eq!(world.person("Anna").list[0].draft, None);
    world.calm();
    let rows = world.timeline("Kofi", choir);
    let reply = messages(&rows)[1].reply_to.clone().expect("a reply");
    assert_eq!((reply.author.name.as_str(), reply.text.as_str()), ("Kofi", "When?"));
}

#[test]
fn lost_last_entry_is_found_within_a_minute() {
    let mut world = World::with_people(21, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.server.faults.mute = true;
    world.say("Anna", choir, "does anybody hear me?");
    world.pass(Duration::from_secs(2));
    world.server.faults.mute = false;
    assert_eq!(world.lines("Kofi", choir).len(), 1);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.lines("Kofi", choir)[1..], ["Anna: does anybody hear me?"]);
}

#[test]
fn own_message_that_the_live_feed_left_out_is_read_from_the_log() {
    let mut world = World::with_people(22, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.server.faults.mute = true;
    world.say("Anna", choir, "hello");
    world.pass(Duration::from_secs(3));
    assert_eq!(world.people["Anna"].client.unsent(), 0);
    assert_eq!(world.people["Anna"].database.outbox().unwrap(), []);
}

#[test]
fn device_that_runs_on_an_older_copy_reads_before_it_sends() {
    let mut world = World::with_people(23, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let copy = world.people["Anna"].database.clone();
    world.say("Anna", choir, "one");
    world.calm();
    world.cut("Anna");
    world.calm();
    world.cut("Anna");
    world.person("Anna").reopen(copy);
    world.command("Anna", Command::Connect);
    world.calm();
    assert!(world.person("Anna").notices.contains(&Notice::DeviceRestored));
    assert_eq!(world.lines("Anna", choir)[1..], ["Anna: one"]);
    world.say("Anna", choir, "two");
    world.calm();
    assert_eq!(world.lines("Kofi", choir)[1..], ["Anna: one", "Anna: two"]);
    world.check();
}

#[test]
fn server_restored_from_a_backup_gets_back_what_its_clients_hold() {
    let mut world = World::with_people(24, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    for line in 1..=9 {
        let who = if line % 2 == 1 { "Anna" } else { "Kofi" };
        world.say(who, choir, &format!("line {line}"));
        world.calm();
    }
    world.server.restore(|_| 4);
    world.is_cut = true;
    world.restart_server();
    world.pass(Duration::from_secs(1));
    world.is_cut = false;
    world.calm();
    let went_back = |notice: &Notice| matches!(notice, Notice::LogWentBack { .. });
    assert!(world.person("Anna").notices.iter().any(went_back));
    let mut texts: Vec<String> = world.texts(choir).into_iter().map(|(_, text)| text).collect();
    let own: Vec<&String> = texts.iter().filter(|text| text.ends_with(['5', '7', '9'])).collect();
    assert_eq!(own, ["line 5", "line 7", "line 9"], "Anna's keep their order");
    texts.sort();
    let all: Vec<String> = (1..=9).map(|line| format!("line {line}")).collect();
    assert_eq!(texts, all, "nothing is lost and nothing stands twice");
    world.check();
}

#[test]
fn message_of_somebody_who_is_away_stays_after_a_restore_until_it_comes_back() {
    let mut world = World::with_people(25, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.say("Anna", choir, "before");
    world.calm();
    world.say("Kofi", choir, "only Anna has this now");
    world.calm();
    world.command("Kofi", Command::Disconnect);
    world.server.restore(|_| 2);
    world.restart_server();
    world.calm();
    let rows = world.timeline("Anna", choir);
    let lost = messages(&rows)[1];
    assert!(lost.detached);
    assert_eq!(in_words(&rows[2]), "Kofi: only Anna has this now");
    world.command("Kofi", Command::Connect);
    world.calm();
    let rows = world.timeline("Anna", choir);
    assert_eq!(messages(&rows).len(), 2);
    assert!(!messages(&rows)[1].detached);
    world.check();
}

#[test]
fn silence_is_noticed_and_the_connection_is_made_anew() {
    let mut world = World::with_people(26, &["Anna"]);
    let resumes = world.server.resumes;
    // The network swallows everything and says nothing.
    for _ in 0..60 {
        world.advance(Duration::from_secs(1));
    }
    world.deliver_all();
    world.pass(Duration::from_secs(5));
    assert!(world.server.resumes > resumes);
    assert_eq!(world.people["Anna"].client.connection_state(), ConnectionState::Live);
}

#[test]
fn device_without_a_network_says_so_and_connects_when_it_returns() {
    let mut world = World::with_people(27, &["Anna"]);
    let lifecycle = |world: &mut World, lifecycle| {
        let now = world.now();
        let person = world.person("Anna");
        let (client, database) = (&mut person.client, &person.database);
        client.handle_lifecycle(now, [3; 32], database, lifecycle);
    };
    lifecycle(&mut world, Lifecycle::NetworkDown);
    assert_eq!(
        world.people["Anna"].client.connection_state(),
        ConnectionState::Offline(OfflineReason::NoNetwork)
    );
    lifecycle(&mut world, Lifecycle::NetworkUp);
    assert_eq!(world.people["Anna"].client.connection_state(), ConnectionState::Connecting);
}

#[test]
fn frame_that_breaks_the_protocol_closes_the_connection_and_changes_nothing() {
    let mut world = World::with_people(28, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let before = world.lines("Anna", choir);
    for frame in [&b"\xff\xff"[..], b"\x08\x63\x22\x00", b""] {
        let now = world.now();
        let person = world.person("Anna");
        let (client, database) = (&mut person.client, &person.database);
        let event =
            tidings_client_core::TransportEvent::Frame(bytes::Bytes::copy_from_slice(frame));
        client.handle_transport(now, [4; 32], database, event);
        world.calm();
    }
    assert!(world.person("Anna").notices.iter().any(|n| matches!(n, Notice::ProtocolViolation(_))));
    assert_eq!(world.lines("Anna", choir), before);
}

#[test]
fn typing_is_shown_and_ends_by_itself() {
    let mut world = World::with_people(29, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let typing = tidings_client_core::Typing::Started;
    world.command("Anna", Command::Typing { conversation: choir, typing });
    world.deliver_all();
    assert_eq!(world.person("Kofi").list[0].typing[0].name, "Anna");
    world.pass(Duration::from_secs(7));
    assert!(world.person("Kofi").list[0].typing.is_empty());
}

#[test]
fn search_finds_the_text_as_it_stands_now() {
    let mut world = World::with_people(30, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    let message = world.say("Anna", choir, "the owl flies");
    let other = world.say("Anna", choir, "the cat sleeps");
    world.calm();
    let edit = Command::Edit { conversation: choir, target: message, text: "the bat flies".into() };
    world.command("Anna", edit);
    world.command("Anna", Command::Delete { conversation: choir, target: other });
    world.calm();
    let found = |world: &mut World, query: &str| -> Vec<Reference> {
        let command = world.command("Kofi", Command::Search { query: query.to_owned() });
        match world.outcomes("Kofi", command) {
            [Outcome::Found(hits)] => hits.iter().map(|hit| hit.message).collect(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(found(&mut world, "bat"), [message]);
    assert_eq!(found(&mut world, "owl"), []);
    assert_eq!(found(&mut world, "cat"), []);
}

#[test]
fn second_device_of_anna_sees_her_own_messages_and_what_she_has_read() {
    let mut world = World::with_people(31, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.add_device("Anna", "Anna's phone");
    world.say("Anna", choir, "from the laptop");
    world.say("Kofi", choir, "hello both");
    world.calm();
    assert_eq!(world.person("Anna's phone").list[0].unread, 1);
    let head = world.person("Anna").list[0].head;
    world.command("Anna", Command::MarkRead { conversation: choir, up_to: head });
    world.pass(Duration::from_secs(5));
    assert_eq!(world.person("Anna's phone").list[0].unread, 0);
    let lines = world.lines("Anna's phone", choir);
    assert!(lines.contains(&"Anna: from the laptop".to_owned()));
}

#[test]
fn receipts_leave_at_most_once_in_two_seconds() {
    let mut world = World::with_people(32, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    world.pass(Duration::from_secs(5));
    let before = world.people["Kofi"].frames_sent;
    for line in 0..50 {
        world.say("Anna", choir, &format!("{line}"));
        world.deliver_all();
    }
    world.pass(Duration::from_secs(4));
    let sent = world.people["Kofi"].frames_sent - before;
    assert!((1..=3).contains(&sent), "{sent} frames");
}

#[test]
fn direct_conversation_with_oneself_is_refused_in_words() {
    let mut world = World::with_people(33, &["Anna"]);
    let anna = world.id("Anna");
    let command = world.command("Anna", Command::CreateDirect { with: anna, open: true });
    assert!(matches!(world.outcomes("Anna", command), [Outcome::Failed(Failure::Invalid(_))]));
    let unknown = ConversationId::from_bytes([9; 16]);
    let command = world.command("Anna", Command::OpenView { conversation: unknown });
    assert_eq!(world.outcomes("Anna", command), [Outcome::Failed(Failure::NoSuchConversation)]);
}

#[test]
fn older_pages_of_a_long_timeline_are_loaded_on_demand() {
    let mut world = World::with_people(34, &["Anna", "Kofi"]);
    let choir = world.group("Choir", &["Anna", "Kofi"]);
    for line in 0..250 {
        world.say("Anna", choir, &format!("line {line}"));
    }
    world.calm();
    assert_eq!(world.timeline("Kofi", choir).len(), 100);
    world.command("Kofi", Command::LoadOlder { conversation: choir });
    assert_eq!(world.person("Kofi").timelines[&choir].len(), 200);
    world.command("Kofi", Command::LoadOlder { conversation: choir });
    let rows = world.person("Kofi").timelines[&choir].clone();
    assert_eq!(rows.len(), 251);
    assert_eq!(in_words(&rows[1]), "Anna: line 0");
    let summary = &world.person("Kofi").list[0];
    assert_eq!((summary.unread, summary.head), (250, Seq::new(251).unwrap()));
}

#[test]
fn conversation_that_the_other_side_has_just_made_is_there_at_once() {
    let mut world = World::with_people(1, &["Anna", "Kofi"]);
    let (anna, kofi) = (world.id("Anna"), world.id("Kofi"));
    world.server.faults.mute = true;
    world.command("Anna", Command::CreateDirect { with: kofi, open: true });
    world.deliver_all();
    let command = world.command("Kofi", Command::CreateDirect { with: anna, open: true });
    world.deliver_all();
    let outcomes = world.outcomes("Kofi", command);
    assert!(matches!(outcomes, [Outcome::Queued { .. }, Outcome::Accepted { .. }]), "{outcomes:?}");
}
