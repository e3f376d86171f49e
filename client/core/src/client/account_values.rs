//! What the values of the account log mean on this device: read positions, drafts, settings, contacts
//! whose safety number was compared, and how far the recovery backup is.
//!
//! Read positions and drafts live in the conversation's row; settings and contacts in rows of the
//! account values under their own names, since the log may not have them yet. Drafts of two devices
//! stand beside each other: an empty composer shows that of the other device and follows it. Whoever
//! goes on writing there takes the draft over: it is dropped under the other device's name, which
//! clears it there unless it was written on meanwhile.

use bytes::Bytes;
use tidings_model::{ConversationId, Seq};
use tidings_protocol_account::{Draft as SharedDraft, Name, Purpose, Settings, Value};
use tidings_protocol_content::Reference;

use crate::command::CommandId;
use crate::database::{Database, DatabaseError, Draft, DraftPurpose, Write};
use crate::event::Outcome;

use super::Client;
use super::state::State;
use super::step::Step;

/// Reads the settings that the device has kept.
pub(super) fn read_settings(database: &dyn Database) -> Result<Settings, DatabaseError> {
    let kept = database.account_value(&Name::Settings.to_bytes())?;
    Ok(match kept.map(|kept| Value::decode(&kept)) {
        Some(Ok(Value::Settings(settings))) => settings,
        _ => Settings::default(),
    })
}

impl Client {
    /// The names of what this device has to say.
    pub(super) fn own_names(&self) -> Vec<Name> {
        let device = self.own_device().map(|own| own.device);
        let conversations = self.state.conversations.keys();
        let of_conversations = conversations.flat_map(|conversation| {
            let draft = device.map(|device| Name::Draft(*conversation, device));
            let backed_up = Some(Name::BackedUp(*conversation));
            [Some(Name::ReadPosition(*conversation)), draft, backed_up].into_iter().flatten()
        });
        let known = self.state.identity.known();
        let contacts = known.accounts().map(Name::VerifiedContact);
        of_conversations.chain([Name::Settings, Name::BackupKeys]).chain(contacts).collect()
    }

    /// The names of all that can stand in the log.
    pub(super) fn all_names(&self) -> Vec<Name> {
        let mut names = self.own_names();
        for device in self.sibling_devices() {
            let conversations = self.state.conversations.keys();
            names.extend(conversations.map(|conversation| Name::Draft(*conversation, device)));
        }
        names
    }

    /// What this device holds to be true; `None`: nothing that others need.
    pub(super) fn truth(
        &self,
        database: &dyn Database,
        name: Name,
    ) -> Result<Option<Value>, DatabaseError> {
        Ok(match name {
            Name::ReadPosition(conversation) => {
                let of = self.state.conversations.get(&conversation);
                of.filter(|of| of.row.read > Seq::ZERO).and_then(|of| {
                    let (log_epoch, seq) = (of.epoch()?, of.row.read);
                    Some(Value::ReadPosition { conversation, log_epoch, seq })
                })
            }
            Name::Draft(conversation, device) => {
                let own = self.own_device().filter(|own| own.device == device);
                let of = self.state.conversations.get(&conversation).filter(|_| own.is_some());
                let Some(of) = of.filter(|of| !of.row.draft.text.is_empty()) else {
                    return Ok(None);
                };
                // Another device's draft that is shown here is not this one's.
                let authors = self.authors_of(database, conversation, &of.row.draft)?;
                authors.is_empty().then(|| {
                    let Draft { text, purpose } = of.row.draft.clone();
                    let purpose = shared_purpose(purpose);
                    Value::Draft(SharedDraft { conversation, device, text, purpose })
                })
            }
            Name::Settings => {
                let kept = database.account_value(&name.to_bytes())?;
                kept.map(|_| Value::Settings(self.settings()))
            }
            Name::VerifiedContact(_) | Name::BackupKeys | Name::BackedUp(_) => {
                let kept = database.account_value(&name.to_bytes())?;
                kept.and_then(|kept| Value::decode(&kept).ok())
            }
        })
    }

    /// What the account's devices do alike, as this one has it.
    pub(super) fn settings(&self) -> Settings {
        let hidden = self.state.account.as_ref().is_some_and(|row| row.hidden);
        let State { no_read_receipts, no_backup, .. } = self.state;
        Settings { hidden, no_read_receipts, no_backup }
    }

    /// Keeps a value that has no other place on this device, and shares it.
    pub(super) fn keep_truth(&mut self, step: &mut Step<'_>, value: &Value) {
        write_truth(step, value);
        self.share(step, value.name());
    }

    /// Tells others what is read on the account's devices, or does not any more.
    pub(super) fn set_read_receipts(&mut self, step: &mut Step<'_>, id: CommandId, sent: bool) {
        self.state.no_read_receipts = !sent;
        self.settings_changed(step);
        step.must_sync();
        step.outcome(id, Outcome::Done);
    }

    /// Keeps and shares the settings.
    pub(super) fn settings_changed(&mut self, step: &mut Step<'_>) {
        let settings = self.settings();
        self.keep_truth(step, &Value::Settings(settings));
    }

    /// Takes a value as it stands in the log now.
    pub(super) fn take_value(
        &mut self,
        step: &mut Step<'_>,
        key: Bytes,
        value: Value,
        is_own: bool,
    ) -> Result<(), DatabaseError> {
        let former = step.database.account_value(&key)?.unwrap_or_default();
        step.write(Write::PutAccountValue { key, value: value.encode() });
        let is_overtaken = self.is_overtaken(step, &value, &former)?;
        match value {
            Value::ReadPosition { conversation, log_epoch, seq } => {
                let of = self.state.conversations.get(&conversation);
                if of.and_then(|of| of.epoch()) == Some(log_epoch) {
                    self.set_read(step, conversation, seq)?;
                }
            }
            Value::Draft(draft) if !is_own => {
                self.take_draft(step, draft, Value::decode(&former).ok());
            }
            Value::Draft(_) => {}
            Value::Settings(settings) if !is_overtaken => self.take_settings(step, settings),
            Value::VerifiedContact { .. } if !is_overtaken => write_truth(step, &value),
            Value::Settings(_) | Value::VerifiedContact { .. } => {}
            Value::BackupKeys(keys) => self.take_backup_keys(step, keys),
            Value::BackedUp(mark) if !is_overtaken => self.take_backed_up(step, mark),
            Value::BackedUp(_) => {}
        }
        Ok(())
    }

    /// Whether this device has changed a value and the log has not heard of it: that is put after what
    /// stands there, and stands.
    fn is_overtaken(
        &mut self,
        step: &Step<'_>,
        value: &Value,
        former: &Bytes,
    ) -> Result<bool, DatabaseError> {
        let name = value.name();
        if self.account_log.settled.remove(&name) {
            return Ok(false);
        }
        let own = self.truth(step.database, name)?;
        let own = own.as_ref().map_or_else(Bytes::new, Value::encode);
        Ok(own != former && own != value.encode())
    }

    fn take_settings(&mut self, step: &mut Step<'_>, settings: Settings) {
        self.state.no_read_receipts = settings.no_read_receipts;
        self.state.no_backup = settings.no_backup;
        write_truth(step, &Value::Settings(settings));
        self.set_presence(step, settings.hidden);
    }

    /// Shows another device's draft where nothing else is being written.
    fn take_draft(&mut self, step: &mut Step<'_>, draft: SharedDraft, former: Option<Value>) {
        let Some(of) = self.state.conversations.get_mut(&draft.conversation) else { return };
        let is_followed = match former {
            Some(Value::Draft(former)) => local(&former) == of.row.draft,
            _ => false,
        };
        if of.row.draft.text.is_empty() || is_followed {
            of.row.draft = local(&draft);
            of.write(step);
            step.composers.insert(draft.conversation);
        }
    }

    /// A key was dropped.
    pub(super) fn value_dropped(
        &mut self,
        step: &mut Step<'_>,
        key: Bytes,
        is_own: bool,
    ) -> Result<(), DatabaseError> {
        let Some(former) = step.database.account_value(&key)? else { return Ok(()) };
        step.write(Write::PutAccountValue { key, value: Bytes::new() });
        // Nothing else is ever taken back by being dropped.
        if let Ok(Value::Draft(draft)) = Value::decode(&former)
            && !is_own
        {
            self.draft_dropped(step, &draft);
        }
        Ok(())
    }

    /// A draft was sent, deleted or taken over on another device.
    fn draft_dropped(&mut self, step: &mut Step<'_>, draft: &SharedDraft) {
        let Some(of) = self.state.conversations.get_mut(&draft.conversation) else { return };
        if of.row.draft == local(draft) {
            of.row.draft = Draft::default();
            of.write(step);
            step.composers.insert(draft.conversation);
        }
    }

    /// The composer's draft is about to change: if it was another device's, it is this one's from now
    /// on.
    pub(super) fn draft_changes(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        let (Some(own), Some(of)) =
            (self.own_device(), self.state.conversations.get(&conversation))
        else {
            return Ok(());
        };
        let authors = self.authors_of(step.database, conversation, &of.row.draft)?;
        self.share(step, Name::Draft(conversation, own.device));
        for name in authors {
            self.share(step, name);
        }
        Ok(())
    }

    /// The names under which other devices have this draft.
    fn authors_of(
        &self,
        database: &dyn Database,
        conversation: ConversationId,
        draft: &Draft,
    ) -> Result<Vec<Name>, DatabaseError> {
        let mut authors = Vec::new();
        let key = self.storage_key().filter(|_| !draft.text.is_empty());
        let Some(key) = key else { return Ok(authors) };
        for device in self.sibling_devices() {
            let name = Name::Draft(conversation, device);
            let held = database.account_value(&key.key_of(name))?;
            if let Some(Ok(Value::Draft(held))) = held.map(|held| Value::decode(&held))
                && local(&held) == *draft
            {
                authors.push(name);
            }
        }
        Ok(authors)
    }
}

pub(super) fn write_truth(step: &mut Step<'_>, value: &Value) {
    let key = value.name().to_bytes().into();
    step.write(Write::PutAccountValue { key, value: value.encode() });
}

fn local(draft: &SharedDraft) -> Draft {
    let purpose = match draft.purpose {
        Purpose::Message => DraftPurpose::Message,
        Purpose::Reply(account, message_id) => {
            DraftPurpose::Reply(Reference { account, message_id })
        }
        Purpose::Edit(account, message_id) => DraftPurpose::Edit(Reference { account, message_id }),
    };
    Draft { text: draft.text.clone(), purpose }
}

fn shared_purpose(purpose: DraftPurpose) -> Purpose {
    match purpose {
        DraftPurpose::Message => Purpose::Message,
        DraftPurpose::Reply(to) => Purpose::Reply(to.account, to.message_id),
        DraftPurpose::Edit(of) => Purpose::Edit(of.account, of.message_id),
    }
}
