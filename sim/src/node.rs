//! The server: the real core and the real sessions of the app door on a store in memory, whose disk and
//! readers take their time.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings_backend_mls::GroupObserver;
use tidings_door_app::{Close, Service, Session};
use tidings_messaging::conformance::ModelStore;
use tidings_messaging::group::{Judged, Observer};
use tidings_messaging::limits::Limits;
use tidings_messaging::request::{PeerNetwork, SessionId};
use tidings_messaging::store::{
    Answer, LogOperation, Operation, Query, ReadFailure, Reader, Writer,
};
use tidings_messaging::{Configuration, Core, Effect, Report, Ticket};
use tidings_model::{Monotonic, Now, Refusal};

use crate::dice::Dice;
use crate::network::ConnectionId;

/// The server with its store.
pub(crate) struct Node {
    store: ModelStore,
    observer: Box<dyn Observer>,
    service: Arc<Service>,
    /// Counts starts: what the store finishes for an earlier life is lost.
    life: u32,
    running: Option<Running>,
    /// How long entries are kept, from the next start on; `None`: for ever.
    pub(crate) retention: Option<Duration>,
    pub(crate) reports: Vec<Report>,
}

/// What a crash takes.
struct Running {
    core: Core,
    sessions: BTreeMap<ConnectionId, Session>,
    /// Operations that the writer has not taken yet.
    waiting: Vec<(Ticket, Operation)>,
    /// Those that it is writing.
    writing: Vec<(Ticket, Operation)>,
}

/// Something that the server waits for.
#[derive(Debug)]
pub(crate) enum Completion {
    /// The writer's transaction is on the disk.
    Written,
    /// A reader has read.
    Read(Ticket, Box<Result<Answer, ReadFailure>>),
    /// The observer has judged.
    Judged(Ticket, Box<Result<Judged, Refusal>>),
}

/// What comes out of the server.
#[derive(Debug)]
pub(crate) enum Output {
    Frame(ConnectionId, Bytes),
    Close(ConnectionId, Close),
    /// Comes back by [`Node::complete`] after this span, in this life.
    Await(Duration, u32, Completion),
}

impl Node {
    pub(crate) fn new(store: ModelStore, observer: Box<dyn Observer>, dice: &mut Dice) -> Self {
        let limits = Limits::default();
        let service = Service {
            agent: "tidings-sim".into(),
            invite_required: false,
            invite_prefix: "https://localhost/#invite=".into(),
            invite_suffix: String::new(),
            messages_per_second: limits.messages_per_second,
            messages_burst: limits.messages_burst,
            server_secret: dice.entropy(),
        };
        let service = Arc::new(service);
        Self {
            store,
            observer,
            service,
            life: 0,
            running: None,
            retention: None,
            reports: Vec::new(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts on what the store holds.
    pub(crate) fn start(&mut self, now: Now, dice: &mut Dice) -> Vec<Output> {
        self.life += 1;
        let configuration = Configuration {
            limits: Limits::default(),
            invite_required: false,
            everybody_invites: true,
            retention: self.retention,
        };
        let mut core = Core::new(configuration);
        core.handle_start(now);
        self.running = Some(Running {
            core,
            sessions: BTreeMap::new(),
            waiting: Vec::new(),
            writing: Vec::new(),
        });
        self.go_on(now, dice)
    }

    /// Takes a copy of what is on the disk.
    pub(crate) fn back_up(&self) -> ModelStore {
        self.store.back_up()
    }

    /// Puts a copy back, while the process does not run, and gives every log a new epoch.
    pub(crate) fn restore(&mut self, backup: &ModelStore, entropy: [u8; 32], now: Now) {
        self.store.restore(backup);
        let renew = LogOperation::RenewAllEpochs { entropy, now: now.wall };
        self.store.apply(&[Operation::Log(renew)]).expect("the store in memory never fails");
        // It has taken up device lists that are not there any more.
        self.observer = Box::new(GroupObserver::new(Box::new(self.store.clone())));
    }

    /// The process is gone. What was being written is not on the disk.
    pub(crate) fn crash(&mut self) {
        self.running = None;
    }

    pub(crate) fn connect(&mut self, now: Now, dice: &mut Dice, id: ConnectionId) -> Vec<Output> {
        let Some(running) = &mut self.running else { return Vec::new() };
        let session = Session::new(now, dice.entropy(), Arc::clone(&self.service));
        running.sessions.insert(id, session);
        // Everybody comes from another network: no throttle of one concerns another.
        let mut network = [0; 6];
        network.copy_from_slice(&id.0.to_be_bytes()[2..]);
        running.core.handle_connect(now, SessionId(id.0), PeerNetwork(network));
        self.go_on(now, dice)
    }

    pub(crate) fn disconnect(
        &mut self,
        now: Now,
        dice: &mut Dice,
        id: ConnectionId,
    ) -> Vec<Output> {
        let Some(running) = &mut self.running else { return Vec::new() };
        if running.sessions.remove(&id).is_some() {
            running.core.handle_disconnect(now, SessionId(id.0));
        }
        self.go_on(now, dice)
    }

    pub(crate) fn hear(
        &mut self,
        now: Now,
        dice: &mut Dice,
        id: ConnectionId,
        frame: Bytes,
    ) -> Vec<Output> {
        let Some(running) = &mut self.running else { return Vec::new() };
        if let Some(session) = running.sessions.get_mut(&id) {
            session.handle_frame(now, frame);
        }
        self.go_on(now, dice)
    }

    /// Something that the server waited for has come.
    pub(crate) fn complete(
        &mut self,
        now: Now,
        dice: &mut Dice,
        life: u32,
        completion: Completion,
    ) -> Vec<Output> {
        let Some(running) = self.running.as_mut().filter(|_| life == self.life) else {
            return Vec::new();
        };
        match completion {
            Completion::Written => {
                let (tickets, batch): (Vec<_>, Vec<_>) =
                    take(&mut running.writing).into_iter().unzip();
                let outcomes = self.store.apply(&batch).expect("the store in memory never fails");
                for (ticket, outcome) in tickets.into_iter().zip(outcomes) {
                    running.core.handle_outcome(now, ticket, outcome);
                }
            }
            Completion::Read(ticket, answer) => running.core.handle_answer(now, ticket, *answer),
            Completion::Judged(ticket, judged) => {
                running.core.handle_judged(now, ticket, *judged);
            }
        }
        self.go_on(now, dice)
    }

    pub(crate) fn handle_timeout(&mut self, now: Now, dice: &mut Dice) -> Vec<Output> {
        let Some(running) = &mut self.running else { return Vec::new() };
        let is_due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now.monotonic);
        if is_due(running.core.poll_timeout()) {
            running.core.handle_timeout(now);
        }
        for session in running.sessions.values_mut() {
            if is_due(session.poll_timeout()) {
                session.handle_timeout(now);
            }
        }
        self.go_on(now, dice)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        let running = self.running.as_ref()?;
        let sessions = running.sessions.values().filter_map(Session::poll_timeout);
        sessions.chain(running.core.poll_timeout()).min()
    }

    /// Whether the core waits for nothing.
    pub(crate) fn is_idle(&self) -> bool {
        let pending = |running: &Running| running.core.gauges().pending > 0;
        self.running.as_ref().is_some_and(|running| !pending(running))
    }

    /// Asks the store, behind the core's back.
    pub(crate) fn ask(&self, query: &Query) -> Result<Answer, ReadFailure> {
        self.store.clone().answer(query)
    }

    /// Carries out what came of an input, until nothing more comes of it.
    fn go_on(&mut self, now: Now, dice: &mut Dice) -> Vec<Output> {
        let mut outputs = Vec::new();
        let life = self.life;
        let Some(running) = &mut self.running else { return outputs };
        loop {
            let mut is_over = true;
            while let Some(effect) = running.core.poll_effect() {
                is_over = false;
                match effect {
                    Effect::Apply(ticket, operation) => running.waiting.push((ticket, operation)),
                    Effect::Read(ticket, query) => {
                        let answer = Box::new(self.store.answer(&query));
                        let completion = Completion::Read(ticket, answer);
                        outputs.push(Output::Await(dice.millis(0..3), life, completion));
                    }
                    Effect::Judge(ticket, judge) => {
                        let judged = Box::new(self.observer.judge(&judge));
                        let completion = Completion::Judged(ticket, judged);
                        outputs.push(Output::Await(dice.millis(1..2), life, completion));
                    }
                    Effect::Reply(session, request, reply) => {
                        if let Some(session) = running.sessions.get_mut(&ConnectionId(session.0)) {
                            session.handle_reply(now, request, reply);
                        }
                    }
                    Effect::Event(session, event) => {
                        if let Some(session) = running.sessions.get_mut(&ConnectionId(session.0)) {
                            session.handle_event(event);
                        }
                    }
                    Effect::Close(session, reason) => {
                        if let Some(session) = running.sessions.get_mut(&ConnectionId(session.0)) {
                            session.handle_close(reason);
                        }
                    }
                    Effect::Report(report) => self.reports.push(report),
                }
            }
            is_over &= !running.pump_sessions(now, dice, &mut outputs);
            if is_over {
                break;
            }
        }
        if running.writing.is_empty() && !running.waiting.is_empty() {
            running.writing = take(&mut running.waiting);
            outputs.push(Output::Await(dice.millis(1..6), life, Completion::Written));
        }
        outputs
    }
}

impl Running {
    /// Passes on what the sessions say and ask; tells whether any asked.
    fn pump_sessions(&mut self, now: Now, dice: &mut Dice, outputs: &mut Vec<Output>) -> bool {
        let mut has_asked = false;
        let mut closed = Vec::new();
        for (id, session) in &mut self.sessions {
            session.handle_queued(now, 0);
            while let Some(frame) = session.poll_transmit() {
                outputs.push(Output::Frame(*id, frame));
                session.handle_queued(now, 0);
            }
            while let Some((request, body)) = session.poll_request() {
                has_asked = true;
                let session = SessionId(id.0);
                self.core.handle_request(now, dice.entropy(), session, request, body);
            }
            if let Some(close) = session.poll_close() {
                outputs.push(Output::Close(*id, close));
                closed.push(*id);
            }
        }
        for id in closed {
            has_asked = true;
            self.sessions.remove(&id);
            self.core.handle_disconnect(now, SessionId(id.0));
        }
        has_asked
    }
}
