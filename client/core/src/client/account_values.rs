//! What the values of the account log mean on this device: read positions, drafts, settings, and
//! contacts whose safety number was compared.
//!
//! Read positions and drafts live in the conversation's row; settings and contacts in rows of the
//! account values under their own names, since the log may not have them yet. Drafts of two devices
//! stand beside each other: an empty composer shows that of the other device and follows it. Whoever
//! goes on writing there takes the draft over: it is dropped under the other device's name, which
//! clears it there unless it was written on meanwhile.

use bytes::Bytes;
use tidings_model::{AccountId, ConversationId, Seq};
use tidings_protocol_account::{Draft as SharedDraft, Name, Purpose, Settings, Value};
use tidings_protocol_content::Reference;
use tidings_protocol_mls::DeviceList;

use crate::command::CommandId;
use crate::database::{Database, DatabaseError, Draft, DraftPurpose, Write};
use crate::event::Outcome;

use super::Client;
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
            [Some(Name::ReadPosition(*conversation)), draft].into_iter().flatten()
        });
        let known = self.state.identity.known();
        let contacts = known.accounts().map(Name::VerifiedContact);
        of_conversations.chain([Name::Settings]).chain(contacts).collect()
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
                let settings = self.settings();
                (settings != Settings::default()).then_some(Value::Settings(settings))
            }
            Name::VerifiedContact(account) => self.verified_contact(database, account)?,
        })
    }

    fn verified_contact(
        &self,
        database: &dyn Database,
        account: AccountId,
    ) -> Result<Option<Value>, DatabaseError> {
        let kept = database.account_value(&Name::VerifiedContact(account).to_bytes())?;
        let kept = kept.and_then(|kept| Value::decode(&kept).ok());
        // A former identity's mark is nobody's. One of an identity that this device does not know yet
        // is kept until it does.
        let known = self.state.identity.known();
        let former: Vec<&DeviceList> = match known.identities(account).count() {
            0 => Vec::new(),
            identities => known.identities(account).take(identities - 1).collect(),
        };
        Ok(kept.filter(|value| match value {
            Value::VerifiedContact { founding_hash, .. } => {
                !former.iter().any(|list| list.founding_hash() == founding_hash)
            }
            _ => false,
        }))
    }

    /// What the account's devices do alike, as this one has it.
    pub(super) fn settings(&self) -> Settings {
        let hidden = self.state.account.as_ref().is_some_and(|row| row.hidden);
        Settings { hidden, no_read_receipts: self.state.no_read_receipts }
    }

    /// Keeps a value that has no other place on this device, and shares it.
    pub(super) fn keep_truth(&mut self, step: &mut Step<'_>, name: Name, value: Option<Value>) {
        write_truth(step, name, value.as_ref());
        self.share(step, name);
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
        self.keep_truth(step, Name::Settings, Some(Value::Settings(settings)));
    }

    /// Takes a value as it stands in the log now.
    pub(super) fn take_value(
        &mut self,
        step: &mut Step<'_>,
        key: Bytes,
        value: Value,
        is_own: bool,
    ) -> Result<(), DatabaseError> {
        let former = step.database.account_value(&key)?;
        step.write(Write::PutAccountValue { key, value: value.encode() });
        // What this device has changed meanwhile is put after it, and stands.
        let is_overtaken = self.is_to_be_shared(value.name());
        match value {
            Value::ReadPosition { conversation, log_epoch, seq } => {
                let of = self.state.conversations.get(&conversation);
                if of.and_then(|of| of.epoch()) == Some(log_epoch) {
                    self.set_read(step, conversation, seq)?;
                }
            }
            Value::Draft(draft) if !is_own => {
                let former = former.and_then(|former| Value::decode(&former).ok());
                self.take_draft(step, draft, former);
            }
            Value::Draft(_) => {}
            Value::Settings(settings) if !is_overtaken => self.take_settings(step, settings),
            Value::VerifiedContact { account, .. } if !is_overtaken => {
                write_truth(step, Name::VerifiedContact(account), Some(&value));
            }
            Value::Settings(_) | Value::VerifiedContact { .. } => {}
        }
        Ok(())
    }

    fn take_settings(&mut self, step: &mut Step<'_>, settings: Settings) {
        self.state.no_read_receipts = settings.no_read_receipts;
        write_truth(step, Name::Settings, Some(&Value::Settings(settings)));
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
        let Ok(former) = Value::decode(&former) else { return Ok(()) };
        let name = former.name();
        if is_own || self.is_to_be_shared(name) {
            return Ok(());
        }
        match former {
            Value::Draft(draft) => self.draft_dropped(step, &draft),
            Value::Settings(_) => self.take_settings(step, Settings::default()),
            Value::VerifiedContact { .. } => write_truth(step, name, None),
            Value::ReadPosition { .. } => {}
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

fn write_truth(step: &mut Step<'_>, name: Name, value: Option<&Value>) {
    let value = value.map_or_else(Bytes::new, Value::encode);
    step.write(Write::PutAccountValue { key: name.to_bytes().into(), value });
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
