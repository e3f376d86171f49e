//! The fields of frames as the model's types, and back.
//!
//! What the schema cannot say is checked here: lengths of identifiers, bounds of seqs, known numbers.
//! An error names the field by its name in the schema. A server answers it with
//! `Refusal::InvalidField`; an app that gets such a frame from a server closes the connection.

use bytes::Bytes;
use tidings_model::entry::COUNTER_BOUND;
use tidings_model::{
    Checksum, ConversationId, ConversationKind, Cursor, Entry, EntryKind, Hidden, HiddenReason,
    IdError, LogEpoch, Range, Refusal, Role, Seq, Timestamp,
};

use crate::wire;

/// A field of a frame that has no valid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field {field} {problem}")]
pub struct FieldError {
    /// Its name in the schema.
    pub field: &'static str,
    /// What is wrong with it, as the end of a sentence.
    pub problem: &'static str,
}

impl From<FieldError> for Refusal {
    fn from(error: FieldError) -> Self {
        Self::InvalidField { field: error.field, problem: error.problem }
    }
}

const NO_ID: &str = "is not an identifier of 16 bytes";
const NO_SEQ: &str = "is not below 2^53";
const NO_EPOCH: &str = "is not between 1 and 2^53";
const NO_NUMBER: &str = "has a number that this version does not know";
const MISSING: &str = "is missing";

/// Reads an identifier.
///
/// # Errors
/// Bytes of another length than 16.
pub fn id<I>(field: &'static str, bytes: &[u8]) -> Result<I, FieldError>
where
    I: for<'a> TryFrom<&'a [u8], Error = IdError>,
{
    I::try_from(bytes).map_err(|_| FieldError { field, problem: NO_ID })
}

/// Reads an identifier that may be left out.
///
/// # Errors
/// Bytes of another length than 0 and 16.
pub fn optional_id<I>(field: &'static str, bytes: &[u8]) -> Result<Option<I>, FieldError>
where
    I: for<'a> TryFrom<&'a [u8], Error = IdError>,
{
    if bytes.is_empty() { Ok(None) } else { id(field, bytes).map(Some) }
}

/// Reads a list of identifiers.
///
/// # Errors
/// The first of another length than 16.
pub fn ids<I>(field: &'static str, list: &[Bytes]) -> Result<Vec<I>, FieldError>
where
    I: for<'a> TryFrom<&'a [u8], Error = IdError>,
{
    list.iter().map(|bytes| id(field, bytes)).collect()
}

/// Writes an identifier, given its bytes.
pub fn id_bytes(bytes: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// Reads a place in a log.
///
/// # Errors
/// 2^53 and above.
pub fn seq(field: &'static str, number: u64) -> Result<Seq, FieldError> {
    Seq::new(number).ok_or(FieldError { field, problem: NO_SEQ })
}

pub(crate) fn epoch(field: &'static str, number: u64) -> Result<LogEpoch, FieldError> {
    LogEpoch::new(number).ok_or(FieldError { field, problem: NO_EPOCH })
}

/// Reads a place in an inbox or an account log.
pub(crate) fn counter(field: &'static str, number: u64) -> Result<u64, FieldError> {
    if number < COUNTER_BOUND { Ok(number) } else { Err(FieldError { field, problem: NO_SEQ }) }
}

/// How far a device has read one conversation, as a resume carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationCursor {
    /// The conversation.
    pub conversation: ConversationId,
    /// How far.
    pub cursor: Cursor,
    /// The roster version that the device knows.
    pub roster_version: u64,
}

impl From<&ConversationCursor> for wire::Cursor {
    fn from(of: &ConversationCursor) -> Self {
        Self {
            conversation: id_bytes(of.conversation.as_bytes()),
            log_epoch: of.cursor.epoch.get(),
            seq: of.cursor.seq.get(),
            checksum: of.cursor.checksum.map_or(0, |checksum| checksum.0),
            roster_version: of.roster_version,
        }
    }
}

impl TryFrom<&wire::Cursor> for ConversationCursor {
    type Error = FieldError;

    fn try_from(of: &wire::Cursor) -> Result<Self, FieldError> {
        let seq = seq("cursors.seq", of.seq)?;
        Ok(Self {
            conversation: id("cursors.conversation", &of.conversation)?,
            cursor: Cursor {
                epoch: epoch("cursors.log_epoch", of.log_epoch)?,
                seq,
                checksum: (seq > Seq::ZERO).then_some(Checksum(of.checksum)),
            },
            roster_version: of.roster_version,
        })
    }
}

impl wire::Fetch {
    /// The cursor to read after; `None` for a first read, which takes whatever epoch there is.
    ///
    /// # Errors
    /// A seq or an epoch out of bounds.
    pub fn cursor(&self) -> Result<Option<Cursor>, FieldError> {
        let seq = seq("after", self.after)?;
        if self.log_epoch == 0 {
            return match seq {
                Seq::ZERO => Ok(None),
                _ => Err(FieldError { field: "log_epoch", problem: MISSING }),
            };
        }
        Ok(Some(Cursor {
            epoch: epoch("log_epoch", self.log_epoch)?,
            seq,
            checksum: (self.checksum != 0).then_some(Checksum(self.checksum)),
        }))
    }
}

impl From<&Entry> for wire::Entry {
    fn from(entry: &Entry) -> Self {
        Self {
            seq: entry.seq.get(),
            account: id_bytes(entry.account.as_bytes()),
            device: id_bytes(entry.device.as_bytes()),
            message_id: id_bytes(entry.message_id.as_bytes()),
            time: entry.time.as_millis(),
            kind: match entry.kind {
                EntryKind::Message => wire::EntryKind::Message,
                EntryKind::Event => wire::EntryKind::Event,
                EntryKind::Commit => wire::EntryKind::Commit,
                EntryKind::Leave => wire::EntryKind::Leave,
            } as i32,
            payload: if entry.erased { Bytes::new() } else { entry.payload.clone() },
            checksum: entry.checksum.0,
            expires_after_ms: entry.expires_after_ms.unwrap_or(0),
            erased: entry.erased,
            client_time: entry.client_time.map_or(0, Timestamp::as_millis),
        }
    }
}

impl TryFrom<wire::Entry> for Entry {
    type Error = FieldError;

    fn try_from(entry: wire::Entry) -> Result<Self, FieldError> {
        let kind = match entry.kind() {
            wire::EntryKind::Message => EntryKind::Message,
            wire::EntryKind::Event => EntryKind::Event,
            wire::EntryKind::Commit => EntryKind::Commit,
            wire::EntryKind::Leave => EntryKind::Leave,
            wire::EntryKind::Unspecified => {
                return Err(FieldError { field: "entry.kind", problem: NO_NUMBER });
            }
        };
        Ok(Self {
            seq: match seq("entry.seq", entry.seq)? {
                Seq::ZERO => return Err(FieldError { field: "entry.seq", problem: MISSING }),
                seq => seq,
            },
            account: id("entry.account", &entry.account)?,
            device: id("entry.device", &entry.device)?,
            message_id: id("entry.message_id", &entry.message_id)?,
            time: Timestamp::from_millis(entry.time),
            client_time: client_time(entry.client_time),
            kind,
            payload: entry.payload,
            checksum: Checksum(entry.checksum),
            expires_after_ms: (entry.expires_after_ms != 0).then_some(entry.expires_after_ms),
            erased: entry.erased,
        })
    }
}

/// A device's own time as it is sent: 0 stands for none.
pub fn client_time(millis: i64) -> Option<Timestamp> {
    (millis != 0).then(|| Timestamp::from_millis(millis))
}

impl From<&Hidden> for wire::Hidden {
    fn from(hidden: &Hidden) -> Self {
        Self {
            from: hidden.from.get(),
            to: hidden.to.get(),
            reason: match hidden.reason {
                HiddenReason::NotAMember => wire::HiddenReason::NotAMember,
                HiddenReason::Trimmed => wire::HiddenReason::Trimmed,
            } as i32,
        }
    }
}

impl TryFrom<&wire::Hidden> for Hidden {
    type Error = FieldError;

    fn try_from(hidden: &wire::Hidden) -> Result<Self, FieldError> {
        let from = seq("hidden.from", hidden.from)?;
        let to = seq("hidden.to", hidden.to)?;
        if from == Seq::ZERO || to < from {
            return Err(FieldError { field: "hidden.to", problem: "lies before hidden.from" });
        }
        let reason = match hidden.reason() {
            wire::HiddenReason::NotAMember => HiddenReason::NotAMember,
            wire::HiddenReason::Trimmed => HiddenReason::Trimmed,
            wire::HiddenReason::Unspecified => {
                return Err(FieldError { field: "hidden.reason", problem: NO_NUMBER });
            }
        };
        Ok(Self { from, to, reason })
    }
}

impl From<&Range> for wire::Range {
    fn from(range: &Range) -> Self {
        Self { from: range.from.get(), to: range.to.map_or(0, Seq::get) }
    }
}

impl TryFrom<&wire::Range> for Range {
    type Error = FieldError;

    fn try_from(range: &wire::Range) -> Result<Self, FieldError> {
        let to = seq("ranges.to", range.to)?;
        Ok(Self { from: seq("ranges.from", range.from)?, to: (to > Seq::ZERO).then_some(to) })
    }
}

impl From<Role> for wire::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
            Role::Owner => Self::Owner,
        }
    }
}

impl wire::Role {
    /// The role; `None` for who is no member.
    pub fn to_model(self) -> Option<Role> {
        match self {
            Self::Unspecified => None,
            Self::Member => Some(Role::Member),
            Self::Admin => Some(Role::Admin),
            Self::Owner => Some(Role::Owner),
        }
    }

    /// Reads a role out of a field in which there has to be one.
    ///
    /// # Errors
    /// No role, or one of a later version.
    pub fn required(field: &'static str, number: i32) -> Result<Role, FieldError> {
        Self::try_from(number)
            .ok()
            .and_then(Self::to_model)
            .ok_or(FieldError { field, problem: NO_NUMBER })
    }
}

impl From<ConversationKind> for wire::ConversationKind {
    fn from(kind: ConversationKind) -> Self {
        match kind {
            ConversationKind::Direct => Self::Direct,
            ConversationKind::Group => Self::Group,
            ConversationKind::NotesToSelf => Self::Self_,
        }
    }
}

impl wire::ConversationKind {
    /// Reads the kind of a conversation.
    ///
    /// # Errors
    /// No kind, or one of a later version.
    pub fn required(field: &'static str, number: i32) -> Result<ConversationKind, FieldError> {
        match Self::try_from(number) {
            Ok(Self::Direct) => Ok(ConversationKind::Direct),
            Ok(Self::Group) => Ok(ConversationKind::Group),
            Ok(Self::Self_) => Ok(ConversationKind::NotesToSelf),
            Ok(Self::Unspecified) | Err(_) => Err(FieldError { field, problem: NO_NUMBER }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidings_model::{AccountId, DeviceId, MessageId};

    use super::*;

    prop_compose! {
        fn any_seq()(number in 1..tidings_model::entry::COUNTER_BOUND) -> Seq {
            Seq::new(number).unwrap()
        }
    }

    prop_compose! {
        fn any_entry()(
            seq in any_seq(),
            account: [u8; 16],
            device: [u8; 16],
            message: [u8; 16],
            time: i64,
            kind in 1u8..=4,
            erased: bool,
            payload in prop::collection::vec(any::<u8>(), 0..64),
            checksum: u32,
            expires in prop::option::of(1u64..),
            client_millis: i64,
        ) -> Entry {
            Entry {
                seq,
                account: AccountId::from_bytes(account),
                device: DeviceId::from_bytes(device),
                message_id: MessageId::from_bytes(message),
                time: Timestamp::from_millis(time),
                client_time: client_time(client_millis),
                kind: EntryKind::from_number(kind).unwrap(),
                payload: if erased { Bytes::new() } else { payload.into() },
                checksum: Checksum(checksum),
                expires_after_ms: expires,
                erased,
            }
        }
    }

    proptest! {
        #[test]
        fn every_entry_comes_back(entry in any_entry()) {
            prop_assert_eq!(Entry::try_from(wire::Entry::from(&entry)), Ok(entry));
        }

        #[test]
        fn every_cursor_comes_back(
            conversation: [u8; 16],
            epoch: [u8; 8],
            place in any_seq(),
            checksum: u32,
            roster_version: u64,
        ) {
            let of = ConversationCursor {
                conversation: ConversationId::from_bytes(conversation),
                cursor: Cursor {
                    epoch: LogEpoch::from_entropy(epoch),
                    seq: place,
                    checksum: Some(Checksum(checksum)),
                },
                roster_version,
            };
            prop_assert_eq!(ConversationCursor::try_from(&wire::Cursor::from(&of)), Ok(of));
        }

        #[test]
        fn every_range_and_hidden_span_comes_back(one in any_seq(), other in any_seq(), open: bool) {
            let (from, to) = (one.min(other), one.max(other));
            let range = Range { from, to: (!open).then_some(to) };
            prop_assert_eq!(Range::try_from(&wire::Range::from(&range)), Ok(range));
            let hidden = Hidden { from, to, reason: HiddenReason::Trimmed };
            prop_assert_eq!(Hidden::try_from(&wire::Hidden::from(&hidden)), Ok(hidden));
        }

        #[test]
        fn identifier_of_another_length_names_its_field(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let read = id::<AccountId>("account", &bytes);
            prop_assert_eq!(read.is_ok(), bytes.len() == 16);
            if let Err(error) = read {
                prop_assert_eq!(error.field, "account");
            }
        }
    }

    #[test]
    fn entry_without_a_kind_or_a_seq_is_refused_by_name() {
        let honest = wire::Entry {
            seq: 1,
            account: id_bytes(&[1; 16]),
            device: id_bytes(&[2; 16]),
            message_id: id_bytes(&[3; 16]),
            kind: wire::EntryKind::Message as i32,
            ..wire::Entry::default()
        };
        assert!(Entry::try_from(honest.clone()).is_ok());
        for (broken, field) in [
            (wire::Entry { seq: 0, ..honest.clone() }, "entry.seq"),
            (wire::Entry { seq: 1 << 53, ..honest.clone() }, "entry.seq"),
            (wire::Entry { kind: 9, ..honest.clone() }, "entry.kind"),
            (wire::Entry { device: Bytes::new(), ..honest.clone() }, "entry.device"),
        ] {
            assert_eq!(Entry::try_from(broken).map_err(|error| error.field), Err(field));
        }
    }

    #[test]
    fn first_read_needs_no_epoch_and_a_later_one_does() {
        let fetch = |log_epoch, after| wire::Fetch { log_epoch, after, ..Default::default() };
        assert_eq!(fetch(0, 0).cursor(), Ok(None));
        assert_eq!(fetch(0, 5).cursor().map_err(|error| error.field), Err("log_epoch"));
        assert_eq!(fetch(4, 5).cursor().map(|cursor| cursor.unwrap().seq.get()), Ok(5));
    }

    #[test]
    fn roles_and_kinds_come_back_and_later_ones_are_refused() {
        for role in [Role::Member, Role::Admin, Role::Owner] {
            assert_eq!(wire::Role::required("role", wire::Role::from(role) as i32), Ok(role));
        }
        for kind in
            [ConversationKind::Direct, ConversationKind::Group, ConversationKind::NotesToSelf]
        {
            let number = wire::ConversationKind::from(kind) as i32;
            assert_eq!(wire::ConversationKind::required("kind", number), Ok(kind));
        }
        assert!(wire::Role::required("role", 0).is_err());
        assert!(wire::Role::required("role", 77).is_err());
        assert!(wire::ConversationKind::required("kind", 0).is_err());
    }
}
