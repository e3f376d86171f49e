//! Limits of the core, with value, unit, reason, and what happens when they are hit.
//!
//! [`Limits`] holds those that an operator may change; the rest is constant.

use std::time::Duration;

use tidings_model::limits::PAYLOAD_BYTES_MAX;

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
    /// Claims of other people's key packages a minute, for one account. Above it: `CLAIMS_EXHAUSTED`.
    pub claims_per_minute: u32,
    /// Claims of other people's key packages a day, for one account. Above it: `CLAIMS_EXHAUSTED`.
    pub claims_per_day: u32,
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
            claims_per_minute: 20,
            claims_per_day: 200,
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

/// How often all logs are looked through for entries past their retention, which is counted in days.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Logs that one operation looks through, and entries that it drops, so that the writer is never held
/// up for long. The next operation goes on there, behind what came meanwhile.
pub const CONVERSATIONS_PER_RETENTION: usize = 64;
/// See [`CONVERSATIONS_PER_RETENTION`].
pub const ENTRIES_PER_RETENTION: usize = 512;

/// How long entries past their retention are kept at least after all members have acknowledged them:
/// another device of a member has that long to fetch them too.
pub const ACKNOWLEDGED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Outbox rows relayed at once.
pub const RELAYS_PER_ROUND: usize = 256;

/// Conversations in the answer to a resume; the rest follows in events.
pub const STATES_PER_EVENT_MAX: usize = 64;

/// Payload of a sealed message, in bytes: the largest bucket that content is padded to, and room for
/// the framing of RFC 9420 §6.3. Above it: `PAYLOAD_TOO_LARGE`.
pub const SEALED_PAYLOAD_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 512;

/// A Commit, Welcome, GroupInfo or tree, in bytes: those of 2,048 leaves stay below 1 MiB with today's
/// cipher suites, and suites against quantum computers need some four times as much. Above it:
/// `PAYLOAD_TOO_LARGE`.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Least span between two accepted Commits of a conversation: below it, devices with slow connections
/// never get a message in (measured). Earlier ones: `COMMIT_BUSY`.
pub const COMMIT_GAP_MIN: Duration = Duration::from_secs(2);

/// How many round trips of the slowest recent sender lie between two Commits: it has to hear of the
/// one, seal again and be heard before the next.
pub const COMMIT_GAP_ROUND_TRIPS: u32 = 3;

/// Largest span between two accepted Commits, however slow a sender is.
pub const COMMIT_GAP_MAX: Duration = Duration::from_secs(15);

/// The largest round trip that an app is believed.
pub const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// How long a sender counts as a recent one.
pub const SENDER_LASTS: Duration = Duration::from_secs(60);

/// Commits in a row that remove somebody and do not wait, so that a removal is quick and nobody
/// starves all others by removals.
pub const COMMIT_JUMPS_MAX: u32 = 3;

/// Commits of a device in a row that lose against others before the next turn is its own.
pub const COMMIT_CONFLICTS_MAX: u32 = 3;

/// How long that turn lasts.
pub const COMMIT_LEASE: Duration = Duration::from_secs(5);

/// Least span between two restarts of a conversation's group. Earlier ones: `RESTART_TOO_SOON`.
pub const RESTART_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// How long devices may give back what a sealed conversation's log has lost: as long as they keep it.
/// Later offers: `COMMIT_REFUSED`.
pub const LOST_OFFERED_WITHIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a sealed conversation whose log got a new epoch takes nothing but what was lost: a device
/// whose group is ahead of the log cannot read what is sealed before its own epoch, and a Commit of
/// one that is behind would cut off all that are ahead. Apps that were connected come back within
/// 60 s, and have half a minute then. Anything else: `LOG_HEALING`.
pub const HEAD_START: Duration = Duration::from_secs(90);

/// Accounts of one request for device lists or key packages: as many as one Commit adds. Above it:
/// `INVALID_FIELD`.
pub const ACCOUNTS_PER_REQUEST_MAX: usize = 128;

/// Key packages of a device, the last resort not counted. Above it: `TOO_MANY_KEY_PACKAGES`.
pub const KEY_PACKAGES_MAX: usize = 200;

/// A device hears of its stock when it has fallen to this: a third of the 100 that apps keep.
pub const KEY_PACKAGES_LOW: usize = 33;

/// How long a repeated claim is answered with the same key packages.
pub const CLAIM_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Items of a device's inbox. Above it: `INBOX_FULL` for messages of other devices; Welcomes come all
/// the same, since each costs a Commit.
pub const INBOX_ITEMS_MAX: usize = 1_000;

/// Message to another device, in bytes. Above it: `PAYLOAD_TOO_LARGE`.
pub const DEVICE_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Key of a value in the account log, in bytes. Above it: `INVALID_FIELD`.
pub const ACCOUNT_KEY_BYTES_MAX: usize = 64;

/// Value in the account log, in bytes. Above it: `PAYLOAD_TOO_LARGE`.
pub const ACCOUNT_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Keys of an account log that have a value. Above it: `ACCOUNT_LOG_FULL`.
pub const ACCOUNT_KEYS_MAX: usize = 10_000;

/// One chunk of a recovery backup, in bytes: the longest message, sealed and padded. Above it:
/// `PAYLOAD_TOO_LARGE`.
pub const BACKUP_CHUNK_BYTES_MAX: usize = 72 * 1024;

/// A recovery backup, in bytes: some hundred thousand messages. Each chunk counts
/// [`BACKUP_CHUNK_BYTES_MIN`] at least. Above it: `BACKUP_FULL`.
pub const BACKUP_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a chunk of a recovery backup counts at least, in bytes: many small ones cost rows too.
pub const BACKUP_CHUNK_BYTES_MIN: u64 = 1024;

/// Members up to which a view shows presence: beyond it the list is no help to people.
pub const PRESENCE_MEMBERS_MAX: usize = 256;
