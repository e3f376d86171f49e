//! Rates: how many messages a session may send, how many passwords a network may try, how many people
//! an account may look up and how often it may claim their key packages.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_model::Monotonic;

use crate::request::PeerNetwork;

/// Names and networks with failed sign-ins that are remembered. Beyond it the oldest windows go first:
/// an attacker who has that many networks is not stopped by a counter.
const FAILURES_MAX: usize = 50_000;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A token bucket in thousandths of a token.
#[derive(Debug, Clone)]
pub(super) struct TokenBucket {
    per_second: u64,
    capacity: u64,
    level: u64,
    filled_at: Monotonic,
}

impl TokenBucket {
    pub(super) fn full(per_second: u32, burst: u32, now: Monotonic) -> Self {
        let capacity = u64::from(burst.max(1)) * 1_000;
        Self { per_second: u64::from(per_second.max(1)), capacity, level: capacity, filled_at: now }
    }

    /// Takes a token, or says how long the next one takes.
    pub(super) fn take(&mut self, now: Monotonic) -> Result<(), Duration> {
        let elapsed = now.since(self.filled_at);
        let gained = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let gained = gained.saturating_mul(self.per_second);
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(self.capacity);
            self.filled_at = now;
        }
        if self.level < 1_000 {
            return Err(Duration::from_millis((1_000 - self.level).div_ceil(self.per_second)));
        }
        self.level -= 1_000;
        Ok(())
    }
}

/// Counts events in a span that begins with the first of them.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began: Option<Monotonic>,
    count: u32,
}

impl Window {
    /// How long until the window allows another event, if it does not now.
    fn wait(&self, max: u32, span: Duration, now: Monotonic) -> Option<Duration> {
        let began = self.began?;
        let passed = now.since(began);
        (passed < span && self.count >= max).then(|| span - passed)
    }

    fn count(&mut self, span: Duration, now: Monotonic) {
        if self.began.is_none_or(|began| now.since(began) >= span) {
            *self = Self { began: Some(now), count: 0 };
        }
        self.count += 1;
    }
}

/// Failed sign-ins by user name and network.
#[derive(Debug, Default)]
pub(super) struct SignInFailures {
    windows: BTreeMap<(String, [u8; 6]), Window>,
}

impl SignInFailures {
    /// How long a network has to wait before it may try this name again.
    pub(super) fn wait(
        &self,
        user_name: &str,
        peer: PeerNetwork,
        max: u32,
        now: Monotonic,
    ) -> Option<Duration> {
        self.windows.get(&(user_name.to_owned(), peer.0))?.wait(max, MINUTE, now)
    }

    pub(super) fn count(&mut self, user_name: String, peer: PeerNetwork, now: Monotonic) {
        if self.windows.len() >= FAILURES_MAX {
            self.forget_old(now);
        }
        self.windows.entry((user_name, peer.0)).or_default().count(MINUTE, now);
    }

    fn forget_old(&mut self, now: Monotonic) {
        self.windows.retain(|_, window| window.began.is_some_and(|at| now.since(at) < MINUTE));
        if self.windows.len() >= FAILURES_MAX {
            self.windows.pop_first();
        }
    }
}

/// How often one account has done something that is limited by the minute and by the day.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    minute: Window,
    day: Window,
}

impl Allowance {
    /// Counts one more, or gives the limit that was hit and how long to wait.
    pub(super) fn take(
        &mut self,
        per_minute: u32,
        per_day: u32,
        now: Monotonic,
    ) -> Result<(), (u32, Duration)> {
        if let Some(wait) = self.day.wait(per_day, DAY, now) {
            return Err((per_day, wait));
        }
        if let Some(wait) = self.minute.wait(per_minute, MINUTE, now) {
            return Err((per_minute, wait));
        }
        self.minute.count(MINUTE, now);
        self.day.count(DAY, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn burst_passes_and_then_the_rate_rules() {
        let mut bucket = TokenBucket::full(20, 3, at(0));
        for _ in 0..3 {
            assert_eq!(bucket.take(at(0)), Ok(()));
        }
        assert_eq!(bucket.take(at(0)), Err(Duration::from_millis(50)));
        assert_eq!(bucket.take(at(49)), Err(Duration::from_millis(1)));
        assert_eq!(bucket.take(at(50)), Ok(()));
        assert!(bucket.take(at(50)).is_err());
    }

    #[test]
    fn failures_of_one_network_do_not_lock_out_another() {
        let (here, there) = (PeerNetwork([1; 6]), PeerNetwork([2; 6]));
        let mut failures = SignInFailures::default();
        for _ in 0..5 {
            assert_eq!(failures.wait("anna", here, 5, at(0)), None);
            failures.count("anna".into(), here, at(0));
        }
        assert_eq!(failures.wait("anna", here, 5, at(10_000)), Some(Duration::from_secs(50)));
        assert_eq!(failures.wait("anna", there, 5, at(10_000)), None);
        assert_eq!(failures.wait("kofi", here, 5, at(10_000)), None);
        assert_eq!(failures.wait("anna", here, 5, at(60_000)), None);
    }

    #[test]
    fn look_ups_are_limited_by_minute_and_by_day() {
        let mut look_ups = Allowance::default();
        for _ in 0..2 {
            assert_eq!(look_ups.take(2, 3, at(0)), Ok(()));
        }
        assert_eq!(look_ups.take(2, 3, at(0)), Err((2, MINUTE)));
        assert_eq!(look_ups.take(2, 3, at(60_000)), Ok(()));
        assert!(matches!(look_ups.take(2, 3, at(120_000)), Err((3, _))));
        assert_eq!(look_ups.take(2, 3, at(24 * 60 * 60 * 1_000)), Ok(()));
    }
}
