//! Yesterday's backup: the server's store goes back to what it was, and its logs begin new epochs.

use std::time::Duration;

use tidings_model::MessageId;

use super::World;

impl World {
    /// Takes a backup of the server's store.
    pub fn back_up_server(&mut self) {
        self.backup = Some(self.node.back_up());
        self.oracle.note_backed_up(&self.devices);
    }

    /// The server is stopped, its store is put back to the backup, and all logs get a new epoch. It does
    /// not run yet.
    ///
    /// # Panics
    /// There is no backup.
    pub fn stop_and_restore_server(&mut self) {
        let backup = self.backup.take().expect("the server was backed up");
        self.node.crash();
        for at in 0..self.devices.len() {
            if let Some(id) = self.devices[at].connection {
                self.cut(id);
            }
        }
        let (now, entropy) = (self.server_now(), self.dice.entropy());
        self.node.restore(&backup, entropy, now);
        self.oracle.note_server_restored(&mut self.devices);
    }

    /// A message need not be in the log: it was dropped there, or said by somebody who is out when the log
    /// gets back what it has lost. Those who have it keep it.
    pub fn need_not_stay(&mut self, message: MessageId) {
        self.oracle.note_taken_back(message);
    }

    /// Devices have nothing to give back, as after more than a month: what they kept of handshakes is
    /// gone.
    pub fn forget_handshakes(&mut self) {
        for device in &mut self.devices {
            device.database.forget_handshakes();
        }
    }

    /// The log may go another way than these devices' groups: they may have to come in again.
    pub fn may_lose_keys(&mut self, devices: &[&str]) {
        for device in devices {
            self.device_mut(device).is_damaged = true;
        }
    }

    /// The server keeps entries for so long, from its next start on.
    pub fn keep_entries_for(&mut self, span: Duration) {
        self.node.retention = Some(span);
    }

    /// Starts the server again.
    pub fn start_server(&mut self) {
        if !self.node.is_running() {
            self.start_node();
        }
    }
}
