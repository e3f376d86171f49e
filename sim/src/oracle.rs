//! Knows what everybody said, and watches what everybody reads.
//!
//! With every commit of a device: what it takes for a message was said by its sender, is readable, and
//! stands on this device once; marks do not go back. At rest: every device holds the server's log in its
//! order, without a gap that nobody decided; what was said is in it, once, in the order in which it was
//! said; the server has not seen the words of a sealed conversation.

mod rest;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use tidings_client_core::database::{EntryRole, EntryRow, MemberRow, Write};
use tidings_client_core::{ChangeSet, Database as _, Notice};
use tidings_model::{AccountId, ConversationId, EntryKind, GroupEpoch, MessageId, Seq};
use tidings_protocol_app::decode_client_frame;
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_content::{Body as ContentBody, Content, wire};
use tidings_protocol_mls::header::MessageHeader;

use crate::database::MemoryDatabase;
use crate::device::Device;

/// What must never happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

/// What a world has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages that were said.
    pub messages: usize,
    /// Messages of others that devices have read.
    pub read: usize,
    /// Messages that a device could not read although it was in the group.
    pub undecryptable: u64,
    /// Messages that a device got from a time when it was not in the group.
    pub missed: usize,
    /// Commits in all logs.
    pub commits: usize,
    /// Messages that were sealed again because their epoch was over.
    pub resealed: usize,
    /// Messages that were refused for good.
    pub failed: usize,
    /// Programs that died.
    pub crashes: usize,
    /// Of these, with the power.
    pub power_losses: usize,
    /// Times that the server died.
    pub server_crashes: usize,
    /// Devices whose groups were lost.
    pub states_lost: usize,
    /// Devices that were put back to an old copy.
    pub restores: usize,
    /// Times that the server was put back to a backup.
    pub server_restores: usize,
}

impl Tally {
    /// What two worlds have seen together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            read: self.read + other.read,
            undecryptable: self.undecryptable + other.undecryptable,
            missed: self.missed + other.missed,
            commits: self.commits + other.commits,
            resealed: self.resealed + other.resealed,
            failed: self.failed + other.failed,
            crashes: self.crashes + other.crashes,
            power_losses: self.power_losses + other.power_losses,
            server_crashes: self.server_crashes + other.server_crashes,
            states_lost: self.states_lost + other.states_lost,
            restores: self.restores + other.restores,
            server_restores: self.server_restores + other.server_restores,
        }
    }
}

/// What somebody said.
#[derive(Debug, Clone)]
struct Said {
    device: String,
    account: Option<AccountId>,
    conversation: ConversationId,
    text: String,
    /// Its place among all that was said.
    number: usize,
    /// Whether it got into the device's database.
    is_kept: bool,
    /// The device was put back to a copy that does not know it: it may be in the log all the same.
    is_taken_back: bool,
    /// The device was put back to a copy in which it still waits: what had been refused is sent again,
    /// behind what was said later.
    may_be_late: bool,
}

/// The oracle.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) tally: Tally,
    /// What devices count as unreadable or lost is no violation any more.
    pub(crate) was_server_hostile: bool,
    said: BTreeMap<MessageId, Said>,
    /// The bytes under which a message was handed over in an epoch.
    handed_over: BTreeMap<(MessageId, GroupEpoch), Bytes>,
    /// From where on a device must be able to read everything: it was inside when the world was at rest.
    standing: BTreeMap<(String, ConversationId), Seq>,
    /// The same, when the server was backed up.
    standing_in_backup: BTreeMap<(String, ConversationId), Seq>,
}

impl Violation {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a promise is broken: {}", self.0)
    }
}

impl Oracle {
    /// Somebody is about to say something.
    pub(crate) fn note_saying(
        &mut self,
        device: &Device,
        conversation: ConversationId,
        message_id: MessageId,
        text: &str,
    ) {
        let said = Said {
            device: device.name.clone(),
            account: device.account(),
            conversation,
            text: text.to_owned(),
            number: self.said.len(),
            is_kept: false,
            is_taken_back: false,
            may_be_late: false,
        };
        self.said.insert(message_id, said);
    }

    /// Whether it got into the device's database; from then on it must not be lost.
    pub(crate) fn note_said(&mut self, device: &Device, message_id: MessageId) -> bool {
        let is_kept = device.database.outbox_rows().any(|row| row.message_id == message_id);
        if is_kept && let Some(said) = self.said.get_mut(&message_id) {
            said.is_kept = true;
            self.tally.messages += 1;
        }
        is_kept
    }

    /// A device's groups are gone.
    pub(crate) fn note_state_lost(&mut self, device: &Device) {
        self.tally.states_lost += 1;
        self.standing.retain(|(name, _), _| *name != device.name);
    }

    /// A device is put back to a copy, which does not know what was said after it.
    pub(crate) fn note_restored(&mut self, device: &Device, copy: &MemoryDatabase) {
        self.tally.restores += 1;
        self.standing.retain(|(name, _), _| *name != device.name);
        let in_copy: BTreeSet<MessageId> = copy.outbox_rows().map(|row| row.message_id).collect();
        for (id, said) in &mut self.said {
            said.may_be_late |= in_copy.contains(id);
        }
        for row in device.database.outbox_rows() {
            if let Some(said) = self.said.get_mut(&row.message_id)
                && !in_copy.contains(&row.message_id)
            {
                said.is_taken_back = true;
            }
        }
    }

    /// The server is backed up: who stands inside now has stood inside in what will be restored.
    pub(crate) fn note_backed_up(&mut self, devices: &[Device]) {
        self.standing_in_backup = self.standing.clone();
        self.standing_in_backup.retain(|(name, _), _| devices.iter().any(|of| of.name == *name));
    }

    /// The server was put back to its backup: what it had accepted since then may stand elsewhere.
    pub(crate) fn note_server_restored(&mut self, devices: &mut [Device]) {
        self.tally.server_restores += 1;
        self.standing = std::mem::take(&mut self.standing_in_backup);
        // What stood in the log and is lost is sealed again, in the same epoch or another one.
        self.handed_over.clear();
        for device in devices {
            device.outcomes.clear();
        }
    }

    /// Nothing promises any more that a message is in the log.
    pub(crate) fn note_taken_back(&mut self, message: MessageId) {
        if let Some(said) = self.said.get_mut(&message) {
            said.is_taken_back = true;
        }
    }

    /// A device hands a frame over: while a message stays in its epoch, its bytes stay the same.
    pub(crate) fn check_handed_over(&mut self, frame: &Bytes) -> Result<(), Violation> {
        let Ok(frame) = decode_client_frame(frame.clone()) else {
            return Err(Violation::new("a client sends bytes that are no frame"));
        };
        let Some(Body::Send(send)) = frame.body else { return Ok(()) };
        let Ok(header) = MessageHeader::parse(&send.payload) else { return Ok(()) };
        let made_in = GroupEpoch { generation: header.group.generation, epoch: header.epoch };
        let key = (header.message_id, made_in);
        if let Some(first) = self.handed_over.get(&key) {
            if *first != send.payload {
                let text = format!("{} was sealed twice in {made_in:?}", header.message_id);
                return Err(Violation::new(text));
            }
            return Ok(());
        }
        if self.handed_over.range(epochs_of(header.message_id)).next().is_some() {
            self.tally.resealed += 1;
        }
        self.handed_over.insert(key, send.payload);
        Ok(())
    }

    /// A device is about to commit something.
    pub(crate) fn check_changes(
        &mut self,
        device: &Device,
        changes: &ChangeSet,
    ) -> Result<(), Violation> {
        let mut rewound = BTreeSet::new();
        for write in &changes.writes {
            match write {
                Write::Rewind { conversation, .. } => {
                    rewound.insert(*conversation);
                }
                Write::PutEntry(row) if !row.detached => {
                    self.check_entry(device, row, rewound.contains(&row.conversation))?;
                }
                Write::PutMember(conversation, row) if !rewound.contains(conversation) => {
                    check_marks(device, *conversation, row)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What a device tells and counts itself.
    pub(crate) fn check_told(&mut self, device: &Device) -> Result<(), Violation> {
        let Some(client) = &device.client else { return Ok(()) };
        let undecryptable = client.sealed_counts().undecryptable;
        if self.was_server_hostile {
            self.tally.undecryptable = self.tally.undecryptable.max(undecryptable);
            return Ok(());
        }
        if undecryptable > 0 {
            let rows = device.database.unreadable_in_words();
            let text = format!("{} cannot read {undecryptable} messages: {rows:?}", device.name);
            return Err(Violation::new(text));
        }
        let loses_keys = |notice: &Notice| matches!(notice, Notice::KeysLost { .. });
        if !device.is_damaged && device.notices.iter().any(loses_keys) {
            let text = format!("{} lost its keys, and nothing was done to it", device.name);
            return Err(Violation::new(text));
        }
        Ok(())
    }

    fn check_entry(
        &mut self,
        device: &Device,
        row: &EntryRow,
        is_rewound: bool,
    ) -> Result<(), Violation> {
        let name = &device.name;
        let (conversation, entry) = (row.conversation, &row.entry);
        let at = format!("entry {} of {conversation}", entry.seq.get());
        if let Some(held) = device.database.entry(conversation, entry.seq)
            && held.entry.message_id != entry.message_id
            && !is_rewound
        {
            return Err(Violation::new(format!("{at} changed on {name}")));
        }
        // Edits, reactions, deletions and new names of a group are nothing that was said.
        let is_other = matches!(row.role, EntryRole::Annotation { .. } | EntryRole::Event);
        if entry.kind != EntryKind::Message || entry.erased || is_other {
            return Ok(());
        }
        if row.role == EntryRole::Unreadable {
            self.tally.missed += 1;
            return Ok(());
        }
        let held = device.database.message(conversation, row.reference()).ok().flatten();
        if held.is_some_and(|held| !held.detached && held.entry.seq != entry.seq) && !is_rewound {
            return Err(Violation::new(format!("{at} is on {name} already")));
        }
        let content = Content::decode(entry.payload.clone(), entry.message_id).ok();
        // What an app tells a conversation by itself, nobody said.
        if content.as_ref().is_some_and(is_system) {
            return Ok(());
        }
        let text = content.as_ref().map(Content::display_text);
        let is_said = self.said.get(&entry.message_id).is_some_and(|said| {
            said.conversation == conversation
                && said.account == Some(entry.account)
                && Some(&said.text) == text.as_ref()
        });
        if !is_said {
            return Err(Violation::new(format!("{at} on {name} says what nobody said: {text:?}")));
        }
        if device.account() != Some(entry.account) {
            self.tally.read += 1;
        }
        Ok(())
    }
}

fn is_system(content: &Content) -> bool {
    let system = |body: &wire::content::Body| matches!(body, wire::content::Body::System(_));
    matches!(&content.body, ContentBody::Other { body: Some(body), .. } if system(body))
}

fn epochs_of(message: MessageId) -> std::ops::RangeInclusive<(MessageId, GroupEpoch)> {
    let last = GroupEpoch { generation: u32::MAX, epoch: u64::MAX };
    (message, GroupEpoch { generation: 0, epoch: 0 })..=(message, last)
}

/// Marks of others do not go back while a program runs.
fn check_marks(
    device: &Device,
    conversation: ConversationId,
    row: &MemberRow,
) -> Result<(), Violation> {
    let Some(held) = device.database.member(conversation, row.account) else { return Ok(()) };
    let goes_back = row.delivered < held.delivered || row.read < held.read;
    if goes_back && row.role.is_some() && held.role.is_some() {
        let text = format!("marks go back on {}: {held:?} to {row:?}", device.name);
        return Err(Violation::new(text));
    }
    Ok(())
}
