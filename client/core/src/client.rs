//! The client's state machine: what it holds, and the verbs by which it is driven.
//!
//! Every `handle_*` is one step ([`step::Step`]). What a step writes, sends and tells is held back
//! until its change set is committed. The state in memory mirrors the database; when a commit or a
//! read fails, the step is forgotten and the mirror is read anew with the next one.

mod account;
mod account_log;
mod account_values;
mod apply;
mod backup;
mod commands;
mod entries;
mod history;
mod identity;
mod inbox;
mod key_packages;
mod key_ring;
mod link;
mod list_acts;
mod list_parts;
mod lists;
mod outbox;
mod own_list;
mod people;
mod receipts;
mod requests;
mod safety_numbers;
mod sealed;
mod sign_in;
mod state;
mod step;
mod stretch;
mod sync;
mod views;
mod wishes;

use std::collections::VecDeque;
use std::time::Duration;

use tidings_model::{Monotonic, Now};

use crate::command::{Command, CommandId};
use crate::connection::{Hindrance, Link, LinkAction, Phase};
use crate::database::{ChangeSet, Database, DatabaseError};
use crate::event::{ConnectionState, Event, Failure, Listing, Me, Notice, OfflineReason, Outcome};
use crate::transport::{CloseReason, Lifecycle, Transmit, TransportEvent};
use crate::view::ConversationSummary;

use account_log::AccountLog;
use backup::BackupTraffic;
use history::HistoryTraffic;
use inbox::Inbox;
use key_packages::KeyPackages;
use link::Links;
use lists::ListFetches;
use own_list::OwnList;
use requests::{Requests, Wish};
use sealed::Groups;
pub use sealed::SealedCounts;
use sign_in::SignInFlow;
use state::State;
use step::Step;
use sync::TailCheck;
use views::Views;

/// What differs between programs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name and version of the app, for the server operator's logs; at most 64 bytes are sent.
    pub agent: String,
    /// Key packages that the device keeps at the server, for others to add it while it is away.
    pub key_package_stock: usize,
    /// After how long this device renews its key in a group, before it sends there again.
    pub refresh_after: Duration,
    /// The shortest time between such a renewal and the last Commit of the group.
    pub refreshes_apart: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            agent: String::new(),
            key_package_stock: tidings_client_mls::limits::KEY_PACKAGE_STOCK,
            refresh_after: Duration::from_secs(7 * 24 * 60 * 60),
            refreshes_apart: Duration::from_secs(10 * 60),
        }
    }
}

/// The client of one account on one device.
pub struct Client {
    config: Config,
    state: State,
    link: Link,
    requests: Requests,
    /// Commands that wait for a session.
    wishes: VecDeque<Wish>,
    sign_in: Option<SignInFlow>,
    tail: TailCheck,
    views: Views,
    sealing: tidings_client_sealing::Open,
    /// Groups of sealed conversations.
    groups: Groups,
    counts: SealedCounts,
    own_list: OwnList,
    lists: ListFetches,
    key_packages: KeyPackages,
    inbox: Inbox,
    account_log: AccountLog,
    links: Links,
    history: HistoryTraffic,
    backup: BackupTraffic,
    /// How the device stands in the account's list, as it was told last.
    listing_told: Listing,
    /// Whether a connection was asked for.
    wanted: bool,
    /// Why no connection is tried although one is wanted, until somebody acts.
    halted: Option<OfflineReason>,
    /// The session lives, and what was missed is still being read.
    catching_up: bool,
    marks_due: Option<Monotonic>,
    expiry_due: Option<Monotonic>,
    connection_told: Option<ConnectionState>,
    uncommitted: Option<Uncommitted>,
    must_reload: bool,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    timeout: Option<Monotonic>,
}

/// What a step said, held back until its change set is committed.
struct Uncommitted {
    changes: Option<ChangeSet>,
    said: Said,
}

/// What a step has to say.
struct Said {
    now: Now,
    entropy: [u8; 32],
    command: Option<CommandId>,
    transmits: Vec<Transmit>,
    events: Vec<Event>,
    touched: std::collections::BTreeSet<tidings_model::ConversationId>,
    composers: std::collections::BTreeSet<tidings_model::ConversationId>,
}

impl Client {
    /// Reads what the device holds. Nothing is connected before [`Command::Connect`], or a sign-up or
    /// sign-in, asks for it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn open(config: Config, database: &dyn Database) -> Result<Self, DatabaseError> {
        let mut client = Self {
            config,
            state: State::load(database)?,
            link: Link::new(),
            requests: Requests::default(),
            wishes: VecDeque::new(),
            sign_in: None,
            tail: TailCheck::default(),
            views: Views::default(),
            sealing: tidings_client_sealing::Open,
            groups: Groups::default(),
            counts: SealedCounts::default(),
            own_list: OwnList::default(),
            lists: ListFetches::default(),
            key_packages: KeyPackages::default(),
            inbox: Inbox::default(),
            account_log: AccountLog::default(),
            links: Links::default(),
            history: HistoryTraffic::default(),
            backup: BackupTraffic::default(),
            listing_told: Listing::Unknown,
            wanted: false,
            halted: None,
            catching_up: false,
            marks_due: None,
            expiry_due: None,
            connection_told: None,
            uncommitted: None,
            must_reload: false,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            timeout: None,
        };
        client.listing_told = client.listing();
        client.draw_everything(database)?;
        client.events.clear();
        Ok(client)
    }

    /// Who is signed in on this device; also after the server has signed the device out.
    pub fn me(&self) -> Option<Me> {
        let row = self.state.account.as_ref()?;
        Some(Me {
            account: row.account?,
            device: row.device,
            user_name: row.user_name.clone(),
            display_name: row.display_name.clone(),
            administrator: row.administrator,
        })
    }

    /// The conversation list as the last [`Event::ConversationList`] left it.
    pub fn conversation_list(&self) -> &[ConversationSummary] {
        self.views.summaries()
    }

    /// The state of the connection as it was told last.
    pub fn connection_state(&self) -> ConnectionState {
        match &self.connection_told {
            Some(state) => state.clone(),
            None => ConnectionState::Offline(OfflineReason::NotWanted),
        }
    }

    /// How many messages and acts wait to be sent; those that were refused for good do not count.
    pub fn unsent(&self) -> usize {
        self.state.outbox.unsent()
    }

    /// Why the server does not take what is sent although it is connected, in its words: a reason
    /// that passes, such as a full disk. `None` while nothing is held.
    pub fn outbox_held(&self) -> Option<&str> {
        self.state.outbox.held_because.as_deref()
    }

    /// What happened in sealed conversations since the client was opened.
    pub fn sealed_counts(&self) -> SealedCounts {
        self.counts
    }

    /// Takes a command of the person's.
    pub fn handle_command(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        database: &dyn Database,
        id: CommandId,
        command: Command,
    ) {
        self.run(now, entropy, database, Some(id), |client, step| {
            client.command(step, id, command)
        });
    }

    /// Takes what the transport reports.
    pub fn handle_transport(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        database: &dyn Database,
        event: TransportEvent,
    ) {
        self.run(now, entropy, database, None, |client, step| match event {
            TransportEvent::Opened => {
                client.link.opened(step.now.monotonic);
                client.greet(step);
                Ok(())
            }
            TransportEvent::Frame(bytes) => {
                client.link.heard(step.now.monotonic);
                client.frame(step, bytes)
            }
            TransportEvent::Closed(reason) => {
                client.closed(step, reason);
                Ok(())
            }
        });
    }

    /// Takes what happens to the device.
    pub fn handle_lifecycle(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        database: &dyn Database,
        lifecycle: Lifecycle,
    ) {
        self.run(now, entropy, database, None, |client, step| {
            client.link.handle_lifecycle(step.now.monotonic, lifecycle);
            if matches!(lifecycle, Lifecycle::NetworkUp | Lifecycle::Foreground)
                && matches!(client.halted, Some(OfflineReason::Untrusted(_)))
            {
                client.halted = None;
            }
            Ok(())
        });
    }

    /// Takes the time. Call it at [`Client::poll_timeout`]; earlier calls do no harm.
    pub fn handle_timeout(&mut self, now: Now, entropy: [u8; 32], database: &dyn Database) {
        self.run(now, entropy, database, None, |client, step| client.timers(step));
    }

    /// The change set of the last step, if it changed anything. It has to be applied and reported by
    /// [`Client::handle_committed`] before anything else is handled.
    pub fn take_changes(&mut self) -> Option<ChangeSet> {
        self.uncommitted.as_mut()?.changes.take()
    }

    /// Takes the result of the commit. On an error nothing of the step has happened: its command
    /// fails, the connection is dropped, and the next step reads the database anew.
    pub fn handle_committed(&mut self, database: &dyn Database, result: Result<(), DatabaseError>) {
        let Some(uncommitted) = self.uncommitted.take() else { return };
        match result {
            Ok(()) => self.say(database, uncommitted.said),
            Err(error) => self.forget(uncommitted.said, error),
        }
    }

    /// The next thing for the transport to do.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to show.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Client::handle_timeout`] has to be called.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        self.timeout
    }

    fn run(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        database: &dyn Database,
        command: Option<CommandId>,
        body: impl FnOnce(&mut Self, &mut Step<'_>) -> Result<(), DatabaseError>,
    ) {
        debug_assert!(self.uncommitted.is_none(), "the last step was not committed");
        self.groups.trim();
        let mut step = Step::new(now, entropy, database, command);
        let result = self
            .reload_if_needed(&mut step)
            .and_then(|()| body(self, &mut step))
            .and_then(|()| self.settle(&mut step));
        let Step { changes, command, transmits, events, touched, composers, .. } = step;
        let said = Said { now, entropy, command, transmits, events, touched, composers };
        match result {
            Err(error) => self.forget(said, error),
            Ok(()) if changes.writes.is_empty() => self.say(database, said),
            Ok(()) => self.uncommitted = Some(Uncommitted { changes: Some(changes), said }),
        }
    }

    fn reload_if_needed(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        if !self.must_reload {
            return Ok(());
        }
        let loaded = State::load(step.database)?;
        let before = std::mem::replace(&mut self.state, loaded).outbox;
        self.state.outbox.commands = before.commands;
        self.state.outbox.held_because = before.held_because;
        self.must_reload = false;
        self.groups.clear();
        step.touched.extend(self.state.conversations.keys().copied());
        Ok(())
    }

    /// What every step ends with: the connection moves on, and what can be sent is sent.
    fn settle(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let wanted = self.sign_in.is_some() || (self.wanted && self.may_connect());
        let wanted = wanted && self.halted.is_none();
        match self.link.advance(step.now.monotonic, wanted, &mut step.entropy) {
            Some(LinkAction::Connect) => {
                if let Some(server) = self.server() {
                    step.transmits.push(Transmit::Connect(server));
                }
            }
            Some(LinkAction::Disconnect) => {
                step.transmits.push(Transmit::Disconnect);
                self.after_connection(step);
            }
            None => {}
        }
        if self.link.is_up() {
            self.pump_account(step)?;
            self.pump_sync(step)?;
            self.pump_wishes(step);
            self.pump_joins(step)?;
            self.pump_healing(step)?;
            self.pump_outbox(step)?;
            self.pump_receipts(step);
            self.pump_history(step)?;
            self.pump_backup(step)?;
            self.pump_ping(step);
        }
        self.drop_expired(step)?;
        self.write_due_marks(step);
        self.tell_listing(step);
        self.tell_connection(step);
        self.timeout = self.next_timeout(step.now.monotonic);
        Ok(())
    }

    /// Whether there is a token to connect with.
    fn may_connect(&self) -> bool {
        self.state.is_signed_in()
    }

    fn server(&self) -> Option<tidings_protocol_identity::ServerAddress> {
        match (&self.sign_in, &self.state.account) {
            (Some(flow), _) => Some(flow.server().clone()),
            (None, Some(account)) => Some(account.server.clone()),
            (None, None) => None,
        }
    }

    /// The transport lost the connection or did not get one.
    fn closed(&mut self, step: &mut Step<'_>, reason: CloseReason) {
        if matches!(self.link.phase(), Phase::Off | Phase::Waiting { .. }) {
            return;
        }
        let words = match &reason {
            CloseReason::Unreachable(words) | CloseReason::Untrusted(words) => words.clone(),
            CloseReason::Closed { code, reason } if reason.is_empty() => {
                format!("the server closed the connection (code {code})")
            }
            CloseReason::Closed { reason, .. } => reason.clone(),
        };
        self.link.lost(step.now.monotonic, &words, &mut step.entropy);
        match reason {
            CloseReason::Closed { code, .. }
                if code == tidings_protocol_app::close_code::TOKEN_REVOKED =>
            {
                self.signed_out(step);
            }
            CloseReason::Closed { code, reason }
                if code == tidings_protocol_app::close_code::VERSION_UNSUPPORTED =>
            {
                self.halt(step, OfflineReason::VersionUnsupported(reason));
            }
            CloseReason::Untrusted(words) => self.halt(step, OfflineReason::Untrusted(words)),
            CloseReason::Unreachable(_) | CloseReason::Closed { .. } => {}
        }
        self.after_connection(step);
    }

    /// Closes a connection on which the server broke its protocol.
    fn violated(&mut self, step: &mut Step<'_>, what: impl Into<String>) {
        let what = what.into();
        step.notice(Notice::ProtocolViolation(what.clone()));
        step.transmits.push(Transmit::Disconnect);
        self.link.lost(step.now.monotonic, &what, &mut step.entropy);
        self.after_connection(step);
    }

    /// Drops the connection and makes another one soon.
    fn reconnect(&mut self, step: &mut Step<'_>, reason: &str) {
        step.transmits.push(Transmit::Disconnect);
        self.link.lost(step.now.monotonic, reason, &mut step.entropy);
        self.after_connection(step);
    }

    /// Tries no connection until somebody acts.
    fn halt(&mut self, step: &mut Step<'_>, reason: OfflineReason) {
        let failure = match &reason {
            OfflineReason::Untrusted(words) => Failure::Untrusted(words.clone()),
            OfflineReason::VersionUnsupported(words) => Failure::Unreachable(words.clone()),
            _ => Failure::NotConnected,
        };
        self.fail_sign_in(step, failure);
        self.halted = Some(reason);
        self.link.rest();
    }

    /// Forgets what belonged to the connection that is gone.
    fn after_connection(&mut self, step: &mut Step<'_>) {
        for wish in self.requests.connection_lost().into_iter().rev() {
            self.wishes.push_front(wish);
        }
        self.state.outbox.connection_lost();
        for conversation in self.state.conversations.values_mut() {
            if !conversation.typing.is_empty() {
                step.touch(conversation.id());
            }
            conversation.connection_lost();
        }
        for conversation in self.state.outbox.conversations() {
            step.touch(conversation);
        }
        self.tail.connection_lost();
        self.account_connection_lost();
        self.catching_up = false;
        self.sign_in_attempt_failed(step);
    }

    fn tell_connection(&mut self, step: &mut Step<'_>) {
        let state = self.current_connection_state(step.now.monotonic);
        if self.connection_told.as_ref() != Some(&state) {
            self.connection_told = Some(state.clone());
            step.events.push(Event::Connection(state));
        }
    }

    fn current_connection_state(&self, now: Monotonic) -> ConnectionState {
        match self.link.phase() {
            Phase::Off => ConnectionState::Offline(self.offline_reason(now)),
            Phase::Waiting { until } => match self.connection_told.as_ref() {
                // The wait was told when it began; a countdown would be an event per step.
                Some(told @ ConnectionState::Waiting { reason, .. })
                    if *reason == self.link.last_end() =>
                {
                    told.clone()
                }
                _ => ConnectionState::Waiting {
                    retry_in: until.since(now),
                    reason: self.link.last_end().to_owned(),
                },
            },
            Phase::Connecting { .. } | Phase::Greeting { .. } => ConnectionState::Connecting,
            Phase::Up if self.catching_up => {
                let conversations = self.state.conversations.values();
                let missing = conversations.map(|conversation| conversation.missing()).sum();
                ConnectionState::Syncing { missing }
            }
            Phase::Up => ConnectionState::Live,
        }
    }

    fn offline_reason(&self, now: Monotonic) -> OfflineReason {
        let hindrance = self.link.hindrance(now);
        match (&self.state.account, hindrance) {
            _ if self.halted.is_some() => self.halted.clone().unwrap_or(OfflineReason::NotWanted),
            (Some(row), _) if row.standing == crate::database::Standing::SignedOut => {
                OfflineReason::SignedOut
            }
            (None, _) if self.sign_in.is_none() => OfflineReason::NotSignedIn,
            _ if !self.wanted && self.sign_in.is_none() => OfflineReason::NotWanted,
            (_, Some(Hindrance::NoNetwork)) => OfflineReason::NoNetwork,
            (_, Some(Hindrance::Background)) => OfflineReason::Background,
            _ => OfflineReason::NotSignedIn,
        }
    }

    /// Says what a step has to say, now that its changes are committed.
    fn say(&mut self, database: &dyn Database, mut said: Said) {
        match self.draw(database, &said.touched, &said.composers) {
            Ok(events) => said.events.extend(events),
            Err(error) => {
                self.must_reload = true;
                said.events.push(Event::Notice(Notice::DatabaseFailed(error)));
            }
        }
        self.transmits.extend(said.transmits);
        self.events.extend(said.events);
    }

    /// Forgets a step whose changes are not in the database.
    fn forget(&mut self, said: Said, error: DatabaseError) {
        let failed = |command| Event::Outcome {
            command,
            outcome: Outcome::Failed(Failure::Database(error.clone())),
        };
        let mut command = said.command;
        for event in said.events {
            match event {
                // What the server said stays true, whether this device could write it down or not.
                Event::Outcome {
                    outcome: Outcome::Accepted { .. } | Outcome::Refused(_), ..
                }
                | Event::Notice(Notice::OutboxHeld { .. } | Notice::OutboxReleased) => {
                    self.events.push_back(event);
                }
                Event::Outcome { command: id, .. } => {
                    command = command.filter(|of_step| *of_step != id);
                    self.events.push_back(failed(id));
                }
                _ => {}
            }
        }
        self.events.extend(command.map(failed));
        self.events.push_back(Event::Notice(Notice::DatabaseFailed(error)));
        self.must_reload = true;
        // What they have done is not in the database.
        self.groups.clear();
        let mut entropy = crate::entropy::Entropy::new(said.entropy);
        if self.link.phase() != Phase::Off {
            self.transmits.push_back(Transmit::Disconnect);
            let words = "the device's database failed";
            self.link.lost(said.now.monotonic, words, &mut entropy);
        }
        for wish in self.requests.connection_lost().into_iter().rev() {
            self.wishes.push_front(wish);
        }
        self.tail.connection_lost();
        self.account_connection_lost();
        self.catching_up = false;
        self.timeout = self.next_timeout(said.now.monotonic);
    }
}
