//! Identifiers, entries, cursors, refusals and time.
