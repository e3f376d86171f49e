//! The messages of `tidings.device.v1`, generated from `protocol/linking/proto/tidings/device/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct DeviceMessage {
    #[prost(oneof = "device_message::Body", tags = "1, 2, 3, 4, 5, 6, 7")]
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
        #[prost(message, tag = "7")]
        HistoryEnd(super::HistoryEnd),
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
/// The new device asks for a part of a conversation's history, from the newest to the oldest.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HistoryRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub conversation: ::prost::bytes::Bytes,
    /// Before this place of the log; 0: all that the old device has.
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
/// Either side: there is nothing more to ask for, or nothing more to give.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct HistoryEnd {
    #[prost(bytes = "bytes", tag = "1")]
    pub link: ::prost::bytes::Bytes,
}
/// A stretch of a conversation's log, as a device of the account has it.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct History {
    #[prost(bytes = "bytes", tag = "1")]
    pub conversation: ::prost::bytes::Bytes,
    /// In the order of the log.
    #[prost(message, repeated, tag = "2")]
    pub items: ::prost::alloc::vec::Vec<history::Item>,
    /// Nothing lies before it.
    #[prost(bool, tag = "3")]
    pub complete: bool,
    /// The epoch of the log whose places are meant. 0: the device does not have the conversation.
    #[prost(uint64, tag = "4")]
    pub log_epoch: u64,
    /// The first and the last place. Those between that are neither an item nor hidden say nothing to people.
    #[prost(uint64, tag = "5")]
    pub from: u64,
    #[prost(uint64, tag = "6")]
    pub to: u64,
    /// What the device does not have either.
    #[prost(message, repeated, tag = "7")]
    pub hidden: ::prost::alloc::vec::Vec<history::Hidden>,
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
        /// tidings.content.v1.Content, or what the device shows of an event.
        #[prost(bytes = "bytes", tag = "7")]
        pub content: ::prost::bytes::Bytes,
        #[prost(enumeration = "Role", tag = "8")]
        pub role: i32,
        /// The checksum of the entry as it stands in the log.
        #[prost(fixed32, tag = "9")]
        pub checksum: u32,
        /// Life of the content from `time` on; absent: without an end.
        #[prost(uint64, optional, tag = "10")]
        pub expires_after_ms: ::core::option::Option<u64>,
        /// The content was erased.
        #[prost(bool, tag = "11")]
        pub erased: bool,
    }
    #[derive(Clone, Copy, PartialEq, Eq, Hash, ::prost::Message)]
    pub struct Hidden {
        #[prost(uint64, tag = "1")]
        pub from: u64,
        #[prost(uint64, tag = "2")]
        pub to: u64,
        /// A number of tidings.app.v1.HiddenReason.
        #[prost(uint32, tag = "3")]
        pub reason: u32,
    }
    /// What an item is for a timeline, as the device judged it when it came.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
    #[repr(i32)]
    pub enum Role {
        Unspecified = 0,
        Message = 1,
        Event = 2,
        /// It changes a message, and its sender had the right to.
        Annotation = 3,
        AnnotationNotAllowed = 4,
        Unreadable = 5,
    }
    impl Role {
        /// String value of the enum field names used in the ProtoBuf definition.
        ///
        /// The values are not transformed in any way and thus are considered stable
        /// (if the ProtoBuf definition does not change) and safe for programmatic use.
        pub fn as_str_name(&self) -> &'static str {
            match self {
                Self::Unspecified => "ROLE_UNSPECIFIED",
                Self::Message => "ROLE_MESSAGE",
                Self::Event => "ROLE_EVENT",
                Self::Annotation => "ROLE_ANNOTATION",
                Self::AnnotationNotAllowed => "ROLE_ANNOTATION_NOT_ALLOWED",
                Self::Unreadable => "ROLE_UNREADABLE",
            }
        }
        /// Creates an enum from field names used in the ProtoBuf definition.
        pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
            match value {
                "ROLE_UNSPECIFIED" => Some(Self::Unspecified),
                "ROLE_MESSAGE" => Some(Self::Message),
                "ROLE_EVENT" => Some(Self::Event),
                "ROLE_ANNOTATION" => Some(Self::Annotation),
                "ROLE_ANNOTATION_NOT_ALLOWED" => Some(Self::AnnotationNotAllowed),
                "ROLE_UNREADABLE" => Some(Self::Unreadable),
                _ => None,
            }
        }
    }
}
/// What a chunk of the recovery backup holds.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct BackupChunk {
    #[prost(message, repeated, tag = "1")]
    pub stretches: ::prost::alloc::vec::Vec<History>,
}
