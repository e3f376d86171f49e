//! Limits of the account log, with value, unit, reason, and what happens when they are hit.

/// The smallest size that a value is padded to, in bytes: read positions, settings and contacts look
/// alike.
pub const BUCKET_BYTES_MIN: usize = 128;

/// The largest size that a value is padded to, in bytes: with its seal it stays below the 64 KiB that
/// the server takes. A larger value gets [`crate::AccountValueError::TooLarge`].
pub const BUCKET_BYTES_MAX: usize = 32 * 1024;

/// Shares of a key ring: each device that an account may have, the recovery key, and room for later.
/// A longer ring is malformed.
pub const SHARES_MAX: usize = 64;

/// Keys of the recovery backup: a storage key for each device that was ever removed, ten times over. Past
/// it new chunks are sealed under the last one.
pub const BACKUP_KEYS_MAX: usize = 256;

/// Plain bytes of one chunk of the recovery backup: the longest message with what belongs to it. A larger
/// one is not sealed.
pub const BACKUP_CHUNK_BYTES_MAX: usize = 65_400;

/// Chunks are padded to a multiple of this, in bytes, so that their size tells little of what is in them.
pub const BACKUP_BUCKET_BYTES: usize = 4 * 1024;
