//! The world: people with devices, a server, a network and a clock that only the world moves.

mod faults;
mod happenings;
mod people;
mod yesterday;

use std::collections::BTreeMap;
use std::time::Duration;

use tidings_client_core::view::{ConversationSummary, MessageText, TimelineRow};
use tidings_client_core::{Command, CommandId, ConnectionState, Notice, Outcome};
use tidings_messaging::conformance::ModelStore;
use tidings_messaging::store::Reader;
use tidings_model::{ConversationId, Monotonic, Now, Timestamp};

use crate::agenda::Agenda;
use crate::device::Device;
use crate::dice::Dice;
use crate::hostile::Tampering;
use crate::network::{Link, Network};
use crate::node::Node;
use crate::oracle::{Oracle, Tally};

pub use faults::Faults;
use happenings::Happening;

/// The longest time that a world may take to come to rest after its last fault. It covers the longest
/// pause of a client, a group whose Commits are paced, and a device that joins again.
const QUIET_WITHIN: Duration = Duration::from_secs(900);

/// How often the world looks whether it is at rest.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// When the world begins by the wall clock.
const BEGINNING_MILLIS: i64 = 1_800_000_000_000;

/// A world. Everything in it follows from its seed, except the keys of sealed conversations, on which
/// nothing depends.
pub struct World {
    seed: u64,
    dice: Dice,
    clock: Duration,
    agenda: Agenda<Happening>,
    network: Network,
    node: Node,
    node_timer_at: Option<Duration>,
    devices: Vec<Device>,
    by_name: BTreeMap<String, usize>,
    faults: Faults,
    pub(crate) oracle: Oracle,
    commands: u64,
    pub(crate) tampering: Option<Tampering>,
    /// The server's store as it was when it was backed up.
    backup: Option<ModelStore>,
    trace: Trace,
}

/// What happened, so that two runs of one seed can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trace {
    /// How many things happened.
    pub happenings: u64,
    /// A hash over when and where they happened and how long the frames were.
    pub hash: u64,
}

/// A command that was given on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub(crate) device: String,
    pub(crate) id: CommandId,
}

impl World {
    /// Makes a world without people, whose server runs and whose network is good.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let store = ModelStore::default();
        let reader: Box<dyn Reader> = Box::new(store.clone());
        let observer = Box::new(tidings_backend_mls::GroupObserver::new(reader));
        let node = Node::new(store, observer, &mut dice);
        let mut world = Self {
            seed,
            dice,
            clock: Duration::ZERO,
            agenda: Agenda::new(),
            network: Network::default(),
            node,
            node_timer_at: None,
            devices: Vec::new(),
            by_name: BTreeMap::new(),
            faults: Faults::none(),
            oracle: Oracle::default(),
            commands: 0,
            tampering: None,
            backup: None,
            trace: Trace::default(),
        };
        world.start_node();
        world
    }

    /// What the world has seen so far.
    pub fn tally(&self) -> &Tally {
        &self.oracle.tally
    }

    /// What happened so far.
    pub fn trace(&self) -> Trace {
        self.trace
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.clock
    }

    /// Draws a number below a bound, which is not 0: for plays whose acts follow from the seed too.
    pub fn draw(&mut self, bound: usize) -> usize {
        self.dice.below(bound)
    }

    /// Gives a command on a device.
    ///
    /// # Panics
    /// There is no such device.
    pub fn command(&mut self, device: &str, command: Command) -> Given {
        self.commands += 1;
        let id = CommandId(self.commands);
        match command {
            Command::Connect => self.device_mut(device).is_wanted = true,
            Command::Disconnect => self.device_mut(device).is_wanted = false,
            _ => {}
        }
        let at = self.index(device);
        self.step(at, |client, now, entropy, database| {
            client.handle_command(now, entropy, database, id, command);
        });
        Given { device: device.to_owned(), id }
    }

    /// What a command has come to so far.
    pub fn outcomes(&self, given: &Given) -> &[Outcome] {
        let device = self.device(&given.device);
        device.outcomes.get(&given.id.0).map_or(&[], Vec::as_slice)
    }

    /// What the person before a device has been told.
    pub fn notices(&self, device: &str) -> &[Notice] {
        &self.device(device).notices
    }

    /// What a conversation looks like on a device just now.
    pub fn timeline(&mut self, device: &str, conversation: ConversationId) -> Vec<TimelineRow> {
        self.command(device, Command::OpenView { conversation });
        let at = self.index(device);
        let rows_of = |world: &Self| world.devices[at].timelines.get(&conversation).cloned();
        let mut rows = rows_of(self).unwrap_or_default();
        loop {
            self.command(device, Command::LoadOlder { conversation });
            let more = rows_of(self).unwrap_or_default();
            if more.len() == rows.len() {
                break;
            }
            rows = more;
        }
        self.command(device, Command::CloseView { conversation });
        self.devices[at].timelines.remove(&conversation);
        rows
    }

    /// The texts of the messages that a device shows of a conversation, with `…` for each that it cannot
    /// read.
    pub fn texts(&mut self, device: &str, conversation: ConversationId) -> Vec<String> {
        let rows = self.timeline(device, conversation);
        let texts = rows.into_iter().filter_map(|row| match row {
            TimelineRow::Message(message) => Some(match message.text {
                MessageText::Text(text) | MessageText::Fallback(text) => text,
                _ => "…".to_owned(),
            }),
            _ => None,
        });
        texts.collect()
    }

    /// What a device's conversation list says of a conversation; `None` while its program does not run, or
    /// where it does not have it.
    pub fn summary(
        &self,
        device: &str,
        conversation: ConversationId,
    ) -> Option<ConversationSummary> {
        let list = self.device(device).client.as_ref()?.conversation_list();
        list.iter().find(|summary| summary.conversation == conversation).cloned()
    }

    /// The state of a device's connection; `None` while its program does not run.
    pub fn connection(&self, device: &str) -> Option<ConnectionState> {
        Some(self.device(device).client.as_ref()?.connection_state())
    }

    /// Lets a span of time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.clock + span;
        self.run_to(end);
    }

    /// Lets time pass until a condition holds.
    ///
    /// # Panics
    /// It does not come to hold.
    pub fn run_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let end = self.clock + QUIET_WITHIN;
        while !holds(self) {
            assert!(self.clock < end, "{what} does not happen; {}", self.picture());
            let next = self.clock + LOOK_INTERVAL;
            self.run_to(next);
        }
    }

    /// Ends all faults, lets time pass until everybody has everything, and holds every device against
    /// the server's log.
    ///
    /// # Panics
    /// The world does not come to rest, or a promise is broken.
    pub fn until_quiet(&mut self) {
        self.until_rest();
        self.check();
    }

    /// Ends all faults, and lets time pass until everybody believes to have everything.
    ///
    /// # Panics
    /// The world does not come to rest.
    pub fn until_rest(&mut self) {
        self.end_faults();
        self.run_until("rest", Self::is_quiet);
    }

    /// Holds every device against the server's log.
    ///
    /// # Panics
    /// A promise is broken.
    pub fn check(&mut self) {
        if let Err(violation) = self.oracle.check(&self.node, &self.devices) {
            panic!("{violation}; {}", self.picture());
        }
    }

    /// Links: how long a device's way to the server takes, one way.
    pub fn set_delay(&mut self, device: &str, delay: Duration) {
        let device = self.device_mut(device);
        device.link.delay = delay;
    }

    fn run_to(&mut self, end: Duration) {
        while self.agenda.next_at().is_some_and(|at| at <= end) {
            let Some((at, happening)) = self.agenda.take() else { break };
            self.clock = self.clock.max(at);
            self.happen(happening);
        }
        self.clock = self.clock.max(end);
    }

    /// Handshakes that devices have given back to a server that had lost them, since their programs
    /// were started.
    pub fn given_back(&self) -> u64 {
        let clients = self.devices.iter().filter_map(|device| device.client.as_ref());
        clients.map(|client| client.sealed_counts().given_back).sum()
    }

    fn is_quiet(&self) -> bool {
        self.node.is_idle()
            && self.devices.iter().all(|device| self.oracle.is_at_rest(&self.node, device))
    }

    pub(crate) fn index(&self, device: &str) -> usize {
        *self.by_name.get(device).unwrap_or_else(|| panic!("there is no device {device}"))
    }

    fn device(&self, name: &str) -> &Device {
        &self.devices[self.index(name)]
    }

    fn device_mut(&mut self, name: &str) -> &mut Device {
        let at = self.index(name);
        &mut self.devices[at]
    }

    fn server_now(&self) -> Now {
        self.now_with_error(0)
    }

    fn now_with_error(&self, clock_error_ms: i64) -> Now {
        let wall = BEGINNING_MILLIS + self.clock.as_millis() as i64 + clock_error_ms;
        Now { monotonic: Monotonic::from_start(self.clock), wall: Timestamp::from_millis(wall) }
    }

    /// The world in words, for whoever reads a failure.
    fn picture(&self) -> String {
        let in_words =
            |of: &Device| format!("{}; {}", of.picture(), self.oracle.unrest(&self.node, of));
        let devices: Vec<String> = self.devices.iter().map(in_words).collect();
        format!(
            "seed {} at {:?}\n{}\nserver: {}, reports {:?}",
            self.seed,
            self.clock,
            devices.join("\n"),
            if self.node.is_running() { "running" } else { "down" },
            self.node.reports,
        )
    }

    fn add_device(&mut self, name: &str) {
        assert!(!self.by_name.contains_key(name), "there is a device {name} already");
        let link = Link { delay: self.dice.millis(10..150), is_cut: false };
        let error = self.dice.below(240_000) as i64 - 120_000;
        self.by_name.insert(name.to_owned(), self.devices.len());
        self.devices.push(Device::new(name.to_owned(), link, error));
    }
}
