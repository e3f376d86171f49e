//! The network between devices and the server: connections that keep the order of what is sent on them,
//! with delays, cuts, and ends that only one side notices.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::dice::Dice;

/// Names a connection; never used twice in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What lies between a device and the server.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// One way, at the least.
    pub(crate) delay: Duration,
    /// Nothing passes, and new connections are not made.
    pub(crate) is_cut: bool,
}

/// A way of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToDevice,
}

/// All connections.
#[derive(Default)]
pub(crate) struct Network {
    connections: BTreeMap<ConnectionId, Connection>,
    ever: u64,
}

struct Connection {
    device: usize,
    delay: Duration,
    /// When the last thing sent arrives, on each way.
    last_arrivals: [Duration; 2],
    /// Nothing arrives any more, and nobody knows yet.
    is_half_open: bool,
}

impl Network {
    pub(crate) fn connect(&mut self, device: usize, link: &Link, now: Duration) -> ConnectionId {
        self.ever += 1;
        let id = ConnectionId(self.ever);
        let connection = Connection {
            device,
            delay: link.delay,
            last_arrivals: [now, now],
            is_half_open: false,
        };
        self.connections.insert(id, connection);
        id
    }

    /// When something sent now arrives; `None`: never.
    pub(crate) fn arrival(
        &mut self,
        id: ConnectionId,
        way: Way,
        now: Duration,
        dice: &mut Dice,
    ) -> Option<Duration> {
        let connection = self.connections.get_mut(&id)?;
        if connection.is_half_open {
            return None;
        }
        let jitter = connection.delay.as_millis() as u64 / 4 + 1;
        let at = now + connection.delay + dice.millis(0..jitter);
        let last = &mut connection.last_arrivals[way as usize];
        *last = (*last).max(at);
        Some(*last)
    }

    /// The device that a connection leads to, while it is there.
    pub(crate) fn device(&self, id: ConnectionId) -> Option<usize> {
        self.connections.get(&id).map(|connection| connection.device)
    }

    /// What arrives on a connection is taken: it was not forgotten and passes.
    pub(crate) fn passes(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| !connection.is_half_open)
    }

    pub(crate) fn make_half_open(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_half_open = true;
        }
    }

    pub(crate) fn forget(&mut self, id: ConnectionId) {
        self.connections.remove(&id);
    }
}
