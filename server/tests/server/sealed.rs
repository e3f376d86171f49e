//! Sealed conversations through the real program. The numbers are those of the project's table of
//! hostile inputs.

mod device;

use bytes::Bytes;
use tidings_client_mls::Intent;
use tidings_model::{AccountId, ConversationId, DeviceId};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{encode, id_bytes, sealed, wire};
use tidings_protocol_mls::{DeviceIdentity, GroupId, Roles};

use crate::app::{App, Person, accepted, create_group, random, read_log, refused, send};
use crate::house::House;
use device::{Device, commit_body, done, now, publish_list, wait_as_told};

fn open_house() -> House {
    House::plain(&["--accounts-sign-up", "open"])
}

/// Anna and Kofi in a direct conversation that Anna has made.
fn two_people(house: &House) -> (Device, Device, ConversationId) {
    let mut anna = Device::new_account(house, "anna");
    let mut kofi = Device::new_account(house, "kofi");
    let roles = Roles::direct(anna.account(), kofi.account());
    let conversation = anna.create(&roles, &[kofi.account()]);
    let added_at = anna.add(conversation, &[kofi.account()]);
    assert_eq!(added_at, 2);
    assert_eq!(kofi.join(), conversation);
    (anna, kofi, conversation)
}

/// A second device of somebody, online and in the account's list.
fn link_device(house: &House, of: &mut Device, password: &str) -> Device {
    let mut person = of.person.on_another_device();
    let mut app = App::greeted(house);
    let answer = app.sign_in(&person, password);
    assert!(matches!(answer, Answer::SignedIn(_)), "{answer:?}");
    app.resume(&mut person);
    let linked = Device::unlisted(app, person);
    let (device, key) = (linked.device(), linked.key.public());
    of.extend_list(|list, signer| list.add_device(signer, device, key, now()).expect("added"));
    linked
}

/// An account that can be signed in to by password.
fn new_account_with_password(house: &House, name: &str, password: &str) -> Device {
    use tidings_protocol_identity::Password;
    use tidings_protocol_identity::scram::Verifier;
    let mut app = App::greeted(house);
    let mut person = Person::named(name);
    let verifier = Verifier::derive(&Password::parse(password).expect("a password"), random());
    let answer = app.ask(Body::SignUp(person.sign_up(None, &verifier)));
    assert!(matches!(answer, Answer::SignedUp(_)), "{answer:?}");
    app.resume(&mut person);
    let mut device = Device::unlisted(app, person);
    device.found_list();
    device.publish_key_packages(2);
    device
}

fn commit_of(conversation: ConversationId, group_info: Bytes, commit: Bytes, id: [u8; 16]) -> Body {
    Body::Commit(wire::Commit {
        conversation: id_bytes(conversation.as_bytes()),
        message_id: id_bytes(&id),
        commit,
        group_info,
        welcome: Bytes::new(),
        joiners: Vec::new(),
    })
}

/// The clear beginning of a Commit (RFC 9420 §6.2), and nothing sound behind it.
fn junk_commit(conversation: ConversationId, epoch: u64, id: [u8; 16], bytes: usize) -> Bytes {
    let mut message = vec![0, 1, 0, 1, 21];
    message.extend(GroupId { conversation, generation: 1 }.to_bytes());
    message.extend(epoch.to_be_bytes());
    message.extend([1, 0, 0, 0, 0, 16]);
    message.extend(id);
    message.push(3);
    message.resize(message.len() + bytes, 7);
    message.into()
}

#[test]
fn two_people_talk_and_the_log_holds_nothing_that_they_said() {
    let house = open_house();
    let (mut anna, mut kofi, conversation) = two_people(&house);
    for (index, text) in ["Rehearsal at seven?", "Bring the score."].into_iter().enumerate() {
        let id = random();
        let payload = anna.seal(conversation, id, text);
        assert_eq!(accepted(anna.app.ask(send(conversation, id, &payload))).seq, 3 + index as u64);
    }
    assert_eq!(kofi.read(conversation), ["Rehearsal at seven?", "Bring the score."]);
    let id = random();
    let payload = kofi.seal(conversation, id, "I will be there.");
    accepted(kofi.app.ask(send(conversation, id, &payload)));
    assert_eq!(anna.read(conversation), ["I will be there."]);
    assert_eq!(kofi.read(conversation), [""; 0], "the own message is known already");

    let log = read_log(&mut anna.app, conversation);
    let kinds: Vec<_> = log.iter().map(|entry| entry.kind()).collect();
    use wire::EntryKind::{Commit, Event, Message};
    assert_eq!(kinds, [Event, Commit, Message, Message, Message]);
    let holds = |bytes: &[u8], text: &str| {
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    for text in ["Rehearsal", "score", "I will"] {
        assert!(log.iter().all(|entry| !holds(&entry.payload, text)), "{text}");
    }
}

#[test]
fn sealed_conversation_says_so_and_where_its_group_stands() {
    let house = open_house();
    let (mut anna, _, conversation) = two_people(&house);
    let describe = wire::Describe { conversation: id_bytes(conversation.as_bytes()) };
    let Answer::Description(description) = anna.app.ask(Body::Describe(describe)) else {
        panic!("no description")
    };
    let state = description.state.expect("a state");
    assert_eq!(state.group, Some(wire::GroupEpoch { generation: 1, epoch: 1 }));
    assert_eq!((state.name.as_str(), state.member_count), ("", 2));
    let (group, create) = create_group(&[]);
    accepted(anna.app.ask(create));
    let describe = wire::Describe { conversation: id_bytes(group.as_bytes()) };
    let Answer::Description(description) = anna.app.ask(Body::Describe(describe)) else {
        panic!("no description")
    };
    assert_eq!(description.state.expect("a state").group, None);
}

#[test]
fn message_of_a_former_epoch_is_refused_and_sealed_again_under_its_id() {
    let house = open_house();
    let (mut anna, mut kofi, conversation) = two_people(&house);
    let id = random();
    let stale = kofi.seal(conversation, id, "late");
    anna.commit(conversation, &[Intent::Refresh]);
    let conflict = refused(kofi.app.ask(send(conversation, id, &stale)));
    assert_eq!(conflict.name, "EPOCH_CONFLICT");
    assert_eq!(conflict.group, Some(wire::GroupEpoch { generation: 1, epoch: 2 }));
    kofi.read(conversation);
    let sealed = kofi.seal(conversation, id, "late");
    let sent = accepted(kofi.app.ask(send(conversation, id, &sealed)));
    assert_eq!(anna.read(conversation), ["late"]);
    // The retry of an accepted message is answered, whatever epoch the group is in.
    anna.app.check_alive();
    let again = accepted(kofi.app.ask(send(conversation, id, &sealed)));
    assert_eq!((again.seq, again.payload_differs), (sent.seq, false));
}

#[test]
fn row_70_commit_of_another_epoch_is_refused_and_a_retry_gets_its_seq() {
    let house = open_house();
    let (mut anna, mut kofi, conversation) = two_people(&house);
    let of_anna = anna.build_commit(conversation, &[Intent::Refresh]);
    let of_kofi = kofi.build_commit(conversation, &[Intent::Refresh]);
    let first = anna.accepted_in_its_turn(&commit_body(conversation, &of_anna));
    let lost = refused(kofi.app.ask(commit_body(conversation, &of_kofi)));
    assert_eq!(lost.name, "EPOCH_CONFLICT");
    assert_eq!(lost.group, Some(wire::GroupEpoch { generation: 1, epoch: 2 }));
    let again = accepted(anna.app.ask(commit_body(conversation, &of_anna)));
    assert_eq!((again.seq, again.time), (first.seq, first.time));
    kofi.discard(conversation);
    kofi.read(conversation);
    anna.read(conversation);
    // A Commit for an epoch that has not come yet.
    let id = random();
    let group_info = of_kofi.group_info.clone();
    let future = junk_commit(conversation, 9, id, 300);
    let refusal = refused(kofi.app.ask(commit_of(conversation, group_info, future, id)));
    assert_eq!(refusal.name, "EPOCH_CONFLICT");
    let id = random();
    let payload = kofi.seal(conversation, id, "still here");
    accepted(kofi.app.ask(send(conversation, id, &payload)));
    assert_eq!(anna.read(conversation), ["still here"]);
}

#[test]
fn commit_too_soon_after_another_waits_and_messages_go_on_meanwhile() {
    let house = open_house();
    let (mut anna, mut kofi, conversation) = two_people(&house);
    anna.commit(conversation, &[Intent::Refresh]);
    kofi.read(conversation);
    let of_kofi = commit_body(conversation, &kofi.build_commit(conversation, &[Intent::Refresh]));
    let busy = refused(kofi.app.ask(of_kofi.clone()));
    assert_eq!(busy.name, "COMMIT_BUSY");
    let id = random();
    let payload = kofi.seal(conversation, id, "beside a Commit that waits");
    accepted(kofi.app.ask(send(conversation, id, &payload)));
    assert_eq!(anna.read(conversation), ["beside a Commit that waits"]);
    kofi.accepted_in_its_turn(&of_kofi);
    kofi.read(conversation);
    anna.read(conversation);
    assert_eq!(kofi.group(conversation).epoch(), anna.group(conversation).epoch());
}

#[test]
fn second_device_joins_by_an_external_commit_and_reads_on() {
    let house = open_house();
    let mut anna = new_account_with_password(&house, "anna", "correct horse");
    let mut kofi = Device::new_account(&house, "kofi");
    let roles = Roles::direct(anna.account(), kofi.account());
    let conversation = anna.create(&roles, &[kofi.account()]);
    anna.add(conversation, &[kofi.account()]);
    kofi.join();
    let mut laptop = link_device(&house, &mut anna, "correct horse");
    let joined_at = laptop.join_by_external_commit(conversation);
    assert_eq!(joined_at, 3);
    kofi.learn_lists(&[anna.account()]);
    kofi.read(conversation);
    let id = random();
    let payload = kofi.seal(conversation, id, "hello to both of you");
    accepted(kofi.app.ask(send(conversation, id, &payload)));
    assert_eq!(laptop.read(conversation), ["hello to both of you"]);
    assert_eq!(anna.read(conversation), ["hello to both of you"]);
    let id = random();
    let payload = laptop.seal(conversation, id, "from the laptop");
    accepted(laptop.app.ask(send(conversation, id, &payload)));
    assert_eq!(kofi.read(conversation), ["from the laptop"]);
    assert_eq!(anna.read(conversation), ["from the laptop"]);
}

#[test]
fn direct_conversation_made_from_both_sides_is_one() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let mut kofi = Device::new_account(&house, "kofi");
    let roles = Roles::direct(anna.account(), kofi.account());
    let conversation = anna.create(&roles, &[kofi.account()]);
    let (_, body) = kofi.creation(&roles, &[anna.account()]);
    let made = accepted(kofi.app.ask(body));
    assert_eq!((made.seq, made.payload_differs), (1, false));
    kofi.join_by_external_commit(conversation);
    anna.learn_lists(&[kofi.account()]);
    anna.read(conversation);
    let id = random();
    let payload = anna.seal(conversation, id, "one conversation");
    accepted(anna.app.ask(send(conversation, id, &payload)));
    assert_eq!(kofi.read(conversation), ["one conversation"]);
}

#[test]
fn device_that_its_account_removes_is_out_at_once_and_out_of_the_group_by_the_next_commit() {
    let house = open_house();
    let mut anna = new_account_with_password(&house, "anna", "correct horse");
    let mut kofi = Device::new_account(&house, "kofi");
    let roles = Roles::direct(anna.account(), kofi.account());
    let conversation = anna.create(&roles, &[kofi.account()]);
    anna.add(conversation, &[kofi.account()]);
    kofi.join();
    let mut laptop = link_device(&house, &mut anna, "correct horse");
    laptop.join_by_external_commit(conversation);
    kofi.learn_lists(&[anna.account()]);
    kofi.read(conversation);
    anna.read(conversation);

    let stolen = laptop.device();
    anna.extend_list(|list, key| list.remove_device(key, stolen, now()).expect("removed"));
    let closed = laptop.app.wait_for_close();
    assert_eq!((closed.code, closed.reason.as_str()), (4401, "TokenRevoked"));
    let mut again = App::greeted(&house);
    again.say(Body::Resume(laptop.person.resume()));
    assert_eq!(again.hear().expect_err("no frame").code, 4401);

    while !matches!(
        kofi.app.event(),
        Answer::DeviceListChanged(changed) if changed.account[..] == anna.account().as_bytes()[..]
    ) {}
    // The leaf is due a moment after the list has changed.
    let (id, required) = loop {
        let id = random();
        let payload = kofi.seal(conversation, id, "not for the thief");
        match kofi.app.ask(send(conversation, id, &payload)) {
            Answer::Refused(required) => break (id, required),
            answer => accepted(answer),
        };
    };
    assert_eq!(required.name, "COMMIT_REQUIRED");
    assert_eq!(required.to_remove, [id_bytes(anna.account().as_bytes())]);
    kofi.learn_lists(&[anna.account()]);
    assert_eq!(
        kofi.group(conversation).must_be_removed(),
        [DeviceIdentity { account: anna.account(), device: stolen }]
    );
    kofi.commit(conversation, &[Intent::Refresh]);
    let sealed = kofi.seal(conversation, id, "not for the thief");
    accepted(kofi.app.ask(send(conversation, id, &sealed)));
    assert!(anna.read(conversation).contains(&"not for the thief".to_owned()));
    let log = read_log(&mut anna.app, conversation);
    assert!(log.last().is_some_and(|entry| entry.message_id[..] == id[..]));
}

#[test]
fn member_leaves_a_group_and_the_next_sender_carries_it_out() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let mut kofi = Device::new_account(&house, "kofi");
    let roles = Roles::group(ConversationId::from_bytes(random()), anna.account());
    let conversation = anna.create(&roles, &[]);
    anna.add(conversation, &[kofi.account()]);
    kofi.join();
    let leave = |device: &Device| {
        Body::Leave(wire::Leave {
            conversation: id_bytes(conversation.as_bytes()),
            message_id: id_bytes(&random()),
            payload: device.group(conversation).sign_leave().expect("a leave"),
        })
    };
    accepted(kofi.app.ask(leave(&kofi)));
    let id = random();
    let payload = anna.seal(conversation, id, "farewell");
    let required = refused(anna.app.ask(send(conversation, id, &payload)));
    assert_eq!(required.name, "COMMIT_REQUIRED");
    assert_eq!(required.to_remove, [id_bytes(kofi.account().as_bytes())]);
    anna.read(conversation);
    anna.commit(conversation, &[]);
    let sealed = anna.seal(conversation, id, "farewell");
    accepted(anna.app.ask(send(conversation, id, &sealed)));
    let id = random();
    assert_eq!(refused(kofi.app.ask(send(conversation, id, b"x"))).name, "NOT_A_MEMBER");
    let fetch_group = wire::FetchGroup { conversation: id_bytes(conversation.as_bytes()) };
    let refusal = refused(kofi.app.ask(Body::FetchGroup(fetch_group)));
    assert_eq!(refusal.name, "NOT_A_MEMBER");
}

#[test]
fn row_70_removed_member_commits_nothing_more() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let mut kofi = Device::new_account(&house, "kofi");
    let roles = Roles::group(ConversationId::from_bytes(random()), anna.account());
    let conversation = anna.create(&roles, &[]);
    anna.add(conversation, &[kofi.account()]);
    kofi.join();
    let of_kofi = commit_body(conversation, &kofi.build_commit(conversation, &[Intent::Refresh]));
    // A removal does not wait for the pace.
    let removal = anna.build_commit(conversation, &[Intent::RemoveAccount(kofi.account())]);
    accepted(anna.app.ask(commit_body(conversation, &removal)));
    anna.read(conversation);
    assert_eq!(refused(kofi.app.ask(of_kofi)).name, "NOT_A_MEMBER");
    let id = random();
    let place = anna.fetch_group(conversation);
    let junk = junk_commit(conversation, place.place.epoch, id, 300);
    let late = commit_of(conversation, place.group_info, junk, id);
    assert_eq!(refused(kofi.app.ask(late)).name, "NOT_A_MEMBER");
    kofi.take_in(conversation);
    assert_eq!(kofi.group(conversation).epoch(), None, "the keys are gone");
}

#[test]
fn group_is_restarted_with_the_same_people_and_not_twice_in_ten_minutes() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let mut kofi = Device::new_account(&house, "kofi");
    let roles = Roles::group(ConversationId::from_bytes(random()), anna.account());
    let conversation = anna.create(&roles, &[]);
    anna.add(conversation, &[kofi.account()]);
    kofi.join();
    let (_, of_a_member) = kofi.restart(conversation);
    assert_eq!(refused(kofi.app.ask(of_a_member)).name, "COMMIT_REFUSED");
    let id = random();
    let stale = kofi.seal(conversation, id, "over the restart");

    let (group, restart) = anna.restart(conversation);
    let restarted = accepted(anna.app.ask(restart.clone()));
    assert_eq!(accepted(anna.app.ask(restart)).seq, restarted.seq, "a retry gets its seq");
    let (_, again) = anna.restart(conversation);
    let too_soon = refused(anna.app.ask(again));
    assert_eq!(too_soon.name, "RESTART_TOO_SOON");
    assert!(too_soon.retry && too_soon.retry_after_ms > 0);
    let conflict = refused(kofi.app.ask(send(conversation, id, &stale)));
    assert_eq!(conflict.group, Some(wire::GroupEpoch { generation: 2, epoch: 0 }));

    anna.take_up(group, &restarted);
    anna.add(conversation, &[kofi.account()]);
    assert_eq!(kofi.join(), conversation);
    assert_eq!(kofi.group(conversation).id().generation, 2);
    let sealed = kofi.seal(conversation, id, "over the restart");
    accepted(kofi.app.ask(send(conversation, id, &sealed)));
    assert_eq!(anna.read(conversation), ["over the restart"]);
}

#[test]
fn killed_server_still_follows_the_group_and_knows_its_commits() {
    let mut house = open_house();
    let (mut anna, mut kofi, conversation) = two_people(&house);
    let of_anna = commit_body(conversation, &anna.build_commit(conversation, &[Intent::Refresh]));
    let first = anna.accepted_in_its_turn(&of_anna);
    house.kill_and_restart();
    anna.reconnect(&house);
    kofi.reconnect(&house);
    assert_eq!(accepted(anna.app.ask(of_anna)).seq, first.seq);
    anna.read(conversation);
    kofi.read(conversation);
    kofi.commit(conversation, &[Intent::Refresh]);
    let id = random();
    let payload = kofi.seal(conversation, id, "still here");
    accepted(kofi.app.ask(send(conversation, id, &payload)));
    assert_eq!(anna.read(conversation), ["still here"]);
}

#[test]
fn payload_that_does_not_fit_the_kind_of_its_conversation_is_refused() {
    let house = open_house();
    let (mut anna, _, conversation) = two_people(&house);
    let refusal = refused(anna.app.ask(send(conversation, random(), b"in the clear")));
    assert_eq!(refusal.name, "WRONG_SEALING");
    let (open, create) = create_group(&[]);
    accepted(anna.app.ask(create));
    let id = random();
    let sealed = anna.seal(conversation, id, "sealed");
    let elsewhere = refused(anna.app.ask(send(open, id, &sealed)));
    assert_eq!(elsewhere.name, "INVALID_FIELD");
    let mut as_if_there = sealed.to_vec();
    as_if_there[6..22].copy_from_slice(open.as_bytes());
    assert_eq!(refused(anna.app.ask(send(open, id, &as_if_there))).name, "WRONG_SEALING");
    accepted(anna.app.ask(send(open, random(), b"in the clear")));
    let rename = wire::change::Act::Rename(wire::change::Rename { name: "Mine".to_owned() });
    let refusal = refused(anna.app.ask(Body::Change(wire::Change {
        conversation: id_bytes(conversation.as_bytes()),
        message_id: id_bytes(&random()),
        act: Some(rename),
    })));
    assert!(["WRONG_SEALING", "WRONG_KIND"].contains(&refusal.name.as_str()), "{refusal:?}");
}

#[test]
fn row_69_key_packages_that_are_not_right_are_refused_and_none_is_added() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let mut kofi = Device::new_account(&house, "kofi");
    let mut publish = |packages: Vec<Bytes>| {
        let publish = wire::PublishKeyPackages { packages, ..wire::PublishKeyPackages::default() };
        anna.app.ask(Body::PublishKeyPackages(publish))
    };
    let of_kofi = kofi.key_packages[0].public.clone();
    assert_eq!(refused(publish(vec![of_kofi])).name, "KEY_PACKAGE_REFUSED");
    assert_eq!(refused(publish(vec![vec![7; 300].into()])).name, "KEY_PACKAGE_REFUSED");
    assert_eq!(
        refused(publish(vec![Bytes::from_static(b"x"); 10_000])).name,
        "TOO_MANY_KEY_PACKAGES"
    );
    let good = anna.key_packages[0].public.clone();
    let mut forged = good.to_vec();
    *forged.last_mut().expect("bytes") ^= 1;
    let mut publish = |packages: Vec<Bytes>| {
        let publish = wire::PublishKeyPackages { packages, ..wire::PublishKeyPackages::default() };
        anna.app.ask(Body::PublishKeyPackages(publish))
    };
    assert_eq!(refused(publish(vec![forged.into()])).name, "KEY_PACKAGE_REFUSED");
    let Answer::KeyPackageStock(stock) = publish(vec![good]) else { panic!("no stock") };
    assert_eq!(stock.count, 5, "what is there already is skipped");
    let claimed = kofi.claim(&[anna.account()]);
    assert_eq!(claimed.len(), 1);
}

#[test]
fn stock_holds_200_packages_and_each_is_handed_out_once() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let mut kofi = Device::new_account(&house, "kofi");
    let claim = |request: [u8; 16], of: AccountId| {
        Body::ClaimKeyPackages(wire::ClaimKeyPackages {
            request_id: id_bytes(&request),
            accounts: vec![id_bytes(of.as_bytes())],
        })
    };
    let mut seen = Vec::new();
    for _ in 0..5 {
        let request = random();
        let Answer::KeyPackages(first) = kofi.app.ask(claim(request, anna.account())) else {
            panic!("nothing claimed")
        };
        let Answer::KeyPackages(again) = kofi.app.ask(claim(request, anna.account())) else {
            panic!("nothing claimed")
        };
        assert_eq!(first, again, "a retry takes no other package");
        seen.push(first.packages[0].package.clone());
    }
    let low = loop {
        if let Answer::KeyPackagesLow(low) = anna.app.event() {
            break low;
        }
    };
    assert!(low.count < 5, "{low:?}");
    // The stock is empty: the last resort is handed out again and again.
    for _ in 0..2 {
        let last = kofi.claim(&[anna.account()]);
        seen.push(last[0].package.clone());
    }
    assert_eq!(seen[5], seen[6]);
    seen.dedup();
    let before = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), before, "a package was handed out twice");
}

#[test]
fn claims_above_the_limit_are_refused_by_name_and_own_devices_are_free() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let kofi = Device::new_account(&house, "kofi");
    let claim = |of: AccountId| {
        Body::ClaimKeyPackages(wire::ClaimKeyPackages {
            request_id: id_bytes(&random()),
            accounts: vec![id_bytes(of.as_bytes())],
        })
    };
    for _ in 0..20 {
        let answer = anna.app.ask(claim(kofi.account()));
        assert!(matches!(answer, Answer::KeyPackages(_)), "{answer:?}");
    }
    let exhausted = refused(anna.app.ask(claim(kofi.account())));
    assert_eq!(exhausted.name, "CLAIMS_EXHAUSTED");
    assert_eq!((exhausted.limit.as_str(), exhausted.limit_value), ("claims_per_minute", 20));
    assert!(exhausted.retry && exhausted.retry_after_ms > 0);
    let own = anna.app.ask(claim(anna.account()));
    assert!(matches!(own, Answer::KeyPackages(_)), "{own:?}");
}

#[test]
fn device_without_a_list_publishes_no_key_packages() {
    let house = open_house();
    let (app, person) = App::new_person(&house, "anna");
    let mut anna = Device::unlisted(app, person);
    let made = anna
        .mls
        .make_key_packages(tidings_client_mls::KeyPackageKind::Single, 1, now())
        .expect("a package");
    let publish = wire::PublishKeyPackages {
        packages: vec![made[0].public.clone()],
        ..wire::PublishKeyPackages::default()
    };
    let refusal = refused(anna.app.ask(Body::PublishKeyPackages(publish)));
    assert_eq!(refusal.name, "DEVICE_NOT_LISTED");
}

#[test]
fn device_list_grows_by_its_own_keys_alone() {
    let house = open_house();
    let mut anna = Device::new_account(&house, "anna");
    let mallory = Device::new_account(&house, "mallory");
    let entries = anna.list(anna.account()).entries().to_vec();
    done(anna.app.ask(publish_list(0, entries.clone())));
    let gap = refused(anna.app.ask(publish_list(5, entries.clone())));
    assert_eq!((gap.name.as_str(), gap.list_entries), ("DEVICE_LIST_CONFLICT", 1));
    let mut forged = anna.list(anna.account());
    let ghost = DeviceId::of_account(anna.account(), random());
    let key = mallory.key.public();
    assert!(forged.add_device(&mallory.key, ghost, key, now()).is_err());
    let mut of_mallory = mallory.list(mallory.account());
    let entry = of_mallory.add_device(&mallory.key, ghost, anna.key.public(), now());
    let refusal = refused(anna.app.ask(publish_list(1, vec![entry.expect("an entry")])));
    assert_eq!(refusal.name, "DEVICE_LIST_REFUSED");
    let other = refused(anna.app.ask(publish_list(0, of_mallory.entries()[..1].to_vec())));
    assert_eq!(other.name, "DEVICE_LIST_CONFLICT");
}

/// Every request of sealed conversations that names somebody's thing.
fn requests_about(conversation: ConversationId, device: DeviceId) -> Vec<Body> {
    let id = || id_bytes(conversation.as_bytes());
    let group = wire::GroupPublicState {
        group_info: Bytes::from_static(b"info"),
        tree: Bytes::from_static(b"tree"),
    };
    let mut requests = vec![
        Body::FetchGroup(wire::FetchGroup { conversation: id() }),
        Body::Leave(wire::Leave {
            conversation: id(),
            message_id: id_bytes(&random()),
            payload: Bytes::from_static(b"leave"),
        }),
        Body::Restart(wire::Restart {
            conversation: id(),
            message_id: id_bytes(&random()),
            group: Some(group),
        }),
        Body::SendToDevice(wire::SendToDevice {
            device: id_bytes(device.as_bytes()),
            message_id: id_bytes(&random()),
            payload: Bytes::from_static(b"psst"),
        }),
        send(conversation, random(), b"in the clear"),
    ];
    // In the group's epoch, before and after it.
    for epoch in 0..3 {
        let id = random();
        let commit = junk_commit(conversation, epoch, id, 300);
        requests.push(commit_of(conversation, Bytes::from_static(b"info"), commit, id));
        let mut message = junk_commit(conversation, epoch, id, 300).to_vec();
        message[3] = 2;
        message.splice(34..39, [1]);
        requests.push(send(conversation, id, &message));
    }
    requests
}

#[test]
fn row_12_sealed_things_of_others_are_not_found_and_look_like_absent_ones() {
    let house = open_house();
    let (mut anna, _kofi, conversation) = two_people(&house);
    let mut mallory = Device::new_account(&house, "mallory");
    let before = read_log(&mut anna.app, conversation).len();
    let absent = ConversationId::from_bytes(random());
    let nobodys = DeviceId::of_account(anna.account(), random());
    let of_others = requests_about(conversation, anna.device());
    for (others, nobodys) in of_others.into_iter().zip(requests_about(absent, nobodys)) {
        let what = format!("{others:?}");
        let (others, nobodys) =
            (refused(mallory.app.ask(others)), refused(mallory.app.ask(nobodys)));
        assert_eq!(others.name, "NOT_FOUND", "{what}");
        assert_eq!(others, nobodys, "{what}");
    }
    // Only the own inbox and the own account log can be named at all.
    assert_eq!(mallory.inbox().items.len(), 0);
    done(mallory.app.ask(Body::AcknowledgeInbox(wire::AcknowledgeInbox { up_to: 1 << 50 })));
    assert_eq!(read_log(&mut anna.app, conversation).len(), before, "nothing was changed");
    anna.app.check_alive();
}

#[test]
fn row_70_commit_that_breaks_a_rule_is_refused_and_changes_nothing() {
    let house = open_house();
    let (mut anna, mut kofi, conversation) = two_people(&house);
    let place = anna.fetch_group(conversation).place;
    let id = random();
    let junk = junk_commit(conversation, place.epoch, id, 300);
    let group_info = anna.fetch_group(conversation).group_info;
    let refusal = refused(kofi.app.ask(commit_of(conversation, group_info, junk, id)));
    assert!(["COMMIT_REFUSED", "COMMIT_BUSY"].contains(&refusal.name.as_str()), "{refusal:?}");
    // Kofi's device cannot post Anna's Commit as its own.
    let of_anna = anna.build_commit(conversation, &[Intent::Refresh]);
    let refusal = loop {
        let refusal = refused(kofi.app.ask(commit_body(conversation, &of_anna)));
        if refusal.name != "COMMIT_BUSY" {
            break refusal;
        }
        wait_as_told(&refusal);
    };
    assert_eq!(refusal.name, "COMMIT_REFUSED");
    assert_eq!(anna.fetch_group(conversation).place, place);
}

#[test]
fn devices_of_an_account_share_an_account_log_and_write_to_each_other() {
    let house = open_house();
    let mut phone = new_account_with_password(&house, "anna", "correct horse");
    let mut laptop = link_device(&house, &mut phone, "correct horse");
    let put = |key: &'static [u8], value: &'static [u8]| {
        Body::PutAccountValue(wire::PutAccountValue { key: key.into(), value: value.into() })
    };
    let place = |answer: Answer| match answer {
        Answer::AccountValuePut(put) => put.seq,
        other => panic!("not put: {other:?}"),
    };
    let first = place(phone.app.ask(put(b"theme", b"dark")));
    let second = place(phone.app.ask(put(b"volume", b"7")));
    assert!(second > first);
    assert_eq!(place(phone.app.ask(put(b"volume", b"7"))), second, "the same value stays");
    while !matches!(
        laptop.app.event(),
        Answer::AccountLogChanged(changed) if changed.head == second
    ) {}
    let third = place(laptop.app.ask(put(b"theme", b"light")));
    let fetch = wire::FetchAccountValues { after: first };
    let Answer::AccountValues(values) = phone.app.ask(Body::FetchAccountValues(fetch)) else {
        panic!("no values")
    };
    let page = sealed::AccountValuePage::try_from(values).expect("valid values");
    let told: Vec<_> =
        page.values.iter().map(|value| (value.seq, &value.key[..], &value.value[..])).collect();
    assert_eq!(told, [(second, &b"volume"[..], &b"7"[..]), (third, b"theme", b"light")]);
    assert_eq!(page.head, third);

    let to = laptop.device();
    let message = || {
        Body::SendToDevice(wire::SendToDevice {
            device: id_bytes(to.as_bytes()),
            message_id: id_bytes(&[9; 16]),
            payload: Bytes::from_static(b"the storage key, sealed"),
        })
    };
    done(phone.app.ask(message()));
    done(phone.app.ask(message()));
    let page = laptop.wait_for_inbox();
    assert_eq!(page.items.len(), 1, "a retry puts nothing more");
    let Some(sealed::InboxContent::Message(message)) = &page.items[0].content else {
        panic!("no message: {page:?}")
    };
    assert_eq!(message.device, phone.device());
    assert_eq!(&message.payload[..], b"the storage key, sealed");
}

#[test]
fn large_frame_is_for_handshakes_of_a_live_session_alone() {
    let house = open_house();
    let (mut witness, _) = App::new_person(&house, "witness");
    let conversation = ConversationId::from_bytes(random());
    let frame = |bytes: usize| {
        let id = random();
        let junk = junk_commit(conversation, 0, id, bytes);
        let body = commit_of(conversation, Bytes::from_static(b"info"), junk, id);
        encode(&wire::ClientFrame { request: 70, body: Some(body) })
    };
    let mut greeted = App::greeted(&house);
    greeted.send(frame(300_000));
    assert_eq!(greeted.wait_for_close().code, 1009);

    let (mut live, _) = App::new_person(&house, "anna");
    live.send(frame(4_000_000));
    let answer = live.answer_to(70).expect("the session lives");
    assert_eq!(refused(answer).name, "NOT_FOUND");
    live.check_alive();
    let (_, create) = create_group(&[]);
    let Body::Create(mut create) = create else { panic!("a creation") };
    create.members = vec![id_bytes(&random()); 20_000];
    live.say(Body::Create(create));
    let closed = live.wait_for_close();
    assert_eq!((closed.code, closed.reason.as_str()), (1009, "FrameTooLarge"));

    let (mut live, _) = App::new_person(&house, "kofi");
    live.send(frame(4_400_000));
    assert_eq!(live.wait_for_close().code, 1009);
    witness.check_alive();
}
