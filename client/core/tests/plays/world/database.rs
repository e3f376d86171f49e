//! A database in memory that keeps the contract of [`Database`] in the plainest way: what the core
//! writes is what it reads, whole change sets at a time, and a crash loses nothing that was committed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidings_client_core::database::{
    AccountRow, ConversationRow, Database, DatabaseError, DeviceListRow, EntryRole, EntryRow,
    GroupRow, GroupWrite, HandshakeRow, IdentityRow, KeyPackageRow, MemberRow, OutboxRow, Profile,
    SearchHit, Span, Write,
};
use tidings_client_core::{ChangeSet, OutboxAct};
use tidings_client_mls::Slot;
use tidings_model::{
    AccountId, ConversationId, DeviceId, EntryKind, Hidden, MessageId, Seq, Timestamp,
};
use tidings_protocol_content::Reference;

#[derive(Default, Clone)]
pub(crate) struct MemoryDatabase {
    account: Option<AccountRow>,
    conversations: BTreeMap<ConversationId, ConversationRow>,
    profiles: BTreeMap<AccountId, Profile>,
    members: BTreeMap<(ConversationId, AccountId), MemberRow>,
    entries: Vec<EntryRow>,
    hidden: Vec<(ConversationId, Hidden)>,
    outbox: BTreeMap<i64, OutboxRow>,
    index: Vec<SearchHit>,
    identity: Option<IdentityRow>,
    device_lists: BTreeMap<(AccountId, u32, u32), DeviceListRow>,
    groups: BTreeMap<ConversationId, GroupRow>,
    handshakes: Vec<HandshakeRow>,
    key_packages: BTreeMap<Bytes, KeyPackageRow>,
    account_values: BTreeMap<Bytes, Bytes>,
    /// The next commit fails with a full disk.
    pub(crate) is_full: bool,
}

impl MemoryDatabase {
    pub(crate) fn commit(&mut self, changes: ChangeSet) -> Result<(), DatabaseError> {
        if self.is_full {
            return Err(DatabaseError::Full);
        }
        for write in changes.writes {
            self.apply(write);
        }
        Ok(())
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::PutAccount(row) => self.account = Some(*row),
            Write::Wipe => *self = Self::default(),
            Write::PutConversation(row) => {
                self.conversations.insert(row.conversation, *row);
            }
            Write::DeleteConversation(conversation) => {
                self.conversations.remove(&conversation);
                self.members.retain(|(of, _), _| *of != conversation);
                self.groups.remove(&conversation);
                self.handshakes.retain(|row| row.conversation != conversation);
            }
            Write::PutProfile(profile) => {
                self.profiles.insert(profile.account, profile);
            }
            Write::PutMember(conversation, row) => {
                self.members.insert((conversation, row.account), row);
            }
            Write::PutEntry(row) => {
                let same = |held: &EntryRow| {
                    held.conversation == row.conversation
                        && held.entry.seq == row.entry.seq
                        && !held.detached
                };
                self.entries.retain(|held| !same(held));
                self.entries.push(*row);
                self.entries.sort_by_key(|row| (row.conversation, row.entry.seq, !row.detached));
            }
            Write::EraseEntry { conversation, seq } => {
                for row in &mut self.entries {
                    if row.conversation == conversation && row.entry.seq == seq && !row.detached {
                        row.entry.erased = true;
                        row.entry.payload = Bytes::new();
                    }
                }
            }
            Write::DeleteDetached { conversation, message } => self.entries.retain(|row| {
                !(row.detached && row.conversation == conversation && row.reference() == message)
            }),
            Write::Rewind { conversation, after, own } => self.rewind(conversation, after, own),
            Write::PutHidden(conversation, hidden) => self.hidden.push((conversation, hidden)),
            Write::Reveal { conversation, from, to } => self.reveal(conversation, from, to),
            Write::PutOutbox(row) => {
                // Through its bytes, as a real database keeps it.
                let bytes = row.act.encode(row.conversation, row.message_id);
                let act = OutboxAct::decode(&bytes).expect("an act comes back from its bytes");
                self.outbox.insert(row.position, OutboxRow { act, ..*row });
            }
            Write::DeleteOutbox { position } => {
                self.outbox.remove(&position);
            }
            Write::Index(hit) => {
                self.index.retain(|held| {
                    (held.conversation, held.message) != (hit.conversation, hit.message)
                });
                self.index.push(hit);
            }
            Write::Unindex { conversation, message } => {
                self.index
                    .retain(|held| (held.conversation, held.message) != (conversation, message));
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
                self.key_packages.retain(|reference, _| !references.contains(reference));
            }
            Write::DeleteAllKeyPackages => self.key_packages.clear(),
            Write::PutAccountValue { key, value } if value.is_empty() => {
                self.account_values.remove(&key);
            }
            Write::PutAccountValue { key, value } => {
                self.account_values.insert(key, value);
            }
            Write::DropExpired { now } => {
                self.key_packages.retain(|_, row| row.expires > now);
                self.key_packages.retain(|_, row| row.expires > now);
                for row in &mut self.entries {
                    if row.entry.expires_at().is_some_and(|at| at <= now) {
                        row.entry.erased = true;
                        row.entry.payload = Bytes::new();
                        let message = row.reference();
                        self.index.retain(|held| held.message != message);
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
        fn put<T>(row: &mut Option<T>, slot: Slot<T>) {
            match slot {
                Slot::Keep => {}
                Slot::Put(value) => *row = Some(value),
                Slot::Delete => *row = None,
            }
        }
        let generation = write.generation;
        let none = GroupRow { generation, state: None, tree: None, pending: None, rejoin: None };
        let row = self.groups.entry(conversation).or_insert_with(|| none.clone());
        if row.generation != generation {
            *row = none;
        }
        put(&mut row.state, write.state);
        put(&mut row.tree, write.tree);
        put(&mut row.pending, write.pending);
        put(&mut row.rejoin, write.rejoin);
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
        self.entries.retain(|row| {
            row.conversation != conversation
                || row.entry.seq <= after
                || row.detached
                || (row.entry.account != own && row.entry.kind == EntryKind::Message)
        });
        for row in &mut self.entries {
            if row.conversation == conversation && row.entry.seq > after {
                row.detached = true;
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
        self.entries.iter().filter(move |row| row.conversation == conversation)
    }
}

impl Database for MemoryDatabase {
    fn account(&self) -> Result<Option<AccountRow>, DatabaseError> {
        Ok(self.account.clone())
    }

    fn conversations(&self) -> Result<Vec<ConversationRow>, DatabaseError> {
        Ok(self.conversations.values().cloned().collect())
    }

    fn profiles(&self) -> Result<Vec<Profile>, DatabaseError> {
        Ok(self.profiles.values().cloned().collect())
    }

    fn members(&self, conversation: ConversationId) -> Result<Vec<MemberRow>, DatabaseError> {
        let rows = self.members.iter().filter(|((of, _), _)| *of == conversation);
        Ok(rows.map(|(_, row)| *row).collect())
    }

    fn outbox(&self) -> Result<Vec<OutboxRow>, DatabaseError> {
        Ok(self.outbox.values().cloned().collect())
    }

    fn message(
        &self,
        conversation: ConversationId,
        message: Reference,
    ) -> Result<Option<EntryRow>, DatabaseError> {
        let rows = self
            .of(conversation)
            .filter(|row| row.entry.kind == EntryKind::Message && row.reference() == message);
        Ok(rows.min_by_key(|row| row.detached).cloned())
    }

    fn message_of(
        &self,
        account: AccountId,
        message_id: MessageId,
    ) -> Result<Option<EntryRow>, DatabaseError> {
        let mut rows = self.entries.iter().filter(|row| !row.detached);
        let of =
            |row: &&EntryRow| row.entry.account == account && row.entry.message_id == message_id;
        Ok(rows.find(of).cloned())
    }

    fn annotations(
        &self,
        conversation: ConversationId,
        targets: &[Reference],
    ) -> Result<Vec<EntryRow>, DatabaseError> {
        let rows = self.of(conversation).filter(|row| match row.role {
            EntryRole::Annotation { target, .. } => targets.contains(&target),
            _ => false,
        });
        Ok(rows.cloned().collect())
    }

    fn span(
        &self,
        conversation: ConversationId,
        from: Seq,
        to: Seq,
    ) -> Result<Span, DatabaseError> {
        let within = |row: &&EntryRow| from <= row.entry.seq && row.entry.seq <= to;
        let touches = |(of, hidden): &&(ConversationId, Hidden)| {
            *of == conversation && hidden.from <= to && from <= hidden.to
        };
        let mut hidden: Vec<Hidden> =
            self.hidden.iter().filter(touches).map(|(_, hidden)| *hidden).collect();
        hidden.sort_by_key(|hidden| hidden.from);
        Ok(Span { entries: self.of(conversation).filter(within).cloned().collect(), hidden })
    }

    fn page_start(
        &self,
        conversation: ConversationId,
        to: Seq,
        count: usize,
    ) -> Result<Seq, DatabaseError> {
        let entries = self.of(conversation).filter(|row| row.is_drawn()).map(|row| row.entry.seq);
        let hidden = self.hidden.iter().filter(|(of, _)| *of == conversation);
        let mut places: Vec<Seq> = entries.chain(hidden.map(|(_, hidden)| hidden.from)).collect();
        places.retain(|seq| *seq <= to);
        places.sort_unstable();
        let at = places.len().saturating_sub(count);
        Ok(if at == 0 { Seq::FIRST } else { places[at] })
    }

    fn unread(&self, conversation: ConversationId, after: Seq) -> Result<u64, DatabaseError> {
        let me = self.account.as_ref().and_then(|row| row.account);
        let rows = self.of(conversation).filter(|row| {
            row.entry.seq > after
                && !row.detached
                && row.counts_as_unread()
                && Some(row.entry.account) != me
        });
        Ok(rows.count() as u64)
    }

    fn search(&self, query: &str, count: usize) -> Result<Vec<SearchHit>, DatabaseError> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let mut hits: Vec<SearchHit> = self
            .index
            .iter()
            .filter(|hit| {
                let text = hit.text.to_lowercase();
                !words.is_empty() && words.iter().all(|word| text.contains(word))
            })
            .cloned()
            .collect();
        hits.sort_by_key(|hit| std::cmp::Reverse(hit.time));
        hits.truncate(count);
        Ok(hits)
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let rows = self.entries.iter().filter(|row| !row.entry.erased);
        Ok(rows.filter_map(|row| row.entry.expires_at()).min())
    }

    fn identity(&self) -> Result<Option<IdentityRow>, DatabaseError> {
        Ok(self.identity.clone())
    }

    fn device_lists(&self) -> Result<Vec<DeviceListRow>, DatabaseError> {
        Ok(self.device_lists.values().cloned().collect())
    }

    fn group(&self, conversation: ConversationId) -> Result<Option<GroupRow>, DatabaseError> {
        Ok(self.groups.get(&conversation).cloned())
    }

    fn lost_handshakes(
        &self,
        conversation: ConversationId,
        count: usize,
    ) -> Result<Vec<HandshakeRow>, DatabaseError> {
        let lost =
            self.handshakes.iter().filter(|row| row.is_lost && row.conversation == conversation);
        Ok(lost.take(count).cloned().collect())
    }

    fn lost_handshake(
        &self,
        conversation: ConversationId,
        device: DeviceId,
        message_id: MessageId,
    ) -> Result<Option<HandshakeRow>, DatabaseError> {
        let name = (conversation, device, message_id);
        let lost = self.handshakes.iter().filter(|row| row.is_lost);
        let named = |row: &&HandshakeRow| (row.conversation, row.device, row.message_id) == name;
        Ok(lost.into_iter().find(named).cloned())
    }

    fn conversations_ahead(&self) -> Result<Vec<ConversationId>, DatabaseError> {
        let lost = self.handshakes.iter().filter(|row| row.is_lost);
        let ahead: BTreeSet<ConversationId> = lost.map(|row| row.conversation).collect();
        Ok(ahead.into_iter().collect())
    }

    fn key_packages(&self, references: &[Bytes]) -> Result<Vec<KeyPackageRow>, DatabaseError> {
        let rows = references.iter().filter_map(|reference| self.key_packages.get(reference));
        Ok(rows.cloned().collect())
    }

    fn account_value(&self, key: &[u8]) -> Result<Option<Bytes>, DatabaseError> {
        Ok(self.account_values.get(key).cloned())
    }
}
