//! What happened to a sealed conversation's group, as this device keeps and draws it.
//!
//! A Commit is opaque to views, and its meaning depends on the group at its place in the log. So the
//! device writes down what a Commit, a leave or a profile did when it takes it in, in this encoding
//! of its own: a version byte, then each act as a tag and its fields, lists with their length in
//! front (integers big-endian). Deliberately not here: what the server says about open conversations
//! (`tidings_model::ConversationEvent`).

use bytes::Bytes;
use tidings_model::{AccountId, Role};

const VERSION: u8 = 1;

const ADDED: u8 = 1;
const REMOVED: u8 = 2;
const LEFT: u8 = 3;
const ROLE_CHANGED: u8 = 4;
const DEVICE_ADDED: u8 = 5;
const DEVICE_REMOVED: u8 = 6;
const DEVICE_RETURNED: u8 = 7;
const RENAMED: u8 = 8;
const TOPIC_CHANGED: u8 = 9;
const PICTURE_CHANGED: u8 = 10;
const RESTARTED: u8 = 11;
const IDENTITY_CHANGED: u8 = 12;
/// The content of the message that said it, up to the end.
const SAID: u8 = 13;

/// Something that happened to a group. People are accounts, or as a view names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupAct<P = AccountId> {
    /// They are members from now on.
    Added(Vec<P>),
    /// They are members no more.
    Removed(Vec<P>),
    /// A member left.
    Left(P),
    /// A member has another role.
    RoleChanged(P, Role),
    /// A member's further device came in.
    DeviceAdded(P),
    /// A device of somebody who stays a member is out.
    DeviceRemoved(P),
    /// A member's device had lost its keys and came in again.
    DeviceReturned(P),
    /// The group has another name.
    Renamed(String),
    /// The group has another topic; empty: none.
    TopicChanged(String),
    /// The group has another picture.
    PictureChanged,
    /// The group's keys were made anew.
    Restarted,
    /// A member has lost all devices and began anew: whoever compared safety numbers compares again.
    IdentityChanged(P),
}

impl GroupAct {
    /// The same act with people as a view names them.
    pub(crate) fn named<P>(self, name: impl Fn(AccountId) -> P) -> GroupAct<P> {
        let all = |accounts: Vec<AccountId>| accounts.into_iter().map(&name).collect();
        match self {
            Self::Added(accounts) => GroupAct::Added(all(accounts)),
            Self::Removed(accounts) => GroupAct::Removed(all(accounts)),
            Self::Left(account) => GroupAct::Left(name(account)),
            Self::RoleChanged(account, role) => GroupAct::RoleChanged(name(account), role),
            Self::DeviceAdded(account) => GroupAct::DeviceAdded(name(account)),
            Self::DeviceRemoved(account) => GroupAct::DeviceRemoved(name(account)),
            Self::DeviceReturned(account) => GroupAct::DeviceReturned(name(account)),
            Self::Renamed(name) => GroupAct::Renamed(name),
            Self::TopicChanged(topic) => GroupAct::TopicChanged(topic),
            Self::PictureChanged => GroupAct::PictureChanged,
            Self::Restarted => GroupAct::Restarted,
            Self::IdentityChanged(account) => GroupAct::IdentityChanged(name(account)),
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Added(accounts) => write_accounts(bytes, ADDED, accounts),
            Self::Removed(accounts) => write_accounts(bytes, REMOVED, accounts),
            Self::Left(account) => write_account(bytes, LEFT, account),
            Self::RoleChanged(account, role) => {
                write_account(bytes, ROLE_CHANGED, account);
                bytes.push(*role as u8);
            }
            Self::DeviceAdded(account) => write_account(bytes, DEVICE_ADDED, account),
            Self::DeviceRemoved(account) => write_account(bytes, DEVICE_REMOVED, account),
            Self::DeviceReturned(account) => write_account(bytes, DEVICE_RETURNED, account),
            Self::Renamed(name) => write_text(bytes, RENAMED, name),
            Self::TopicChanged(topic) => write_text(bytes, TOPIC_CHANGED, topic),
            Self::PictureChanged => bytes.push(PICTURE_CHANGED),
            Self::Restarted => bytes.push(RESTARTED),
            Self::IdentityChanged(account) => write_account(bytes, IDENTITY_CHANGED, account),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(match reader.byte()? {
            ADDED => Self::Added(reader.accounts()?),
            REMOVED => Self::Removed(reader.accounts()?),
            LEFT => Self::Left(reader.account()?),
            ROLE_CHANGED => {
                Self::RoleChanged(reader.account()?, Role::from_number(reader.byte()?)?)
            }
            DEVICE_ADDED => Self::DeviceAdded(reader.account()?),
            DEVICE_REMOVED => Self::DeviceRemoved(reader.account()?),
            DEVICE_RETURNED => Self::DeviceReturned(reader.account()?),
            RENAMED => Self::Renamed(reader.text()?),
            TOPIC_CHANGED => Self::TopicChanged(reader.text()?),
            PICTURE_CHANGED => Self::PictureChanged,
            RESTARTED => Self::Restarted,
            IDENTITY_CHANGED => Self::IdentityChanged(reader.account()?),
            _ => return None,
        })
    }
}

/// The payload of a row about a group.
pub(crate) fn encode(acts: &[GroupAct]) -> Bytes {
    let mut bytes = vec![VERSION];
    for act in acts {
        act.write(&mut bytes);
    }
    bytes.into()
}

/// The payload of a row about a group that a message has told of, with the content of that message.
pub(crate) fn encode_said(acts: &[GroupAct], content: &[u8]) -> Bytes {
    let mut bytes = encode(acts).to_vec();
    bytes.push(SAID);
    bytes.extend(content);
    bytes.into()
}

/// Reads the acts that [`encode`] or [`encode_said`] wrote; `None` for anything else.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<GroupAct>> {
    read(bytes).map(|(acts, _)| acts)
}

/// The content of the message that told of a row's acts.
pub(crate) fn said(bytes: &[u8]) -> Option<Bytes> {
    read(bytes)?.1.map(Bytes::copy_from_slice)
}

fn read(bytes: &[u8]) -> Option<(Vec<GroupAct>, Option<&[u8]>)> {
    let mut reader = Reader(bytes.strip_prefix(&[VERSION])?);
    let mut acts = Vec::new();
    while let Some(tag) = reader.0.first() {
        if *tag == SAID {
            return Some((acts, Some(&reader.0[1..])));
        }
        acts.push(GroupAct::read(&mut reader)?);
    }
    Some((acts, None))
}

fn write_account(bytes: &mut Vec<u8>, tag: u8, account: &AccountId) {
    bytes.push(tag);
    bytes.extend(account.as_bytes());
}

fn write_accounts(bytes: &mut Vec<u8>, tag: u8, accounts: &[AccountId]) {
    // A Commit changes far fewer people than 2^16.
    let count = accounts.len().min(u16::MAX.into());
    bytes.push(tag);
    bytes.extend((count as u16).to_be_bytes());
    for account in &accounts[..count] {
        bytes.extend(account.as_bytes());
    }
}

fn write_text(bytes: &mut Vec<u8>, tag: u8, text: &str) {
    let text = &text[..text.floor_char_boundary(u16::MAX.into())];
    bytes.push(tag);
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn length(&mut self) -> Option<usize> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes).into())
    }

    fn account(&mut self) -> Option<AccountId> {
        AccountId::try_from(self.take(16)?).ok()
    }

    fn accounts(&mut self) -> Option<Vec<AccountId>> {
        let count = self.length()?;
        (0..count).map(|_| self.account()).collect()
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOOR: AccountId = AccountId::from_bytes([1; 16]);
    const INES: AccountId = AccountId::from_bytes([2; 16]);

    fn every_act() -> Vec<GroupAct> {
        vec![
            GroupAct::Added(vec![NOOR, INES]),
            GroupAct::Removed(vec![INES]),
            GroupAct::Left(NOOR),
            GroupAct::RoleChanged(INES, Role::Admin),
            GroupAct::DeviceAdded(NOOR),
            GroupAct::DeviceRemoved(NOOR),
            GroupAct::DeviceReturned(INES),
            GroupAct::Renamed("Chœur".into()),
            GroupAct::TopicChanged(String::new()),
            GroupAct::PictureChanged,
            GroupAct::Restarted,
            GroupAct::IdentityChanged(INES),
        ]
    }

    #[test]
    fn every_act_comes_back_from_its_bytes() {
        let acts = every_act();
        assert_eq!(decode(&encode(&acts)), Some(acts));
        assert_eq!(decode(&encode(&[])), Some(Vec::new()));
    }

    #[test]
    fn content_that_told_of_the_acts_comes_back_beside_them() {
        let acts = vec![GroupAct::Renamed("Chœur".into())];
        let bytes = encode_said(&acts, b"content");
        assert_eq!(decode(&bytes), Some(acts.clone()));
        assert_eq!(said(&bytes).as_deref(), Some(&b"content"[..]));
        assert_eq!(said(&encode(&acts)), None);
    }

    #[test]
    fn other_bytes_are_no_acts() {
        for act in every_act() {
            let bytes = encode(&[act]);
            for length in 2..bytes.len() {
                assert_eq!(decode(&bytes[..length]), None);
            }
        }
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[2]), None);
        assert_eq!(decode(&[VERSION, 99]), None);
    }
}
