//! The bounds of the program: value, unit, reason, and what happens when one is hit. Those that an
//! operator may change are settings.

use std::time::Duration;

/// Time for a TLS handshake. Past it the connection is dropped.
pub(crate) const TLS_TIMEOUT: Duration = Duration::from_secs(10);

/// Time from the end of TLS to an upgrade, whatever is asked before. A person who reads the page needs
/// none of it. Past it the connection is dropped.
pub(crate) const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause in accepting when the system has no file or memory left for a connection: long enough not to
/// spin, short enough that nobody notices.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that the system completes before they are accepted: thousands come back at once when a
/// server was away.
pub(crate) const ACCEPT_BACKLOG: u32 = 4_096;

/// Threads that read the store. Queries are short and mostly in the page cache.
pub(crate) const READERS: usize = 4;

/// Commits, device lists and the like that wait for the observer. The core bounds their bytes; at some
/// hundred a second this is a wait that apps still put up with. One more gets `OVERLOADED`.
pub(crate) const JUDGEMENTS_MAX: usize = 512;

/// Inputs that the core's thread takes before it carries out what came of them.
pub(crate) const INPUTS_AT_ONCE: usize = 256;

/// Time to finish what is under way when the server stops. Past it the sessions are closed all the same.
pub(crate) const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the sessions to close after that. Past it the program ends.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a full disk is tried again, for `/ready`.
pub(crate) const FULL_DISK_PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Bytes written to find out whether the disk has room again.
pub(crate) const PROBE_BYTES: usize = 256 * 1024;

/// Connections at once to the listener of the metrics. One more is closed at once.
pub(crate) const METRICS_CONNECTIONS_MAX: usize = 16;

/// How often the metrics take over the core's numbers: counting them walks over all accounts in memory.
pub(crate) const OBSERVE_INTERVAL: Duration = Duration::from_secs(1);
