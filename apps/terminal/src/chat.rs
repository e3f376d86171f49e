//! The interactive chat: lines of a conversation as they come, and a line to type on.
//!
//! On a terminal the line being typed and a status row stay at the bottom (`screen`, `editor`); where
//! standard input or output is none, or the terminal is dumb, the same talk goes line by line
//! (`face`). What is shown of the conversation is decided in `talk`. Deliberately not here: several
//! conversations at once, which is what `follow` and the graphical apps are for.

mod editor;
mod face;
mod screen;
mod slash;
mod status;
mod talk;

use std::pin::pin;
use std::time::Duration;

use tidings_client_core::database::{Draft, DraftPurpose};
use tidings_client_core::{Change, Command, ConnectionState, Event, Notice, Outcome, Send, Typing};
use tidings_client_native::Told;
use tidings_model::ConversationId;
use tidings_protocol_content::Reference;
use tokio::time::{Instant, sleep_until};

use crate::commands::account::presence_words;
use crate::commands::conversations::CONTINUE_IN_OPEN;
use crate::commands::linking;
use crate::commands::verification::{self, Spoken};
use crate::failure::{Exit, Failure};
use crate::naming::{ID_SHOWN, short};
use crate::record::role_name;
use crate::session::Session;
use crate::target::{Whose, choose_message};
use crate::visible;
use face::{Face, Input};
use slash::{HELP, Line, Slash};
use talk::Talk;

/// How long after the last key what is typed is written to the database.
const DRAFT_SAVED_AFTER: Duration = Duration::from_secs(1);

/// Rows of the past that are printed at the beginning.
const ROWS_AT_FIRST: usize = 20;

/// Whether the chat goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    Quit,
}

struct Chat<'a> {
    session: &'a mut Session,
    conversation: ConversationId,
    face: Face,
    talk: Talk,
    /// What the database holds of what is typed.
    saved_draft: String,
    draft_due: Option<Instant>,
}

/// Talks in a conversation until the person leaves.
pub(crate) async fn chat(session: &mut Session, wanted: Option<&str>) -> Result<Exit, Failure> {
    session.connect().await?;
    let conversation = match wanted {
        Some(wanted) => session.conversation_or_new(wanted).await?,
        None => newest(session).await?,
    };
    session.open_timeline(conversation, ROWS_AT_FIRST).await?;
    let draft = session.mirror.conversation(conversation).and_then(|of| of.draft.clone());
    let talk = Talk::begin(session, conversation).await?;
    let face = Face::open(session.output.clone(), &talk.prompt())?;
    let mut chat = Chat {
        session,
        conversation,
        face,
        talk,
        saved_draft: draft.unwrap_or_default(),
        draft_due: None,
    };
    chat.begin().await?;
    let outcome = chat.run().await;
    chat.save_draft().await?;
    outcome
}

async fn newest(session: &mut Session) -> Result<ConversationId, Failure> {
    if session.mirror.conversations.is_empty() {
        session.catch_up().await?;
    }
    session.mirror.conversations.first().map(|summary| summary.conversation).ok_or_else(|| {
        Failure::usage(
            "there is no conversation yet: `tidings chat USER_NAME` begins one, `tidings invite` \
             brings somebody here",
        )
    })
}

impl Chat<'_> {
    async fn begin(&mut self) -> Result<(), Failure> {
        let history = self.talk.history(self.session, ROWS_AT_FIRST)?;
        self.face.print(&history)?;
        self.face.type_in(&self.saved_draft);
        self.show().await
    }

    async fn run(&mut self) -> Result<Exit, Failure> {
        let mut told_to_stop = pin!(told_to_stop());
        loop {
            let draft_due = self.draft_due;
            let next = tokio::select! {
                input = self.face.next() => self.take(input?).await?,
                told = self.session.events.next() => self.hear(told).await?,
                () = sleep_until(draft_due.unwrap_or_else(Instant::now)), if draft_due.is_some() => {
                    self.save_draft().await?;
                    Next::Go
                }
                () = &mut told_to_stop => Next::Quit,
            };
            if next == Next::Quit {
                return Ok(Exit::Done);
            }
        }
    }

    async fn hear(&mut self, told: Option<Told>) -> Result<Next, Failure> {
        self.session.absorb(told.clone()).await?;
        if let Some(Told::Event(event)) = told {
            match *event {
                Event::Presence { account, presence } => {
                    self.talk.heard_presence(account, presence);
                }
                // Another device may have compared the safety number meanwhile.
                Event::Connection(_) => self.talk.learn_trust(self.session).await?,
                _ => {}
            }
        }
        self.show().await?;
        Ok(Next::Go)
    }

    async fn tell_notices(&mut self) -> Result<(), Failure> {
        while let Some(notice) = self.session.notices.pop_front() {
            let words = match &notice {
                Notice::SignedOut => Some(self.session.signed_out().await?.message),
                // The status tells of it for as long as it is so.
                Notice::OutboxHeld { .. } | Notice::OutboxReleased => None,
                Notice::IdentityChanged { .. } => {
                    self.talk.learn_trust(self.session).await?;
                    crate::notice::words(&notice, &self.session.people().await?)
                }
                Notice::LinkEnded { completed, .. } => {
                    Some(linking::ended_words(*completed).to_owned())
                }
                notice => crate::notice::words(notice, &self.session.people().await?),
            };
            if let Some(words) = words {
                self.say(&words)?;
            }
        }
        Ok(())
    }

    /// Prints what is new in the conversation and draws the status.
    async fn show(&mut self) -> Result<(), Failure> {
        self.tell_notices().await?;
        if std::mem::take(&mut self.session.missed) {
            self.session.open_timeline(self.conversation, ROWS_AT_FIRST).await?;
        }
        let news = self.talk.news(self.session).await?;
        self.face.print(&news.lines)?;
        if let Some(up_to) = news.read_up_to {
            let command = Command::MarkRead { conversation: self.conversation, up_to };
            self.session.client.command(command).await?;
        }
        let status = self.talk.status(self.session);
        self.face.set_prompt(&self.talk.prompt());
        self.face.set_status(status)?;
        Ok(())
    }

    fn say(&mut self, words: &str) -> Result<(), Failure> {
        const MARK: &str = "· ";
        let output = &self.session.output;
        let lines: Vec<String> = words
            .split('\n')
            .flat_map(|line| output.broken(&visible::one_line(line), visible::width(MARK)))
            .map(|line| format!("{MARK}{line}"))
            .collect();
        Ok(self.face.print(&lines)?)
    }

    async fn take(&mut self, input: Input) -> Result<Next, Failure> {
        match input {
            Input::Typed => self.typed().await?,
            Input::Nothing => {}
            Input::Resized(columns) => self.session.output.columns = Some(columns),
            Input::Quit => return Ok(Next::Quit),
            Input::Line(line) => {
                self.draft_due = Some(Instant::now());
                self.tell_typing(Typing::Stopped).await?;
                match slash::parse(&line) {
                    Line::Empty => {}
                    Line::Unclear(words) => self.say(&words)?,
                    Line::Text(text) => {
                        if let Err(failure) = self.send(text, None).await {
                            self.give_back(&line, &failure)?;
                        }
                    }
                    Line::Slash(Slash::Quit) => return Ok(Next::Quit),
                    Line::Slash(slash) => {
                        if let Err(failure) = self.carry_out(slash).await {
                            self.give_back(&line, &failure)?;
                        }
                    }
                }
                self.show().await?;
            }
        }
        Ok(Next::Go)
    }

    /// A line that was not taken stands on the line again, and why is told.
    fn give_back(&mut self, line: &str, failure: &Failure) -> Result<(), Failure> {
        self.say(&failure.message)?;
        self.face.type_in(line);
        Ok(())
    }

    async fn typed(&mut self) -> Result<(), Failure> {
        self.draft_due = Some(Instant::now() + DRAFT_SAVED_AFTER);
        let text = self.face.typed();
        let typing = if text.is_empty() || text.starts_with('/') {
            Typing::Stopped
        } else {
            Typing::Started
        };
        self.tell_typing(typing).await
    }

    async fn tell_typing(&mut self, typing: Typing) -> Result<(), Failure> {
        let command = Command::Typing { conversation: self.conversation, typing };
        self.session.client.command(command).await?;
        Ok(())
    }

    async fn save_draft(&mut self) -> Result<(), Failure> {
        self.draft_due = None;
        let text = self.face.typed().to_owned();
        if text != self.saved_draft {
            let draft = Draft { text: text.clone(), purpose: DraftPurpose::Message };
            let command = Command::SetDraft { conversation: self.conversation, draft };
            self.session.ask(command).await?;
            self.saved_draft = text;
        }
        Ok(())
    }

    async fn send(&mut self, text: String, reply_to: Option<Reference>) -> Result<(), Failure> {
        let conversation = self.conversation;
        let send = Send { conversation, message_id: None, text, reply_to };
        self.queue(Command::Send(send)).await
    }

    /// Hands over what goes through the outbox. How far it gets is seen in the timeline.
    async fn queue(&mut self, command: Command) -> Result<(), Failure> {
        self.session.queue(command).await?;
        self.session.settle().await
    }

    fn message(&self, wanted: &str, whose: Whose) -> Result<Reference, Failure> {
        let messages = talk::messages(self.session.mirror.timeline(self.conversation));
        Ok(choose_message(messages, wanted, whose)?)
    }

    async fn carry_out(&mut self, slash: Slash) -> Result<(), Failure> {
        let conversation = self.conversation;
        match slash {
            Slash::Reply { message, text } => {
                let target = self.message(&message, Whose::Anybodys)?;
                self.send(text, Some(target)).await
            }
            Slash::Edit { message, text } => {
                let target = self.message(&message, Whose::Own)?;
                self.queue(Command::Edit { conversation, target, text }).await
            }
            Slash::Delete { message } => {
                let whose = if message == "last" { Whose::Own } else { Whose::Anybodys };
                let target = self.message(&message, whose)?;
                self.queue(Command::Delete { conversation, target }).await
            }
            Slash::React { message, emoji } => {
                let target = self.message(&message, Whose::Anybodys)?;
                self.queue(Command::React { conversation, target, emoji }).await
            }
            Slash::Members => self.members().await,
            Slash::Add { people } => self.add(&people).await,
            Slash::Leave => {
                self.queue(Command::Change { conversation, change: Change::Leave }).await
            }
            Slash::History { last } => {
                self.session.load_rows(conversation, last).await?;
                let history = self.talk.history(self.session, last)?;
                Ok(self.face.print(&history)?)
            }
            Slash::Retry => self.retry().await,
            Slash::Link { code } => self.link(&code).await,
            Slash::AnswerLink { accepted } => self.answer_link(accepted).await,
            Slash::Verify { verified } => self.verify(verified).await,
            Slash::Open { sure } => self.open(sure).await,
            Slash::Presence { hidden } => {
                self.session.ask(Command::SetPresence { hidden }).await?;
                // A hidden device is told of nobody; what was told before is soon not true any more.
                self.talk.forget_presence();
                self.say(presence_words(hidden))
            }
            Slash::Help => {
                let help: Vec<String> = HELP
                    .iter()
                    .map(|(usage, does)| format!("· {} {does}", visible::pad(usage, 24)))
                    .collect();
                Ok(self.face.print(&help)?)
            }
            Slash::Quit => Ok(()),
        }
    }

    async fn members(&mut self) -> Result<(), Failure> {
        let command = Command::Members { conversation: self.conversation };
        let Outcome::Members(members) = self.session.ask(command).await? else { return Ok(()) };
        let accounts = members.iter().map(|member| member.profile.account).collect();
        let trust = self.session.trust(accounts).await?;
        let lines: Vec<String> = members
            .iter()
            .filter_map(|member| {
                let role = role_name(member.role?);
                let profile = &member.profile;
                let name = visible::one_line(&profile.display_name);
                let mark = trust.get(&profile.account).and_then(|trust| trust.word());
                let mark = mark.map_or_else(String::new, |word| format!(", {word}"));
                Some(format!("· {name} ({}), {role}{mark}", profile.user_name))
            })
            .collect();
        Ok(self.face.print(&lines)?)
    }

    /// Compares safety numbers with the other one.
    async fn verify(&mut self, verified: Option<bool>) -> Result<(), Failure> {
        let Some(partner) = self.talk.partner() else {
            let words =
                "this is not with one person: `tidings verify USER_NAME` outside of the chat";
            return Err(Failure::usage(words));
        };
        let lines = verification::compare(self.session, partner, verified, Spoken::Slash).await?;
        self.talk.learn_trust(self.session).await?;
        self.say(&lines.join("\n"))
    }

    /// Links a device by the code that it shows; the person says yes on a line of its own.
    async fn link(&mut self, code: &str) -> Result<(), Failure> {
        let code = linking::read_code(code)?;
        let name = linking::prove(self.session, code, None).await?;
        self.say(&format!("{}: /link yes or /link no", linking::link_words(&name)))
    }

    async fn answer_link(&mut self, accepted: bool) -> Result<(), Failure> {
        self.session.ask_server(Command::AnswerLink { accepted }).await?;
        let words = match accepted {
            true => "the new device asks its person, too …",
            false => "nothing was linked",
        };
        self.say(words)
    }

    /// Goes on in an open conversation, once the person has said that they know what that means.
    async fn open(&mut self, sure: bool) -> Result<(), Failure> {
        if !sure {
            return self.say(&format!("{CONTINUE_IN_OPEN} `/open yes` does it"));
        }
        let command = Command::ContinueInOpen { conversation: self.conversation };
        let open = self.session.queue(command).await?.conversation().to_string();
        self.session.settle().await?;
        let open = short(&open, ID_SHOWN);
        self.say(&format!("made: `tidings chat {open}` goes on there, where the server can read"))
    }

    async fn add(&mut self, people: &[String]) -> Result<(), Failure> {
        if self.session.mirror.connection != ConnectionState::Live {
            let words = "there is no connection just now, and people are found on the server";
            return Err(Failure::new(Exit::NoConnection, "NOT_CONNECTED", words));
        }
        let accounts = self.session.persons(people).await?;
        let change = Change::Add(accounts);
        self.queue(Command::Change { conversation: self.conversation, change }).await
    }

    /// Sends again what was refused, and tries the connection again where that was given up.
    async fn retry(&mut self) -> Result<(), Failure> {
        self.session.connect().await?;
        let refused: Vec<_> = self
            .session
            .outbox()
            .await?
            .into_iter()
            .filter(|row| row.conversation == self.conversation && row.failure.is_some())
            .collect();
        if refused.is_empty() {
            return self.say("nothing was refused here");
        }
        for row in refused {
            self.queue(Command::Retry { message_id: row.message_id }).await?;
        }
        Ok(())
    }
}

/// Waits for the system's wish to end this program. On a terminal Ctrl-C is a key like any other.
#[cfg(unix)]
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
    let Ok([mut terminate, mut hang_up, mut interrupt]) = signals
        .map(signal)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| ())
        .and_then(|signals| <[_; 3]>::try_from(signals).map_err(|_| ()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(not(unix))]
async fn told_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
