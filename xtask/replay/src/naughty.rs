//! The naughty strings: each is sent as a message, as a group's name and as a display name through the
//! real system, and has to come back unchanged or be refused with a sentence that says why.
//!
//! Romeo says and names; Juliet, on a client and a database of her own, reads. Messages and the group's
//! name are sealed. Nothing is killed here.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tidings_client_core::{Change, Command, Failure, Outcome, Send};
use tidings_model::{AccountId, ConversationId, Seq};
use tidings_protocol_identity::UserName;

use crate::client::Client;
use crate::record::text_of;
use crate::server::{self, Server, SignUp};

/// User names of the two.
const ROMEO: &str = "romeo";
const JULIET: &str = "juliet";

/// What became of the strings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) messages: Counts,
    pub(crate) group_names: Counts,
    pub(crate) display_names: Counts,
}

/// What became of the strings in one place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    unchanged: usize,
    refused: usize,
    altered: usize,
}

/// What became of one string.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It came back so.
    Came(Option<String>),
    /// It was refused with this sentence.
    Refused(String),
}

impl Report {
    /// Whether every string came back unchanged or was refused.
    pub(crate) fn is_clean(&self) -> bool {
        [&self.messages, &self.group_names, &self.display_names]
            .into_iter()
            .all(|counts| counts.altered == 0 && counts.unchanged > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "naughty strings: as messages {}; as group names {}; as display names {}",
            self.messages, self.group_names, self.display_names
        )
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unchanged, refused, altered } = self;
        write!(formatter, "{unchanged} unchanged, {refused} refused, {altered} altered")
    }
}

impl Counts {
    /// Counts what became of a string, and tells of all that are not unchanged.
    fn note(&mut self, place: &str, string: &str, fate: &Fate) {
        match fate {
            Fate::Came(Some(back)) if back == string => self.unchanged += 1,
            Fate::Refused(words) if !words.trim().is_empty() => {
                self.refused += 1;
                eprintln!("naughty: refused as {place}: {string:?}: {words}");
            }
            Fate::Came(_) | Fate::Refused(_) => {
                self.altered += 1;
                eprintln!("naughty: ALTERED as {place}: {string:?} became {fate:?}");
            }
        }
    }
}

/// Sends every string of a JSON array of strings through the system, in a folder for its data.
///
/// # Errors
/// The file is not such an array, or the system does not run.
pub(crate) async fn run(file: &Path, folder: &Path) -> Result<Report> {
    let json = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    let mut strings: Vec<String> =
        serde_json::from_slice(&json).context("the file is no JSON array of strings")?;
    // The same name once more would be refused for being the same.
    strings.dedup();
    ensure!(!strings.is_empty(), "there are no strings in the file");
    let port = server::free_port().await?;
    let server_folder = folder.join("server");
    let mut server = Server::prepare(server::program()?, server_folder, port, port, SignUp::Open)?;
    server.start().await?;
    let play = Play::begin(&server, folder).await?;
    let mut report = Report::default();
    for (string, fate) in strings.iter().zip(play.say(&strings).await?) {
        report.messages.note("message", string, &fate);
    }
    for string in &strings {
        let fate = play.name_group(string).await?;
        report.group_names.note("group name", string, &fate);
    }
    for string in &strings {
        let fate = play.name_romeo(string).await?;
        report.display_names.note("display name", string, &fate);
    }
    play.romeo.close().await;
    play.juliet.close().await;
    server.stop().await?;
    Ok(report)
}

/// The two and their group.
struct Play {
    romeo: Client,
    juliet: Client,
    group: ConversationId,
}

impl Play {
    async fn begin(server: &Server, folder: &Path) -> Result<Self> {
        let link = server.invite().await?;
        let (romeo, _) = sign_up(&folder.join(ROMEO), &link, ROMEO).await?;
        let (juliet, her_account) = sign_up(&folder.join(JULIET), &link, JULIET).await?;
        let name = "verona".to_owned();
        let create = Command::CreateGroup { name, members: vec![her_account], open: true };
        let Outcome::Accepted { conversation: group, .. } = romeo.finish(create).await? else {
            anyhow::bail!("the group was not accepted");
        };
        juliet.wait_for(group, Seq::FIRST).await?;
        Ok(Self { romeo, juliet, group })
    }

    /// Romeo says each string; what Juliet has is what became of it.
    async fn say(&self, strings: &[String]) -> Result<Vec<Fate>> {
        let mut outcomes = Vec::new();
        for text in strings {
            let (conversation, text) = (self.group, text.clone());
            let send = Send { conversation, message_id: None, text, reply_to: None };
            outcomes.push(self.romeo.handle().command(Command::Send(send)).await?);
        }
        let mut fates = Vec::new();
        for mut outcomes in outcomes {
            let mut last = None;
            while let Some(outcome) = outcomes.next().await {
                let is_last = !matches!(outcome, Outcome::Queued { .. });
                last = Some(outcome);
                if is_last {
                    break;
                }
            }
            fates.push(match last.context("Romeo's client has ended")? {
                Outcome::Accepted { seq: Some(seq), .. } => Fate::Came(self.said(seq).await?),
                outcome => refusal(outcome)?,
            });
        }
        Ok(fates)
    }

    /// What an entry says on Juliet's device.
    async fn said(&self, seq: Seq) -> Result<Option<String>> {
        let group = self.group;
        self.juliet.wait_for(group, seq).await?;
        let span =
            self.juliet.handle().read(move |database| database.span(group, seq, seq)).await??;
        let entry = span.entries.first().map(|row| &row.entry);
        Ok(entry.and_then(|entry| text_of(&entry.payload, entry.message_id)))
    }

    /// Romeo gives the group a string as its name; what Juliet's device calls it is what became of it.
    async fn name_group(&self, name: &str) -> Result<Fate> {
        let change = Change::Rename(name.to_owned());
        let rename = Command::Change { conversation: self.group, change };
        match self.romeo.outcome(rename).await? {
            Outcome::Accepted { seq: Some(seq), .. } => {
                self.juliet.wait_for(self.group, seq).await?;
                let row = self.juliet.conversation(self.group).await?;
                Ok(Fate::Came(row.map(|row| row.name)))
            }
            outcome => refusal(outcome),
        }
    }

    /// Romeo takes a string as his display name; what Juliet finds is what became of it.
    async fn name_romeo(&self, string: &str) -> Result<Fate> {
        let set = Command::SetDisplayName { display_name: string.to_owned() };
        match self.romeo.outcome(set).await? {
            Outcome::Done => {}
            outcome => return refusal(outcome),
        }
        let look_up = Command::LookUp { user_name: UserName::parse(ROMEO)? };
        match self.juliet.finish(look_up).await? {
            Outcome::Profile(profile) => Ok(Fate::Came(Some(profile.display_name))),
            outcome => anyhow::bail!("a look-up was answered with {outcome:?}"),
        }
    }
}

async fn sign_up(
    folder: &Path,
    link: &tidings_protocol_identity::InviteLink,
    user_name: &str,
) -> Result<(Client, AccountId)> {
    let client = Client::open(folder).await?;
    let me = client.sign_up(link, None, user_name, user_name).await?;
    Ok((client, me.account))
}

/// The sentence of a refusal; any other outcome means that the system does not work.
fn refusal(outcome: Outcome) -> Result<Fate> {
    match outcome {
        Outcome::Refused(refused) => Ok(Fate::Refused(refused.message)),
        Outcome::Failed(Failure::Invalid(words)) => Ok(Fate::Refused(words)),
        outcome => anyhow::bail!("a string was answered with {outcome:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_that_comes_back_otherwise_or_not_at_all_is_altered() {
        let mut counts = Counts::default();
        let came = |text: &str| Fate::Came(Some(text.to_owned()));
        for fate in [came("a"), came("a "), Fate::Came(None), Fate::Refused(" ".to_owned())] {
            counts.note("message", "a", &fate);
        }
        counts.note("message", "a", &Fate::Refused("too naughty".to_owned()));
        assert_eq!(counts, Counts { unchanged: 1, refused: 1, altered: 3 });
        let clean = || Counts { unchanged: 1, refused: 1, altered: 0 };
        let report = |messages| Report { messages, group_names: clean(), display_names: clean() };
        assert!(report(clean()).is_clean());
        assert!(!report(counts).is_clean());
        assert!(!report(Counts { refused: 9, ..Counts::default() }).is_clean());
    }
}
