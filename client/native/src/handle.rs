//! How a program holds the client: commands in, outcomes and events out.
//!
//! What was answered *queued* is in the database and survives whatever happens to the process from
//! then on. [`ClientHandle::shutdown`] is a courtesy to the server and to the next program that wants
//! the folder, not a condition of anything.

use std::path::PathBuf;
use std::thread;

use tidings_client_core::view::ConversationSummary;
use tidings_client_core::{
    Client, Command, Config, ConnectionState, DatabaseError, Event, Lifecycle, Listing, Me,
    Outcome, SealedCounts,
};
use tidings_client_database::Database;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::driver::{Driver, Input, Numbered};
use crate::folder::Folder;
use crate::limits::{EVENTS_MAX, INPUTS_MAX};
use crate::{ClientGone, OpenError};

/// Which client to open.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The person's folder.
    pub folder: PathBuf,
    /// What differs between programs.
    pub config: Config,
}

/// One person's client. Clones are the same client; it ends with [`ClientHandle::shutdown`], or when
/// the last clone is dropped.
#[derive(Debug, Clone)]
pub struct ClientHandle {
    inputs: mpsc::Sender<Input>,
}

/// What the client would have told to somebody who listened from the beginning.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Who is signed in; also after the server has signed the device out.
    pub me: Option<Me>,
    /// The conversations, newest first.
    pub conversations: Vec<ConversationSummary>,
    /// The connection.
    pub connection: ConnectionState,
    /// How many messages and acts wait to be sent.
    pub unsent: usize,
    /// Why the server does not take them, in its words; `None` while nothing is held.
    pub outbox_held: Option<String>,
    /// How this device stands in its account's device list.
    pub listing: Listing,
    /// What happened in sealed conversations since the client was opened.
    pub sealed_counts: SealedCounts,
    /// How many events were told before it.
    events_told: u64,
}

/// What the client tells: connection states, conversation list, timelines, notices. Outcomes of
/// commands come with [`Outcomes`] instead.
#[derive(Debug)]
pub struct Events {
    events: broadcast::Receiver<Numbered>,
    /// Events up to this number are in a snapshot that the reader has.
    known: u64,
}

/// The next thing that the client tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// An event.
    Event(Box<Event>),
    /// Events were dropped because nobody took them: take a [`ClientHandle::snapshot`], go on from it
    /// with [`Events::skip_to`], and open the views again.
    Missed,
}

/// The outcomes of one command.
#[derive(Debug)]
pub struct Outcomes {
    outcomes: mpsc::UnboundedReceiver<Outcome>,
}

impl ClientHandle {
    /// Opens a person's folder and starts the client. Must be called within a tokio runtime, which
    /// carries the connections.
    ///
    /// # Errors
    /// The folder is in use or unusable, or its database is.
    pub async fn open(opening: Opening) -> Result<(Self, Events), OpenError> {
        let (inputs, inputs_of_driver) = mpsc::channel(INPUTS_MAX);
        let (events_of_driver, events) = broadcast::channel(EVENTS_MAX);
        let (report, opened) = oneshot::channel::<Result<(), OpenError>>();
        let network = Handle::current();
        thread::Builder::new()
            .name("tidings-client".to_owned())
            .spawn(move || {
                let start = || {
                    let runtime = Builder::new_current_thread()
                        .enable_time()
                        .build()
                        .map_err(OpenError::Thread)?;
                    let folder = Folder::open(&opening.folder)?;
                    let database = Database::open(&folder.database_path(), None)?;
                    let core = Client::open(opening.config, &database)?;
                    let driver = Driver::new(
                        core,
                        database,
                        folder,
                        inputs_of_driver,
                        events_of_driver,
                        network,
                    );
                    Ok((driver, runtime))
                };
                match start() {
                    Ok((driver, runtime)) => {
                        if report.send(Ok(())).is_ok() {
                            driver.run(&runtime);
                        }
                    }
                    Err(error) => {
                        let _ = report.send(Err(error));
                    }
                }
            })
            .map_err(OpenError::Thread)?;
        opened.await.map_err(|_| OpenError::Gone(ClientGone))??;
        Ok((Self { inputs }, Events { events, known: 0 }))
    }

    /// Hands over a command.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn command(&self, command: Command) -> Result<Outcomes, ClientGone> {
        let (sender, outcomes) = mpsc::unbounded_channel();
        self.hand_over(Input::Command(Box::new(command), sender)).await?;
        Ok(Outcomes { outcomes })
    }

    /// Tells what happened to the device.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn lifecycle(&self, lifecycle: Lifecycle) -> Result<(), ClientGone> {
        self.hand_over(Input::Lifecycle(lifecycle)).await
    }

    /// Reads the database, between two steps of the core: `read` sees what is committed, and keeps the
    /// client waiting for as long as it takes.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn tidings_client_core::Database) -> Result<T, DatabaseError>
        + Send
        + 'static,
    ) -> Result<Result<T, DatabaseError>, ClientGone> {
        self.look(move |_, database, _| read(database)).await
    }

    /// What the client told up to now, all together. Whatever it told before waits in [`Events`] when
    /// this returns; [`Events::skip_to`] leaves it out there.
    ///
    /// # Errors
    /// The client has ended.
    pub async fn snapshot(&self) -> Result<Snapshot, ClientGone> {
        self.look(|core, _, events_told| Snapshot {
            me: core.me(),
            conversations: core.conversation_list().to_vec(),
            connection: core.connection_state(),
            unsent: core.unsent(),
            outbox_held: core.outbox_held().map(str::to_owned),
            listing: core.listing(),
            sealed_counts: core.sealed_counts(),
            events_told,
        })
        .await
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Client, &Database, u64) -> T + Send + 'static,
    ) -> Result<T, ClientGone> {
        let (sender, answer) = oneshot::channel();
        let input = Input::Read(Box::new(move |core, database, events_told| {
            // Whoever asked may have gone.
            let _ = sender.send(look(core, database, events_told));
        }));
        self.hand_over(input).await?;
        answer.await.map_err(|_| ClientGone)
    }

    /// Ends the client: what it has is committed already; the connection is closed and the folder
    /// free when this returns.
    pub async fn shutdown(self) {
        let (sender, done) = oneshot::channel();
        if self.hand_over(Input::Shutdown(sender)).await.is_ok() {
            let _ = done.await;
        }
    }

    async fn hand_over(&self, input: Input) -> Result<(), ClientGone> {
        self.inputs.send(input).await.map_err(|_| ClientGone)
    }
}

impl Events {
    /// Waits for the next thing; `None` when the client has ended.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            match self.events.recv().await {
                Ok(numbered) if numbered.number <= self.known => {}
                Ok(numbered) => return Some(Told::Event(Box::new(numbered.event))),
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(Told::Missed),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next thing that was told already, if there is one.
    pub fn try_next(&mut self) -> Option<Told> {
        loop {
            match self.events.try_recv() {
                Ok(numbered) if numbered.number <= self.known => {}
                Ok(numbered) => return Some(Told::Event(Box::new(numbered.event))),
                Err(broadcast::error::TryRecvError::Lagged(_)) => return Some(Told::Missed),
                Err(
                    broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed,
                ) => return None,
            }
        }
    }

    /// Leaves out what a snapshot tells already.
    pub fn skip_to(&mut self, snapshot: &Snapshot) {
        self.known = snapshot.events_told;
    }

    /// Another receiver of what is told from now on.
    #[must_use]
    pub fn resubscribe(&self) -> Self {
        Self { events: self.events.resubscribe(), known: self.known }
    }
}

impl Outcomes {
    /// Waits for the next outcome; `None` after the last, and when the client has ended.
    pub async fn next(&mut self) -> Option<Outcome> {
        self.outcomes.recv().await
    }
}

#[cfg(test)]
mod tests {
    use tidings_client_core::OfflineReason;

    use super::*;

    fn numbered(number: u64) -> Numbered {
        let missing = number;
        Numbered { number, event: Event::Connection(ConnectionState::Syncing { missing }) }
    }

    fn told(number: u64) -> Option<Told> {
        Some(Told::Event(Box::new(numbered(number).event)))
    }

    fn snapshot(events_told: u64) -> Snapshot {
        Snapshot {
            me: None,
            conversations: Vec::new(),
            connection: ConnectionState::Offline(OfflineReason::NotWanted),
            unsent: 0,
            outbox_held: None,
            listing: Listing::Unknown,
            sealed_counts: SealedCounts::default(),
            events_told,
        }
    }

    #[tokio::test]
    async fn events_that_a_snapshot_tells_already_are_left_out() {
        let (sender, receiver) = broadcast::channel(8);
        let mut events = Events { events: receiver, known: 0 };
        for number in 1..=3 {
            sender.send(numbered(number)).unwrap();
        }
        events.skip_to(&snapshot(2));
        assert_eq!(events.next().await, told(3));
        assert_eq!(events.try_next(), None);
        drop(sender);
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn reader_that_is_too_slow_is_told_and_goes_on_from_a_snapshot() {
        let (sender, receiver) = broadcast::channel(2);
        let mut events = Events { events: receiver, known: 0 };
        for number in 1..=4 {
            sender.send(numbered(number)).unwrap();
        }
        assert_eq!(events.next().await, Some(Told::Missed));
        events.skip_to(&snapshot(4));
        sender.send(numbered(5)).unwrap();
        assert_eq!(events.try_next(), Some(Told::Missed));
        assert_eq!(events.try_next(), told(5));
    }
}
