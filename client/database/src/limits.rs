//! Limits of the database on the device, with value, unit, reason, and what happens when they are
//! hit.

/// Prepared statements kept: more than there are, so that none is parsed twice.
pub(crate) const STATEMENTS_MAX: usize = 128;

/// Page cache, in KiB: the newest pages of a few busy conversations and the upper levels of the
/// indexes. Beyond it pages are read again, mostly from the system's cache.
pub(crate) const CACHE_KIB: usize = 4 * 1024;

/// Pages in the write-ahead log after which a commit copies them into the database: about 4 MiB, a
/// few hundredths of a second on a phone's flash. There is no second reader that could delay it.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) const WAL_PAGES_MAX: usize = 1_000;

/// Bytes to which the write-ahead log is cut after one change set made it longer.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) const WAL_BYTES_KEPT: usize = 8 * 1024 * 1024;

/// Bytes of a query that are looked at. Whoever pastes more finds what has its beginning.
pub(crate) const QUERY_BYTES_MAX: usize = 1_024;

/// Expired entries that are held in memory at a time while their payloads are dropped; the next
/// ones follow in the same transaction.
pub(crate) const EXPIRED_AT_A_TIME: usize = 256;

/// Bytes of the smallest row of keys or words that are overwritten in place, its padding included: a
/// device's key, or a short message. Longer ones take the next power of two.
pub(crate) const ERASABLE_BYTES_MIN: usize = 256;
