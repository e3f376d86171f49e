//! The result line, and what makes a replay a failure.

use std::fmt;
use std::time::Duration;

use crate::check::Tally;
use crate::membership::Handshakes;
use crate::order::Counts;
use crate::plan::Sealing;
use crate::stage::Kind;

/// Server kills below which a replay proves nothing.
const SERVER_KILLS_MIN: u64 = 3;

/// Lines from which on Commits and messages of a group have to meet; the beginning of a day may be over
/// before they do.
const CROWDED_LINES_MIN: usize = 1_000;

/// What a replay came to. It starts with everything lost, and is filled as things are known, so that
/// it can be printed whatever happens.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Score {
    pub(crate) kind: Kind,
    pub(crate) sealing: Sealing,
    pub(crate) members: usize,
    pub(crate) messages: usize,
    pub(crate) reconnects: u64,
    pub(crate) server_kills: u64,
    pub(crate) client_kills: u64,
    /// What the logs hold of Commits since the first line.
    pub(crate) handshakes: Handshakes,
    /// What the clients counted.
    pub(crate) counts: Counts,
    pub(crate) tally: Tally,
    pub(crate) time: Duration,
    pub(crate) server_cpu: Duration,
}

impl Score {
    /// The score before anything was sent.
    pub(crate) fn new(kind: Kind, sealing: Sealing, members: usize, messages: usize) -> Self {
        Self {
            kind,
            sealing,
            members,
            messages,
            reconnects: 0,
            server_kills: 0,
            client_kills: 0,
            handshakes: Handshakes::default(),
            counts: Counts::default(),
            tally: Tally { lost: messages as u64, ..Tally::default() },
            time: Duration::ZERO,
            server_cpu: Duration::ZERO,
        }
    }

    /// Why the replay is a failure, if it is one.
    pub(crate) fn failure(&self) -> Option<String> {
        let Tally { lost, doubled, swapped, leaked, undecryptable, .. } = self.tally;
        let is_sealed = self.sealing == Sealing::Sealed;
        // A pair is too small for its Commits and messages to meet in every replay, and so is a minute.
        let is_crowded =
            is_sealed && self.kind == Kind::Group && self.messages >= CROWDED_LINES_MIN;
        let failures = [
            (lost > 0, "lines were lost"),
            (doubled > 0, "lines were doubled"),
            (swapped > 0, "lines were swapped"),
            (leaked > 0, "members have lines from outside their ranges"),
            (undecryptable > 0, "lines could not be decrypted"),
            (self.server_kills < SERVER_KILLS_MIN, "the server was killed fewer than three times"),
            (self.client_kills == 0, "no client was killed"),
            (self.reconnects == 0, "nobody had to reconnect"),
            (is_sealed && self.handshakes.commits == 0, "there was no Commit"),
            (is_sealed && self.handshakes.rejoins == 0, "no device came back in"),
            (is_crowded && self.counts.conflicts == 0, "no epoch conflict came about"),
            (is_crowded && self.counts.resealed == 0, "no message was sealed again"),
        ];
        let words: Vec<&str> =
            failures.into_iter().filter(|(is_true, _)| *is_true).map(|(_, words)| words).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl fmt::Display for Score {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "members {}, messages {}, deliveries {}, reconnects {}, kills {}, client-kills {}, \
             commits {}, conflicts {}, resealed {}, rejoins {}, lost {}, doubled {}, swapped {}, \
             undecryptable {}, seconds {:.1}, server-cpu-seconds {:.1}",
            self.members,
            self.messages,
            self.tally.deliveries,
            self.reconnects,
            self.server_kills,
            self.client_kills,
            self.handshakes.commits,
            self.counts.conflicts,
            self.counts.resealed,
            self.handshakes.rejoins,
            self.tally.lost,
            self.tally.doubled,
            self.tally.swapped,
            self.tally.undecryptable,
            self.time.as_secs_f64(),
            self.server_cpu.as_secs_f64(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> Score {
        Score {
            reconnects: 4,
            server_kills: 3,
            client_kills: 1,
            handshakes: Handshakes { commits: 210, rejoins: 2 },
            counts: Counts { conflicts: 30, resealed: 40 },
            tally: Tally { deliveries: 99, ..Tally::default() },
            time: Duration::from_millis(61_240),
            server_cpu: Duration::from_millis(7_350),
            ..Score::new(Kind::Group, Sealing::Sealed, 12, 200)
        }
    }

    #[test]
    fn line_has_the_form_that_others_read() {
        assert_eq!(
            clean().to_string(),
            "members 12, messages 200, deliveries 99, reconnects 4, kills 3, client-kills 1, \
             commits 210, conflicts 30, resealed 40, rejoins 2, lost 0, doubled 0, swapped 0, \
             undecryptable 0, seconds 61.2, server-cpu-seconds 7.3"
        );
    }

    #[test]
    fn clean_replay_with_faults_is_no_failure() {
        assert_eq!(clean().failure(), None);
    }

    #[test]
    fn replay_that_loses_or_proves_nothing_is_a_failure() {
        let tally = |tally| Score { tally, ..clean() };
        let none = Tally::default();
        for score in [
            tally(Tally { lost: 1, ..none }),
            tally(Tally { doubled: 1, ..none }),
            tally(Tally { swapped: 1, ..none }),
            tally(Tally { leaked: 1, ..none }),
            tally(Tally { undecryptable: 1, ..none }),
            Score { server_kills: 2, ..clean() },
            Score { client_kills: 0, ..clean() },
            Score { reconnects: 0, ..clean() },
            Score { handshakes: Handshakes { commits: 0, rejoins: 2 }, ..clean() },
            Score { handshakes: Handshakes { commits: 210, rejoins: 0 }, ..clean() },
            Score { counts: Counts { conflicts: 0, resealed: 40 }, messages: 1_000, ..clean() },
            Score { counts: Counts { conflicts: 30, resealed: 0 }, messages: 1_000, ..clean() },
            Score::new(Kind::Group, Sealing::Sealed, 1, 1),
        ] {
            assert!(score.failure().is_some(), "{score}");
        }
    }

    #[test]
    fn beginning_of_a_day_may_pass_without_a_conflict() {
        let quiet = Score { counts: Counts::default(), ..clean() };
        assert_eq!(quiet.failure(), None);
        assert!(Score { messages: 1_000, ..quiet }.failure().is_some());
    }

    #[test]
    fn pairs_need_commits_and_a_device_that_comes_back_and_open_ones_neither() {
        let quiet = Score { counts: Counts::default(), kind: Kind::Pairs, ..clean() };
        assert_eq!(quiet.failure(), None);
        let still = Score { handshakes: Handshakes::default(), ..quiet };
        assert!(still.failure().is_some());
        assert_eq!(Score { sealing: Sealing::Open, ..still }.failure(), None);
    }
}
