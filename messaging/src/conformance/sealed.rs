//! Rules of groups: what a sealed conversation's log takes, and in which epoch.

use bytes::Bytes;
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, EntryKind, GroupEpoch, Refusal, Role,
};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOBODY, NOON, ROMY, Scene, append, appended, conversation, create, device,
    device_of, entry, new_device, refused, seq, time,
};
use crate::store::{
    AccountOperation, Answer, Append, Create, DeviceOperation, GroupChange, GroupRecord, GroupStep,
    LogOperation, LogQuery, NewEntry, NewWelcome, Operation, Query, RosterAct, RosterChange,
};

/// A second device of Kofi's.
const KOFIS_TABLET: DeviceId = device(22);

pub(super) const fn place(generation: u32, epoch: u64) -> GroupEpoch {
    GroupEpoch { generation, epoch }
}

/// A group's public state, different in each epoch.
pub(super) fn record(place: GroupEpoch) -> GroupRecord {
    let named = |what: &str| Bytes::from(format!("{what} {}.{}", place.generation, place.epoch));
    GroupRecord {
        place,
        state: named("state"),
        tree: named("tree"),
        group_info: named("group info"),
        left: Vec::new(),
    }
}

/// A conversation with a group, made by its first member.
pub(super) fn create_sealed(
    conversation: ConversationId,
    number: u8,
    members: &[(AccountId, Role)],
) -> Operation {
    let open = create(conversation, ConversationKind::Group, number, members);
    let Operation::Log(LogOperation::Create(open)) = open else { return open };
    let group = Some(record(GroupEpoch::FIRST));
    Operation::Log(LogOperation::Create(Create { group, ..open }))
}

/// A message of an account's first device.
pub(super) fn sealed(account: AccountId, number: u8, made_in: GroupEpoch) -> Operation {
    sealed_as(entry(account, number, b"sealed"), made_in)
}

fn sealed_as(entry: NewEntry, made_in: GroupEpoch) -> Operation {
    let group = GroupStep::Message { made_in };
    Operation::Log(LogOperation::Append(Append { conversation: GROUP, entry, roster: None, group }))
}

/// What a Commit that changes neither leaves nor roster makes of a group.
pub(super) fn refresh(made_in: GroupEpoch) -> GroupChange {
    GroupChange {
        made_in,
        left_before: 0,
        next: record(made_in.next()),
        devices_removed: Vec::new(),
        devices_added: Vec::new(),
        due: Vec::new(),
        is_restart: false,
        welcome: None,
    }
}

/// What a Commit makes of a group that adds devices, with a Welcome for them.
pub(super) fn adding(made_in: GroupEpoch, added: &[(AccountId, DeviceId)]) -> GroupChange {
    let joiners = added.iter().map(|(_, device)| *device).collect();
    GroupChange {
        devices_added: added.to_vec(),
        welcome: Some(NewWelcome { bytes: Bytes::from_static(b"welcome"), joiners }),
        ..refresh(made_in)
    }
}

/// A handshake of an account's first device, with what it changes of the roster.
pub(super) fn handshake(
    kind: EntryKind,
    by: AccountId,
    number: u8,
    change: GroupChange,
    acts: &[RosterAct],
) -> Operation {
    let roster = (!acts.is_empty()).then(|| RosterChange {
        expected_version: 0,
        acts: acts.to_vec(),
        name: None,
    });
    Operation::Log(LogOperation::Append(Append {
        conversation: GROUP,
        entry: NewEntry { kind, ..entry(by, number, b"handshake") },
        roster,
        group: GroupStep::Change(Box::new(change)),
    }))
}

pub(super) fn commit(
    by: AccountId,
    number: u8,
    change: GroupChange,
    acts: &[RosterAct],
) -> Operation {
    handshake(EntryKind::Commit, by, number, change, acts)
}

fn leave(by: AccountId, number: u8, made_in: GroupEpoch) -> Operation {
    let signed = (by, Bytes::from(format!("leave {number}")));
    let change = GroupChange {
        next: GroupRecord { left: vec![signed], ..record(made_in) },
        due: vec![by],
        ..refresh(made_in)
    };
    handshake(EntryKind::Leave, by, number, change, &[RosterAct::Leave(by)])
}

fn take_out_of_list(account: AccountId, device: DeviceId) -> Operation {
    Operation::Device(DeviceOperation::AppendDeviceList {
        account,
        from: 0,
        entries: vec![Bytes::from_static(b"entry")],
        begins_anew: false,
        expected: (0, 0),
        revoked: vec![device],
        now: time(NOON),
    })
}

/// A store with Anna, Kofi and Romy, and a sealed [`GROUP`] at epoch 1, in which Anna and Kofi have
/// their first devices.
pub(super) fn with_sealed_group<F: Fixture>() -> Scene<F> {
    let mut scene = Scene::<F>::with_people();
    scene.must(create_sealed(GROUP, 200, &[(ANNA, Role::Owner)]));
    let added = adding(place(1, 0), &[(KOFI, device_of(KOFI))]);
    scene.must(commit(ANNA, 201, added, &[RosterAct::Join(KOFI, Role::Member)]));
    scene.relay_all();
    scene
}

fn conflict(generation: u32, epoch: u64) -> Refusal {
    Refusal::EpochConflict { place: place(generation, epoch) }
}

fn required(accounts: &[AccountId]) -> Refusal {
    Refusal::CommitRequired { to_remove: accounts.to_vec() }
}

pub(super) fn sealed_conversation_begins_with_its_group<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let first = appended(scene.apply(create_sealed(GROUP, 1, &[(ANNA, Role::Owner)])));
    let answer = scene.group(GROUP).expect("a group");
    assert_eq!(answer.group, record(GroupEpoch::FIRST));
    assert_eq!((answer.log_epoch, answer.head), (first.position.epoch, seq(1)));
    assert_eq!(scene.roster(GROUP).conversation.group, Some(GroupEpoch::FIRST));
    scene.relay_all();
    assert_eq!(scene.conversations_of(ANNA, 9)[0].conversation.group, Some(GroupEpoch::FIRST));

    let members = [(ANNA, Role::Owner)];
    scene.must(create(conversation(2), ConversationKind::Group, 2, &members));
    assert_eq!(scene.group(conversation(2)), None);
    assert_eq!(scene.roster(conversation(2)).conversation.group, None);
    assert_eq!(scene.group(conversation(3)), None);
}

pub(super) fn sealed_and_open_entries_do_not_mix<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    let open = append(GROUP, entry(ANNA, 1, b"in the clear"));
    assert_eq!(scene.apply(open), refused(Refusal::WrongSealing { sealed: true }));

    let mut scene = Scene::<F>::with_group();
    let wrong = refused(Refusal::WrongSealing { sealed: false });
    assert_eq!(scene.apply(sealed(ANNA, 1, place(1, 0))), wrong);
    assert_eq!(scene.apply(commit(ANNA, 2, refresh(place(1, 0)), &[])), wrong);
    assert_eq!(scene.seqs(GROUP), [1]);
}

pub(super) fn message_of_another_epoch_is_refused_with_the_present_one<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    for stale in [place(1, 0), place(1, 2), place(0, 1), place(2, 1)] {
        assert_eq!(scene.apply(sealed(ANNA, 1, stale)), refused(conflict(1, 1)));
    }
    assert_eq!(scene.seq_of(sealed(ANNA, 1, place(1, 1))), 3);
}

pub(super) fn commit_takes_the_group_to_its_next_epoch<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    assert_eq!(scene.seq_of(commit(KOFI, 1, refresh(place(1, 1)), &[])), 3);
    let answer = scene.group(GROUP).expect("a group");
    assert_eq!((answer.group, answer.head), (record(place(1, 2)), seq(3)));
    assert_eq!(scene.roster(GROUP).conversation.group, Some(place(1, 2)));
    assert_eq!(scene.apply(commit(ANNA, 2, refresh(place(1, 1)), &[])), refused(conflict(1, 2)));
    let mut scene = scene.reopen();
    assert_eq!(scene.group(GROUP).expect("a group").group, record(place(1, 2)));
    let kinds = Vec::from_iter(scene.entries(GROUP).iter().map(|entry| entry.kind));
    assert_eq!(kinds, [EntryKind::Event, EntryKind::Commit, EntryKind::Commit]);
}

pub(super) fn of_two_commits_of_one_epoch_in_a_batch_the_first_wins<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    let outcomes = scene.apply_batch(&[
        sealed(ANNA, 1, place(1, 1)),
        commit(ANNA, 2, refresh(place(1, 1)), &[]),
        commit(KOFI, 3, refresh(place(1, 1)), &[]),
        sealed(KOFI, 4, place(1, 1)),
        sealed(KOFI, 5, place(1, 2)),
    ]);
    let stale = refused(conflict(1, 2));
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok() && outcomes[4].is_ok());
    assert_eq!((&outcomes[2], &outcomes[3]), (&stale, &stale));
    assert_eq!(scene.seqs(GROUP), [1, 2, 3, 4, 5]);
}

pub(super) fn retry_is_answered_after_the_epoch_has_moved<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    let (said, done) = (sealed(KOFI, 1, place(1, 1)), commit(KOFI, 2, refresh(place(1, 1)), &[]));
    assert_eq!((scene.seq_of(said.clone()), scene.seq_of(done.clone())), (3, 4));
    scene.must(leave(KOFI, 3, place(1, 2)));
    for (retry, seq) in [(said, 3), (done, 4), (leave(KOFI, 3, place(1, 2)), 5)] {
        let answer = appended(scene.apply(retry));
        let known = (answer.position.seq.get(), answer.duplicate, answer.payload_differs);
        assert_eq!(known, (seq, true, false));
    }
    assert_eq!(scene.group(GROUP).expect("a group").group.place, place(1, 2));
}

pub(super) fn membership_is_checked_before_the_group<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    scene.must(leave(KOFI, 1, place(1, 1)));
    assert_eq!(scene.apply(sealed(KOFI, 2, place(1, 0))), refused(Refusal::NotAMember));
    assert_eq!(scene.apply(append(GROUP, entry(ROMY, 3, b"x"))), refused(Refusal::NotFound));
    assert_eq!(scene.apply(sealed(ROMY, 4, place(1, 0))), refused(Refusal::NotFound));
    // The epoch is checked before leaves that are due.
    assert_eq!(scene.apply(sealed(ANNA, 5, place(1, 0))), refused(conflict(1, 1)));
    assert_eq!(scene.apply(sealed(ANNA, 6, place(1, 1))), refused(required(&[KOFI])));
}

pub(super) fn commit_changes_the_roster_whatever_its_version<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    assert_eq!(scene.roster(GROUP).conversation.roster_version, 2);
    scene.must(commit(ANNA, 1, refresh(place(1, 1)), &[]));
    assert_eq!(scene.roster(GROUP).conversation.roster_version, 2);
    let acts = [RosterAct::Join(ROMY, Role::Member), RosterAct::Leave(KOFI)];
    scene.must(commit(ANNA, 2, refresh(place(1, 2)), &acts));
    let record = scene.roster(GROUP).conversation;
    assert_eq!((record.roster_version, record.member_count), (3, 2));
    let stranger = [RosterAct::Join(NOBODY, Role::Member)];
    let refusal = scene.apply(commit(ANNA, 3, refresh(place(1, 3)), &stranger));
    assert_eq!(refusal, refused(Refusal::NotFound));
    assert_eq!(scene.group(GROUP).expect("a group").group.place, place(1, 3));
}

pub(super) fn leave_is_kept_with_the_group_and_stays_in_its_epoch<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    let added = adding(place(1, 1), &[(ROMY, device_of(ROMY))]);
    scene.must(commit(ANNA, 1, added, &[RosterAct::Join(ROMY, Role::Member)]));
    scene.must(leave(KOFI, 2, place(1, 2)));
    // Made for a group in which nobody has left yet: it adds to what stands.
    scene.must(leave(ROMY, 3, place(1, 2)));
    let group = scene.group(GROUP).expect("a group").group;
    let left = [(KOFI, Bytes::from("leave 2")), (ROMY, Bytes::from("leave 3"))];
    assert_eq!((group.place, group.left.as_slice()), (place(1, 2), &left[..]));
    assert_eq!(scene.membership(KOFI).role, None);
    assert_eq!(scene.membership(KOFI).ranges.last().expect("a range").to, Some(seq(4)));
    let refusal = scene.apply(sealed(ANNA, 4, place(1, 2)));
    assert_eq!(refusal, refused(required(&[KOFI, ROMY])));
}

pub(super) fn messages_wait_until_those_who_left_are_removed<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    scene.must(leave(KOFI, 1, place(1, 1)));
    // A Commit that was judged before the leave does not lose it.
    let unaware = commit(ANNA, 2, refresh(place(1, 1)), &[]);
    assert_eq!(scene.apply(unaware), refused(required(&[KOFI])));
    let aware = GroupChange { left_before: 1, ..refresh(place(1, 1)) };
    // One that leaves the leaf there, as an external Commit does, keeps messages waiting.
    let external = GroupChange {
        next: GroupRecord { left: vec![(KOFI, Bytes::from("leave 1"))], ..record(place(1, 2)) },
        ..aware.clone()
    };
    scene.must(commit(ANNA, 3, external, &[]));
    assert_eq!(scene.apply(sealed(ANNA, 4, place(1, 2))), refused(required(&[KOFI])));
    let removing = GroupChange {
        left_before: 1,
        devices_removed: vec![device_of(KOFI)],
        ..refresh(place(1, 2))
    };
    scene.must(commit(ANNA, 5, removing, &[]));
    scene.must(sealed(ANNA, 6, place(1, 3)));
    assert_eq!(scene.group(GROUP).expect("a group").group.left, []);
}

pub(super) fn device_out_of_its_list_is_due_in_every_group<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    let tablet = new_device(KOFIS_TABLET);
    let now = time(NOON);
    scene.must(Operation::Account(AccountOperation::AddDevice {
        account: KOFI,
        device: tablet,
        now,
    }));
    scene.must(commit(ANNA, 1, adding(place(1, 1), &[(KOFI, KOFIS_TABLET)]), &[]));
    scene.must(sealed(KOFI, 2, place(1, 2)));
    scene.must(take_out_of_list(KOFI, KOFIS_TABLET));
    scene.relay_all();
    assert_eq!(scene.apply(sealed(ANNA, 3, place(1, 2))), refused(required(&[KOFI])));
    let removing = GroupChange { devices_removed: vec![KOFIS_TABLET], ..refresh(place(1, 2)) };
    scene.must(commit(ANNA, 4, removing, &[]));
    scene.must(sealed(KOFI, 5, place(1, 3)));
    // A Commit that was judged before the list grew adds it: it is due at once.
    scene.must(commit(ANNA, 6, adding(place(1, 3), &[(KOFI, KOFIS_TABLET)]), &[]));
    assert_eq!(scene.apply(sealed(ANNA, 7, place(1, 4))), refused(required(&[KOFI])));
}

pub(super) fn restart_begins_the_next_generation_with_what_it_adds<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    scene.must(leave(KOFI, 1, place(1, 1)));
    let restart = GroupChange {
        left_before: 1,
        next: record(place(2, 0)),
        devices_added: vec![(ANNA, device_of(ANNA))],
        is_restart: true,
        ..refresh(place(1, 1))
    };
    scene.must(commit(ANNA, 2, restart.clone(), &[]));
    assert_eq!(scene.group(GROUP).expect("a group").group, record(place(2, 0)));
    assert_eq!(scene.apply(sealed(ANNA, 3, place(1, 1))), refused(conflict(2, 0)));
    assert_eq!(scene.apply(commit(ANNA, 4, restart, &[])), refused(conflict(2, 0)));
    // Kofi's leaf went with the former generation.
    scene.must(sealed(ANNA, 5, place(2, 0)));
}

pub(super) fn only_messages_are_erased<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    scene.must(sealed(ANNA, 1, place(1, 1)));
    scene.must(leave(KOFI, 2, place(1, 1)));
    let erase = |number| {
        let (conversation, seq) = (GROUP, seq(number));
        Operation::Log(LogOperation::Erase { conversation, seq, by: ANNA })
    };
    for handshake in [1, 2, 4] {
        assert_eq!(scene.apply(erase(handshake)), refused(Refusal::Forbidden));
    }
    scene.must(erase(3));
    assert!(scene.entries(GROUP)[2].erased && !scene.entries(GROUP)[1].erased);
}

pub(super) fn account_has_met_those_of_its_conversations<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    scene.must(leave(KOFI, 1, place(1, 1)));
    let mut met = |account, others: &[AccountId]| {
        let query = LogQuery::Met { account, others: others.to_vec() };
        match scene.ask(&Query::Log(query)).expect("an answer") {
            Answer::Met(met) => met,
            other => panic!("those who met, not {other:?}"),
        }
    };
    assert_eq!(met(ANNA, &[ROMY, KOFI, NOBODY, KOFI]), [KOFI]);
    assert_eq!(met(KOFI, &[ANNA]), [ANNA]);
    assert_eq!(met(ROMY, &[ANNA, KOFI]), []);
}
