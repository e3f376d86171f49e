//! Seeded sequences of operations, applied to a store and to the model: both have to answer the same.
//!
//! The world is small (few accounts, conversations and message ids), so that operations meet: retries,
//! stale versions, people who left, ids in use. The first seeds cover every operation and query.

use bytes::Bytes;
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, EntryKind, MessageId, Role,
};

use super::scene::{
    account, conversation, device, epoch, message, new_account, new_device, seq, time,
};
use super::{Fixture, ModelStore};
use crate::store::{
    AccountOperation, AccountQuery, Answer, Append, Create, Effect, InviteHash, LogOperation,
    LogQuery, Marks, NewEntry, Operation, OutboxOperation, OutboxRow, Query, ReadFailure, Reader,
    RosterAct, RosterChange, TokenHash, Writer,
};

/// Batches of one sequence.
const BATCHES: u64 = 80;

/// Compares a backend with the model over one seeded sequence.
///
/// # Panics
/// They differ.
pub fn compare_with_model<F: Fixture>(seed: u64) {
    let mut world = World { random: Seeded(seed), now: 1_000, versions: 1 };
    let mut model = ModelStore::default();
    let mut fixture = F::open_fresh();
    let mut reader = fixture.reader();
    for step in 0..BATCHES {
        let batch = world.batch(step);
        let expected = model.apply(&batch).expect("the model writes");
        let outcomes = fixture.writer().apply(&batch).expect("the store writes");
        for ((operation, outcome), expected) in batch.iter().zip(&outcomes).zip(&expected) {
            assert_eq!(outcome, expected, "seed {seed}, batch {step}: {operation:?}");
        }
        for query in world.queries() {
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
    /// About how often rosters have changed, so that some expected versions are right.
    versions: u64,
}

impl World {
    fn batch(&mut self, step: u64) -> Vec<Operation> {
        let count = self.random.below(8) + 1;
        let operations = (0..count).map(|_| {
            self.now += self.random.below(50) as i64 - 5;
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
        }
    }

    fn append(&mut self) -> Operation {
        let conversation = self.conversation();
        let entry = self.entry();
        Operation::Log(LogOperation::Append(Append { conversation, entry, roster: None }))
    }

    fn roster_change(&mut self) -> Operation {
        let conversation = self.conversation();
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
        self.versions += u64::from(self.random.one_in(6));
        let change = RosterChange {
            expected_version: self.versions.saturating_sub(self.random.below(3)),
            acts,
            name: self.random.one_in(4).then(|| format!("name {}", self.random.below(9))),
        };
        Operation::Log(LogOperation::Append(Append { conversation, entry, roster: Some(change) }))
    }

    fn create(&mut self) -> Operation {
        let mut members = Vec::from_iter((0..2).map(|_| (self.account(), self.role())));
        members.dedup_by_key(|(account, _)| *account);
        let mut first = self.entry();
        first.account = members[0].0;
        Operation::Log(LogOperation::Create(Create {
            conversation: self.conversation(),
            kind: ConversationKind::from_number(self.random.one_of(3)).expect("a kind"),
            name: format!("name {}", self.random.below(9)),
            epoch: epoch(self.random.below(1_000) + 1),
            first,
            members,
        }))
    }

    fn log_operation(&mut self) -> Operation {
        let conversation = self.conversation();
        Operation::Log(match self.random.below(12) {
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
            },
            8 => LogOperation::RenewAllEpochs { entropy: [self.random.one_of(9); 32] },
            9..=10 => LogOperation::Expire {
                now: time(self.now),
                entries_max: self.random.below(4) as usize,
            },
            _ => LogOperation::Trim { conversation, floor: seq(self.random.below(12)) },
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
        let message = self.random.one_in(2).then(|| (self.device(), self.message()));
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
    use crate::store::{Applied, Outcome, Rejection};

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
            Err(Rejection::RosterChanged) => "roster changed",
            Err(Rejection::Refused(refusal)) => refusal.name(),
        }
    }

    #[test]
    fn sequences_meet_every_outcome_but_the_large_limits() {
        let mut met = BTreeSet::new();
        for seed in 0..24 {
            let mut world = World { random: Seeded(seed), now: 1_000, versions: 1 };
            let mut model = ModelStore::default();
            for step in 0..BATCHES {
                let outcomes = model.apply(&world.batch(step)).expect("the model writes");
                met.extend(outcomes.iter().map(name));
            }
        }
        let expected = [
            "FORBIDDEN",
            "ID_TAKEN",
            "INVITE_EXPIRED",
            "INVITE_INVALID",
            "INVITE_REQUIRED",
            "INVITE_USED",
            "NOT_A_MEMBER",
            "NOT_FOUND",
            "TOKEN_REVOKED",
            "TOO_MANY_INVITES",
            "USER_NAME_TAKEN",
            "appended",
            "done",
            "duplicate",
            "expired",
            "invited",
            "none expired",
            "payload differs",
            "renewed",
            "restored",
            "resumed",
            "roster changed",
            "signed up",
        ];
        assert_eq!(met, BTreeSet::from(expected));
    }
}
