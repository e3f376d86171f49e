//! The messages of `tidings.log.v1`, generated from `model/proto/tidings/log/v1/*.proto`.
//!
//! Made by `cargo xtask codegen`: change the schema, never this file.

/// Something happened to the conversation. Names stand as they were at that time, so that a timeline
/// reads right offline.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct ConversationEvent {
    /// The roster's version after this event.
    #[prost(uint64, tag = "1")]
    pub roster_version: u64,
    #[prost(oneof = "conversation_event::Event", tags = "2, 3, 4, 5, 6, 7")]
    pub event: ::core::option::Option<conversation_event::Event>,
}
/// Nested message and enum types in `ConversationEvent`.
pub mod conversation_event {
    #[derive(Clone, PartialEq, ::prost::Oneof)]
    pub enum Event {
        #[prost(message, tag = "2")]
        Created(super::Created),
        #[prost(message, tag = "3")]
        Added(super::Added),
        #[prost(message, tag = "4")]
        Removed(super::Removed),
        #[prost(message, tag = "5")]
        Left(super::Left),
        #[prost(message, tag = "6")]
        Renamed(super::Renamed),
        #[prost(message, tag = "7")]
        RoleChanged(super::RoleChanged),
    }
}
/// The log's first entry.
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Created {
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
    #[prost(message, repeated, tag = "2")]
    pub members: ::prost::alloc::vec::Vec<Person>,
}
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Added {
    #[prost(message, repeated, tag = "1")]
    pub members: ::prost::alloc::vec::Vec<Person>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Removed {
    #[prost(message, optional, tag = "1")]
    pub member: ::core::option::Option<Person>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Left {
    #[prost(message, optional, tag = "1")]
    pub member: ::core::option::Option<Person>,
    /// Who became owner because the last owner left.
    #[prost(message, optional, tag = "2")]
    pub new_owner: ::core::option::Option<Person>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Renamed {
    #[prost(string, tag = "1")]
    pub name: ::prost::alloc::string::String,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct RoleChanged {
    #[prost(message, optional, tag = "1")]
    pub member: ::core::option::Option<Person>,
}
#[derive(Clone, PartialEq, Eq, Hash, ::prost::Message)]
pub struct Person {
    /// 16 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub account: ::prost::bytes::Bytes,
    #[prost(string, tag = "2")]
    pub user_name: ::prost::alloc::string::String,
    #[prost(string, tag = "3")]
    pub display_name: ::prost::alloc::string::String,
    /// A number of tidings_model::Role, as docs/formats.md lists them.
    #[prost(uint32, tag = "4")]
    pub role: u32,
}
