//! The list of conversations, and changes of conversations and their members.

use tidings_client_core::{Change, Command, Member, Outcome};

use super::carry_out;
use crate::arguments::{ConversationAndPeople, Create, RoleName};
use crate::failure::{Exit, Failure};
use crate::format::{Format, Ticks};
use crate::naming::{self, ID_SHOWN};
use crate::record::{ConversationRecord, MemberRecord, PersonRecord, kind_name, role_name};
use crate::session::Session;
use crate::trust::Trust;
use crate::{question, sealing, target, visible, when};

/// Columns of a name in a list.
const NAME_COLUMNS: usize = 20;

pub(super) async fn list(session: &mut Session) -> Result<Exit, Failure> {
    session.catch_up_or_note().await?;
    session.settle().await?;
    let people = session.people().await?;
    let mut rows = session.conversations().await?;
    let trust = session.trust(rows.iter().filter_map(|row| row.partner).collect()).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.activity));
    let output = &session.output;
    let format = Format { output, people: &people, ticks: Ticks::Shown };
    let now = when::now();
    for row in &rows {
        let title = target::title(row, &people);
        let partner = target::partner(row, &people);
        let trust = row.partner.map(|of| trust.get(&of).copied().unwrap_or_default());
        output.programs(&ConversationRecord {
            r#type: "conversation",
            id: row.conversation.to_string(),
            kind: kind_name(row.kind),
            name: title.clone(),
            sealed: !sealing::is_open(row.sealing),
            keys: sealing::keys_name(row.sealing),
            identity: trust.map(Trust::name),
            partner: partner.map(|profile| {
                PersonRecord::new(
                    profile.account.to_string(),
                    Some(profile.user_name.clone()),
                    profile.display_name.clone(),
                )
            }),
            role: row.role.map(role_name),
            members: row.member_count,
            unread: row.unread,
            activity: row.activity.as_millis(),
        })?;
        let summary = session.mirror.conversation(row.conversation);
        let preview = summary.and_then(|summary| match (&summary.draft, &summary.preview) {
            (Some(draft), _) => Some(format!("draft: {}", visible::one_line(draft))),
            (None, Some(preview)) => Some(format.preview(preview)),
            (None, None) => None,
        });
        let id = row.conversation.to_string();
        let title = visible::one_line(&title);
        let unread = match row.unread {
            0 => String::new(),
            count => format!("{count} new"),
        };
        let mark = match trust.and_then(Trust::word) {
            _ if sealing::is_open(row.sealing) => "[open] ".to_owned(),
            Some(word) => format!("[{word}] "),
            None => String::new(),
        };
        let line = format!(
            "{}  {}  {:>10}  {}  {mark}{}",
            naming::short(&id, ID_SHOWN),
            visible::pad(&visible::cut(&title, NAME_COLUMNS), NAME_COLUMNS),
            output.clock.short(row.activity, now),
            visible::pad(&unread, 6),
            preview.unwrap_or_default(),
        );
        let line = match output.columns {
            Some(columns) => visible::cut(&line, columns).into_owned(),
            None => line,
        };
        output.people([line.trim_end()])?;
    }
    if rows.is_empty() {
        output.note(
            "no conversations yet: `tidings create USER_NAME` begins one, `tidings invite` brings \
             somebody here",
        );
    }
    Ok(Exit::Done)
}

pub(super) async fn create(session: &mut Session, arguments: Create) -> Result<Exit, Failure> {
    // The conversation may exist already: the other one may have begun it.
    session.catch_up().await?;
    let people = session.persons(&arguments.people).await?;
    let open = arguments.open;
    let command = match (arguments.group, people.as_slice()) {
        (Some(name), _) => Command::CreateGroup { name, members: people, open },
        (None, []) => Command::CreateNotesToSelf { open },
        (None, [with]) => Command::CreateDirect { with: *with, open },
        (None, _) => {
            return Err(Failure::usage("several people make a group: give it a name with --group"));
        }
    };
    let pending = session.queue(command).await?;
    let made = pending.conversation();
    let exit = carry_out(session, pending).await?;
    match session.conversations().await?.into_iter().find(|row| row.conversation == made) {
        // It was there before, perhaps from the other side: its kind is fixed.
        Some(row) if open && !sealing::is_open(row.sealing) => Err(Failure::new(
            Exit::Refused,
            "KIND_IS_FIXED",
            "this conversation is there already and sealed, and stays so: `tidings continue-in-open` \
             makes an open one of its members beside it",
        )),
        Some(row) if !open && sealing::is_open(row.sealing) => Err(Failure::new(
            Exit::Refused,
            "KIND_IS_FIXED",
            "this conversation is there already and open, and stays so: the server can read it. A sealed \
             group with the same people is another one: `tidings create --group NAME PEOPLE`",
        )),
        _ => Ok(exit),
    }
}

/// What the person is asked before an open conversation goes on from a sealed one.
pub(crate) const CONTINUE_IN_OPEN: &str = "This makes a new open group with everybody in it: whatever is said there, the server can read. \
     What was said here stays sealed, and this conversation stays.";

pub(super) async fn continue_in_open(
    session: &mut Session,
    wanted: &str,
    yes: bool,
) -> Result<Exit, Failure> {
    session.connect().await?;
    let conversation = session.conversation(wanted).await?.conversation;
    let question = format!("{CONTINUE_IN_OPEN} Go on?");
    let asked = question::must_confirm(&question, yes);
    session.hear_while(asked).await??;
    let pending = session.queue(Command::ContinueInOpen { conversation }).await?;
    carry_out(session, pending).await
}

pub(super) async fn restart(
    session: &mut Session,
    wanted: &str,
    leave_out: &[String],
) -> Result<Exit, Failure> {
    session.catch_up_or_note().await?;
    let conversation = session.conversation(wanted).await?.conversation;
    let leave_out = session.persons(leave_out).await?;
    let pending = session.queue(Command::RestartGroup { conversation, leave_out }).await?;
    carry_out(session, pending).await
}

pub(super) async fn add(
    session: &mut Session,
    arguments: ConversationAndPeople,
) -> Result<Exit, Failure> {
    session.connect().await?;
    let people = session.persons(&arguments.people).await?;
    change(session, &arguments.conversation, Change::Add(people)).await
}

pub(super) async fn remove(
    session: &mut Session,
    arguments: ConversationAndPeople,
) -> Result<Exit, Failure> {
    session.connect().await?;
    let mut exit = Exit::Done;
    for person in session.persons(&arguments.people).await? {
        match change(session, &arguments.conversation, Change::Remove(person)).await? {
            Exit::Done => {}
            other => exit = other,
        }
    }
    Ok(exit)
}

pub(super) async fn leave(session: &mut Session, conversation: &str) -> Result<Exit, Failure> {
    session.connect().await?;
    change(session, conversation, Change::Leave).await
}

pub(super) async fn rename(
    session: &mut Session,
    conversation: &str,
    name: String,
) -> Result<Exit, Failure> {
    session.connect().await?;
    change(session, conversation, Change::Rename(name)).await
}

pub(super) async fn role(
    session: &mut Session,
    conversation: &str,
    person: &str,
    role: RoleName,
) -> Result<Exit, Failure> {
    session.connect().await?;
    let account = session.person(person).await?;
    change(session, conversation, Change::SetRole(account, role.into())).await
}

async fn change(session: &mut Session, wanted: &str, change: Change) -> Result<Exit, Failure> {
    let conversation = session.conversation(wanted).await?.conversation;
    let pending = session.queue(Command::Change { conversation, change }).await?;
    carry_out(session, pending).await
}

pub(super) async fn members(session: &mut Session, wanted: &str) -> Result<Exit, Failure> {
    session.catch_up_or_note().await?;
    let conversation = session.conversation(wanted).await?.conversation;
    let Outcome::Members(members) = session.ask(Command::Members { conversation }).await? else {
        return Ok(Exit::Done);
    };
    let accounts = members.iter().map(|member| member.profile.account).collect();
    let trust = session.trust(accounts).await?;
    let trust = |member: &Member| trust.get(&member.profile.account).copied().unwrap_or_default();
    let here = members.iter().filter(|member| member.role.is_some());
    session.output.people(here.map(|member| {
        let mark = trust(member).word().map_or_else(String::new, |word| format!("  [{word}]"));
        format!(
            "{}  {}  {}{mark}",
            visible::pad(&member.profile.user_name, NAME_COLUMNS),
            visible::pad(member.role.map_or("", role_name), 6),
            visible::one_line(&member.profile.display_name),
        )
    }))?;
    for member in &members {
        session.output.programs(&MemberRecord::new(member, trust(member)))?;
    }
    Ok(Exit::Done)
}
