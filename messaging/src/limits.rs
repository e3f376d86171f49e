//! Limits of the core, with value, unit, reason, and what happens when they are hit.
//!
//! [`Limits`] holds those that an operator may change; the rest is constant.

use std::time::Duration;

/// Limits that configuration may raise or lower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Messages and changes that one session may send, a second on average. Above it: `RATE_LIMITED`.
    pub messages_per_second: u32,
    /// How many of them may come at once.
    pub messages_burst: u32,
    /// Failed sign-ins a minute for one account from one network. Above it: `SIGN_IN_THROTTLED`.
    pub sign_in_failures_per_minute: u32,
    /// Look-ups of other people a minute, for one account. Above it: `LOOK_UPS_EXHAUSTED`.
    pub look_ups_per_minute: u32,
    /// Look-ups of other people a day, for one account. Above it: `LOOK_UPS_EXHAUSTED`.
    pub look_ups_per_day: u32,
    /// Invites of one account that are neither used nor expired. Above it: `TOO_MANY_INVITES`.
    pub open_invites_per_account: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_per_second: 20,
            messages_burst: 100,
            sign_in_failures_per_minute: 5,
            look_ups_per_minute: 30,
            look_ups_per_day: 300,
            open_invites_per_account: 100,
        }
    }
}

/// Entries of one answer to a fetch: with their headers they fit a frame. A reader asks again.
pub const ENTRIES_PER_PAGE_MAX: usize = 256;

/// Payload bytes of one answer to a fetch. One entry comes always.
pub const PAGE_BYTES_MAX: usize = 128 * 1024;

/// Members up to which receipts go to everybody; in larger groups they go to authors only, since each
/// receipt costs one event per reader.
pub const RECEIPTS_TO_ALL_MEMBERS_MAX: usize = 32;

/// Least span between two receipts of one member in one conversation; those between are merged.
pub const RECEIPT_INTERVAL: Duration = Duration::from_secs(2);

/// Authors that a conversation remembers for receipts in large groups, in entries before its head.
pub const RECENT_AUTHORS_MAX: usize = 256;

/// How long typing lasts without being told again (`docs/app-protocol.md`).
pub const TYPING_LASTS: Duration = Duration::from_secs(6);

/// Operations and queries that wait for the store, in bytes of payload. Above it: `OVERLOADED`.
pub const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Times that a change is built again because the roster moved. Above it: `OVERLOADED`.
pub const ROSTER_RETRIES_MAX: u32 = 8;

/// Accounts without a session whose conversations are kept in memory, so that a reconnect reads
/// nothing. Beyond it the one that was away longest is dropped.
pub const IDLE_ACCOUNTS_MAX: usize = 10_000;

/// Life of an invite.
pub const INVITE_LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Least span between two renewals of one log's epoch on the word of one member, so that nobody can
/// force everybody to read again and again.
pub const EPOCH_RENEWAL_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How often expired payloads are looked for, and how many are erased at once.
pub const EXPIRY_INTERVAL: Duration = Duration::from_secs(10);
/// See [`EXPIRY_INTERVAL`].
pub const EXPIRIES_PER_SWEEP: usize = 512;

/// Outbox rows relayed at once.
pub const RELAYS_PER_ROUND: usize = 256;

/// Conversations in the answer to a resume; the rest follows in events.
pub const STATES_PER_EVENT_MAX: usize = 64;

/// Members up to which a view shows presence: beyond it the list is no help to people.
pub const PRESENCE_MEMBERS_MAX: usize = 256;
