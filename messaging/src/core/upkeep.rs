//! What the core does by itself: relaying effects between logs, erasing what has expired, dropping
//! what is past its retention. Nothing of the last is kept in memory: a page tells the floor of its log.

use std::time::Duration;

use tidings_model::{AccountId, ConversationId, Now};

use super::append::refusal_of;
use super::{Core, Effect, Report, Then};
use crate::limits::{
    ACKNOWLEDGED_KEPT, CONVERSATIONS_PER_RETENTION, ENTRIES_PER_RETENTION, EXPIRIES_PER_SWEEP,
    EXPIRY_INTERVAL, RELAYS_PER_ROUND, RETENTION_INTERVAL,
};
use crate::store::{
    self, Answer, Applied, DeviceApplied, LogOperation, Operation, OutboxOperation, OutboxRow,
    Outcome, Query, Retain,
};

/// Pause before the outbox is read again after a failure.
const RELAY_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where a sweep for retention begins: no id comes before it.
pub(super) const FIRST_CONVERSATION: ConversationId = ConversationId::from_bytes([0; 16]);

/// Something that is due at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A member's marks may be published again.
    Receipt(ConversationId, AccountId),
    /// Expired payloads are looked for.
    Expiry,
    /// The outbox is read.
    Relay,
    /// Logs from this one on are looked through for entries past their retention.
    Retention(ConversationId),
}

/// A step of the core's own that waits for the store.
#[derive(Debug)]
pub(super) enum UpkeepStep {
    /// Marks are stored.
    Mark,
    /// Expired payloads are erased.
    Expire,
    /// Entries past their retention are dropped.
    Retain,
    /// The outbox is read.
    Outbox,
    /// An effect is relayed; `last` is the last of its round.
    Relay { row: OutboxRow, last: bool },
}

impl Core {
    pub(super) fn sweep_expired(&mut self, now: Now) {
        let operation = LogOperation::Expire { now: now.wall, entries_max: EXPIRIES_PER_SWEEP };
        self.apply(Operation::Log(operation), 0, Then::Upkeep(UpkeepStep::Expire));
    }

    /// Looks through some logs for entries past their retention, if there is one.
    pub(super) fn sweep_retained(&mut self, now: Now, from: ConversationId) {
        let Some(kept) = self.configuration.retention else { return };
        let operation = LogOperation::Retain(Retain {
            now: now.wall,
            entries_before: now.wall.minus(kept),
            acknowledged_before: now.wall.minus(ACKNOWLEDGED_KEPT),
            from,
            conversations_max: CONVERSATIONS_PER_RETENTION,
            entries_max: ENTRIES_PER_RETENTION,
        });
        self.apply(Operation::Log(operation), 0, Then::Upkeep(UpkeepStep::Retain));
    }

    /// Goes on with the next logs at once, or with all of them after a while.
    fn schedule_retention(&mut self, now: Now, next: Option<ConversationId>) {
        let (pause, from) = match next {
            Some(next) => (Duration::ZERO, next),
            None => (RETENTION_INTERVAL, FIRST_CONVERSATION),
        };
        self.timers.insert((now.monotonic.plus(pause), Timer::Retention(from)));
    }

    /// Reads the outbox, if nobody does already.
    pub(super) fn relay(&mut self) {
        if self.relay_runs {
            self.relay_again = true;
            return;
        }
        self.relay_runs = true;
        let query = Query::Outbox { rows_max: RELAYS_PER_ROUND };
        self.read(query, Then::Upkeep(UpkeepStep::Outbox));
    }

    pub(super) fn retry_relay(&mut self, now: Now) {
        self.relay_runs = false;
        self.timers.insert((now.monotonic.plus(RELAY_RETRY_AFTER), Timer::Relay));
    }

    pub(super) fn upkeep_answered(&mut self, step: UpkeepStep, answer: Answer) {
        let (UpkeepStep::Outbox, Answer::Outbox(rows)) = (step, answer) else { return };
        if rows.is_empty() {
            return self.relay_round_over(false);
        }
        let count = rows.len();
        for (index, row) in rows.into_iter().enumerate() {
            let operation = Operation::Outbox(OutboxOperation::Relay(row));
            let last = index + 1 == count;
            self.apply(operation, 0, Then::Upkeep(UpkeepStep::Relay { row, last }));
        }
    }

    fn relay_round_over(&mut self, more: bool) {
        self.relay_runs = false;
        if more || std::mem::take(&mut self.relay_again) {
            self.relay();
        }
    }

    pub(super) fn upkeep_applied(&mut self, now: Now, step: UpkeepStep, outcome: Outcome) {
        match (step, outcome) {
            (UpkeepStep::Expire, Ok(Applied::Expired(erased))) => {
                let soon = erased.len() == EXPIRIES_PER_SWEEP;
                let pause = if soon { Duration::ZERO } else { EXPIRY_INTERVAL };
                self.timers.insert((now.monotonic.plus(pause), Timer::Expiry));
                for (conversation, seq) in erased {
                    self.tell_erased(conversation, seq);
                }
            }
            (UpkeepStep::Retain, Ok(Applied::Retained { next })) => {
                self.schedule_retention(now, next);
            }
            (UpkeepStep::Relay { row, last }, Ok(applied)) => {
                self.effect_relayed(row, &applied);
                if last {
                    self.relay_round_over(true);
                }
            }
            (UpkeepStep::Mark | UpkeepStep::Outbox, Ok(_)) => {}
            (step, outcome) => {
                let refusal = refusal_of(outcome);
                self.effects.push_back(Effect::Report(Report::UpkeepRefused(refusal)));
                match step {
                    UpkeepStep::Relay { last: true, .. } => self.retry_relay(now),
                    UpkeepStep::Expire => {
                        let at = now.monotonic.plus(EXPIRY_INTERVAL);
                        self.timers.insert((at, Timer::Expiry));
                    }
                    UpkeepStep::Retain => self.schedule_retention(now, None),
                    UpkeepStep::Relay { .. } | UpkeepStep::Mark | UpkeepStep::Outbox => {}
                }
            }
        }
    }

    fn effect_relayed(&mut self, row: OutboxRow, applied: &Applied) {
        match (row.effect, applied) {
            (store::Effect::Joined { account, conversation }, _) => {
                for load in self.loads.values_mut() {
                    load.note_joined(account);
                }
                let in_memory = self.memory.accounts.contains_key(&account);
                if in_memory && !self.memory.has_part(account, conversation) {
                    self.adopt(account, conversation, None);
                }
            }
            (
                store::Effect::Welcomed { device, .. },
                Applied::Device(DeviceApplied::Delivered { head, .. }),
            ) => self.tell_inbox(device, *head),
            (store::Effect::Welcomed { .. } | store::Effect::LeavesDue { .. }, _) => {}
        }
    }
}
