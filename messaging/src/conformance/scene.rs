//! A store with a few people in it, and short words for what they do.

use bytes::Bytes;
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, LogEpoch, MessageId,
    Refusal, Role, Seq, Timestamp,
};

use super::Fixture;
use crate::store::{
    AccountOperation, AccountQuery, Answer, Append, Appended, Applied, Create, DeviceHeads,
    DeviceQuery, DeviceRecord, EntryPage, GroupAnswer, GroupStep, InboxPage, LogOperation,
    LogQuery, Marks, Membership, MembershipRecord, NewAccount, NewDevice, NewEntry, Operation,
    OutboxOperation, OutboxRow, Outcome, Query, ReadFailure, Reader, Rejection, Retain, RosterAct,
    RosterChange, RosterRecord, TokenHash,
};

pub(super) const ANNA: AccountId = account(1);
pub(super) const KOFI: AccountId = account(2);
pub(super) const ROMY: AccountId = account(3);
/// Never signs up.
pub(super) const NOBODY: AccountId = account(99);

/// Anna's group, in which Kofi is a member and Romy is none.
pub(super) const GROUP: ConversationId = conversation(1);

/// The server's time when a scene begins.
pub(super) const NOON: i64 = 1_000_000;

pub(super) const fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

pub(super) const fn conversation(number: u8) -> ConversationId {
    ConversationId::from_bytes([number; 16])
}

pub(super) const fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

/// An account's first device.
pub(super) const fn device_of(account: AccountId) -> DeviceId {
    DeviceId::from_bytes(*account.as_bytes())
}

pub(super) const fn message(number: u8) -> MessageId {
    MessageId::from_bytes([number; 16])
}

pub(super) fn epoch(number: u64) -> LogEpoch {
    LogEpoch::new(number).expect("an epoch")
}

pub(super) fn seq(number: u64) -> Seq {
    Seq::new(number).expect("a seq")
}

pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn refused(refusal: Refusal) -> Outcome {
    Err(Rejection::Refused(refusal))
}

/// A message of an account's first device.
pub(super) fn entry(account: AccountId, number: u8, payload: &[u8]) -> NewEntry {
    NewEntry {
        account,
        device: device_of(account),
        message_id: message(number),
        kind: EntryKind::Message,
        payload: Bytes::copy_from_slice(payload),
        expires_after_ms: None,
        time: time(NOON),
        client_time: None,
        asked: None,
    }
}

pub(super) fn event(account: AccountId, number: u8) -> NewEntry {
    NewEntry { kind: EntryKind::Event, ..entry(account, number, b"event") }
}

pub(super) fn append(conversation: ConversationId, entry: NewEntry) -> Operation {
    Operation::Log(LogOperation::Append(Append {
        conversation,
        entry,
        roster: None,
        group: GroupStep::Open,
    }))
}

/// A change of the roster, with its event.
pub(super) fn change(
    by: AccountId,
    number: u8,
    expected_version: u64,
    acts: &[RosterAct],
) -> Operation {
    Operation::Log(LogOperation::Append(Append {
        conversation: GROUP,
        entry: event(by, number),
        roster: Some(RosterChange { expected_version, acts: acts.to_vec(), name: None }),
        group: GroupStep::Open,
    }))
}

pub(super) fn create(
    conversation: ConversationId,
    kind: ConversationKind,
    number: u8,
    members: &[(AccountId, Role)],
) -> Operation {
    let maker = members.first().expect("a maker").0;
    Operation::Log(LogOperation::Create(Create {
        conversation,
        kind,
        name: String::new(),
        epoch: epoch(7),
        first: event(maker, number),
        members: members.to_vec(),
        group: None,
    }))
}

pub(super) fn new_account(account: AccountId, user_name: &str) -> NewAccount {
    NewAccount {
        account,
        user_name: user_name.to_owned(),
        display_name: user_name.to_uppercase(),
        verifiers: Vec::new(),
    }
}

pub(super) fn new_device(device: DeviceId) -> NewDevice {
    NewDevice { device, name: "phone".to_owned(), token_hash: TokenHash([9; 32]) }
}

/// Sign-up without an invite where none is needed.
pub(super) fn sign_up(account: AccountId, user_name: &str) -> Operation {
    Operation::Account(AccountOperation::SignUp {
        account: new_account(account, user_name),
        device: new_device(device_of(account)),
        invite: None,
        invite_required: false,
        now: time(NOON),
    })
}

/// What an append or a creation answered.
pub(super) fn appended(outcome: Outcome) -> Appended {
    match outcome {
        Ok(Applied::Appended(appended)) => appended,
        other => panic!("appends: {other:?}"),
    }
}

pub(super) struct Scene<F> {
    pub(super) fixture: F,
    reader: Option<Box<dyn Reader>>,
}

impl<F: Fixture> Scene<F> {
    /// A store that holds nothing.
    pub(super) fn empty() -> Self {
        let mut fixture = F::open_fresh();
        let reader = Some(fixture.reader());
        Self { fixture, reader }
    }

    /// A store with Anna, Kofi and Romy.
    pub(super) fn with_people() -> Self {
        let mut scene = Self::empty();
        for (account, name) in [(ANNA, "anna"), (KOFI, "kofi"), (ROMY, "romy")] {
            scene.must(sign_up(account, name));
        }
        scene
    }

    /// A store with them and [`GROUP`], made by Anna's message 200.
    pub(super) fn with_group() -> Self {
        let mut scene = Self::with_people();
        let members = [(ANNA, Role::Owner), (KOFI, Role::Member)];
        scene.must(create(GROUP, ConversationKind::Group, 200, &members));
        scene.relay_all();
        scene
    }

    /// Drops the entries of [`GROUP`] up to a seq: everybody has acknowledged them, and all are old.
    pub(super) fn drop_up_to(&mut self, last: u64) {
        let delivered = seq(last);
        let members = self.roster(GROUP).members.into_iter();
        for member in members.filter(|member| member.membership.role.is_some()) {
            self.must(Operation::Log(LogOperation::Mark {
                conversation: GROUP,
                account: member.profile.account,
                marks: Marks { delivered, read: Seq::ZERO },
                time: time(NOON),
            }));
        }
        // The first notes it.
        for _ in 0..2 {
            self.must(retain(NOON, i64::MAX, NOON));
        }
    }

    pub(super) fn reopen(mut self) -> Self {
        self.reader = None;
        let mut fixture = self.fixture.reopen();
        let reader = Some(fixture.reader());
        Self { fixture, reader }
    }

    pub(super) fn apply_batch(&mut self, batch: &[Operation]) -> Vec<Outcome> {
        let outcomes = self.fixture.writer().apply(batch).expect("the store writes");
        assert_eq!(outcomes.len(), batch.len(), "each operation has its outcome");
        outcomes
    }

    pub(super) fn apply(&mut self, operation: Operation) -> Outcome {
        self.apply_batch(&[operation]).remove(0)
    }

    pub(super) fn must(&mut self, operation: Operation) -> Applied {
        match self.apply(operation.clone()) {
            Ok(applied) => applied,
            Err(rejection) => panic!("{operation:?} is rejected: {rejection}"),
        }
    }

    /// Appends and tells the seq.
    pub(super) fn seq_of(&mut self, operation: Operation) -> u64 {
        appended(self.apply(operation)).position.seq.get()
    }

    pub(super) fn ask(&mut self, query: &Query) -> Result<Answer, ReadFailure> {
        self.reader.as_mut().expect("a reader").answer(query)
    }

    fn ask_log(&mut self, query: LogQuery) -> Answer {
        self.ask(&Query::Log(query)).expect("an answer")
    }

    pub(super) fn ask_account(&mut self, query: AccountQuery) -> Answer {
        self.ask(&Query::Account(query)).expect("an answer")
    }

    pub(super) fn page(
        &mut self,
        conversation: ConversationId,
        after: u64,
    ) -> Result<EntryPage, ReadFailure> {
        let query = LogQuery::Entries {
            conversation,
            after: seq(after),
            until: seq(1 << 40),
            entries_max: 1_000,
            bytes_max: 1 << 30,
        };
        match self.ask(&Query::Log(query))? {
            Answer::Entries(page) => Ok(page),
            other => panic!("a page, not {other:?}"),
        }
    }

    pub(super) fn entries(&mut self, conversation: ConversationId) -> Vec<Entry> {
        self.page(conversation, 0).expect("a page").entries
    }

    pub(super) fn seqs(&mut self, conversation: ConversationId) -> Vec<u64> {
        self.entries(conversation).iter().map(|entry| entry.seq.get()).collect()
    }

    pub(super) fn roster_with(&mut self, query: LogQuery) -> Option<RosterRecord> {
        match self.ask_log(query) {
            Answer::Roster(roster) => roster.map(|roster| *roster),
            other => panic!("a roster, not {other:?}"),
        }
    }

    pub(super) fn roster(&mut self, conversation: ConversationId) -> RosterRecord {
        let query = LogQuery::Roster { conversation, profiles: Vec::new(), message: None };
        self.roster_with(query).expect("a conversation")
    }

    pub(super) fn membership(&mut self, account: AccountId) -> Membership {
        let members = self.roster(GROUP).members;
        let member = members.into_iter().find(|member| member.profile.account == account);
        member.expect("a member").membership
    }

    pub(super) fn conversations_of(
        &mut self,
        account: AccountId,
        receipts_members_max: usize,
    ) -> Vec<MembershipRecord> {
        match self.ask_log(LogQuery::ConversationsOf { account, receipts_members_max }) {
            Answer::Memberships(memberships) => memberships,
            other => panic!("memberships, not {other:?}"),
        }
    }

    pub(super) fn devices(&mut self, account: AccountId) -> Vec<DeviceRecord> {
        match self.ask_account(AccountQuery::Devices(account)) {
            Answer::Devices(devices) => devices,
            other => panic!("devices, not {other:?}"),
        }
    }

    pub(super) fn outbox(&mut self, rows_max: usize) -> Vec<OutboxRow> {
        match self.ask(&Query::Outbox { rows_max }).expect("an answer") {
            Answer::Outbox(rows) => rows,
            other => panic!("outbox rows, not {other:?}"),
        }
    }

    pub(super) fn ask_device(&mut self, query: DeviceQuery) -> Answer {
        self.ask(&Query::Device(query)).expect("an answer")
    }

    pub(super) fn group(&mut self, conversation: ConversationId) -> Option<GroupAnswer> {
        match self.ask_log(LogQuery::Group(conversation)) {
            Answer::Group(group) => group.map(|group| *group),
            other => panic!("a group, not {other:?}"),
        }
    }

    pub(super) fn inbox(&mut self, device: DeviceId, after: u64) -> InboxPage {
        let (items_max, bytes_max) = (1_000, 1 << 30);
        match self.ask_device(DeviceQuery::Inbox { device, after, items_max, bytes_max }) {
            Answer::Inbox(page) => page,
            other => panic!("an inbox, not {other:?}"),
        }
    }

    pub(super) fn heads(&mut self, account: AccountId) -> DeviceHeads {
        let device = device_of(account);
        match self.ask_device(DeviceQuery::Heads { account, device }) {
            Answer::Heads(heads) => heads,
            other => panic!("heads, not {other:?}"),
        }
    }

    pub(super) fn relay_all(&mut self) {
        for row in self.outbox(usize::MAX) {
            self.must(relay(row));
        }
    }
}

/// One sweep over all logs.
pub(super) fn retain(now: i64, entries_before: i64, acknowledged_before: i64) -> Operation {
    Operation::Log(LogOperation::Retain(Retain {
        now: time(now),
        entries_before: time(entries_before),
        acknowledged_before: time(acknowledged_before),
        from: ConversationId::from_bytes([0; 16]),
        conversations_max: usize::MAX,
        entries_max: usize::MAX,
    }))
}

pub(super) fn relay(row: OutboxRow) -> Operation {
    Operation::Outbox(OutboxOperation::Relay(row))
}
