//! Rules of rosters, of their effects on accounts, and of watermarks.

use tidings_model::{AccountId, ConversationId, ConversationKind, Range, Refusal, Role, Seq};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOBODY, NOON, ROMY, Scene, append, change, conversation, create, entry,
    event, refused, relay, seq, time,
};
use crate::store::{
    Append, Applied, Effect, GroupStep, LogOperation, Marks, Operation, Rejection, RosterAct,
    RosterChange,
};

fn range(from: u64, to: Option<u64>) -> Range {
    Range { from: seq(from), to: to.map(seq) }
}

fn mark(account: AccountId, delivered: u64, read: u64, millis: i64) -> Operation {
    let marks = Marks { delivered: seq(delivered), read: seq(read) };
    Operation::Log(LogOperation::Mark { conversation: GROUP, account, marks, time: time(millis) })
}

pub(super) fn range_begins_with_the_entry_that_adds_and_ends_with_the_one_that_removes<
    F: Fixture,
>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"before")));
    assert_eq!(scene.seq_of(change(ANNA, 2, 1, &[RosterAct::Join(ROMY, Role::Member)])), 3);
    assert_eq!(scene.membership(ROMY).ranges, [range(3, None)]);
    scene.must(append(GROUP, entry(ROMY, 3, b"hi")));
    assert_eq!(scene.seq_of(change(ANNA, 4, 2, &[RosterAct::Leave(ROMY)])), 5);
    let former = scene.membership(ROMY);
    assert_eq!((former.role, &former.ranges[..]), (None, &[range(3, Some(5))][..]));
    assert_eq!(scene.membership(ANNA).ranges, [range(1, None)]);
}

pub(super) fn coming_back_begins_another_range<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(change(KOFI, 1, 1, &[RosterAct::Leave(KOFI)]));
    scene.must(append(GROUP, entry(ANNA, 2, b"alone")));
    scene.must(change(ANNA, 3, 2, &[RosterAct::Join(KOFI, Role::Admin)]));
    let back = scene.membership(KOFI);
    assert_eq!(back.role, Some(Role::Admin));
    assert_eq!(back.ranges, [range(1, Some(2)), range(4, None)]);
    assert_eq!(scene.seq_of(append(GROUP, entry(KOFI, 4, b"back"))), 5);
    let mine = &scene.conversations_of(KOFI, 9)[0];
    assert_eq!(mine.membership.ranges, back.ranges);
}

pub(super) fn change_for_another_version_is_rejected<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    for version in [0, 2] {
        let stale = change(ANNA, 1, version, &[RosterAct::Join(ROMY, Role::Member)]);
        assert_eq!(scene.apply(stale), Err(Rejection::RosterChanged));
    }
    assert_eq!(scene.seqs(GROUP), [1]);
    assert_eq!(scene.outbox(9), []);
    scene.must(change(ANNA, 1, 1, &[RosterAct::Join(ROMY, Role::Member)]));
}

pub(super) fn of_two_changes_for_one_version_in_a_batch_the_first_wins<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let outcomes = scene.apply_batch(&[
        change(ANNA, 1, 1, &[RosterAct::Join(ROMY, Role::Member)]),
        change(ANNA, 2, 1, &[RosterAct::Leave(KOFI)]),
    ]);
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1], Err(Rejection::RosterChanged));
    assert_eq!(scene.membership(KOFI).role, Some(Role::Member));
    assert_eq!(scene.seqs(GROUP), [1, 2]);
}

pub(super) fn version_grows_by_one_with_each_change<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"no change")));
    assert_eq!(scene.roster(GROUP).conversation.roster_version, 1);
    scene.must(change(ANNA, 2, 1, &[RosterAct::Role(KOFI, Role::Admin)]));
    let both = [RosterAct::Join(ROMY, Role::Member), RosterAct::Leave(KOFI)];
    scene.must(change(ANNA, 3, 2, &both));
    let record = scene.roster(GROUP).conversation;
    assert_eq!((record.roster_version, record.member_count), (3, 2));
}

pub(super) fn name_and_roles_change_with_their_entry<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(Operation::Log(LogOperation::Append(Append {
        conversation: GROUP,
        entry: event(ANNA, 1),
        roster: Some(RosterChange {
            expected_version: 1,
            acts: vec![RosterAct::Role(ANNA, Role::Member), RosterAct::Role(KOFI, Role::Owner)],
            name: Some("Dinner".to_owned()),
        }),
        group: GroupStep::Open,
    })));
    assert_eq!(scene.roster(GROUP).conversation.name, "Dinner");
    assert_eq!(scene.membership(ANNA).role, Some(Role::Member));
    assert_eq!(scene.membership(KOFI).role, Some(Role::Owner));
    assert_eq!(scene.membership(KOFI).ranges, [range(1, None)]);
    scene.must(change(KOFI, 2, 2, &[]));
    assert_eq!(scene.roster(GROUP).conversation.name, "Dinner");
}

pub(super) fn act_that_does_not_fit_is_skipped<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let acts = [
        RosterAct::Join(KOFI, Role::Owner),
        RosterAct::Leave(ROMY),
        RosterAct::Role(NOBODY, Role::Owner),
    ];
    scene.must(change(ANNA, 1, 1, &acts));
    let roster = scene.roster(GROUP);
    assert_eq!((roster.members.len(), roster.conversation.member_count), (2, 2));
    assert_eq!(scene.membership(KOFI).role, Some(Role::Member));
    assert_eq!(scene.membership(KOFI).ranges, [range(1, None)]);
    assert_eq!(scene.outbox(9), []);
    scene.must(change(KOFI, 2, 2, &[RosterAct::Leave(KOFI)]));
    scene.must(change(ANNA, 3, 3, &[RosterAct::Leave(KOFI), RosterAct::Role(KOFI, Role::Owner)]));
    let former = scene.membership(KOFI);
    assert_eq!((former.role, &former.ranges[..]), (None, &[range(1, Some(3))][..]));
}

pub(super) fn unknown_account_does_not_join<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let acts = [RosterAct::Join(ROMY, Role::Member), RosterAct::Join(NOBODY, Role::Member)];
    assert_eq!(scene.apply(change(ANNA, 1, 1, &acts)), refused(Refusal::NotFound));
    assert_eq!(scene.roster(GROUP).members.len(), 2);
    assert_eq!(scene.seqs(GROUP), [1]);
    scene.must(change(ANNA, 1, 1, &acts[..1]));
}

pub(super) fn members_come_in_the_order_in_which_they_first_joined<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create(
        GROUP,
        ConversationKind::Group,
        200,
        &[(ROMY, Role::Owner), (ANNA, Role::Owner)],
    ));
    scene.must(change(ROMY, 1, 1, &[RosterAct::Leave(ROMY), RosterAct::Join(KOFI, Role::Member)]));
    scene.must(change(ANNA, 2, 2, &[RosterAct::Join(ROMY, Role::Member)]));
    let members = scene.roster(GROUP).members.into_iter().map(|member| member.profile.account);
    assert_eq!(Vec::from_iter(members), [ROMY, ANNA, KOFI]);
}

pub(super) fn every_join_leaves_an_outbox_row<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create(
        GROUP,
        ConversationKind::Group,
        200,
        &[(ANNA, Role::Owner), (KOFI, Role::Member)],
    ));
    let joined = |scene: &mut Scene<F>| {
        Vec::from_iter(scene.outbox(9).into_iter().map(|row| {
            let Effect::Joined { account, conversation } = row.effect else {
                panic!("only joins, not {row:?}");
            };
            assert_eq!(conversation, GROUP);
            account
        }))
    };
    assert_eq!(joined(&mut scene), [ANNA, KOFI]);
    scene.relay_all();
    scene.must(change(ANNA, 1, 1, &[RosterAct::Join(ROMY, Role::Member), RosterAct::Leave(KOFI)]));
    scene.must(change(ANNA, 2, 2, &[RosterAct::Join(KOFI, Role::Member)]));
    assert_eq!(joined(&mut scene), [ROMY, KOFI]);
}

pub(super) fn conversation_is_listed_once_its_row_is_relayed<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create(
        GROUP,
        ConversationKind::Group,
        200,
        &[(ANNA, Role::Owner), (KOFI, Role::Member)],
    ));
    assert_eq!(scene.conversations_of(ANNA, 9), []);
    scene.relay_all();
    assert_eq!(scene.outbox(9), []);
    let listed = scene.conversations_of(KOFI, 9);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].conversation, scene.roster(GROUP).conversation);
    assert_eq!(listed[0].membership.role, Some(Role::Member));
    scene.must(change(KOFI, 1, 1, &[RosterAct::Leave(KOFI)]));
    let left = &scene.conversations_of(KOFI, 9)[0].membership;
    assert_eq!((left.role, &left.ranges[..]), (None, &[range(1, Some(2))][..]));
    assert_eq!(scene.conversations_of(ROMY, 9), []);
}

pub(super) fn relaying_twice_is_done<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create(GROUP, ConversationKind::Group, 200, &[(ANNA, Role::Owner)]));
    let row = scene.outbox(9)[0];
    for outcome in scene.apply_batch(&[relay(row), relay(row)]) {
        assert_eq!(outcome, Ok(Applied::Done));
    }
    assert_eq!(scene.outbox(9), []);
    assert_eq!(scene.conversations_of(ANNA, 9).len(), 1);
}

pub(super) fn outbox_rows_come_oldest_first_and_their_ids_are_never_used_again<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create(
        GROUP,
        ConversationKind::Group,
        200,
        &[(ANNA, Role::Owner), (KOFI, Role::Member)],
    ));
    let rows = scene.outbox(9);
    assert_eq!(scene.outbox(1), rows[..1]);
    assert!(rows[0].id < rows[1].id);
    scene.relay_all();
    let mut scene = scene.reopen();
    scene.must(create(conversation(2), ConversationKind::Group, 201, &[(ANNA, Role::Owner)]));
    assert!(scene.outbox(9)[0].id > rows[1].id);
    scene.must(relay(rows[1]));
    assert_eq!(scene.outbox(9).len(), 1, "a late relay drops no other row");
}

pub(super) fn marks_never_go_back<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    for number in 1..=4 {
        scene.must(append(GROUP, entry(ANNA, number, b"hi")));
    }
    scene.must(mark(KOFI, 4, 2, NOON + 10));
    scene.must(mark(KOFI, 3, 3, NOON + 5));
    scene.must(mark(KOFI, 1, 1, NOON + 90));
    let receipts = &scene.conversations_of(ANNA, 9)[0].receipts;
    let marks = Marks { delivered: seq(4), read: seq(3) };
    assert_eq!(receipts.len(), 1, "marks that were never raised are no receipt");
    assert_eq!((receipts[0].account, receipts[0].marks), (KOFI, marks));
    assert_eq!(receipts[0].time, time(NOON + 10), "nothing was raised after that");
    assert_eq!(scene.roster(GROUP).members[1].marks, marks);
}

pub(super) fn marks_of_those_who_left_are_skipped<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(mark(KOFI, 1, 1, NOON));
    scene.must(change(KOFI, 1, 1, &[RosterAct::Leave(KOFI)]));
    for account in [KOFI, ROMY, NOBODY] {
        scene.must(mark(account, 2, 2, NOON + 1));
    }
    let marks = scene.roster(GROUP).members[1].marks;
    assert_eq!(marks, Marks { delivered: seq(1), read: seq(1) });
    assert_eq!(scene.conversations_of(ANNA, 9)[0].receipts, []);
    let elsewhere = LogOperation::Mark {
        conversation: conversation(50),
        account: ANNA,
        marks,
        time: time(NOON),
    };
    scene.must(Operation::Log(elsewhere));
}

pub(super) fn receipts_come_with_small_conversations_only<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(mark(KOFI, 1, 0, NOON));
    assert_eq!(scene.conversations_of(ANNA, 2)[0].receipts.len(), 1);
    assert_eq!(scene.conversations_of(ANNA, 1)[0].receipts, []);
}

pub(super) fn direct_conversation_names_the_partner<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let members = [(ANNA, Role::Owner), (KOFI, Role::Owner)];
    let direct = ConversationId::direct(ANNA, KOFI);
    scene.must(create(direct, ConversationKind::Direct, 1, &members));
    scene.relay_all();
    for (account, partner) in [(ANNA, "kofi"), (KOFI, "anna")] {
        for membership in scene.conversations_of(account, 9) {
            let of_direct = membership.conversation.conversation == direct;
            let name = membership.partner.map(|partner| partner.user_name);
            assert_eq!(name.as_deref(), of_direct.then_some(partner));
        }
    }
    assert_eq!(scene.roster(direct).conversation.head, Seq::FIRST);
}
