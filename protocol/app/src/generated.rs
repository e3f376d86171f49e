//! The messages of `tidings.app.v1`, generated from `protocol/app/proto/tidings/app/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

/// Where a group stands. A restart of a group begins generation + 1 at epoch 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GroupEpoch {
    /// From 1.
    #[prost(uint32, tag = "1")]
    pub generation: u32,
    /// The epoch of RFC 9420 §8.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
}
/// What the server follows a group by, and what a device needs to join it by an external Commit.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GroupPublicState {
    /// A GroupInfo that allows external Commits and holds no tree.
    #[prost(bytes = "bytes", tag = "1")]
    pub group_info: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub tree: ::prost::bytes::Bytes,
}
/// Appends a Commit, if the group is still in the epoch that it was made in: else EPOCH_CONFLICT. One
/// that comes too soon after another gets COMMIT_BUSY and can be sent again as it is; one that breaks a
/// rule gets COMMIT_REFUSED. Joins, leaves and roles follow from the Commit alone.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Commit {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// 16 random bytes, new with each Commit that is built. They are its authenticated data too.
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    /// A PublicMessage.
    #[prost(bytes = "bytes", tag = "3")]
    pub commit: ::prost::bytes::Bytes,
    /// The GroupInfo of the epoch that the Commit makes, signed by the sender.
    #[prost(bytes = "bytes", tag = "4")]
    pub group_info: ::prost::bytes::Bytes,
    /// The Welcome for those whom it adds; empty if it adds nobody.
    #[prost(bytes = "bytes", tag = "5")]
    pub welcome: ::prost::bytes::Bytes,
    /// Whom it adds.
    #[prost(message, repeated, tag = "6")]
    pub joiners: ::prost::alloc::vec::Vec<commit::Joiner>,
}
/// Nested message and enum types in `Commit`.
pub mod commit {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Joiner {
        #[prost(bytes = "bytes", tag = "1")]
        pub account: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "2")]
        pub device: ::prost::bytes::Bytes,
        /// Reference of the key package (RFC 9420 §5.2) that was used.
        #[prost(bytes = "bytes", tag = "3")]
        pub key_package: ::prost::bytes::Bytes,
    }
}
/// Appends an account's signed leave (docs/formats.md). From then on messages are refused with
/// COMMIT_REQUIRED until a Commit has removed its devices. It holds in one epoch: EPOCH_CONFLICT.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Leave {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    /// tidings.identity.v1.SignedLeave.
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: ::prost::bytes::Bytes,
}
/// Begins the conversation's group anew: generation + 1, the same roles, the sender's device alone in
/// it. Allowed to whoever may add, once in ten minutes: RESTART_TOO_SOON.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Restart {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    #[prost(message, optional, tag = "3")]
    pub group: ::core::option::Option<GroupPublicState>,
}
/// Gives back a Commit or a leave that a log has lost, as it was, whoever made it: for 30 days after the
/// log got a new epoch, else COMMIT_REFUSED. It is appended under its first author and message id, if
/// the group is in the epoch that it was made in (EPOCH_CONFLICT) and it keeps the rules of then. A
/// Welcome is not sent again.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct OfferAgain {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// Its author, and the author's device.
    #[prost(bytes = "bytes", tag = "2")]
    pub account: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub device: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub message_id: ::prost::bytes::Bytes,
    /// With the last Commit: the GroupInfo of the epoch that it makes, signed by whatever member.
    #[prost(bytes = "bytes", tag = "7")]
    pub group_info: ::prost::bytes::Bytes,
    #[prost(oneof = "offer_again::Handshake", tags = "5, 6")]
    pub handshake: ::core::option::Option<offer_again::Handshake>,
}
/// Nested message and enum types in `OfferAgain`.
pub mod offer_again {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Handshake {
        /// A PublicMessage.
        #[prost(bytes, tag = "5")]
        Commit(::prost::bytes::Bytes),
        /// tidings.identity.v1.SignedLeave.
        #[prost(bytes, tag = "6")]
        Leave(::prost::bytes::Bytes),
    }
}
/// Asks for what an external Commit needs.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FetchGroup {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Group {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(message, optional, tag = "2")]
    pub place: ::core::option::Option<GroupEpoch>,
    #[prost(message, optional, tag = "3")]
    pub state: ::core::option::Option<GroupPublicState>,
    /// Signed leaves that stand: payloads of Leave.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub leaves: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
    /// The log's head at that moment: a device that joins reads on from here.
    #[prost(uint64, tag = "5")]
    pub head: u64,
    #[prost(uint64, tag = "6")]
    pub log_epoch: u64,
}
/// Publishes entries of the account's own device list (docs/formats.md): hash-chained and signed.
/// Entries that are there already are skipped; others than those that are there, or a gap, get
/// DEVICE_LIST_CONFLICT.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PublishDeviceList {
    /// Index of the first entry in `entries`.
    #[prost(uint32, tag = "1")]
    pub from: u32,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub entries: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
    /// A new identity, because all devices and the recovery key are lost: `from` is 0.
    #[prost(bool, tag = "3")]
    pub begins_anew: bool,
}
/// Gives back entries of an account's device list that the server has lost. Anybody may: they are
/// signed. Otherwise as PublishDeviceList.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct OfferDeviceList {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    /// Index of the first entry in `entries`.
    #[prost(uint32, tag = "2")]
    pub from: u32,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub entries: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
}
/// Asks for device lists, beyond what is known of each. At most 128 accounts.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct FetchDeviceLists {
    #[prost(message, repeated, tag = "1")]
    pub known: ::prost::alloc::vec::Vec<fetch_device_lists::Known>,
}
/// Nested message and enum types in `FetchDeviceLists`.
pub mod fetch_device_lists {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Known {
        #[prost(bytes = "bytes", tag = "1")]
        pub account: ::prost::bytes::Bytes,
        /// Number of the identity, from 0, and how many of its entries are known.
        #[prost(uint32, tag = "2")]
        pub identity: u32,
        #[prost(uint32, tag = "3")]
        pub entries: u32,
    }
}
/// Answers FetchDeviceLists. Accounts without a list, and unknown ones, are left out.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct DeviceLists {
    #[prost(message, repeated, tag = "1")]
    pub parts: ::prost::alloc::vec::Vec<device_lists::Part>,
}
/// Nested message and enum types in `DeviceLists`.
pub mod device_lists {
    /// Entries of one identity. Parts of an account come in order of identity.
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Part {
        #[prost(bytes = "bytes", tag = "1")]
        pub account: ::prost::bytes::Bytes,
        #[prost(uint32, tag = "2")]
        pub identity: u32,
        #[prost(uint32, tag = "3")]
        pub from: u32,
        #[prost(bytes = "bytes", repeated, tag = "4")]
        pub entries: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
    }
}
/// Adds key packages (RFC 9420 §10) of this device to its stock, which holds at most 200. The device's
/// list has to cover it: DEVICE_NOT_LISTED. A package that is there already is skipped.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PublishKeyPackages {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub packages: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
    /// Takes the place of the former one; empty: none. Handed out when the stock is empty, and kept.
    #[prost(bytes = "bytes", tag = "2")]
    pub last_resort: ::prost::bytes::Bytes,
    /// Drops the stock first, after the device has lost its private keys.
    #[prost(bool, tag = "3")]
    pub replace: bool,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct KeyPackageStock {
    /// How many are left, the last resort not counted.
    #[prost(uint32, tag = "1")]
    pub count: u32,
}
/// Takes a key package for each listed device of some accounts, at most 128. The same request id
/// answers the same packages for 24 hours.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ClaimKeyPackages {
    #[prost(bytes = "bytes", tag = "1")]
    pub request_id: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub accounts: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
}
/// Devices that have none are left out: they join by themselves.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct KeyPackages {
    #[prost(message, repeated, tag = "1")]
    pub packages: ::prost::alloc::vec::Vec<key_packages::Claimed>,
}
/// Nested message and enum types in `KeyPackages`.
pub mod key_packages {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Claimed {
        #[prost(bytes = "bytes", tag = "1")]
        pub account: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "2")]
        pub device: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "3")]
        pub package: ::prost::bytes::Bytes,
    }
}
/// Reads this device's inbox after a cursor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FetchInbox {
    #[prost(uint64, tag = "1")]
    pub after: u64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct InboxItems {
    #[prost(message, repeated, tag = "1")]
    pub items: ::prost::alloc::vec::Vec<inbox_items::Item>,
    /// The last item.
    #[prost(uint64, tag = "2")]
    pub head: u64,
}
/// Nested message and enum types in `InboxItems`.
pub mod inbox_items {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Item {
        #[prost(uint64, tag = "1")]
        pub seq: u64,
        #[prost(int64, tag = "2")]
        pub time: i64,
        #[prost(oneof = "item::Of", tags = "3, 4")]
        pub of: ::core::option::Option<item::Of>,
    }
    /// Nested message and enum types in `Item`.
    pub mod item {
        #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
        pub enum Of {
            #[prost(message, tag = "3")]
            Invitation(super::Invitation),
            #[prost(message, tag = "4")]
            Message(super::super::DeviceMessage),
        }
    }
    /// A Commit has added this device.
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Invitation {
        #[prost(bytes = "bytes", tag = "1")]
        pub conversation: ::prost::bytes::Bytes,
        /// Where the Commit stands: the device reads on behind it.
        #[prost(uint64, tag = "2")]
        pub seq: u64,
        #[prost(uint64, tag = "3")]
        pub log_epoch: u64,
        #[prost(message, optional, tag = "4")]
        pub place: ::core::option::Option<super::GroupEpoch>,
        #[prost(bytes = "bytes", tag = "5")]
        pub welcome: ::prost::bytes::Bytes,
        /// The tree of the epoch that the Commit made.
        #[prost(bytes = "bytes", tag = "6")]
        pub tree: ::prost::bytes::Bytes,
    }
}
/// Drops the items of this device's inbox up to a place: they are on the device's disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AcknowledgeInbox {
    #[prost(uint64, tag = "1")]
    pub up_to: u64,
}
/// Puts something into the inbox of another device of the same account; the server does not read it.
/// At most 64 KiB. A full inbox (1,000 items): INBOX_FULL.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SendToDevice {
    #[prost(bytes = "bytes", tag = "1")]
    pub device: ::prost::bytes::Bytes,
    /// 16 random bytes, kept for retries: the item comes once.
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DeviceMessage {
    /// The sender; its account is that of the device.
    #[prost(bytes = "bytes", tag = "1")]
    pub device: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: ::prost::bytes::Bytes,
}
/// Something is new in this device's inbox.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct InboxChanged {
    #[prost(uint64, tag = "1")]
    pub head: u64,
}
/// The device list of an account has grown: the own one, or that of a direct partner.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DeviceListChanged {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(uint32, tag = "2")]
    pub identity: u32,
    #[prost(uint32, tag = "3")]
    pub entries: u32,
}
/// Sets a value of the account log, which the account's devices share: the latest value of each key.
/// Keys and values are sealed by the devices. At most 64 KiB each and 10,000 keys: ACCOUNT_LOG_FULL.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PutAccountValue {
    /// At most 64 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: ::prost::bytes::Bytes,
    /// Empty: the key is dropped.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: ::prost::bytes::Bytes,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AccountValuePut {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
}
/// Reads the account log after a cursor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FetchAccountValues {
    #[prost(uint64, tag = "1")]
    pub after: u64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct AccountValues {
    /// In order of seq; of each key the latest.
    #[prost(message, repeated, tag = "1")]
    pub values: ::prost::alloc::vec::Vec<account_values::Value>,
    #[prost(uint64, tag = "2")]
    pub head: u64,
}
/// Nested message and enum types in `AccountValues`.
pub mod account_values {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Value {
        #[prost(uint64, tag = "1")]
        pub seq: u64,
        #[prost(bytes = "bytes", tag = "2")]
        pub device: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "3")]
        pub key: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "4")]
        pub value: ::prost::bytes::Bytes,
    }
}
/// The account log has grown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct AccountLogChanged {
    #[prost(uint64, tag = "1")]
    pub head: u64,
}
/// Adds a chunk to the account's recovery backup. The devices seal it; the server does not read it. At most
/// 72 KiB each, and 64 MiB in all: BACKUP_FULL.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PutBackupChunk {
    /// 16 random bytes, kept for retries: the chunk is added once.
    #[prost(bytes = "bytes", tag = "1")]
    pub chunk: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub sealed: ::prost::bytes::Bytes,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct BackupChunkPut {
    /// From 1; larger than those of all chunks before.
    #[prost(uint64, tag = "1")]
    pub number: u64,
}
/// Reads the recovery backup from its end to its beginning, a chunk at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct FetchBackupChunk {
    /// Before this number; 0: the last chunk.
    #[prost(uint64, tag = "1")]
    pub before: u64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct BackupChunk {
    /// 0: there is none.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub sealed: ::prost::bytes::Bytes,
    /// Chunks before this one.
    #[prost(uint64, tag = "3")]
    pub left: u64,
}
/// Drops the recovery backup.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DropBackup {}
/// What the server knows of a conversation, as seen by one account.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConversationState {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(enumeration = "ConversationKind", tag = "2")]
    pub kind: i32,
    #[prost(string, tag = "3")]
    pub name: ::prost::alloc::string::String,
    #[prost(uint64, tag = "4")]
    pub log_epoch: u64,
    /// What was read up to here in any former epoch is still right; 0 while there was none.
    #[prost(uint64, tag = "5")]
    pub log_epoch_since: u64,
    /// The last seq that this account may read: the log's head, or the end of its last range.
    #[prost(uint64, tag = "6")]
    pub head: u64,
    #[prost(int64, tag = "7")]
    pub head_time: i64,
    #[prost(fixed32, tag = "8")]
    pub head_checksum: u32,
    /// Grows with each change of members, roles or name.
    #[prost(uint64, tag = "9")]
    pub roster_version: u64,
    /// ROLE_UNSPECIFIED: not a member any more.
    #[prost(enumeration = "Role", tag = "10")]
    pub role: i32,
    #[prost(message, repeated, tag = "11")]
    pub ranges: ::prost::alloc::vec::Vec<Range>,
    #[prost(uint32, tag = "12")]
    pub member_count: u32,
    /// The other one of a direct conversation.
    #[prost(message, optional, tag = "13")]
    pub partner: ::core::option::Option<Profile>,
    /// Watermarks that changed; all of them in a conversation of at most 32 members.
    #[prost(message, repeated, tag = "14")]
    pub receipts: ::prost::alloc::vec::Vec<Receipt>,
    /// Of a sealed conversation: where its group stands. Absent: the conversation is open.
    #[prost(message, optional, tag = "15")]
    pub group: ::core::option::Option<GroupEpoch>,
}
/// What others see of an account.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Profile {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(string, tag = "2")]
    pub user_name: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub display_name: ::prost::alloc::string::String,
}
/// A span of seqs in which the account was a member, ends included. `to` is 0 while it lasts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Range {
    #[prost(uint64, tag = "1")]
    pub from: u64,
    #[prost(uint64, tag = "2")]
    pub to: u64,
}
/// Makes a conversation, and its first entry. For a direct one `members` holds the other account, for
/// notes to self nobody. A conversation that exists already answers with its first entry.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Create {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(enumeration = "ConversationKind", tag = "2")]
    pub kind: i32,
    /// Of a group; at most 256 bytes.
    #[prost(string, tag = "3")]
    pub name: ::prost::alloc::string::String,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub members: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
    /// 16 random bytes, made once for this logical act and kept for retries.
    #[prost(bytes = "bytes", tag = "5")]
    pub message_id: ::prost::bytes::Bytes,
    /// Of a sealed conversation: the group at epoch 0, with the sender's device alone in it. The name is
    /// empty then, and members come by Commits; only a direct conversation has both from the start.
    #[prost(message, optional, tag = "6")]
    pub group: ::core::option::Option<GroupPublicState>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Send {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// 16 random bytes, made once per logical message and kept for retries: the server appends it once.
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    /// In a sealed conversation a PrivateMessage, made in the group's present epoch: else EPOCH_CONFLICT.
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: ::prost::bytes::Bytes,
    /// When the app took the message, by its own clock; 0: not told. Kept with the entry as a hint for
    /// people, whatever it says: the server's time rules.
    #[prost(int64, tag = "4")]
    pub client_time: i64,
    /// The payload is dropped this many milliseconds after the server's time; 0: never.
    #[prost(uint64, tag = "5")]
    pub expires_after_ms: u64,
}
/// Changes members, roles or the name. The server checks what the sender's role allows and appends an
/// entry of kind EVENT.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Change {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    #[prost(oneof = "change::Act", tags = "3, 4, 5, 6, 7")]
    pub act: ::core::option::Option<change::Act>,
}
/// Nested message and enum types in `Change`.
pub mod change {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Add {
        #[prost(bytes = "bytes", repeated, tag = "1")]
        pub accounts: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Remove {
        #[prost(bytes = "bytes", tag = "1")]
        pub account: ::prost::bytes::Bytes,
    }
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Leave {}
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Rename {
        #[prost(string, tag = "1")]
        pub name: ::prost::alloc::string::String,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct SetRole {
        #[prost(bytes = "bytes", tag = "1")]
        pub account: ::prost::bytes::Bytes,
        #[prost(enumeration = "super::Role", tag = "2")]
        pub role: i32,
    }
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Act {
        #[prost(message, tag = "3")]
        Add(Add),
        #[prost(message, tag = "4")]
        Remove(Remove),
        #[prost(message, tag = "5")]
        Leave(Leave),
        #[prost(message, tag = "6")]
        Rename(Rename),
        #[prost(message, tag = "7")]
        SetRole(SetRole),
    }
}
/// The entry is on disk.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Accepted {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "3")]
    pub log_epoch: u64,
    #[prost(uint64, tag = "4")]
    pub seq: u64,
    #[prost(int64, tag = "5")]
    pub time: i64,
    /// The message id was used before, for something else; that stands, at `seq`.
    #[prost(bool, tag = "6")]
    pub payload_differs: bool,
}
/// Erases the payload of an entry: allowed to its author, and to owner and admins.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Erase {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Erased {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub seq: u64,
}
/// Reads a log after a cursor, in order.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Fetch {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// 0: whatever it is (a first read).
    #[prost(uint64, tag = "2")]
    pub log_epoch: u64,
    #[prost(uint64, tag = "3")]
    pub after: u64,
    /// Checksum of the entry at `after`; 0: not checked.
    #[prost(fixed32, tag = "4")]
    pub checksum: u32,
    /// At most this many items; 0: the server's limit.
    #[prost(uint32, tag = "5")]
    pub entries_max: u32,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Entries {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub log_epoch: u64,
    #[prost(message, repeated, tag = "3")]
    pub items: ::prost::alloc::vec::Vec<entries::Item>,
    /// The last seq that this account may read.
    #[prost(uint64, tag = "4")]
    pub head: u64,
}
/// Nested message and enum types in `Entries`.
pub mod entries {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Item {
        #[prost(oneof = "item::Of", tags = "1, 2")]
        pub of: ::core::option::Option<item::Of>,
    }
    /// Nested message and enum types in `Item`.
    pub mod item {
        #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
        pub enum Of {
            #[prost(message, tag = "1")]
            Entry(super::super::Entry),
            #[prost(message, tag = "2")]
            Hidden(super::super::Hidden),
        }
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Entry {
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// Sender.
    #[prost(bytes = "bytes", tag = "2")]
    pub account: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub device: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "4")]
    pub message_id: ::prost::bytes::Bytes,
    #[prost(int64, tag = "5")]
    pub time: i64,
    #[prost(enumeration = "EntryKind", tag = "6")]
    pub kind: i32,
    /// Empty when `erased`.
    #[prost(bytes = "bytes", tag = "7")]
    pub payload: ::prost::bytes::Bytes,
    /// CRC32C as docs/formats.md says; survives erasing.
    #[prost(fixed32, tag = "8")]
    pub checksum: u32,
    #[prost(uint64, tag = "9")]
    pub expires_after_ms: u64,
    /// The payload was erased or has expired.
    #[prost(bool, tag = "10")]
    pub erased: bool,
    /// When the sender's app took the message, by its own clock; 0: not told. A hint: it may be years off,
    /// and `checksum` does not cover it.
    #[prost(int64, tag = "11")]
    pub client_time: i64,
}
/// Stands in place of entries that the account may not read, so that gaps stay visible.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Hidden {
    #[prost(uint64, tag = "1")]
    pub from: u64,
    #[prost(uint64, tag = "2")]
    pub to: u64,
    #[prost(enumeration = "HiddenReason", tag = "3")]
    pub reason: i32,
}
/// An entry as it is appended. An app whose cursor is not at seq - 1 fetches.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LiveEntry {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub log_epoch: u64,
    #[prost(message, optional, tag = "3")]
    pub entry: ::core::option::Option<Entry>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConversationsChanged {
    #[prost(message, repeated, tag = "1")]
    pub conversations: ::prost::alloc::vec::Vec<ConversationState>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Member {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(string, tag = "2")]
    pub user_name: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub display_name: ::prost::alloc::string::String,
    /// ROLE_UNSPECIFIED: not a member any more.
    #[prost(enumeration = "Role", tag = "4")]
    pub role: i32,
    #[prost(message, repeated, tag = "5")]
    pub ranges: ::prost::alloc::vec::Vec<Range>,
}
/// Asks for a conversation's state, members and receipts.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Describe {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Description {
    #[prost(message, optional, tag = "1")]
    pub state: ::core::option::Option<ConversationState>,
    /// Members and former ones, as many as the account's ranges concern.
    #[prost(message, repeated, tag = "2")]
    pub members: ::prost::alloc::vec::Vec<Member>,
    #[prost(message, repeated, tag = "3")]
    pub receipts: ::prost::alloc::vec::Vec<Receipt>,
}
/// Watermarks of one member: everything up to `delivered` is on a device of theirs, everything up to
/// `read` was read.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Receipt {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub delivered: u64,
    #[prost(uint64, tag = "3")]
    pub read: u64,
}
/// Tells how far this device has stored and its person has read. Marks never go back; the server
/// passes on at most one per member in two seconds, above 32 members only to authors.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Acknowledge {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub log_epoch: u64,
    #[prost(uint64, tag = "3")]
    pub delivered: u64,
    /// 0: nothing new read, or receipts switched off.
    #[prost(uint64, tag = "4")]
    pub read: u64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ReceiptsChanged {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub log_epoch: u64,
    #[prost(message, repeated, tag = "3")]
    pub receipts: ::prost::alloc::vec::Vec<Receipt>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Typing {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bool, tag = "2")]
    pub typing: bool,
}
/// Ends by itself after 6 seconds.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct TypingChanged {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub account: ::prost::bytes::Bytes,
    #[prost(bool, tag = "3")]
    pub typing: bool,
}
/// Opens or closes a view of a conversation: while it is open the app hears of its members' presence.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct View {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bool, tag = "2")]
    pub open: bool,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum ConversationKind {
    Unspecified = 0,
    /// Two accounts. Its id follows from theirs (docs/formats.md), so creating it twice is one thing.
    Direct = 1,
    Group = 2,
    /// Notes to self. Its id follows from the account's.
    Self_ = 3,
}
impl ConversationKind {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "CONVERSATION_KIND_UNSPECIFIED",
            Self::Direct => "CONVERSATION_KIND_DIRECT",
            Self::Group => "CONVERSATION_KIND_GROUP",
            Self::Self_ => "CONVERSATION_KIND_SELF",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "CONVERSATION_KIND_UNSPECIFIED" => Some(Self::Unspecified),
            "CONVERSATION_KIND_DIRECT" => Some(Self::Direct),
            "CONVERSATION_KIND_GROUP" => Some(Self::Group),
            "CONVERSATION_KIND_SELF" => Some(Self::Self_),
            _ => None,
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum Role {
    Unspecified = 0,
    Member = 1,
    Admin = 2,
    Owner = 3,
}
impl Role {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "ROLE_UNSPECIFIED",
            Self::Member => "ROLE_MEMBER",
            Self::Admin => "ROLE_ADMIN",
            Self::Owner => "ROLE_OWNER",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "ROLE_UNSPECIFIED" => Some(Self::Unspecified),
            "ROLE_MEMBER" => Some(Self::Member),
            "ROLE_ADMIN" => Some(Self::Admin),
            "ROLE_OWNER" => Some(Self::Owner),
            _ => None,
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum EntryKind {
    Unspecified = 0,
    /// The payload is a tidings.content.v1.Content, sealed or open as the conversation is.
    Message = 1,
    /// The payload is a tidings.log.v1.ConversationEvent, written by the server.
    Event = 2,
    /// Sealed conversations: the payload is a Commit (RFC 9420 §12.4), a PublicMessage.
    Commit = 3,
    /// Sealed conversations: the payload is a tidings.identity.v1.SignedLeave.
    Leave = 4,
}
impl EntryKind {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "ENTRY_KIND_UNSPECIFIED",
            Self::Message => "ENTRY_KIND_MESSAGE",
            Self::Event => "ENTRY_KIND_EVENT",
            Self::Commit => "ENTRY_KIND_COMMIT",
            Self::Leave => "ENTRY_KIND_LEAVE",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "ENTRY_KIND_UNSPECIFIED" => Some(Self::Unspecified),
            "ENTRY_KIND_MESSAGE" => Some(Self::Message),
            "ENTRY_KIND_EVENT" => Some(Self::Event),
            "ENTRY_KIND_COMMIT" => Some(Self::Commit),
            "ENTRY_KIND_LEAVE" => Some(Self::Leave),
            _ => None,
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
#[repr(i32)]
pub enum HiddenReason {
    Unspecified = 0,
    /// Before the account joined, or between leaving and coming back.
    NotAMember = 1,
    /// Dropped by retention.
    Trimmed = 2,
}
impl HiddenReason {
    /// String value of the enum field names used in the ProtoBuf definition.
    ///
    /// The values are not transformed in any way and thus are considered stable
    /// (if the ProtoBuf definition does not change) and safe for programmatic use.
    pub fn as_str_name(&self) -> &'static str {
        match self {
            Self::Unspecified => "HIDDEN_REASON_UNSPECIFIED",
            Self::NotAMember => "HIDDEN_REASON_NOT_A_MEMBER",
            Self::Trimmed => "HIDDEN_REASON_TRIMMED",
        }
    }
    /// Creates an enum from field names used in the ProtoBuf definition.
    pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
        match value {
            "HIDDEN_REASON_UNSPECIFIED" => Some(Self::Unspecified),
            "HIDDEN_REASON_NOT_A_MEMBER" => Some(Self::NotAMember),
            "HIDDEN_REASON_TRIMMED" => Some(Self::Trimmed),
            _ => None,
        }
    }
}
/// Makes an account with its first device. Account id, device id and token are chosen by the app, so
/// that a repeated request is recognised and gets the same answer.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct SignUp {
    /// The 16 bytes of an invite; empty where sign-up is open.
    #[prost(bytes = "bytes", tag = "1")]
    pub invite: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub account: ::prost::bytes::Bytes,
    /// Its first two bytes (the virtual shard) are those of the account.
    #[prost(bytes = "bytes", tag = "3")]
    pub device: ::prost::bytes::Bytes,
    /// RFC 8265 UsernameCaseMapped, at most 64 bytes.
    #[prost(string, tag = "4")]
    pub user_name: ::prost::alloc::string::String,
    /// At most 128 bytes; empty: the user name.
    #[prost(string, tag = "5")]
    pub display_name: ::prost::alloc::string::String,
    /// The password itself never travels. SCRAM-SHA-256 is required.
    #[prost(message, repeated, tag = "6")]
    pub verifiers: ::prost::alloc::vec::Vec<Verifier>,
    #[prost(string, tag = "7")]
    pub device_name: ::prost::alloc::string::String,
    /// SHA-256 of the device's token, which is 32 random bytes kept by the device.
    #[prost(bytes = "bytes", tag = "8")]
    pub token_hash: ::prost::bytes::Bytes,
}
/// What a server keeps to check a password without knowing it (RFC 5802 §3).
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Verifier {
    /// SCRAM-SHA-256.
    #[prost(string, tag = "1")]
    pub mechanism: ::prost::alloc::string::String,
    #[prost(bytes = "bytes", tag = "2")]
    pub salt: ::prost::bytes::Bytes,
    /// At least 4,096.
    #[prost(uint32, tag = "3")]
    pub iterations: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub stored_key: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub server_key: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignedUp {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    /// As prepared by the server (RFC 8265).
    #[prost(string, tag = "2")]
    pub user_name: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub display_name: ::prost::alloc::string::String,
    /// The first account of a server is its administrator.
    #[prost(bool, tag = "4")]
    pub administrator: bool,
}
/// Begins a sign-in on a device that has no token yet.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignInStart {
    /// SCRAM-SHA-256.
    #[prost(string, tag = "1")]
    pub mechanism: ::prost::alloc::string::String,
    /// client-first-message of RFC 5802 §7.
    #[prost(bytes = "bytes", tag = "2")]
    pub client_first: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignInChallenge {
    /// server-first-message. An unknown user name gets one of the same shape.
    #[prost(bytes = "bytes", tag = "1")]
    pub server_first: ::prost::bytes::Bytes,
    /// The first two bytes of the account's identifier, big-endian: those of the device, which the app
    /// draws now, have to be the same. An unknown user name has one too.
    #[prost(uint32, tag = "2")]
    pub shard: u32,
}
/// Ends a sign-in and makes the device known. A wrong password and an unknown user name get the same
/// refusal, NOT_AUTHENTICATED.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignInFinish {
    /// client-final-message.
    #[prost(bytes = "bytes", tag = "1")]
    pub client_final: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub device: ::prost::bytes::Bytes,
    #[prost(string, tag = "3")]
    pub device_name: ::prost::alloc::string::String,
    #[prost(bytes = "bytes", tag = "4")]
    pub token_hash: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignedIn {
    /// server-final-message: the app checks the server's signature in it.
    #[prost(bytes = "bytes", tag = "1")]
    pub server_final: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub account: ::prost::bytes::Bytes,
    #[prost(string, tag = "3")]
    pub user_name: ::prost::alloc::string::String,
    #[prost(string, tag = "4")]
    pub display_name: ::prost::alloc::string::String,
    #[prost(bool, tag = "5")]
    pub administrator: bool,
}
/// Makes the session live. Sent on each new connection, after SignedUp and SignedIn too. From the
/// answer on the server sends entries as they are appended.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Resume {
    #[prost(bytes = "bytes", tag = "1")]
    pub device: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub token: ::prost::bytes::Bytes,
    /// Counts the device's resumes; written by the device, synced, before it is sent. The server
    /// answers a number that it has seen with `restored`: the device runs on an old copy of its data.
    #[prost(uint64, tag = "3")]
    pub counter: u64,
    /// What the device has of each conversation. Conversations left out count as cursor 0.
    #[prost(message, repeated, tag = "4")]
    pub cursors: ::prost::alloc::vec::Vec<Cursor>,
    /// `server_time` of the last Resumed or Pong of this device, 0 at first: receipts that changed
    /// since come with the answer.
    #[prost(int64, tag = "5")]
    pub since: i64,
}
/// How far a device has read a conversation's log.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Cursor {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "2")]
    pub log_epoch: u64,
    #[prost(uint64, tag = "3")]
    pub seq: u64,
    /// Checksum of the entry at seq; 0 when seq is 0.
    #[prost(fixed32, tag = "4")]
    pub checksum: u32,
    /// The roster version that the device knows.
    #[prost(uint64, tag = "5")]
    pub roster_version: u64,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Resumed {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(string, tag = "2")]
    pub user_name: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub display_name: ::prost::alloc::string::String,
    #[prost(bool, tag = "4")]
    pub administrator: bool,
    #[prost(int64, tag = "5")]
    pub server_time: i64,
    /// The counter had been seen before: read every log to its head before sending anything.
    #[prost(bool, tag = "6")]
    pub restored: bool,
    /// Conversations whose state differs from the cursors, newest first.
    #[prost(message, repeated, tag = "7")]
    pub conversations: ::prost::alloc::vec::Vec<ConversationState>,
    /// More of them follow in ConversationsChanged events.
    #[prost(bool, tag = "8")]
    pub more: bool,
    /// The last item of this device's inbox.
    #[prost(uint64, tag = "9")]
    pub inbox_head: u64,
    /// The last value of the account log.
    #[prost(uint64, tag = "10")]
    pub account_log_head: u64,
    /// Key packages of this device that are left, the last resort not counted.
    #[prost(uint32, tag = "11")]
    pub key_packages: u32,
    /// The account's own device list: number of the identity, and its entries; 0 while there is none.
    #[prost(uint32, tag = "12")]
    pub list_identity: u32,
    #[prost(uint32, tag = "13")]
    pub list_entries: u32,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LookUp {
    #[prost(oneof = "look_up::Of", tags = "1, 2")]
    pub of: ::core::option::Option<look_up::Of>,
}
/// Nested message and enum types in `LookUp`.
pub mod look_up {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Of {
        #[prost(string, tag = "1")]
        UserName(::prost::alloc::string::String),
        #[prost(bytes, tag = "2")]
        Account(::prost::bytes::Bytes),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SetDisplayName {
    #[prost(string, tag = "1")]
    pub display_name: ::prost::alloc::string::String,
}
/// Presence of this session. A session starts online; hidden ones are not shown and see nobody.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SetPresence {
    #[prost(bool, tag = "1")]
    pub hidden: bool,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PresenceChanged {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(bool, tag = "2")]
    pub online: bool,
    /// When the account was last online, where it is not hidden; 0 when unknown.
    #[prost(int64, tag = "3")]
    pub last_seen: i64,
}
/// Makes an invite: one use, seven days.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct CreateInvite {
    /// SHA-256 of the invite's token, 16 random bytes kept by the app and put into the link.
    #[prost(bytes = "bytes", tag = "1")]
    pub token_hash: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct InviteCreated {
    /// The link without the token: `<https://HOST:PORT/#invite=`> goes before the token, `suffix` after.
    #[prost(string, tag = "1")]
    pub prefix: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub suffix: ::prost::alloc::string::String,
    #[prost(int64, tag = "3")]
    pub expires_at: i64,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ListDevices {}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Devices {
    #[prost(message, repeated, tag = "1")]
    pub devices: ::prost::alloc::vec::Vec<Device>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Device {
    #[prost(bytes = "bytes", tag = "1")]
    pub device: ::prost::bytes::Bytes,
    #[prost(string, tag = "2")]
    pub name: ::prost::alloc::string::String,
    #[prost(int64, tag = "3")]
    pub created_at: i64,
    #[prost(int64, tag = "4")]
    pub last_seen: i64,
    #[prost(bool, tag = "5")]
    pub this_device: bool,
}
/// Revokes a device of the account, this one too (sign-out). Its connections close with 4401.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RevokeDevice {
    #[prost(bytes = "bytes", tag = "1")]
    pub device: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DevicesChanged {
    #[prost(bytes = "bytes", tag = "1")]
    pub device: ::prost::bytes::Bytes,
    #[prost(string, tag = "2")]
    pub name: ::prost::alloc::string::String,
    #[prost(bool, tag = "3")]
    pub revoked: bool,
    #[prost(int64, tag = "4")]
    pub time: i64,
}
/// A frame from the app to the server.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ClientFrame {
    /// Chosen by the app, not 0, unique among its requests that are not answered yet. The answer
    /// carries the same number. A number that is still in flight gets DUPLICATE_REQUEST.
    #[prost(uint64, tag = "1")]
    pub request: u64,
    #[prost(
        oneof = "client_frame::Body",
        tags = "2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 60, 61, 30"
    )]
    pub body: ::core::option::Option<client_frame::Body>,
}
/// Nested message and enum types in `ClientFrame`.
pub mod client_frame {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Body {
        /// The first frame of every connection.
        #[prost(message, tag = "2")]
        Hello(super::Hello),
        /// Before a session is live.
        #[prost(message, tag = "3")]
        SignUp(super::SignUp),
        #[prost(message, tag = "4")]
        SignInStart(super::SignInStart),
        #[prost(message, tag = "5")]
        SignInFinish(super::SignInFinish),
        #[prost(message, tag = "6")]
        Resume(super::Resume),
        /// In a live session: conversations.
        #[prost(message, tag = "10")]
        Create(super::Create),
        #[prost(message, tag = "11")]
        Send(super::Send),
        #[prost(message, tag = "12")]
        Change(super::Change),
        #[prost(message, tag = "13")]
        Erase(super::Erase),
        #[prost(message, tag = "14")]
        Fetch(super::Fetch),
        #[prost(message, tag = "15")]
        Describe(super::Describe),
        #[prost(message, tag = "16")]
        Acknowledge(super::Acknowledge),
        #[prost(message, tag = "17")]
        Typing(super::Typing),
        #[prost(message, tag = "18")]
        View(super::View),
        /// In a live session: the account.
        #[prost(message, tag = "20")]
        SetPresence(super::SetPresence),
        #[prost(message, tag = "21")]
        LookUp(super::LookUp),
        #[prost(message, tag = "22")]
        SetDisplayName(super::SetDisplayName),
        #[prost(message, tag = "23")]
        CreateInvite(super::CreateInvite),
        #[prost(message, tag = "24")]
        ListDevices(super::ListDevices),
        #[prost(message, tag = "25")]
        RevokeDevice(super::RevokeDevice),
        /// In a live session: sealed conversations.
        #[prost(message, tag = "40")]
        Commit(super::Commit),
        #[prost(message, tag = "41")]
        Leave(super::Leave),
        #[prost(message, tag = "42")]
        Restart(super::Restart),
        #[prost(message, tag = "43")]
        FetchGroup(super::FetchGroup),
        #[prost(message, tag = "44")]
        PublishDeviceList(super::PublishDeviceList),
        #[prost(message, tag = "45")]
        FetchDeviceLists(super::FetchDeviceLists),
        #[prost(message, tag = "46")]
        PublishKeyPackages(super::PublishKeyPackages),
        #[prost(message, tag = "47")]
        ClaimKeyPackages(super::ClaimKeyPackages),
        #[prost(message, tag = "48")]
        FetchInbox(super::FetchInbox),
        #[prost(message, tag = "49")]
        AcknowledgeInbox(super::AcknowledgeInbox),
        #[prost(message, tag = "50")]
        SendToDevice(super::SendToDevice),
        #[prost(message, tag = "51")]
        PutAccountValue(super::PutAccountValue),
        #[prost(message, tag = "52")]
        FetchAccountValues(super::FetchAccountValues),
        #[prost(message, tag = "53")]
        PutBackupChunk(super::PutBackupChunk),
        #[prost(message, tag = "54")]
        FetchBackupChunk(super::FetchBackupChunk),
        #[prost(message, tag = "55")]
        DropBackup(super::DropBackup),
        #[prost(message, tag = "60")]
        OfferAgain(super::OfferAgain),
        #[prost(message, tag = "61")]
        OfferDeviceList(super::OfferDeviceList),
        /// At any time after Hello. Finds the tail (see Pong) and measures the round trip.
        #[prost(message, tag = "30")]
        Ping(super::Ping),
    }
}
/// A frame from the server to the app.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ServerFrame {
    /// The number of the request that this answers; 0 for events, which answer nothing.
    #[prost(uint64, tag = "1")]
    pub request: u64,
    #[prost(
        oneof = "server_frame::Body",
        tags = "2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 40, 41, 42, 43, 44, 45, 46, 47, 48, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31"
    )]
    pub body: ::core::option::Option<server_frame::Body>,
}
/// Nested message and enum types in `ServerFrame`.
pub mod server_frame {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Body {
        #[prost(message, tag = "2")]
        Hello(super::ServerHello),
        /// The request was refused. The connection lives on.
        #[prost(message, tag = "3")]
        Refused(super::Refused),
        /// Done; there is nothing more to say. Answers Erase, Acknowledge, Typing, View, SetPresence,
        /// SetDisplayName, RevokeDevice, PublishDeviceList, OfferDeviceList, AcknowledgeInbox, SendToDevice,
        /// DropBackup.
        #[prost(message, tag = "4")]
        Done(super::Done),
        #[prost(message, tag = "5")]
        SignedUp(super::SignedUp),
        #[prost(message, tag = "6")]
        SignInChallenge(super::SignInChallenge),
        #[prost(message, tag = "7")]
        SignedIn(super::SignedIn),
        #[prost(message, tag = "8")]
        Resumed(super::Resumed),
        /// Answers Create, Send, Change, Commit, Leave, Restart and OfferAgain, only after the entry is on
        /// the server's disk.
        #[prost(message, tag = "10")]
        Accepted(super::Accepted),
        /// Answers Fetch.
        #[prost(message, tag = "11")]
        Entries(super::Entries),
        /// Answers Describe.
        #[prost(message, tag = "12")]
        Description(super::Description),
        /// Answers LookUp.
        #[prost(message, tag = "13")]
        Profile(super::Profile),
        /// Answers CreateInvite.
        #[prost(message, tag = "14")]
        InviteCreated(super::InviteCreated),
        /// Answers ListDevices.
        #[prost(message, tag = "15")]
        Devices(super::Devices),
        #[prost(message, tag = "16")]
        Pong(super::Pong),
        /// Answers FetchGroup.
        #[prost(message, tag = "40")]
        Group(super::Group),
        /// Answers FetchDeviceLists.
        #[prost(message, tag = "41")]
        DeviceLists(super::DeviceLists),
        /// Answers PublishKeyPackages.
        #[prost(message, tag = "42")]
        KeyPackageStock(super::KeyPackageStock),
        /// Answers ClaimKeyPackages.
        #[prost(message, tag = "43")]
        KeyPackages(super::KeyPackages),
        /// Answers FetchInbox.
        #[prost(message, tag = "44")]
        InboxItems(super::InboxItems),
        /// Answers PutAccountValue.
        #[prost(message, tag = "45")]
        AccountValuePut(super::AccountValuePut),
        /// Answers FetchAccountValues.
        #[prost(message, tag = "46")]
        AccountValues(super::AccountValues),
        /// Answers PutBackupChunk.
        #[prost(message, tag = "47")]
        BackupChunkPut(super::BackupChunkPut),
        /// Answers FetchBackupChunk.
        #[prost(message, tag = "48")]
        BackupChunk(super::BackupChunk),
        /// Events.
        #[prost(message, tag = "20")]
        Entry(super::LiveEntry),
        /// The app's view of these conversations is out of date: fetch after its cursor. Comes in place
        /// of entries when the app reads slower than entries arrive, and when a log got a new epoch.
        #[prost(message, tag = "21")]
        ConversationsChanged(super::ConversationsChanged),
        #[prost(message, tag = "22")]
        ReceiptsChanged(super::ReceiptsChanged),
        #[prost(message, tag = "23")]
        TypingChanged(super::TypingChanged),
        #[prost(message, tag = "24")]
        PresenceChanged(super::PresenceChanged),
        /// The payload of an entry was erased.
        #[prost(message, tag = "25")]
        Erased(super::Erased),
        /// A device was added to the account or revoked.
        #[prost(message, tag = "26")]
        DevicesChanged(super::DevicesChanged),
        /// The server stops soon: reconnect after a random part of this span.
        #[prost(message, tag = "27")]
        GoingAway(super::GoingAway),
        #[prost(message, tag = "28")]
        InboxChanged(super::InboxChanged),
        #[prost(message, tag = "29")]
        DeviceListChanged(super::DeviceListChanged),
        #[prost(message, tag = "30")]
        AccountLogChanged(super::AccountLogChanged),
        /// The stock of key packages has fallen to a third: publish more.
        #[prost(message, tag = "31")]
        KeyPackagesLow(super::KeyPackageStock),
    }
}
/// The app's first frame.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Hello {
    /// The lowest and the highest version that the app speaks. This schema is version 1.
    #[prost(uint32, tag = "1")]
    pub version_lowest: u32,
    #[prost(uint32, tag = "2")]
    pub version_highest: u32,
    /// Optional abilities by name; both sides use those that both name. None are defined yet.
    #[prost(string, repeated, tag = "3")]
    pub features: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    /// Name and version of the app for the operator's logs, at most 64 bytes.
    #[prost(string, tag = "4")]
    pub agent: ::prost::alloc::string::String,
}
/// The server's answer to Hello. Without a common version the answer is VERSION_UNSUPPORTED, and the
/// server closes the connection with code 4400.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ServerHello {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(string, repeated, tag = "2")]
    pub features: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    #[prost(string, tag = "3")]
    pub agent: ::prost::alloc::string::String,
    #[prost(int64, tag = "4")]
    pub server_time: i64,
    /// Whether sign-up needs an invite.
    #[prost(bool, tag = "5")]
    pub invite_required: bool,
    #[prost(message, optional, tag = "6")]
    pub limits: ::core::option::Option<Limits>,
}
/// Limits in force. Each has a refusal that names it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Limits {
    #[prost(uint32, tag = "1")]
    pub frame_bytes: u32,
    #[prost(uint32, tag = "2")]
    pub payload_bytes: u32,
    #[prost(uint32, tag = "3")]
    pub requests_in_flight: u32,
    #[prost(uint32, tag = "4")]
    pub members_per_group: u32,
    #[prost(uint32, tag = "5")]
    pub adds_per_change: u32,
    #[prost(uint32, tag = "6")]
    pub name_bytes: u32,
    #[prost(uint32, tag = "7")]
    pub messages_per_second: u32,
    #[prost(uint32, tag = "8")]
    pub messages_burst: u32,
    #[prost(uint32, tag = "9")]
    pub entries_per_fetch: u32,
    #[prost(uint32, tag = "10")]
    pub cursors_per_resume: u32,
    /// A frame with a Commit, a Restart or a Create of a sealed conversation.
    #[prost(uint32, tag = "11")]
    pub handshake_frame_bytes: u32,
    /// The payload of a Send in a sealed conversation.
    #[prost(uint32, tag = "12")]
    pub sealed_payload_bytes: u32,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Ping {
    /// The round trip of the last Ping as the app measured it; 0: unknown. The pace of Commits in its
    /// groups follows from the largest of those who send.
    #[prost(uint32, tag = "1")]
    pub round_trip_ms: u32,
}
/// Answers Ping. The heads let an app that heard nothing for a while see that it missed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Pong {
    #[prost(int64, tag = "1")]
    pub server_time: i64,
    /// Sum over the account's conversations of their heads, modulo 2^64: equal to the app's own sum
    /// over its cursors when nothing is missing. 0 while the session is not live.
    #[prost(fixed64, tag = "2")]
    pub heads: u64,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Done {}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GoingAway {
    #[prost(uint32, tag = "1")]
    pub spread_ms: u32,
}
/// Why a request was refused.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Refused {
    /// A number of tidings_model::Refusal; docs/formats.md lists them. Numbers never change meaning.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Its name, such as NOT_FOUND.
    #[prost(string, tag = "2")]
    pub name: ::prost::alloc::string::String,
    /// A sentence that says what was wrong, with what, and what to do.
    #[prost(string, tag = "3")]
    pub message: ::prost::alloc::string::String,
    /// Whether the same request can succeed later without a change.
    #[prost(bool, tag = "4")]
    pub retry: bool,
    /// Not before this many milliseconds.
    #[prost(uint32, tag = "5")]
    pub retry_after_ms: u32,
    /// The limit that was hit, by its name in the documentation, and its value.
    #[prost(string, tag = "6")]
    pub limit: ::prost::alloc::string::String,
    #[prost(uint64, tag = "7")]
    pub limit_value: u64,
    /// With EPOCH_CHANGED: the log's epoch, and the last seq that the app may keep: entries up to it
    /// are the same in both epochs.
    #[prost(uint64, tag = "8")]
    pub log_epoch: u64,
    #[prost(uint64, tag = "9")]
    pub log_epoch_since: u64,
    /// With CURSOR_AHEAD: the log's head.
    #[prost(uint64, tag = "10")]
    pub head: u64,
    /// With EPOCH_CONFLICT: where the group stands.
    #[prost(message, optional, tag = "11")]
    pub group: ::core::option::Option<GroupEpoch>,
    /// With COMMIT_REQUIRED: the accounts whose devices a Commit has to remove first.
    #[prost(bytes = "bytes", repeated, tag = "12")]
    pub to_remove: ::prost::alloc::vec::Vec<::prost::bytes::Bytes>,
    /// With DEVICE_LIST_CONFLICT: the list that the server has.
    #[prost(uint32, tag = "13")]
    pub list_identity: u32,
    #[prost(uint32, tag = "14")]
    pub list_entries: u32,
}
