//! `tidings-replay clients`: a process of real clients, which does what the lines on its standard input
//! say and may be killed at any moment.
//!
//! It keeps nothing in memory that a kill could lose: who signed up is in the folders, what was queued
//! is in the databases. It ends when its standard input does, so that it never outlives the replay.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tidings_client_core::Command;
use tidings_model::Seq;
use tidings_protocol_identity::InviteLink;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::order::{Answer, Order, Request, Response};

/// The clients of this process, by their member.
#[derive(Default)]
struct Clients {
    by_member: Mutex<HashMap<usize, Client>>,
}

/// Serves orders until there are no more.
///
/// # Errors
/// Standard input or output is broken, or a line is no order.
pub(crate) async fn serve() -> Result<()> {
    let (answers, mut to_write) = mpsc::unbounded_channel::<Response>();
    let writer = tokio::spawn(async move {
        let mut output = tokio::io::stdout();
        while let Some(response) = to_write.recv().await {
            let mut line = serde_json::to_vec(&response)?;
            line.push(b'\n');
            output.write_all(&line).await?;
            output.flush().await?;
        }
        Ok::<_, anyhow::Error>(())
    });
    let clients = Arc::new(Clients::default());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let Request { number, order } =
            serde_json::from_str(&line).context("a line is no order")?;
        let (clients, answers) = (Arc::clone(&clients), answers.clone());
        // The replay gives a member its orders one by one; those of different members do not wait for
        // one another.
        tokio::spawn(async move {
            let answer = clients
                .carry_out(order)
                .await
                .unwrap_or_else(|error| Answer::Failed { words: format!("{error:#}") });
            // Nobody reads any more: the process is about to end.
            let _ = answers.send(Response { number, answer });
        });
    }
    drop(answers);
    writer.await?
}

impl Clients {
    async fn carry_out(&self, order: Order) -> Result<Answer> {
        match order {
            Order::SignUp { member, folder, link, uses_invite, user_name, display_name } => {
                let client = Client::open(Path::new(&folder)).await?;
                let link: InviteLink = link.parse()?;
                let invite = uses_invite.then(|| link.token.clone());
                let account = client.sign_up(&link, invite, &user_name, &display_name).await?;
                self.put(member, client);
                return Ok(Answer::SignedUp { account: account.to_string() });
            }
            Order::Open { member, folder, connects } => {
                let client = Client::open(Path::new(&folder)).await?;
                if connects {
                    client.finish(Command::Connect).await?;
                }
                self.put(member, client);
            }
            Order::Connect { member } => {
                self.find(member)?.finish(Command::Connect).await?;
            }
            Order::Disconnect { member } => {
                self.find(member)?.finish(Command::Disconnect).await?;
            }
            Order::OpenDirect { member, with } => {
                let with = with.parse()?;
                self.find(member)?.finish(Command::CreateDirect { with }).await?;
            }
            Order::Await { member, conversation, seq } => {
                let seq = Seq::new(seq).context("a seq out of its bounds")?;
                self.find(member)?.wait_for(conversation.parse()?, seq).await?;
            }
            Order::Say { member, conversation, message_id, text } => {
                let (conversation, message_id) = (conversation.parse()?, message_id.parse()?);
                self.find(member)?.say(conversation, message_id, text).await?;
            }
            Order::Leave { member, conversation } => {
                self.find(member)?.leave(conversation.parse()?).await?;
            }
            Order::Report => return self.report().await,
            Order::Close => {
                let clients = std::mem::take(&mut *self.lock());
                for (_, client) in clients {
                    client.close().await;
                }
            }
        }
        Ok(Answer::Done)
    }

    async fn report(&self) -> Result<Answer> {
        let clients: Vec<(usize, Client)> =
            self.lock().iter().map(|(member, client)| (*member, client.clone())).collect();
        let mut standings = Vec::new();
        for (member, client) in clients {
            standings.push(client.standing(member).await?);
        }
        Ok(Answer::Standings(standings))
    }

    fn put(&self, member: usize, client: Client) {
        self.lock().insert(member, client);
    }

    fn find(&self, member: usize) -> Result<Client> {
        self.lock().get(&member).cloned().with_context(|| format!("no client of member {member}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Client>> {
        // No holder of the lock can leave the map half changed.
        self.by_member.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
