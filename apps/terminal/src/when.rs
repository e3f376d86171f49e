//! Times as people read and write them, in the zone of this machine.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ZonedDateTime};
use tidings_model::Timestamp;

/// From when on `follow` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// A point in time.
    Time(Timestamp),
    /// A span before now.
    Ago(Duration),
}

impl Since {
    /// Reads a span (`90s`, `15m`, `2h`, `3d`) or a time of RFC 3339.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(span) = span(text) {
            return Ok(Self::Ago(span));
        }
        text.parse::<Instant>()
            .map(|instant| Self::Time(Timestamp::from_millis(instant.as_millisecond())))
            .map_err(|_| {
                "a time such as 2026-01-31T08:00Z or a span such as 90s, 15m, 2h or 3d is needed"
                    .to_owned()
            })
    }

    /// The point in time.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Ago(span) => {
                let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(millis))
            }
        }
    }
}

fn span(text: &str) -> Option<Duration> {
    let unit_at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at))?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// Now.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(Instant::now().as_millisecond())
}

/// Writes times in one zone.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// In the zone of this machine.
    pub(crate) fn of_this_machine() -> Self {
        Self { zone: TimeZone::system() }
    }

    /// In Greenwich.
    #[cfg(test)]
    pub(crate) fn utc() -> Self {
        Self { zone: TimeZone::UTC }
    }

    /// The clock time, `08:05`.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        self.zoned(time).strftime("%H:%M").to_string()
    }

    /// The day, `Sat 31 Jan 2026`; equal days have equal texts.
    pub(crate) fn day(&self, time: Timestamp) -> String {
        self.zoned(time).strftime("%a %-d %b %Y").to_string()
    }

    /// Day and clock time, `2026-01-31 08:05`.
    pub(crate) fn day_and_time(&self, time: Timestamp) -> String {
        self.zoned(time).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// For a list: the clock time today, else the day.
    pub(crate) fn short(&self, time: Timestamp, now: Timestamp) -> String {
        if self.day(time) == self.day(now) {
            self.time(time)
        } else {
            self.zoned(time).strftime("%Y-%m-%d").to_string()
        }
    }

    fn zoned(&self, time: Timestamp) -> ZonedDateTime {
        // A server may send any number; one that is no time shows as the nearest end of the calendar.
        let (first, last) = (Instant::MIN.as_millisecond(), Instant::MAX.as_millisecond());
        let millis = time.as_millis().clamp(first + DAY_MILLIS, last - DAY_MILLIS);
        Instant::from_millisecond(millis)
            .unwrap_or(Instant::UNIX_EPOCH)
            .to_zoned_datetime(self.zone.clone())
    }
}

/// Keeps a time away from the calendar's ends, so that its zone's offset does not carry it over.
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::utc()
    }

    fn time(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<Instant>().unwrap().as_millisecond())
    }

    #[test]
    fn spans_and_times_are_read() {
        assert_eq!(Since::parse("90s"), Ok(Since::Ago(Duration::from_secs(90))));
        assert_eq!(Since::parse("3d"), Ok(Since::Ago(Duration::from_secs(259_200))));
        let eight = time("2026-01-31T08:00:00Z");
        assert_eq!(Since::parse("2026-01-31T09:00+01:00"), Ok(Since::Time(eight)));
        for nonsense in ["", "h", "yesterday", "1w", "-1h", "é", "99999999999999999999d"] {
            assert!(Since::parse(nonsense).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn span_counts_back_from_now() {
        let now = time("2026-01-31T08:00:00Z");
        let ago = Since::Ago(Duration::from_secs(7_200)).resolve(now);
        assert_eq!(ago, time("2026-01-31T06:00:00Z"));
    }

    #[test]
    fn today_is_told_by_the_clock_and_other_days_by_their_date() {
        let now = time("2026-01-31T08:00:00Z");
        assert_eq!(clock().short(time("2026-01-31T00:05:00Z"), now), "00:05");
        assert_eq!(clock().short(time("2026-01-30T23:59:00Z"), now), "2026-01-30");
        assert_eq!(clock().day(now), "Sat 31 Jan 2026");
        assert_eq!(clock().day_and_time(now), "2026-01-31 08:00");
    }

    #[test]
    fn time_beyond_the_calendar_is_shown_and_does_no_harm() {
        for millis in [i64::MIN, i64::MAX] {
            assert_ne!(clock().day(Timestamp::from_millis(millis)), "");
        }
    }
}
