//! Time as it is stored and sent: milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
//!
//! A timestamp is a label for people and for expiry. Order comes from `seq`, and timers run on a
//! monotonic clock that their driver reads.

use std::fmt;
use std::time::Duration;

/// A point in time, in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes milliseconds since 1970 UTC.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 UTC.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The point a span later; the far end of time when it does not fit.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The point a span earlier; the beginning of time when it does not fit.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// The span since an earlier point; zero when `earlier` is later, since clocks jump.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A reading of a monotonic clock: the span since some start that the driver chose.
///
/// Timers use it, so that a jump of the wall clock neither fires nor delays one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(Duration);

impl Monotonic {
    /// Takes the span since the driver's start.
    pub const fn from_start(span: Duration) -> Self {
        Self(span)
    }

    /// The span since the driver's start.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// The reading a span later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// The span since an earlier reading; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Both clocks, read by the driver at the moment of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timers.
    pub monotonic: Monotonic,
    /// For what is stored and shown.
    pub wall: Timestamp,
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_is_never_negative_when_the_clock_jumps_back() {
        let now = Timestamp::from_millis(1_000);
        let later = Timestamp::from_millis(5_000);
        assert_eq!(now.since(later), Duration::ZERO);
        assert_eq!(later.since(now), Duration::from_secs(4));
    }

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        let start = Timestamp::from_millis(i64::MIN);
        assert_eq!(end.since(start), Duration::from_millis(i64::MAX as u64));
    }
}
