//! Limits of sealed conversations, with value, unit, reason, and what happens when they are hit.
//!
//! Limits that open conversations share stand in `tidings_model::limits`.

/// Entries of an account's device list: a device added and removed each week for ten years. A longer
/// list is refused.
pub const LIST_ENTRIES_MAX: usize = 1_024;

/// One entry of a device list, in bytes as it is stored and sent: twice what the largest holds today.
/// A larger one is refused.
pub const LIST_ENTRY_BYTES_MAX: usize = 512;

/// Leaves of a group: two devices for each of 1,024 members. A Commit past it is refused.
pub const LEAVES_MAX: usize = 2_048;

/// Leaves that one Commit adds: keeps Commit and Welcome near 100 kB. A Commit past it is refused.
pub const ADDS_MAX: usize = 128;

/// Accounts that the roles of a group name: they travel in every Commit that changes them, at 17
/// bytes each. A longer list is refused.
pub const NAMED_MAX: usize = 256;

/// The smallest size that content is padded to, in bytes: a short text, a reaction and a receipt look
/// alike.
pub const BUCKET_BYTES_MIN: usize = 256;

/// The largest size that content is padded to, in bytes. Larger content is refused; large things are
/// attachments.
pub const BUCKET_BYTES_MAX: usize = 64 * 1024;

/// What a sealed message takes in the log, in bytes: the largest bucket, and the framing, signature
/// and tags of RFC 9420 §6.3 around it (214 bytes measured).
pub const SEALED_BYTES_MAX: usize = BUCKET_BYTES_MAX + 512;

/// A Commit, Welcome, GroupInfo or tree, in bytes: the worst ones of 2,048 leaves stay below 1 MiB
/// with today's suites; suites against quantum computers need some four times as much.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Messages of one sender in one epoch: `mls-rs` follows a sender's keys at most 1,024 generations
/// ahead of what it has read. A device refreshes its leaf before it sends more.
pub const MESSAGES_PER_EPOCH_MAX: u32 = 1_000;
