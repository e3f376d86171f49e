//! The bounds and the pace of the client core, with value, unit, reason, and what happens when they
//! are hit.

use std::time::Duration;

/// Rows of the outbox. A person types no more in a day; the whole outbox is held in memory. Above it:
/// [`crate::Failure::OutboxFull`].
pub const OUTBOX_ROWS_MAX: usize = 10_000;

/// Requests of the outbox without an answer. They hide the round trip when several conversations
/// have something to send.
pub const OUTBOX_IN_FLIGHT_MAX: usize = 16;

/// Requests of all kinds without an answer; below the server's 64, which would refuse. What comes
/// after them waits in the core.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 48;

/// Conversations that are read at the same time after a reconnect: enough to hide the round trip,
/// few enough that the newest is complete first.
pub const FETCHES_IN_FLIGHT_MAX: usize = 4;

/// Commands that wait for a connection. Above it: [`crate::Failure::NotConnected`].
pub const COMMANDS_WAITING_MAX: usize = 256;

/// How long a command waits for a connection before it fails.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// Rows of a timeline that are read at once: three screens.
pub const TIMELINE_PAGE_ROWS: usize = 100;

/// Rows of an open timeline. Past it the oldest are let go while new ones come.
pub const TIMELINE_ROWS_MAX: usize = 2_000;

/// Timelines that are open at the same time. Past it the one opened first is closed.
pub const OPEN_VIEWS_MAX: usize = 8;

/// Messages that one search finds.
pub const SEARCH_HITS_MAX: usize = 200;

/// Time between two pings, and so the longest that a lost last entry stays unnoticed.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Silence after which the connection is taken for dead: two pings and a slow answer.
pub const DEAD_AFTER: Duration = Duration::from_secs(45);

/// How long an attempt to connect, up to the answer to resume, may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The shortest wait after a failed attempt.
pub const BACK_OFF_MIN: Duration = Duration::from_secs(1);

/// The longest one: a person who looks again after a minute is served.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// Attempts of a sign-up or sign-in before it is told to have failed: a person waits for it.
pub const SIGN_IN_ATTEMPTS_MAX: u32 = 3;

/// Time between two receipts of one conversation (the server passes on no more).
pub const RECEIPT_INTERVAL: Duration = Duration::from_secs(2);

/// Marks of others are written this long after they came, so that a busy group costs no transaction
/// per receipt. Lost ones come again with the next resume.
pub const MARKS_WRITTEN_AFTER: Duration = Duration::from_secs(5);

/// How long an own message that was accepted may take to appear in the log before it is fetched.
pub const ECHO_WITHIN: Duration = Duration::from_secs(1);

/// The server ends a typing mark by itself after 6 s; so does the client, in case it hears nothing.
pub const TYPING_LASTS: Duration = Duration::from_secs(6);

/// Time between two typing marks while somebody types.
pub const TYPING_INTERVAL: Duration = Duration::from_secs(4);

/// How long the connection is kept in the background, for those who only look something up.
pub const BACKGROUND_LINGER: Duration = Duration::from_secs(30);

/// Time between two looks for expired payloads.
pub const EXPIRY_INTERVAL: Duration = Duration::from_secs(30);

/// After a tail check that a full read could not settle, no other reconnect is made for its sake for
/// this long: a server that counts differently must not cost a reconnect every 20 seconds.
pub const TAIL_CHECK_PAUSE: Duration = Duration::from_secs(600);

/// The wait before a refused request of the outbox is offered again, where the server names none.
pub const OUTBOX_BACK_OFF_MIN: Duration = Duration::from_secs(1);

/// The longest such wait.
pub const OUTBOX_BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Groups of sealed conversations in memory. Past it those that were not used for the longest time are
/// let go: reading one again takes well under a millisecond.
pub const GROUPS_IN_MEMORY_MAX: usize = 64;

/// Invitations that wait, each with the tree of its group. Above it they are dropped: the device comes
/// in by itself.
pub const INVITATIONS_HELD_MAX: usize = 64;

/// Messages that are sealed under one synced transaction.
pub const SEALED_WINDOW: usize = 32;

/// Messages of one sealed conversation without an answer, at most, where the connection is slow.
pub const SEALED_IN_FLIGHT_MAX: usize = 8;

/// For each of these that a round trip takes, one message may be in flight: four a second, far below
/// what the server takes, so that it does not refuse one of them and take the next.
pub const SEALED_FLIGHT_STEP: Duration = Duration::from_millis(250);

/// Refusals in a row that name another epoch although all was read. Past it the device's group and the
/// server's have nothing in common, and the device comes in again.
pub const CONFLICTS_MAX: u32 = 8;

/// How long a message waits before it is offered again after the server asked for a Commit that this
/// device saw no reason for.
pub const SETTLE_WITHIN: Duration = Duration::from_secs(2);

/// How long a device waits for a Welcome before it comes in by itself.
pub const WELCOME_WITHIN: Duration = Duration::from_secs(10);

/// How long building a Commit or joining waits for device lists before it is tried without them.
pub const LISTS_WITHIN: Duration = Duration::from_secs(10);

/// The wait before a refused Commit is offered again, where the server names none.
pub const COMMIT_BACK_OFF: Duration = Duration::from_secs(5);

/// The wait before a device tries again to come into a group that did not take it.
pub const JOIN_BACK_OFF: Duration = Duration::from_secs(60);

/// Groups that a device comes into at the same time: each costs a tree and a Commit, and what the
/// person does meanwhile goes first.
pub const JOINS_IN_FLIGHT_MAX: usize = 2;

/// Accounts whose key packages are claimed at once: with two devices each they fill one Commit.
pub const ACCOUNTS_PER_CLAIM: usize = 64;

/// A group's topic, in bytes. A longer one is not taken.
pub const TOPIC_BYTES_MAX: usize = 1_024;

/// Entries of a device list that are offered again in one request: half of a frame.
pub const LIST_ENTRIES_PER_REQUEST: usize = 256;

/// The wait before a refused request about device lists is made again, where the server names none.
pub const LIST_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A device list that had nothing new is not fetched again for this long: whoever still misses a device
/// in it asks the server no more often.
pub const LIST_FETCH_PAUSE: Duration = Duration::from_secs(5);

/// How long a key package of last resort is used: whoever has recorded a Welcome for it can open that
/// no longer once its key is gone.
pub const LAST_RESORT_LASTS: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long an expired key package is kept for a Welcome that is still on its way.
pub const KEY_PACKAGE_KEPT_FOR: Duration = Duration::from_secs(60 * 60);

/// The wait before key packages that were refused are published again, where the server names none.
pub const KEY_PACKAGES_RETRY_AFTER: Duration = Duration::from_secs(10);

/// The wait before a refused claim is made again, where the server names none.
pub const CLAIM_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The wait before a refused read of the inbox is made again, where the server names none.
pub const INBOX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long after a change its value is put into the account log: a draft that is being typed costs a
/// request per second and not per letter.
pub const SHARED_AFTER: Duration = Duration::from_secs(1);

/// How long after the log was read all that this device has is compared with it: what another device
/// is putting just then arrives before.
pub const EVERYTHING_SHARED_AFTER: Duration = Duration::from_secs(10);

/// Values of the account log on their way at once: they hide the round trip, and leave room for what
/// the person does meanwhile.
pub const ACCOUNT_VALUES_IN_FLIGHT_MAX: usize = 4;

/// The wait before a refused request about the account log is made again, where the server names none.
pub const ACCOUNT_LOG_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Keys of the account log that are remembered because this device cannot read them: as many as the
/// server keeps. More are left where they are.
pub const UNREADABLE_KEYS_MAX: usize = 10_000;

/// How long this device waits for a new one to prove that it shows the code: as long as a code is valid.
/// After it [`crate::Failure::NotConnected`].
pub const LINK_PROVED_WITHIN: Duration = tidings_protocol_linking::limits::CODE_LIFE;

/// Rows of a log that are read at once for another device, or for the backup: what of them fits into one
/// message goes.
pub const STRETCH_ROWS: usize = 100;

/// How long keys of a handed-over history are kept: a device that was not on for a month gives and gets
/// nothing more.
pub const HISTORY_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Devices that are given history by this one at the same time: as many as an account has. Past it the
/// first one is given nothing more.
pub const HISTORY_GIVEN_MAX: usize = tidings_model::limits::DEVICES_MAX;

/// How long a request for history waits for its answer at first. After it the person is told for whom it
/// waits, and it is asked again, each time after twice the span.
pub const HISTORY_ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest such wait.
pub const HISTORY_ASKED_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long the handshakes of sealed conversations are kept, to be given back to a server that was
/// restored from a backup: as long as it takes them.
pub const HANDSHAKES_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Bytes of handshakes that are kept of one conversation, the newest: a month of a large group.
pub const HANDSHAKES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a handshake that was given back waits for device lists to get to the server before it.
pub const LISTS_GIVEN_BACK_WITHIN: Duration = Duration::from_secs(2);

/// Device lists that are given back before a handshake is tried again: its author's and those of
/// members. Others are given back by others.
pub const LISTS_GIVEN_BACK_MAX: usize = 64;

/// How long a server may not know a conversation that this device is in, before what waits in it is
/// refused for good: others have that long to give back the Commit that brought this account in.
pub const UNKNOWN_WITHIN: Duration = Duration::from_secs(5 * 60);

/// Time between two looks whether it knows it.
pub const UNKNOWN_RETRY_AFTER: Duration = Duration::from_secs(15);

/// How long what was said waits for more before it goes into the recovery backup: each chunk costs 4 KiB
/// at least.
pub const BACKUP_AFTER: Duration = Duration::from_secs(10 * 60);

/// How many places of logs do not wait: about half a chunk.
pub const BACKUP_AT_ONCE_PLACES: u64 = 128;

/// How much longer each device of an account waits than the one before it in the device list, so that two
/// do not write the same.
pub const BACKUP_TURN: Duration = Duration::from_secs(60);

/// The wait before a refused request about the backup is made again, where the server names none, and for
/// the account log to hold a new key.
pub const BACKUP_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Spans of one conversation that the backup is known to lack. Past it the two that lie farthest back are
/// taken for one.
pub const BACKUP_GAPS_MAX: usize = 8;

/// How often it is looked what the backup lacks: over all conversations, and so not with every step.
pub const BACKUP_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a request for history that is made again is the same one for the server, which keeps it for the
/// other device: while that is away for a month, its inbox gets some hundred of them.
pub const HISTORY_ASKED_ANEW_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// The wait before a part of the history that was refused is given again, where the server names none.
pub const HISTORY_RETRY_AFTER: Duration = Duration::from_secs(60);
