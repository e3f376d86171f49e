//! This device's inbox at the server: Welcomes, and what the account's other devices send it.
//!
//! Items are taken in order and the cursor is written with what they changed. Only then, and only once
//! that is on the disk, the server may drop them. Deliberately not here: what an item means.

use tidings_model::{DeviceId, Monotonic};
use tidings_protocol_app::sealed::{InboxContent, InboxPage};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{FieldError, Refused, id_bytes, wire};

use crate::limits::INBOX_RETRY_AFTER;

use super::Client;
use super::account::AccountRequest;
use super::requests::Purpose;
use super::step::{Fault, Step};

/// What is known of the inbox while the program runs.
#[derive(Default)]
pub(super) struct Inbox {
    /// The last item of all, as the server said on this connection.
    head: Option<u64>,
    fetching: bool,
    held_until: Option<Monotonic>,
}

impl Inbox {
    pub(super) fn resumed(&mut self, head: u64) {
        self.head = Some(head);
    }

    pub(super) fn connection_lost(&mut self) {
        *self = Self::default();
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        self.held_until
    }

    /// Whether something that the server has told of is yet to be taken in.
    pub(super) fn brings_more(&self, than: u64) -> bool {
        self.fetching || (self.held_until.is_none() && self.head.is_some_and(|head| head > than))
    }

    /// Whether there is nothing behind a place.
    pub(super) fn is_read(&self, up_to: u64) -> bool {
        self.head.is_some_and(|head| head <= up_to)
    }
}

impl Client {
    pub(super) fn inbox_changed(&mut self, changed: &wire::InboxChanged) {
        self.inbox.head = Some(self.inbox.head.unwrap_or(0).max(changed.head));
    }

    /// Reads on, one request at a time.
    pub(super) fn pump_inbox(&mut self, step: &mut Step<'_>) {
        let Some(row) = &self.state.identity.row else { return };
        let now = step.now.monotonic;
        let is_held = self.inbox.held_until.is_some_and(|until| now < until);
        if self.inbox.fetching || is_held || self.inbox.head.is_none_or(|head| head <= row.inbox) {
            return;
        }
        self.inbox.fetching = true;
        self.inbox.held_until = None;
        let body = Request::FetchInbox(wire::FetchInbox { after: row.inbox });
        self.requests.send(step, Purpose::Account(AccountRequest::FetchInbox), body);
    }

    /// Takes a part of the inbox.
    pub(super) fn inbox_fetched(
        &mut self,
        step: &mut Step<'_>,
        answer: wire::InboxItems,
    ) -> Result<(), Fault> {
        let page = InboxPage::try_from(answer)?;
        self.inbox.fetching = false;
        let Some(row) = &self.state.identity.row else { return Ok(()) };
        let before = row.inbox;
        if page.items.first().is_some_and(|item| item.seq <= before) {
            return Err(FieldError { field: "items.seq", problem: "was not asked for" }.into());
        }
        // Items that were dropped leave gaps: without one left, the head is read.
        let read = page.items.last().map_or(page.head.max(before), |item| item.seq);
        let is_news = !page.items.is_empty();
        self.inbox.head = Some(page.head);
        for item in page.items {
            match item.content {
                Some(InboxContent::Invitation(invitation)) => self.invited(step, invitation)?,
                Some(InboxContent::Message(message)) => self.device_message(step, &message)?,
                None => {}
            }
        }
        if let Some(row) = &mut self.state.identity.row {
            row.inbox = read;
        }
        if read != before {
            self.state.identity.write(step);
        }
        if is_news {
            step.must_sync();
            let body = Request::AcknowledgeInbox(wire::AcknowledgeInbox { up_to: read });
            self.requests.send(step, Purpose::Account(AccountRequest::AcknowledgeInbox), body);
        }
        Ok(())
    }

    pub(super) fn inbox_refused(&mut self, step: &Step<'_>, refused: &Refused) {
        self.inbox.fetching = false;
        if refused.may_retry {
            let span = refused.retry_after.unwrap_or(INBOX_RETRY_AFTER);
            self.inbox.held_until = Some(step.now.monotonic.plus(span));
        } else {
            self.inbox.head = None;
        }
    }

    /// Puts something into the inbox of another device of the account.
    pub(super) fn send_to_device(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        payload: bytes::Bytes,
    ) {
        let message_id = step.entropy.bytes();
        let purpose = AccountRequest::SendToDevice(device);
        self.put_into_inbox(step, device, message_id, payload, purpose);
    }

    /// Puts something into the inbox of another device of the account, once for each message id.
    pub(super) fn put_into_inbox(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        message_id: [u8; 16],
        payload: bytes::Bytes,
        purpose: AccountRequest,
    ) {
        let body = wire::SendToDevice {
            device: id_bytes(device.as_bytes()),
            message_id: bytes::Bytes::copy_from_slice(&message_id),
            payload,
        };
        self.requests.send(step, Purpose::Account(purpose), Request::SendToDevice(body));
    }
}
