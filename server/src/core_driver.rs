//! The thread that owns the core: one channel of inputs, and the carrying out of effects. Operations go
//! to the group commit, queries to the readers, what is to be judged to the observer of groups, answers
//! and events to the sessions. It decides nothing about conversations.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tidings_backend_sqlite::group_commit::{Committed, GroupCommit};
use tidings_backend_sqlite::reader_pool::ReaderPool;
use tidings_backend_sqlite::{SqliteReader, SqliteWriter, SubmitError};
use tidings_door_app::{CorePort, SessionInput};
use tidings_messaging::group::{Judged, Observer};
use tidings_messaging::request::{PeerNetwork, RequestId, SessionId};
use tidings_messaging::store::{Answer, Outcome, ReadFailure, Rejection};
use tidings_messaging::{Configuration, Core, Effect, Report, Request, Ticket};
use tidings_model::{Now, Refusal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::clock::{Clocks, entropy};
use crate::limits::{CLOSE_TIMEOUT, FINISH_TIMEOUT, INPUTS_AT_ONCE, OBSERVE_INTERVAL};
use crate::metrics::Metrics;
use crate::observer_thread::ObserverThread;

/// What the thread is told.
enum Input {
    Connect(SessionId, PeerNetwork, UnboundedSender<Box<SessionInput>>),
    Request(SessionId, RequestId, Request),
    Disconnect(SessionId),
    Committed(Committed<InFlight>),
    Answered(Ticket, Result<Answer, ReadFailure>),
    Judged(Ticket, Result<Judged, Refusal>),
    Stop { spread: Duration },
}

/// An operation on its way to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InFlight {
    ticket: Ticket,
    since: Instant,
}

/// The way to the core, for everybody who has something to tell it.
#[derive(Clone)]
pub(crate) struct CoreHandle {
    inputs: Sender<Input>,
    clocks: Clocks,
    last_session: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

/// One session's way to the core. Its end tells the core of the session's.
pub(crate) struct SessionPort {
    session: SessionId,
    core: CoreHandle,
}

impl CoreHandle {
    /// Makes a session known to the core.
    pub(crate) fn connect(
        &self,
        peer: PeerNetwork,
    ) -> (SessionPort, UnboundedReceiver<Box<SessionInput>>) {
        let session = SessionId(self.last_session.fetch_add(1, Ordering::Relaxed) + 1);
        let (to_session, from_core) = unbounded_channel();
        self.tell(Input::Connect(session, peer, to_session));
        (SessionPort { session, core: self.clone() }, from_core)
    }

    /// Begins the end: apps are told, what is under way is finished, sessions are closed, and the
    /// thread ends.
    pub(crate) fn stop(&self, spread: Duration) {
        self.tell(Input::Stop { spread });
    }

    fn tell(&self, input: Input) {
        // The thread's end is the program's: whoever waits for it acts on it.
        let _ = self.inputs.send(input);
    }
}

impl CorePort for SessionPort {
    fn request(&self, request: RequestId, body: Request) {
        self.core.metrics.requests.inc();
        self.core.tell(Input::Request(self.session, request, body));
    }

    fn now(&self) -> Now {
        self.core.clocks.now()
    }
}

impl Drop for SessionPort {
    fn drop(&mut self) {
        self.core.tell(Input::Disconnect(self.session));
    }
}

/// Starts the thread. The receiver hears of its end: [`Ended::Stopped`], or nothing if it died.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn spawn(
    configuration: Configuration,
    writer: SqliteWriter,
    readers: Vec<SqliteReader>,
    observer: impl Observer + 'static,
    clocks: Clocks,
    metrics: Arc<Metrics>,
) -> std::io::Result<(CoreHandle, oneshot::Receiver<Ended>)> {
    let (inputs, from_all) = channel();
    let committed = inputs.clone();
    let commits = GroupCommit::spawn(writer, move |batch| {
        let _ = committed.send(Input::Committed(batch));
    })?;
    let answered = inputs.clone();
    let readers = ReaderPool::spawn(readers, move |ticket, answer| {
        let _ = answered.send(Input::Answered(ticket, answer));
    })?;
    let judged = inputs.clone();
    let waiting = metrics.judgements_waiting.clone();
    let observer = ObserverThread::spawn(observer, waiting, move |ticket, judgement| {
        let _ = judged.send(Input::Judged(ticket, judgement));
    })?;
    let handle =
        CoreHandle { inputs, clocks, last_session: Arc::default(), metrics: Arc::clone(&metrics) };
    let mut driver = CoreDriver {
        core: Core::new(configuration),
        commits,
        readers,
        observer,
        sessions: HashMap::new(),
        clocks,
        metrics,
        observed_at: None,
        stopping: None,
    };
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name("core".to_owned()).spawn(move || match driver.run(&from_all) {
        Ended::Stopped => {
            // What is still queued for the disk gets there first.
            drop(driver);
            let _ = ended.send(Ended::Stopped);
        }
        // A broken disk may keep its threads waiting, and nobody may wait for them.
        broken => drop(ended.send(broken)),
    })?;
    Ok((handle, end))
}

/// How the thread ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// As it was told.
    Stopped,
    /// What is on disk is unknown: the program must exit, and recovers when it starts again.
    StoreBroken(String),
}

struct CoreDriver {
    core: Core,
    commits: GroupCommit<InFlight>,
    readers: ReaderPool<Ticket>,
    observer: ObserverThread,
    sessions: HashMap<SessionId, UnboundedSender<Box<SessionInput>>>,
    clocks: Clocks,
    metrics: Arc<Metrics>,
    /// When the metrics last took over the core's numbers.
    observed_at: Option<Instant>,
    stopping: Option<Stopping>,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy)]
enum Stopping {
    /// What was asked is finished; new requests are refused.
    Finishing { until: Instant },
    /// The sessions close.
    Closing { until: Instant },
}

impl CoreDriver {
    fn run(&mut self, inputs: &Receiver<Input>) -> Ended {
        self.core.handle_start(self.clocks.now());
        loop {
            if let Err(broken) = self.carry_out() {
                return Ended::StoreBroken(broken);
            }
            if self.has_stopped() {
                return Ended::Stopped;
            }
            self.observe();
            match inputs.recv_timeout(self.patience()) {
                Ok(input) => {
                    if let Err(broken) = self.handle(input) {
                        return Ended::StoreBroken(broken);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ended::Stopped,
            }
            for input in inputs.try_iter().take(INPUTS_AT_ONCE) {
                if let Err(broken) = self.handle(input) {
                    return Ended::StoreBroken(broken);
                }
            }
            let now = self.clocks.now();
            if self.core.poll_timeout().is_some_and(|at| at <= now.monotonic) {
                self.core.handle_timeout(now);
            }
        }
    }

    /// Lets the metrics take over the core's numbers, now and then: they are counted over everything
    /// in memory.
    fn observe(&mut self) {
        if self.observed_at.is_none_or(|at| at.elapsed() >= OBSERVE_INTERVAL) {
            self.observed_at = Some(Instant::now());
            self.metrics.observe(&self.core.gauges());
        }
    }

    /// How long to wait for an input.
    fn patience(&self) -> Duration {
        let now = self.clocks.now().monotonic;
        let timer = self.core.poll_timeout().map(|at| at.since(now));
        match self.stopping {
            Some(Stopping::Finishing { until } | Stopping::Closing { until }) => {
                let deadline = until.saturating_duration_since(Instant::now());
                timer.map_or(deadline, |timer| timer.min(deadline))
            }
            None => timer.map_or(OBSERVE_INTERVAL, |timer| timer.min(OBSERVE_INTERVAL)),
        }
    }

    fn handle(&mut self, input: Input) -> Result<(), String> {
        let now = self.clocks.now();
        match input {
            Input::Connect(session, peer, to_session) => {
                if matches!(self.stopping, Some(Stopping::Closing { .. })) {
                    let _ = to_session.send(Box::new(SessionInput::Stop));
                }
                self.sessions.insert(session, to_session);
                self.core.handle_connect(now, session, peer);
            }
            Input::Request(session, request, body) => {
                if self.stopping.is_some() {
                    self.reply(session, request, Err(Refusal::Unavailable));
                } else {
                    self.core.handle_request(now, entropy(), session, request, body);
                }
            }
            Input::Disconnect(session) => {
                self.sessions.remove(&session);
                self.core.handle_disconnect(now, session);
            }
            Input::Committed(Committed::Outcomes(outcomes)) => {
                self.metrics.commit_operations.observe(outcomes.len() as f64);
                for (operation, outcome) in outcomes {
                    self.metrics.commit_seconds.observe(operation.since.elapsed().as_secs_f64());
                    self.outcome(now, operation.ticket, outcome);
                }
            }
            Input::Committed(Committed::Broken { failure, .. }) => return Err(failure.to_string()),
            Input::Answered(ticket, answer) => self.core.handle_answer(now, ticket, answer),
            Input::Judged(ticket, judged) => self.core.handle_judged(now, ticket, judged),
            Input::Stop { spread } => {
                if self.stopping.is_none() {
                    self.core.handle_drain(now, spread);
                    let until = Instant::now() + FINISH_TIMEOUT;
                    self.stopping = Some(Stopping::Finishing { until });
                }
            }
        }
        // Effects of one input are on their way before the next is taken, in order.
        self.carry_out()
    }

    fn outcome(&mut self, now: Now, ticket: Ticket, outcome: Outcome) {
        if outcome == Err(Rejection::Refused(Refusal::StorageFull)) {
            self.metrics.note_full_disk();
        }
        self.core.handle_outcome(now, ticket, outcome);
    }

    fn carry_out(&mut self) -> Result<(), String> {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Apply(ticket, operation) => {
                    let in_flight = InFlight { ticket, since: Instant::now() };
                    match self.commits.submit(in_flight, operation) {
                        Ok(()) => {}
                        Err(SubmitError::Full) => {
                            let refused = Err(Rejection::Refused(overloaded()));
                            self.core.handle_outcome(self.clocks.now(), ticket, refused);
                        }
                        Err(SubmitError::Stopped) => {
                            return Err("the store's writer has stopped".to_owned());
                        }
                    }
                }
                Effect::Read(ticket, query) => {
                    if self.readers.submit(ticket, query).is_err() {
                        let refused = Err(ReadFailure::Refused(overloaded()));
                        self.core.handle_answer(self.clocks.now(), ticket, refused);
                    }
                }
                Effect::Judge(ticket, judge) => {
                    if let Err(refusal) = self.observer.submit(ticket, judge) {
                        self.core.handle_judged(self.clocks.now(), ticket, Err(refusal));
                    }
                }
                Effect::Reply(session, request, reply) => self.reply(session, request, reply),
                Effect::Event(session, event) => {
                    self.metrics.events.inc();
                    self.tell(session, SessionInput::Event(event));
                }
                Effect::Close(session, reason) => self.tell(session, SessionInput::Close(reason)),
                Effect::Report(report) => self.report(&report),
            }
        }
        Ok(())
    }

    fn reply(
        &self,
        session: SessionId,
        request: RequestId,
        reply: Result<tidings_messaging::Reply, Refusal>,
    ) {
        if let Err(refusal) = &reply {
            self.metrics.note_refusal(refusal);
        }
        self.tell(session, SessionInput::Reply(request, reply));
    }

    fn tell(&self, session: SessionId, input: SessionInput) {
        if let Some(to_session) = self.sessions.get(&session) {
            // A session that has just gone tells so by itself.
            let _ = to_session.send(Box::new(input));
        }
    }

    fn report(&self, report: &Report) {
        match report {
            Report::LogMismatch { conversation, .. } => {
                self.metrics.log_mismatches.inc();
                tracing::warn!(
                    %conversation,
                    "a device has read more of this log than is there, or something else: the data \
                     folder was copied back or the disk has lost what it had confirmed; the log begins \
                     a new epoch"
                );
            }
            Report::StoreUnreadable(reason) => {
                self.metrics.read_failures.inc();
                tracing::error!(reason, "the store could not answer");
            }
            Report::UpkeepRefused(refusal) => {
                tracing::warn!(%refusal, "an operation of the server's own was refused");
            }
        }
    }

    /// Goes on with the end, if it has begun; tells whether it has come.
    fn has_stopped(&mut self) -> bool {
        if self.stopping.is_none() {
            return false;
        }
        let is_quiet = self.core.gauges().pending == 0;
        if let Some(Stopping::Finishing { until }) = self.stopping
            && (is_quiet || Instant::now() >= until)
        {
            for to_session in self.sessions.values() {
                let _ = to_session.send(Box::new(SessionInput::Stop));
            }
            self.stopping = Some(Stopping::Closing { until: Instant::now() + CLOSE_TIMEOUT });
        }
        match self.stopping {
            Some(Stopping::Closing { until }) => {
                (self.sessions.is_empty() && is_quiet) || Instant::now() >= until
            }
            Some(Stopping::Finishing { .. }) | None => false,
        }
    }
}

fn overloaded() -> Refusal {
    Refusal::Overloaded { retry_after: Duration::from_secs(1) }
}
