//! What goes wrong: by itself, drawn from the seed, or because a play says so.

use std::time::Duration;

use tidings_client_core::{Command, CommandId, Lifecycle};

use crate::dice::Dice;

use super::World;
use super::happenings::Happening;

/// What goes wrong by itself: each once in so many chances, and never where that is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// A device's program dies at a commit: before it, or behind it and before its frames leave.
    pub crashes: u32,
    /// Of these crashes, the power fails too.
    pub power_losses: u32,
    /// A connection breaks when something is sent on it.
    pub cuts: u32,
    /// Of these cuts, neither end notices.
    pub half_opens: u32,
}

/// Where a program dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    BeforeCommit,
    AfterCommit,
}

impl Faults {
    /// Nothing goes wrong.
    pub const fn none() -> Self {
        Self { crashes: 0, power_losses: 0, cuts: 0, half_opens: 0 }
    }

    /// A hard day.
    pub const fn many() -> Self {
        Self { crashes: 60, power_losses: 3, cuts: 60, half_opens: 6 }
    }

    pub(super) fn draw_death(&self, dice: &mut Dice) -> Option<Death> {
        if !dice.one_in(self.crashes) {
            return None;
        }
        Some(if dice.one_in(2) { Death::BeforeCommit } else { Death::AfterCommit })
    }

    pub(super) fn draw_cut(&self, dice: &mut Dice) -> bool {
        dice.one_in(self.cuts)
    }

    pub(super) fn draw_half_open(&self, dice: &mut Dice) -> bool {
        dice.one_in(self.half_opens)
    }
}

impl World {
    /// From now on things go wrong by themselves.
    pub fn begin_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// Nothing goes wrong by itself any more, and all links are good.
    pub fn end_faults(&mut self) {
        self.faults = Faults::none();
        for at in 0..self.devices.len() {
            self.devices[at].link.is_cut = false;
            if self.devices[at].client.is_none() && !self.devices[at].is_gone {
                self.start_device(at);
            }
        }
        if !self.node.is_running() {
            self.start_node();
        }
    }

    /// Kills a device's program and starts it again on what was committed.
    pub fn crash(&mut self, device: &str) {
        let at = self.index(device);
        self.kill(at);
        self.start_device(at);
    }

    /// The power of a device fails: what was not synced may be lost. It starts again.
    pub fn lose_power(&mut self, device: &str) {
        let at = self.index(device);
        self.kill(at);
        self.cut_power(at);
        self.start_device(at);
    }

    /// A device is lost for good, with all that it holds.
    pub fn lose_device(&mut self, device: &str) {
        let at = self.index(device);
        self.kill(at);
        self.devices[at].is_wanted = false;
        self.devices[at].is_gone = true;
    }

    /// A device's groups are gone, as after a damaged file.
    pub fn lose_state(&mut self, device: &str) {
        let at = self.index(device);
        self.kill(at);
        self.devices[at].database.lose_groups();
        self.devices[at].is_damaged = true;
        self.oracle.note_state_lost(&self.devices[at]);
        self.start_device(at);
    }

    /// Takes a copy of a device's database.
    pub fn snapshot(&mut self, device: &str) {
        let device = self.device_mut(device);
        device.copy = Some(device.database.clone());
    }

    /// Puts the copy in place of a device's database; false where none was taken.
    pub fn restore(&mut self, device: &str) -> bool {
        let at = self.index(device);
        let Some(copy) = self.devices[at].copy.take() else { return false };
        self.kill(at);
        self.oracle.note_restored(&self.devices[at], &copy);
        self.devices[at].database = copy;
        self.devices[at].is_damaged = true;
        self.start_device(at);
        true
    }

    /// Kills the server and starts it again after a while.
    pub fn server_crash(&mut self) {
        self.node.crash();
        self.oracle.tally.server_crashes += 1;
        for at in 0..self.devices.len() {
            if let Some(id) = self.devices[at].connection {
                self.cut(id);
            }
        }
        let at = self.clock + self.dice.millis(100..3_000);
        self.agenda.put(at, Happening::NodeStart);
    }

    /// Nothing passes between a device and the server any more, and neither notices at once.
    pub fn partition(&mut self, device: &str) {
        let device = self.device_mut(device);
        device.link.is_cut = true;
        if let Some(id) = device.connection {
            self.network.make_half_open(id);
            let at = self.clock + Duration::from_secs(60);
            self.agenda.put(at, Happening::HungUp(id));
        }
    }

    /// A device's link is good again.
    pub fn heal(&mut self, device: &str) {
        self.device_mut(device).link.is_cut = false;
    }

    /// A device has no network, and knows it.
    pub fn go_offline(&mut self, device: &str) {
        self.live(device, Lifecycle::NetworkDown);
    }

    /// A device has a network again.
    pub fn go_online(&mut self, device: &str) {
        self.live(device, Lifecycle::NetworkUp);
    }

    /// A connection breaks.
    pub fn cut_connection(&mut self, device: &str) {
        if let Some(id) = self.device(device).connection {
            self.cut(id);
        }
    }

    fn live(&mut self, device: &str, lifecycle: Lifecycle) {
        let at = self.index(device);
        self.step(at, |client, now, entropy, database| {
            client.handle_lifecycle(now, entropy, database, lifecycle);
        });
    }

    /// A program dies in the middle of a step, and is started again after a while.
    pub(super) fn die(&mut self, device: usize) {
        self.kill(device);
        if self.dice.one_in(self.faults.power_losses) {
            self.cut_power(device);
        }
        let at = self.clock + self.dice.millis(50..3_000);
        self.agenda.put(at, Happening::DeviceStart(device));
    }

    fn kill(&mut self, device: usize) {
        self.hang_up(device);
        self.devices[device].client = None;
        self.devices[device].timer_at = None;
        self.oracle.tally.crashes += 1;
    }

    fn cut_power(&mut self, device: usize) {
        let database = &mut self.devices[device].database;
        let kept = self.dice.below(database.unsynced() + 1);
        database.lose_power(kept);
        self.oracle.tally.power_losses += 1;
    }

    pub(super) fn start_device(&mut self, at: usize) {
        if self.devices[at].client.is_some() {
            return;
        }
        self.devices[at].start();
        self.commands += 1;
        let id = CommandId(self.commands);
        if self.devices[at].is_wanted {
            self.step(at, |client, now, entropy, database| {
                client.handle_command(now, entropy, database, id, Command::Connect);
            });
        }
    }
}
