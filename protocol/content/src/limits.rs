//! The bounds of what a message holds, with value, unit, reason, and what happens when they are hit.
//!
//! A sender is told by name which bound its text passes. A reader is lenient: it takes whatever fits a
//! payload and drops only what cannot be drawn.

/// Text of one message, in bytes: a payload (`tidings_model::limits::PAYLOAD_BYTES_MAX`) less room
/// for quote, fallback, mentions and preview. Above it: [`crate::ContentError::TextTooLong`].
pub const TEXT_BYTES_MAX: usize = 60 * 1024;

/// Quoted text in a reply, in bytes: two lines on a wide screen. A longer quote is cut.
pub const QUOTE_BYTES_MAX: usize = 512;

/// Fallback text, in bytes: a line or two that say what an older app cannot show. A longer one is cut.
pub const FALLBACK_BYTES_MAX: usize = 512;

/// A reaction, in bytes: the longest grapheme clusters of Unicode's emoji take 35. A longer one is
/// [`crate::ContentError::ReactionTooLong`].
pub const EMOJI_BYTES_MAX: usize = 64;

/// Mentions in one text: more is an alarm bell for a whole town. A reader drops those past it.
pub const MENTIONS_MAX: usize = 64;
