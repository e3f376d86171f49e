//! One run of the program with one person's client: opened, asked, waited for, closed.
//!
//! It knows how long to wait and what a wait that failed means: a command that the core has queued is
//! safe whatever the connection does, one that needs an answer is not done without it.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use tidings_client_core::database::{AccountRow, ConversationRow, OutboxRow, Standing};
use tidings_client_core::{
    Command, Config, ConnectionState, Event, Failure as CoreFailure, Listing, Notice,
    OfflineReason, Outcome,
};
use tidings_client_native::{ClientGone, ClientHandle, Events, Opening, Outcomes, Told};
use tidings_model::{ConversationId, MessageId, Seq};
use tokio::time::{Instant, timeout_at};

use crate::arguments::Shared;
use crate::failure::{Exit, Failure, not_signed_in};
use crate::mirror::Mirror;
use crate::output::Output;
use crate::people::People;
use crate::{notice, sealing};

/// Name and version of this program, as the server's operator sees them.
const AGENT: &str = concat!("tidings-terminal/", env!("CARGO_PKG_VERSION"));

/// What was queued by an earlier run of the program, and what the client does by itself, answers nobody:
/// its database is looked at.
const DATABASE_LOOKED_AT_EVERY: Duration = Duration::from_millis(50);

/// How long a run that is done waits for the log to bring back what the server took.
const ECHO_TIMEOUT: Duration = Duration::from_secs(3);

/// A run of the program.
pub(crate) struct Session {
    /// The client.
    pub(crate) client: ClientHandle,
    /// What it tells.
    pub(crate) events: Events,
    /// What it told.
    pub(crate) mirror: Mirror,
    /// Something that it told was missed: timelines that were open have to be opened again.
    pub(crate) missed: bool,
    /// What it noticed by itself and nobody has told the person yet, oldest first.
    pub(crate) notices: VecDeque<Notice>,
    /// Where output goes.
    pub(crate) output: Output,
    /// How long the server is waited for.
    timeout: Duration,
    /// What the server took in this run and the log has not brought back yet.
    accepted: HashSet<MessageId>,
}

/// What became of something that goes through the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is on the server's disk.
    Accepted { conversation: ConversationId, message_id: MessageId, seq: Option<Seq> },
    /// It is on this device, and goes later.
    Queued { conversation: ConversationId, message_id: MessageId },
}

/// Something handed over that is not answered yet.
pub(crate) struct Pending {
    outcomes: Outcomes,
    conversation: ConversationId,
    message_id: MessageId,
}

impl Pending {
    /// Where it goes.
    pub(crate) fn conversation(&self) -> ConversationId {
        self.conversation
    }
}

impl Session {
    /// Opens the person's client.
    pub(crate) async fn open(shared: &Shared) -> Result<Self, Failure> {
        let folder = match &shared.data {
            Some(folder) => folder.clone(),
            None => default_folder()?,
        };
        let config = Config { agent: AGENT.to_owned(), ..Config::default() };
        let opening = Opening { folder, config };
        let (client, mut events) = ClientHandle::open(opening).await?;
        let snapshot = client.snapshot().await?;
        events.skip_to(&snapshot);
        Ok(Self {
            client,
            events,
            mirror: Mirror::new(snapshot),
            missed: false,
            notices: VecDeque::new(),
            output: Output::of_this_process(shared.json),
            timeout: shared.timeout,
            accepted: HashSet::new(),
        })
    }

    /// Closes it. What the server took counts as sent for the next run only when it was seen in the
    /// log, so that is waited for a moment; without it the next run asks the server again.
    pub(crate) async fn close(mut self) {
        let seen = timeout_at(Instant::now() + ECHO_TIMEOUT, self.see_accepted());
        // Whatever fails here was safe before.
        let _ = seen.await;
        let _ = self.tell_of_safety().await;
        self.client.shutdown().await;
    }

    /// Tells on standard error what concerns whom this person talks to, where nothing else was told.
    async fn tell_of_safety(&mut self) -> Result<(), Failure> {
        let notices = std::mem::take(&mut self.notices);
        if notices.iter().any(notice::concerns_safety) {
            let people = self.people().await?;
            let concerning = notices.iter().filter(|of| notice::concerns_safety(of));
            for words in concerning.filter_map(|of| notice::words(of, &people)) {
                self.output.note(&format!("tidings: {words}"));
            }
        }
        Ok(())
    }

    async fn see_accepted(&mut self) -> Result<(), Failure> {
        while !self.accepted.is_empty() {
            let waiting: HashSet<MessageId> =
                self.outbox().await?.into_iter().map(|row| row.message_id).collect();
            self.accepted.retain(|message_id| waiting.contains(message_id));
            if !self.accepted.is_empty() {
                let told = self.events.next().await;
                self.absorb(told).await?;
            }
        }
        Ok(())
    }

    /// The account of this device, signed in or not any more.
    pub(crate) async fn account(&self) -> Result<AccountRow, Failure> {
        let account = self.client.read(|database| database.account()).await??;
        match account {
            Some(account) if account.account.is_some() => Ok(account),
            Some(account) if matches!(account.standing, Standing::SigningUp(_)) => {
                Err(Failure::new(
                    Exit::NotSignedIn,
                    "SIGN_UP_UNFINISHED",
                    format!(
                        "the sign-up of {} has had no answer yet: run the same `tidings sign-up` \
                         again",
                        account.user_name
                    ),
                ))
            }
            _ => Err(not_signed_in()),
        }
    }

    /// The people that this device knows.
    pub(crate) async fn people(&self) -> Result<People, Failure> {
        let (account, profiles) =
            self.client.read(|database| Ok((database.account()?, database.profiles()?))).await??;
        Ok(People::new(account.and_then(|account| account.account), profiles))
    }

    /// The conversations on this device.
    pub(crate) async fn conversations(&self) -> Result<Vec<ConversationRow>, Failure> {
        Ok(self.client.read(|database| database.conversations()).await??)
    }

    /// What waits to be sent, and what was refused.
    pub(crate) async fn outbox(&self) -> Result<Vec<OutboxRow>, Failure> {
        Ok(self.client.read(|database| database.outbox()).await??)
    }

    /// Wants a connection from now on.
    pub(crate) async fn connect(&mut self) -> Result<(), Failure> {
        let mut outcomes = self.client.command(Command::Connect).await?;
        outcomes.next().await;
        self.settle().await
    }

    /// Waits until this device has all that the server has for it, and has come into the conversations
    /// whose keys it waits for. Without a connection it gives up at once when none can be made, and after
    /// the time otherwise; `false` then.
    pub(crate) async fn catch_up(&mut self) -> Result<bool, Failure> {
        self.connect().await?;
        let deadline = self.deadline();
        if !self.catch_up_with_log(deadline).await? {
            return Ok(false);
        }
        // Keys that do not come in time are told of where they are missed.
        let is_done =
            |mirror: &Mirror| mirror.connection == ConnectionState::Live && !mirror.is_coming_in();
        self.wait_until(deadline, is_done).await?;
        Ok(true)
    }

    async fn catch_up_with_log(&mut self, deadline: Instant) -> Result<bool, Failure> {
        loop {
            match &self.mirror.connection {
                ConnectionState::Live => return Ok(true),
                ConnectionState::Offline(_) | ConnectionState::Waiting { .. } => return Ok(false),
                ConnectionState::Connecting | ConnectionState::Syncing { .. } => {}
            }
            match timeout_at(deadline, self.events.next()).await {
                Ok(told) => self.absorb(told).await?,
                Err(_) => return Ok(false),
            }
        }
    }

    /// As [`Self::catch_up`], and says on standard error what could not be done.
    pub(crate) async fn catch_up_or_note(&mut self) -> Result<(), Failure> {
        if !self.catch_up().await? {
            let reason = self.no_connection().await?;
            self.output.note(&format!("tidings: {reason}: this is what the device has"));
        }
        Ok(())
    }

    /// Waits until something is so; `false` when the time is over, or there will be no connection.
    pub(crate) async fn wait_until(
        &mut self,
        deadline: Instant,
        is_so: impl Fn(&Mirror) -> bool,
    ) -> Result<bool, Failure> {
        while !is_so(&self.mirror) {
            if self.will_not_connect() {
                return Ok(false);
            }
            match timeout_at(deadline, self.events.next()).await {
                Ok(told) => self.absorb(told).await?,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Waits until this device knows how it stands in its account's device list.
    pub(crate) async fn known_listing(&mut self) -> Result<Listing, Failure> {
        let deadline = self.deadline();
        let is_known = |mirror: &Mirror| mirror.listing != Listing::Unknown;
        if self.wait_until(deadline, is_known).await? {
            return Ok(self.mirror.listing);
        }
        let words = format!("{}: try again later", self.no_connection().await?);
        Err(Failure::new(Exit::NoConnection, "TIMED_OUT", words))
    }

    /// Waits until others can bring this device into sealed conversations while it is away: until key
    /// packages of it are at the server. `false` when the time is over.
    pub(crate) async fn wait_until_reachable(&mut self) -> Result<bool, Failure> {
        let deadline = self.deadline();
        loop {
            let identity = self.client.read(|database| database.identity()).await??;
            if identity.is_some_and(|identity| identity.last_resort.is_some()) {
                return Ok(true);
            }
            let pause = Instant::now() + DATABASE_LOOKED_AT_EVERY;
            if pause > deadline || self.will_not_connect() {
                return Ok(false);
            }
            tokio::time::sleep_until(pause).await;
            self.absorb_told().await?;
        }
    }

    /// Takes in what is told while something else is waited for.
    pub(crate) async fn hear_while<T>(
        &mut self,
        waiting: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let mut waiting = pin!(waiting);
        loop {
            tokio::select! {
                done = &mut waiting => return Ok(done),
                told = self.events.next() => self.absorb(told).await?,
            }
        }
    }

    /// Carries out a command that needs nothing but this device.
    pub(crate) async fn ask(&mut self, command: Command) -> Result<Outcome, Failure> {
        let mut outcomes = self.client.command(command).await?;
        let outcome = self.hear_while(outcomes.next()).await?;
        self.judge(outcome).await
    }

    /// Carries out a command that needs the server's answer, and waits no longer for it than was said.
    pub(crate) async fn ask_server(&mut self, command: Command) -> Result<Outcome, Failure> {
        match timeout_at(self.deadline(), self.ask(command)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let words = format!("{}: try again later", self.no_connection().await?);
                Err(Failure::new(Exit::NoConnection, "TIMED_OUT", words))
            }
        }
    }

    async fn judge(&self, outcome: Option<Outcome>) -> Result<Outcome, Failure> {
        match outcome {
            Some(Outcome::Refused(refused)) => Err(refused.into()),
            Some(Outcome::Failed(failure)) => Err(self.explain(failure).await?),
            Some(outcome) => Ok(outcome),
            None => Err(ClientGone.into()),
        }
    }

    /// Hands over something that goes through the outbox: when this returns it is in the device's
    /// database.
    pub(crate) async fn queue(&mut self, command: Command) -> Result<Pending, Failure> {
        let mut outcomes = self.client.command(command).await?;
        let outcome = outcomes.next().await;
        match self.judge(outcome).await? {
            Outcome::Queued { conversation, message_id } => {
                Ok(Pending { outcomes, conversation, message_id })
            }
            _ => Err(ClientGone.into()),
        }
    }

    /// Waits for the server's answer to something that was handed over.
    pub(crate) async fn wait_for(
        &mut self,
        pending: Pending,
        deadline: Instant,
    ) -> Result<Delivery, Failure> {
        let Pending { mut outcomes, conversation, message_id } = pending;
        let queued = Delivery::Queued { conversation, message_id };
        loop {
            if self.will_not_connect() {
                return Ok(queued);
            }
            tokio::select! {
                outcome = outcomes.next() => {
                    return match self.judge(outcome).await? {
                        Outcome::Accepted { conversation, message_id, seq } => {
                            self.accepted.insert(message_id);
                            Ok(Delivery::Accepted { conversation, message_id, seq })
                        }
                        _ => Ok(queued),
                    };
                }
                told = self.events.next() => self.absorb(told).await?,
                () = tokio::time::sleep_until(deadline) => return Ok(queued),
            }
        }
    }

    /// Waits until nothing waits to be sent any more; `false` when the time is over.
    pub(crate) async fn wait_until_sent(&mut self) -> Result<bool, Failure> {
        self.wait_until_none_waits(|_| true).await
    }

    /// Waits until nothing of a conversation waits any more: a sealed one is made and changed in several
    /// steps of which the first alone is answered. `false` when the time is over.
    pub(crate) async fn wait_until_carried_out(
        &mut self,
        conversation: ConversationId,
    ) -> Result<bool, Failure> {
        self.wait_until_none_waits(|row| row.conversation == conversation).await
    }

    async fn wait_until_none_waits(
        &mut self,
        concerns: impl Fn(&OutboxRow) -> bool,
    ) -> Result<bool, Failure> {
        let deadline = self.deadline();
        while self.outbox().await?.iter().any(|row| row.failure.is_none() && concerns(row)) {
            let pause = Instant::now() + DATABASE_LOOKED_AT_EVERY;
            if pause > deadline || self.will_not_connect() {
                return Ok(false);
            }
            tokio::time::sleep_until(pause).await;
            self.absorb_told().await?;
        }
        Ok(true)
    }

    /// Takes in all that was told up to now.
    async fn absorb_told(&mut self) -> Result<(), Failure> {
        while let Some(told) = self.events.try_next() {
            self.absorb(Some(told)).await?;
        }
        Ok(())
    }

    /// Waits until everything that the client did up to now was told, and takes it in.
    pub(crate) async fn settle(&mut self) -> Result<(), Failure> {
        self.client.snapshot().await?;
        self.absorb_told().await
    }

    /// Takes in what was told; where something was missed it begins anew from a snapshot.
    pub(crate) async fn absorb(&mut self, told: Option<Told>) -> Result<(), Failure> {
        match told {
            Some(Told::Event(event)) => {
                self.mirror.apply(&event);
                if let Event::Notice(notice) = *event {
                    self.notices.push_back(notice);
                }
            }
            Some(Told::Missed) => {
                let snapshot = self.client.snapshot().await?;
                self.events.skip_to(&snapshot);
                self.mirror = Mirror::new(snapshot);
                self.missed = true;
            }
            None => return Err(ClientGone.into()),
        }
        Ok(())
    }

    /// Whether waiting for a connection is of no use until somebody acts.
    fn will_not_connect(&self) -> bool {
        matches!(
            self.mirror.connection,
            ConnectionState::Offline(
                OfflineReason::SignedOut
                    | OfflineReason::VersionUnsupported(_)
                    | OfflineReason::Untrusted(_)
                    | OfflineReason::NotSignedIn
            )
        )
    }

    /// What a failure of the core means for this session's connection and account.
    async fn explain(&self, failure: CoreFailure) -> Result<Failure, Failure> {
        let needs_account = matches!(failure, CoreFailure::NotSignedIn);
        let needs_connection = matches!(failure, CoreFailure::NotConnected);
        if !needs_account && !needs_connection {
            return Ok(failure.into());
        }
        let account = self.client.read(|database| database.account()).await??;
        if account.is_some_and(|account| account.standing == Standing::SignedOut) {
            return self.signed_out().await;
        }
        if needs_connection {
            let reason = self.no_connection().await?;
            let words = format!("{reason}: nothing was changed, try again later");
            return Ok(Failure::new(Exit::NoConnection, "NOT_CONNECTED", words));
        }
        Ok(failure.into())
    }

    /// Why there will be no connection until somebody acts, for a run that is of no use without.
    pub(crate) fn cannot_connect(&self) -> Option<Failure> {
        let ConnectionState::Offline(reason) = &self.mirror.connection else { return None };
        let name = match reason {
            OfflineReason::Untrusted(_) => "UNTRUSTED",
            OfflineReason::VersionUnsupported(_) => "VERSION_UNSUPPORTED",
            _ => return None,
        };
        let words = connection_words(&self.mirror.connection);
        Some(Failure::new(Exit::NoConnection, name, words))
    }

    /// This device was signed out by another one or by the server.
    pub(crate) async fn signed_out(&self) -> Result<Failure, Failure> {
        let words = signed_out_words(self.outbox().await?.len());
        Ok(Failure::new(Exit::NotSignedIn, "DEVICE_REVOKED", words))
    }

    /// Why there is no connection, as the beginning of a sentence.
    pub(crate) async fn no_connection(&self) -> Result<String, Failure> {
        Ok(match &self.mirror.connection {
            ConnectionState::Offline(OfflineReason::SignedOut) => {
                signed_out_words(self.outbox().await?.len())
            }
            state => unanswered_words(state, self.mirror.outbox_held.as_deref()),
        })
    }

    /// Why something waits on this device, as the beginning of a sentence.
    pub(crate) async fn waits_because(
        &self,
        conversation: ConversationId,
    ) -> Result<String, Failure> {
        let summary = self.mirror.conversation(conversation);
        let keys = summary.and_then(|of| sealing::hindrance(of.sealing, self.mirror.listing));
        match keys.filter(|_| self.mirror.connection == ConnectionState::Live) {
            Some(words) => Ok(words.to_owned()),
            None => self.no_connection().await,
        }
    }

    /// Why something waits on this device and when it goes, as a sentence.
    pub(crate) async fn queued_words(
        &self,
        conversation: ConversationId,
    ) -> Result<String, Failure> {
        let reason = self.waits_because(conversation).await?;
        Ok(format!("{reason}; {}", kept_words(&self.mirror.connection)))
    }

    /// How a delivery that has to wait ends the program.
    pub(crate) fn exit_of_queued(&self) -> Exit {
        match self.mirror.connection {
            ConnectionState::Offline(OfflineReason::SignedOut | OfflineReason::NotSignedIn) => {
                Exit::NotSignedIn
            }
            _ => Exit::Queued,
        }
    }

    /// Until when an answer of the server to something that is asked now is waited for.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// Why something has no answer: what the server says of itself, else the connection's state.
fn unanswered_words(state: &ConnectionState, held: Option<&str>) -> String {
    match (state, held) {
        (ConnectionState::Live, Some(reason)) => reason.to_owned(),
        (state, _) => connection_words(state),
    }
}

/// What becomes of something that waits on this device, as the end of a sentence.
fn kept_words(state: &ConnectionState) -> &'static str {
    match state {
        ConnectionState::Live => "it is kept on this device and goes later",
        _ => "it is kept on this device and goes with the next connection",
    }
}

/// What the connection's state says about something that has no answer, as the beginning of a sentence.
pub(crate) fn connection_words(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Live => "the server has not answered yet".to_owned(),
        ConnectionState::Syncing { missing: 0 } => "catching up".to_owned(),
        ConnectionState::Syncing { missing } => format!("catching up, {missing} to go"),
        ConnectionState::Connecting => "reaching the server".to_owned(),
        ConnectionState::Waiting { reason, .. } if reason.is_empty() => "no connection".to_owned(),
        ConnectionState::Waiting { reason, .. } => format!("no connection ({reason})"),
        ConnectionState::Offline(reason) => match reason {
            OfflineReason::NotWanted => "not connected".to_owned(),
            OfflineReason::NotSignedIn => "nobody is signed in here".to_owned(),
            OfflineReason::NoNetwork => "no network".to_owned(),
            OfflineReason::Background => "not connected in the background".to_owned(),
            OfflineReason::SignedOut => signed_out_words(0),
            OfflineReason::VersionUnsupported(words) => {
                format!("this program and the server have no version in common ({words})")
            }
            OfflineReason::Untrusted(words) => words.clone(),
        },
    }
}

fn signed_out_words(unsent: usize) -> String {
    let kept = match unsent {
        0 => String::new(),
        1 => "; 1 unsent message is kept".to_owned(),
        count => format!("; {count} unsent messages are kept"),
    };
    format!("this device was signed out by another one or by the server: sign in again{kept}")
}

/// `tidings` in the folder where this platform keeps the data of programs.
fn default_folder() -> Result<PathBuf, Failure> {
    dirs::data_dir().map(|folder| folder.join("tidings")).ok_or_else(|| {
        Failure::usage("this system does not say where data belongs: name a folder with --data")
    })
}

#[cfg(test)]
mod tests {
    use tidings_model::Refusal;

    use super::*;

    #[test]
    fn revoked_device_hears_what_is_kept() {
        assert!(signed_out_words(3).ends_with("sign in again; 3 unsent messages are kept"));
        assert!(signed_out_words(0).ends_with("sign in again"));
    }

    #[test]
    fn full_disk_of_the_server_is_told_while_it_is_connected() {
        let full = Refusal::StorageFull.to_string();
        let live = ConnectionState::Live;
        let words = unanswered_words(&live, Some(&full));
        assert_eq!(words, "the server's disk is full: nothing was stored");
        assert_eq!(kept_words(&live), "it is kept on this device and goes later");
        assert_eq!(unanswered_words(&live, None), "the server has not answered yet");
        let waiting = ConnectionState::Waiting { retry_in: Duration::ZERO, reason: String::new() };
        assert_eq!(unanswered_words(&waiting, Some(&full)), "no connection");
    }

    #[test]
    fn reason_of_a_lost_connection_is_told() {
        let state = ConnectionState::Waiting {
            retry_in: Duration::from_secs(1),
            reason: "nothing listens at 127.0.0.1:1".to_owned(),
        };
        assert_eq!(connection_words(&state), "no connection (nothing listens at 127.0.0.1:1)");
    }
}
