//! One real client, as the replay uses it: the client core with its database folder, and the waiting
//! that a person does between two acts.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tidings_client_core::{
    Change, Command, ConnectionState, Failure, OutboxAct, Outcome, Send, SignUp,
    database::OutboxRow,
};
use tidings_client_native::{ClientHandle, Opening};
use tidings_model::{AccountId, ConversationId, MessageId, Seq};
use tidings_protocol_identity::{InviteLink, InviteToken, Password, UserName};

use crate::order::{Place, Standing};

/// Time between two looks at what a client knows.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);

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
        let agent = concat!("tidings-replay/", env!("CARGO_PKG_VERSION")).to_owned();
        let opening = Opening { folder: folder.to_owned(), agent };
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
    ) -> Result<AccountId> {
        let sign_up = SignUp {
            server: link.server.clone(),
            invite,
            user_name: UserName::parse(user_name)?,
            password: Password::parse(&format!("password of {user_name}"))?,
            display_name: display_name.to_owned(),
            device_name: "replay".to_owned(),
        };
        match self.finish(Command::SignUp(Box::new(sign_up))).await? {
            Outcome::SignedIn(me) => {
                self.finish(Command::Connect).await?;
                Ok(me.account)
            }
            outcome => bail!("a sign-up ended with {outcome:?}"),
        }
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

    /// Waits until the client has read a log up to a place and is a member there.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn wait_for(&self, conversation: ConversationId, seq: Seq) -> Result<()> {
        loop {
            let place = self.place(conversation).await?;
            if place.is_some_and(|(at, is_member)| at >= seq && is_member) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// How far it has read a log, and whether it is a member; `None` where it knows of no such log.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn place(&self, conversation: ConversationId) -> Result<Option<(Seq, bool)>> {
        let rows = self.handle.read(|database| database.conversations()).await??;
        let row = rows.into_iter().find(|row| row.conversation == conversation);
        Ok(row.and_then(|row| Some((row.cursor?.seq, row.role.is_some()))))
    }

    /// How far it is.
    ///
    /// # Errors
    /// The client has ended.
    pub(crate) async fn standing(&self, member: usize) -> Result<Standing> {
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
                is_member: row.role.is_some(),
            })
            .collect();
        Ok(Standing {
            member,
            is_live: snapshot.connection == ConnectionState::Live,
            connection: format!("{:?}", snapshot.connection),
            unsent: snapshot.unsent,
            refused: outbox.into_iter().filter_map(|row| Some(row.failure?.message)).collect(),
            conversations,
        })
    }

    /// Ends it in order.
    pub(crate) async fn close(self) {
        self.handle.shutdown().await;
    }

    /// Reads what it has in its database.
    pub(crate) fn handle(&self) -> &ClientHandle {
        &self.handle
    }

    async fn is_live(&self) -> Result<bool> {
        Ok(self.handle.snapshot().await?.connection == ConnectionState::Live)
    }
}

fn is_leave(row: &OutboxRow, conversation: ConversationId) -> bool {
    row.conversation == conversation
        && row.failure.is_none()
        && row.act == OutboxAct::Change(Change::Leave)
}
