//! Seeded sequences of operations, applied to a store and to the model: both have to answer the same.
//!
//! The world is small (few accounts, conversations and message ids), so that operations meet: retries,
//! stale versions, people who left, ids in use. The first seeds cover every operation and query.

mod sealed;

use bytes::Bytes;
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, DeviceId, EntryKind, MessageId, Role,
};

use super::scene::{
    account, conversation, device, epoch, message, new_account, new_device, seq, time,
};
use super::{Fixture, ModelStore};
use crate::store::{
    AccountOperation, AccountQuery, Answer, Append, Create, Effect, GroupStep, InviteHash,
    LogOperation, LogQuery, Marks, NewEntry, Operation, OutboxOperation, OutboxRow, Query,
    ReadFailure, Reader, Retain, Retry, RosterAct, RosterChange, TokenHash, Writer,
};
use sealed::Seen;

/// Batches of one sequence.
const BATCHES: u64 = 120;

/// Conversations up to this number are groups. Only their members change: of others the core sees to
/// it that they do not.
const GROUPS: u8 = 3;

/// Compares a backend with the model over one seeded sequence.
///
/// # Panics
/// They differ.
pub fn compare_with_model<F: Fixture>(seed: u64) {
    let mut world = World::new(seed);
    let mut model = ModelStore::default();
    let mut fixture = F::open_fresh();
    let mut reader = fixture.reader();
    for step in 0..BATCHES {
        world.seen = Seen::of(&mut model);
        let batch = world.batch(step);
        let expected = model.apply(&batch).expect("the model writes");
        let outcomes = fixture.writer().apply(&batch).expect("the store writes");
        for ((operation, outcome), expected) in batch.iter().zip(&outcomes).zip(&expected) {
            assert_eq!(outcome, expected, "seed {seed}, batch {step}: {operation:?}");
        }
        for query in world.queries().into_iter().chain(world.sealed_queries()) {
            let expected = ordered(model.answer(&query));
            let answer = ordered(reader.answer(&query));
            assert_eq!(answer, expected, "seed {seed}, after batch {step}: {query:?}");
        }
        if step % 32 == 31 {
            drop(reader);
            fixture = fixture.reopen();
            reader = fixture.reader();
        }
    }
}

/// Puts an answer that has no order of its own into one.
fn ordered(answer: Result<Answer, ReadFailure>) -> Result<Answer, ReadFailure> {
    answer.map(|answer| match answer {
        Answer::Memberships(mut memberships) => {
            memberships.sort_by_key(|membership| membership.conversation.conversation);
            Answer::Memberships(memberships)
        }
        Answer::Profiles(mut profiles) => {
            profiles.sort_by_key(|profile| profile.account);
            Answer::Profiles(profiles)
        }
        Answer::Roster(Some(mut roster)) => {
            roster.profiles.sort_by_key(|profile| profile.account);
            Answer::Roster(Some(roster))
        }
        other => other,
    })
}

/// SplitMix64: enough to choose by, and the same everywhere.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from 1 on.
    fn one_of(&mut self, count: u8) -> u8 {
        self.below(u64::from(count)) as u8 + 1
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

struct World {
    random: Seeded,
    /// The server's clock, which also jumps back.
    now: i64,
    /// What the model holds before a batch.
    seen: Seen,
}

impl World {
    fn new(seed: u64) -> Self {
        Self { random: Seeded(seed), now: 1_000, seen: Seen::default() }
    }

    fn batch(&mut self, step: u64) -> Vec<Operation> {
        let count = self.random.below(8) + 1;
        let operations = (0..count).map(|_| {
            self.now += self.random.below(50) as i64 - 5;
            if step > 1 && self.random.one_in(3) {
                return self.sealed_operation();
            }
            // The first batches fill the world.
            match if step < 4 { self.random.below(8) } else { self.random.below(24) } {
                0..=3 => self.account_operation(),
                4..=5 => self.create(),
                6..=7 => self.relay(),
                8..=14 => self.append(),
                15..=18 => self.roster_change(),
                _ => self.log_operation(),
            }
        });
        operations.collect()
    }

    fn account(&mut self) -> AccountId {
        account(self.random.one_of(5))
    }

    fn conversation(&mut self) -> ConversationId {
        conversation(self.random.one_of(4))
    }

    /// A device, which belongs to whoever came first.
    fn device(&mut self) -> DeviceId {
        device(self.random.one_of(12))
    }

    fn message(&mut self) -> MessageId {
        message(self.random.one_of(60))
    }

    fn role(&mut self) -> Role {
        Role::from_number(self.random.one_of(3)).expect("a role")
    }

    fn entry(&mut self) -> NewEntry {
        let length = self.random.below(40) as usize;
        NewEntry {
            account: self.account(),
            device: self.device(),
            message_id: self.message(),
            kind: if self.random.one_in(4) { EntryKind::Event } else { EntryKind::Message },
            payload: Bytes::from(vec![self.random.one_of(3); length]),
            expires_after_ms: self.random.one_in(3).then(|| self.random.below(2_000)),
            time: time(self.now),
            client_time: self.random.one_in(3).then(|| time(self.now - 9_000)),
            asked: self.random.one_in(3).then(|| Checksum(u32::from(self.random.one_of(3)))),
        }
    }

    fn append(&mut self) -> Operation {
        let conversation = self.conversation();
        let entry = self.entry();
        Operation::Log(LogOperation::Append(Append {
            conversation,
            entry,
            roster: None,
            group: GroupStep::Open,
        }))
    }

    fn roster_change(&mut self) -> Operation {
        let conversation = conversation(self.random.one_of(GROUPS));
        let mut entry = self.entry();
        entry.kind = EntryKind::Event;
        let mut accounts = Vec::from_iter((0..3).map(|_| self.account()));
        accounts.sort_unstable();
        accounts.dedup();
        let acts = accounts.into_iter().map(|account| match self.random.below(3) {
            0 => RosterAct::Leave(account),
            1 => RosterAct::Role(account, self.role()),
            _ => RosterAct::Join(account, self.role()),
        });
        let acts = Vec::from_iter(acts);
        let change = RosterChange {
            // Low ones, so that some are right.
            expected_version: u64::from(self.random.one_of(4)),
            acts,
            name: self.random.one_in(4).then(|| format!("name {}", self.random.below(9))),
        };
        Operation::Log(LogOperation::Append(Append {
            conversation,
            entry,
            roster: Some(change),
            group: GroupStep::Open,
        }))
    }

    fn create(&mut self) -> Operation {
        let mut members = Vec::from_iter((0..2).map(|_| (self.account(), self.role())));
        members.dedup_by_key(|(account, _)| *account);
        let mut first = self.entry();
        first.account = members[0].0;
        let number = self.random.one_of(4);
        let kind = match number <= GROUPS {
            true => ConversationKind::Group,
            false => ConversationKind::from_number(self.random.one_of(3)).expect("a kind"),
        };
        Operation::Log(LogOperation::Create(Create {
            conversation: conversation(number),
            kind,
            name: format!("name {}", self.random.below(9)),
            epoch: epoch(self.random.below(1_000) + 1),
            first,
            members,
            group: None,
        }))
    }

    fn log_operation(&mut self) -> Operation {
        let conversation = self.conversation();
        Operation::Log(match self.random.below(15) {
            0..=2 => LogOperation::Erase {
                conversation,
                seq: seq(self.random.below(30)),
                by: self.account(),
            },
            3..=6 => LogOperation::Mark {
                conversation,
                account: self.account(),
                marks: Marks {
                    delivered: seq(self.random.below(30)),
                    read: seq(self.random.below(30)),
                },
                time: time(self.now),
            },
            7 => LogOperation::RenewEpoch {
                conversation,
                epoch: epoch(self.random.below(1_000) + 1),
                since: seq(self.random.below(40)),
                now: time(self.now),
            },
            8 => LogOperation::RenewAllEpochs {
                entropy: [self.random.one_of(9); 32],
                now: time(self.now),
            },
            9..=10 => LogOperation::Expire {
                now: time(self.now),
                entries_max: self.random.below(4) as usize,
            },
            _ => LogOperation::Retain(Retain {
                now: time(self.now),
                entries_before: time(self.now - self.random.below(100) as i64),
                acknowledged_before: time(self.now - self.random.below(100) as i64),
                from: conversation,
                conversations_max: self.random.below(4) as usize,
                entries_max: self.random.below(8) as usize,
            }),
        })
    }

    fn relay(&mut self) -> Operation {
        let effect = Effect::Joined { account: self.account(), conversation: self.conversation() };
        let row = OutboxRow { id: self.random.below(30), effect };
        Operation::Outbox(OutboxOperation::Relay(row))
    }

    fn invite(&mut self) -> InviteHash {
        InviteHash([self.random.one_of(8); 32])
    }

    fn account_operation(&mut self) -> Operation {
        let owner = self.account();
        let mut device = new_device(self.device());
        device.token_hash = TokenHash([self.random.one_of(2); 32]);
        let now = time(self.now);
        Operation::Account(match self.random.below(15) {
            0..=5 => AccountOperation::SignUp {
                account: new_account(
                    account(self.random.one_of(12)),
                    &format!("name-{}", self.random.below(12)),
                ),
                device,
                invite: self.random.one_in(2).then(|| self.invite()),
                invite_required: self.random.one_in(4),
                now,
            },
            6 => AccountOperation::AddDevice { account: owner, device, now },
            7 => AccountOperation::RevokeDevice { account: owner, device: device.device, now },
            8 => {
                let counter = self.random.below(20);
                AccountOperation::Resume { device: device.device, counter, now }
            }
            9 => AccountOperation::SetDisplayName {
                account: owner,
                display_name: format!("Name {}", self.random.below(9)),
            },
            _ => AccountOperation::CreateInvite {
                invite: self.invite(),
                by: self.random.one_in(2).then_some(owner),
                administrator: self.random.one_in(3),
                expires_at: time(self.now + self.random.below(3_000) as i64),
                open_max: 1,
                now,
            },
        })
    }

    /// One of each query.
    fn queries(&mut self) -> Vec<Query> {
        let conversation = self.conversation();
        let message = self.random.one_in(2).then(|| Retry {
            device: self.device(),
            message_id: self.message(),
            asked: Checksum(u32::from(self.random.one_of(3))),
        });
        let profiles = vec![self.account(), self.account()];
        vec![
            Query::Log(LogQuery::ConversationsOf {
                account: self.account(),
                receipts_members_max: self.random.below(4) as usize,
            }),
            Query::Log(LogQuery::Roster { conversation, profiles, message }),
            Query::Log(LogQuery::Entries {
                conversation,
                after: seq(self.random.below(20)),
                until: seq(self.random.below(60)),
                entries_max: self.random.below(20) as usize,
                bytes_max: self.random.below(300) as usize,
            }),
            Query::Account(AccountQuery::ByName(format!("name-{}", self.random.below(12)))),
            Query::Account(AccountQuery::ById(self.account())),
            Query::Account(AccountQuery::Profiles(vec![account(1), account(3), account(9)])),
            Query::Account(AccountQuery::Device(self.device())),
            Query::Account(AccountQuery::Devices(self.account())),
            Query::Account(AccountQuery::AnyAccount),
            Query::Outbox { rows_max: self.random.below(12) as usize },
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::{Applied, DeviceApplied, Outcome, Rejection};

    fn name(outcome: &Outcome) -> &'static str {
        match outcome {
            Ok(Applied::Done) => "done",
            Ok(Applied::Appended(appended)) if appended.payload_differs => "payload differs",
            Ok(Applied::Appended(appended)) if appended.duplicate => "duplicate",
            Ok(Applied::Appended(_)) => "appended",
            Ok(Applied::Expired(places)) if places.is_empty() => "none expired",
            Ok(Applied::Expired(_)) => "expired",
            Ok(Applied::SignedUp { .. }) => "signed up",
            Ok(Applied::Invited { .. }) => "invited",
            Ok(Applied::Resumed { restored: true }) => "restored",
            Ok(Applied::Resumed { restored: false }) => "resumed",
            Ok(Applied::Renewed(_)) => "renewed",
            Ok(Applied::Device(DeviceApplied::Listed { grown: true, .. })) => "list grown",
            Ok(Applied::Device(DeviceApplied::Listed { grown: false, .. })) => "list known",
            Ok(Applied::Device(DeviceApplied::Stock(_))) => "stock",
            Ok(Applied::Device(DeviceApplied::Claimed { packages, left })) => {
                match (packages.is_empty(), left.is_empty()) {
                    (true, _) => "nothing claimed",
                    (false, true) => "claim repeated",
                    (false, false) => "claimed",
                }
            }
            Ok(Applied::Device(DeviceApplied::Delivered { fresh: true, .. })) => "delivered",
            Ok(Applied::Device(DeviceApplied::Delivered { fresh: false, .. })) => {
                "delivered before"
            }
            Ok(Applied::Device(DeviceApplied::Value { fresh: true, .. })) => "value put",
            Ok(Applied::Device(DeviceApplied::Value { fresh: false, .. })) => "value known",
            Ok(Applied::Device(DeviceApplied::BackupChunk(_))) => "chunk kept",
            Ok(Applied::Retained { next: None }) => "retained",
            Ok(Applied::Retained { next: Some(_) }) => "retained in part",
            Err(Rejection::RosterChanged) => "roster changed",
            Err(Rejection::Refused(refusal)) => refusal.name(),
        }
    }

    #[test]
    fn sequences_meet_every_outcome_but_the_large_limits() {
        let mut met = BTreeSet::new();
        for seed in 0..24 {
            let mut world = World::new(seed);
            let mut model = ModelStore::default();
            for step in 0..BATCHES {
                world.seen = Seen::of(&mut model);
                let outcomes = model.apply(&world.batch(step)).expect("the model writes");
                met.extend(outcomes.iter().map(name));
            }
        }
        let expected = [
            "ACCOUNT_LOG_FULL",
            "BACKUP_FULL",
            "COMMIT_REQUIRED",
            "DEVICE_LIST_CONFLICT",
            "EPOCH_CONFLICT",
            "FORBIDDEN",
            "ID_TAKEN",
            "INBOX_FULL",
            "INVITE_EXPIRED",
            "INVITE_INVALID",
            "INVITE_REQUIRED",
            "INVITE_USED",
            "NOT_A_MEMBER",
            "NOT_FOUND",
            "TOKEN_REVOKED",
            "TOO_MANY_INVITES",
            "TOO_MANY_KEY_PACKAGES",
            "USER_NAME_TAKEN",
            "WRONG_SEALING",
            "appended",
            "chunk kept",
            "claim repeated",
            "claimed",
            "delivered",
            "delivered before",
            "done",
            "duplicate",
            "expired",
            "invited",
            "list grown",
            "list known",
            "none expired",
            "nothing claimed",
            "payload differs",
            "renewed",
            "restored",
            "resumed",
            "retained",
            "retained in part",
            "roster changed",
            "signed up",
            "stock",
            "value known",
            "value put",
        ];
        assert_eq!(met, BTreeSet::from(expected));
    }
}
