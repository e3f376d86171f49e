//! Random interleavings of requests, commits, answers, disconnects and restarts: whatever the order,
//! what is accepted is read once by everybody in their ranges, and a session that follows its live feed
//! and fetches when it must ends with exactly that.
//!
//! A failing seed is named in the panic; put it into `SEEDS_ONCE_BAD`.

mod sealed;

use std::collections::{BTreeMap, BTreeSet};

use tidings_messaging::request::{Change, LogItem, RequestId, SessionId};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{MessageId, Refusal, Seq};

use crate::world::{ANNA, CHOIR, Person, World, fetch, last_seq, send};

const SEEDS_ONCE_BAD: [u64; 0] = [];
const SEEDS: u64 = 1_500;
const STEPS: usize = 150;
const PEOPLE: u8 = 5;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// A reader that follows its live feed and fetches when that has a gap.
#[derive(Default)]
struct Reader {
    session: Option<SessionId>,
    /// The resume of the session, while its answer was not taken in.
    resume: Option<RequestId>,
    cursor: Seq,
    read: Vec<(u64, MessageId)>,
    hidden: BTreeSet<u64>,
    behind: bool,
}

/// What the choir is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Sealed,
}

struct Play {
    kind: Kind,
    world: World,
    dice: Dice,
    readers: BTreeMap<Person, Reader>,
    waiting: Vec<(SessionId, RequestId, MessageId)>,
    said: Vec<(Person, MessageId, Request)>,
    accepted: BTreeMap<MessageId, u64>,
    met: Vec<&'static str>,
}

#[test]
fn whatever_the_order_everybody_reads_what_was_accepted_once() {
    for seed in SEEDS_ONCE_BAD.into_iter().chain(0..SEEDS) {
        play(seed, Kind::Open);
    }
}

#[test]
fn whatever_the_order_a_sealed_log_holds_what_its_members_can_open() {
    let mut met = BTreeMap::new();
    for seed in SEEDS_ONCE_BAD.into_iter().chain(0..SEEDS) {
        for name in play(seed, Kind::Sealed) {
            *met.entry(name).or_insert(0) += 1;
        }
    }
    let refusals = [
        "COMMIT_BUSY",
        "COMMIT_REFUSED",
        "COMMIT_REQUIRED",
        "EPOCH_CONFLICT",
        "NOT_A_MEMBER",
        "NOT_FOUND",
    ];
    for name in refusals.into_iter().chain(["ACCEPTED", "DUPLICATE"]) {
        assert!(met.get(name).is_some_and(|count| *count > 100), "{name} is rare: {met:?}");
    }
}

/// Plays one seed, and tells what people were answered.
fn play(seed: u64, kind: Kind) -> Vec<&'static str> {
    let people: Vec<Person> = (1..=PEOPLE).map(Person).collect();
    let (mut world, sessions) = World::with(&people);
    match kind {
        Kind::Open => drop(world.create_choir(sessions[0], &people[1..3]).expect("is made")),
        Kind::Sealed => sealed::create(&mut world, sessions[0], &people[1..3]),
    }
    let readers = people.iter().zip(&sessions).map(|(person, session)| {
        (*person, Reader { session: Some(*session), behind: true, ..Reader::default() })
    });
    let mut play = Play {
        kind,
        readers: readers.collect(),
        world,
        dice: Dice(seed),
        waiting: Vec::new(),
        said: Vec::new(),
        accepted: BTreeMap::new(),
        met: Vec::new(),
    };
    for _ in 0..STEPS {
        play.step();
        play.note_replies();
    }
    play.finish(seed);
    play.met
}

impl Play {
    fn step(&mut self) {
        let person = Person(1 + self.dice.roll(u64::from(PEOPLE)) as u8);
        if self.kind == Kind::Sealed && self.dice.roll(3) == 0 {
            return self.step_sealed(person);
        }
        match self.dice.roll(20) {
            0..=4 => self.say(person),
            5..=8 => drop(self.world.commit()),
            9..=12 => {
                let waiting = self.world.answers.len().max(1) as u64;
                self.world.hand_over_answer_at(self.dice.roll(waiting) as usize);
            }
            13..=15 => self.toggle_membership(person),
            16 => self.leave(person),
            17 => self.toggle_session(person),
            18 => self.follow(person),
            _ => match self.dice.roll(3) {
                0 => self.restart(),
                _ => self.say_again(person),
            },
        }
    }

    /// Begins a request of a person who is here.
    fn begin(&mut self, person: Person, body: impl FnOnce(MessageId) -> Request) {
        let message_id = self.world.message_id();
        self.begin_as(person, message_id, body(message_id));
    }

    fn begin_as(&mut self, person: Person, message_id: MessageId, body: Request) {
        let Some(session) = self.readers.get(&person).and_then(|reader| reader.session) else {
            return;
        };
        let request = self.world.begin(session, body.clone());
        self.waiting.push((session, request, message_id));
        self.said.push((person, message_id, body));
    }

    fn say(&mut self, person: Person) {
        match self.kind {
            Kind::Open => self.begin(person, |message_id| send(CHOIR, "la", message_id)),
            Kind::Sealed => self.say_sealed(person),
        }
    }

    /// Anna adds or removes somebody; she herself stays, so that her log is the whole one.
    fn toggle_membership(&mut self, person: Person) {
        if person == ANNA {
            return;
        }
        let add = self.dice.roll(2) == 0;
        if self.kind == Kind::Sealed {
            return self.commit_membership(person, add);
        }
        self.begin(ANNA, |message_id| {
            let act = match add {
                true => Change::Add(vec![person.account()]),
                false => Change::Remove(person.account()),
            };
            Request::Change { conversation: CHOIR, message_id, act }
        });
    }

    fn leave(&mut self, person: Person) {
        if person != ANNA && self.kind == Kind::Sealed {
            self.leave_sealed(person);
        } else if person != ANNA {
            let conversation = CHOIR;
            let act = Change::Leave;
            self.begin(person, |message_id| Request::Change { conversation, message_id, act });
        }
    }

    fn toggle_session(&mut self, person: Person) {
        let Some(reader) = self.readers.get_mut(&person) else { return };
        match reader.session.take() {
            Some(session) => {
                let now = self.world.now();
                self.world.core.handle_disconnect(now, session);
                self.world.take_effects();
                self.world.heard(session);
            }
            None => {
                let session = self.world.connect();
                let resume = self.world.resume_of(person, Vec::new());
                reader.resume = Some(self.world.begin(session, Request::Resume(resume)));
                reader.session = Some(session);
            }
        }
    }

    /// Sends something of the person's once more, as after an answer that was lost.
    fn say_again(&mut self, person: Person) {
        let said = Vec::from_iter(self.said.iter().filter(|(who, ..)| *who == person));
        if said.is_empty() {
            return;
        }
        let (_, message_id, body) = said[self.dice.roll(said.len() as u64) as usize].clone();
        self.begin_as(person, message_id, body);
    }

    fn restart(&mut self) {
        self.waiting.clear();
        for reader in self.readers.values_mut() {
            reader.session = None;
            reader.resume = None;
        }
        self.world.restart();
        // All come back at once, as after every restart.
        for person in (1..=PEOPLE).rev().map(Person) {
            self.toggle_session(person);
        }
    }

    fn note_replies(&mut self) {
        let mut open = Vec::new();
        for (session, request, message_id) in std::mem::take(&mut self.waiting) {
            match self.world.answer_to(session, request) {
                Some(Ok(Reply::Accepted { appended, .. })) => {
                    self.met.push(if appended.duplicate { "DUPLICATE" } else { "ACCEPTED" });
                    self.accepted.insert(message_id, appended.position.seq.get());
                }
                Some(Ok(reply)) => panic!("{reply:?}"),
                Some(Err(refusal)) => self.met.push(refusal.name()),
                None => open.push((session, request, message_id)),
            }
        }
        self.waiting = open;
    }

    /// Takes in what the person's session has heard.
    fn follow(&mut self, person: Person) {
        let Some(reader) = self.readers.get_mut(&person) else { return };
        let Some(session) = reader.session else { return };
        if let Some(request) = reader.resume {
            let Some(answer) = self.world.answer_to(session, request) else { return };
            let Ok(Reply::Resumed(resumed)) = answer else { panic!("resumes: {answer:?}") };
            reader.behind |= resumed.conversations.iter().any(|state| state.head > reader.cursor);
            reader.resume = None;
        }
        for event in self.world.heard(session) {
            match event {
                Event::Entry(live) if live.entry.seq == reader.cursor.next() && !reader.behind => {
                    reader.cursor = live.entry.seq;
                    reader.read.push((live.entry.seq.get(), live.entry.message_id));
                }
                Event::Entry(live) => reader.behind |= live.entry.seq > reader.cursor,
                Event::ConversationsChanged(states) => {
                    reader.behind |= states.iter().any(|state| state.head > reader.cursor);
                }
                _ => {}
            }
        }
    }

    /// All becomes quiet; everybody catches up; then everything is compared.
    fn finish(&mut self, seed: u64) {
        self.world.settle();
        self.note_replies();
        for person in (1..=PEOPLE).map(Person) {
            if self.readers[&person].session.is_none() {
                self.toggle_session(person);
                self.world.settle();
            }
            self.follow(person);
        }
        let owner = self.readers[&ANNA].session.expect("is here");
        let (_, log) = self.world.read_all(owner, CHOIR).expect("the owner may read");
        if self.kind == Kind::Sealed {
            self.check_sealed(seed, &log);
        }
        let log: Vec<(u64, MessageId)> = log.iter().map(entry_of).collect();
        let numbers: Vec<u64> = log.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=log.len() as u64).collect::<Vec<_>>(), "seed {seed}: gap-free");
        for (message_id, place) in &self.accepted {
            assert!(
                log.contains(&(*place, *message_id)),
                "seed {seed}: {message_id} was accepted at {place}, and the log has {log:?}"
            );
        }
        let ids: BTreeSet<_> = log.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), log.len(), "seed {seed}: doubled");
        for person in (1..=PEOPLE).map(Person) {
            self.compare(seed, person, &log);
        }
    }

    fn compare(&mut self, seed: u64, person: Person, log: &[(u64, MessageId)]) {
        self.catch_up(person);
        let reader = &self.readers[&person];
        let mut seen: BTreeMap<u64, MessageId> = BTreeMap::new();
        for (number, id) in &reader.read {
            assert_eq!(seen.insert(*number, *id), None, "seed {seed}: {person:?} read twice");
        }
        for (number, id) in log.iter().filter(|(number, _)| *number <= reader.cursor.get()) {
            match seen.get(number) {
                Some(read) => assert_eq!(read, id, "seed {seed}: {person:?} read another"),
                None => assert!(reader.hidden.contains(number), "seed {seed}: {person:?} lacks it"),
            }
        }
    }

    /// Fetches what the reader lacks, where it knows that it lacks something.
    fn catch_up(&mut self, person: Person) {
        let Some(reader) = self.readers.get_mut(&person) else { return };
        let session = reader.session.expect("is here");
        loop {
            match self.world.ask(session, fetch(CHOIR, None, reader.cursor)) {
                Ok(Reply::Entries { items, head, .. }) => {
                    assert!(
                        reader.behind || items.is_empty(),
                        "{person:?} was not told of {} and more",
                        reader.cursor.next().get()
                    );
                    for item in &items {
                        match item {
                            LogItem::Entry(_) => reader.read.push(entry_of(item)),
                            LogItem::Hidden(hidden) => {
                                reader.hidden.extend(hidden.from.get()..=hidden.to.get());
                            }
                        }
                        reader.cursor = last_seq(item);
                    }
                    if reader.cursor >= head {
                        break;
                    }
                }
                Err(Refusal::NotFound) => break,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn entry_of(item: &LogItem) -> (u64, MessageId) {
    match item {
        LogItem::Entry(entry) => (entry.seq.get(), entry.message_id),
        LogItem::Hidden(hidden) => panic!("{hidden:?} is hidden from the owner"),
    }
}
