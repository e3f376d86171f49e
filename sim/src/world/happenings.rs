//! What happens in a world, and how its parts pass things on to one another.

use std::time::Duration;

use bytes::Bytes;
use tidings_client_core::{Client, CloseReason, Transmit, TransportEvent};
use tidings_model::Now;

use crate::database::MemoryDatabase;
use crate::network::{ConnectionId, Way};
use crate::node::{Completion, Output};

use super::World;
use super::faults::Death;

/// How long the server believes in a connection that says nothing more.
const SERVER_PATIENCE: Duration = Duration::from_secs(60);

/// The least span between two timers of one part: one that stays due must not stop the clock.
const TIMER_STEP: Duration = Duration::from_millis(1);

/// How often in a row a timer may still be due when it was handled.
const STALE_TIMERS_MAX: u32 = 20;

/// Something that happens at a moment.
pub(super) enum Happening {
    /// A connection reaches the server.
    Opened(ConnectionId),
    /// A frame reaches the server.
    Heard(ConnectionId, Bytes),
    /// The server learns that a connection is over.
    HungUp(ConnectionId),
    /// Something reaches a device.
    Reported(ConnectionId, TransportEvent),
    /// A device learns that a connection was not made, or is over.
    Lost(usize, ConnectionId, CloseReason),
    DeviceTimer(usize),
    NodeTimer,
    Completed(u32, Completion),
    DeviceStart(usize),
    NodeStart,
}

impl World {
    pub(super) fn happen(&mut self, happening: Happening) {
        self.note(&happening);
        match happening {
            Happening::Opened(id) => {
                if !self.network.passes(id) {
                    return;
                }
                if self.node.is_running() {
                    let outputs = self.node.connect(self.server_now(), &mut self.dice, id);
                    self.carry_out(outputs);
                } else {
                    self.refuse(id);
                }
            }
            Happening::Heard(id, frame) => {
                if self.network.passes(id) {
                    if let Err(violation) = self.oracle.check_handed_over(&frame) {
                        panic!("{violation}; {}", self.picture());
                    }
                    let now = self.server_now();
                    let outputs = self.node.hear(now, &mut self.dice, id, frame);
                    self.carry_out(outputs);
                }
            }
            Happening::HungUp(id) => {
                self.network.forget(id);
                let outputs = self.node.disconnect(self.server_now(), &mut self.dice, id);
                self.carry_out(outputs);
            }
            Happening::Reported(id, event) => self.report(id, event),
            Happening::Lost(device, id, reason) => {
                if self.devices[device].connection == Some(id) {
                    self.devices[device].connection = None;
                    self.network.forget(id);
                    self.tell(device, TransportEvent::Closed(reason));
                }
            }
            Happening::DeviceTimer(device) => self.device_timer(device),
            Happening::NodeTimer => self.node_timer(),
            Happening::Completed(life, completion) => {
                let now = self.server_now();
                let outputs = self.node.complete(now, &mut self.dice, life, completion);
                self.carry_out(outputs);
            }
            Happening::DeviceStart(device) => self.start_device(device),
            Happening::NodeStart => {
                if !self.node.is_running() {
                    self.start_node();
                }
            }
        }
    }

    /// Lets a device's client take one step, to its end, unless the program dies in it.
    pub(super) fn step(
        &mut self,
        device: usize,
        act: impl FnOnce(&mut Client, Now, [u8; 32], &MemoryDatabase),
    ) {
        let now = self.now_with_error(self.devices[device].clock_error_ms);
        let entropy = self.dice.entropy();
        let of = &mut self.devices[device];
        let Some(client) = &mut of.client else { return };
        act(client, now, entropy, &of.database);
        if self.commit(device) {
            self.transmit(device);
        }
        self.devices[device].hear();
        if let Err(violation) = self.oracle.check_told(&self.devices[device]) {
            panic!("{violation}; {}", self.picture());
        }
        self.schedule_device(device);
    }

    /// Commits what a step changed; false when the program died of it.
    fn commit(&mut self, device: usize) -> bool {
        loop {
            let of = &mut self.devices[device];
            let Some(client) = &mut of.client else { return false };
            let Some(changes) = client.take_changes() else { return true };
            assert_eq!(client.poll_transmit(), None, "nothing leaves before the commit");
            let death = self.faults.draw_death(&mut self.dice);
            if death == Some(Death::BeforeCommit) {
                self.die(device);
                return false;
            }
            let of = &mut self.devices[device];
            if let Err(violation) = self.oracle.check_changes(of, &changes) {
                panic!("{violation}; {}", self.picture());
            }
            let of = &mut self.devices[device];
            of.database.commit(changes);
            if death == Some(Death::AfterCommit) {
                self.die(device);
                return false;
            }
            if let Some(client) = &mut of.client {
                client.handle_committed(&of.database, Ok(()));
            }
        }
    }

    fn transmit(&mut self, device: usize) {
        loop {
            let Some(client) = &mut self.devices[device].client else { return };
            let Some(transmit) = client.poll_transmit() else { return };
            match transmit {
                Transmit::Connect(_) => {
                    self.hang_up(device);
                    self.connect(device);
                }
                Transmit::Frame(frame) => self.send(device, frame),
                Transmit::Disconnect => self.hang_up(device),
            }
        }
    }

    fn connect(&mut self, device: usize) {
        let id = self.network.connect(device, &self.devices[device].link, self.clock);
        self.devices[device].connection = Some(id);
        if self.devices[device].link.is_cut {
            self.refuse(id);
            return;
        }
        let arrival = self.network.arrival(id, Way::ToServer, self.clock, &mut self.dice);
        if let Some(at) = arrival {
            self.agenda.put(at, Happening::Opened(id));
            let back = self.network.arrival(id, Way::ToDevice, at, &mut self.dice);
            let opened = Happening::Reported(id, TransportEvent::Opened);
            self.agenda.put(back.unwrap_or(at), opened);
        }
    }

    /// A connection is not made, and the device learns it.
    fn refuse(&mut self, id: ConnectionId) {
        let Some(device) = self.network.device(id) else { return };
        self.network.forget(id);
        let at = self.clock + self.dice.millis(200..3_000);
        let reason = CloseReason::Unreachable("no connection".into());
        self.agenda.put(at, Happening::Lost(device, id, reason));
    }

    fn send(&mut self, device: usize, frame: Bytes) {
        let Some(id) = self.devices[device].connection else { return };
        if let Some(at) = self.network.arrival(id, Way::ToServer, self.clock, &mut self.dice) {
            self.agenda.put(at, Happening::Heard(id, frame));
        }
        if self.faults.draw_cut(&mut self.dice) {
            self.cut(id);
        }
    }

    /// The device ends its connection, or its program dies: what it has sent still arrives.
    pub(super) fn hang_up(&mut self, device: usize) {
        let Some(id) = self.devices[device].connection.take() else { return };
        let arrival = self.network.arrival(id, Way::ToServer, self.clock, &mut self.dice);
        let at = arrival.unwrap_or(self.clock + SERVER_PATIENCE);
        self.agenda.put(at, Happening::HungUp(id));
    }

    /// A connection breaks, and what is under way on it is lost. Both ends learn it in their time.
    pub(super) fn cut(&mut self, id: ConnectionId) {
        let Some(device) = self.network.device(id) else { return };
        self.network.make_half_open(id);
        let (mut server_at, mut device_at) = (SERVER_PATIENCE, None);
        if !self.faults.draw_half_open(&mut self.dice) {
            server_at = self.dice.millis(0..2_000);
            device_at = Some(self.dice.millis(0..2_000));
        }
        self.agenda.put(self.clock + server_at, Happening::HungUp(id));
        if let Some(span) = device_at {
            let reason = CloseReason::Unreachable("the connection broke".into());
            self.agenda.put(self.clock + span, Happening::Lost(device, id, reason));
        }
    }

    fn report(&mut self, id: ConnectionId, event: TransportEvent) {
        let Some(device) = self.network.device(id) else { return };
        if !self.network.passes(id) || self.devices[device].connection != Some(id) {
            return;
        }
        if matches!(event, TransportEvent::Closed(_)) {
            self.devices[device].connection = None;
            self.network.forget(id);
        }
        self.tell(device, event);
    }

    fn tell(&mut self, device: usize, event: TransportEvent) {
        self.step(device, |client, now, entropy, database| {
            client.handle_transport(now, entropy, database, event);
        });
    }

    /// Puts what the server says onto the network, and what it waits for onto the agenda.
    fn carry_out(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Frame(id, frame) => {
                    for frame in self.tampered(id, frame) {
                        self.put_to_device(id, TransportEvent::Frame(frame));
                    }
                    if self.faults.draw_cut(&mut self.dice) {
                        self.cut(id);
                    }
                }
                Output::Close(id, close) => {
                    let (code, reason) = (close.code.0, close.reason.to_owned());
                    let reason = CloseReason::Closed { code, reason };
                    self.put_to_device(id, TransportEvent::Closed(reason));
                }
                Output::Await(span, life, completion) => {
                    let completed = Happening::Completed(life, completion);
                    self.agenda.put(self.clock + span, completed);
                }
            }
        }
        self.schedule_node();
    }

    pub(super) fn put_to_device(&mut self, id: ConnectionId, event: TransportEvent) {
        let arrival = self.network.arrival(id, Way::ToDevice, self.clock, &mut self.dice);
        if let Some(at) = arrival {
            self.agenda.put(at, Happening::Reported(id, event));
        }
    }

    /// What a hostile server makes of a frame.
    fn tampered(&mut self, id: ConnectionId, frame: Bytes) -> Vec<Bytes> {
        match (&mut self.tampering, self.network.device(id)) {
            (Some(tampering), Some(device)) => tampering.pass(&self.devices[device].name, frame),
            _ => vec![frame],
        }
    }

    fn device_timer(&mut self, device: usize) {
        let of = &mut self.devices[device];
        if of.timer_at.is_some_and(|at| at <= self.clock) {
            of.timer_at = None;
        }
        let due = of.client.as_ref().and_then(Client::poll_timeout);
        if due.is_some_and(|at| at.since_start() <= self.clock) {
            self.step(device, |client, now, entropy, database| {
                client.handle_timeout(now, entropy, database);
            });
            self.check_timer(device);
        } else {
            self.schedule_device(device);
        }
    }

    /// A timer that has come must not stay due: a real program would spin.
    fn check_timer(&mut self, device: usize) {
        let of = &mut self.devices[device];
        let due = of.client.as_ref().and_then(Client::poll_timeout);
        let stays_due = due.is_some_and(|at| at.since_start() <= self.clock);
        of.stale_timers = if stays_due { of.stale_timers + 1 } else { 0 };
        let (name, stale) = (of.name.clone(), of.stale_timers);
        assert!(stale < STALE_TIMERS_MAX, "the timer of {name} stays due; {}", self.picture());
    }

    fn node_timer(&mut self) {
        if self.node_timer_at.is_some_and(|at| at <= self.clock) {
            self.node_timer_at = None;
        }
        let due = self.node.poll_timeout();
        if due.is_some_and(|at| at.since_start() <= self.clock) {
            let outputs = self.node.handle_timeout(self.server_now(), &mut self.dice);
            self.carry_out(outputs);
        } else {
            self.schedule_node();
        }
    }

    pub(super) fn schedule_device(&mut self, device: usize) {
        let of = &mut self.devices[device];
        let due = of.client.as_ref().and_then(Client::poll_timeout);
        let Some(at) = due.map(|at| at.since_start().max(self.clock + TIMER_STEP)) else { return };
        if of.timer_at.is_none_or(|scheduled| at < scheduled) {
            of.timer_at = Some(at);
            self.agenda.put(at, Happening::DeviceTimer(device));
        }
    }

    fn schedule_node(&mut self) {
        let due = self.node.poll_timeout();
        let Some(at) = due.map(|at| at.since_start().max(self.clock + TIMER_STEP)) else { return };
        if self.node_timer_at.is_none_or(|scheduled| at < scheduled) {
            self.node_timer_at = Some(at);
            self.agenda.put(at, Happening::NodeTimer);
        }
    }

    pub(super) fn start_node(&mut self) {
        let outputs = self.node.start(self.server_now(), &mut self.dice);
        self.carry_out(outputs);
    }

    /// Takes something that happens into the trace: when, where and how long, never the bytes, since
    /// keys are drawn by the library itself.
    fn note(&mut self, happening: &Happening) {
        let (kind, place, length) = match happening {
            Happening::Opened(id) => (1, id.0, 0),
            Happening::Heard(id, frame) => (2, id.0, frame.len()),
            Happening::HungUp(id) => (3, id.0, 0),
            Happening::Reported(id, TransportEvent::Frame(frame)) => (4, id.0, frame.len()),
            Happening::Reported(id, _) => (5, id.0, 0),
            Happening::Lost(_, id, _) => (6, id.0, 0),
            Happening::DeviceTimer(device) => (7, *device as u64, 0),
            Happening::NodeTimer => (8, 0, 0),
            Happening::Completed(life, _) => (9, u64::from(*life), 0),
            Happening::DeviceStart(device) => (10, *device as u64, 0),
            Happening::NodeStart => (11, 0, 0),
        };
        self.trace.happenings += 1;
        for word in [self.clock.as_millis() as u64, kind, place, length as u64] {
            // FNV-1a over words: good enough to compare two runs.
            self.trace.hash = (self.trace.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
