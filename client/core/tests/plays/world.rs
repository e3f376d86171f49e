//! A world in one thread: named people with real clients, a model of the server, and a network and a
//! clock that the test moves. Everything follows from a seed.

pub(crate) mod database;
pub(crate) mod server;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tidings_client_core::view::{ConversationSummary, MessageText, MessageView, TimelineRow};
use tidings_client_core::{
    Client, CloseReason, Command, CommandId, Config, ConnectionState, Event, Listing, Notice,
    Outcome, Send, Transmit, TransportEvent,
};
use tidings_model::{
    AccountId, ConversationId, DeviceId, EntryKind, MessageId, Monotonic, Now, Seq, Timestamp,
};
use tidings_protocol_content::{Content, Reference};
use tidings_protocol_identity::{ServerAddress, Transport};

use database::MemoryDatabase;
use server::Server;

/// SplitMix64: all that a test of ours needs of randomness.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn entropy(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.roll().to_le_bytes());
        }
        bytes
    }
}

/// Somebody with a client.
pub(crate) struct Person {
    pub(crate) client: Client,
    pub(crate) database: MemoryDatabase,
    connection: Option<usize>,
    to_server: VecDeque<Bytes>,
    to_client: VecDeque<TransportEvent>,
    /// What each command came to, in order.
    pub(crate) outcomes: BTreeMap<u64, Vec<Outcome>>,
    pub(crate) notices: Vec<Notice>,
    /// The view-models as an app would hold them.
    pub(crate) list: Vec<ConversationSummary>,
    pub(crate) timelines: BTreeMap<ConversationId, Vec<TimelineRow>>,
    pub(crate) composers: usize,
    pub(crate) states: Vec<ConnectionState>,
    pub(crate) listings: Vec<Listing>,
    pub(crate) frames_sent: usize,
}

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) dice: Dice,
    pub(crate) clock: Duration,
    next_connection: usize,
    next_command: u64,
    /// Connections cannot be made.
    pub(crate) is_cut: bool,
}

pub(crate) fn address() -> ServerAddress {
    ServerAddress::new("localhost", 8080, Transport::Plain).expect("a good address")
}

fn config() -> Config {
    Config { agent: "test".into(), key_package_stock: 5, ..Config::default() }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            server: Server::default(),
            people: BTreeMap::new(),
            dice: Dice::new(seed),
            clock: Duration::ZERO,
            next_connection: 0,
            next_command: 0,
            is_cut: false,
        }
    }

    /// A world in which some people are signed in and connected.
    pub(crate) fn with_people(seed: u64, names: &[&str]) -> Self {
        let mut world = Self::new(seed);
        for name in names {
            world.add_person(name);
            world.server.register(name, name, &mut world.people);
            world.command(name, Command::Connect);
        }
        world.calm();
        world
    }

    /// Somebody with an empty device.
    pub(crate) fn add_person(&mut self, name: &str) {
        let database = MemoryDatabase::default();
        let client = Client::open(config(), &database).expect("an empty database is read");
        self.people.insert(name.to_owned(), Person::new(client, database));
    }

    /// Another device of somebody who is there already.
    pub(crate) fn add_device(&mut self, of: &str, name: &str) {
        self.add_person(name);
        self.server.register(of, name, &mut self.people);
        self.command(name, Command::Connect);
        self.calm();
    }

    pub(crate) fn now(&self) -> Now {
        let millis = 1_000_000 + self.clock.as_millis() as i64;
        Now { monotonic: Monotonic::from_start(self.clock), wall: Timestamp::from_millis(millis) }
    }

    pub(crate) fn person(&mut self, name: &str) -> &mut Person {
        self.people.get_mut(name).expect("a known person")
    }

    pub(crate) fn id(&self, name: &str) -> AccountId {
        self.people[name].client.me().expect("somebody signed in").account
    }

    /// Gives a command, and the number under which its outcomes are kept.
    pub(crate) fn command(&mut self, name: &str, command: Command) -> u64 {
        self.next_command += 1;
        let (id, now, entropy) = (self.next_command, self.now(), self.dice.entropy());
        let person = self.person(name);
        let Person { client, database, .. } = person;
        client.handle_command(now, entropy, database, CommandId(id), command);
        self.after_step(name);
        id
    }

    pub(crate) fn outcomes(&self, name: &str, command: u64) -> &[Outcome] {
        self.people[name].outcomes.get(&command).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn say(
        &mut self,
        name: &str,
        conversation: ConversationId,
        text: &str,
    ) -> Reference {
        let send = Send { conversation, message_id: None, text: text.to_owned(), reply_to: None };
        let command = self.command(name, Command::Send(send));
        match self.outcomes(name, command).first() {
            Some(Outcome::Queued { message_id, .. }) => {
                Reference { account: self.id(name), message_id: *message_id }
            }
            other => panic!("{name} could not say {text:?}: {other:?}"),
        }
    }

    /// Makes a group of some people, whose owner is the first, and waits until all know of it.
    pub(crate) fn group(&mut self, name: &str, people: &[&str]) -> ConversationId {
        let members = people[1..].iter().map(|person| self.id(person)).collect();
        let create = Command::CreateGroup { name: name.to_owned(), members, open: true };
        let command = self.command(people[0], create);
        self.calm();
        match self.outcomes(people[0], command) {
            [Outcome::Queued { conversation, .. }, Outcome::Accepted { .. }] => *conversation,
            other => panic!("the group was not made: {other:?}"),
        }
    }

    fn after_step(&mut self, name: &str) {
        let person = self.people.get_mut(name).expect("a known person");
        let Person { client, database, .. } = person;
        if let Some(changes) = client.take_changes() {
            assert_eq!(client.poll_transmit(), None, "nothing leaves before the commit");
            let result = database.commit(changes);
            client.handle_committed(database, result);
        }
        while let Some(transmit) = person.client.poll_transmit() {
            match transmit {
                Transmit::Connect(_) => {
                    person.hang_up(&mut self.server);
                    if self.is_cut {
                        let reason = CloseReason::Unreachable("the network is cut".into());
                        person.to_client.push_back(TransportEvent::Closed(reason));
                    } else {
                        self.next_connection += 1;
                        person.connection = Some(self.next_connection);
                        self.server.connect(self.next_connection);
                        person.to_client.push_back(TransportEvent::Opened);
                    }
                }
                Transmit::Frame(frame) => {
                    person.frames_sent += 1;
                    person.to_server.push_back(frame);
                }
                Transmit::Disconnect => person.hang_up(&mut self.server),
            }
        }
        person.drain_events();
    }

    /// Moves one frame from somebody to the server; false when there is none.
    pub(crate) fn deliver_to_server(&mut self, name: &str) -> bool {
        self.server.time = self.now().wall.as_millis();
        let person = self.people.get_mut(name).expect("a known person");
        let Some(frame) = person.to_server.pop_front() else { return false };
        if let Some(connection) = person.connection {
            self.server.handle_frame(connection, frame);
        }
        self.close_revoked();
        true
    }

    fn close_revoked(&mut self) {
        for connection in std::mem::take(&mut self.server.revoked) {
            let mut people = self.people.values_mut();
            let Some(person) = people.find(|person| person.connection == Some(connection)) else {
                continue;
            };
            while let Some(frame) = self.server.poll_transmit(connection) {
                person.to_client.push_back(TransportEvent::Frame(frame));
            }
            self.server.disconnect(connection);
            person.connection = None;
            let reason = CloseReason::Closed { code: 4401, reason: String::new() };
            person.to_client.push_back(TransportEvent::Closed(reason));
        }
    }

    /// Hands somebody's client the next thing that the network has for it; false when there is none.
    pub(crate) fn deliver_to_client(&mut self, name: &str) -> bool {
        let person = self.people.get_mut(name).expect("a known person");
        let from_server = || {
            let frame = self.server.poll_transmit(person.connection?)?;
            Some(TransportEvent::Frame(frame))
        };
        let Some(event) = person.to_client.pop_front().or_else(from_server) else { return false };
        let (now, entropy) = (self.now(), self.dice.entropy());
        let Person { client, database, .. } = self.person(name);
        client.handle_transport(now, entropy, database, event);
        self.after_step(name);
        true
    }

    /// Cuts somebody's connection; what was under way is lost.
    pub(crate) fn cut(&mut self, name: &str) {
        let person = self.people.get_mut(name).expect("a known person");
        if person.connection.is_some() {
            person.hang_up(&mut self.server);
            let reason = CloseReason::Unreachable("cut".into());
            person.to_client.push_back(TransportEvent::Closed(reason));
        }
    }

    /// Kills the server and starts it again: the log stays, connections do not.
    pub(crate) fn restart_server(&mut self) {
        for name in self.names() {
            self.cut(&name);
        }
    }

    /// Kills somebody's program and starts it again on what was committed.
    pub(crate) fn restart_client(&mut self, name: &str) {
        let person = self.people.get_mut(name).expect("a known person");
        person.hang_up(&mut self.server);
        let database = person.database.clone();
        let client = Client::open(config(), &database).expect("a committed database is read");
        let list = client.conversation_list().to_vec();
        let fresh = Person::new(client, database);
        let before = std::mem::replace(person, fresh);
        person.list = list;
        person.notices = before.notices;
        self.command(name, Command::Connect);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.people.keys().cloned().collect()
    }

    /// Moves the clock to the next timeout of anybody's, but no further than a span.
    pub(crate) fn advance(&mut self, most: Duration) {
        let timeouts = self.people.values().filter_map(|person| person.client.poll_timeout());
        let next = timeouts.map(Monotonic::since_start).min().unwrap_or(Duration::MAX);
        let at_least = self.clock + Duration::from_millis(1);
        self.clock = next.max(at_least).min(self.clock + most);
        for name in self.names() {
            let (now, entropy) = (self.now(), self.dice.entropy());
            let person = self.person(&name);
            if person.client.poll_timeout().is_some_and(|due| due <= now.monotonic) {
                let Person { client, database, .. } = person;
                client.handle_timeout(now, entropy, database);
                self.after_step(&name);
            }
        }
    }

    /// Lets everything arrive at once, without moving the clock.
    pub(crate) fn deliver_all(&mut self) {
        loop {
            let mut moved = false;
            for name in self.names() {
                while self.deliver_to_server(&name) {
                    moved = true;
                }
                while self.deliver_to_client(&name) {
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets the world run without faults until everybody has everything.
    pub(crate) fn calm(&mut self) {
        for _ in 0..2_000 {
            self.deliver_all();
            if self.is_calm() {
                return;
            }
            self.advance(Duration::from_secs(30));
        }
        panic!("the world does not come to rest: {}", self.picture());
    }

    /// Lets a span of time pass, with everything arriving.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.clock + span;
        while self.clock < end {
            self.deliver_all();
            self.advance(end - self.clock);
        }
        self.deliver_all();
    }

    fn is_calm(&self) -> bool {
        self.people.values().all(|person| {
            let offline = matches!(person.client.connection_state(), ConnectionState::Offline(_));
            let Some(me) = person.client.me().filter(|_| !offline) else { return true };
            let live = person.client.connection_state() == ConnectionState::Live;
            let heads = self.server.heads_of(me.account);
            let read = heads.iter().all(|(conversation, head)| {
                person.list.iter().any(|summary| {
                    summary.conversation == *conversation && summary.head.get() == *head
                })
            });
            live && read && person.client.unsent() == 0
        })
    }

    fn picture(&self) -> String {
        let people = self.people.iter().map(|(name, person)| {
            let heads: Vec<u64> = person.list.iter().map(|summary| summary.head.get()).collect();
            format!(
                "{name}: {:?}, unsent {}, heads {heads:?}, timeout {:?}, notices {:?}",
                person.client.connection_state(),
                person.client.unsent(),
                person.client.poll_timeout(),
                person.notices,
            )
        });
        let logs: Vec<usize> = self.server.conversations.values().map(|of| of.log.len()).collect();
        format!("{:?} at {:?}; logs {logs:?}", people.collect::<Vec<_>>(), self.clock)
    }

    /// Holds every device against the log: what its account may read is there, once, byte for byte
    /// and in order, and nothing else.
    pub(crate) fn check(&self) {
        use tidings_client_core::Database;
        for (name, person) in &self.people {
            let me = person.client.me().expect("somebody signed in").account;
            for (key, of) in &self.server.conversations {
                let span = person.database.span(*key, Seq::FIRST, end()).expect("a span");
                let held: Vec<_> = span.entries.iter().filter(|row| !row.detached).collect();
                let wanted: Vec<_> =
                    of.log.iter().filter(|entry| of.readable(me, entry.seq.get())).collect();
                let seqs = |entries: &[&tidings_model::Entry]| -> Vec<u64> {
                    entries.iter().map(|entry| entry.seq.get()).collect()
                };
                let held: Vec<_> = held.into_iter().map(|row| &row.entry).collect();
                assert_eq!(seqs(&held), seqs(&wanted), "what {name} holds");
                for (held, wanted) in held.iter().zip(&wanted) {
                    assert_eq!(held, wanted, "an entry of {name}'s");
                }
            }
        }
    }

    /// The texts of a conversation's log, by their senders.
    pub(crate) fn texts(&self, conversation: ConversationId) -> Vec<(AccountId, String)> {
        let log = &self.server.conversations[&conversation].log;
        let messages = log.iter().filter(|entry| entry.kind == EntryKind::Message);
        let texts = messages.filter_map(|entry| {
            let content = Content::decode(entry.payload.clone(), entry.message_id).ok()?;
            Some((entry.account, content.display_text()))
        });
        texts.collect()
    }

    /// Opens a timeline and gives its rows.
    pub(crate) fn timeline(
        &mut self,
        name: &str,
        conversation: ConversationId,
    ) -> Vec<TimelineRow> {
        self.person(name).timelines.remove(&conversation);
        self.command(name, Command::OpenView { conversation });
        self.person(name).timelines.get(&conversation).cloned().unwrap_or_default()
    }

    /// The rows of a timeline in words.
    pub(crate) fn lines(&mut self, name: &str, conversation: ConversationId) -> Vec<String> {
        self.timeline(name, conversation).iter().map(in_words).collect()
    }
}

/// A row in words.
pub(crate) fn in_words(row: &TimelineRow) -> String {
    match row {
        TimelineRow::Message(message) => {
            let text = match &message.text {
                MessageText::Text(text) | MessageText::Fallback(text) => text.clone(),
                MessageText::Deleted => "(deleted)".into(),
                MessageText::Unreadable => "(unreadable)".into(),
            };
            let edited = if message.edited { " (edited)" } else { "" };
            let reactions: String = message
                .reactions
                .iter()
                .map(|reaction| format!(" {}×{}", reaction.emoji, reaction.people.len()))
                .collect();
            format!("{}: {text}{edited}{reactions}", message.author.name)
        }
        TimelineRow::Event(line) => {
            use tidings_model::event::Act;
            let who = &line.actor.name;
            match &line.act {
                Some(Act::Created { .. }) => format!("{who} made it"),
                Some(Act::Added(people)) => format!("{who} added {}", people[0].display_name),
                Some(Act::Removed(person)) => format!("{who} removed {}", person.display_name),
                Some(Act::Left { member, .. }) => format!("{} left", member.display_name),
                Some(Act::Renamed(name)) => format!("{who} renamed it {name}"),
                Some(Act::RoleChanged(person)) => format!("{who} made {} …", person.display_name),
                None => format!("{who} did something"),
            }
        }
        TimelineRow::Gap(hidden) => format!("gap {}-{}", hidden.from.get(), hidden.to.get()),
    }
}

/// The messages of a timeline.
pub(crate) fn messages(rows: &[TimelineRow]) -> Vec<&MessageView> {
    let of = |row: &'_ TimelineRow| matches!(row, TimelineRow::Message(_));
    rows.iter()
        .filter(|row| of(row))
        .filter_map(|row| match row {
            TimelineRow::Message(message) => Some(&**message),
            _ => None,
        })
        .collect()
}

/// The last place that any log can have.
pub(crate) fn end() -> Seq {
    Seq::new(tidings_model::entry::COUNTER_BOUND - 1).expect("below the bound")
}

/// A message id for tests.
pub(crate) fn message_id(number: u64) -> MessageId {
    let mut bytes = [0xee; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

impl Person {
    fn new(client: Client, database: MemoryDatabase) -> Self {
        Self {
            client,
            database,
            connection: None,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            outcomes: BTreeMap::new(),
            notices: Vec::new(),
            list: Vec::new(),
            timelines: BTreeMap::new(),
            composers: 0,
            states: Vec::new(),
            listings: Vec::new(),
            frames_sent: 0,
        }
    }

    /// Swaps the program for one on this database.
    pub(crate) fn reopen(&mut self, database: MemoryDatabase) {
        self.client = Client::open(config(), &database).expect("the database is read");
        self.list = self.client.conversation_list().to_vec();
        self.database = database;
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.client.me().expect("somebody signed in").device
    }

    fn hang_up(&mut self, server: &mut Server) {
        if let Some(connection) = self.connection.take() {
            server.disconnect(connection);
        }
        self.to_server.clear();
        self.to_client.clear();
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Outcome { command, outcome } => {
                    self.outcomes.entry(command.0).or_default().push(outcome);
                }
                Event::Notice(notice) => self.notices.push(notice),
                Event::ConversationList(changes) => {
                    for change in changes {
                        change.apply(&mut self.list);
                    }
                }
                Event::Timeline { conversation, changes } => {
                    let rows = self.timelines.entry(conversation).or_default();
                    for change in changes {
                        change.apply(rows);
                    }
                }
                Event::Composer { .. } => self.composers += 1,
                Event::Connection(state) => self.states.push(state),
                Event::Listing(listing) => self.listings.push(listing),
                Event::Presence { .. } => {}
            }
        }
        assert_eq!(self.list, self.client.conversation_list(), "the diffs lead to the list");
    }
}
