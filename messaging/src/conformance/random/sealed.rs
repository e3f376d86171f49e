//! The part of the sequences that concerns groups and what devices publish.
//!
//! Group conversations of their own, so that the rest goes on as it would without them; some operations
//! meet the wrong kind all the same.

use bytes::Bytes;
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, EntryKind, GroupEpoch, LogEpoch, Role,
};

use super::super::scene::{account, conversation, device, message, seq, time};
use super::super::sealed::record;
use super::{ModelStore, World};
use crate::limits::BACKUP_CHUNK_BYTES_MIN;
use crate::store::{
    AccountQuery, Answer, Append, Create, DeviceOperation, DeviceQuery, GroupChange, GroupRecord,
    GroupStep, LogOperation, LogQuery, NewEntry, NewWelcome, Operation, OutboxOperation, OutboxRow,
    Query, Reader, RosterAct, RosterChange,
};

/// The first sealed conversation; there is one more behind it.
const SEALED: u8 = 5;

/// What the model holds before a batch, so that enough operations fit.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Where the groups stand, and how many leaves stand in each.
    groups: Vec<(ConversationId, GroupEpoch, usize)>,
    outbox: Vec<OutboxRow>,
    /// Identity and entries of the accounts' lists.
    lists: Vec<(AccountId, (u32, u32))>,
    /// Devices that are not revoked.
    devices: Vec<(AccountId, DeviceId)>,
    /// Members of the sealed conversations.
    members: Vec<(ConversationId, AccountId)>,
}

impl Seen {
    pub(super) fn of(model: &mut ModelStore) -> Self {
        let mut seen = Self::default();
        for number in [SEALED, SEALED + 1] {
            let query = Query::Log(LogQuery::Group(conversation(number)));
            if let Ok(Answer::Group(Some(answer))) = model.answer(&query) {
                let GroupRecord { place, left, .. } = answer.group;
                seen.groups.push((conversation(number), place, left.len()));
            }
            let (conversation, profiles) = (conversation(number), Vec::new());
            let query = LogQuery::Roster { conversation, profiles, message: None };
            if let Ok(Answer::Roster(Some(roster))) = model.answer(&Query::Log(query)) {
                let present = roster.members.iter().filter(|of| of.membership.role.is_some());
                seen.members.extend(present.map(|of| (conversation, of.profile.account)));
            }
        }
        if let Ok(Answer::Outbox(rows)) = model.answer(&Query::Outbox { rows_max: 8 }) {
            seen.outbox = rows;
        }
        for account in (1..=5).map(account) {
            let query = DeviceQuery::Heads { account, device: device(1) };
            if let Ok(Answer::Heads(heads)) = model.answer(&Query::Device(query)) {
                seen.lists.push((account, (heads.list_identity, heads.list_entries)));
            }
            let query = Query::Account(AccountQuery::Devices(account));
            if let Ok(Answer::Devices(devices)) = model.answer(&query) {
                seen.devices.extend(devices.iter().map(|of| (account, of.device)));
            }
        }
        seen
    }
}

impl World {
    fn sealed_conversation(&mut self) -> ConversationId {
        conversation(SEALED + self.random.below(2) as u8)
    }

    /// Where a group stands, and how many leaves stand there; now and then something else.
    fn place(&mut self, conversation: ConversationId) -> (GroupEpoch, usize) {
        let seen = self.seen.groups.iter().find(|(of, ..)| *of == conversation);
        match seen.map(|(_, place, left)| (*place, *left)) {
            Some(seen) if !self.random.one_in(6) => seen,
            _ => (GroupEpoch { generation: 1, epoch: self.random.below(3) }, 0),
        }
    }

    /// A device that is there, mostly.
    fn owned_device(&mut self) -> (AccountId, DeviceId) {
        match self.random.below(1 + 4 * self.seen.devices.len() as u64) as usize {
            0 => (self.account(), self.device()),
            number => self.seen.devices[number % self.seen.devices.len()],
        }
    }

    /// An entry of a member, mostly.
    fn members_entry(&mut self, conversation: ConversationId) -> NewEntry {
        let members = self.seen.members.iter().filter(|(of, _)| *of == conversation);
        let members = Vec::from_iter(members.map(|(_, account)| *account));
        let mut entry = self.entry();
        if !members.is_empty() && !self.random.one_in(6) {
            entry.account = members[self.random.below(members.len() as u64) as usize];
        }
        entry
    }

    pub(super) fn sealed_operation(&mut self) -> Operation {
        match self.random.below(20) {
            0 => self.create_sealed(),
            1..=4 => self.sealed_message(),
            5..=8 => self.group_change(),
            9..=10 => match self.random.below(1 + self.seen.outbox.len() as u64) {
                0 => self.relay(),
                number => {
                    let row = self.seen.outbox[number as usize - 1];
                    Operation::Outbox(OutboxOperation::Relay(row))
                }
            },
            11 => self.sealed_log_operation(),
            _ => Operation::Device(self.device_operation()),
        }
    }

    fn create_sealed(&mut self) -> Operation {
        let first = self.entry();
        let (maker, owner) = (first.account, Role::Owner);
        Operation::Log(LogOperation::Create(Create {
            conversation: self.sealed_conversation(),
            kind: ConversationKind::Group,
            name: String::new(),
            epoch: LogEpoch::from_entropy(self.random.next().to_be_bytes()),
            first,
            members: vec![(maker, owner)],
            group: Some(record(GroupEpoch::FIRST)),
        }))
    }

    fn sealed_message(&mut self) -> Operation {
        let conversation =
            if self.random.one_in(8) { self.conversation() } else { self.sealed_conversation() };
        let (made_in, _) = self.place(conversation);
        let group = match self.random.below(8) {
            0 => GroupStep::Open,
            _ => GroupStep::Message { made_in },
        };
        let entry = NewEntry { kind: EntryKind::Message, ..self.members_entry(conversation) };
        Operation::Log(LogOperation::Append(Append { conversation, entry, roster: None, group }))
    }

    fn group_change(&mut self) -> Operation {
        let conversation = self.sealed_conversation();
        let (made_in, left) = self.place(conversation);
        let added = self.owned_device();
        let mut entry = NewEntry { kind: EntryKind::Commit, ..self.members_entry(conversation) };
        let mut change = GroupChange {
            made_in,
            left_before: if self.random.one_in(6) { 0 } else { left },
            next: record(made_in.next()),
            devices_removed: vec![self.device(), self.device()],
            devices_added: vec![added],
            due: Vec::new(),
            is_restart: false,
            welcome: None,
        };
        let mut acts = vec![RosterAct::Join(added.0, self.role())];
        match self.random.below(8) {
            0 => {
                entry.kind = EntryKind::Leave;
                change.next = record(made_in);
                change.next.left = vec![(entry.account, Bytes::from("leave"))];
                change.due = vec![entry.account];
                change.devices_removed.clear();
                change.devices_added.clear();
                acts = vec![RosterAct::Leave(entry.account)];
            }
            1 => {
                let generation = made_in.generation + 1;
                change.next = record(GroupEpoch { generation, epoch: 0 });
                change.is_restart = true;
            }
            2 => acts.clear(),
            _ => {
                let bytes = Bytes::from("welcome");
                change.welcome = Some(NewWelcome { bytes, joiners: vec![added.1, self.device()] });
            }
        }
        let roster =
            (!acts.is_empty()).then_some(RosterChange { expected_version: 0, acts, name: None });
        let group = GroupStep::Change(Box::new(change));
        Operation::Log(LogOperation::Append(Append { conversation, entry, roster, group }))
    }

    fn sealed_log_operation(&mut self) -> Operation {
        let conversation = self.sealed_conversation();
        Operation::Log(match self.random.below(2) {
            0 => LogOperation::Erase {
                conversation,
                seq: seq(self.random.below(20)),
                by: self.account(),
            },
            _ => LogOperation::RenewEpoch {
                conversation,
                epoch: LogEpoch::from_entropy(self.random.next().to_be_bytes()),
                since: seq(self.random.below(20)),
                now: time(self.now),
            },
        })
    }

    fn bytes(&mut self, choices: u8) -> Bytes {
        Bytes::from(vec![self.random.one_of(choices); self.random.below(12) as usize])
    }

    fn device_operation(&mut self) -> DeviceOperation {
        let ((account, device), now) = (self.owned_device(), time(self.now));
        match self.random.below(14) {
            0..=2 => self.device_list(),
            3..=4 => {
                let packages = (0..self.random.below(4)).map(|_| {
                    let number = self.random.one_of(40);
                    (Bytes::from(vec![number]), Bytes::from(vec![number; 9]))
                });
                DeviceOperation::PublishKeyPackages {
                    device,
                    account,
                    packages: packages.collect(),
                    last_resort: self.random.one_in(4).then(|| self.bytes(9)),
                    replace: self.random.one_in(6),
                    stock_max: 4,
                }
            }
            5..=6 => DeviceOperation::ClaimKeyPackages {
                claimer: device,
                request: message(self.random.one_of(9)),
                accounts: vec![account, self.account()],
                now,
                kept_until: time(self.now + 2_000),
            },
            7..=8 => DeviceOperation::SendToDevice {
                account,
                from: self.owned_device().1,
                to: device,
                message_id: message(self.random.one_of(3)),
                payload: self.bytes(9),
                now,
                items_max: 3,
            },
            9 => DeviceOperation::AcknowledgeInbox { device, up_to: self.random.below(8) },
            10 => DeviceOperation::PutBackupChunk {
                account,
                chunk: message(self.random.one_of(6)),
                sealed: self.bytes(9),
                bytes_max: 3 * BACKUP_CHUNK_BYTES_MIN,
            },
            11 if self.random.one_in(4) => DeviceOperation::DropBackup { account },
            _ => DeviceOperation::PutAccountValue {
                account,
                device,
                key: Bytes::from(vec![self.random.one_of(6)]),
                value: self.bytes(3),
                keys_max: 3,
            },
        }
    }

    /// Entries that fit the list which was seen, mostly.
    fn device_list(&mut self) -> DeviceOperation {
        let (account, expected) =
            self.seen.lists[self.random.below(self.seen.lists.len() as u64) as usize];
        let from = if self.random.one_in(4) { self.random.below(3) as u32 } else { expected.1 };
        // The same at each place and identity, so that repeated ones are equal.
        let entries = (from..).take(1 + self.random.below(2) as usize).map(|index| {
            Bytes::from(if self.random.one_in(8) { vec![9] } else { vec![1, index as u8] })
        });
        let entries = entries.collect();
        let begins_anew = self.random.one_in(8);
        let from = if begins_anew { 0 } else { from };
        let revoked = if self.random.one_in(12) { vec![self.device()] } else { Vec::new() };
        let now = time(self.now);
        DeviceOperation::AppendDeviceList {
            account,
            from,
            entries,
            begins_anew,
            expected,
            revoked,
            now,
        }
    }

    /// One of each query.
    pub(super) fn sealed_queries(&mut self) -> Vec<Query> {
        let conversation = self.sealed_conversation();
        let known = (1..=5).map(|number| {
            (account(number), self.random.below(2) as u32, self.random.below(3) as u32)
        });
        let known = known.collect();
        let others = vec![self.account(), self.account(), self.account()];
        vec![
            Query::Log(LogQuery::Group(conversation)),
            Query::Log(LogQuery::Roster { conversation, profiles: Vec::new(), message: None }),
            Query::Log(LogQuery::Entries {
                conversation,
                after: seq(self.random.below(20)),
                until: seq(60),
                entries_max: 9,
                bytes_max: 200,
            }),
            Query::Log(LogQuery::Met { account: self.account(), others }),
            Query::Device(DeviceQuery::DeviceLists(known)),
            Query::Device(DeviceQuery::Inbox {
                device: self.device(),
                after: self.random.below(3),
                items_max: self.random.below(4) as usize,
                bytes_max: self.random.below(60) as usize,
            }),
            Query::Device(DeviceQuery::AccountValues {
                account: self.account(),
                after: self.random.below(6),
                values_max: self.random.below(4) as usize,
                bytes_max: self.random.below(30) as usize,
            }),
            Query::Device(DeviceQuery::BackupChunk {
                account: self.account(),
                before: self.random.one_in(2).then(|| self.random.below(6)),
            }),
            Query::Device(DeviceQuery::Heads { account: self.account(), device: self.device() }),
        ]
    }
}
