//! What the core reads of its database.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_client_core::database::{
    AccountRow, ConversationRow, Database, DatabaseError, DeviceListRow, EntryRow, GroupRow,
    HandshakeRow, IdentityRow, KeyPackageRow, MemberRow, OutboxRow, Profile, SearchHit, Span,
};
use tidings_model::{AccountId, ConversationId, DeviceId, Hidden, MessageId, Seq, Timestamp};
use tidings_protocol_content::Reference;

use super::{MemoryDatabase, named};

impl Database for MemoryDatabase {
    fn account(&self) -> Result<Option<AccountRow>, DatabaseError> {
        Ok(self.now.account.clone())
    }

    fn conversations(&self) -> Result<Vec<ConversationRow>, DatabaseError> {
        Ok(self.now.conversations.values().cloned().collect())
    }

    fn profiles(&self) -> Result<Vec<Profile>, DatabaseError> {
        Ok(self.now.profiles.values().cloned().collect())
    }

    fn members(&self, conversation: ConversationId) -> Result<Vec<MemberRow>, DatabaseError> {
        let rows = self.now.members.iter().filter(|((of, _), _)| *of == conversation);
        Ok(rows.map(|(_, row)| *row).collect())
    }

    fn outbox(&self) -> Result<Vec<OutboxRow>, DatabaseError> {
        Ok(self.now.outbox.values().cloned().collect())
    }

    fn message(
        &self,
        conversation: ConversationId,
        message: Reference,
    ) -> Result<Option<EntryRow>, DatabaseError> {
        let places = self.now.messages.get(&named(conversation, message));
        let place = places.and_then(|places| places.iter().max_by_key(|place| place.2));
        Ok(place.and_then(|place| self.now.entries.get(place)).cloned())
    }

    fn message_of(
        &self,
        account: AccountId,
        message_id: MessageId,
    ) -> Result<Option<EntryRow>, DatabaseError> {
        let mut rows = self.now.entries.values().filter(|row| !row.detached);
        let of =
            |row: &&EntryRow| row.entry.account == account && row.entry.message_id == message_id;
        Ok(rows.find(of).cloned())
    }

    fn annotations(
        &self,
        conversation: ConversationId,
        targets: &[Reference],
    ) -> Result<Vec<EntryRow>, DatabaseError> {
        let places = targets
            .iter()
            .filter_map(|target| self.now.annotations.get(&named(conversation, *target)))
            .flatten();
        let mut rows: Vec<EntryRow> =
            places.filter_map(|place| self.now.entries.get(place)).cloned().collect();
        rows.sort_by_key(|row| (row.entry.seq, !row.detached));
        Ok(rows)
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
            self.now.hidden.iter().filter(touches).map(|(_, hidden)| *hidden).collect();
        hidden.sort_by_key(|hidden| hidden.from);
        Ok(Span { entries: self.now.of(conversation).filter(within).cloned().collect(), hidden })
    }

    fn page_start(
        &self,
        conversation: ConversationId,
        to: Seq,
        count: usize,
    ) -> Result<Seq, DatabaseError> {
        let drawn = self.now.of(conversation).filter(|row| row.is_drawn());
        let hidden = self.now.hidden.iter().filter(|(of, _)| *of == conversation);
        let mut places: Vec<Seq> = drawn
            .map(|row| row.entry.seq)
            .chain(hidden.map(|(_, hidden)| hidden.from))
            .filter(|seq| *seq <= to)
            .collect();
        places.sort_unstable();
        let at = places.len().saturating_sub(count);
        Ok(if at == 0 { Seq::FIRST } else { places[at] })
    }

    fn unread(&self, conversation: ConversationId, after: Seq) -> Result<u64, DatabaseError> {
        let me = self.now.account.as_ref().and_then(|row| row.account);
        let rows = self.now.of(conversation).filter(|row| {
            row.entry.seq > after
                && !row.detached
                && row.counts_as_unread()
                && Some(row.entry.account) != me
        });
        Ok(rows.count() as u64)
    }

    fn search(&self, query: &str, count: usize) -> Result<Vec<SearchHit>, DatabaseError> {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let finds = |hit: &&SearchHit| {
            let text = hit.text.to_lowercase();
            !words.is_empty() && words.iter().all(|word| text.contains(word))
        };
        let mut hits: Vec<SearchHit> = self.now.index.values().filter(finds).cloned().collect();
        hits.sort_by_key(|hit| std::cmp::Reverse(hit.time));
        hits.truncate(count);
        Ok(hits)
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, DatabaseError> {
        let rows = self.now.entries.values().filter(|row| !row.entry.erased);
        Ok(rows.filter_map(|row| row.entry.expires_at()).min())
    }

    fn identity(&self) -> Result<Option<IdentityRow>, DatabaseError> {
        Ok(self.now.identity.clone())
    }

    fn device_lists(&self) -> Result<Vec<DeviceListRow>, DatabaseError> {
        Ok(self.now.device_lists.values().cloned().collect())
    }

    fn group(&self, conversation: ConversationId) -> Result<Option<GroupRow>, DatabaseError> {
        Ok(self.now.groups.get(&conversation).cloned())
    }

    fn lost_handshakes(
        &self,
        conversation: ConversationId,
        count: usize,
    ) -> Result<Vec<HandshakeRow>, DatabaseError> {
        let lost = self
            .now
            .handshakes
            .iter()
            .filter(|row| row.is_lost && row.conversation == conversation);
        Ok(lost.take(count).cloned().collect())
    }

    fn lost_handshake(
        &self,
        conversation: ConversationId,
        device: DeviceId,
        message_id: MessageId,
    ) -> Result<Option<HandshakeRow>, DatabaseError> {
        let name = (conversation, device, message_id);
        let lost = self.now.handshakes.iter().filter(|row| row.is_lost);
        let named = |row: &&HandshakeRow| (row.conversation, row.device, row.message_id) == name;
        Ok(lost.into_iter().find(named).cloned())
    }

    fn conversations_ahead(&self) -> Result<Vec<ConversationId>, DatabaseError> {
        let lost = self.now.handshakes.iter().filter(|row| row.is_lost);
        let ahead: BTreeSet<ConversationId> = lost.map(|row| row.conversation).collect();
        Ok(ahead.into_iter().collect())
    }

    fn key_packages(&self, references: &[Bytes]) -> Result<Vec<KeyPackageRow>, DatabaseError> {
        let rows = references.iter().filter_map(|of| self.now.key_packages.get(of));
        Ok(rows.cloned().collect())
    }

    fn account_value(&self, key: &[u8]) -> Result<Option<Bytes>, DatabaseError> {
        Ok(self.now.account_values.get(key).cloned())
    }
}
