//! The pace of a sealed conversation's Commits.
//!
//! Each Commit makes every message that is under way stale, so Commits without a pace starve slow
//! senders (measured). The gap between two of them lets the slowest recent sender hear of the one, seal
//! again and be heard before the next. A device that loses against others again and again gets a turn of
//! its own. Nothing of this is stored: after a restart of the server the first Commit does not wait.

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_model::{DeviceId, GroupEpoch, Monotonic};

use crate::limits::{
    COMMIT_CONFLICTS_MAX, COMMIT_GAP_MAX, COMMIT_GAP_MIN, COMMIT_GAP_ROUND_TRIPS, COMMIT_JUMPS_MAX,
    COMMIT_LEASE, ROUND_TRIP_MAX, SENDER_LASTS,
};

/// What a Commit is about, as far as the pace cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// It removes somebody: it does not wait, if not too many before it did not either.
    Removal,
    /// It waits.
    Routine,
}

/// The pace of one conversation.
#[derive(Debug, Default)]
pub(super) struct Pace {
    committed_at: Option<Monotonic>,
    /// Removals in a row that did not wait.
    jumps: u32,
    /// Devices that lost, how often in a row, and in which epoch last.
    losers: BTreeMap<DeviceId, (u32, GroupEpoch)>,
    /// Whose turn it is, and until when.
    lease: Option<(DeviceId, Monotonic)>,
    /// When devices sent last, and their round trips.
    senders: BTreeMap<DeviceId, (Monotonic, Duration)>,
}

impl Pace {
    /// A device has sent a message or a Commit.
    pub(super) fn note_sender(
        &mut self,
        now: Monotonic,
        device: DeviceId,
        round_trip: Option<Duration>,
    ) {
        self.senders.retain(|_, (at, _)| now.since(*at) < SENDER_LASTS);
        self.senders.insert(device, (now, round_trip.unwrap_or_default().min(ROUND_TRIP_MAX)));
    }

    /// Whether a device's Commit may come now; if not, how long it has to wait.
    pub(super) fn check(
        &self,
        now: Monotonic,
        device: DeviceId,
        urgency: Urgency,
    ) -> Result<(), Duration> {
        match self.wait(now, device) {
            Some(_) if urgency == Urgency::Removal && self.jumps < COMMIT_JUMPS_MAX => Ok(()),
            Some(wait) => Err(wait),
            None => Ok(()),
        }
    }

    /// A device's Commit is in the log.
    pub(super) fn note_accepted(&mut self, now: Monotonic, device: DeviceId, urgency: Urgency) {
        let jumped = urgency == Urgency::Removal && self.wait(now, device).is_some();
        self.jumps = if jumped { self.jumps + 1 } else { 0 };
        self.committed_at = Some(now);
        self.losers.remove(&device);
        if self.lease.is_some_and(|(holder, _)| holder == device) {
            self.lease = None;
        }
    }

    /// A device's Commit came too late. Only one that was made in the epoch before counts, and once in
    /// each, so that nobody gets a turn by sending what is stale.
    pub(super) fn note_conflict(
        &mut self,
        now: Monotonic,
        device: DeviceId,
        made_in: GroupEpoch,
        place: GroupEpoch,
    ) {
        let before = self.losers.get(&device).copied();
        if made_in.next() != place || before.is_some_and(|(_, last)| last == made_in) {
            return;
        }
        let lost = before.map_or(0, |(lost, _)| lost) + 1;
        let is_free = self.lease.is_none_or(|(_, until)| until <= now);
        if lost >= COMMIT_CONFLICTS_MAX && is_free {
            self.losers.remove(&device);
            self.lease = Some((device, self.next_at(now).max(now).plus(COMMIT_LEASE)));
        } else {
            self.losers.insert(device, (lost, made_in));
        }
    }

    fn wait(&self, now: Monotonic, device: DeviceId) -> Option<Duration> {
        let lease = self.lease.filter(|(holder, _)| *holder != device);
        let at = lease.map_or(self.next_at(now), |(_, until)| until.max(self.next_at(now)));
        (at > now).then(|| at.since(now))
    }

    /// When the next Commit may come.
    fn next_at(&self, now: Monotonic) -> Monotonic {
        self.committed_at.map_or(now, |at| at.plus(self.gap(now)))
    }

    fn gap(&self, now: Monotonic) -> Duration {
        let recent = self.senders.values().filter(|(at, _)| now.since(*at) < SENDER_LASTS);
        let slowest = recent.map(|(_, round_trip)| *round_trip).max().unwrap_or_default();
        (slowest * COMMIT_GAP_ROUND_TRIPS).clamp(COMMIT_GAP_MIN, COMMIT_GAP_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: DeviceId = DeviceId::from_bytes([1; 16]);
    const KOFI: DeviceId = DeviceId::from_bytes([2; 16]);

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_millis(millis))
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn epoch(epoch: u64) -> GroupEpoch {
        GroupEpoch { generation: 1, epoch }
    }

    /// A pace whose last Commit was Anna's, at 0.
    fn after_a_commit() -> Pace {
        let mut pace = Pace::default();
        assert_eq!(pace.check(at(0), ANNA, Urgency::Routine), Ok(()));
        pace.note_accepted(at(0), ANNA, Urgency::Routine);
        pace
    }

    #[test]
    fn commits_are_two_seconds_apart() {
        let pace = after_a_commit();
        assert_eq!(pace.check(at(500), KOFI, Urgency::Routine), Err(millis(1_500)));
        assert_eq!(pace.check(at(1_999), ANNA, Urgency::Routine), Err(millis(1)));
        assert_eq!(pace.check(at(2_000), KOFI, Urgency::Routine), Ok(()));
    }

    #[test]
    fn gap_is_three_round_trips_of_the_slowest_recent_sender() {
        let mut pace = after_a_commit();
        pace.note_sender(at(0), KOFI, Some(millis(2_000)));
        pace.note_sender(at(0), ANNA, Some(millis(10)));
        assert_eq!(pace.check(at(0), ANNA, Urgency::Routine), Err(millis(6_000)));
        pace.note_sender(at(0), KOFI, Some(Duration::from_secs(1_000)));
        assert_eq!(pace.check(at(0), ANNA, Urgency::Routine), Err(COMMIT_GAP_MAX));
        // Who sent a minute ago counts no more.
        pace.note_accepted(at(60_000), ANNA, Urgency::Routine);
        assert_eq!(pace.check(at(60_000), ANNA, Urgency::Routine), Err(COMMIT_GAP_MIN));
    }

    #[test]
    fn removal_does_not_wait_but_the_fourth_in_a_row_does() {
        let mut pace = after_a_commit();
        for _ in 0..3 {
            assert_eq!(pace.check(at(10), KOFI, Urgency::Removal), Ok(()));
            pace.note_accepted(at(10), KOFI, Urgency::Removal);
        }
        assert_eq!(pace.check(at(10), KOFI, Urgency::Removal), Err(COMMIT_GAP_MIN));
        assert_eq!(pace.check(at(2_010), KOFI, Urgency::Removal), Ok(()));
        pace.note_accepted(at(2_010), KOFI, Urgency::Removal);
        assert_eq!(pace.check(at(2_020), KOFI, Urgency::Removal), Ok(()));
    }

    #[test]
    fn device_that_lost_three_times_has_the_next_turn() {
        let mut pace = after_a_commit();
        for lost in 0..3 {
            pace.note_conflict(at(100), KOFI, epoch(lost), epoch(lost + 1));
        }
        assert_eq!(pace.check(at(2_000), ANNA, Urgency::Routine), Err(millis(5_000)));
        assert_eq!(pace.check(at(2_000), KOFI, Urgency::Routine), Ok(()));
        assert_eq!(pace.check(at(2_000), ANNA, Urgency::Removal), Ok(()));
        pace.note_accepted(at(2_000), KOFI, Urgency::Routine);
        assert_eq!(pace.check(at(4_000), ANNA, Urgency::Routine), Ok(()));
    }

    #[test]
    fn turn_that_is_not_taken_ends() {
        let mut pace = after_a_commit();
        for lost in 0..3 {
            pace.note_conflict(at(100), KOFI, epoch(lost), epoch(lost + 1));
        }
        assert_eq!(pace.check(at(7_000), ANNA, Urgency::Routine), Ok(()));
    }

    #[test]
    fn stale_commits_bring_no_turn() {
        let mut pace = after_a_commit();
        for _ in 0..9 {
            pace.note_conflict(at(100), KOFI, epoch(3), epoch(9));
            pace.note_conflict(at(100), KOFI, epoch(8), epoch(9));
        }
        assert_eq!(pace.check(at(2_000), ANNA, Urgency::Routine), Ok(()));
    }
}
