//! The bounds of names, passwords and SCRAM messages.
//!
//! Going over one of them is an error that names it; nothing is cut short silently. Deliberately not
//! here: the lengths of names, which other layers share ([`tidings_model::limits`]).

use tidings_model::limits::USER_NAME_BYTES_MAX;

/// Longest user name as typed, in bytes. Preparation shortens some names (full-width letters take
/// three bytes, their plain forms one), so it may be longer than the prepared name; past this it is
/// refused before any work is spent on it.
pub const USER_NAME_INPUT_BYTES_MAX: usize = 4 * USER_NAME_BYTES_MAX;

/// Longest password, in bytes: any passphrase, while a text pasted by mistake is refused before it
/// is hashed.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Longest SCRAM message, in bytes. The longest honest one carries an escaped user name, two nonces
/// and a binding, under 1 KiB together.
pub const SCRAM_MESSAGE_BYTES_MAX: usize = 2048;

/// Random bytes in a nonce of ours: 144 bits, which are 24 characters without padding.
pub const NONCE_BYTES: usize = 18;

/// Bytes of salt that this crate's decoys have and that a new verifier should have (RFC 5802 §2.2
/// asks for a salt of its own per user; 128 bits never repeat).
pub const SALT_BYTES: usize = 16;

/// Shortest salt that is accepted, in bytes: that of other programs' verifiers.
pub const SALT_BYTES_MIN: usize = 8;

/// Longest salt that is accepted, in bytes.
pub const SALT_BYTES_MAX: usize = 64;

/// Fewest rounds of hashing that either side accepts (RFC 7677 §4). Below it a client stops, since a
/// server in the middle could ask for one round and guess the password from the proof.
pub const ITERATIONS_MIN: u32 = 4_096;

/// Rounds of hashing in a new verifier. Only the client pays them, once per sign-up and sign-in, as
/// devices hold tokens: measured 12 ms on a processor with SHA instructions, and some tenths of a
/// second are expected in a browser on an old phone. RFC 7677's 4,096 date from 2015; the 600,000
/// that are advised where servers hash would hold such a phone's only thread for seconds.
pub const ITERATIONS_DEFAULT: u32 = 100_000;

/// Most rounds of hashing that either side accepts: seconds on an old phone. With a number near the
/// end of its type a hostile server would keep a client busy for hours.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// Longest host in an address, in bytes (RFC 1035 §2.3.4).
pub const HOST_BYTES_MAX: usize = 253;

/// Longest invite link that is read, in bytes: the longest host, a port, token and fingerprint.
pub const INVITE_LINK_BYTES_MAX: usize = 512;
