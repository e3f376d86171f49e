//! The administrator: a real client in the replay's own process, who owns the group, lets people in,
//! and says nothing.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tidings_client_core::{Change, Command, Outcome};
use tidings_model::limits::ADDS_MAX;
use tidings_model::{AccountId, ConversationId, Seq};
use tidings_protocol_identity::InviteLink;

use crate::client::Client;

/// Its user name; no nickname of IRC holds a dot, so nobody else has it.
const USER_NAME: &str = "administrator.of.the.replay";

/// The administrator. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    client: Client,
}

impl Owner {
    /// Makes the administrator's account with the server's first invite.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn sign_up(folder: &Path, link: &InviteLink) -> Result<Self> {
        let client = Client::open(folder).await?;
        client.sign_up(link, Some(link.token.clone()), USER_NAME, "administrator").await?;
        Ok(Self { client })
    }

    /// Makes an invite for one person.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn invite(&self) -> Result<InviteLink> {
        match self.client.finish(Command::Invite).await? {
            Outcome::Invite { link, .. } => Ok(*link),
            outcome => bail!("an invite was answered with {outcome:?}"),
        }
    }

    /// Makes the group, adds those who are there from the start, and tells the place of the last add.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn make_group(&self, members: &[AccountId]) -> Result<(ConversationId, Seq)> {
        let create = Command::CreateGroup { name: "replay".to_owned(), members: Vec::new() };
        let Outcome::Accepted { conversation, .. } = self.client.finish(create).await? else {
            bail!("a group was not accepted");
        };
        let mut last = Seq::FIRST;
        for members in members.chunks(ADDS_MAX) {
            last = self.add(conversation, members).await?;
        }
        Ok((conversation, last))
    }

    /// Adds people, and tells the place of their add.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn add(&self, group: ConversationId, members: &[AccountId]) -> Result<Seq> {
        self.change(group, Change::Add(members.to_vec())).await
    }

    /// Writes the last entry of a group, behind all that was said, and waits until it has read it.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn close_group(&self, group: ConversationId) -> Result<Seq> {
        let last = self.change(group, Change::Rename("replay, complete".to_owned())).await?;
        self.client.wait_for(group, last).await?;
        Ok(last)
    }

    /// Ends the client.
    pub(crate) async fn close(self) {
        self.client.close().await;
    }

    async fn change(&self, conversation: ConversationId, change: Change) -> Result<Seq> {
        match self.client.finish(Command::Change { conversation, change }).await? {
            Outcome::Accepted { seq, .. } => seq.context("a change without a place in the log"),
            outcome => bail!("a change was answered with {outcome:?}"),
        }
    }
}
