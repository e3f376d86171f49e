//! Reading a conversation and searching all of them.

use std::collections::HashMap;

use tidings_client_core::database::SearchHit;
use tidings_client_core::view::{Person, TimelineRow};
use tidings_client_core::{Command, Outcome};
use tidings_model::ConversationId;

use crate::arguments::{Read, Search};
use crate::failure::{Exit, Failure};
use crate::format::{Format, Ticks};
use crate::naming::{self, MESSAGE_ID_SHOWN};
use crate::output::Output;
use crate::people::{People, shown_name};
use crate::record::{EventRecord, HiddenRecord, HitRecord, MessageRecord, Novelty};
use crate::session::Session;
use crate::{target, visible};

pub(super) async fn read(session: &mut Session, arguments: Read) -> Result<Exit, Failure> {
    session.catch_up_or_note().await?;
    let row = session.conversation(&arguments.conversation).await?;
    session.note_sealing(&row).await?;
    session.open_timeline(row.conversation, arguments.last).await?;
    let people = session.people().await?;
    let rows = session.mirror.timeline(row.conversation);
    let rows = &rows[rows.len().saturating_sub(arguments.last)..];
    print_rows(&session.output, &people, row.conversation, rows)?;
    if let Some(cursor) = row.cursor.filter(|_| !arguments.keep_unread) {
        let command = Command::MarkRead { conversation: row.conversation, up_to: cursor.seq };
        // A device that was signed out still reads, and tells nobody.
        let _ = session.ask(command).await;
    }
    Ok(Exit::Done)
}

/// Prints rows of a timeline with a line between two days.
fn print_rows(
    output: &Output,
    people: &People,
    conversation: ConversationId,
    rows: &[TimelineRow],
) -> Result<(), Failure> {
    let format = Format { output, people, ticks: Ticks::Shown };
    let mut day = None;
    for row in rows {
        if let Some(time) = row.time()
            && day.replace(output.clock.day(time)) != Some(output.clock.day(time))
        {
            output.people([format.day(time)])?;
        }
        print_row(&format, conversation, row, None)?;
    }
    Ok(())
}

/// Prints a row that is new to the reader.
pub(super) fn print_row(
    format: &Format<'_>,
    conversation: ConversationId,
    row: &TimelineRow,
    place: Option<&str>,
) -> Result<(), Failure> {
    format.output.people(format.row(row, place))?;
    record_row(format, conversation, row)
}

/// Tells programs of a row that is new to the reader.
pub(crate) fn record_row(
    format: &Format<'_>,
    conversation: ConversationId,
    row: &TimelineRow,
) -> Result<(), Failure> {
    let output = format.output;
    match row {
        TimelineRow::Message(message) => {
            let people = format.people;
            output.programs(&MessageRecord::new(conversation, message, Novelty::New, people))?;
        }
        TimelineRow::Event(line) => {
            for record in EventRecord::all(conversation, line, format.people) {
                output.programs(&record)?;
            }
        }
        TimelineRow::Gap(hidden) => output.programs(&HiddenRecord::new(conversation, hidden))?,
    }
    Ok(())
}

pub(super) async fn search(session: &mut Session, arguments: Search) -> Result<Exit, Failure> {
    let query = arguments.words.join(" ");
    let Outcome::Found(mut hits) = session.ask(Command::Search { query }).await? else {
        return Ok(Exit::Done);
    };
    hits.truncate(arguments.limit);
    let people = session.people().await?;
    let titles: HashMap<ConversationId, String> = session
        .conversations()
        .await?
        .iter()
        .map(|row| (row.conversation, target::marked_title(row, &people)))
        .collect();
    for hit in &hits {
        let title = titles.get(&hit.conversation).map_or("", String::as_str);
        print_hit(&session.output, &people, title, hit)?;
    }
    if hits.is_empty() {
        session.output.note("nothing found: search looks for messages that hold all the words");
    }
    Ok(Exit::Done)
}

fn print_hit(
    output: &Output,
    people: &People,
    title: &str,
    hit: &SearchHit,
) -> Result<(), Failure> {
    let account = hit.message.account;
    let name = people
        .profile(account)
        .map_or_else(|| account.to_string(), |profile| shown_name(profile).to_owned());
    let id = hit.message.message_id.to_string();
    let line = format!(
        "{} {} [{}] {}: {}",
        output.clock.day_and_time(hit.time),
        naming::short(&id, MESSAGE_ID_SHOWN),
        visible::one_line(title),
        if people.is_me(account) { "you".into() } else { visible::one_line(&name) },
        visible::one_line(&hit.text.replace('\n', " ⏎ ")),
    );
    output.people([match output.columns {
        Some(columns) => visible::cut(&line, columns).into_owned(),
        None => line,
    }])?;
    output.programs(&HitRecord {
        r#type: "hit",
        conversation: hit.conversation.to_string(),
        id,
        seq: hit.seq.get(),
        time: hit.time.as_millis(),
        from: people.record(&Person { account, name }),
        text: hit.text.clone(),
    })?;
    Ok(())
}
