//! What the account's devices publish, get and share, brought together: which answer belongs to what,
//! and what is sent when.
//!
//! The parts stand in files of their own: [`super::identity`], [`super::own_list`], [`super::lists`],
//! [`super::key_packages`], [`super::inbox`], [`super::account_log`].

use std::time::Duration;

use bytes::Bytes;
use tidings_model::{ConversationId, DeviceId, Monotonic, Seq, Timestamp};
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{FieldError, Refused};

use crate::command::CommandId;
use crate::database::DatabaseError;
use crate::event::{Failure, Outcome};

use super::Client;
use super::step::{Fault, Step};

/// What a request about the account's devices was for.
#[derive(Debug, Clone)]
pub(super) enum AccountRequest {
    PublishList,
    FetchLists,
    /// With the time of the last resort in it, if there is one.
    PublishKeyPackages {
        last_resort: Option<Timestamp>,
    },
    /// By conversation and request id.
    Claim(ConversationId, [u8; 16]),
    FetchInbox,
    AcknowledgeInbox,
    SendToDevice(DeviceId),
    /// A part of the history for a device, and what it answers.
    GiveHistory {
        device: DeviceId,
        owed: (ConversationId, Seq),
    },
    PutValue {
        key: Bytes,
        plain: Bytes,
    },
    FetchValues,
    /// A chunk of the recovery backup, or all of them.
    Backup,
}

impl Client {
    pub(super) fn account_answered(
        &mut self,
        step: &mut Step<'_>,
        request: AccountRequest,
        answer: Answer,
    ) -> Result<(), Fault> {
        match (request, answer) {
            (AccountRequest::PublishList, Answer::Done(_)) => self.list_published(step),
            (AccountRequest::FetchLists, Answer::DeviceLists(lists)) => {
                self.lists_fetched(step, lists)?;
            }
            (
                AccountRequest::PublishKeyPackages { last_resort },
                Answer::KeyPackageStock(stock),
            ) => self.key_packages_published(step, last_resort, &stock),
            (AccountRequest::Claim(conversation, id), Answer::KeyPackages(packages)) => {
                self.claimed(conversation, id, packages)?;
            }
            (AccountRequest::FetchInbox, Answer::InboxItems(items)) => {
                self.inbox_fetched(step, items)?;
            }
            (
                AccountRequest::AcknowledgeInbox | AccountRequest::SendToDevice(_),
                Answer::Done(_),
            ) => {}
            (AccountRequest::GiveHistory { device, owed }, Answer::Done(_)) => {
                self.history_given(step, device, owed);
            }
            (AccountRequest::PutValue { key, plain }, Answer::AccountValuePut(put)) => {
                self.account_value_put(step, key, plain, &put);
            }
            (AccountRequest::FetchValues, Answer::AccountValues(values)) => {
                self.account_values_fetched(step, values)?;
            }
            (AccountRequest::Backup, Answer::Done(_)) => self.backup_dropped(step),
            (AccountRequest::Backup, Answer::BackupChunkPut(_)) => self.backup_chunk_put(step),
            (AccountRequest::Backup, Answer::BackupChunk(chunk)) => {
                self.backup_chunk_fetched(step, &chunk)?;
            }
            _ => {
                let unfit = FieldError { field: "body", problem: "does not fit the request" };
                return Err(unfit.into());
            }
        }
        Ok(())
    }

    pub(super) fn account_refused(
        &mut self,
        step: &mut Step<'_>,
        request: AccountRequest,
        refused: Refused,
    ) {
        match request {
            AccountRequest::PublishList => self.list_refused(step, refused),
            AccountRequest::FetchLists => self.lists_refused(step, &refused),
            AccountRequest::PublishKeyPackages { .. } => self.key_packages_refused(step, &refused),
            AccountRequest::Claim(conversation, id) => {
                self.claim_refused(step, conversation, id, refused);
            }
            AccountRequest::FetchInbox => self.inbox_refused(step, &refused),
            AccountRequest::SendToDevice(device) => {
                self.device_unreached(step, device);
                self.history_unreached(step, device, &refused);
            }
            AccountRequest::GiveHistory { device, .. } => {
                self.history_not_given(step, device, &refused);
            }
            AccountRequest::PutValue { key, .. } => self.account_value_refused(step, key, &refused),
            AccountRequest::FetchValues => self.account_values_refused(step, &refused),
            AccountRequest::Backup => self.backup_refused(step, &refused),
            // The items come again with the next session, and are known then.
            AccountRequest::AcknowledgeInbox => {}
        }
    }

    /// Sends what is due in a live session.
    pub(super) fn pump_account(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        self.pump_own_list(step)?;
        self.pump_lists(step);
        self.pump_key_packages(step);
        self.pump_claims(step);
        self.pump_inbox(step);
        self.pump_account_log(step)
    }

    /// Forgets what belonged to a connection that is gone.
    pub(super) fn account_connection_lost(&mut self) {
        self.own_list.connection_lost();
        self.lists.connection_lost();
        self.key_packages.connection_lost();
        self.inbox.connection_lost();
        self.account_log.connection_lost();
        self.history.connection_lost();
        self.backup.connection_lost();
    }

    /// Fails the commands that have waited for too long.
    pub(super) fn account_timers(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        let mut late = self.own_list.take_late(now);
        late.extend(self.lists.take_late(now));
        late.extend(self.links.take_late(now));
        fail(step, late, &Failure::NotConnected);
    }

    /// When something of this is due by time.
    pub(super) fn account_timeout(&self) -> Option<Monotonic> {
        let is_up = self.link.is_up();
        let lists = [
            self.own_list.poll_timeout(),
            self.lists.poll_timeout(is_up),
            self.links.poll_timeout(),
        ];
        let held = [
            self.key_packages.poll_timeout(),
            self.inbox.poll_timeout(),
            self.account_log.poll_timeout(),
            self.history.poll_timeout(),
            self.backup.poll_timeout(),
        ];
        lists.into_iter().chain(held.into_iter().filter(|_| is_up)).flatten().min()
    }

    /// Forgets all of it with the account.
    pub(super) fn forget_account(&mut self, step: &mut Step<'_>) {
        let mut waiting = self.own_list.commands();
        waiting.extend(self.lists.commands());
        waiting.extend(self.links.take_late(Monotonic::from_start(Duration::MAX)));
        fail(step, waiting, &Failure::NotSignedIn);
        self.own_list = Default::default();
        self.lists = Default::default();
        self.key_packages = Default::default();
        self.inbox = Default::default();
        self.account_log = Default::default();
        self.links = Default::default();
        self.history = Default::default();
        self.backup = Default::default();
    }
}

fn fail(step: &mut Step<'_>, commands: Vec<CommandId>, failure: &Failure) {
    for command in commands {
        step.outcome(command, Outcome::Failed(failure.clone()));
    }
}
