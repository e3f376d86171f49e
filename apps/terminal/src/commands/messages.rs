//! Sending, changing and taking back messages, and what waits to be sent.

use std::collections::VecDeque;

use tidings_client_core::database::{Draft, DraftPurpose, OutboxRow};
use tidings_client_core::{Change, Command, OutboxAct, Send};
use tidings_model::ConversationId;
use tidings_protocol_content::{Body, Content};
use tokio::time::Instant;

use super::{deliver, report};
use crate::arguments::{self, ConversationAndMessage, UnsentAct};
use crate::failure::{Exit, Failure};
use crate::naming::{self, Candidate, MESSAGE, MESSAGE_ID_SHOWN};
use crate::record::{DONE, UnsentRecord};
use crate::session::{Pending, Session};
use crate::target::Whose;
use crate::{text, visible};

/// Lines that are handed over before the answer to the first of them is waited for.
const PENDING_MAX: usize = 256;

pub(super) async fn send(
    session: &mut Session,
    arguments: arguments::Send,
) -> Result<Exit, Failure> {
    if arguments.lines {
        if arguments.text.as_deref().is_some_and(|text| text != "-") {
            return Err(Failure::usage("--lines reads standard input: leave the text out"));
        }
        return send_lines(session, &arguments.conversation).await;
    }
    let text = text::whole(arguments.text.as_deref())?;
    session.connect().await?;
    let conversation = session.conversation_or_new(&arguments.conversation).await?;
    let reply_to = match &arguments.reply_to {
        Some(wanted) => Some(session.message(conversation, wanted, Whose::Anybodys).await?),
        None => None,
    };
    let send = Send { conversation, message_id: None, text: text.clone(), reply_to };
    match session.queue(Command::Send(send)).await {
        Ok(pending) => deliver(session, pending).await,
        Err(failure) if failure.exit == Exit::NotSignedIn => {
            Err(keep_as_draft(session, conversation, text, failure).await)
        }
        Err(failure) => Err(failure),
    }
}

/// Keeps what was typed when this device may not send any more.
async fn keep_as_draft(
    session: &mut Session,
    conversation: ConversationId,
    text: String,
    failure: Failure,
) -> Failure {
    let draft = Draft { text, purpose: DraftPurpose::Message };
    match session.ask(Command::SetDraft { conversation, draft }).await {
        Ok(_) => Failure {
            message: format!("{}; what you wrote is kept as a draft", failure.message),
            ..failure
        },
        Err(_) => failure,
    }
}

/// Sends each line of standard input, as they come. One that is refused does not stop the others.
async fn send_lines(session: &mut Session, wanted: &str) -> Result<Exit, Failure> {
    session.connect().await?;
    let conversation = session.conversation_or_new(wanted).await?;
    let mut lines = text::lines();
    let mut pending = VecDeque::new();
    let mut exit = Exit::Done;
    while let Some(line) = lines.recv().await {
        match queue_line(session, conversation, line?).await {
            Ok(queued) => pending.push_back(queued),
            Err(failure) => exit = worse(exit, complain(session, &failure)),
        }
        if pending.len() >= PENDING_MAX
            && let Some(oldest) = pending.pop_front()
        {
            let deadline = session.deadline();
            exit = worse(exit, finish(session, oldest, deadline).await?);
        }
    }
    let deadline = session.deadline();
    for queued in pending {
        exit = worse(exit, finish(session, queued, deadline).await?);
    }
    Ok(exit)
}

async fn queue_line(
    session: &mut Session,
    conversation: ConversationId,
    text: String,
) -> Result<Pending, Failure> {
    let send = Send { conversation, message_id: None, text, reply_to: None };
    session.queue(Command::Send(send)).await
}

async fn finish(
    session: &mut Session,
    pending: Pending,
    deadline: Instant,
) -> Result<Exit, Failure> {
    match session.wait_for(pending, deadline).await {
        Ok(delivery) => report(session, &delivery).await,
        Err(failure) => Ok(complain(session, &failure)),
    }
}

fn complain(session: &Session, failure: &Failure) -> Exit {
    failure.tell(session.output.json);
    failure.exit
}

/// Of two ends the one that says more: anything before *done*, a failure before *queued*.
fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Done, other) => other,
        (Exit::Queued, other) if other != Exit::Done => other,
        (one, _) => one,
    }
}

pub(super) async fn edit(
    session: &mut Session,
    arguments: arguments::Edit,
) -> Result<Exit, Failure> {
    let text = text::whole(arguments.text.as_deref())?;
    session.catch_up_or_note().await?;
    let conversation = session.conversation(&arguments.target.conversation).await?.conversation;
    let target = session.message(conversation, &arguments.target.message, Whose::Own).await?;
    let pending = session.queue(Command::Edit { conversation, target, text }).await?;
    deliver(session, pending).await
}

pub(super) async fn delete(
    session: &mut Session,
    arguments: ConversationAndMessage,
) -> Result<Exit, Failure> {
    session.catch_up_or_note().await?;
    let conversation = session.conversation(&arguments.conversation).await?.conversation;
    // `last` is one's own; owner and admins may take back others' by their id.
    let whose = if arguments.message == "last" { Whose::Own } else { Whose::Anybodys };
    let target = session.message(conversation, &arguments.message, whose).await?;
    let pending = session.queue(Command::Delete { conversation, target }).await?;
    deliver(session, pending).await
}

pub(super) async fn react(
    session: &mut Session,
    arguments: arguments::React,
) -> Result<Exit, Failure> {
    session.catch_up_or_note().await?;
    let conversation = session.conversation(&arguments.target.conversation).await?.conversation;
    let target = session.message(conversation, &arguments.target.message, Whose::Anybodys).await?;
    let emoji = arguments.emoji.unwrap_or_default();
    let pending = session.queue(Command::React { conversation, target, emoji }).await?;
    deliver(session, pending).await
}

/// Connects until nothing waits any more, or the time is over.
pub(super) async fn sync(session: &mut Session) -> Result<Exit, Failure> {
    let caught_up = session.catch_up().await?;
    let all_sent = caught_up && session.wait_until_sent().await?;
    if all_sent {
        session.output.people(["up to date"])?;
        session.output.programs(&DONE)?;
        return Ok(Exit::Done);
    }
    let waiting = waiting(&session.outbox().await?).count();
    let words = match (caught_up, waiting) {
        (false, 0) => format!("{}: nothing waits to be sent", session.no_connection().await?),
        (false, count) => format!("{}: {count} wait to be sent", session.no_connection().await?),
        (true, count) => match &session.mirror.outbox_held {
            Some(reason) => format!("{reason}: {count} wait to be sent"),
            None => format!("{count} are not sent yet: try again, or with a longer --timeout"),
        },
    };
    let exit = if waiting > 0 { session.exit_of_queued() } else { Exit::NoConnection };
    Err(Failure::new(exit, "NOT_SYNCED", words))
}

fn waiting(outbox: &[OutboxRow]) -> impl Iterator<Item = &OutboxRow> {
    outbox.iter().filter(|row| row.failure.is_none())
}

pub(super) async fn unsent(session: &mut Session, act: Option<UnsentAct>) -> Result<Exit, Failure> {
    let outbox = session.outbox().await?;
    match act {
        None => {
            list_unsent(session, &outbox)?;
            Ok(Exit::Done)
        }
        Some(UnsentAct::Retry) => retry(session, outbox).await,
        Some(UnsentAct::Discard { id }) => {
            let refused = outbox.iter().filter(|row| row.failure.is_some());
            let candidates = refused
                .map(|row| Candidate {
                    item: row.message_id,
                    id: row.message_id.to_string(),
                    names: Vec::new(),
                    description: words(row),
                })
                .collect();
            let message_id = naming::resolve(MESSAGE, &id, candidates)?;
            session.ask(Command::Discard { message_id }).await?;
            session.output.people(["dropped"])?;
            session.output.programs(&DONE)?;
            Ok(Exit::Done)
        }
    }
}

fn list_unsent(session: &Session, outbox: &[OutboxRow]) -> Result<(), Failure> {
    let output = &session.output;
    for row in outbox {
        let id = row.message_id.to_string();
        let reason = row.failure.as_ref().map(|failure| failure.message.clone());
        let state = match &reason {
            Some(reason) => format!("! not sent: {}", visible::one_line(reason)),
            None => "◷ waiting".to_owned(),
        };
        output.people([format!(
            "{}  {}  {}  {state}",
            naming::short(&id, MESSAGE_ID_SHOWN),
            output.clock.day_and_time(row.time),
            visible::one_line(&visible::cut(&words(row), 40)),
        )])?;
        output.programs(&UnsentRecord {
            r#type: "unsent",
            conversation: row.conversation.to_string(),
            id,
            time: row.time.as_millis(),
            state: if reason.is_some() { "refused" } else { "waiting" },
            what: words(row),
            reason,
        })?;
    }
    Ok(())
}

async fn retry(session: &mut Session, outbox: Vec<OutboxRow>) -> Result<Exit, Failure> {
    session.connect().await?;
    let deadline = session.deadline();
    let mut exit = Exit::Done;
    for row in outbox.into_iter().filter(|row| row.failure.is_some()) {
        let retried = session.queue(Command::Retry { message_id: row.message_id }).await?;
        exit = worse(exit, finish(session, retried, deadline).await?);
    }
    Ok(exit)
}

/// What a row of the outbox is, in words.
fn words(row: &OutboxRow) -> String {
    match &row.act {
        OutboxAct::Create { .. } => "new conversation".to_owned(),
        OutboxAct::Erase { .. } => "erase a deleted message".to_owned(),
        OutboxAct::Restart { .. } => "make the keys anew".to_owned(),
        OutboxAct::Change(change) => match change {
            Change::Add(people) => format!("add {} people", people.len()),
            Change::Remove(_) => "remove a member".to_owned(),
            Change::Leave => "leave".to_owned(),
            Change::Rename(name) => format!("rename to “{name}”"),
            Change::SetRole(..) => "change a role".to_owned(),
        },
        OutboxAct::Send { content } => match Content::decode(content.clone(), row.message_id) {
            Ok(content) => match &content.body {
                Body::Edit { text, .. } => format!("new text: {}", text.text),
                Body::Deletion { .. } => "delete a message".to_owned(),
                Body::Reaction { emoji, .. } => format!("reaction {emoji}"),
                _ => content.display_text(),
            },
            Err(_) => "a message".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_end_of_several_is_told() {
        assert_eq!(worse(Exit::Done, Exit::Queued), Exit::Queued);
        assert_eq!(worse(Exit::Queued, Exit::Done), Exit::Queued);
        assert_eq!(worse(Exit::Queued, Exit::Refused), Exit::Refused);
        assert_eq!(worse(Exit::Refused, Exit::Queued), Exit::Refused);
    }
}
