//! The bounds of the app protocol, with value, unit, reason, and what happens when they are hit.
//!
//! The server tells those that an app has to keep in `ServerHello.limits`; sizes of payloads and
//! groups are in `tidings_model::limits`. Sizes of what MLS makes are those of
//! `tidings_protocol_mls::limits`, which this crate does not depend on: a codec needs no cryptography.

/// One frame of an app, in bytes: four of the largest messages, or a resume with every cursor. A larger
/// one closes the connection with 1009 before anything is allocated for it, unless it is a handshake's:
/// [`HANDSHAKE_FRAME_BYTES_MAX`].
pub const FRAME_BYTES_MAX: usize = 256 * 1024;

/// A Commit, Welcome, GroupInfo or tree, in bytes: the worst of 2,048 leaves stay below 1 MiB with
/// today's suites; suites against quantum computers need some four times as much. A larger one gets
/// `PAYLOAD_TOO_LARGE`.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A frame with a `Commit`, a `Restart` or a `Create` of a sealed conversation, in bytes, once the
/// session is live: one handshake of the largest size with a frame around it. A larger one closes the
/// connection with 1009.
pub const HANDSHAKE_FRAME_BYTES_MAX: usize = HANDSHAKE_BYTES_MAX + 64 * 1024;

/// Fields in the body of a frame above [`FRAME_BYTES_MAX`]: a Commit with all the joiners that it may
/// have, and as many more of later versions. Each costs more in memory than on the wire, so one more
/// closes the connection with 1009, as one that is no handshake does.
pub const HANDSHAKE_FIELDS_MAX: usize = 256;

/// One frame of a server, in bytes: a group with the largest GroupInfo, the largest tree and a signed
/// leave of each of 1,024 members. An app closes the connection at a larger one.
pub const SERVER_FRAME_BYTES_MAX: usize = 10 * 1024 * 1024;

/// A message of a sealed conversation, in bytes: the largest that an open one takes, and what RFC 9420
/// §6.3 puts around it. A larger one gets `PAYLOAD_TOO_LARGE`.
pub const SEALED_BYTES_MAX: usize = tidings_model::limits::PAYLOAD_BYTES_MAX + 512;

/// A signed leave, in bytes: five times what it takes. A larger one gets `INVALID_FIELD`.
pub const LEAVE_BYTES_MAX: usize = 1_024;

/// Entries of a device list. More in one request get `DEVICE_LIST_REFUSED`.
pub const LIST_ENTRIES_MAX: usize = 1_024;

/// One entry of a device list, in bytes. A larger one gets `DEVICE_LIST_REFUSED`.
pub const LIST_ENTRY_BYTES_MAX: usize = 512;

/// Key packages in one request: a whole stock. More get `TOO_MANY_KEY_PACKAGES`.
pub const KEY_PACKAGES_MAX: usize = 200;

/// One key package, in bytes: 300 take those of today, 3,000 those against quantum computers. A larger
/// one gets `KEY_PACKAGE_REFUSED`.
pub const KEY_PACKAGE_BYTES_MAX: usize = 16 * 1024;

/// Accounts in one `ClaimKeyPackages` or `FetchDeviceLists`: as many as one Commit adds. More get
/// `INVALID_FIELD`.
pub const ACCOUNTS_PER_REQUEST_MAX: usize = 128;

/// A message to another device of the account, or a value of the account log, in bytes. A larger one
/// gets `PAYLOAD_TOO_LARGE`.
pub const DEVICE_PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// A key of the account log, in bytes. A longer one gets `INVALID_FIELD`.
pub const ACCOUNT_KEY_BYTES_MAX: usize = 64;

/// A chunk of the recovery backup, in bytes. A larger one gets `PAYLOAD_TOO_LARGE`.
pub const BACKUP_CHUNK_BYTES_MAX: usize = 72 * 1024;

/// Requests of one connection without an answer: a full outbox window, a few reads and the person's
/// own acts fit. One more gets `TOO_MANY_IN_FLIGHT`.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;

/// Items in the answer to one fetch: a screen and its surroundings in one round trip. A request for
/// more gets this many; the answer ends earlier where the frame is full.
pub const ENTRIES_PER_FETCH_MAX: usize = 256;

/// Cursors in a resume: as many as an account has conversations
/// (`tidings_model::limits::CONVERSATIONS_MAX`). More get `TOO_MANY_CURSORS`.
pub const CURSORS_PER_RESUME_MAX: usize = 4_096;

/// The agent in `Hello`, in bytes: a name and a version for a line of the log. A longer one gets
/// `INVALID_FIELD`.
pub const AGENT_BYTES_MAX: usize = 64;

/// Features in `Hello`: none are defined yet, and a list without a bound is an attack. More get
/// `INVALID_FIELD`.
pub const FEATURES_MAX: usize = 32;

/// Verifiers in a sign-up: SHA-256 and one for each later mechanism. More get `INVALID_FIELD`.
pub const VERIFIERS_MAX: usize = 4;

/// A device's token, in bytes.
pub const DEVICE_TOKEN_BYTES: usize = 32;

/// The token of an invite, in bytes.
pub const INVITE_TOKEN_BYTES: usize = 16;

/// The hash of a token (SHA-256), in bytes.
pub const TOKEN_HASH_BYTES: usize = 32;
