//! The values of the account log in their typed form, and what names each of them.

use bytes::Bytes;
use prost::Message;
use tidings_model::{AccountId, ConversationId, DeviceId, LogEpoch, MessageId, Seq};

use crate::{AccountValueError, BackupKeys, wire};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Up to where the account has read a conversation.
    ReadPosition {
        /// Which.
        conversation: ConversationId,
        /// The epoch of the log that `seq` is of.
        log_epoch: LogEpoch,
        /// The place.
        seq: Seq,
    },
    /// What is being written on one device.
    Draft(Draft),
    /// What the account's devices do alike.
    Settings(Settings),
    /// Whether somebody's safety number was compared.
    VerifiedContact {
        /// Whose.
        account: AccountId,
        /// SHA-256 of the body of entry 0 of the device list that was compared; `None`: it was not, or
        /// that was taken back.
        founding_hash: Option<[u8; 32]>,
    },
    /// What the chunks of the recovery backup are sealed under.
    BackupKeys(BackupKeys),
    /// Up to where a conversation is in the recovery backup.
    BackedUp(BackedUp),
}

/// Up to where a conversation is in the recovery backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// Which.
    pub conversation: ConversationId,
    /// The backup's series.
    pub series: u32,
    /// The epoch of the log that the places are of.
    pub log_epoch: LogEpoch,
    /// The place.
    pub seq: Seq,
    /// Spans up to there, by their beginning, ends included, that the devices did not have which wrote the
    /// backup: one that has them adds them.
    pub gaps: Vec<(Seq, Seq)>,
}

/// What is being written on one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Where.
    pub conversation: ConversationId,
    /// On which device: drafts of two devices stand beside each other.
    pub device: DeviceId,
    /// The text.
    pub text: String,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a draft is for. Messages are named by their author and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A message of its own.
    Message,
    /// An answer to a message.
    Reply(AccountId, MessageId),
    /// A new text for an own message.
    Edit(AccountId, MessageId),
}

/// What the account's devices do alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// The account's devices are shown to nobody.
    pub hidden: bool,
    /// What was read is told to nobody.
    pub no_read_receipts: bool,
    /// No recovery backup is kept at the server.
    pub no_backup: bool,
}

/// Names a value among those of the account: the latest of each name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// See [`Value::ReadPosition`].
    ReadPosition(ConversationId),
    /// See [`Value::Draft`].
    Draft(ConversationId, DeviceId),
    /// See [`Value::Settings`].
    Settings,
    /// See [`Value::VerifiedContact`].
    VerifiedContact(AccountId),
    /// See [`Value::BackupKeys`].
    BackupKeys,
    /// See [`Value::BackedUp`].
    BackedUp(ConversationId),
}

impl Name {
    /// Bytes that stand for the name, for no other one: the number of its field in `tidings.account.v1.Value`, and
    /// the ids.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::ReadPosition(conversation) => [&[1], &conversation.as_bytes()[..]].concat(),
            Self::Draft(conversation, device) => {
                [&[2], &conversation.as_bytes()[..], device.as_bytes()].concat()
            }
            Self::Settings => vec![3],
            Self::VerifiedContact(account) => [&[4], &account.as_bytes()[..]].concat(),
            Self::BackupKeys => vec![5],
            Self::BackedUp(conversation) => [&[6], &conversation.as_bytes()[..]].concat(),
        }
    }
}

impl Value {
    /// What names it.
    pub fn name(&self) -> Name {
        match self {
            Self::ReadPosition { conversation, .. } => Name::ReadPosition(*conversation),
            Self::Draft(draft) => Name::Draft(draft.conversation, draft.device),
            Self::Settings(_) => Name::Settings,
            Self::VerifiedContact { account, .. } => Name::VerifiedContact(*account),
            Self::BackupKeys(_) => Name::BackupKeys,
            Self::BackedUp(of) => Name::BackedUp(of.conversation),
        }
    }

    /// Encodes it: inside its seal, and in a device's database.
    pub fn encode(&self) -> Bytes {
        let of = match self {
            Self::ReadPosition { conversation, log_epoch, seq } => {
                wire::value::Of::ReadPosition(wire::ReadPosition {
                    conversation: bytes_of(conversation.as_bytes()),
                    log_epoch: log_epoch.get(),
                    seq: seq.get(),
                })
            }
            Self::Draft(draft) => wire::value::Of::Draft(draft.to_wire()),
            Self::Settings(settings) => wire::value::Of::Settings(wire::Settings {
                hidden: settings.hidden,
                no_read_receipts: settings.no_read_receipts,
                no_backup: settings.no_backup,
            }),
            Self::BackupKeys(keys) => wire::value::Of::BackupKeys(keys.to_wire()),
            Self::BackedUp(of) => wire::value::Of::BackedUp(of.to_wire()),
            Self::VerifiedContact { account, founding_hash } => {
                wire::value::Of::VerifiedContact(wire::VerifiedContact {
                    account: bytes_of(account.as_bytes()),
                    founding_hash: founding_hash.map_or_else(Bytes::new, |hash| bytes_of(&hash)),
                })
            }
        };
        wire::Value { of: Some(of) }.encode_to_vec().into()
    }

    /// Reads what [`Value::encode`] has written.
    ///
    /// # Errors
    /// [`AccountValueError::Malformed`], [`AccountValueError::UnknownKind`].
    pub fn decode(bytes: &[u8]) -> Result<Self, AccountValueError> {
        let value = wire::Value::decode(bytes).map_err(|_| AccountValueError::Malformed)?;
        Ok(match value.of.ok_or(AccountValueError::UnknownKind)? {
            wire::value::Of::ReadPosition(of) => Self::ReadPosition {
                conversation: ConversationId::from_bytes(array(&of.conversation)?),
                log_epoch: LogEpoch::new(of.log_epoch).ok_or(AccountValueError::Malformed)?,
                seq: Seq::new(of.seq).ok_or(AccountValueError::Malformed)?,
            },
            wire::value::Of::Draft(of) => Self::Draft(Draft::from_wire(of)?),
            wire::value::Of::Settings(of) => Self::Settings(Settings {
                hidden: of.hidden,
                no_read_receipts: of.no_read_receipts,
                no_backup: of.no_backup,
            }),
            wire::value::Of::BackupKeys(of) => Self::BackupKeys(BackupKeys::from_wire(&of)?),
            wire::value::Of::BackedUp(of) => Self::BackedUp(BackedUp::from_wire(&of)?),
            wire::value::Of::VerifiedContact(of) => Self::VerifiedContact {
                account: AccountId::from_bytes(array(&of.account)?),
                founding_hash: match of.founding_hash.is_empty() {
                    true => None,
                    false => Some(array(&of.founding_hash)?),
                },
            },
        })
    }
}

impl BackedUp {
    fn to_wire(&self) -> wire::BackedUp {
        let gap = |(from, to): &(Seq, Seq)| wire::backed_up::Gap { from: from.get(), to: to.get() };
        wire::BackedUp {
            conversation: bytes_of(self.conversation.as_bytes()),
            series: self.series,
            log_epoch: self.log_epoch.get(),
            seq: self.seq.get(),
            gaps: self.gaps.iter().map(gap).collect(),
        }
    }

    fn from_wire(of: &wire::BackedUp) -> Result<Self, AccountValueError> {
        let seq = |number| Seq::new(number).ok_or(AccountValueError::Malformed);
        let gap = |gap: &wire::backed_up::Gap| Ok((seq(gap.from)?, seq(gap.to)?));
        Ok(Self {
            conversation: ConversationId::from_bytes(array(&of.conversation)?),
            series: of.series,
            log_epoch: LogEpoch::new(of.log_epoch).ok_or(AccountValueError::Malformed)?,
            seq: seq(of.seq)?,
            gaps: of.gaps.iter().map(gap).collect::<Result<_, AccountValueError>>()?,
        })
    }
}

impl Draft {
    fn to_wire(&self) -> wire::Draft {
        let reference = |account: AccountId, message: MessageId| wire::Reference {
            account: bytes_of(account.as_bytes()),
            message_id: bytes_of(message.as_bytes()),
        };
        wire::Draft {
            conversation: bytes_of(self.conversation.as_bytes()),
            device: bytes_of(self.device.as_bytes()),
            text: self.text.clone(),
            purpose: match self.purpose {
                Purpose::Message => None,
                Purpose::Reply(account, message) => {
                    Some(wire::draft::Purpose::Reply(reference(account, message)))
                }
                Purpose::Edit(account, message) => {
                    Some(wire::draft::Purpose::Edit(reference(account, message)))
                }
            },
        }
    }

    fn from_wire(of: wire::Draft) -> Result<Self, AccountValueError> {
        let reference = |of: wire::Reference| {
            let account = AccountId::from_bytes(array(&of.account)?);
            Ok((account, MessageId::from_bytes(array(&of.message_id)?)))
        };
        Ok(Self {
            conversation: ConversationId::from_bytes(array(&of.conversation)?),
            device: DeviceId::from_bytes(array(&of.device)?),
            text: of.text,
            purpose: match of.purpose {
                None => Purpose::Message,
                Some(wire::draft::Purpose::Reply(of)) => {
                    reference(of).map(|(account, message)| Purpose::Reply(account, message))?
                }
                Some(wire::draft::Purpose::Edit(of)) => {
                    reference(of).map(|(account, message)| Purpose::Edit(account, message))?
                }
            },
        })
    }
}

fn bytes_of(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

pub(crate) fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], AccountValueError> {
    bytes.try_into().map_err(|_| AccountValueError::Malformed)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::BackupKey;

    pub(crate) fn read_position(seq: u64) -> Value {
        Value::ReadPosition {
            conversation: ConversationId::from_bytes([1; 16]),
            log_epoch: LogEpoch::new(1).unwrap(),
            seq: Seq::new(seq).unwrap(),
        }
    }

    pub(crate) fn draft(text: &str, purpose: Purpose) -> Value {
        Value::Draft(Draft {
            conversation: ConversationId::from_bytes([1; 16]),
            device: DeviceId::from_bytes([2; 16]),
            text: text.to_owned(),
            purpose,
        })
    }

    #[test]
    fn each_value_comes_back_and_has_a_name_of_its_own() {
        let (account, message) = (AccountId::from_bytes([3; 16]), MessageId::from_bytes([4; 16]));
        let values = [
            read_position(7),
            draft("hello", Purpose::Message),
            draft("", Purpose::Reply(account, message)),
            draft("better", Purpose::Edit(account, message)),
            Value::Settings(Settings { hidden: true, no_read_receipts: false, no_backup: true }),
            Value::VerifiedContact { account, founding_hash: Some([5; 32]) },
            Value::VerifiedContact { account, founding_hash: None },
            Value::BackupKeys(BackupKeys::begin(2, BackupKey::new(7, [6; 32]))),
            Value::BackedUp(BackedUp {
                conversation: ConversationId::from_bytes([1; 16]),
                series: 2,
                log_epoch: LogEpoch::new(1).unwrap(),
                seq: Seq::new(9).unwrap(),
                gaps: vec![(Seq::FIRST, Seq::new(4).unwrap())],
            }),
        ];
        let mut names = std::collections::BTreeSet::new();
        for value in &values {
            assert_eq!(Value::decode(&value.encode()).as_ref(), Ok(value));
            names.insert(value.name().to_bytes());
        }
        assert_eq!(names.len(), 6, "drafts of one device have one name, and so has a contact");
    }

    #[test]
    fn value_of_a_later_version_is_told_from_a_broken_one() {
        assert_eq!(Value::decode(&[]), Err(AccountValueError::UnknownKind));
        assert_eq!(Value::decode(&[0xff]), Err(AccountValueError::Malformed));
        let mut later = read_position(1).encode().to_vec();
        later.extend([0xfa, 0x01, 0x00]);
        assert_eq!(Value::decode(&later), Ok(read_position(1)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Value::decode(&bytes);
        }
    }
}
