//! Reads the logs and the databases of a stage that was torn down, and gives them to the check.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anyhow::{Context, Result};
use tidings_model::{ConversationId, EntryKind, MessageId, Range, Seq};

use crate::check::{Log, Reader, Tally, compare};
use crate::membership::{Handshakes, Membership};
use crate::plan::{Line, Sealing};
use crate::record::{Message, Record, text_of};
use crate::server_log::{LogEntry, ServerLog};
use crate::stage::Stage;

/// Compares what every device has with what was said and with the server's logs.
///
/// # Errors
/// A database cannot be read, or a log cannot be followed.
pub(crate) fn judge(stage: &Stage) -> Result<(Tally, Handshakes)> {
    let server = ServerLog::open(&stage.data_folder())?;
    let lists = Arc::new(server.device_lists()?);
    let mut lines: BTreeMap<ConversationId, Vec<&Line>> = BTreeMap::new();
    for line in &stage.plan.lines {
        lines.entry(stage.conversations[line.sender]).or_default().push(line);
    }
    let (mut tally, mut handshakes) = (Tally::default(), Handshakes::default());
    for (conversation, lines) in lines {
        let entries = server.entries(conversation)?;
        let membership = match stage.starts.get(&conversation) {
            None => Membership::of_open(&entries),
            Some(start) => Membership::of_sealed(&entries, start, lists.clone())
                .with_context(|| format!("the log of {conversation}"))?,
        };
        handshakes += membership.handshakes();
        let log = log(&entries, stage.sealing);
        let readers = readers(stage, conversation, &membership)?;
        let of_conversation = compare(&lines, &stage.devices(), &log, &readers);
        if of_conversation.lost > 0 || of_conversation.undecryptable > 0 {
            name_what_is_missing(&lines, &log, &readers);
        }
        tally += of_conversation;
    }
    Ok((tally, handshakes))
}

/// Says for those who look for the reason which device lacks what.
fn name_what_is_missing(lines: &[&Line], log: &Log, readers: &[Reader]) {
    let said: HashSet<MessageId> = lines.iter().map(|line| line.message_id).collect();
    for reader in readers {
        let messages = log.messages.iter().filter(|message| said.contains(&message.message_id));
        let mut missing = reader.missing(messages.map(|message| (message.message_id, message.seq)));
        missing.sort_unstable();
        let undecryptable = &reader.record.undecryptable;
        if missing.is_empty() && undecryptable.is_empty() {
            continue;
        }
        let places = |places: &[Seq]| spans(places.iter().map(|seq| seq.get()));
        eprintln!(
            "replay: device {} of {} lacks {} and could not decrypt {}; it is to have {}",
            reader.device.device,
            reader.device.account,
            places(&missing),
            places(undecryptable),
            reader.readable.iter().map(words).collect::<Vec<_>>().join(", "),
        );
    }
}

fn words(range: &Range) -> String {
    let to = range.to.map(|to| to.get().to_string()).unwrap_or_default();
    format!("{}..{to}", range.from.get())
}

/// Places in words, neighbours together.
fn spans(places: impl Iterator<Item = u64>) -> String {
    let places: Vec<u64> = places.collect();
    let spans = places.chunk_by(|one, next| one + 1 == *next);
    let words: Vec<String> = spans
        .filter_map(|span| match span {
            [] => None,
            [one] => Some(one.to_string()),
            [first, .., last] => Some(format!("{first}-{last}")),
        })
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

fn log(entries: &[LogEntry], sealing: Sealing) -> Log {
    let messages = entries.iter().filter(|entry| entry.kind == EntryKind::Message);
    let message = |entry: &LogEntry| Message {
        seq: entry.seq,
        sender: entry.sender,
        message_id: entry.message_id,
        text: match sealing {
            Sealing::Open => text_of(&entry.payload, entry.message_id),
            Sealing::Sealed => None,
        },
    };
    Log { sealing, messages: messages.map(message).collect() }
}

/// The devices of a conversation with what they have of it.
fn readers(
    stage: &Stage,
    conversation: ConversationId,
    membership: &Membership,
) -> Result<Vec<Reader>> {
    let losses = stage.losses();
    let of_members = stage.devices().into_iter().enumerate();
    let of_members =
        of_members.filter(|(device, _)| stage.conversation_of(*device) == conversation);
    let of_members = of_members
        .filter_map(|(device, identity)| Some((identity?, stage.folder_of(device), true)));
    let owner = stage.owner_device.map(|identity| (identity, stage.folder_of_owner(), false));
    of_members
        .chain(owner)
        .map(|(device, folder, is_counted)| {
            Ok(Reader {
                device,
                record: Record::read(&folder, conversation)?,
                readable: membership.of_device(device, &losses),
                allowed: membership.of_account(device.account).to_vec(),
                is_counted,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_places_are_named_together() {
        assert_eq!(spans([1, 2, 3, 7, 9, 10].into_iter()), "1-3, 7, 9-10");
        assert_eq!(spans(std::iter::empty()), "nothing");
    }
}
