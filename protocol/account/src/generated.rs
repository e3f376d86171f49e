//! The messages of `tidings.account.v1`, generated from `protocol/account/proto/tidings/account/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

/// One value, inside its seal.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Value {
    #[prost(oneof = "value::Of", tags = "1, 2, 3, 4")]
    pub of: ::core::option::Option<value::Of>,
}
/// Nested message and enum types in `Value`.
pub mod value {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Of {
        #[prost(message, tag = "1")]
        ReadPosition(super::ReadPosition),
        #[prost(message, tag = "2")]
        Draft(super::Draft),
        #[prost(message, tag = "3")]
        Settings(super::Settings),
        #[prost(message, tag = "4")]
        VerifiedContact(super::VerifiedContact),
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
}
/// Somebody whose safety number was compared.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct VerifiedContact {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    /// SHA-256 of entry 0 of the device list that was compared: another identity is not verified.
    #[prost(bytes = "bytes", tag = "2")]
    pub founding_hash: ::prost::bytes::Bytes,
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
