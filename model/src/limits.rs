//! Limits that every layer shares, with value, unit, reason, and what happens when they are hit.
//!
//! Limits of one protocol, one door or one program stand in that crate's own `limits.rs`.

/// Payload of one message, in bytes: four screens of text with its envelope, and far below a frame.
/// Larger things are attachments. Above it: `PAYLOAD_TOO_LARGE`.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// Members of a group. MLS groups (RFC 9420) stay fast to this size. Above it: `GROUP_FULL`.
pub const MEMBERS_MAX: usize = 1_024;

/// Accounts in one add: keeps one entry small. Above it: `TOO_MANY_ADDED`.
pub const ADDS_MAX: usize = 128;

/// Name of a group, in bytes. Above it: `NAME_TOO_LONG`.
pub const CONVERSATION_NAME_BYTES_MAX: usize = 256;

/// Display name of an account or name of a device, in bytes. Above it: `NAME_TOO_LONG`.
pub const DISPLAY_NAME_BYTES_MAX: usize = 128;

/// User name, in bytes after preparation (RFC 8265). Above it: `NAME_TOO_LONG`.
pub const USER_NAME_BYTES_MAX: usize = 64;

/// Devices of an account. Above it: `TOO_MANY_DEVICES`.
pub const DEVICES_MAX: usize = 16;

/// Conversations of an account, left ones included: the resume of one connection walks over them.
/// Above it: `TOO_MANY_CONVERSATIONS`.
pub const CONVERSATIONS_MAX: usize = 4_096;
