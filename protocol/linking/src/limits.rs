//! Limits of linking, with value, unit, reason, and what happens when they are hit.

use std::time::Duration;

/// How long a code is valid: long enough to type it. After that the device shows a new one, and an
/// attempt with the old one gets [`crate::LinkError::Expired`].
pub const CODE_LIFE: Duration = Duration::from_secs(60);

/// Attempts that one code allows; each is one guess among 2^40. After them
/// [`crate::LinkError::TooManyTries`].
pub const TRIES_MAX: u32 = 5;

/// Plain bytes of one part of the history: with its seal and the message around it, it just fits into a
/// device message of 64 KiB, and the longest text of a person with what belongs to it fits into one. A
/// larger one is not sealed.
pub const HISTORY_PART_BYTES_MAX: usize = 65_400;
