//! Requests of sealed conversations, sound and hostile, and what is said about such conversations.

use tidings_messaging::group::{LostHandshake, PublicState};
use tidings_messaging::request::{NewCommit, Offer};
use tidings_messaging::store::{
    AccountValue, AccountValuePage, BackupChunk, ClaimedKeyPackage, GroupAnswer, GroupRecord,
    InboxContent, InboxItem, InboxPage, ListPart,
};
use tidings_model::GroupEpoch;
use tidings_protocol_app::limits::{
    ACCOUNTS_PER_REQUEST_MAX, FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX,
    KEY_PACKAGE_BYTES_MAX, KEY_PACKAGES_MAX, LIST_ENTRIES_MAX, LIST_ENTRY_BYTES_MAX,
    SEALED_BYTES_MAX,
};
use tidings_protocol_app::sealed;
use tidings_protocol_mls::GroupId;

use super::*;
use crate::limits::REQUEST_BYTES_MAX;

const MESSAGE: MessageId = MessageId::from_bytes([3; 16]);
const PLACE: GroupEpoch = GroupEpoch { generation: 2, epoch: 5 };
const CHOIRS_GROUP: GroupId = GroupId { conversation: CHOIR, generation: PLACE.generation };
const APPLICATION: u8 = 1;
const COMMIT: u8 = 3;

/// The clear beginning of a PrivateMessage (RFC 9420 §6.3), and `sealed` bytes behind it.
fn private_message(group: GroupId, message_id: MessageId, content: u8, sealed: usize) -> Bytes {
    let mut message = vec![0, 1, 0, 2, 21];
    message.extend(group.to_bytes());
    message.extend(PLACE.epoch.to_be_bytes());
    message.extend([content, 16]);
    message.extend(message_id.as_bytes());
    message.resize(message.len() + sealed, 7);
    message.into()
}

/// A PublicMessage (RFC 9420 §6.2) of a sender, and `content` bytes behind its beginning.
fn public_message(group: GroupId, message_id: MessageId, sender: &[u8], bytes: usize) -> Bytes {
    let mut message = vec![0, 1, 0, 1, 21];
    message.extend(group.to_bytes());
    message.extend(PLACE.epoch.to_be_bytes());
    message.extend(sender);
    message.push(16);
    message.extend(message_id.as_bytes());
    message.push(COMMIT);
    message.resize(message.len() + bytes, 7);
    message.into()
}

const MEMBER: &[u8] = &[1, 0, 0, 0, 4];
const NEW_MEMBER: &[u8] = &[4];

fn sealed_send(payload: Bytes) -> Body {
    Body::Send(wire::Send {
        conversation: id_bytes(CHOIR.as_bytes()),
        message_id: id_bytes(MESSAGE.as_bytes()),
        payload,
        ..wire::Send::default()
    })
}

fn group_state(group_info: usize, tree: usize) -> wire::GroupPublicState {
    wire::GroupPublicState { group_info: vec![1; group_info].into(), tree: vec![2; tree].into() }
}

fn commit() -> wire::Commit {
    wire::Commit {
        conversation: id_bytes(CHOIR.as_bytes()),
        message_id: id_bytes(MESSAGE.as_bytes()),
        commit: public_message(CHOIRS_GROUP, MESSAGE, MEMBER, 100),
        group_info: vec![1; 231].into(),
        welcome: vec![2; 400].into(),
        joiners: vec![joiner(1)],
    }
}

fn joiner(device: u8) -> wire::commit::Joiner {
    wire::commit::Joiner {
        account: id_bytes(ANNA.as_bytes()),
        device: id_bytes(&[device; 16]),
        key_package: Bytes::new(),
    }
}

#[track_caller]
fn check_asks(body: Body, expected: Request) {
    let mut play = Play::live();
    play.say(body);
    let asked = play.session.poll_request().map(|(_, request)| request);
    assert_eq!(asked, Some(expected), "{:?}", play.hear());
}

#[track_caller]
fn check_invalid(body: Body, name: &str) {
    let mut play = Play::live();
    let refused = check_refused(play.ask(body), "INVALID_FIELD");
    let expected = format!("the field {name} ");
    assert!(refused.message.starts_with(&expected), "{name}: {}", refused.message);
    assert!(play.session.poll_request().is_none());
    assert_eq!(play.session.poll_close(), None, "the session lives");
}

#[track_caller]
fn check_payload_too_large(body: Body, max: usize) {
    let mut play = Play::live();
    let refused = check_refused(play.ask(body), "PAYLOAD_TOO_LARGE");
    assert_eq!(refused.limit_value, max as u64);
}

#[test]
fn sizes_are_those_of_mls() {
    use tidings_protocol_app::limits as of_frames;
    use tidings_protocol_mls::limits as of_mls;
    assert_eq!(of_frames::HANDSHAKE_BYTES_MAX, of_mls::HANDSHAKE_BYTES_MAX);
    assert_eq!(of_frames::SEALED_BYTES_MAX, of_mls::SEALED_BYTES_MAX);
    assert_eq!(of_frames::LIST_ENTRIES_MAX, of_mls::LIST_ENTRIES_MAX);
    assert_eq!(of_frames::LIST_ENTRY_BYTES_MAX, of_mls::LIST_ENTRY_BYTES_MAX);
    assert_eq!(of_frames::ACCOUNTS_PER_REQUEST_MAX, of_mls::ADDS_MAX);
}

#[test]
fn sealed_message_tells_the_epoch_that_it_was_sealed_in() {
    let sealed = private_message(CHOIRS_GROUP, MESSAGE, APPLICATION, 200);
    for (payload, sealed_in) in [(sealed, Some(PLACE)), (Bytes::from_static(b"in the open"), None)]
    {
        let expected = Request::Send {
            conversation: CHOIR,
            message_id: MESSAGE,
            payload: payload.clone(),
            expires_after_ms: None,
            sealed_in,
            client_time: None,
        };
        check_asks(sealed_send(payload), expected);
    }
}

#[test]
fn handshake_in_place_of_a_message_counts_as_unsealed() {
    let encrypted_commit = private_message(CHOIRS_GROUP, MESSAGE, COMMIT, 200);
    let commit = public_message(CHOIRS_GROUP, MESSAGE, MEMBER, 200);
    for payload in [encrypted_commit, commit] {
        let mut play = Play::live();
        play.say(sealed_send(payload));
        let Some((_, Request::Send { sealed_in, .. })) = play.session.poll_request() else {
            panic!("not asked")
        };
        assert_eq!(sealed_in, None);
    }
}

#[test]
fn sealed_message_for_another_conversation_or_under_another_id_is_refused() {
    let other = GroupId { conversation: ConversationId::from_bytes([8; 16]), ..CHOIRS_GROUP };
    let id = MessageId::from_bytes([4; 16]);
    check_invalid(sealed_send(private_message(other, MESSAGE, APPLICATION, 200)), "payload");
    check_invalid(sealed_send(private_message(CHOIRS_GROUP, id, APPLICATION, 200)), "payload");
}

#[test]
fn sealed_message_may_be_as_much_larger_as_sealing_makes_it() {
    let header = private_message(CHOIRS_GROUP, MESSAGE, APPLICATION, 0).len();
    let sealed = |bytes: usize| {
        sealed_send(private_message(CHOIRS_GROUP, MESSAGE, APPLICATION, bytes - header))
    };
    let mut play = Play::live();
    play.say(sealed(SEALED_BYTES_MAX));
    assert!(play.session.poll_request().is_some());
    check_payload_too_large(sealed(SEALED_BYTES_MAX + 1), SEALED_BYTES_MAX);
    check_payload_too_large(send(65_537), 65_536);
}

#[test]
fn commit_of_a_member_and_of_a_device_that_joins_is_asked_for_with_its_epoch() {
    let asked = |commit: Bytes, welcome: Bytes, joiners| {
        Request::Commit(Box::new(NewCommit {
            conversation: CHOIR,
            message_id: MESSAGE,
            made_in: PLACE,
            commit,
            group_info: vec![1; 231].into(),
            welcome,
            joiners,
        }))
    };
    let given = commit();
    let joiners = vec![(ANNA, DeviceId::from_bytes([1; 16]))];
    let expected = asked(given.commit.clone(), given.welcome.clone(), joiners);
    check_asks(Body::Commit(given), expected);
    let external = public_message(CHOIRS_GROUP, MESSAGE, NEW_MEMBER, 100);
    let alone = wire::Commit {
        commit: external.clone(),
        welcome: Bytes::new(),
        joiners: Vec::new(),
        ..commit()
    };
    check_asks(Body::Commit(alone), asked(external, Bytes::new(), Vec::new()));
}

#[test]
fn row_70_commit_that_is_none_or_says_otherwise_inside_is_refused_by_field() {
    let other = GroupId { conversation: ConversationId::from_bytes([8; 16]), ..CHOIRS_GROUP };
    let id = MessageId::from_bytes([4; 16]);
    let external_sender = [2, 0, 0, 0, 0];
    for bytes in [
        Bytes::new(),
        Bytes::from_static(b"no MLS"),
        public_message(other, MESSAGE, MEMBER, 100),
        public_message(CHOIRS_GROUP, id, MEMBER, 100),
        public_message(CHOIRS_GROUP, MESSAGE, &external_sender, 100),
        public_message(CHOIRS_GROUP, MESSAGE, &[3], 100),
        private_message(CHOIRS_GROUP, MESSAGE, COMMIT, 100),
        public_message(CHOIRS_GROUP, MESSAGE, MEMBER, 0).slice(..40),
    ] {
        check_invalid(Body::Commit(wire::Commit { commit: bytes, ..commit() }), "commit");
    }
    let mut proposal = public_message(CHOIRS_GROUP, MESSAGE, MEMBER, 100).to_vec();
    proposal[4 + 1 + 21 + 8 + 5 + 1 + 16] = 2;
    check_invalid(Body::Commit(wire::Commit { commit: proposal.into(), ..commit() }), "commit");
}

#[test]
fn commit_whose_parts_do_not_fit_together_is_refused_by_field() {
    let no_info = wire::Commit { group_info: Bytes::new(), ..commit() };
    check_invalid(Body::Commit(no_info), "group_info");
    let nobody = wire::Commit { joiners: Vec::new(), ..commit() };
    check_invalid(Body::Commit(nobody), "welcome");
    let unwelcome = wire::Commit { welcome: Bytes::new(), ..commit() };
    check_invalid(Body::Commit(unwelcome), "welcome");
    let twice = wire::Commit { joiners: vec![joiner(1), joiner(1)], ..commit() };
    check_invalid(Body::Commit(twice), "joiners.device");
    let mut short = joiner(1);
    short.account = Bytes::from_static(b"short");
    let short = wire::Commit { joiners: vec![short], ..commit() };
    check_invalid(Body::Commit(short), "joiners.account");

    let mut play = Play::live();
    let many = wire::Commit { joiners: (0..129).map(joiner).collect(), ..commit() };
    let refused = check_refused(play.ask(Body::Commit(many)), "TOO_MANY_ADDED");
    assert_eq!(refused.limit_value, 128);
}

#[test]
fn sealed_conversation_is_made_without_a_name_and_without_members() {
    let create = |kind: ConversationKind, name: &str, members: Vec<AccountId>| {
        Body::Create(wire::Create {
            conversation: id_bytes(CHOIR.as_bytes()),
            kind: wire::ConversationKind::from(kind) as i32,
            name: name.to_owned(),
            members: members.iter().map(|member| id_bytes(member.as_bytes())).collect(),
            message_id: id_bytes(MESSAGE.as_bytes()),
            group: Some(group_state(231, 400)),
        })
    };
    for (kind, members) in [
        (ConversationKind::Group, Vec::new()),
        (ConversationKind::Direct, vec![ANNA]),
        (ConversationKind::NotesToSelf, Vec::new()),
    ] {
        let expected = Request::Create {
            conversation: CHOIR,
            kind,
            name: String::new(),
            members: members.clone(),
            message_id: MESSAGE,
            group: Some(PublicState { group_info: vec![1; 231].into(), tree: vec![2; 400].into() }),
        };
        check_asks(create(kind, "", members), expected);
        check_invalid(create(kind, "Choir", Vec::new()), "name");
    }
    check_invalid(create(ConversationKind::Group, "", vec![ANNA]), "members");
}

#[test]
fn group_without_its_parts_or_with_one_too_large_is_refused() {
    let restart = |group| {
        Body::Restart(wire::Restart {
            conversation: id_bytes(CHOIR.as_bytes()),
            message_id: id_bytes(MESSAGE.as_bytes()),
            group,
        })
    };
    check_invalid(restart(None), "group");
    check_invalid(restart(Some(group_state(0, 1))), "group.group_info");
    check_invalid(restart(Some(group_state(1, 0))), "group.tree");
    let tree = restart(Some(group_state(1, HANDSHAKE_BYTES_MAX + 1)));
    check_payload_too_large(tree, HANDSHAKE_BYTES_MAX);
    let largest =
        PublicState { group_info: vec![1; 1].into(), tree: vec![2; HANDSHAKE_BYTES_MAX].into() };
    let expected = Request::Restart { conversation: CHOIR, message_id: MESSAGE, group: largest };
    check_asks(restart(Some(group_state(1, HANDSHAKE_BYTES_MAX))), expected);
}

#[test]
fn large_frame_is_for_handshakes_of_a_live_session_alone() {
    let large = wire::Commit {
        commit: public_message(CHOIRS_GROUP, MESSAGE, MEMBER, 2 * FRAME_BYTES_MAX),
        ..commit()
    };
    let mut play = Play::live();
    assert_eq!(play.session.frame_bytes_max(), HANDSHAKE_FRAME_BYTES_MAX);
    play.say(Body::Commit(large.clone()));
    assert!(matches!(play.session.poll_request(), Some((_, Request::Commit(_)))));
    let packages = wire::PublishKeyPackages {
        packages: vec![vec![1; KEY_PACKAGE_BYTES_MAX].into(); 20],
        ..wire::PublishKeyPackages::default()
    };
    play.say(Body::PublishKeyPackages(packages));
    check_closed(&mut play, 1009, "FrameTooLarge");

    let mut play = Play::greeted();
    assert_eq!(play.session.frame_bytes_max(), FRAME_BYTES_MAX);
    play.say(Body::Commit(large));
    check_closed(&mut play, 1009, "FrameTooLarge");
}

#[test]
fn requests_without_an_answer_cost_a_bounded_memory() {
    let large = wire::Commit {
        commit: public_message(CHOIRS_GROUP, MESSAGE, MEMBER, HANDSHAKE_BYTES_MAX / 2),
        ..commit()
    };
    let mut play = Play::live();
    let fitting = REQUEST_BYTES_MAX / (HANDSHAKE_BYTES_MAX / 2) - 1;
    for _ in 0..fitting {
        play.say(Body::Commit(large.clone()));
        assert_eq!(play.hear(), None);
    }
    let refused = check_refused(play.ask(Body::Commit(large.clone())), "OVERLOADED");
    assert_eq!((refused.retry, refused.retry_after_ms), (true, 1_000));
    play.say(send(1));
    assert_eq!(play.hear(), None, "there is room for small ones");
    let (id, _) = play.session.poll_request().unwrap();
    play.core_answers(id, Err(Refusal::EpochConflict { place: PLACE }));
    check_refused(play.hear().map(|(_, answer)| answer), "EPOCH_CONFLICT");
    play.say(Body::Commit(large));
    assert_eq!(play.hear(), None, "the answer has made room");
}

#[test]
fn leave_is_passed_on_as_it_was_signed() {
    let leave = |bytes: usize| {
        Body::Leave(wire::Leave {
            conversation: id_bytes(CHOIR.as_bytes()),
            message_id: id_bytes(MESSAGE.as_bytes()),
            payload: vec![5; bytes].into(),
        })
    };
    let payload = vec![5; 150].into();
    let expected = Request::Leave { conversation: CHOIR, message_id: MESSAGE, payload };
    check_asks(leave(150), expected);
    check_invalid(leave(0), "payload");
    check_invalid(leave(1_025), "payload");
}

fn offer_again(handshake: Option<wire::offer_again::Handshake>) -> wire::OfferAgain {
    wire::OfferAgain {
        conversation: id_bytes(CHOIR.as_bytes()),
        account: id_bytes(ANNA.as_bytes()),
        device: id_bytes(&[9; 16]),
        message_id: id_bytes(MESSAGE.as_bytes()),
        handshake,
        group_info: Bytes::new(),
    }
}

#[test]
fn lost_handshake_is_given_back_under_its_author() {
    use wire::offer_again::Handshake;
    let commit = public_message(CHOIRS_GROUP, MESSAGE, MEMBER, 100);
    let body = offer_again(Some(Handshake::Commit(commit.clone())));
    let expected = |handshake| {
        let author = (ANNA, DeviceId::from_bytes([9; 16]));
        let (conversation, message_id) = (CHOIR, MESSAGE);
        Request::OfferAgain(Box::new(Offer { conversation, author, message_id, handshake }))
    };
    let lost =
        |group_info| LostHandshake::Commit { made_in: PLACE, commit: commit.clone(), group_info };
    check_asks(Body::OfferAgain(body.clone()), expected(lost(None)));
    let group_info = Bytes::from_static(b"info");
    let last = wire::OfferAgain { group_info: group_info.clone(), ..body };
    check_asks(Body::OfferAgain(last), expected(lost(Some(group_info))));
    let leave = Bytes::from_static(b"signed");
    let body = offer_again(Some(Handshake::Leave(leave.clone())));
    check_asks(Body::OfferAgain(body), expected(LostHandshake::Leave(leave)));
}

#[test]
fn lost_handshake_that_is_none_is_refused_by_field() {
    use wire::offer_again::Handshake;
    let other = MessageId::from_bytes([4; 16]);
    let relabelled = public_message(CHOIRS_GROUP, other, MEMBER, 100);
    let message = private_message(CHOIRS_GROUP, MESSAGE, APPLICATION, 100);
    for (handshake, name) in [
        (None, "handshake"),
        (Some(Handshake::Commit(Bytes::new())), "commit"),
        (Some(Handshake::Commit(relabelled)), "commit"),
        (Some(Handshake::Commit(message)), "commit"),
        (Some(Handshake::Leave(Bytes::new())), "leave"),
        (Some(Handshake::Leave(vec![5; 1_025].into())), "leave"),
    ] {
        check_invalid(Body::OfferAgain(offer_again(handshake)), name);
    }
    let commit = public_message(CHOIRS_GROUP, MESSAGE, MEMBER, 100);
    let mut large = offer_again(Some(Handshake::Commit(commit.clone())));
    large.group_info = vec![1; HANDSHAKE_BYTES_MAX + 1].into();
    check_payload_too_large(Body::OfferAgain(large), HANDSHAKE_BYTES_MAX);
    let mut nobodys = offer_again(Some(Handshake::Commit(commit)));
    nobodys.device = Bytes::new();
    check_invalid(Body::OfferAgain(nobodys), "device");
}

#[test]
fn device_list_is_given_back_for_its_account() {
    let offer = |account: Bytes, entries| {
        Body::OfferDeviceList(wire::OfferDeviceList { account, from: 2, entries })
    };
    let entries = vec![Bytes::from_static(b"signed")];
    let expected = Request::OfferDeviceList { account: ANNA, from: 2, entries: entries.clone() };
    check_asks(offer(id_bytes(ANNA.as_bytes()), entries.clone()), expected);
    check_invalid(offer(Bytes::new(), entries), "account");
    check_invalid(offer(id_bytes(ANNA.as_bytes()), Vec::new()), "entries");
}

#[test]
fn device_list_past_its_limits_is_refused() {
    let publish = |from, entries: Vec<usize>, begins_anew| {
        Body::PublishDeviceList(wire::PublishDeviceList {
            from,
            entries: entries.into_iter().map(|bytes| vec![6; bytes].into()).collect(),
            begins_anew,
        })
    };
    let entries = vec![vec![6; 512].into()];
    let expected = Request::PublishDeviceList { from: 2, entries, begins_anew: false };
    check_asks(publish(2, vec![512], false), expected);
    check_invalid(publish(0, Vec::new(), true), "entries");
    check_invalid(publish(1, vec![9], true), "from");
    for (from, entries) in [
        (0, vec![LIST_ENTRY_BYTES_MAX + 1]),
        (LIST_ENTRIES_MAX as u32, vec![9]),
        (u32::MAX, vec![9]),
        (0, vec![0; LIST_ENTRIES_MAX + 1]),
    ] {
        let mut play = Play::live();
        check_refused(play.ask(publish(from, entries, false)), "DEVICE_LIST_REFUSED");
    }
}

#[test]
fn row_69_key_packages_past_their_limits_are_refused() {
    let publish = |packages: Vec<usize>, last_resort: usize| {
        Body::PublishKeyPackages(wire::PublishKeyPackages {
            packages: packages.into_iter().map(|bytes| vec![8; bytes].into()).collect(),
            last_resort: vec![9; last_resort].into(),
            replace: true,
        })
    };
    let packages = vec![vec![8; 300].into(); 2];
    let last_resort = Some(vec![9; 300].into());
    let expected = Request::PublishKeyPackages { packages, last_resort, replace: true };
    check_asks(publish(vec![300, 300], 300), expected);
    let expected =
        Request::PublishKeyPackages { packages: Vec::new(), last_resort: None, replace: true };
    check_asks(publish(Vec::new(), 0), expected);
    let mut play = Play::live();
    let refused = check_refused(play.ask(publish(vec![1; 10_000], 0)), "TOO_MANY_KEY_PACKAGES");
    assert_eq!(refused.limit_value, KEY_PACKAGES_MAX as u64);
    for (packages, last_resort, index) in [
        (vec![300, 0], 0, 1),
        (vec![KEY_PACKAGE_BYTES_MAX + 1], 0, 0),
        (vec![300, 300], KEY_PACKAGE_BYTES_MAX + 1, 2),
    ] {
        let refused =
            check_refused(play.ask(publish(packages, last_resort)), "KEY_PACKAGE_REFUSED");
        assert!(refused.message.contains(&format!("key package {index} ")), "{}", refused.message);
    }
}

#[test]
fn claim_takes_one_package_of_a_device_however_often_its_account_is_named() {
    let claim = |accounts: usize, request: &'static [u8]| {
        Body::ClaimKeyPackages(wire::ClaimKeyPackages {
            request_id: request.into(),
            accounts: vec![id_bytes(ANNA.as_bytes()); accounts],
        })
    };
    let expected = Request::ClaimKeyPackages { request: MESSAGE, accounts: vec![ANNA] };
    check_asks(claim(ACCOUNTS_PER_REQUEST_MAX, &[3; 16]), expected);
    check_invalid(claim(ACCOUNTS_PER_REQUEST_MAX + 1, &[3; 16]), "accounts");
    check_invalid(claim(1, b""), "request_id");
}

#[test]
fn device_lists_are_asked_for_once_for_each_account() {
    let known = |account: u8| wire::fetch_device_lists::Known {
        account: id_bytes(&[account; 16]),
        identity: 1,
        entries: 4,
    };
    let fetch = |known| Body::FetchDeviceLists(wire::FetchDeviceLists { known });
    check_asks(fetch(vec![known(1)]), Request::FetchDeviceLists(vec![(ANNA, 1, 4)]));
    check_invalid(fetch(vec![known(1), known(1)]), "known.account");
    check_invalid(fetch((0..=ACCOUNTS_PER_REQUEST_MAX as u8).map(known).collect()), "known");
}

#[test]
fn device_messages_and_account_values_past_their_limits_are_refused() {
    let to_device = |payload: usize| {
        Body::SendToDevice(wire::SendToDevice {
            device: id_bytes(PHONE.as_bytes()),
            message_id: id_bytes(MESSAGE.as_bytes()),
            payload: vec![1; payload].into(),
        })
    };
    let payload = vec![1; 65_536].into();
    let expected = Request::SendToDevice { device: PHONE, message_id: MESSAGE, payload };
    check_asks(to_device(65_536), expected);
    check_payload_too_large(to_device(65_537), 65_536);

    let put = |key: usize, value: usize| {
        let (key, value) = (vec![1; key].into(), vec![2; value].into());
        Body::PutAccountValue(wire::PutAccountValue { key, value })
    };
    let (key, value) = (vec![1; 64].into(), vec![2; 65_536].into());
    check_asks(put(64, 65_536), Request::PutAccountValue { key, value });
    let (key, value) = (vec![1; 64].into(), Bytes::new());
    check_asks(put(64, 0), Request::PutAccountValue { key, value });
    check_payload_too_large(put(1, 65_537), 65_536);
    check_invalid(put(0, 1), "key");
    check_invalid(put(65, 1), "key");
}

#[test]
fn places_in_inbox_and_account_log_stay_below_two_to_the_53() {
    let (after, up_to) = (9, 9);
    let inbox = |after| Body::FetchInbox(wire::FetchInbox { after });
    let acknowledge = |up_to| Body::AcknowledgeInbox(wire::AcknowledgeInbox { up_to });
    let chunk = |name: usize, sealed: usize| {
        let chunk = Bytes::copy_from_slice(&MESSAGE.as_bytes()[..name]);
        let sealed = vec![2; sealed].into();
        Body::PutBackupChunk(wire::PutBackupChunk { chunk, sealed })
    };
    let sealed = vec![2; 73_728].into();
    check_asks(chunk(16, 73_728), Request::PutBackupChunk { chunk: MESSAGE, sealed });
    check_payload_too_large(chunk(16, 73_729), 73_728);
    check_invalid(chunk(15, 1), "chunk");
    let fetch = |before| Body::FetchBackupChunk(wire::FetchBackupChunk { before });
    check_asks(fetch(0), Request::FetchBackupChunk { before: None });
    check_asks(fetch(u64::MAX), Request::FetchBackupChunk { before: Some(u64::MAX) });
    check_asks(Body::DropBackup(wire::DropBackup {}), Request::DropBackup);

    let values = |after| Body::FetchAccountValues(wire::FetchAccountValues { after });
    check_asks(inbox(after), Request::FetchInbox { after });
    check_asks(acknowledge(up_to), Request::AcknowledgeInbox { up_to });
    check_asks(values(after), Request::FetchAccountValues { after });
    check_invalid(inbox(1 << 53), "after");
    check_invalid(acknowledge(u64::MAX), "up_to");
    check_invalid(values(1 << 53), "after");
}

#[test]
fn ping_tells_the_round_trip_where_the_app_knows_it() {
    let ping = |round_trip_ms| Body::Ping(wire::Ping { round_trip_ms });
    let round_trip = Some(Duration::from_millis(350));
    check_asks(ping(350), Request::Tail { round_trip });
    check_asks(ping(0), Request::Tail { round_trip: None });
}

#[test]
fn row_11_requests_of_sealed_conversations_before_a_live_session_close_with_1008() {
    let fetch_group = wire::FetchGroup { conversation: id_bytes(CHOIR.as_bytes()) };
    for body in [
        Body::Commit(commit()),
        Body::Leave(wire::Leave::default()),
        Body::Restart(wire::Restart::default()),
        Body::FetchGroup(fetch_group),
        Body::OfferAgain(wire::OfferAgain::default()),
        Body::PublishDeviceList(wire::PublishDeviceList::default()),
        Body::OfferDeviceList(wire::OfferDeviceList::default()),
        Body::FetchDeviceLists(wire::FetchDeviceLists::default()),
        Body::PublishKeyPackages(wire::PublishKeyPackages::default()),
        Body::ClaimKeyPackages(wire::ClaimKeyPackages::default()),
        Body::FetchInbox(wire::FetchInbox { after: 0 }),
        Body::AcknowledgeInbox(wire::AcknowledgeInbox { up_to: 0 }),
        Body::SendToDevice(wire::SendToDevice::default()),
        Body::PutAccountValue(wire::PutAccountValue::default()),
        Body::FetchAccountValues(wire::FetchAccountValues { after: 0 }),
    ] {
        for mut play in [Play::connected(), Play::greeted()] {
            play.say(body.clone());
            assert!(play.session.poll_request().is_none());
            check_closed(&mut play, 1008, "Unauthenticated");
        }
    }
}

/// Asks for anything, lets the core answer, and gives what the peer hears.
fn answered(reply: Reply) -> Answer {
    let mut play = Play::live();
    let number = play.say(fetch());
    let (id, _) = play.session.poll_request().unwrap();
    play.core_answers(id, Ok(reply));
    let (answered, answer) = play.hear().expect("an answer");
    assert_eq!(answered, number);
    answer
}

#[test]
fn group_is_told_as_whoever_joins_needs_it() {
    let answer = Box::new(GroupAnswer {
        group: GroupRecord {
            place: PLACE,
            state: Bytes::from_static(b"for the observer alone"),
            tree: Bytes::from_static(b"tree"),
            group_info: Bytes::from_static(b"info"),
            left: vec![(ANNA, Bytes::from_static(b"leave"))],
        },
        log_epoch: LogEpoch::new(9).unwrap(),
        head: Seq::new(40).unwrap(),
    });
    let Answer::Group(told) = answered(Reply::Group { conversation: CHOIR, answer }) else {
        panic!("no group")
    };
    let expected = sealed::PublicGroup {
        conversation: CHOIR,
        place: PLACE,
        group_info: Bytes::from_static(b"info"),
        tree: Bytes::from_static(b"tree"),
        leaves: vec![Bytes::from_static(b"leave")],
        head: Seq::new(40).unwrap(),
        log_epoch: LogEpoch::new(9).unwrap(),
    };
    assert_eq!(told.try_into(), Ok(expected));
}

#[test]
fn inbox_is_told_in_order_with_invitations_and_messages() {
    let welcome = Bytes::from_static(b"welcome");
    let tree = Bytes::from_static(b"tree");
    let invitation = InboxContent::Invitation {
        conversation: CHOIR,
        log_epoch: LogEpoch::new(9).unwrap(),
        seq: Seq::new(3).unwrap(),
        place: PLACE,
        welcome: welcome.clone(),
        tree: tree.clone(),
    };
    let payload = Bytes::from_static(b"hello");
    let message =
        InboxContent::Message { from: PHONE, message_id: MESSAGE, payload: payload.clone() };
    let time = Timestamp::from_millis(5);
    let items = vec![
        InboxItem { seq: 4, time, content: invitation },
        InboxItem { seq: 6, time, content: message },
    ];
    let Answer::InboxItems(told) = answered(Reply::Inbox(InboxPage { items, head: 8 })) else {
        panic!("no inbox")
    };
    let told = sealed::InboxPage::try_from(told).unwrap();
    assert_eq!((told.head, told.items.len()), (8, 2));
    let invitation = sealed::Invitation {
        conversation: CHOIR,
        seq: Seq::new(3).unwrap(),
        log_epoch: LogEpoch::new(9).unwrap(),
        place: PLACE,
        welcome,
        tree,
    };
    assert_eq!(told.items[0].content, Some(sealed::InboxContent::Invitation(invitation)));
    let message = sealed::DeviceMessage { device: PHONE, message_id: MESSAGE, payload };
    assert_eq!(told.items[1].content, Some(sealed::InboxContent::Message(message)));
}

#[test]
fn stock_claims_lists_and_account_values_are_told() {
    let stock = answered(Reply::KeyPackageStock(77));
    assert!(matches!(stock, Answer::KeyPackageStock(stock) if stock.count == 77));
    let put = answered(Reply::AccountValuePut(5));
    assert!(matches!(put, Answer::AccountValuePut(put) if put.seq == 5));
    let put = answered(Reply::BackupChunkPut(6));
    assert!(matches!(put, Answer::BackupChunkPut(put) if put.number == 6));
    let none = answered(Reply::BackupChunk(None));
    assert!(matches!(none, Answer::BackupChunk(chunk) if chunk == wire::BackupChunk::default()));
    let sealed = Bytes::from_static(b"sealed");
    let chunk = BackupChunk { number: 7, sealed: sealed.clone(), left: 3 };
    let told = answered(Reply::BackupChunk(Some(chunk)));
    let expected = wire::BackupChunk { number: 7, sealed, left: 3 };
    assert!(matches!(told, Answer::BackupChunk(chunk) if chunk == expected));

    let package = Bytes::from_static(b"package");
    let claimed = ClaimedKeyPackage { account: ANNA, device: PHONE, package: package.clone() };
    let Answer::KeyPackages(told) = answered(Reply::KeyPackages(vec![claimed])) else {
        panic!("no packages")
    };
    let expected = sealed::ClaimedKeyPackage { account: ANNA, device: PHONE, package };
    assert_eq!(told.claimed(), Ok(vec![expected]));

    let entries = vec![Bytes::from_static(b"entry")];
    let part = ListPart { account: ANNA, identity: 1, from: 2, entries: entries.clone() };
    let Answer::DeviceLists(mut told) = answered(Reply::DeviceLists(vec![part])) else {
        panic!("no lists")
    };
    let expected = sealed::DeviceListPart { account: ANNA, identity: 1, from: 2, entries };
    assert_eq!(told.parts.remove(0).try_into(), Ok(expected));

    let (key, value) = (Bytes::from_static(b"key"), Bytes::from_static(b"value"));
    let values =
        vec![AccountValue { seq: 3, device: PHONE, key: key.clone(), value: value.clone() }];
    let page = AccountValuePage { values, head: 4 };
    let Answer::AccountValues(told) = answered(Reply::AccountValues(page)) else {
        panic!("no values")
    };
    let values = vec![sealed::AccountValue { seq: 3, device: PHONE, key, value }];
    assert_eq!(told.try_into(), Ok(sealed::AccountValuePage { values, head: 4 }));
}

#[test]
fn resume_tells_what_waits_for_the_device_and_states_where_groups_stand() {
    let mut sealed = state(CHOIR, String::new());
    sealed.group = Some(PLACE);
    let Reply::Resumed(mut of) = resumed(vec![sealed]) else { panic!("no resume") };
    of.heads = tidings_messaging::store::DeviceHeads {
        inbox: 3,
        account_log: 4,
        key_packages: 5,
        list_identity: 1,
        list_entries: 6,
    };
    let mut play = Play::greeted();
    play.say(resume());
    let (id, _) = play.session.poll_request().unwrap();
    play.core_answers(id, Ok(Reply::Resumed(of)));
    let Some((_, Answer::Resumed(told))) = play.hear() else { panic!("not resumed") };
    assert_eq!((told.inbox_head, told.account_log_head, told.key_packages), (3, 4, 5));
    assert_eq!((told.list_identity, told.list_entries), (1, 6));
    assert_eq!(told.conversations[0].group, Some(PLACE.into()));
}

#[test]
fn slow_reader_is_told_the_latest_of_inbox_lists_and_account_log() {
    let mut play = Play::live();
    play.session.handle_queued(at(0), QUEUED_BYTES_HIGH + 1);
    for head in 1..=3 {
        play.session.handle_event(Event::InboxChanged { head });
        play.session.handle_event(Event::AccountLogChanged { head: head + 10 });
        play.session.handle_event(Event::KeyPackagesLow { left: 9 - head as usize });
        let list = Event::DeviceListChanged { account: ANNA, identity: 0, entries: head as u32 };
        play.session.handle_event(list);
    }
    assert_eq!(play.session.poll_transmit(), None, "the reader is behind");
    play.session.handle_queued(at(0), 0);
    let mut told = Vec::new();
    while let Some((number, answer)) = play.hear() {
        assert_eq!(number, 0);
        told.push(answer);
    }
    let expected = [
        Answer::DeviceListChanged(wire::DeviceListChanged {
            account: id_bytes(ANNA.as_bytes()),
            identity: 0,
            entries: 3,
        }),
        Answer::KeyPackagesLow(wire::KeyPackageStock { count: 6 }),
        Answer::AccountLogChanged(wire::AccountLogChanged { head: 13 }),
        Answer::InboxChanged(wire::InboxChanged { head: 3 }),
    ];
    assert_eq!(told, expected);
}

#[test]
fn row_70_refusals_of_commits_say_what_the_sender_needs() {
    let mut play = Play::live();
    let mut refused = |refusal: Refusal, name: &str| {
        play.say(Body::Commit(commit()));
        let (id, _) = play.session.poll_request().unwrap();
        play.core_answers(id, Err(refusal));
        check_refused(play.hear().map(|(_, answer)| answer), name)
    };
    let conflict = refused(Refusal::EpochConflict { place: PLACE }, "EPOCH_CONFLICT");
    assert_eq!(conflict.group, Some(PLACE.into()));
    let required = refused(Refusal::CommitRequired { to_remove: vec![ANNA] }, "COMMIT_REQUIRED");
    assert_eq!(required.to_remove, [id_bytes(ANNA.as_bytes())]);
    let busy = Refusal::CommitBusy { retry_after: Duration::from_millis(1_500) };
    assert_eq!(refused(busy, "COMMIT_BUSY").retry_after_ms, 1_500);
    let reason = "only an owner removes an admin".to_owned();
    let rule = refused(Refusal::CommitRefused { reason }, "COMMIT_REFUSED");
    assert!(rule.message.ends_with("only an owner removes an admin"), "{}", rule.message);
}
