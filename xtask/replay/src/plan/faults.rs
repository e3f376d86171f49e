//! Every fault of a replay: kills of the server and of clients, cuts of connections, lost states.
//!
//! Each comes shortly after a line, so that it meets that line on its way.

use std::time::Duration;

use fastrand::Rng;

use super::{Act, Arrival, Plan, Sealing, Step};

/// After these parts of the lines the server is killed.
const SERVER_KILLS: [f64; 3] = [0.25, 0.5, 0.75];

/// Lines for which the server is killed once more, at a random one: two or so on a whole day.
const LINES_PER_EXTRA_SERVER_KILL: usize = 800;

/// Lines for which a client process is killed, and the fewest of such kills.
const LINES_PER_CLIENT_KILL: usize = 100;
const CLIENT_KILLS_MIN: usize = 3;

/// Lines for which a connection is cut, and the fewest of such cuts.
const LINES_PER_CUT: usize = 10;
const CUTS_MIN: usize = 10;

/// Devices of which one loses its state, and the fewest that do.
const DEVICES_PER_LOSS: usize = 50;
const LOSSES_MIN: usize = 1;

/// Between these parts of the lines states are lost: there is something to lose, and time to come back.
const LOSSES: std::ops::Range<f64> = 0.2..0.8;

/// A fault comes up to this long after its line was handed over, so that kills meet the line on its
/// way: in the client's outbox, on the wire, in the server's queue, in the answer.
const FAULT_DELAY_MAX: Duration = Duration::from_millis(30);

/// How long a killed server stays away.
const SERVER_DOWN: std::ops::Range<u64> = 50..1_500;

impl Plan {
    pub(super) fn add_faults(&mut self, random: &mut Rng, sealing: Sealing) {
        let lines = self.lines.len();
        let mut server_kills = SERVER_KILLS.to_vec();
        server_kills.extend((0..lines / LINES_PER_EXTRA_SERVER_KILL).map(|_| random.f64()));
        for part in server_kills {
            let down_for = Duration::from_millis(random.u64(SERVER_DOWN));
            self.add_fault(random, part, |_| Act::KillServer { down_for });
        }
        for _ in 0..(lines / LINES_PER_CLIENT_KILL).max(CLIENT_KILLS_MIN) {
            let part = random.f64();
            self.add_fault(random, part, |device| Act::KillClients { device });
        }
        for _ in 0..(lines / LINES_PER_CUT).max(CUTS_MIN) {
            let (part, choice) = (random.f64(), random.u64(..));
            self.add_fault(random, part, |_| Act::CutConnection { choice });
        }
        if sealing == Sealing::Sealed {
            self.add_losses(random);
        }
        self.sort();
    }

    /// Lets devices lose their state that are in the group throughout, so that each comes back.
    fn add_losses(&mut self, random: &mut Rng) {
        let may_lose = |device: &usize| {
            let of_plan = self.devices[*device];
            of_plan.arrival != Arrival::Later
                && self.stays_throughout(of_plan.member)
                && !self.members[of_plan.member].is_offline_at_first
        };
        let mut candidates: Vec<usize> = (0..self.devices.len()).filter(may_lose).collect();
        random.shuffle(&mut candidates);
        let losses = (self.devices.len() / DEVICES_PER_LOSS).max(LOSSES_MIN);
        for device in candidates.into_iter().take(losses) {
            let part = LOSSES.start + (LOSSES.end - LOSSES.start) * random.f64();
            self.add_fault(random, part, |_| Act::LoseState { device });
        }
    }

    /// Adds a fault shortly after the line that stands behind a part of all lines.
    fn add_fault(&mut self, random: &mut Rng, part: f64, act: impl FnOnce(usize) -> Act) {
        let Some((at, line)) = self.says().nth(self.index_of_line(part)) else { return };
        let at = at + FAULT_DELAY_MAX.mul_f64(random.f64());
        let act = act(self.lines[line].device);
        self.steps.push(Step { at, act });
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pace;
    use super::super::tests::{PACE, chatter, count};
    use super::*;

    #[test]
    fn server_is_killed_after_a_quarter_a_half_and_three_quarters_of_the_lines() {
        let plan = Plan::group(&chatter(30, 200), PACE);
        let mut said = 0;
        let mut kills = Vec::new();
        for step in &plan.steps {
            match step.act {
                Act::Say { .. } => said += 1,
                Act::KillServer { .. } => kills.push(said),
                _ => {}
            }
        }
        assert_eq!(kills.len(), 3);
        for (kill, quarter) in kills.into_iter().zip([50, 100, 150]) {
            assert!((quarter..=quarter + 2).contains(&kill), "{kill} {quarter}");
        }
        assert!(count(&plan, |act| matches!(act, Act::KillClients { .. })) >= 3);
        assert!(count(&plan, |act| matches!(act, Act::CutConnection { .. })) >= 10);
    }

    #[test]
    fn one_device_in_fifty_loses_its_state_and_is_in_the_group_throughout() {
        let losers = |plan: &Plan| -> Vec<usize> {
            let acts = plan.steps.iter().map(|step| &step.act);
            acts.filter_map(|act| match act {
                Act::LoseState { device } => Some(*device),
                _ => None,
            })
            .collect()
        };
        for (people, expected) in [(30, 1), (150, 3)] {
            let plan = Plan::group(&chatter(people, 600), PACE);
            assert_eq!(losers(&plan).len(), expected);
            for device in losers(&plan) {
                let of_plan = plan.devices[device];
                assert!(plan.stays_throughout(of_plan.member));
                assert!(!plan.members[of_plan.member].is_offline_at_first);
                assert_ne!(of_plan.arrival, Arrival::Later);
            }
        }
        let open = Pace { sealing: Sealing::Open, ..PACE };
        assert_eq!(losers(&Plan::group(&chatter(150, 600), open)), [0; 0]);
    }
}
