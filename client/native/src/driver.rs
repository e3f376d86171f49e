//! The thread that owns one person's core and database.
//!
//! It waits for the next thing (a command, a report of the connection, the core's time), lets the core
//! take one step, commits what the step changes, and only then hands on what the step wants to send
//! and to tell. The database is written here and nowhere else, so that no task of the program ever
//! waits for the disk; the sockets are tasks of the program's runtime, so that this thread never waits
//! for the network.

use std::collections::HashMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tidings_client_core::{
    Client, Command, CommandId, Event, Lifecycle, Outcome, Transmit, TransportEvent,
};
use tidings_client_database::Database;
use tidings_model::{Monotonic, Now, Timestamp};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::{debug, error};

use crate::connection::{Connection, Report};
use crate::folder::Folder;
use crate::limits::{REPORTS_MAX, SHUTDOWN_TIMEOUT};
use crate::sleep::SleepWatch;
use crate::{EntropyError, entropy};

/// Something for the thread to do.
pub(crate) enum Input {
    /// The core is to carry out a command; its outcomes go there.
    Command(Box<Command>, mpsc::UnboundedSender<Outcome>),
    /// Something happened to the device.
    Lifecycle(Lifecycle),
    /// Somebody reads, between two steps of the core.
    Read(Read),
    /// The end: answered when the connection is closed and the folder is free.
    Shutdown(oneshot::Sender<()>),
}

/// A look at the core and its database, with the number of events that were told before it.
pub(crate) type Read = Box<dyn FnOnce(&Client, &Database, u64) + Send>;

/// An event with its number, from 1 on.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    /// How many were told with this one.
    pub(crate) number: u64,
    /// What is told.
    pub(crate) event: Event,
}

/// What the thread works on.
pub(crate) struct Driver {
    core: Client,
    database: Database,
    started_at: Instant,
    inputs: mpsc::Receiver<Input>,
    reports: mpsc::Receiver<Report>,
    report_to: mpsc::Sender<Report>,
    events: broadcast::Sender<Numbered>,
    events_told: u64,
    outcomes: HashMap<CommandId, mpsc::UnboundedSender<Outcome>>,
    last_command: u64,
    network: Handle,
    connection: Option<Connection>,
    last_connection: u64,
    sleep: SleepWatch,
    /// Released last, when nothing of this writes any more.
    _folder: Folder,
}

/// The next thing that happens.
enum Happening {
    Input(Option<Input>),
    Report(Report),
    Timeout,
}

impl Driver {
    pub(crate) fn new(
        core: Client,
        database: Database,
        folder: Folder,
        inputs: mpsc::Receiver<Input>,
        events: broadcast::Sender<Numbered>,
        network: Handle,
    ) -> Self {
        let (report_to, reports) = mpsc::channel(REPORTS_MAX);
        Self {
            core,
            database,
            started_at: Instant::now(),
            inputs,
            reports,
            report_to,
            events,
            events_told: 0,
            outcomes: HashMap::new(),
            last_command: 0,
            network,
            connection: None,
            last_connection: 0,
            sleep: SleepWatch::default(),
            _folder: folder,
        }
    }

    /// Works until it is told to stop or nobody is left who could tell. `runtime` runs timers alone.
    pub(crate) fn run(mut self, runtime: &Runtime) {
        let done = loop {
            let deadline = self.core.poll_timeout();
            let happening = match runtime.block_on(self.wait(deadline)) {
                Happening::Input(None) => break None,
                Happening::Input(Some(Input::Shutdown(done))) => break Some(done),
                happening => happening,
            };
            if let Err(error) = self.notice_sleep().and_then(|()| self.handle(happening)) {
                // Without random bytes nothing can be sent safely. What is committed is kept.
                error!(%error, "the client stops");
                break None;
            }
        };
        if let Some(connection) = self.connection.take() {
            let closing = async { timeout(SHUTDOWN_TIMEOUT, connection.close()).await };
            if runtime.block_on(closing).is_err() {
                debug!("the connection did not close in time");
            }
        }
        drop(self);
        if let Some(done) = done {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }

    async fn wait(&mut self, deadline: Option<Monotonic>) -> Happening {
        let until = deadline
            .map(|deadline| deadline.since(Monotonic::from_start(self.started_at.elapsed())));
        tokio::select! {
            input = self.inputs.recv() => Happening::Input(input),
            Some(report) = self.reports.recv() => Happening::Report(report),
            () = sleep(until.unwrap_or_default()), if until.is_some() => Happening::Timeout,
        }
    }

    fn handle(&mut self, happening: Happening) -> Result<(), EntropyError> {
        match happening {
            Happening::Input(Some(Input::Command(command, outcomes))) => {
                self.last_command += 1;
                let id = CommandId(self.last_command);
                self.outcomes.insert(id, outcomes);
                self.step(|core, now, entropy, database| {
                    core.handle_command(now, entropy, database, id, *command);
                })
            }
            Happening::Input(Some(Input::Lifecycle(lifecycle))) => self.live(lifecycle),
            Happening::Input(Some(Input::Read(read))) => {
                read(&self.core, &self.database, self.events_told);
                Ok(())
            }
            Happening::Input(Some(Input::Shutdown(_)) | None) => Ok(()),
            Happening::Report(report) => self.hear(report),
            Happening::Timeout => self.step(|core, now, entropy, database| {
                core.handle_timeout(now, entropy, database);
            }),
        }
    }

    /// A connection does not outlive a sleep: the next one is made at once, not when the silence is
    /// noticed.
    fn notice_sleep(&mut self) -> Result<(), EntropyError> {
        let now = self.now();
        if self.sleep.has_slept(now) {
            self.live(Lifecycle::Sleep)?;
            self.live(Lifecycle::Wake)?;
        }
        Ok(())
    }

    fn live(&mut self, lifecycle: Lifecycle) -> Result<(), EntropyError> {
        self.step(|core, now, entropy, database| {
            core.handle_lifecycle(now, entropy, database, lifecycle);
        })
    }

    fn hear(&mut self, report: Report) -> Result<(), EntropyError> {
        let is_current = self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.number() == report.connection);
        if !is_current {
            return Ok(());
        }
        if matches!(report.event, TransportEvent::Closed(_)) {
            self.connection = None;
        }
        self.step(|core, now, entropy, database| {
            core.handle_transport(now, entropy, database, report.event);
        })
    }

    /// Lets the core take one step, to its end.
    fn step(
        &mut self,
        handle: impl FnOnce(&mut Client, Now, [u8; 32], &Database),
    ) -> Result<(), EntropyError> {
        let (now, entropy) = (self.now(), entropy()?);
        handle(&mut self.core, now, entropy, &self.database);
        self.settle();
        Ok(())
    }

    /// Commits what the last step changed, then does and tells what it wants.
    fn settle(&mut self) {
        while let Some(changes) = self.core.take_changes() {
            let outcome = self.database.apply(&changes);
            self.core.handle_committed(&self.database, outcome);
        }
        while let Some(transmit) = self.core.poll_transmit() {
            self.transmit(transmit);
        }
        while let Some(event) = self.core.poll_event() {
            self.tell(event);
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        match transmit {
            Transmit::Connect(server) => {
                self.disconnect();
                self.last_connection += 1;
                self.connection = Some(Connection::open(
                    &self.network,
                    self.last_connection,
                    server,
                    self.report_to.clone(),
                ));
            }
            Transmit::Frame(frame) => {
                if let Some(connection) = &self.connection {
                    connection.send(frame);
                }
            }
            Transmit::Disconnect => self.disconnect(),
        }
    }

    /// Lets the connection end behind what waits; the next one does not wait for it.
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.network.spawn(connection.close());
        }
    }

    fn tell(&mut self, event: Event) {
        let Event::Outcome { command, outcome } = event else {
            self.events_told += 1;
            // Nobody may listen.
            let _ = self.events.send(Numbered { number: self.events_told, event });
            return;
        };
        let is_last = !matches!(outcome, Outcome::Queued { .. });
        if let Some(outcomes) = self.outcomes.get(&command) {
            // Whoever asked may have gone.
            let _ = outcomes.send(outcome);
        }
        if is_last {
            self.outcomes.remove(&command);
        }
    }

    fn now(&self) -> Now {
        // A clock before 1970 is shown as 1970: timers do not depend on it.
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX);
        Now {
            monotonic: Monotonic::from_start(self.started_at.elapsed()),
            wall: Timestamp::from_millis(millis),
        }
    }
}
