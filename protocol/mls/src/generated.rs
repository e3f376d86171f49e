//! The messages of `tidings.identity.v1`, generated from `protocol/mls/proto/tidings/identity/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

/// One entry of an account's device list, as it is stored and sent.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignedEntry {
    /// An encoded Entry.
    #[prost(bytes = "bytes", tag = "1")]
    pub body: ::prost::bytes::Bytes,
    /// Ed25519 (RFC 8032) by Entry.signer over "tidings device list v1" and the body.
    #[prost(bytes = "bytes", tag = "2")]
    pub signature: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Entry {
    /// 16 bytes. The whole list is about one account.
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    /// Its place, from 0.
    #[prost(uint64, tag = "2")]
    pub index: u64,
    /// SHA-256 of the body of the entry before; empty at index 0.
    #[prost(bytes = "bytes", tag = "3")]
    pub previous: ::prost::bytes::Bytes,
    /// Ed25519 public key that the list holds before this entry; in entry 0 the first device's.
    #[prost(bytes = "bytes", tag = "4")]
    pub signer: ::prost::bytes::Bytes,
    /// When it was signed, in milliseconds since 1970 UTC. For people; nothing is decided by it.
    #[prost(int64, tag = "5")]
    pub time: i64,
    #[prost(oneof = "entry::Act", tags = "6, 7, 8, 9")]
    pub act: ::core::option::Option<entry::Act>,
}
/// Nested message and enum types in `Entry`.
pub mod entry {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Act {
        #[prost(message, tag = "6")]
        Founded(super::Founded),
        #[prost(message, tag = "7")]
        DeviceAdded(super::DeviceAdded),
        #[prost(message, tag = "8")]
        DeviceRemoved(super::DeviceRemoved),
        #[prost(message, tag = "9")]
        RecoveryKeyReplaced(super::RecoveryKeyReplaced),
    }
}
/// Entry 0, and no other.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Founded {
    #[prost(message, optional, tag = "1")]
    pub first: ::core::option::Option<Device>,
    /// Ed25519 public key. Adds, and removes any device.
    #[prost(bytes = "bytes", tag = "2")]
    pub recovery_key: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DeviceAdded {
    #[prost(message, optional, tag = "1")]
    pub device: ::core::option::Option<Device>,
}
/// A device's id and key never come back.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DeviceRemoved {
    /// 16 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub device: ::prost::bytes::Bytes,
}
/// Signed by the recovery key that it replaces: a stolen device must not lock its owner out.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RecoveryKeyReplaced {
    #[prost(bytes = "bytes", tag = "1")]
    pub recovery_key: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Device {
    /// 16 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub id: ::prost::bytes::Bytes,
    /// Ed25519 public key, also the device's MLS signature key.
    #[prost(bytes = "bytes", tag = "2")]
    pub key: ::prost::bytes::Bytes,
}
/// A member leaves a sealed conversation. It stands in the log; from then on any member commits the
/// removal.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct SignedLeave {
    /// An encoded Leave.
    #[prost(bytes = "bytes", tag = "1")]
    pub body: ::prost::bytes::Bytes,
    /// Ed25519 by the device's key over "tidings leave v1" and the body.
    #[prost(bytes = "bytes", tag = "2")]
    pub signature: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Leave {
    /// 16 bytes each.
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub account: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub device: ::prost::bytes::Bytes,
    /// The MLS group and its epoch when the entry was appended, so that an old one cannot be shown again
    /// after the account came back.
    #[prost(uint32, tag = "4")]
    pub generation: u32,
    #[prost(uint64, tag = "5")]
    pub epoch: u64,
}
