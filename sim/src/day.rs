//! A day drawn from a seed: people in a group who talk, change who is in it, and whose devices and server
//! go through whatever the day allows.

use std::time::Duration;

use tidings_model::{ConversationId, Role};

use crate::{Faults, Tally, World};

/// The span between two draws.
const STEP: Duration = Duration::from_millis(100);

/// What a day is like. Odds are per device and second unless they say otherwise: once in so many, and
/// never where they are 0.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    /// People, each with a first device.
    pub people: usize,
    /// Of these, the first so many have a second device.
    pub second_devices: usize,
    /// Whether the server can read the conversation.
    pub open: bool,
    /// How long things happen.
    pub span: Duration,
    /// Somebody says something.
    pub words: u32,
    /// Somebody comes into the group or goes: per second, not per device.
    pub changes: u32,
    /// A device is without network for a while.
    pub absences: u32,
    /// A device's groups are lost.
    pub losses: u32,
    /// A copy of a device is taken, or put back.
    pub copies: u32,
    /// The server dies: per second, not per device.
    pub server_crashes: u32,
    /// What goes wrong by itself.
    pub faults: Faults,
}

impl Day {
    /// A hard day for some devices.
    pub const fn hard(people: usize, second_devices: usize, span: Duration) -> Self {
        Self {
            people,
            second_devices,
            open: false,
            span,
            words: 3,
            changes: 3,
            absences: 40,
            losses: 60,
            copies: 30,
            server_crashes: 20,
            faults: Faults::many(),
        }
    }

    /// Lives through the day, waits until everybody has everything, and holds every promise against it.
    ///
    /// # Panics
    /// A promise is broken; the message names the seed.
    pub fn run(&self, seed: u64) -> Tally {
        let mut world = World::new(seed);
        let names: Vec<String> = (0..self.people).map(|number| format!("person{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world.people(&names);
        let mut devices: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        for name in names.iter().take(self.second_devices) {
            devices.push(world.link(name));
        }
        let group = match self.open {
            true => world.open_group("the choir", &names),
            false => world.group("the choir", &names),
        };
        for name in names.iter().take(WHO_MAY).skip(1) {
            world.set_role(names[0], group, name, Role::Admin);
        }
        world.until_quiet();
        world.begin_faults(self.faults);
        let mut here = Here { devices, group, offline: Vec::new(), outside: Vec::new(), said: 0 };
        let end = world.elapsed() + self.span;
        while world.elapsed() < end {
            self.draw(&mut world, &mut here, &names);
            world.run_for(STEP);
        }
        for device in std::mem::take(&mut here.offline) {
            world.go_online(&device);
        }
        world.until_quiet();
        *world.tally()
    }

    fn draw(&self, world: &mut World, here: &mut Here, names: &[&str]) {
        let happens = |world: &mut World, odds: u32| {
            odds > 0 && world.draw(odds as usize * STEPS_PER_SECOND) == 0
        };
        for at in 0..here.devices.len() {
            let device = here.devices[at].clone();
            if happens(world, self.words) {
                here.said += 1;
                // Whoever is outside just then, or down, says nothing.
                let _ = world.try_say(&device, here.group, &format!("words number {}", here.said));
            }
            if happens(world, self.absences) {
                here.go_or_come(world, &device);
            }
            if happens(world, self.losses) {
                world.lose_state(&device);
            }
            if happens(world, self.copies) && !world.restore(&device) {
                world.snapshot(&device);
            }
        }
        if happens(world, self.changes) {
            here.change(world, names);
        }
        if happens(world, self.server_crashes) {
            world.server_crash();
        }
    }
}

/// How many people may change who is in the group: the first of a day's.
const WHO_MAY: usize = 3;

const STEPS_PER_SECOND: usize = 1_000 / STEP.as_millis() as usize;

/// How things stand in the middle of a day.
struct Here {
    devices: Vec<String>,
    group: ConversationId,
    offline: Vec<String>,
    outside: Vec<String>,
    said: usize,
}

impl Here {
    fn go_or_come(&mut self, world: &mut World, device: &str) {
        match self.offline.iter().position(|name| name == device) {
            Some(at) => {
                self.offline.remove(at);
                world.go_online(device);
            }
            None => {
                self.offline.push(device.to_owned());
                world.go_offline(device);
            }
        }
    }

    /// One of those who may takes somebody out or brings somebody back, or somebody leaves. Several may,
    /// so that two of them do it at the same moment.
    fn change(&mut self, world: &mut World, names: &[&str]) {
        let (who_may, others) = names.split_at(names.len().min(WHO_MAY));
        if others.is_empty() {
            return;
        }
        let by = who_may[world.draw(who_may.len())];
        let whom = others[world.draw(others.len())];
        let is_outside = self.outside.iter().position(|name| name == whom);
        match (is_outside, world.draw(4)) {
            (Some(at), _) => {
                self.outside.remove(at);
                world.add(by, self.group, whom);
            }
            (None, 0) => {
                self.outside.push(whom.to_owned());
                world.leave(whom, self.group);
            }
            (None, _) => {
                self.outside.push(whom.to_owned());
                world.remove(by, self.group, whom);
            }
        }
    }
}
