//! Limits of the store on SQLite, with value, unit, reason, and what happens when they are hit.

use std::time::Duration;

/// Page cache of the writer, in bytes. Appends to many conversations touch random leaves of two unique
/// indexes: this holds the leaves of about a million entries. Beyond it pages are read again.
pub(crate) const WRITER_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Page cache of each reader, in bytes: inner pages of the indexes; the rest is in the system's cache.
pub(crate) const READER_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Prepared statements kept for each connection: more than there are, so that none is parsed twice.
pub(crate) const STATEMENTS_MAX: usize = 160;

/// Frames (pages of 4 KiB) in the write-ahead log after which it is copied into the database beside the
/// writer: 16 MiB keeps look-ups in it short.
pub(crate) const PASSIVE_CHECKPOINT_FRAMES: u32 = 4_096;

/// Frames in the write-ahead log after which it is emptied although the writer has to wait for that: a
/// writer that never pauses would otherwise let it grow without end. 64 MiB.
pub(crate) const TRUNCATE_CHECKPOINT_FRAMES: u32 = 16_384;

/// Span without a commit after which the write-ahead log is emptied, so that a start after a crash has
/// little to do.
pub(crate) const IDLE_BEFORE_TRUNCATE: Duration = Duration::from_secs(5);

/// How long an emptying checkpoint waits for readers before it gives up until the next time; the writer
/// waits meanwhile.
pub(crate) const CHECKPOINT_BUSY: Duration = Duration::from_millis(200);

/// How long the writer waits for a checkpoint, and for an operator's own connection, before it takes
/// the store for broken.
pub(crate) const WRITER_BUSY: Duration = Duration::from_secs(60);

/// Operations of one commit. At a thousand the disk's sync costs each little; more would only let the
/// first of them wait longer. The rest goes into the next commit.
pub(crate) const BATCH_OPERATIONS_MAX: usize = 1_024;

/// Payload bytes of one commit, exceeded by at most one operation: a commit stays below the time of a
/// few syncs. The rest goes into the next commit.
pub(crate) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Operations that wait for the writer, or queries that wait for a reader. The core bounds their bytes;
/// this bounds them if it does not. Above it: [`crate::SubmitError::Full`].
pub(crate) const QUEUE_MAX: usize = 65_536;

/// Bytes written to find out whether the disk is full or a quota exhausted, where SQLite only says that
/// a write failed: more than one block of any file system.
pub(crate) const PROBE_BYTES: usize = 128 * 1024;

/// Damages that a check reports before it stops looking.
pub(crate) const DAMAGES_MAX: usize = 100;
