//! Limits of a device's groups, with value, unit, reason, and what happens when they are hit.
//!
//! Limits that the server shares stand in `tidings_protocol_mls::limits`.

use std::time::Duration;

/// Key packages that a device keeps at the server. Nothing is refused: it is topped up.
pub const KEY_PACKAGE_STOCK: usize = 100;

/// The stock at which it is topped up, a third: a busy day of invitations.
pub const KEY_PACKAGE_REFILL: usize = KEY_PACKAGE_STOCK / 3;

/// How long a key package may be used to add its device. A device that was away longer is added by
/// its last resort or comes back by an external Commit.
pub const KEY_PACKAGE_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Entries that one transaction takes in: more gain nothing, and a person waits for them.
pub const BATCH_ENTRIES_MAX: usize = 256;
