//! One real client, as the replay uses it: the client core with its database folder, and the waiting
//! that a person does between two acts.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tidings_client_core::database::{ConversationRow, GroupPart, OutboxRow, Sealing};
use tidings_client_core::{
    Change, Command, Config, ConnectionState, Failure, Listing, Me, OutboxAct, Outcome, Send,
    SignIn, SignUp,
};
use tidings_client_native::{ClientHandle, Opening};
use tidings_model::{ConversationId, DeviceId, MessageId, Seq};
use tidings_protocol_identity::{InviteLink, InviteToken, Password, UserName};
use tidings_protocol_linking::LinkCode;

use crate::order::{Counts, Place, Standing};

/// Time between two looks at what a client knows.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// After this long a device renews its key before it sends, so that a day of ten minutes has the
/// Commits of weeks. The server's pace for Commits stays as it is.
const REFRESH_AFTER: Duration = Duration::from_secs(20);

/// The least time from the last Commit of anybody to such a renewal.
const REFRESHES_APART: Duration = Duration::from_millis(2_500);

/// Key packages that a device keeps at the server: nobody is added more often in a replay.
const KEY_PACKAGE_STOCK: usize = 8;

/// How long somebody waits for the other device before they take another code.
const LINK_TIMEOUT: Duration = Duration::from_secs(20);

/// A client. Clones are the same client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    handle: ClientHandle,
}

impl Client {
    /// Opens the client of a folder.
    ///
    /// # Errors
    /// The folder is in use or cannot be used.
    pub(crate) async fn open(folder: &Path) -> Result<Self> {
        let config = Config {
            agent: concat!("tidings-replay/", env!("CARGO_PKG_VERSION")).to_owned(),
            key_package_stock: KEY_PACKAGE_STOCK,
            refresh_after: REFRESH_AFTER,
            refreshes_apart: REFRESHES_APART,
        };
        let opening = Opening { folder: folder.to_owned(), config };
        let (handle, _) = ClientHandle::open(opening).await?;
        Ok(Self { handle })
    }

    /// Makes an account on the server of a link and connects.
    ///
    /// # Errors
    /// The server refuses, or cannot be reached.
    pub(crate) async fn sign_up(
        &self,
        link: &InviteLink,
        invite: Option<InviteToken>,
        user_name: &str,
        display_name: &str,
    ) -> Result<Me> {
        let sign_up = SignUp {
            server: link.server.clone(),
            invite,
            user_name: UserName::parse(user_name)?,
            password: password_of(user_name)?,
            display_name: display_name.to_owned(),
            device_name: "replay".to_owned(),
        };
        self.enter(Command::SignUp(Box::new(sign_up))).await
    }

    /// Signs in to an account that is there, and connects.
    ///
    /// # Errors
    /// The server refuses, or cannot be reached.
    pub(crate) async fn sign_in(&self, link: &InviteLink, user_name: &str) -> Result<Me> {
        if let Some(me) = self.handle.snapshot().await?.me {
            self.finish(Command::Connect).await?;
            return Ok(me);
        }
        let sign_in = SignIn {
            server: link.server.clone(),
            user_name: UserName::parse(user_name)?,
            password: password_of(user_name)?,
            device_name: "second".to_owned(),
        };
        self.enter(Command::SignIn(Box::new(sign_in))).await
    }

    async fn enter(&self, command: Command) -> Result<Me> {
        match self.finish(command).await? {
            Outcome::SignedIn(me) => {
                self.finish(Command::Connect).await?;
                Ok(*me)
            }
            outcome => bail!("a sign-up or sign-in ended with {outcome:?}"),
        }
    }

    /// The code by which another device of the account links this one; `None` if it is in the
    /// account's list.
    ///
    /// # Errors
    /// The client has ended, or refuses.
    pub(crate) async fn link_code(&self) -> Result<Option<LinkCode>> {
        self.wait_until_live().await?;
        loop {
            match self.handle.snapshot().await?.listing {
                Listing::Listed => return Ok(None),
                Listing::Unlisted => break,
                Listing::Unknown => tokio::time::sleep(LOOK_INTERVAL).await,
            }
        }
        match self.outcome(Command::ShowLinkCode).await? {
            Outcome::LinkCode { code, .. } => Ok(Some(code)),
            Outcome::Failed(Failure::AlreadyListed) => Ok(None),
            outcome => bail!("a link code was answered with {outcome:?}"),
        }
    }

    /// Links another device of the account by its code, and agrees to it.
    ///
    /// # Errors
    /// The other device does not go on, or a client refuses.
    pub(crate) async fn link(&self, device: DeviceId, code: LinkCode) -> Result<()> {
        self.wait_until_live().await?;
        match self.outcome(Command::Link { device, code }).await? {
            Outcome::LinkProved { .. } => {}
            Outcome::Failed(Failure::AlreadyListed) => return Ok(()),
            outcome => bail!("a link was answered with {outcome:?}"),
        }
        self.finish(Command::AnswerLink { accepted: true }).await.map(drop)
    }

    /// Agrees to be linked, once the other device offers it.
    ///
    /// # Errors
    /// It does not offer it in time.
    pub(crate) async fn accept_link(&self) -> Result<()> {
        let offered = async {
            loop {
                match self.outcome(Command::AnswerLink { accepted: true }).await? {
                    Outcome::Done => return Ok(()),
                    Outcome::Failed(Failure::NoLink) => tokio::time::sleep(LOOK_INTERVAL).await,
                    outcome => bail!("an answer to a link was answered with {outcome:?}"),
                }
            }
        };
        let offered = tokio::time::timeout(LINK_TIMEOUT, offered).await;
        offered.context("the other device does not offer to link")?
    }

    /// Carries out a command and waits for its last outcome.
    ///
    /// # Errors
    /// The client or the server refuses.
    pub(crate) async fn finish(&self, command: Command) -> Result<Outcome> {
        match self.outcome(command).await? {
            Outcome::Failed(failure) => Err(failure.into()),
            Outcome::Refused(refused) => Err(anyhow!("{}: {}", refused.name, refused.message)),
            outcome => Ok(outcome),
        }
    }

    /// Carries out a command and waits for its last outcome, whatever it is.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn outcome(&self, command: Command) -> Result<Outcome> {
        let mut outcomes = self.handle.command(command).await?;
        loop {
            match outcomes.next().await.context("the client has ended")? {
                Outcome::Queued { .. } => {}
                outcome => return Ok(outcome),
            }
        }
    }

    /// Says something, and waits until it is in the outbox.
    ///
    /// # Errors
    /// The client refuses.
    pub(crate) async fn say(
        &self,
        conversation: ConversationId,
        message_id: MessageId,
        text: String,
    ) -> Result<()> {
        let send = Send { conversation, message_id: Some(message_id), text, reply_to: None };
        let mut outcomes = self.handle.command(Command::Send(send)).await?;
        match outcomes.next().await.context("the client has ended")? {
            Outcome::Queued { .. } => Ok(()),
            Outcome::Failed(failure) => Err(failure.into()),
            outcome => bail!("a message was answered with {outcome:?} before it was queued"),
        }
    }

    /// Leaves a group, behind what waits in the outbox, and waits until the log says so.
    ///
    /// # Errors
    /// The client has ended, or refuses.
    pub(crate) async fn leave(&self, conversation: ConversationId) -> Result<()> {
        let mut has_left = false;
        loop {
            let (is_member, waits) = self
                .handle
                .read(move |database| {
                    let rows = database.conversations()?;
                    let row = rows.into_iter().find(|row| row.conversation == conversation);
                    let waits = database.outbox()?.iter().any(|row| is_leave(row, conversation));
                    Ok((row.is_some_and(|row| row.role.is_some()), waits))
                })
                .await??;
            if !is_member && !waits {
                return Ok(());
            }
            // The act may stand in the outbox, or even in the log, from before a restart: only who has
            // read all and is still a member has not left.
            if is_member && !waits && !has_left && self.is_live().await? {
                let change = Change::Leave;
                match self.outcome(Command::Change { conversation, change }).await? {
                    // The log has told it in the meantime.
                    Outcome::Accepted { .. } | Outcome::Failed(Failure::NotAMember) => {}
                    outcome => bail!("a leave was answered with {outcome:?}"),
                }
                has_left = true;
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Waits until the client has read a log up to a place and takes part there.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn wait_for(&self, conversation: ConversationId, seq: Seq) -> Result<()> {
        loop {
            let row = self.conversation(conversation).await?;
            let has_read = |row: &ConversationRow| row.cursor.is_some_and(|at| at.seq >= seq);
            if row.is_some_and(|row| has_read(&row) && takes_part(&row)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// A conversation as it stands in the database.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn conversation(
        &self,
        conversation: ConversationId,
    ) -> Result<Option<ConversationRow>> {
        let rows = self.handle.read(|database| database.conversations()).await??;
        Ok(rows.into_iter().find(|row| row.conversation == conversation))
    }

    /// How far it is.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn standing(&self, device: usize) -> Result<Standing> {
        let snapshot = self.handle.snapshot().await?;
        let (rows, outbox) = self
            .handle
            .read(|database| Ok((database.conversations()?, database.outbox()?)))
            .await??;
        let conversations = rows
            .into_iter()
            .map(|row| Place {
                conversation: row.conversation.to_string(),
                seq: row.cursor.map_or(0, |cursor| cursor.seq.get()),
                takes_part: takes_part(&row),
                sealing: format!("{:?}", row.sealing),
            })
            .collect();
        Ok(Standing {
            device,
            is_live: snapshot.connection == ConnectionState::Live,
            connection: format!("{:?}", snapshot.connection),
            unsent: snapshot.unsent,
            refused: outbox.into_iter().filter_map(|row| Some(row.failure?.message)).collect(),
            conversations,
        })
    }

    /// What it has counted since it was opened.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn counts(&self) -> Result<Counts> {
        let counts = self.handle.snapshot().await?.sealed_counts;
        Ok(Counts { conflicts: counts.conflicts, resealed: counts.resealed })
    }

    /// Ends it in order.
    pub(crate) async fn close(self) {
        self.handle.shutdown().await;
    }

    /// Reads what it has in its database.
    pub(crate) fn handle(&self) -> &ClientHandle {
        &self.handle
    }

    async fn wait_until_live(&self) -> Result<()> {
        while !self.is_live().await? {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    async fn is_live(&self) -> Result<bool> {
        Ok(self.handle.snapshot().await?.connection == ConnectionState::Live)
    }
}

fn password_of(user_name: &str) -> Result<Password> {
    Ok(Password::parse(&format!("password of {user_name}"))?)
}

/// Whether the account is a member and this device reads and can send.
fn takes_part(row: &ConversationRow) -> bool {
    let is_inside = match row.sealing {
        Sealing::Open => true,
        Sealing::Sealed { part } => part == GroupPart::Inside,
    };
    row.role.is_some() && is_inside
}

fn is_leave(row: &OutboxRow, conversation: ConversationId) -> bool {
    row.conversation == conversation
        && row.failure.is_none()
        && row.act == OutboxAct::Change(Change::Leave)
}
