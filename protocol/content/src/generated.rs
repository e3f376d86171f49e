//! The messages of `tidings.content.v1`, generated from `protocol/content/proto/tidings/content/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Content {
    /// The id of the entry that carries this, 16 bytes: the server cannot put one message's bytes under
    /// another's id.
    #[prost(bytes = "bytes", tag = "1")]
    pub message_id: ::prost::bytes::Bytes,
    /// What an app shows that does not know the body. Required for all but text and reply.
    #[prost(string, tag = "2")]
    pub fallback: ::prost::alloc::string::String,
    /// Sent on from another conversation.
    #[prost(bool, tag = "3")]
    pub forwarded: bool,
    #[prost(oneof = "content::Body", tags = "10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22")]
    pub body: ::core::option::Option<content::Body>,
}
/// Nested message and enum types in `Content`.
pub mod content {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Body {
        #[prost(message, tag = "10")]
        Text(super::Text),
        #[prost(message, tag = "11")]
        Reply(super::Reply),
        #[prost(message, tag = "12")]
        Edit(super::Edit),
        #[prost(message, tag = "13")]
        Deletion(super::Deletion),
        #[prost(message, tag = "14")]
        Reaction(super::Reaction),
        #[prost(message, tag = "15")]
        Pin(super::Pin),
        #[prost(message, tag = "16")]
        Poll(super::Poll),
        #[prost(message, tag = "17")]
        PollVote(super::PollVote),
        #[prost(message, tag = "18")]
        Attachments(super::Attachments),
        #[prost(message, tag = "19")]
        Location(super::Location),
        #[prost(message, tag = "20")]
        Contact(super::Contact),
        #[prost(message, tag = "21")]
        Call(super::Call),
        #[prost(message, tag = "22")]
        System(super::System),
    }
}
/// Names a message.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Reference {
    /// Author, 16 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub message_id: ::prost::bytes::Bytes,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Text {
    #[prost(string, tag = "1")]
    pub text: ::prost::alloc::string::String,
    #[prost(message, repeated, tag = "2")]
    pub mentions: ::prost::alloc::vec::Vec<Mention>,
    #[prost(message, optional, tag = "3")]
    pub link_preview: ::core::option::Option<LinkPreview>,
}
/// A mention of an account in a text; the text itself holds the name that people read.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Mention {
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    /// Offset and length in bytes of the UTF-8 text, on character boundaries.
    #[prost(uint32, tag = "2")]
    pub start: u32,
    #[prost(uint32, tag = "3")]
    pub length: u32,
}
/// Made by the sender's app; no reader fetches anything.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct LinkPreview {
    #[prost(string, tag = "1")]
    pub url: ::prost::alloc::string::String,
    #[prost(string, tag = "2")]
    pub title: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub description: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "4")]
    pub image: ::core::option::Option<Attachment>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Reply {
    #[prost(message, optional, tag = "1")]
    pub to: ::core::option::Option<Reference>,
    /// The quoted text as the sender saw it, at most 512 bytes, for readers who do not have the target.
    #[prost(string, tag = "2")]
    pub quote: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub text: ::core::option::Option<Text>,
}
/// Replaces the text of an own message. Of several, the one later in the log stands.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Edit {
    #[prost(message, optional, tag = "1")]
    pub target: ::core::option::Option<Reference>,
    #[prost(message, optional, tag = "2")]
    pub text: ::core::option::Option<Text>,
}
/// Takes an own message back for everyone; owner and admins may take back any.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Deletion {
    #[prost(message, optional, tag = "1")]
    pub target: ::core::option::Option<Reference>,
}
/// Sets one's reaction to a message; an empty emoji takes it back. Of several, the later stands.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Reaction {
    #[prost(message, optional, tag = "1")]
    pub target: ::core::option::Option<Reference>,
    /// One grapheme cluster, at most 64 bytes.
    #[prost(string, tag = "2")]
    pub emoji: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Pin {
    #[prost(message, optional, tag = "1")]
    pub target: ::core::option::Option<Reference>,
    #[prost(bool, tag = "2")]
    pub pinned: bool,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Poll {
    #[prost(string, tag = "1")]
    pub question: ::prost::alloc::string::String,
    /// 2 to 12.
    #[prost(string, repeated, tag = "2")]
    pub options: ::prost::alloc::vec::Vec<::prost::alloc::string::String>,
    #[prost(bool, tag = "3")]
    pub several_answers: bool,
    #[prost(bool, tag = "4")]
    pub closed: bool,
}
/// Replaces the sender's earlier vote.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct PollVote {
    #[prost(message, optional, tag = "1")]
    pub poll: ::core::option::Option<Reference>,
    #[prost(uint32, repeated, tag = "2")]
    pub options: ::prost::alloc::vec::Vec<u32>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Attachments {
    #[prost(message, repeated, tag = "1")]
    pub attachments: ::prost::alloc::vec::Vec<Attachment>,
    #[prost(message, optional, tag = "2")]
    pub caption: ::core::option::Option<Text>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Attachment {
    /// Where the ciphertext lies: the blob's id, 16 random bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub blob: ::prost::bytes::Bytes,
    /// AES-256-GCM key, and SHA-256 of the ciphertext.
    #[prost(bytes = "bytes", tag = "2")]
    pub key: ::prost::bytes::Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub sha256: ::prost::bytes::Bytes,
    #[prost(uint64, tag = "4")]
    pub bytes: u64,
    #[prost(string, tag = "5")]
    pub media_type: ::prost::alloc::string::String,
    #[prost(string, tag = "6")]
    pub file_name: ::prost::alloc::string::String,
    /// Pixels; 0 where it has none.
    #[prost(uint32, tag = "7")]
    pub width: u32,
    #[prost(uint32, tag = "8")]
    pub height: u32,
    #[prost(uint32, tag = "9")]
    pub duration_ms: u32,
    /// ThumbHash.
    #[prost(bytes = "bytes", tag = "10")]
    pub preview: ::prost::bytes::Bytes,
    #[prost(string, tag = "11")]
    pub alt_text: ::prost::alloc::string::String,
    /// Peaks of a voice note, one byte each, at most 128.
    #[prost(bytes = "bytes", tag = "12")]
    pub waveform: ::prost::bytes::Bytes,
    #[prost(bool, tag = "13")]
    pub voice_note: bool,
    #[prost(bool, tag = "14")]
    pub view_once: bool,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Location {
    /// Degrees, WGS 84.
    #[prost(double, tag = "1")]
    pub latitude: f64,
    #[prost(double, tag = "2")]
    pub longitude: f64,
    #[prost(float, tag = "3")]
    pub accuracy_metres: f32,
    #[prost(string, tag = "4")]
    pub name: ::prost::alloc::string::String,
    /// Live until this time, 0: a place. The ticks themselves are never stored.
    #[prost(int64, tag = "5")]
    pub live_until: i64,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Contact {
    #[prost(string, tag = "1")]
    pub display_name: ::prost::alloc::string::String,
    #[prost(bytes = "bytes", tag = "2")]
    pub account: ::prost::bytes::Bytes,
    #[prost(string, tag = "3")]
    pub user_name: ::prost::alloc::string::String,
}
/// A call that was made, for the timeline.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Call {
    #[prost(bytes = "bytes", tag = "1")]
    pub call: ::prost::bytes::Bytes,
    #[prost(bool, tag = "2")]
    pub video: bool,
    #[prost(enumeration = "call::Outcome", tag = "3")]
    pub outcome: i32,
    #[prost(uint32, tag = "4")]
    pub duration_ms: u32,
}
/// Nested message and enum types in `Call`.
pub mod call {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::prost::Enumeration)]
    #[repr(i32)]
    pub enum Outcome {
        Unspecified = 0,
        Answered = 1,
        Missed = 2,
        Declined = 3,
        Cancelled = 4,
    }
    impl Outcome {
        /// String value of the enum field names used in the ProtoBuf definition.
        ///
        /// The values are not transformed in any way and thus are considered stable
        /// (if the ProtoBuf definition does not change) and safe for programmatic use.
        pub fn as_str_name(&self) -> &'static str {
            match self {
                Self::Unspecified => "OUTCOME_UNSPECIFIED",
                Self::Answered => "OUTCOME_ANSWERED",
                Self::Missed => "OUTCOME_MISSED",
                Self::Declined => "OUTCOME_DECLINED",
                Self::Cancelled => "OUTCOME_CANCELLED",
            }
        }
        /// Creates an enum from field names used in the ProtoBuf definition.
        pub fn from_str_name(value: &str) -> ::core::option::Option<Self> {
            match value {
                "OUTCOME_UNSPECIFIED" => Some(Self::Unspecified),
                "OUTCOME_ANSWERED" => Some(Self::Answered),
                "OUTCOME_MISSED" => Some(Self::Missed),
                "OUTCOME_DECLINED" => Some(Self::Declined),
                "OUTCOME_CANCELLED" => Some(Self::Cancelled),
                _ => None,
            }
        }
    }
}
/// Something that an app tells the conversation by itself.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct System {
    #[prost(oneof = "system::Event", tags = "1, 2, 3, 4, 5")]
    pub event: ::core::option::Option<system::Event>,
}
/// Nested message and enum types in `System`.
pub mod system {
    #[derive(Clone, PartialEq, Eq, Hash, ::prost::Oneof)]
    pub enum Event {
        /// Messages sent from now on expire after this many milliseconds; 0: never.
        #[prost(uint64, tag = "1")]
        ExpiresAfterMs(u64),
        /// The conversation goes on in this one, 16 bytes.
        #[prost(bytes, tag = "2")]
        ContinuedIn(::prost::bytes::Bytes),
        /// What the members of a sealed group call it. By an owner or admin; of several, the later stands.
        #[prost(message, tag = "3")]
        GroupProfile(super::GroupProfile),
        /// How the sender is called in this conversation.
        #[prost(message, tag = "4")]
        MemberProfile(super::MemberProfile),
        /// The conversation goes on from this one, 16 bytes.
        #[prost(bytes, tag = "5")]
        Continues(::prost::bytes::Bytes),
    }
}
/// Name, topic and picture of a sealed group, all of them each time.
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct GroupProfile {
    /// 1 to 256 bytes.
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
    /// At most 1,024 bytes.
    #[prost(string, tag = "2")]
    pub topic: ::prost::alloc::string::String,
    #[prost(message, optional, tag = "3")]
    pub picture: ::core::option::Option<Attachment>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct MemberProfile {
    /// At most 128 bytes.
    #[prost(string, tag = "1")]
    pub display_name: ::prost::alloc::string::String,
}
