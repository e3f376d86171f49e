//! The clocks and the randomness of the program. Nowhere else are they read.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidings_model::{Monotonic, Now, Timestamp};

/// Both clocks, with the start that monotonic readings count from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    start: Instant,
}

impl Clocks {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks.
    pub(crate) fn now(&self) -> Now {
        let millis =
            |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        };
        Now {
            monotonic: Monotonic::from_start(self.start.elapsed()),
            wall: Timestamp::from_millis(wall),
        }
    }
}

/// Draws random bytes from the system.
///
/// # Panics
/// If the system has none to give: nothing here is safe without them.
pub(crate) fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
