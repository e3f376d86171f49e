//! Reading a log after a cursor: entries, what is hidden between them, and cursors that do not fit.

use bytes::Bytes;
use tidings_model::{
    AccountId, Checksum, ConversationId, Hidden, HiddenReason, LogEpoch, Now, Refusal, Seq,
    Timestamp,
};

use super::append::refusal_of;
use super::{Asker, Core, Effect, Origin, Report, Then};
use crate::limits::{ENTRIES_PER_PAGE_MAX, EPOCH_RENEWAL_INTERVAL, PAGE_BYTES_MAX};
use crate::request::{LogItem, Reply, Resume};
use crate::store::{Answer, Applied, EntryPage, LogOperation, LogQuery, Operation, Outcome, Query};

/// A read of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch {
    pub(super) conversation: ConversationId,
    pub(super) epoch: Option<LogEpoch>,
    pub(super) after: Seq,
    pub(super) checksum: Option<Checksum>,
    pub(super) entries_max: usize,
}

/// A step of a read that waits for the store.
#[derive(Debug)]
pub(super) enum FetchStep {
    /// Entries are read.
    Page {
        asker: Asker,
        fetch: Fetch,
        entropy: [u8; 32],
        hidden: Option<Hidden>,
        until: Seq,
        epoch: LogEpoch,
    },
    /// The log gets a new epoch, because a cursor did not fit.
    Renew {
        conversation: ConversationId,
        epoch: LogEpoch,
        since: Seq,
        now: Timestamp,
        origin: Option<Origin>,
    },
}

impl FetchStep {
    pub(super) fn origin(&self) -> Option<Origin> {
        match self {
            Self::Page { asker, .. } => Some(asker.origin),
            Self::Renew { origin, .. } => *origin,
        }
    }
}

impl Core {
    pub(super) fn fetch(&mut self, now: Now, entropy: [u8; 32], asker: Asker, fetch: Fetch) {
        let origin = asker.origin;
        let Some((part, conversation)) = self.memory.part(asker.account, fetch.conversation) else {
            return self.reply(origin, Err(Refusal::NotFound));
        };
        let record = &conversation.record;
        let (epoch, since) = (record.epoch, record.epoch_since);
        if fetch.epoch.is_some_and(|known| known != epoch) {
            return self.reply(origin, Err(Refusal::EpochChanged { epoch, since }));
        }
        let head = conversation.readable_head(&part.membership);
        if fetch.after > head {
            self.renew_epoch(now, entropy, asker.account, fetch.conversation, head, None);
            return self.reply(origin, Err(Refusal::CursorAhead { head }));
        }
        if conversation.differs_at_head(part, fetch.after, fetch.checksum) {
            return self.distrust(now, entropy, asker, fetch.conversation);
        }
        let next = fetch.after.next();
        let range = part.membership.ranges.iter().find(|r| r.to.is_none_or(|to| next <= to));
        let Some(range) = range.filter(|_| fetch.after < head).copied() else {
            let items = Vec::new();
            let conversation = fetch.conversation;
            return self.reply(origin, Ok(Reply::Entries { conversation, epoch, items, head }));
        };
        let hidden = (range.from > next).then(|| Hidden {
            from: next,
            to: range.from.previous(),
            reason: HiddenReason::NotAMember,
        });
        let entries_max = match fetch.entries_max {
            0 => ENTRIES_PER_PAGE_MAX,
            wanted => wanted.min(ENTRIES_PER_PAGE_MAX),
        };
        let until = range.to.unwrap_or(record.head);
        let query = LogQuery::Entries {
            conversation: fetch.conversation,
            after: hidden.map_or(fetch.after, |hidden| hidden.to),
            until,
            entries_max,
            bytes_max: PAGE_BYTES_MAX,
        };
        let step = FetchStep::Page { asker, fetch, entropy, hidden, until, epoch };
        self.read(Query::Log(query), Then::Fetch(step));
    }

    pub(super) fn fetch_answered(&mut self, now: Now, step: FetchStep, answer: Answer) {
        let FetchStep::Page { asker, fetch, entropy, hidden, until, epoch } = step else { return };
        let Answer::Entries(page) = answer else {
            return self.reply(asker.origin, Err(Refusal::Unavailable));
        };
        let Some((part, conversation)) = self.memory.part(asker.account, fetch.conversation) else {
            return self.reply(asker.origin, Err(Refusal::NotFound));
        };
        let record = &conversation.record;
        if page.epoch != epoch || record.epoch != epoch {
            let (epoch, since) = (record.epoch, record.epoch_since);
            return self.reply(asker.origin, Err(Refusal::EpochChanged { epoch, since }));
        }
        let head = conversation.readable_head(&part.membership);
        // Behind a hidden span the page does not begin at the reader's cursor.
        let is_comparable = hidden.is_none() && part.membership.may_read(fetch.after);
        let known = fetch.checksum.filter(|_| is_comparable);
        let differs =
            known.zip(page.checksum_at_after).is_some_and(|(known, stored)| known != stored);
        if differs {
            return self.distrust(now, entropy, asker, fetch.conversation);
        }
        let conversation = fetch.conversation;
        let items = items(now, hidden, fetch.after, until, page);
        self.reply(asker.origin, Ok(Reply::Entries { conversation, epoch, items, head }));
    }

    /// Looks for cursors of a resume that cannot be of their log's present life.
    pub(super) fn check_cursors(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        account: AccountId,
        resume: &Resume,
    ) {
        for (key, cursor, _) in &resume.cursors {
            let Some((part, conversation)) = self.memory.part(account, *key) else { continue };
            let head = conversation.readable_head(&part.membership);
            if conversation.record.epoch != cursor.epoch {
                continue;
            }
            if cursor.seq > head {
                self.renew_epoch(now, entropy, account, *key, head, None);
            } else if conversation.differs_at_head(part, cursor.seq, cursor.checksum) {
                self.renew_epoch(now, entropy, account, *key, Seq::ZERO, None);
            }
        }
    }

    /// The entry at a reader's cursor is another than the reader has: nothing is known to be in common.
    /// Where the log cannot have a new epoch so soon, this one reader begins anew in the present one.
    fn distrust(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        asker: Asker,
        conversation: ConversationId,
    ) {
        if self.may_renew(now, asker.account, conversation) {
            let origin = Some(asker.origin);
            return self.renew_epoch(now, entropy, asker.account, conversation, Seq::ZERO, origin);
        }
        let Some((_, state)) = self.memory.part(asker.account, conversation) else { return };
        let (epoch, since) = (state.record.epoch, Seq::ZERO);
        self.reply(asker.origin, Err(Refusal::EpochChanged { epoch, since }));
    }

    /// Whether an account's word is enough now: a member's, once an hour for each log.
    fn may_renew(&self, now: Now, account: AccountId, conversation: ConversationId) -> bool {
        self.memory.part(account, conversation).is_some_and(|(part, _)| {
            part.membership.role.is_some()
                && part
                    .renewed_epoch_at
                    .is_none_or(|at| now.monotonic.since(at) >= EPOCH_RENEWAL_INTERVAL)
        })
    }

    /// Gives a log a new epoch on the word of an account. `origin` is then told to go on in the new one.
    fn renew_epoch(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        account: AccountId,
        conversation: ConversationId,
        since: Seq,
        origin: Option<Origin>,
    ) {
        if !self.may_renew(now, account, conversation) {
            return;
        }
        if let Some(part) = self.memory.part_mut(account, conversation) {
            part.renewed_epoch_at = Some(now.monotonic);
        }
        self.effects.push_back(Effect::Report(Report::LogMismatch { conversation, account }));
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&entropy[8..16]);
        // A resume may renew several logs: the ticket keeps their epochs apart.
        let number = u64::from_le_bytes(bytes).wrapping_add(self.last_ticket);
        let epoch = LogEpoch::from_entropy(number.to_le_bytes());
        let now = now.wall;
        let operation = LogOperation::RenewEpoch { conversation, epoch, since, now };
        let step = FetchStep::Renew { conversation, epoch, since, now, origin };
        self.apply(Operation::Log(operation), 0, Then::Fetch(step));
    }

    pub(super) fn fetch_applied(&mut self, step: FetchStep, outcome: Outcome) {
        let FetchStep::Renew { conversation: key, epoch, since, now, origin } = step else {
            return;
        };
        let renewed = matches!(outcome, Ok(Applied::Renewed(_)));
        if renewed {
            self.note_renewed(key, epoch, since, now);
        }
        if let Some(origin) = origin {
            let refusal = match renewed {
                true => Refusal::EpochChanged { epoch, since },
                false => refusal_of(outcome),
            };
            self.reply(origin, Err(refusal));
        }
    }

    fn note_renewed(&mut self, key: ConversationId, epoch: LogEpoch, since: Seq, now: Timestamp) {
        for load in self.loads.values_mut() {
            load.note_change(key);
        }
        let Some(conversation) = self.memory.conversations.get_mut(&key) else { return };
        conversation.record.epoch = epoch;
        conversation.record.epoch_since = since;
        conversation.record.renewed_at = Some(now);
        let readers: Vec<AccountId> = conversation.readers.iter().copied().collect();
        for reader in readers {
            self.tell_state(reader, key);
        }
    }
}

/// Joins what is hidden before a page with its entries. The log's floor may lie far behind the range
/// that is read, which ends at `until`. A payload that has expired is not shown, though
/// the sweep that erases it may be some seconds away.
fn items(
    now: Now,
    hidden: Option<Hidden>,
    after: Seq,
    until: Seq,
    page: EntryPage,
) -> Vec<LogItem> {
    let mut items = Vec::with_capacity(page.entries.len() + 2);
    let start = hidden.map_or(after, |hidden| hidden.to);
    items.extend(hidden.map(LogItem::Hidden));
    if page.floor > start {
        let reason = HiddenReason::Trimmed;
        let to = page.floor.min(until);
        items.push(LogItem::Hidden(Hidden { from: start.next(), to, reason }));
    }
    items.extend(page.entries.into_iter().map(|mut entry| {
        if entry.expires_at().is_some_and(|at| at <= now.wall) {
            entry.payload = Bytes::new();
            entry.erased = true;
        }
        LogItem::Entry(entry)
    }));
    items
}
