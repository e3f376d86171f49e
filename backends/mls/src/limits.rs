//! Limits of the observer, with value, unit, reason, and what happens when they are hit.

/// Entries of device lists that are kept in memory, most of them some 300 bytes, the largest 512. Past it
/// all are forgotten, and read again as they are needed.
pub(crate) const LIST_ENTRIES_KEPT_MAX: usize = 65_536;

/// GroupInfo and tree of a new group, in bytes each: it has one leaf, which takes some 400 bytes today
/// and seven times as much with keys against quantum computers. Larger ones are refused unread: of every
/// leaf a signature is verified.
pub(crate) const NEW_GROUP_BYTES_MAX: usize = 16 * 1024;
