//! Commands as a page writes them: JSON objects whose `type` names the command.
//!
//! Identifiers are their text of 26 characters, messages are `{account, messageId}`. A command that
//! does not fit is refused with words for whoever wrote the page.

use serde::Deserialize;
use tidings_client_core::database::{Draft, DraftPurpose};
use tidings_client_core::{Change, Command, Send, SignIn, SignUp, Typing, Unsent};
use tidings_model::{AccountId, MessageId, Role, Seq};
use tidings_protocol_content::Reference;
use tidings_protocol_identity::{InviteLink, Password, ServerAddress, Transport, UserName};

/// Reads a command.
pub(crate) fn read(json: &str) -> Result<Command, String> {
    let written: Written = serde_json::from_str(json).map_err(|error| error.to_string())?;
    written.into_command()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenReference {
    account: String,
    message_id: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Written {
    SignUp {
        invite_link: String,
        user_name: String,
        password: String,
        #[serde(default)]
        display_name: String,
        device_name: String,
    },
    SignIn {
        host: String,
        port: u16,
        user_name: String,
        password: String,
        device_name: String,
    },
    SignOut {
        #[serde(default)]
        discard_unsent: bool,
    },
    Connect,
    Disconnect,
    CreateDirect {
        with: String,
        #[serde(default)]
        open: bool,
    },
    CreateGroup {
        name: String,
        members: Vec<String>,
        #[serde(default)]
        open: bool,
    },
    CreateNotesToSelf {
        #[serde(default)]
        open: bool,
    },
    ContinueInOpen {
        conversation: String,
    },
    RestartGroup {
        conversation: String,
        #[serde(default)]
        leave_out: Vec<String>,
    },
    Add {
        conversation: String,
        accounts: Vec<String>,
    },
    Remove {
        conversation: String,
        account: String,
    },
    Leave {
        conversation: String,
    },
    Rename {
        conversation: String,
        name: String,
    },
    SetRole {
        conversation: String,
        account: String,
        role: String,
    },
    Send {
        conversation: String,
        message_id: Option<String>,
        text: String,
        reply_to: Option<WrittenReference>,
    },
    SendDraft {
        conversation: String,
    },
    Edit {
        conversation: String,
        target: WrittenReference,
        text: String,
    },
    Delete {
        conversation: String,
        target: WrittenReference,
    },
    React {
        conversation: String,
        target: WrittenReference,
        emoji: String,
    },
    Retry {
        message_id: String,
    },
    Discard {
        message_id: String,
    },
    MarkRead {
        conversation: String,
        up_to: u64,
    },
    Typing {
        conversation: String,
        typing: bool,
    },
    SetDraft {
        conversation: String,
        text: String,
        reply_to: Option<WrittenReference>,
        edit: Option<WrittenReference>,
    },
    OpenView {
        conversation: String,
    },
    LoadOlder {
        conversation: String,
    },
    CloseView {
        conversation: String,
    },
    Search {
        query: String,
    },
    Members {
        conversation: String,
    },
    LookUp {
        user_name: String,
    },
    Invite,
    ListDevices,
    RevokeDevice {
        device: String,
    },
    SetPresence {
        hidden: bool,
    },
    SetDisplayName {
        display_name: String,
    },
    SetReadReceipts {
        sent: bool,
    },
    SetBackup {
        kept: bool,
    },
    ShowLinkCode,
    Link {
        device: String,
        code: String,
    },
    AnswerLink {
        accepted: bool,
    },
    Recover {
        key: String,
    },
    BeginAnew,
    RecoveryKey,
    ConfirmRecoveryKey {
        key: String,
    },
    SafetyNumber {
        account: String,
    },
    Verify {
        account: String,
        verified: bool,
    },
}

impl WrittenReference {
    fn read(&self) -> Result<Reference, String> {
        Ok(Reference { account: parse(&self.account)?, message_id: parse(&self.message_id)? })
    }
}

impl Written {
    fn into_command(self) -> Result<Command, String> {
        let change = |conversation: &str, change| {
            Ok(Command::Change { conversation: parse(conversation)?, change })
        };
        Ok(match self {
            Self::SignUp { invite_link, user_name, password, display_name, device_name } => {
                let link: InviteLink = parse(&invite_link)?;
                Command::SignUp(Box::new(SignUp {
                    server: link.server,
                    invite: Some(link.token),
                    user_name: UserName::parse(&user_name).map_err(in_words)?,
                    password: Password::parse(&password).map_err(in_words)?,
                    display_name,
                    device_name,
                }))
            }
            Self::SignIn { host, port, user_name, password, device_name } => {
                let transport = Transport::Tls { certificate_sha256: None };
                Command::SignIn(Box::new(SignIn {
                    server: ServerAddress::new(&host, port, transport).map_err(in_words)?,
                    user_name: UserName::parse(&user_name).map_err(in_words)?,
                    password: Password::parse(&password).map_err(in_words)?,
                    device_name,
                }))
            }
            Self::SignOut { discard_unsent } => {
                Command::SignOut(if discard_unsent { Unsent::Discard } else { Unsent::Keep })
            }
            Self::Connect => Command::Connect,
            Self::Disconnect => Command::Disconnect,
            Self::CreateDirect { with, open } => {
                Command::CreateDirect { with: parse(&with)?, open }
            }
            Self::CreateGroup { name, members, open } => {
                Command::CreateGroup { name, members: accounts(&members)?, open }
            }
            Self::CreateNotesToSelf { open } => Command::CreateNotesToSelf { open },
            Self::ContinueInOpen { conversation } => {
                Command::ContinueInOpen { conversation: parse(&conversation)? }
            }
            Self::RestartGroup { conversation, leave_out } => Command::RestartGroup {
                conversation: parse(&conversation)?,
                leave_out: accounts(&leave_out)?,
            },
            Self::Add { conversation, accounts: added } => {
                return change(&conversation, Change::Add(accounts(&added)?));
            }
            Self::Remove { conversation, account } => {
                return change(&conversation, Change::Remove(parse(&account)?));
            }
            Self::Leave { conversation } => return change(&conversation, Change::Leave),
            Self::Rename { conversation, name } => {
                return change(&conversation, Change::Rename(name));
            }
            Self::SetRole { conversation, account, role } => {
                let role = read_role(&role)?;
                return change(&conversation, Change::SetRole(parse(&account)?, role));
            }
            Self::Send { conversation, message_id, text, reply_to } => Command::Send(Send {
                conversation: parse(&conversation)?,
                message_id: message_id.as_deref().map(parse::<MessageId>).transpose()?,
                text,
                reply_to: reply_to.map(|to| to.read()).transpose()?,
            }),
            Self::SendDraft { conversation } => {
                Command::SendDraft { conversation: parse(&conversation)? }
            }
            Self::Edit { conversation, target, text } => {
                Command::Edit { conversation: parse(&conversation)?, target: target.read()?, text }
            }
            Self::Delete { conversation, target } => {
                Command::Delete { conversation: parse(&conversation)?, target: target.read()? }
            }
            Self::React { conversation, target, emoji } => Command::React {
                conversation: parse(&conversation)?,
                target: target.read()?,
                emoji,
            },
            Self::Retry { message_id } => Command::Retry { message_id: parse(&message_id)? },
            Self::Discard { message_id } => Command::Discard { message_id: parse(&message_id)? },
            Self::MarkRead { conversation, up_to } => Command::MarkRead {
                conversation: parse(&conversation)?,
                up_to: Seq::new(up_to).ok_or("upTo is not below 2^53")?,
            },
            Self::Typing { conversation, typing } => Command::Typing {
                conversation: parse(&conversation)?,
                typing: if typing { Typing::Started } else { Typing::Stopped },
            },
            Self::SetDraft { conversation, text, reply_to, edit } => {
                let purpose = match (reply_to, edit) {
                    (Some(to), None) => DraftPurpose::Reply(to.read()?),
                    (None, Some(target)) => DraftPurpose::Edit(target.read()?),
                    (None, None) => DraftPurpose::Message,
                    (Some(_), Some(_)) => {
                        return Err("a draft is a reply or an edit, not both".to_owned());
                    }
                };
                let draft = Draft { text, purpose };
                Command::SetDraft { conversation: parse(&conversation)?, draft }
            }
            Self::OpenView { conversation } => {
                Command::OpenView { conversation: parse(&conversation)? }
            }
            Self::LoadOlder { conversation } => {
                Command::LoadOlder { conversation: parse(&conversation)? }
            }
            Self::CloseView { conversation } => {
                Command::CloseView { conversation: parse(&conversation)? }
            }
            Self::Search { query } => Command::Search { query },
            Self::Members { conversation } => {
                Command::Members { conversation: parse(&conversation)? }
            }
            Self::LookUp { user_name } => {
                Command::LookUp { user_name: UserName::parse(&user_name).map_err(in_words)? }
            }
            Self::Invite => Command::Invite,
            Self::ListDevices => Command::ListDevices,
            Self::RevokeDevice { device } => Command::RevokeDevice { device: parse(&device)? },
            Self::SetPresence { hidden } => Command::SetPresence { hidden },
            Self::SetDisplayName { display_name } => Command::SetDisplayName { display_name },
            Self::SetReadReceipts { sent } => Command::SetReadReceipts { sent },
            Self::SetBackup { kept } => Command::SetBackup { kept },
            Self::ShowLinkCode => Command::ShowLinkCode,
            Self::Link { device, code } => {
                Command::Link { device: parse(&device)?, code: parse(&code)? }
            }
            Self::AnswerLink { accepted } => Command::AnswerLink { accepted },
            Self::Recover { key } => Command::Recover { key: parse(&key)? },
            Self::BeginAnew => Command::BeginAnew,
            Self::RecoveryKey => Command::RecoveryKey,
            Self::ConfirmRecoveryKey { key } => Command::ConfirmRecoveryKey { key: parse(&key)? },
            Self::SafetyNumber { account } => Command::SafetyNumber { account: parse(&account)? },
            Self::Verify { account, verified } => {
                Command::Verify { account: parse(&account)?, verified }
            }
        })
    }
}

fn accounts(texts: &[String]) -> Result<Vec<AccountId>, String> {
    texts.iter().map(|text| parse(text)).collect()
}

fn parse<T>(text: &str) -> Result<T, String>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(in_words)
}

fn read_role(text: &str) -> Result<Role, String> {
    match text {
        "member" => Ok(Role::Member),
        "admin" => Ok(Role::Admin),
        "owner" => Ok(Role::Owner),
        _ => Err("a role is member, admin or owner".to_owned()),
    }
}

fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOIR: &str = "abababababababababababababa";

    fn conversation() -> String {
        tidings_model::ConversationId::from_bytes([3; 16]).to_string()
    }

    #[test]
    fn text_is_taken_byte_for_byte() {
        let id = conversation();
        let json = format!(r#"{{"type":"send","conversation":"{id}","text":" a\u0000b\n"}}"#);
        let Ok(Command::Send(send)) = read(&json) else { panic!("a command") };
        assert_eq!(send.text, " a\0b\n");
        assert_eq!((send.message_id, send.reply_to), (None, None));
    }

    #[test]
    fn reference_and_draft_are_read() {
        let id = conversation();
        let reference = format!(r#"{{"account":"{id}","messageId":"{id}"}}"#);
        let json = format!(
            r#"{{"type":"setDraft","conversation":"{id}","text":"x","replyTo":{reference}}}"#
        );
        let Ok(Command::SetDraft { draft, .. }) = read(&json) else { panic!("a command") };
        assert!(matches!(draft.purpose, DraftPurpose::Reply(_)));
        let both = json.replace(r#""replyTo""#, &format!(r#""edit":{reference},"replyTo""#));
        assert_eq!(read(&both).err().as_deref(), Some("a draft is a reply or an edit, not both"));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        for (json, words) in [
            ("", "EOF"),
            (r#"{"type":"fly"}"#, "unknown variant"),
            (r#"{"type":"send"}"#, "missing field"),
            (r#"{"type":"lookUp","userName":""}"#, "name"),
            (r#"{"type":"recover","key":"abc"}"#, "72 letters"),
            (
                &format!(r#"{{"type":"link","device":"{CHOIR}","code":"abcd-efg"}}"#),
                "26 characters",
            ),
            (&format!(r#"{{"type":"leave","conversation":"{CHOIR}"}}"#), "26 characters"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(words), "{json}: {error}");
        }
    }
}
