//! The administrator: a real client in the replay's own process, who owns the group, lets people in,
//! and says nothing.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use tidings_client_core::{Change, Command, Outcome};
use tidings_model::limits::ADDS_MAX;
use tidings_model::{AccountId, ConversationId, Seq};
use tidings_protocol_identity::InviteLink;
use tidings_protocol_mls::DeviceIdentity;
use tokio::sync::{mpsc, oneshot};

use crate::client::Client;
use crate::plan::Sealing;

/// Its user name; no nickname of IRC holds a dot, so nobody else has it.
pub(crate) const USER_NAME: &str = "administrator.of.the.replay";

/// The administrator. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    client: Client,
    pub(crate) device: DeviceIdentity,
}

/// Adds people to the group.
#[derive(Debug, Clone)]
pub(crate) struct Adder {
    waiting: mpsc::UnboundedSender<Waiting>,
}

/// Somebody who waits to be added, and who is told the place of the add.
type Waiting = (AccountId, oneshot::Sender<Result<Seq, String>>);

impl Owner {
    /// Makes the administrator's account with the server's first invite.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn sign_up(folder: &Path, link: &InviteLink) -> Result<Self> {
        let client = Client::open(folder).await?;
        let invite = Some(link.token.clone());
        let me = client.sign_up(link, invite, USER_NAME, "administrator").await?;
        let device = DeviceIdentity { account: me.account, device: me.device };
        Ok(Self { client, device })
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
    pub(crate) async fn make_group(
        &self,
        sealing: Sealing,
        members: &[AccountId],
    ) -> Result<(ConversationId, Seq)> {
        let create = Command::CreateGroup {
            name: "replay".to_owned(),
            members: Vec::new(),
            open: sealing == Sealing::Open,
        };
        let Outcome::Accepted { conversation, .. } = self.client.finish(create).await? else {
            bail!("a group was not accepted");
        };
        let mut last = Seq::FIRST;
        for members in members.chunks(ADDS_MAX) {
            last = self.add(conversation, members).await?;
        }
        Ok((conversation, last))
    }

    /// Lets people be added to the group from now on. Whoever waits while an add is under way comes
    /// with the next one: in a sealed group each is a Commit, and these keep a pace.
    pub(crate) fn adder(&self, group: ConversationId) -> Adder {
        let (waiting, mut queue) = mpsc::unbounded_channel::<Waiting>();
        let owner = self.clone();
        tokio::spawn(async move {
            while let Some(first) = queue.recv().await {
                let mut adding = vec![first];
                while adding.len() < ADDS_MAX
                    && let Ok(next) = queue.try_recv()
                {
                    adding.push(next);
                }
                let accounts: Vec<AccountId> = adding.iter().map(|(account, _)| *account).collect();
                let added = owner.add(group, &accounts).await;
                let added = added.map_err(|error| format!("{error:#}"));
                for (_, told) in adding {
                    // Whoever waited may have given up.
                    let _ = told.send(added.clone());
                }
            }
        });
        Adder { waiting }
    }

    /// Ends the client.
    pub(crate) async fn close(self) {
        self.client.close().await;
    }

    async fn add(&self, conversation: ConversationId, members: &[AccountId]) -> Result<Seq> {
        let change = Change::Add(members.to_vec());
        match self.client.finish(Command::Change { conversation, change }).await? {
            Outcome::Accepted { seq, .. } => seq.context("an add without a place in the log"),
            outcome => bail!("an add was answered with {outcome:?}"),
        }
    }
}

impl Adder {
    /// Adds somebody, and tells the place of the add.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) async fn add(&self, account: AccountId) -> Result<Seq> {
        let (told, added) = oneshot::channel();
        self.waiting.send((account, told)).context("the administrator has ended")?;
        added.await?.map_err(|words| anyhow!(words))
    }
}
