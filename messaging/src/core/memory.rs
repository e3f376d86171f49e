//! What the core keeps in memory of accounts and conversations, so that a reconnect reads nothing and a
//! fan-out asks nobody.
//!
//! An account is here while it has a session, and for some time after. A conversation is here while one
//! of its accounts is. Everything here can be read again from the store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidings_model::{
    AccountId, Checksum, ConversationId, DeviceId, Monotonic, Range, Role, Seq, Timestamp,
};

use super::heads::Heads;
use super::pace::Pace;
use super::receipt::Tracked;
use super::throttle::Allowance;
use crate::limits::{IDLE_ACCOUNTS_MAX, RECEIPTS_TO_ALL_MEMBERS_MAX, RECENT_AUTHORS_MAX};
use crate::request::{ConversationState, SessionId};
use crate::store::{
    AccountRecord, Appended, ConversationRecord, Marks, Membership, MembershipRecord, Profile,
    TokenHash,
};

/// Accounts and conversations in memory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) accounts: BTreeMap<AccountId, Account>,
    pub(super) conversations: BTreeMap<ConversationId, Conversation>,
    /// Devices that have resumed, so that the next resume reads nothing.
    pub(super) devices: BTreeMap<DeviceId, KnownDevice>,
    /// Accounts without a session, the longest away first.
    idle: BTreeMap<u64, AccountId>,
    last_idle: u64,
}

/// An account in memory.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) profile: Profile,
    pub(super) administrator: bool,
    pub(super) sessions: BTreeSet<SessionId>,
    /// Its devices among [`Memory::devices`].
    pub(super) devices: BTreeSet<DeviceId>,
    /// Its place among those that are idle.
    idle: Option<u64>,
    pub(super) parts: BTreeMap<ConversationId, Part>,
    pub(super) last_seen: Option<Timestamp>,
    pub(super) look_ups: Allowance,
    pub(super) claims: Allowance,
}

/// A device whose token was found right.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownDevice {
    pub(super) account: AccountId,
    pub(super) token: TokenHash,
    pub(super) heads: Heads,
}

/// An account's part in a conversation.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) membership: Membership,
    pub(super) partner: Option<Profile>,
    /// When the log got a new epoch on the account's word.
    pub(super) renewed_epoch_at: Option<Monotonic>,
}

/// A conversation in memory.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) record: ConversationRecord,
    /// Accounts in memory that are or were members.
    pub(super) readers: BTreeSet<AccountId>,
    pub(super) receipts: BTreeMap<AccountId, Tracked>,
    /// Who wrote the entries before the head, for receipts in large groups.
    pub(super) authors: VecDeque<(Seq, AccountId)>,
    /// Since when members type.
    pub(super) typing: BTreeMap<AccountId, Monotonic>,
    /// Sessions that have it open.
    pub(super) views: BTreeSet<SessionId>,
    /// Of its Commits, where it is sealed.
    pub(super) pace: Pace,
    /// When its group was restarted.
    pub(super) restarted_at: Option<Monotonic>,
}

/// What happened to conversations while a query was under way, which its answer may not show yet.
#[derive(Debug)]
pub(super) struct Load {
    account: AccountId,
    joined: bool,
    appended: BTreeMap<ConversationId, Appended>,
    changed: BTreeSet<ConversationId>,
}

impl Load {
    pub(super) fn of(account: AccountId) -> Self {
        Self { account, joined: false, appended: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// An account has one conversation more: an answer with all of its conversations may lack it.
    pub(super) fn note_joined(&mut self, account: AccountId) {
        self.joined |= self.account == account;
    }

    pub(super) fn note_append(&mut self, conversation: ConversationId, appended: Appended) {
        self.appended.insert(conversation, appended);
    }

    /// The roster or the epoch has changed: an answer that holds this conversation is of no use.
    pub(super) fn note_change(&mut self, conversation: ConversationId) {
        self.changed.insert(conversation);
    }

    pub(super) fn is_stale_for(&self, conversation: ConversationId) -> bool {
        self.changed.contains(&conversation)
    }

    fn bring_up_to_date(&self, record: &mut ConversationRecord) {
        if let Some(appended) = self.appended.get(&record.conversation)
            && appended.position.seq > record.head
        {
            record.advance(appended);
        }
    }
}

impl ConversationRecord {
    pub(super) fn advance(&mut self, appended: &Appended) {
        self.head = appended.position.seq;
        self.head_time = appended.position.time;
        self.head_checksum = appended.checksum;
    }
}

impl Conversation {
    fn new(record: ConversationRecord) -> Self {
        Self {
            record,
            readers: BTreeSet::new(),
            receipts: BTreeMap::new(),
            authors: VecDeque::new(),
            typing: BTreeMap::new(),
            views: BTreeSet::new(),
            pace: Pace::default(),
            restarted_at: None,
        }
    }

    pub(super) fn note_author(&mut self, seq: Seq, account: AccountId) {
        if self.authors.len() == RECENT_AUTHORS_MAX {
            self.authors.pop_front();
        }
        self.authors.push_back((seq, account));
    }

    /// Whether a member knows another checksum of the log's head. What a former member knows is of no
    /// weight.
    pub(super) fn differs_at_head(&self, part: &Part, seq: Seq, known: Option<Checksum>) -> bool {
        part.membership.role.is_some()
            && seq == self.record.head
            && known.is_some_and(|known| known != self.record.head_checksum)
    }

    /// The last seq that a member or former member may read.
    pub(super) fn readable_head(&self, membership: &Membership) -> Seq {
        readable_head(membership, self.record.head)
    }

    /// What an account is told.
    pub(super) fn state(&self, part: &Part) -> ConversationState {
        let receipts = if self.record.member_count <= RECEIPTS_TO_ALL_MEMBERS_MAX {
            self.receipts.iter().map(|(account, tracked)| (*account, tracked.marks)).collect()
        } else {
            Vec::new()
        };
        state_of(&self.record, &part.membership, part.partner.clone(), receipts)
    }
}

/// What an account is told of a conversation, from its record.
pub(super) fn state_of(
    record: &ConversationRecord,
    membership: &Membership,
    partner: Option<Profile>,
    receipts: Vec<(AccountId, Marks)>,
) -> ConversationState {
    let head = readable_head(membership, record.head);
    ConversationState {
        conversation: record.conversation,
        kind: record.kind,
        name: record.name.clone(),
        epoch: record.epoch,
        epoch_since: record.epoch_since,
        head,
        head_time: record.head_time,
        head_checksum: (head == record.head).then_some(record.head_checksum),
        roster_version: record.roster_version,
        role: membership.role,
        ranges: membership.ranges.clone(),
        member_count: record.member_count,
        partner,
        receipts,
        group: record.group,
    }
}

fn readable_head(membership: &Membership, head: Seq) -> Seq {
    membership.ranges.last().map_or(Seq::ZERO, |range| range.to.unwrap_or(head))
}

impl Membership {
    pub(super) fn may_read(&self, seq: Seq) -> bool {
        self.ranges.iter().rev().any(|range| range.contains(seq))
    }

    pub(super) fn begin(&mut self, role: Role, seq: Seq) {
        self.role = Some(role);
        self.ranges.push(Range { from: seq, to: None });
    }

    pub(super) fn end(&mut self, seq: Seq) {
        self.role = None;
        // The Commit that removes one who has left ends nothing any more.
        if let Some(range) = self.ranges.last_mut() {
            range.to.get_or_insert(seq);
        }
    }
}

/// The answer was read before something that has happened since: ask again.
pub(super) struct Stale;

impl Memory {
    pub(super) fn has_part(&self, account: AccountId, conversation: ConversationId) -> bool {
        self.accounts.get(&account).is_some_and(|state| state.parts.contains_key(&conversation))
    }

    pub(super) fn part(
        &self,
        account: AccountId,
        conversation: ConversationId,
    ) -> Option<(&Part, &Conversation)> {
        let part = self.accounts.get(&account)?.parts.get(&conversation)?;
        Some((part, self.conversations.get(&conversation)?))
    }

    pub(super) fn part_mut(
        &mut self,
        account: AccountId,
        conversation: ConversationId,
    ) -> Option<&mut Part> {
        self.accounts.get_mut(&account)?.parts.get_mut(&conversation)
    }

    /// Sessions of the readers of a conversation whose part passes.
    pub(super) fn sessions<'a>(
        &'a self,
        key: ConversationId,
        may: impl Fn(AccountId, &Part) -> bool + 'a,
    ) -> impl Iterator<Item = SessionId> + 'a {
        let readers = self.conversations.get(&key).into_iter().flat_map(|c| &c.readers);
        readers
            .filter_map(move |reader| {
                let account = self.accounts.get(reader)?;
                let part = account.parts.get(&key)?;
                may(*reader, part).then_some(account)
            })
            .flat_map(|account| account.sessions.iter().copied())
    }

    pub(super) fn live_sessions(&self) -> usize {
        self.accounts.values().map(|account| account.sessions.len()).sum()
    }

    pub(super) fn sum_of_heads(&self, account: AccountId) -> u64 {
        let Some(account) = self.accounts.get(&account) else { return 0 };
        account.parts.iter().fold(0u64, |sum, (id, part)| {
            let head =
                self.conversations.get(id).map_or(Seq::ZERO, |c| c.readable_head(&part.membership));
            sum.wrapping_add(head.get())
        })
    }

    /// Takes in an account with all its conversations.
    pub(super) fn insert_account(
        &mut self,
        record: &AccountRecord,
        memberships: Vec<MembershipRecord>,
        load: &Load,
    ) -> Result<(), Stale> {
        let stale = |m: &MembershipRecord| load.is_stale_for(m.conversation.conversation);
        if load.joined || memberships.iter().any(stale) {
            return Err(Stale);
        }
        let id = record.profile.account;
        let account = Account {
            profile: record.profile.clone(),
            administrator: record.administrator,
            sessions: BTreeSet::new(),
            devices: BTreeSet::new(),
            idle: None,
            parts: BTreeMap::new(),
            last_seen: None,
            look_ups: Allowance::default(),
            claims: Allowance::default(),
        };
        if self.accounts.contains_key(&id) {
            return Ok(());
        }
        self.accounts.insert(id, account);
        for membership in memberships {
            self.insert_part(id, membership, load);
        }
        // Its session may have gone while the store answered.
        self.rest(id);
        Ok(())
    }

    /// Takes in one conversation of an account that is in memory.
    pub(super) fn insert_part(&mut self, id: AccountId, mut record: MembershipRecord, load: &Load) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        load.bring_up_to_date(&mut record.conversation);
        let key = record.conversation.conversation;
        let conversation = self.conversations.entry(key).or_insert_with(|| {
            let mut conversation = Conversation::new(record.conversation);
            for receipt in &record.receipts {
                conversation.receipts.insert(receipt.account, Tracked::stored(*receipt));
            }
            conversation
        });
        conversation.readers.insert(id);
        let part =
            Part { membership: record.membership, partner: record.partner, renewed_epoch_at: None };
        account.parts.entry(key).or_insert(part);
    }

    /// Remembers a device whose token was found right.
    pub(super) fn remember_device(&mut self, id: AccountId, device: DeviceId, token: TokenHash) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.devices.insert(device);
            let known = KnownDevice { account: id, token, heads: Heads::default() };
            self.devices.entry(device).or_insert(known);
        }
    }

    pub(super) fn forget_device(&mut self, device: DeviceId) {
        if let Some(known) = self.devices.remove(&device)
            && let Some(account) = self.accounts.get_mut(&known.account)
        {
            account.devices.remove(&device);
        }
    }

    pub(super) fn attach(&mut self, id: AccountId, session: SessionId) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        account.sessions.insert(session);
        if let Some(place) = account.idle.take() {
            self.idle.remove(&place);
        }
    }

    /// Takes a session away. An account without any stays, until more than enough do.
    pub(super) fn detach(&mut self, id: AccountId, session: SessionId, now: Timestamp) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        account.sessions.remove(&session);
        if !account.sessions.is_empty() {
            return;
        }
        account.last_seen = Some(now);
        self.rest(id);
    }

    fn rest(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        self.last_idle += 1;
        account.idle = Some(self.last_idle);
        self.idle.insert(self.last_idle, id);
        if self.idle.len() > IDLE_ACCOUNTS_MAX
            && let Some((_, oldest)) = self.idle.pop_first()
        {
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: AccountId) {
        let Some(account) = self.accounts.remove(&id) else { return };
        for device in &account.devices {
            self.devices.remove(device);
        }
        for key in account.parts.keys() {
            if let Some(conversation) = self.conversations.get_mut(key) {
                conversation.readers.remove(&id);
                if conversation.readers.is_empty() {
                    self.conversations.remove(key);
                }
            }
        }
    }
}
