//! Receipts: watermarks that are raised at once in memory, and stored and passed on at most once in
//! two seconds per member and conversation.

use std::collections::{BTreeSet, VecDeque};

use tidings_model::{AccountId, ConversationId, LogEpoch, Monotonic, Now, Refusal, Seq, Timestamp};

use super::memory::Part;
use super::upkeep::{Timer, UpkeepStep};
use super::{Asker, Core, Effect, Then};
use crate::limits::{RECEIPT_INTERVAL, RECEIPTS_TO_ALL_MEMBERS_MAX};
use crate::request::{Event, Reply};
use crate::store::{LogOperation, Marks, Operation, Receipt};

/// A member's watermarks in memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tracked {
    pub(super) marks: Marks,
    /// When they were raised.
    pub(super) time: Timestamp,
    published: Marks,
    /// When the next publication is allowed.
    quiet_until: Monotonic,
    scheduled: bool,
}

impl Tracked {
    pub(super) fn stored(receipt: Receipt) -> Self {
        Self {
            marks: receipt.marks,
            time: receipt.time,
            published: receipt.marks,
            ..Self::default()
        }
    }
}

impl Core {
    pub(super) fn acknowledge(
        &mut self,
        now: Now,
        asker: Asker,
        key: ConversationId,
        epoch: LogEpoch,
        marks: Marks,
    ) {
        let Some((part, conversation)) = self.memory.part(asker.account, key) else {
            return self.reply(asker.origin, Err(Refusal::NotFound));
        };
        let record = &conversation.record;
        if record.epoch != epoch {
            let (epoch, since) = (record.epoch, record.epoch_since);
            return self.reply(asker.origin, Err(Refusal::EpochChanged { epoch, since }));
        }
        let head = conversation.readable_head(&part.membership);
        // Whoever has read an entry has it on a device.
        let marks = Marks { delivered: marks.delivered.max(marks.read), read: marks.read };
        if marks.delivered > head {
            return self.reply(asker.origin, Err(Refusal::CursorAhead { head }));
        }
        if part.membership.role.is_some() {
            self.raise(now, key, asker.account, marks);
        }
        self.reply(asker.origin, Ok(Reply::Done));
    }

    fn raise(&mut self, now: Now, key: ConversationId, account: AccountId, marks: Marks) {
        let Some(conversation) = self.memory.conversations.get_mut(&key) else { return };
        let tracked = conversation.receipts.entry(account).or_default();
        let raised = tracked.marks.raised_to(marks);
        if raised == tracked.marks {
            return;
        }
        tracked.marks = raised;
        tracked.time = now.wall;
        if now.monotonic >= tracked.quiet_until {
            self.publish_receipt(now, key, account);
        } else if !tracked.scheduled {
            tracked.scheduled = true;
            self.timers.insert((tracked.quiet_until, Timer::Receipt(key, account)));
        }
    }

    /// Stores a member's marks and tells those whom they concern.
    pub(super) fn publish_receipt(&mut self, now: Now, key: ConversationId, account: AccountId) {
        let Some(conversation) = self.memory.conversations.get_mut(&key) else { return };
        let Some(tracked) = conversation.receipts.get_mut(&account) else { return };
        tracked.scheduled = false;
        tracked.quiet_until = now.monotonic.plus(RECEIPT_INTERVAL);
        let (marks, time) = (tracked.marks, tracked.time);
        let before = std::mem::replace(&mut tracked.published, marks);
        if before == marks {
            return;
        }
        let epoch = conversation.record.epoch;
        let concerned = if conversation.record.member_count <= RECEIPTS_TO_ALL_MEMBERS_MAX {
            conversation.readers.clone()
        } else {
            let lowest = before.delivered.min(before.read);
            authors_between(&conversation.authors, lowest, marks.delivered, account)
        };
        let operation = LogOperation::Mark { conversation: key, account, marks, time };
        self.apply(Operation::Log(operation), 0, Then::Upkeep(UpkeepStep::Mark));
        self.tell_receipt(key, epoch, (account, marks), &concerned);
    }

    fn tell_receipt(
        &mut self,
        key: ConversationId,
        epoch: LogEpoch,
        receipt: (AccountId, Marks),
        concerned: &BTreeSet<AccountId>,
    ) {
        let of_them =
            |reader, part: &Part| part.membership.role.is_some() && concerned.contains(&reader);
        for session in self.memory.sessions(key, of_them) {
            let receipts = vec![receipt];
            let event = Event::ReceiptsChanged { conversation: key, epoch, receipts };
            self.effects.push_back(Effect::Event(session, event));
        }
    }
}

/// Who wrote the entries that a receipt speaks of; the receipt's own account among them, so that its
/// other devices learn of it.
fn authors_between(
    authors: &VecDeque<(Seq, AccountId)>,
    after: Seq,
    until: Seq,
    account: AccountId,
) -> BTreeSet<AccountId> {
    let written = authors.iter().rev().take_while(|(seq, _)| *seq > after);
    let mut concerned: BTreeSet<_> =
        written.filter(|(seq, _)| *seq <= until).map(|(_, author)| *author).collect();
    concerned.insert(account);
    concerned
}
