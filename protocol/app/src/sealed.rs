//! What the server tells of sealed conversations, as types whose fields are checked, and back.
//!
//! Bytes that MLS makes (RFC 9420) stay bytes: who opens them checks them. Checked here are
//! identifiers, places, sizes and numbers of items, so that a server cannot make an app hold more than
//! the protocol allows. Deliberately not here: requests, which an app writes field by field and a door
//! reads.

use bytes::Bytes;
use tidings_model::limits::DEVICES_MAX;
use tidings_model::{
    AccountId, ConversationId, DeviceId, GroupEpoch, LogEpoch, MessageId, Seq, Timestamp,
};

use crate::convert::{FieldError, counter, epoch, id, id_bytes, seq};
use crate::limits::{
    ACCOUNT_KEY_BYTES_MAX, ACCOUNTS_PER_REQUEST_MAX, DEVICE_PAYLOAD_BYTES_MAX, HANDSHAKE_BYTES_MAX,
    KEY_PACKAGE_BYTES_MAX, LEAVE_BYTES_MAX, LIST_ENTRIES_MAX, LIST_ENTRY_BYTES_MAX,
};
use crate::wire;
use wire::inbox_items::item::Of;

const MISSING: &str = "is missing";
const NO_GENERATION: &str = "has the generation 0";
const TOO_LARGE: &str = "has more bytes than such a thing may have";
const TOO_MANY: &str = "has more items than such an answer may have";
const NOT_RISING: &str = "does not rise, or goes past the head";

impl From<GroupEpoch> for wire::GroupEpoch {
    fn from(place: GroupEpoch) -> Self {
        Self { generation: place.generation, epoch: place.epoch }
    }
}

impl wire::GroupEpoch {
    /// Reads where a group stands out of a field that must not be missing.
    ///
    /// # Errors
    /// No place, or a generation 0.
    pub fn required(field: &'static str, place: Option<&Self>) -> Result<GroupEpoch, FieldError> {
        Self::optional(field, place)?.ok_or(FieldError { field, problem: MISSING })
    }

    /// Reads where a group stands, if anything does.
    ///
    /// # Errors
    /// A generation 0.
    pub fn optional(
        field: &'static str,
        place: Option<&Self>,
    ) -> Result<Option<GroupEpoch>, FieldError> {
        match place {
            Some(Self { generation: 0, .. }) => Err(FieldError { field, problem: NO_GENERATION }),
            Some(Self { generation, epoch }) => {
                Ok(Some(GroupEpoch { generation: *generation, epoch: *epoch }))
            }
            None => Ok(None),
        }
    }
}

/// What is public of a group, as a device needs it to join by an external Commit (RFC 9420 §12.4.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicGroup {
    /// The conversation.
    pub conversation: ConversationId,
    /// Where the group stands.
    pub place: GroupEpoch,
    /// The GroupInfo.
    pub group_info: Bytes,
    /// The ratchet tree.
    pub tree: Bytes,
    /// The signed leaves that stand.
    pub leaves: Vec<Bytes>,
    /// The log's head at that moment.
    pub head: Seq,
    /// The log's epoch.
    pub log_epoch: LogEpoch,
}

impl From<PublicGroup> for wire::Group {
    fn from(group: PublicGroup) -> Self {
        Self {
            conversation: id_bytes(group.conversation.as_bytes()),
            place: Some(group.place.into()),
            state: Some(wire::GroupPublicState { group_info: group.group_info, tree: group.tree }),
            leaves: group.leaves,
            head: group.head.get(),
            log_epoch: group.log_epoch.get(),
        }
    }
}

impl TryFrom<wire::Group> for PublicGroup {
    type Error = FieldError;

    fn try_from(group: wire::Group) -> Result<Self, FieldError> {
        let state = group.state.ok_or(FieldError { field: "group.state", problem: MISSING })?;
        check_number("group.leaves", group.leaves.len(), tidings_model::limits::MEMBERS_MAX)?;
        for leave in &group.leaves {
            check_size("group.leaves", leave, LEAVE_BYTES_MAX)?;
        }
        Ok(Self {
            conversation: id("group.conversation", &group.conversation)?,
            place: wire::GroupEpoch::required("group.place", group.place.as_ref())?,
            group_info: handshake("group.state.group_info", state.group_info)?,
            tree: handshake("group.state.tree", state.tree)?,
            leaves: group.leaves,
            head: seq("group.head", group.head)?,
            log_epoch: epoch("group.log_epoch", group.log_epoch)?,
        })
    }
}

/// How far somebody knows an account's device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListHead {
    /// Whose.
    pub account: AccountId,
    /// Number of the identity, from 0.
    pub identity: u32,
    /// How many of its entries.
    pub entries: u32,
}

impl From<ListHead> for wire::fetch_device_lists::Known {
    fn from(head: ListHead) -> Self {
        let account = id_bytes(head.account.as_bytes());
        Self { account, identity: head.identity, entries: head.entries }
    }
}

impl TryFrom<&wire::fetch_device_lists::Known> for ListHead {
    type Error = FieldError;

    fn try_from(known: &wire::fetch_device_lists::Known) -> Result<Self, FieldError> {
        let account = id("known.account", &known.account)?;
        Ok(Self { account, identity: known.identity, entries: known.entries })
    }
}

impl From<ListHead> for wire::DeviceListChanged {
    fn from(head: ListHead) -> Self {
        let account = id_bytes(head.account.as_bytes());
        Self { account, identity: head.identity, entries: head.entries }
    }
}

impl TryFrom<&wire::DeviceListChanged> for ListHead {
    type Error = FieldError;

    fn try_from(changed: &wire::DeviceListChanged) -> Result<Self, FieldError> {
        let account = id("device_list_changed.account", &changed.account)?;
        Ok(Self { account, identity: changed.identity, entries: changed.entries })
    }
}

/// Entries of one identity of a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceListPart {
    /// Whose.
    pub account: AccountId,
    /// Number of the identity, from 0.
    pub identity: u32,
    /// Index of the first entry.
    pub from: u32,
    /// The entries.
    pub entries: Vec<Bytes>,
}

impl From<DeviceListPart> for wire::device_lists::Part {
    fn from(part: DeviceListPart) -> Self {
        Self {
            account: id_bytes(part.account.as_bytes()),
            identity: part.identity,
            from: part.from,
            entries: part.entries,
        }
    }
}

impl TryFrom<wire::device_lists::Part> for DeviceListPart {
    type Error = FieldError;

    fn try_from(part: wire::device_lists::Part) -> Result<Self, FieldError> {
        let end = part.entries.len().saturating_add(part.from as usize);
        check_number("parts.entries", end, LIST_ENTRIES_MAX)?;
        for entry in &part.entries {
            check_size("parts.entries", entry, LIST_ENTRY_BYTES_MAX)?;
        }
        Ok(Self {
            account: id("parts.account", &part.account)?,
            identity: part.identity,
            from: part.from,
            entries: part.entries,
        })
    }
}

/// A key package (RFC 9420 §10) that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedKeyPackage {
    /// Whose.
    pub account: AccountId,
    /// Of which device.
    pub device: DeviceId,
    /// The key package.
    pub package: Bytes,
}

impl From<ClaimedKeyPackage> for wire::key_packages::Claimed {
    fn from(claimed: ClaimedKeyPackage) -> Self {
        Self {
            account: id_bytes(claimed.account.as_bytes()),
            device: id_bytes(claimed.device.as_bytes()),
            package: claimed.package,
        }
    }
}

impl TryFrom<wire::key_packages::Claimed> for ClaimedKeyPackage {
    type Error = FieldError;

    fn try_from(claimed: wire::key_packages::Claimed) -> Result<Self, FieldError> {
        check_size("packages.package", &claimed.package, KEY_PACKAGE_BYTES_MAX)?;
        Ok(Self {
            account: id("packages.account", &claimed.account)?,
            device: id("packages.device", &claimed.device)?,
            package: claimed.package,
        })
    }
}

impl wire::KeyPackages {
    /// Reads what a claim was answered with.
    ///
    /// # Errors
    /// More packages than the accounts of one claim have devices, or one that cannot be right.
    pub fn claimed(self) -> Result<Vec<ClaimedKeyPackage>, FieldError> {
        check_number("packages", self.packages.len(), ACCOUNTS_PER_REQUEST_MAX * DEVICES_MAX)?;
        self.packages.into_iter().map(TryInto::try_into).collect()
    }
}

/// A part of a device's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxPage {
    /// The items, in order.
    pub items: Vec<InboxItem>,
    /// The last item of all.
    pub head: u64,
}

/// An item of a device's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxItem {
    /// Its place.
    pub seq: u64,
    /// The server's time.
    pub time: Timestamp,
    /// What it is; `None`: something of a later version, to be skipped.
    pub content: Option<InboxContent>,
}

/// What stands in a device's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxContent {
    /// A Commit has added the device.
    Invitation(Invitation),
    /// Another device of the account has sent something.
    Message(DeviceMessage),
}

/// What a device needs to join a group by a Welcome (RFC 9420 §12.4.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The conversation.
    pub conversation: ConversationId,
    /// Where the Commit stands in the log: the device reads on behind it.
    pub seq: Seq,
    /// The log's epoch.
    pub log_epoch: LogEpoch,
    /// The epoch that the Commit made.
    pub place: GroupEpoch,
    /// The Welcome.
    pub welcome: Bytes,
    /// The ratchet tree of that epoch.
    pub tree: Bytes,
}

/// What one device of an account sends another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceMessage {
    /// The sender.
    pub device: DeviceId,
    /// Names the message.
    pub message_id: MessageId,
    /// The payload.
    pub payload: Bytes,
}

impl From<InboxPage> for wire::InboxItems {
    fn from(page: InboxPage) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), head: page.head }
    }
}

impl TryFrom<wire::InboxItems> for InboxPage {
    type Error = FieldError;

    fn try_from(page: wire::InboxItems) -> Result<Self, FieldError> {
        let head = counter("head", page.head)?;
        check_rising("items.seq", page.items.iter().map(|item| item.seq), head)?;
        let items = page.items.into_iter().map(InboxItem::try_from).collect::<Result<_, _>>()?;
        Ok(Self { items, head })
    }
}

impl From<InboxItem> for wire::inbox_items::Item {
    fn from(item: InboxItem) -> Self {
        let of = item.content.map(|content| match content {
            InboxContent::Invitation(invitation) => Of::Invitation(invitation.into()),
            InboxContent::Message(message) => Of::Message(message.into()),
        });
        Self { seq: item.seq, time: item.time.as_millis(), of }
    }
}

impl TryFrom<wire::inbox_items::Item> for InboxItem {
    type Error = FieldError;

    fn try_from(item: wire::inbox_items::Item) -> Result<Self, FieldError> {
        let content = match item.of {
            Some(Of::Invitation(invitation)) => {
                Some(InboxContent::Invitation(invitation.try_into()?))
            }
            Some(Of::Message(message)) => Some(InboxContent::Message(message.try_into()?)),
            None => None,
        };
        Ok(Self { seq: item.seq, time: Timestamp::from_millis(item.time), content })
    }
}

impl From<Invitation> for wire::inbox_items::Invitation {
    fn from(invitation: Invitation) -> Self {
        Self {
            conversation: id_bytes(invitation.conversation.as_bytes()),
            seq: invitation.seq.get(),
            log_epoch: invitation.log_epoch.get(),
            place: Some(invitation.place.into()),
            welcome: invitation.welcome,
            tree: invitation.tree,
        }
    }
}

impl TryFrom<wire::inbox_items::Invitation> for Invitation {
    type Error = FieldError;

    fn try_from(invitation: wire::inbox_items::Invitation) -> Result<Self, FieldError> {
        let place = invitation.place.as_ref();
        Ok(Self {
            conversation: id("invitation.conversation", &invitation.conversation)?,
            seq: seq("invitation.seq", invitation.seq)?,
            log_epoch: epoch("invitation.log_epoch", invitation.log_epoch)?,
            place: wire::GroupEpoch::required("invitation.place", place)?,
            welcome: handshake("invitation.welcome", invitation.welcome)?,
            tree: handshake("invitation.tree", invitation.tree)?,
        })
    }
}

impl From<DeviceMessage> for wire::DeviceMessage {
    fn from(message: DeviceMessage) -> Self {
        Self {
            device: id_bytes(message.device.as_bytes()),
            message_id: id_bytes(message.message_id.as_bytes()),
            payload: message.payload,
        }
    }
}

impl TryFrom<wire::DeviceMessage> for DeviceMessage {
    type Error = FieldError;

    fn try_from(message: wire::DeviceMessage) -> Result<Self, FieldError> {
        check_size("message.payload", &message.payload, DEVICE_PAYLOAD_BYTES_MAX)?;
        Ok(Self {
            device: id("message.device", &message.device)?,
            message_id: id("message.message_id", &message.message_id)?,
            payload: message.payload,
        })
    }
}

/// A part of an account log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountValuePage {
    /// The values, in order of seq; of each key the latest.
    pub values: Vec<AccountValue>,
    /// The last seq of all.
    pub head: u64,
}

/// A value of an account log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountValue {
    /// Its place.
    pub seq: u64,
    /// Which device set it.
    pub device: DeviceId,
    /// The key.
    pub key: Bytes,
    /// The value; empty: the key was dropped.
    pub value: Bytes,
}

impl From<AccountValuePage> for wire::AccountValues {
    fn from(page: AccountValuePage) -> Self {
        Self { values: page.values.into_iter().map(Into::into).collect(), head: page.head }
    }
}

impl TryFrom<wire::AccountValues> for AccountValuePage {
    type Error = FieldError;

    fn try_from(page: wire::AccountValues) -> Result<Self, FieldError> {
        let head = counter("head", page.head)?;
        check_rising("values.seq", page.values.iter().map(|value| value.seq), head)?;
        let values =
            page.values.into_iter().map(AccountValue::try_from).collect::<Result<_, _>>()?;
        Ok(Self { values, head })
    }
}

impl From<AccountValue> for wire::account_values::Value {
    fn from(value: AccountValue) -> Self {
        Self {
            seq: value.seq,
            device: id_bytes(value.device.as_bytes()),
            key: value.key,
            value: value.value,
        }
    }
}

impl TryFrom<wire::account_values::Value> for AccountValue {
    type Error = FieldError;

    fn try_from(value: wire::account_values::Value) -> Result<Self, FieldError> {
        check_size("values.key", &value.key, ACCOUNT_KEY_BYTES_MAX)?;
        check_size("values.value", &value.value, DEVICE_PAYLOAD_BYTES_MAX)?;
        Ok(Self {
            seq: value.seq,
            device: id("values.device", &value.device)?,
            key: value.key,
            value: value.value,
        })
    }
}

fn handshake(field: &'static str, bytes: Bytes) -> Result<Bytes, FieldError> {
    if bytes.is_empty() {
        return Err(FieldError { field, problem: MISSING });
    }
    check_size(field, &bytes, HANDSHAKE_BYTES_MAX)?;
    Ok(bytes)
}

fn check_size(field: &'static str, bytes: &Bytes, max: usize) -> Result<(), FieldError> {
    if bytes.len() > max { Err(FieldError { field, problem: TOO_LARGE }) } else { Ok(()) }
}

fn check_number(field: &'static str, number: usize, max: usize) -> Result<(), FieldError> {
    if number > max { Err(FieldError { field, problem: TOO_MANY }) } else { Ok(()) }
}

/// Places from 1 on, each above the one before, and none past the head.
fn check_rising(
    field: &'static str,
    seqs: impl Iterator<Item = u64>,
    head: u64,
) -> Result<(), FieldError> {
    let mut last = 0;
    for seq in seqs {
        if seq <= last || seq > head {
            return Err(FieldError { field, problem: NOT_RISING });
        }
        last = seq;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
