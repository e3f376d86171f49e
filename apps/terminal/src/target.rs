//! From what was typed to what is meant: conversations, messages and people of this session.

use std::collections::HashMap;

use tidings_client_core::database::{ConversationRow, Profile};
use tidings_client_core::view::{MessageView, TimelineRow};
use tidings_client_core::{Command, Outcome};
use tidings_model::{AccountId, ConversationId, ConversationKind};
use tidings_protocol_content::Reference;
use tidings_protocol_identity::UserName;

use crate::failure::{Exit, Failure};
use crate::naming::{self, CONVERSATION, Candidate, MESSAGE, NamingError, resolve};
use crate::people::{People, shown_name};
use crate::session::Session;
use crate::trust::Trust;
use crate::{sealing, trust};

/// What stands for the newest message.
const LAST: &str = "last";

/// What names the notes to self.
const SELF: &str = "self";

/// Rows of the past that a message is looked for in by the beginning of its id.
const ROWS_SEARCHED_MAX: usize = 1_000;

/// Which messages `last` and an id may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Everybody's.
    Anybodys,
    /// One's own.
    Own,
}

/// The name of a conversation, for people.
pub(crate) fn title(row: &ConversationRow, people: &People) -> String {
    match row.kind {
        ConversationKind::NotesToSelf => "Notes to self".to_owned(),
        ConversationKind::Group => row.name.clone(),
        ConversationKind::Direct => partner(row, people)
            .map_or_else(|| row.conversation.to_string(), |profile| shown_name(profile).to_owned()),
    }
}

/// The name of a conversation with the mark of an open one.
pub(crate) fn marked_title(row: &ConversationRow, people: &People) -> String {
    sealing::marked(&title(row, people), row.sealing)
}

/// The other one of a direct conversation.
pub(crate) fn partner<'a>(row: &ConversationRow, people: &'a People) -> Option<&'a Profile> {
    people.profile(row.partner?)
}

fn candidate(row: ConversationRow, people: &People) -> Candidate<ConversationRow> {
    let title = title(&row, people);
    let (names, description) = match row.kind {
        ConversationKind::NotesToSelf => (vec![SELF.to_owned(), title.clone()], title),
        ConversationKind::Group => {
            let members = row.member_count;
            let open = if sealing::is_open(row.sealing) { "open group" } else { "group" };
            (vec![title.clone()], format!("{title} ({open}, {members} members)"))
        }
        ConversationKind::Direct => {
            let user_name =
                partner(&row, people).map_or("", |profile| profile.user_name.as_str()).to_owned();
            let description = format!("{title} ({user_name})");
            (vec![user_name, title], description)
        }
    };
    Candidate { id: row.conversation.to_string(), item: row, names, description }
}

impl Session {
    /// The conversation that is meant. A name that this device does not know may be one that the
    /// server has meanwhile, so it is looked for again once the device has caught up.
    pub(crate) async fn conversation(&mut self, wanted: &str) -> Result<ConversationRow, Failure> {
        match self.known_conversation(wanted).await {
            Err(unknown) if unknown.name == "UNKNOWN_NAME" && self.catch_up().await? => {
                self.known_conversation(wanted).await
            }
            outcome => outcome,
        }
    }

    /// The conversation that is meant, out of those on this device.
    pub(crate) async fn known_conversation(
        &self,
        wanted: &str,
    ) -> Result<ConversationRow, Failure> {
        let people = self.people().await?;
        let rows = self.conversations().await?;
        let candidates = rows.into_iter().map(|row| candidate(row, &people)).collect();
        Ok(resolve(CONVERSATION, wanted, candidates)?)
    }

    /// The conversation that is meant, or a new one with the person who has that user name, or the
    /// notes to self.
    pub(crate) async fn conversation_or_new(
        &mut self,
        wanted: &str,
    ) -> Result<ConversationId, Failure> {
        let unknown = match self.conversation(wanted).await {
            Ok(row) => return Ok(row.conversation),
            Err(unknown) => unknown,
        };
        if unknown.name != "UNKNOWN_NAME" {
            return Err(unknown);
        }
        let command = if wanted == SELF {
            Command::CreateNotesToSelf { open: false }
        } else if UserName::parse(wanted).is_ok() {
            match self.person(wanted).await {
                Ok(with) => Command::CreateDirect { with, open: false },
                // A name of nobody may as well have been meant as that of a conversation.
                Err(failure) if failure.name == "UNKNOWN_PERSON" => return Err(unknown),
                Err(failure) => return Err(failure),
            }
        } else {
            return Err(unknown);
        };
        Ok(self.queue(command).await?.conversation())
    }

    /// The account of a user name: known on this device, else asked for.
    pub(crate) async fn person(&mut self, typed: &str) -> Result<AccountId, Failure> {
        let user_name = UserName::parse(typed).map_err(|error| {
            Failure::new(Exit::Usage, "USER_NAME", format!("`{typed}` is no user name: {error}"))
        })?;
        let people = self.people().await?;
        let known = people.profiles().find(|profile| profile.user_name == user_name.as_str());
        if let Some(profile) = known {
            return Ok(profile.account);
        }
        match self.ask_server(Command::LookUp { user_name }).await {
            Ok(Outcome::Profile(profile)) => Ok(profile.account),
            Ok(_) => Err(nobody(typed)),
            Err(failure) if failure.name == NOT_FOUND => Err(nobody(typed)),
            Err(failure) => Err(failure),
        }
    }

    /// The accounts of several user names.
    pub(crate) async fn persons(&mut self, typed: &[String]) -> Result<Vec<AccountId>, Failure> {
        let mut accounts = Vec::with_capacity(typed.len());
        for typed in typed {
            let account = self.person(typed).await?;
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        Ok(accounts)
    }

    /// What is known of the identities of some accounts; those that are not in it are unverified.
    pub(crate) async fn trust(
        &self,
        accounts: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Trust>, Failure> {
        Ok(self.client.read(move |database| trust::read(database, &accounts)).await??)
    }

    /// Says on standard error what a reader of a conversation has to know of it.
    pub(crate) async fn note_sealing(&self, row: &ConversationRow) -> Result<(), Failure> {
        if sealing::is_open(row.sealing) {
            self.output.note(sealing::OPEN);
        } else if let Some(words) = sealing::hindrance(row.sealing, self.mirror.listing) {
            self.output.note(&format!("tidings: {words}"));
        }
        if let Some(partner) = row.partner
            && self.trust(vec![partner]).await?.get(&partner) == Some(&Trust::Changed)
        {
            let people = self.people().await?;
            self.output.note(&changed_words(&people, partner));
        }
        Ok(())
    }

    /// Opens a timeline with at least so many rows, or all that there are.
    pub(crate) async fn open_timeline(
        &mut self,
        conversation: ConversationId,
        rows: usize,
    ) -> Result<(), Failure> {
        // Opening again what is open would tell its rows again, so it is closed first.
        self.ask(Command::CloseView { conversation }).await?;
        self.settle().await?;
        self.mirror.close(conversation);
        self.ask(Command::OpenView { conversation }).await?;
        self.settle().await?;
        self.load_rows(conversation, rows).await
    }

    /// Reads the past of an open timeline until it has so many rows, or all that there are.
    pub(crate) async fn load_rows(
        &mut self,
        conversation: ConversationId,
        rows: usize,
    ) -> Result<(), Failure> {
        loop {
            let before = self.mirror.timeline(conversation).len();
            if before >= rows {
                return Ok(());
            }
            self.ask(Command::LoadOlder { conversation }).await?;
            self.settle().await?;
            if self.mirror.timeline(conversation).len() <= before {
                return Ok(());
            }
        }
    }

    /// The message that is meant: by its id, the beginning of it, or `last`.
    pub(crate) async fn message(
        &mut self,
        conversation: ConversationId,
        wanted: &str,
        whose: Whose,
    ) -> Result<Reference, Failure> {
        self.open_timeline(conversation, ROWS_SEARCHED_MAX).await?;
        let messages = self.mirror.timeline(conversation).iter().filter_map(|row| match row {
            TimelineRow::Message(message) => Some(&**message),
            TimelineRow::Event(_) | TimelineRow::Gap(_) => None,
        });
        Ok(choose_message(messages, wanted, whose)?)
    }
}

/// The warning that stands until somebody's new identity was compared.
pub(crate) fn changed_words(people: &People, account: AccountId) -> String {
    format!(
        "! {} has a new identity that you have not compared: `tidings verify {}` before you trust it",
        people.name(account),
        people.user_name(account)
    )
}

const NOT_FOUND: &str = "NOT_FOUND";

fn nobody(typed: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        "UNKNOWN_PERSON",
        format!("nobody on this server has the user name `{typed}`: check it with them"),
    )
}

/// The message that is meant, out of those of a timeline, oldest first.
pub(crate) fn choose_message<'a>(
    messages: impl DoubleEndedIterator<Item = &'a MessageView>,
    wanted: &str,
    whose: Whose,
) -> Result<Reference, NamingError> {
    let mut fitting =
        messages.filter(|message| whose == Whose::Anybodys || message.state.is_some());
    if wanted == LAST {
        let last = fitting.next_back();
        return last.map(|message| message.message).ok_or_else(|| NamingError::Unknown {
            kind: MESSAGE.word,
            wanted: wanted.to_owned(),
            hint: MESSAGE.hint,
        });
    }
    let candidates = fitting
        .map(|message| Candidate {
            item: message.message,
            id: message.message.message_id.to_string(),
            names: Vec::new(),
            description: format!("{}: {}", message.author.name, message.text),
        })
        .collect();
    naming::resolve(MESSAGE, wanted, candidates)
}
