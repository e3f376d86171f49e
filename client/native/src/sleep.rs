//! Noticing that the device slept: the wall clock went on and the monotonic one did not.
//!
//! Systems tell programs without a window nothing about sleep. Where the monotonic clock counts sleep
//! (not on Linux) nothing is noticed here, and the core's own timers notice the silence. A wall clock
//! that is set forward looks the same and costs a reconnect.

use std::time::Duration;

use tidings_model::{Now, Timestamp};

use crate::limits::SLEEP_NOTICED_FROM;

/// Compares the clocks.
#[derive(Debug, Default)]
pub(crate) struct SleepWatch {
    /// When the monotonic clock began, by the wall clock, as it was seen last.
    began_at: Option<Timestamp>,
}

impl SleepWatch {
    /// Whether the device slept since the last look.
    pub(crate) fn has_slept(&mut self, now: Now) -> bool {
        let running = now.monotonic.since_start();
        let millis = i64::try_from(running.as_millis()).unwrap_or(i64::MAX);
        let began_at = Timestamp::from_millis(now.wall.as_millis().saturating_sub(millis));
        let slept = self.began_at.map_or(Duration::ZERO, |before| began_at.since(before));
        self.began_at = Some(began_at);
        slept >= SLEEP_NOTICED_FROM
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::Monotonic;

    use super::*;

    fn at(wall_secs: i64, monotonic_secs: u64) -> Now {
        Now {
            monotonic: Monotonic::from_start(Duration::from_secs(monotonic_secs)),
            wall: Timestamp::from_millis(wall_secs * 1_000),
        }
    }

    #[test]
    fn wall_clock_that_ran_on_alone_means_sleep_once() {
        let mut watch = SleepWatch::default();
        assert!(!watch.has_slept(at(1_000, 0)));
        assert!(!watch.has_slept(at(1_060, 60)));
        assert!(watch.has_slept(at(4_660, 61)));
        assert!(!watch.has_slept(at(4_670, 71)));
    }

    #[test]
    fn clock_that_is_set_back_or_drifts_is_no_sleep() {
        let mut watch = SleepWatch::default();
        assert!(!watch.has_slept(at(5_000, 0)));
        assert!(!watch.has_slept(at(1_000, 10)));
        assert!(!watch.has_slept(at(1_012, 20)));
    }
}
