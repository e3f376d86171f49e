//! Inboxes, account logs and recovery backups: what the devices of an account tell each other through the server, and what
//! others' Commits tell a device. What devices publish about themselves is in `published`.

use bytes::Bytes;
use tidings_model::{AccountId, DeviceId, MessageId, Now, Refusal};

use super::append::refusal_of;
use super::published::PublishedStep;
use super::{Asker, Core, Effect, Origin, Then};
use crate::limits::{
    ACCOUNT_KEY_BYTES_MAX, ACCOUNT_KEYS_MAX, ACCOUNT_VALUE_BYTES_MAX, BACKUP_BYTES_MAX,
    BACKUP_CHUNK_BYTES_MAX, DEVICE_MESSAGE_BYTES_MAX, ENTRIES_PER_PAGE_MAX, INBOX_ITEMS_MAX,
    PAGE_BYTES_MAX,
};
use crate::request::{Event, Reply, Request};
use crate::store::{
    Answer, Applied, DeviceApplied, DeviceOperation, DeviceQuery, Operation, Outcome, Query,
};

/// A step about devices that waits for the store or the observer.
#[derive(Debug)]
pub(super) enum DeviceStep {
    /// Of what devices publish.
    Published(PublishedStep),
    /// An inbox, an account log or a recovery backup is read.
    Read { origin: Origin },
    /// Items of an inbox, or a recovery backup, are dropped.
    Acknowledge { origin: Origin },
    /// A message is put into an inbox.
    Send { origin: Origin, to: DeviceId },
    /// A value is put into the account log.
    Put { asker: Asker },
    /// A chunk is added to the recovery backup.
    Back { origin: Origin },
}

impl DeviceStep {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Published(step) => step.origin(),
            Self::Read { origin }
            | Self::Acknowledge { origin }
            | Self::Send { origin, .. }
            | Self::Back { origin } => *origin,
            Self::Put { asker } => asker.origin,
        }
    }
}

impl Core {
    pub(super) fn handle_device_request(&mut self, now: Now, asker: Asker, body: Request) {
        match body {
            Request::PublishDeviceList { from, entries, begins_anew } => {
                self.publish_device_list(now, asker, asker.account, from, entries, begins_anew);
            }
            Request::OfferDeviceList { account, from, entries } => {
                self.publish_device_list(now, asker, account, from, entries, false);
            }
            Request::FetchDeviceLists(known) => self.fetch_device_lists(asker, known),
            Request::PublishKeyPackages { packages, last_resort, replace } => {
                self.publish_key_packages(now, asker, packages, last_resort, replace);
            }
            Request::ClaimKeyPackages { request, accounts } => {
                self.claim_key_packages(now, asker, request, accounts);
            }
            Request::FetchInbox { after } => self.fetch_inbox(asker, after),
            Request::AcknowledgeInbox { up_to } => {
                let operation = DeviceOperation::AcknowledgeInbox { device: asker.device, up_to };
                self.apply_device(operation, 0, DeviceStep::Acknowledge { origin: asker.origin });
            }
            Request::SendToDevice { device, message_id, payload } => {
                self.send_to_device(now, asker, device, message_id, payload);
            }
            Request::PutAccountValue { key, value } => {
                self.put_account_value(now, asker, key, value);
            }
            Request::FetchAccountValues { after } => self.fetch_account_values(asker, after),
            Request::PutBackupChunk { chunk, sealed } => {
                self.put_backup_chunk(now, asker, chunk, sealed);
            }
            Request::FetchBackupChunk { before } => {
                let query = DeviceQuery::BackupChunk { account: asker.account, before };
                self.read_device(query, DeviceStep::Read { origin: asker.origin });
            }
            Request::DropBackup => {
                let operation = DeviceOperation::DropBackup { account: asker.account };
                self.apply_device(operation, 0, DeviceStep::Acknowledge { origin: asker.origin });
            }
            _ => self.reply(asker.origin, Err(Refusal::UnknownRequest)),
        }
    }

    fn fetch_inbox(&mut self, asker: Asker, after: u64) {
        let query = DeviceQuery::Inbox {
            device: asker.device,
            after,
            items_max: ENTRIES_PER_PAGE_MAX,
            bytes_max: PAGE_BYTES_MAX,
        };
        self.read_device(query, DeviceStep::Read { origin: asker.origin });
    }

    fn send_to_device(
        &mut self,
        now: Now,
        asker: Asker,
        to: DeviceId,
        message_id: MessageId,
        payload: Bytes,
    ) {
        if payload.len() > DEVICE_MESSAGE_BYTES_MAX {
            let refusal = Refusal::PayloadTooLarge { max: DEVICE_MESSAGE_BYTES_MAX as u64 };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let bytes = payload.len();
        let operation = DeviceOperation::SendToDevice {
            account: asker.account,
            from: asker.device,
            to,
            message_id,
            payload,
            now: now.wall,
            items_max: INBOX_ITEMS_MAX,
        };
        self.apply_device(operation, bytes, DeviceStep::Send { origin: asker.origin, to });
    }

    fn put_account_value(&mut self, now: Now, asker: Asker, key: Bytes, value: Bytes) {
        if key.is_empty() || key.len() > ACCOUNT_KEY_BYTES_MAX {
            let problem = "must have between 1 and 64 bytes";
            return self.reply(asker.origin, Err(Refusal::InvalidField { field: "key", problem }));
        }
        if value.len() > ACCOUNT_VALUE_BYTES_MAX {
            let refusal = Refusal::PayloadTooLarge { max: ACCOUNT_VALUE_BYTES_MAX as u64 };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let bytes = key.len() + value.len();
        let operation = DeviceOperation::PutAccountValue {
            account: asker.account,
            device: asker.device,
            key,
            value,
            keys_max: ACCOUNT_KEYS_MAX,
        };
        self.apply_device(operation, bytes, DeviceStep::Put { asker });
    }

    fn fetch_account_values(&mut self, asker: Asker, after: u64) {
        let query = DeviceQuery::AccountValues {
            account: asker.account,
            after,
            values_max: ENTRIES_PER_PAGE_MAX,
            bytes_max: PAGE_BYTES_MAX,
        };
        self.read_device(query, DeviceStep::Read { origin: asker.origin });
    }

    fn put_backup_chunk(&mut self, now: Now, asker: Asker, chunk: MessageId, sealed: Bytes) {
        if sealed.len() > BACKUP_CHUNK_BYTES_MAX {
            let refusal = Refusal::PayloadTooLarge { max: BACKUP_CHUNK_BYTES_MAX as u64 };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let (account, bytes) = (asker.account, sealed.len());
        let bytes_max = BACKUP_BYTES_MAX;
        let operation = DeviceOperation::PutBackupChunk { account, chunk, sealed, bytes_max };
        self.apply_device(operation, bytes, DeviceStep::Back { origin: asker.origin });
    }

    pub(super) fn apply_device(
        &mut self,
        operation: DeviceOperation,
        bytes: usize,
        step: DeviceStep,
    ) {
        self.apply(Operation::Device(operation), bytes, Then::Device(step));
    }

    pub(super) fn read_device(&mut self, query: DeviceQuery, step: DeviceStep) {
        self.read(Query::Device(query), Then::Device(step));
    }

    pub(super) fn device_applied(&mut self, now: Now, step: DeviceStep, outcome: Outcome) {
        match (step, outcome) {
            (DeviceStep::Published(step), Ok(Applied::Device(applied))) => {
                self.published_applied(now, step, applied);
            }
            (DeviceStep::Acknowledge { origin }, Ok(_)) => self.reply(origin, Ok(Reply::Done)),
            (
                DeviceStep::Send { origin, to },
                Ok(Applied::Device(DeviceApplied::Delivered { head, fresh })),
            ) => {
                self.reply(origin, Ok(Reply::Done));
                if fresh {
                    self.tell_inbox(to, head);
                }
            }
            (
                DeviceStep::Put { asker },
                Ok(Applied::Device(DeviceApplied::Value { seq, fresh })),
            ) => {
                self.reply(asker.origin, Ok(Reply::AccountValuePut(seq)));
                if fresh {
                    self.tell_account_log(asker, seq);
                }
            }
            (
                DeviceStep::Back { origin },
                Ok(Applied::Device(DeviceApplied::BackupChunk(number))),
            ) => self.reply(origin, Ok(Reply::BackupChunkPut(number))),
            (step, outcome) => self.reply(step.origin(), Err(refusal_of(outcome))),
        }
    }

    pub(super) fn device_answered(&mut self, now: Now, step: DeviceStep, answer: Answer) {
        match (step, answer) {
            (DeviceStep::Published(step), answer) => self.published_answered(now, step, answer),
            (DeviceStep::Read { origin }, Answer::Inbox(page)) => {
                self.reply(origin, Ok(Reply::Inbox(page)));
            }
            (DeviceStep::Read { origin }, Answer::AccountValues(page)) => {
                self.reply(origin, Ok(Reply::AccountValues(page)));
            }
            (DeviceStep::Read { origin }, Answer::BackupChunk(chunk)) => {
                self.reply(origin, Ok(Reply::BackupChunk(chunk)));
            }
            (step, _) => self.reply(step.origin(), Err(Refusal::Unavailable)),
        }
    }

    /// Something is new in a device's inbox.
    pub(super) fn tell_inbox(&mut self, device: DeviceId, head: u64) {
        self.memory.note_inbox(device, head);
        if let Some(session) = self.session_of(device) {
            self.effects.push_back(Effect::Event(session, Event::InboxChanged { head }));
        }
    }

    /// The account log has grown: the account's other sessions hear of it.
    fn tell_account_log(&mut self, by: Asker, head: u64) {
        self.memory.note_account_log(by.account, head);
        for session in self.sessions_of(by.account) {
            if session != by.origin.session {
                self.effects.push_back(Effect::Event(session, Event::AccountLogChanged { head }));
            }
        }
    }

    pub(super) fn sessions_of(&self, account: AccountId) -> Vec<crate::request::SessionId> {
        let account = self.memory.accounts.get(&account);
        account.into_iter().flat_map(|account| &account.sessions).copied().collect()
    }
}
