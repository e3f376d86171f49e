//! `tidings-replay clients`: a process of real clients, which does what the lines on its standard input
//! say and may be killed at any moment.
//!
//! It keeps nothing in memory that a kill could lose: who signed up is in the folders, what was queued
//! is in the databases. It ends when its standard input does, so that it never outlives the replay.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tidings_client_core::{Command, Me};
use tidings_model::Seq;
use tidings_protocol_identity::InviteLink;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::order::{Answer, Counts, Order, Request, Response};

/// The clients of this process, by their device.
#[derive(Default)]
struct Clients {
    by_device: Mutex<HashMap<usize, Client>>,
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
        // The replay gives a device its orders one by one; those of different devices do not wait for
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
            Order::SignUp { device, folder, link, uses_invite, user_name, display_name } => {
                let client = Client::open(Path::new(&folder)).await?;
                let link: InviteLink = link.parse()?;
                let invite = uses_invite.then(|| link.token.clone());
                let me = client.sign_up(&link, invite, &user_name, &display_name).await?;
                self.put(device, client);
                return Ok(signed_in(&me));
            }
            Order::SignIn { device, folder, link, user_name } => {
                let client = Client::open(Path::new(&folder)).await?;
                let me = client.sign_in(&link.parse()?, &user_name).await?;
                self.put(device, client);
                return Ok(signed_in(&me));
            }
            Order::ShowCode { device } => {
                if let Some(code) = self.find(device)?.link_code().await? {
                    return Ok(Answer::Code { code: code.to_string() });
                }
            }
            Order::Link { device, new, code } => {
                self.find(device)?.link(new.parse()?, code.parse()?).await?;
            }
            Order::AcceptLink { device } => self.find(device)?.accept_link().await?,
            Order::Open { device, folder, connects } => {
                let client = Client::open(Path::new(&folder)).await?;
                if connects {
                    client.finish(Command::Connect).await?;
                }
                self.put(device, client);
            }
            Order::Connect { device } => {
                self.find(device)?.finish(Command::Connect).await?;
            }
            Order::Disconnect { device } => {
                self.find(device)?.finish(Command::Disconnect).await?;
            }
            Order::OpenDirect { device, with, open } => {
                let with = with.parse()?;
                self.find(device)?.finish(Command::CreateDirect { with, open }).await?;
            }
            Order::Await { device, conversation, seq } => {
                let seq = Seq::new(seq).context("a seq out of its bounds")?;
                self.find(device)?.wait_for(conversation.parse()?, seq).await?;
            }
            Order::Say { device, conversation, message_id, text } => {
                let (conversation, message_id) = (conversation.parse()?, message_id.parse()?);
                self.find(device)?.say(conversation, message_id, text).await?;
            }
            Order::Leave { device, conversation } => {
                self.find(device)?.leave(conversation.parse()?).await?;
            }
            Order::Report => return self.report().await,
            Order::Count => return self.count().await,
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
        let mut standings = Vec::new();
        for (device, client) in self.all() {
            standings.push(client.standing(device).await?);
        }
        Ok(Answer::Standings(standings))
    }

    async fn count(&self) -> Result<Answer> {
        let mut counts = Counts::default();
        for (_, client) in self.all() {
            counts += client.counts().await?;
        }
        Ok(Answer::Counts(counts))
    }

    fn all(&self) -> Vec<(usize, Client)> {
        self.lock().iter().map(|(device, client)| (*device, client.clone())).collect()
    }

    fn put(&self, device: usize, client: Client) {
        self.lock().insert(device, client);
    }

    fn find(&self, device: usize) -> Result<Client> {
        self.lock().get(&device).cloned().with_context(|| format!("no client of device {device}"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Client>> {
        // No holder of the lock can leave the map half changed.
        self.by_device.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn signed_in(me: &Me) -> Answer {
    Answer::SignedIn { account: me.account.to_string(), device: me.device.to_string() }
}
