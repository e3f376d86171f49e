//! A device's database in memory: what the core writes is what it reads, whole change sets at a time.
//!
//! Like a real one it knows two kinds of commit. What a crash of the program leaves is everything that
//! was committed; what a power loss leaves is everything up to the last synced change set, and as much
//! behind it as the disk happened to have. A copy of it is a backup that somebody may put back.

mod reads;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidings_client_core::database::{
    AccountRow, ConversationRow, DeviceListRow, EntryRole, EntryRow, GroupRow, GroupWrite,
    HandshakeRow, IdentityRow, KeyPackageRow, MemberRow, OutboxRow, Profile, SearchHit, Write,
};
use tidings_client_core::{ChangeSet, Durability};
use tidings_client_mls::Slot;
use tidings_model::{AccountId, ConversationId, EntryKind, Hidden, MessageId, Seq};
use tidings_protocol_content::Reference;
use tidings_protocol_mls::header::MessageHeader;

/// A database with what the disk is sure to have of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDatabase {
    /// What the program reads.
    now: State,
    /// What was synced.
    synced: State,
    /// Committed behind it.
    unsynced: Vec<ChangeSet>,
}

/// Where an entry lies. A detached one lies before that of the same seq, and keeps its name there,
/// since several former epochs may have had this seq.
type Place = (ConversationId, Seq, bool, Option<MessageId>);

/// A message, ordered.
type Name = (ConversationId, AccountId, MessageId);

#[derive(Debug, Clone, Default)]
struct State {
    account: Option<AccountRow>,
    identity: Option<IdentityRow>,
    conversations: BTreeMap<ConversationId, ConversationRow>,
    profiles: BTreeMap<AccountId, Profile>,
    members: BTreeMap<(ConversationId, AccountId), MemberRow>,
    entries: BTreeMap<Place, EntryRow>,
    messages: BTreeMap<Name, BTreeSet<Place>>,
    annotations: BTreeMap<Name, BTreeSet<Place>>,
    hidden: Vec<(ConversationId, Hidden)>,
    outbox: BTreeMap<i64, OutboxRow>,
    index: BTreeMap<Name, SearchHit>,
    device_lists: BTreeMap<(AccountId, u32, u32), DeviceListRow>,
    groups: BTreeMap<ConversationId, GroupRow>,
    handshakes: Vec<HandshakeRow>,
    key_packages: BTreeMap<Bytes, KeyPackageRow>,
    account_values: BTreeMap<Bytes, Bytes>,
}

impl MemoryDatabase {
    /// Commits a change set.
    pub(crate) fn commit(&mut self, changes: ChangeSet) {
        for write in &changes.writes {
            self.now.apply(write.clone());
        }
        let durability = changes.durability;
        self.unsynced.push(changes);
        if durability == Durability::Synced {
            self.sync(self.unsynced.len());
        }
    }

    /// How many change sets a power loss may take.
    pub(crate) fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The power fails: of what was not synced the disk has the first `kept` change sets.
    pub(crate) fn lose_power(&mut self, kept: usize) {
        self.sync(kept);
        self.unsynced.clear();
        self.now = self.synced.clone();
    }

    /// The keys of all groups are gone, as after a damaged file; everything else is there.
    pub(crate) fn lose_groups(&mut self) {
        self.sync(self.unsynced.len());
        for state in [&mut self.now, &mut self.synced] {
            state.groups.clear();
            state.key_packages.clear();
        }
    }

    /// The conversations as the device knows them.
    pub(crate) fn conversation(&self, conversation: ConversationId) -> Option<&ConversationRow> {
        self.now.conversations.get(&conversation)
    }

    /// The group of a conversation.
    pub(crate) fn group_row(&self, conversation: ConversationId) -> Option<&GroupRow> {
        self.now.groups.get(&conversation)
    }

    /// What was kept of handshakes is gone.
    pub(crate) fn forget_handshakes(&mut self) {
        self.sync(self.unsynced.len());
        for state in [&mut self.now, &mut self.synced] {
            state.handshakes.clear();
        }
    }

    /// Whether the log of a conversation has lost handshakes that the device has.
    pub(crate) fn has_lost_handshakes(&self, conversation: ConversationId) -> bool {
        let lost = |row: &HandshakeRow| row.is_lost && row.conversation == conversation;
        self.now.handshakes.iter().any(lost)
    }

    /// All that is held of a log: entries that are not detached, and hidden spans.
    pub(crate) fn log(
        &self,
        conversation: ConversationId,
    ) -> (impl Iterator<Item = &EntryRow>, impl Iterator<Item = &Hidden>) {
        let entries = self.now.of(conversation).filter(|row| !row.detached);
        let hidden = self.now.hidden.iter().filter(move |(of, _)| *of == conversation);
        (entries, hidden.map(|(_, hidden)| hidden))
    }

    /// What waits to be sent or was refused.
    pub(crate) fn outbox_rows(&self) -> impl Iterator<Item = &OutboxRow> {
        self.now.outbox.values()
    }

    /// The conversations in words, for whoever reads a failure.
    pub(crate) fn conversations_in_words(&self) -> Vec<String> {
        let rows = self.now.conversations.values();
        let in_words = |row: &ConversationRow| {
            let group = self.now.groups.get(&row.conversation).map(|group| {
                (group.state.is_some(), group.pending.is_some(), group.rejoin.is_some())
            });
            let seq = row.cursor.map(|cursor| cursor.seq.get());
            format!("{}: at {seq:?}, {:?}, group {group:?}", row.conversation, row.sealing)
        };
        rows.map(in_words).collect()
    }

    /// The messages that could not be read, with the epochs that they were sealed in, for whoever reads
    /// a failure.
    pub(crate) fn unreadable_in_words(&self) -> Vec<String> {
        let rows = self.now.entries.values().filter(|row| row.role == EntryRole::Unreadable);
        let in_words = |row: &EntryRow| {
            let header = MessageHeader::parse(&row.entry.payload).ok();
            let epoch = header.map(|header| header.epoch);
            format!("{} of {} in {epoch:?}", row.entry.seq.get(), row.entry.device)
        };
        rows.map(in_words).collect()
    }

    /// The entry at a place of a log.
    pub(crate) fn entry(&self, conversation: ConversationId, seq: Seq) -> Option<&EntryRow> {
        self.now.entries.get(&(conversation, seq, true, None))
    }

    /// A member's row.
    pub(crate) fn member(
        &self,
        conversation: ConversationId,
        account: AccountId,
    ) -> Option<&MemberRow> {
        self.now.members.get(&(conversation, account))
    }

    fn sync(&mut self, change_sets: usize) {
        for changes in self.unsynced.drain(..change_sets) {
            for write in changes.writes {
                self.synced.apply(write);
            }
        }
    }
}

impl State {
    fn apply(&mut self, write: Write) {
        match write {
            Write::PutAccount(row) => self.account = Some(*row),
            Write::Wipe => *self = Self::default(),
            Write::PutConversation(row) => {
                self.conversations.insert(row.conversation, *row);
            }
            Write::DeleteConversation(conversation) => {
                self.conversations.remove(&conversation);
                self.groups.remove(&conversation);
                self.handshakes.retain(|row| row.conversation != conversation);
                self.members.retain(|(of, _), _| *of != conversation);
            }
            Write::PutProfile(profile) => {
                self.profiles.insert(profile.account, profile);
            }
            Write::PutMember(conversation, row) => {
                self.members.insert((conversation, row.account), row);
            }
            Write::PutEntry(row) => self.put_entry(*row),
            Write::EraseEntry { conversation, seq } => {
                if let Some(row) = self.entries.get_mut(&(conversation, seq, true, None)) {
                    erase(row);
                }
            }
            Write::DeleteDetached { conversation, message } => {
                let name = (conversation, message.account, message.message_id);
                let places = self.messages.get(&name).cloned().unwrap_or_default();
                for place in places.into_iter().filter(|place| !place.2) {
                    self.remove_entry(place);
                }
            }
            Write::Rewind { conversation, after, own } => self.rewind(conversation, after, own),
            Write::PutHidden(conversation, hidden) => self.hidden.push((conversation, hidden)),
            Write::Reveal { conversation, from, to } => self.reveal(conversation, from, to),
            Write::PutOutbox(row) => {
                self.outbox.insert(row.position, *row);
            }
            Write::DeleteOutbox { position } => {
                self.outbox.remove(&position);
            }
            Write::Index(hit) => {
                self.index.insert(named(hit.conversation, hit.message), hit);
            }
            Write::Unindex { conversation, message } => {
                self.index.remove(&named(conversation, message));
            }
            Write::PutIdentity(row) => self.identity = Some(*row),
            Write::PutDeviceList(row) => {
                self.device_lists.insert((row.account, row.identity, row.index), row);
            }
            Write::PutGroup(conversation, write) => self.put_group(conversation, *write),
            Write::PutHandshake(row) => self.put_handshake(*row),
            Write::ForgetLostHandshakes(conversation) => {
                self.handshakes.retain(|row| row.conversation != conversation || !row.is_lost);
            }
            Write::PutKeyPackage(row) => {
                self.key_packages.insert(row.reference.clone(), *row);
            }
            Write::DeleteKeyPackages(references) => {
                for reference in references {
                    self.key_packages.remove(&reference);
                }
            }
            Write::DeleteAllKeyPackages => self.key_packages.clear(),
            Write::PutAccountValue { key, value } if value.is_empty() => {
                self.account_values.remove(&key);
            }
            Write::PutAccountValue { key, value } => {
                self.account_values.insert(key, value);
            }
            Write::DropExpired { now } => {
                for row in self.entries.values_mut() {
                    if row.entry.expires_at().is_some_and(|at| at <= now) {
                        erase(row);
                        self.index.remove(&named(row.conversation, row.reference()));
                    }
                }
            }
        }
    }

    fn reveal(&mut self, conversation: ConversationId, from: Seq, to: Seq) {
        let held = std::mem::take(&mut self.hidden);
        for (of, span) in held {
            if of != conversation || span.to < from || to < span.from {
                self.hidden.push((of, span));
                continue;
            }
            if span.from < from {
                self.hidden.push((of, Hidden { to: from.previous(), ..span }));
            }
            if to < span.to {
                self.hidden.push((of, Hidden { from: to.next(), ..span }));
            }
        }
    }

    fn put_group(&mut self, conversation: ConversationId, write: GroupWrite) {
        let absent = GroupRow {
            generation: write.generation,
            state: None,
            tree: None,
            pending: None,
            rejoin: None,
        };
        let row = self.groups.entry(conversation).or_insert_with(|| absent.clone());
        if row.generation != write.generation {
            *row = absent;
        }
        fill(&mut row.state, write.state);
        fill(&mut row.tree, write.tree);
        fill(&mut row.pending, write.pending);
        fill(&mut row.rejoin, write.rejoin);
    }

    fn put_entry(&mut self, row: EntryRow) {
        let place = place_of(&row);
        self.remove_entry(place);
        if row.entry.kind == EntryKind::Message {
            let name = named(row.conversation, row.reference());
            self.messages.entry(name).or_default().insert(place);
        }
        if let EntryRole::Annotation { target, .. } = row.role {
            let name = named(row.conversation, target);
            self.annotations.entry(name).or_default().insert(place);
        }
        self.entries.insert(place, row);
    }

    fn remove_entry(&mut self, place: Place) {
        let Some(row) = self.entries.remove(&place) else { return };
        if let Some(places) = self.messages.get_mut(&named(row.conversation, row.reference())) {
            places.remove(&place);
        }
        if let EntryRole::Annotation { target, .. } = row.role
            && let Some(places) = self.annotations.get_mut(&named(row.conversation, target))
        {
            places.remove(&place);
        }
    }

    fn put_handshake(&mut self, row: HandshakeRow) {
        let name = |row: &HandshakeRow| (row.conversation, row.device, row.message_id);
        match self.handshakes.iter_mut().find(|held| name(held) == name(&row)) {
            Some(held) => *held = row,
            None => self.handshakes.push(row),
        }
    }

    fn rewind(&mut self, conversation: ConversationId, after: Seq, own: AccountId) {
        for row in &mut self.handshakes {
            row.is_lost |= row.conversation == conversation && row.seq > after;
        }
        let behind: Vec<EntryRow> = self
            .of(conversation)
            .filter(|row| row.entry.seq > after && !row.detached)
            .cloned()
            .collect();
        for row in behind {
            self.remove_entry(place_of(&row));
            if row.entry.account != own && row.entry.kind == EntryKind::Message {
                self.put_entry(EntryRow { detached: true, ..row });
            }
        }
        self.hidden.retain(|(of, hidden)| *of != conversation || hidden.from <= after);
        for (_, hidden) in self.hidden.iter_mut().filter(|(of, _)| *of == conversation) {
            hidden.to = hidden.to.min(after);
        }
        for ((of, _), member) in &mut self.members {
            if *of == conversation {
                member.delivered = member.delivered.min(after);
                member.read = member.read.min(after);
            }
        }
    }

    fn of(&self, conversation: ConversationId) -> impl Iterator<Item = &EntryRow> {
        let from = (conversation, Seq::ZERO, false, None);
        let rows = self.entries.range(from..).map(|(_, row)| row);
        rows.take_while(move |row| row.conversation == conversation)
    }
}

fn fill<T>(slot: &mut Option<T>, write: Slot<T>) {
    match write {
        Slot::Keep => {}
        Slot::Put(value) => *slot = Some(value),
        Slot::Delete => *slot = None,
    }
}

fn place_of(row: &EntryRow) -> Place {
    let name = row.detached.then_some(row.entry.message_id);
    (row.conversation, row.entry.seq, !row.detached, name)
}

fn named(conversation: ConversationId, message: Reference) -> Name {
    (conversation, message.account, message.message_id)
}

fn erase(row: &mut EntryRow) {
    row.entry.erased = true;
    row.entry.payload = Bytes::new();
}
