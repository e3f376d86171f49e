//! What the store holds of sealed conversations: groups, key packages, device lists, inboxes, account
//! logs.
//!
//! All of it is opaque here. What is public of a group is followed by an [`crate::group::Observer`],
//! which makes the records of this file; the store keeps them beside the log and admits an entry only
//! in the epoch that it was made in.

use bytes::Bytes;
use tidings_model::{
    AccountId, ConversationId, DeviceId, GroupEpoch, LogEpoch, MessageId, Seq, Timestamp,
};

/// The public state of a group at one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRecord {
    /// Where the group stands.
    pub place: GroupEpoch,
    /// The observer's state, without the tree.
    pub state: Bytes,
    /// The ratchet tree, as joiners get it.
    pub tree: Bytes,
    /// The GroupInfo, as joiners get it.
    pub group_info: Bytes,
    /// The accounts whose signed leave stands, with the leave.
    pub left: Vec<(AccountId, Bytes)>,
}

/// What an entry asks of the conversation's group. Checked after membership:
///
/// 1. An open conversation takes `Open` only, a sealed one the others: else `WRONG_SEALING`.
/// 2. `made_in` is where the group stands: else `EPOCH_CONFLICT`.
/// 3. `Message`: no leaf is due to be removed: else `COMMIT_REQUIRED` with the accounts of those
///    leaves, each once, in order. `Change` that ends the epoch: as many accounts have left as in
///    `left_before`: else `COMMIT_REQUIRED` with all accounts that have left, in order.
///
/// A leaf is due once its account has left ([`GroupChange::due`]) or its device was taken out of its
/// account's list ([`super::Effect::LeavesDue`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupStep {
    /// The conversation is open.
    Open,
    /// A message sealed in this epoch.
    Message {
        /// Its epoch.
        made_in: GroupEpoch,
    },
    /// A Commit, a leave, or a restart: what becomes of the group.
    Change(Box<GroupChange>),
}

/// What a Commit, a leave or a restart makes of a group. Devices that are added leave outbox rows
/// [`super::Effect::Welcomed`] if the Welcome is for them, behind those of accounts that join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// The epoch that it was made in.
    pub made_in: GroupEpoch,
    /// How many signed leaves stood when it was judged. Within an epoch their number only grows.
    pub left_before: usize,
    /// The group after it. A leave stays in its epoch: its `left` is added to what stands.
    pub next: GroupRecord,
    /// Leaves that are gone; a restart removes all of the former generation before it adds.
    pub devices_removed: Vec<DeviceId>,
    /// Leaves that are new. One of a device that its account's list has revoked meanwhile is due to be
    /// removed at once.
    pub devices_added: Vec<(AccountId, DeviceId)>,
    /// Accounts whose leaves are due to be removed from now on: they have left.
    pub due: Vec<AccountId>,
    /// Whether all leaves of the former generation go.
    pub is_restart: bool,
    /// The Welcome for new leaves.
    pub welcome: Option<NewWelcome>,
}

/// A Welcome before it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWelcome {
    /// The Welcome, the same for all.
    pub bytes: Bytes,
    /// Whom it is for.
    pub joiners: Vec<DeviceId>,
}

/// Answers [`super::LogQuery::Group`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupAnswer {
    /// The group.
    pub group: GroupRecord,
    /// The log's epoch.
    pub log_epoch: LogEpoch,
    /// The log's head.
    pub head: Seq,
}

/// A change of what devices publish and get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceOperation {
    /// Appends entries, which an observer has verified, to an account's device list. Checked in this
    /// order:
    ///
    /// 1. The account exists: else `NOT_FOUND`.
    /// 2. `begins_anew`: the present identity's entries are exactly these: done. Otherwise the list
    ///    has `expected.1` entries under identity `expected.0`, else `DEVICE_LIST_CONFLICT`; the next
    ///    identity begins (the very first is 0).
    /// 3. Not `begins_anew`: the present identity is `expected.0` (0 while there is no list). Entries at
    ///    `from` and behind that are there already and equal are skipped; if one differs, or `from` is
    ///    past the end, `DEVICE_LIST_CONFLICT`.
    ///
    /// If the list has grown, devices of the account in `revoked` are revoked as by
    /// [`super::AccountOperation::RevokeDevice`], and each in `revoked` leaves an outbox row
    /// [`super::Effect::LeavesDue`].
    AppendDeviceList {
        /// The account.
        account: AccountId,
        /// Index of the first entry.
        from: u32,
        /// The entries.
        entries: Vec<Bytes>,
        /// Whether a new identity begins.
        begins_anew: bool,
        /// Identity and number of entries that the observer saw.
        expected: (u32, u32),
        /// Devices that the list covered before and does not cover any more.
        revoked: Vec<DeviceId>,
        /// The server's time.
        now: Timestamp,
    },
    /// Adds key packages to a device's stock. Checked in this order: a device of the account, not
    /// revoked: else `NOT_FOUND`; more than `stock_max` in all: `TOO_MANY_KEY_PACKAGES`, and nothing is
    /// changed. A package that is or was there is skipped, as is one that comes twice.
    PublishKeyPackages {
        /// The device.
        device: DeviceId,
        /// Its account.
        account: AccountId,
        /// Reference and bytes of each.
        packages: Vec<(Bytes, Bytes)>,
        /// The last resort, which replaces the former one. `None`: that one stays.
        last_resort: Option<Bytes>,
        /// Whether the stock and the last resort are dropped first.
        replace: bool,
        /// At most this many, the last resort not counted.
        stock_max: usize,
    },
    /// Takes a key package of each device of some accounts that is not revoked, but for the claimer: the
    /// oldest of its stock, else its last resort, which stays. A device that has neither is left out. The
    /// answer has the order of the accounts, each once, and of their devices, oldest first. The same
    /// `(claimer, request)` answers the same until `kept_until` of the first one has come.
    ClaimKeyPackages {
        /// Who claims.
        claimer: DeviceId,
        /// Names the claim.
        request: MessageId,
        /// Whose devices.
        accounts: Vec<AccountId>,
        /// The server's time.
        now: Timestamp,
        /// Until when the answer is kept.
        kept_until: Timestamp,
    },
    /// Puts a message into a device's inbox. Checked in this order: `to` is a device of the account, not
    /// revoked: else `NOT_FOUND`; the same message of the same sender was put into this inbox before,
    /// whether or not it is still there: done; `items_max` items of any kind: `INBOX_FULL`. Places of an
    /// inbox count from 1 and are never used again.
    SendToDevice {
        /// The account of both.
        account: AccountId,
        /// The sender.
        from: DeviceId,
        /// The receiver.
        to: DeviceId,
        /// Names the message.
        message_id: MessageId,
        /// The payload.
        payload: Bytes,
        /// The server's time.
        now: Timestamp,
        /// At most this many items.
        items_max: usize,
    },
    /// Drops inbox items up to a place, and Welcomes that nobody waits for any more. An unknown device:
    /// done.
    AcknowledgeInbox {
        /// The device.
        device: DeviceId,
        /// The last item to drop.
        up_to: u64,
    },
    /// Sets a value of an account log. Checked in this order: the account exists: else `NOT_FOUND`; the
    /// value is the same already: done, with its seq (with the head, if an absent key is dropped); the
    /// value is not empty and there are `keys_max` other keys that have one: `ACCOUNT_LOG_FULL`. An empty
    /// value drops the key, but its place stays, so that other devices hear of it. Places count from 1.
    PutAccountValue {
        /// The account.
        account: AccountId,
        /// Which device.
        device: DeviceId,
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// At most this many keys with a value.
        keys_max: usize,
    },
    /// Adds a chunk to an account's recovery backup. Checked in this order: the account exists: else
    /// `NOT_FOUND`; a chunk of this name is there: done, with its number; with it the backup has more than
    /// `bytes_max` bytes, each chunk counted with [`crate::limits::BACKUP_CHUNK_BYTES_MIN`] at least:
    /// `BACKUP_FULL`. Numbers count from 1 and are never used again.
    PutBackupChunk {
        /// The account.
        account: AccountId,
        /// Names the chunk.
        chunk: MessageId,
        /// The chunk.
        sealed: Bytes,
        /// At most this many bytes in all.
        bytes_max: u64,
    },
    /// Drops an account's recovery backup. An unknown account: done.
    DropBackup {
        /// The account.
        account: AccountId,
    },
}

/// What a [`DeviceOperation`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceApplied {
    /// `AppendDeviceList`: the list as it is now.
    Listed {
        /// Number of the present identity.
        identity: u32,
        /// Its entries.
        entries: u32,
        /// Whether anything was new.
        grown: bool,
    },
    /// `PublishKeyPackages`: the stock.
    Stock(usize),
    /// `ClaimKeyPackages`.
    Claimed {
        /// The packages.
        packages: Vec<ClaimedKeyPackage>,
        /// How large the stock is now of each device that gave a package: none for a repeated claim.
        left: Vec<(DeviceId, usize)>,
    },
    /// `SendToDevice`, and the relay of [`super::Effect::Welcomed`].
    Delivered {
        /// The inbox's last place.
        head: u64,
        /// Whether the item was put there now.
        fresh: bool,
    },
    /// `PutAccountValue`.
    Value {
        /// Place of the value.
        seq: u64,
        /// Whether it is new.
        fresh: bool,
    },
    /// `PutBackupChunk`: the chunk's number.
    BackupChunk(u64),
}

/// A key package that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedKeyPackage {
    /// Whose.
    pub account: AccountId,
    /// Of which device.
    pub device: DeviceId,
    /// The key package.
    pub package: Bytes,
}

/// A question about what devices publish and get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceQuery {
    /// Device lists, each beyond `(account, identity, entries)` that is known: later entries of that
    /// identity, and all of later ones. → [`ListPart`]s with entries, in order of account and identity.
    DeviceLists(Vec<(AccountId, u32, u32)>),
    /// Items of a device's inbox behind a place. → [`InboxPage`]
    Inbox {
        /// The device.
        device: DeviceId,
        /// Before the first item.
        after: u64,
        /// At most this many.
        items_max: usize,
        /// Stop before payloads, Welcomes and trees exceed this; one comes always.
        bytes_max: usize,
    },
    /// Values of an account log behind a place. → [`AccountValuePage`]
    AccountValues {
        /// The account.
        account: AccountId,
        /// Before the first.
        after: u64,
        /// At most this many.
        values_max: usize,
        /// Stop before keys and values exceed this; one comes always.
        bytes_max: usize,
    },
    /// The last chunk of a recovery backup before a number. → [`BackupChunk`]
    BackupChunk {
        /// The account.
        account: AccountId,
        /// The number; `None`: the last one of all.
        before: Option<u64>,
    },
    /// What a resume tells a device. → [`DeviceHeads`]
    Heads {
        /// The account.
        account: AccountId,
        /// The device.
        device: DeviceId,
    },
}

/// Entries of one identity of a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPart {
    /// Whose.
    pub account: AccountId,
    /// Number of the identity, from 0.
    pub identity: u32,
    /// Index of the first entry.
    pub from: u32,
    /// The entries.
    pub entries: Vec<Bytes>,
}

/// A part of an inbox.
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
    /// What it is.
    pub content: InboxContent,
}

/// What stands in a device's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxContent {
    /// A Commit has added the device.
    Invitation {
        /// Where.
        conversation: ConversationId,
        /// The log's epoch.
        log_epoch: LogEpoch,
        /// The Commit.
        seq: Seq,
        /// The epoch that it made.
        place: GroupEpoch,
        /// The Welcome.
        welcome: Bytes,
        /// The tree of that epoch.
        tree: Bytes,
    },
    /// Another device of the account has sent something.
    Message {
        /// Which device.
        from: DeviceId,
        /// Names the message.
        message_id: MessageId,
        /// The payload.
        payload: Bytes,
    },
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

/// A chunk of a recovery backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupChunk {
    /// Its number.
    pub number: u64,
    /// The chunk.
    pub sealed: Bytes,
    /// How many chunks there are before it.
    pub left: u64,
}

/// What a device is told when it resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceHeads {
    /// The last item of its inbox.
    pub inbox: u64,
    /// The last seq of the account log.
    pub account_log: u64,
    /// Its stock of key packages, the last resort not counted.
    pub key_packages: usize,
    /// Number of the account's present identity.
    pub list_identity: u32,
    /// Entries of its device list; 0: it has none.
    pub list_entries: u32,
}
