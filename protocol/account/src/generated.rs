//! The messages of `tidings.account.v1`, generated from `protocol/account/proto/tidings/account/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

/// One value, inside its seal.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Value {
    #[prost(oneof = "value::Of", tags = "1, 2, 3, 4, 5, 6")]
    pub of: ::core::option::Option<value::Of>,
}
/// Nested message and enum types in `Value`.
pub mod value {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Of {
        #[prost(message, tag = "1")]
        ReadPosition(super::ReadPosition),
        #[prost(message, tag = "2")]
        Draft(super::Draft),
        #[prost(message, tag = "3")]
        Settings(super::Settings),
        #[prost(message, tag = "4")]
        VerifiedContact(super::VerifiedContact),
        #[prost(message, tag = "5")]
        BackupKeys(super::BackupKeys),
        #[prost(message, tag = "6")]
        BackedUp(super::BackedUp),
    }
}
/// Up to where the account has read a conversation.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct ReadPosition {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// The epoch of the log that `seq` is of.
    #[prost(uint64, tag = "2")]
    pub log_epoch: u64,
    #[prost(uint64, tag = "3")]
    pub seq: u64,
}
/// What is being written on one device.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Draft {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub device: ::prost::bytes::Bytes,
    #[prost(string, tag = "3")]
    pub text: ::prost::alloc::string::String,
    /// None: a message of its own.
    #[prost(oneof = "draft::Purpose", tags = "4, 5")]
    pub purpose: ::core::option::Option<draft::Purpose>,
}
/// Nested message and enum types in `Draft`.
pub mod draft {
    /// None: a message of its own.
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Purpose {
        #[prost(message, tag = "4")]
        Reply(super::Reference),
        #[prost(message, tag = "5")]
        Edit(super::Reference),
    }
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Reference {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
}
#[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Settings {
    /// The account's devices are shown to nobody.
    #[prost(bool, tag = "1")]
    pub hidden: bool,
    /// What was read is told to nobody.
    #[prost(bool, tag = "2")]
    pub no_read_receipts: bool,
    /// No recovery backup is kept at the server.
    #[prost(bool, tag = "3")]
    pub no_backup: bool,
}
/// Whether somebody's safety number was compared.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct VerifiedContact {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    /// SHA-256 of the body of entry 0 of the device list that was compared: another identity is not
    /// verified. Empty: it was not, or that was taken back.
    #[prost(bytes = "bytes", tag = "2")]
    pub founding_hash: ::prost::bytes::Bytes,
}
/// What the chunks of the recovery backup are sealed under.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BackupKeys {
    /// Grows when a backup is begun anew: chunks of a former one are gone.
    #[prost(uint32, tag = "1")]
    pub series: u32,
    /// From the oldest to the one that new chunks are sealed under.
    #[prost(message, repeated, tag = "2")]
    pub keys: ::prost::alloc::vec::Vec<backup_keys::Key>,
}
/// Nested message and enum types in `BackupKeys`.
pub mod backup_keys {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Key {
        /// 32 bytes.
        #[prost(bytes = "bytes", tag = "1")]
        pub secret: ::prost::bytes::Bytes,
        /// The version of the account storage key that it was made for: each gets one of its own, so that a
        /// device that was removed cannot read what is kept from then on.
        #[prost(uint32, tag = "2")]
        pub storage_key_version: u32,
    }
}
/// Up to where a conversation is in the recovery backup.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BackedUp {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// The backup's series.
    #[prost(uint32, tag = "2")]
    pub series: u32,
    /// The epoch of the log that `seq` is of.
    #[prost(uint64, tag = "3")]
    pub log_epoch: u64,
    #[prost(uint64, tag = "4")]
    pub seq: u64,
    /// Spans up to there that the devices did not have which wrote the backup: one that has them adds them.
    #[prost(message, repeated, tag = "5")]
    pub gaps: ::prost::alloc::vec::Vec<backed_up::Gap>,
}
/// Nested message and enum types in `BackedUp`.
pub mod backed_up {
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Gap {
        #[prost(uint64, tag = "1")]
        pub from: u64,
        #[prost(uint64, tag = "2")]
        pub to: u64,
    }
}
/// The account storage key, for each that is to have it. The one value that is not sealed under it.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct KeyRing {
    /// Grows with each new key.
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The Ed25519 key of the device that made the ring.
    #[prost(bytes = "bytes", tag = "2")]
    pub sealer: ::prost::bytes::Bytes,
    #[prost(message, repeated, tag = "3")]
    pub shares: ::prost::alloc::vec::Vec<key_ring::Share>,
}
/// Nested message and enum types in `KeyRing`.
pub mod key_ring {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Share {
        /// The Ed25519 key of a device, or the recovery key.
        #[prost(bytes = "bytes", tag = "1")]
        pub recipient: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "2")]
        pub sealed: ::prost::bytes::Bytes,
    }
}
