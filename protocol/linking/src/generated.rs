//! The messages of `tidings.device.v1`, generated from `protocol/linking/proto/tidings/device/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DeviceMessage {
    #[prost(oneof = "device_message::Body", tags = "1, 2, 3, 4, 5, 6")]
    pub body: ::core::option::Option<device_message::Body>,
}
/// Nested message and enum types in `DeviceMessage`.
pub mod device_message {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Body {
        #[prost(message, tag = "1")]
        LinkStart(super::LinkStart),
        #[prost(message, tag = "2")]
        LinkReply(super::LinkReply),
        #[prost(message, tag = "3")]
        LinkConfirm(super::LinkConfirm),
        #[prost(message, tag = "4")]
        LinkEnd(super::LinkEnd),
        #[prost(message, tag = "5")]
        HistoryRequest(super::HistoryRequest),
        #[prost(message, tag = "6")]
        HistoryPart(super::HistoryPart),
    }
}
/// The old device, whose person has typed or scanned the new one's code.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LinkStart {
    /// 16 random bytes that name this attempt.
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
    /// Message A of SPAKE2.
    #[prost(bytes = "bytes", tag = "2")]
    pub exchange: ::prost::bytes::Bytes,
    /// Ed25519 key that signs for the old device.
    #[prost(bytes = "bytes", tag = "3")]
    pub key: ::prost::bytes::Bytes,
}
/// The new device.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LinkReply {
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
    /// Message B of SPAKE2.
    #[prost(bytes = "bytes", tag = "2")]
    pub exchange: ::prost::bytes::Bytes,
    /// Ed25519 key that will sign for the new device.
    #[prost(bytes = "bytes", tag = "3")]
    pub key: ::prost::bytes::Bytes,
    /// Proof that it knows the code.
    #[prost(bytes = "bytes", tag = "4")]
    pub proof: ::prost::bytes::Bytes,
}
/// The old device, once its person has said yes and the device list has grown.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LinkConfirm {
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub proof: ::prost::bytes::Bytes,
    /// A Bundle, sealed.
    #[prost(bytes = "bytes", tag = "3")]
    pub bundle: ::prost::bytes::Bytes,
}
/// What a new device gets. Sealed inside LinkConfirm.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Bundle {
    /// SHA-256 of entry 0 of the account's device list: the list that the server shows must begin so.
    #[prost(bytes = "bytes", tag = "1")]
    pub founding_hash: ::prost::bytes::Bytes,
    /// The account storage key and its version.
    #[prost(uint32, tag = "2")]
    pub storage_key_version: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub storage_key: ::prost::bytes::Bytes,
    /// The key that parts of the history are sealed under.
    #[prost(bytes = "bytes", tag = "4")]
    pub history_key: ::prost::bytes::Bytes,
}
/// Either side: it is over.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LinkEnd {
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
    #[prost(bool, tag = "2")]
    pub completed: bool,
}
/// The new device asks for the next part of a conversation's history, newest first.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HistoryRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub conversation: ::prost::bytes::Bytes,
    /// Before this place of the log; 0: before everything that the new device can read itself.
    #[prost(uint64, tag = "3")]
    pub before: u64,
}
/// A part of the history. `sealed` holds a History.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HistoryPart {
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub conversation: ::prost::bytes::Bytes,
    /// Number of the part under the history key, from 1: its nonce.
    #[prost(uint64, tag = "3")]
    pub number: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub sealed: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct History {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// In the order of the log.
    #[prost(message, repeated, tag = "2")]
    pub items: ::prost::alloc::vec::Vec<history::Item>,
    /// Nothing lies before the first of them.
    #[prost(bool, tag = "3")]
    pub complete: bool,
}
/// Nested message and enum types in `History`.
pub mod history {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Item {
        #[prost(uint64, tag = "1")]
        pub seq: u64,
        #[prost(bytes = "bytes", tag = "2")]
        pub account: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "3")]
        pub device: ::prost::bytes::Bytes,
        #[prost(bytes = "bytes", tag = "4")]
        pub message_id: ::prost::bytes::Bytes,
        #[prost(int64, tag = "5")]
        pub time: i64,
        /// A number of tidings.app.v1.EntryKind.
        #[prost(uint32, tag = "6")]
        pub kind: u32,
        /// tidings.content.v1.Content, or what the old device shows of an event.
        #[prost(bytes = "bytes", tag = "7")]
        pub content: ::prost::bytes::Bytes,
    }
}
