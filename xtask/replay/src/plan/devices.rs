//! Second devices: who has one, since when, and what is typed on it.
//!
//! Who stays throughout types on either device by chance. Who leaves and comes back types on the first
//! one alone, since a leave goes out behind that device's outbox and does not know of the other's.

use std::collections::HashMap;

use fastrand::Rng;

use super::{Act, Arrival, Device, Plan, Step};

/// Members of whom one has two devices from the start, and of whom one links a second one half-way.
const MEMBERS_PER_SECOND_DEVICE: usize = 10;
const MEMBERS_PER_LATER_DEVICE: usize = 20;

impl Plan {
    /// Gives some members a second device. At least one has it from the start and one links it
    /// half-way.
    pub(super) fn add_second_devices(&mut self, random: &mut Rng) {
        let mut candidates: Vec<usize> = (0..self.members.len())
            .filter(|member| !self.members[*member].is_offline_at_first)
            .collect();
        random.shuffle(&mut candidates);
        // Who links half-way is there half-way.
        candidates.sort_by_key(|member| !self.stays_throughout(*member));
        let share = |members_per_device: usize| (self.members.len() / members_per_device).max(1);
        let (later, from_start) =
            (share(MEMBERS_PER_LATER_DEVICE), share(MEMBERS_PER_SECOND_DEVICE));
        let mut rest = candidates.split_off(later.min(candidates.len()));
        // Of the others anybody may have two, also somebody who leaves and comes back.
        random.shuffle(&mut rest);
        rest.truncate(from_start);
        for (members, arrival) in [(candidates, Arrival::Later), (rest, Arrival::FromStart)] {
            self.devices.extend(members.into_iter().map(|member| Device { member, arrival }));
        }
        let at = self.time_of_line(0.5);
        let links = self.second_devices(Arrival::Later).map(|device| Act::Link { device });
        let steps: Vec<Step> = links.map(|act| Step { at, act }).collect();
        self.steps.extend(steps);
        self.sort();
        self.share_out_lines(random);
    }

    /// The second devices that arrive so.
    pub(crate) fn second_devices(&self, arrival: Arrival) -> impl Iterator<Item = usize> + '_ {
        (0..self.devices.len()).filter(move |device| self.devices[*device].arrival == arrival)
    }

    /// Chooses for each line of somebody with two devices the one that it is typed on.
    fn share_out_lines(&mut self, random: &mut Rng) {
        let stays = |device: &usize| self.stays_throughout(self.devices[*device].member);
        let mut second: HashMap<usize, usize> = self
            .second_devices(Arrival::FromStart)
            .filter(stays)
            .map(|device| (self.devices[device].member, device))
            .collect();
        for step in &self.steps {
            match step.act {
                Act::Link { device } if self.stays_throughout(self.devices[device].member) => {
                    second.insert(self.devices[device].member, device);
                }
                Act::Say { line } => {
                    let line = &mut self.lines[line];
                    if let Some(device) = second.get(&line.sender).filter(|_| random.bool()) {
                        line.device = *device;
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PACE, chatter};
    use super::*;

    #[test]
    fn every_tenth_has_two_devices_and_one_in_twenty_links_one_half_way() {
        for (people, from_start, later) in [(5, 1, 1), (40, 4, 2), (100, 10, 5)] {
            let plan = Plan::group(&chatter(people, 400), PACE);
            assert_eq!(plan.second_devices(Arrival::FromStart).count(), from_start);
            assert_eq!(plan.second_devices(Arrival::Later).count(), later);
            for member in 0..people {
                let first = Device { member, arrival: Arrival::First };
                assert_eq!(plan.devices[member], first);
                assert!(plan.devices.iter().filter(|device| device.member == member).count() <= 2);
            }
        }
    }

    #[test]
    fn both_devices_of_somebody_who_stays_are_typed_on_and_a_later_one_after_it_was_linked() {
        let plan = Plan::group(&chatter(40, 2_000), PACE);
        let typed_on = |device| plan.lines.iter().filter(|line| line.device == device).count();
        for (device, of_plan) in plan.devices.iter().enumerate().skip(40) {
            if plan.stays_throughout(of_plan.member) {
                assert!(typed_on(device) > 0 && typed_on(of_plan.member) > 0);
            } else {
                assert_eq!(typed_on(device), 0);
            }
        }
        let mut is_linked = vec![false; plan.devices.len()];
        for step in &plan.steps {
            match step.act {
                Act::Link { device } => is_linked[device] = true,
                Act::Say { line } => {
                    let device = plan.lines[line].device;
                    let arrival = plan.devices[device].arrival;
                    assert!(arrival != Arrival::Later || is_linked[device]);
                    assert_eq!(plan.devices[device].member, plan.lines[line].sender);
                }
                _ => {}
            }
        }
    }
}
