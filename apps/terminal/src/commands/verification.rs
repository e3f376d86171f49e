//! Comparing safety numbers: the one check that no server stands between two people.

use tidings_client_core::{Command, Outcome};
use tidings_model::AccountId;
use tidings_protocol_mls::SafetyNumber;

use crate::arguments::Verify;
use crate::failure::{Exit, Failure};
use crate::people::People;
use crate::record::{PersonRecord, SafetyNumberRecord};
use crate::session::Session;

/// Groups of digits on a line: twelve make four lines.
const GROUPS_PER_LINE: usize = 3;

pub(super) async fn verify(session: &mut Session, arguments: Verify) -> Result<Exit, Failure> {
    session.connect().await?;
    let account = session.person(&arguments.person).await?;
    let verified = match (arguments.confirm, arguments.undo) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        (false, false) => None,
    };
    let lines = compare(session, account, verified, Spoken::Command).await?;
    let output = &session.output;
    output.people(lines.iter().flat_map(|line| output.broken(line, 0)))?;
    Ok(Exit::Done)
}

/// Where the person says that they have compared a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// On the command line.
    Command,
    /// In a chat.
    Slash,
}

/// Shows the safety number with somebody, after keeping that it was compared, or that it was not, where
/// the person says so.
pub(crate) async fn compare(
    session: &mut Session,
    account: AccountId,
    verified: Option<bool>,
    spoken: Spoken,
) -> Result<Vec<String>, Failure> {
    if session.people().await?.is_me(account) {
        return Err(Failure::usage(
            "a safety number is with somebody else: `tidings devices` lists your own devices",
        ));
    }
    // The number comes first: keeping a mark needs the list that it is made of.
    let (number, _) = number_with(session, account).await?;
    if let Some(verified) = verified {
        session.ask(Command::Verify { account, verified }).await?;
    }
    let (same, is_verified) = number_with(session, account).await?;
    if same != number {
        return Err(Failure::new(
            Exit::Refused,
            "IDENTITY_CHANGED",
            "the safety number has changed just now: look at it again before you say anything of it",
        ));
    }
    let people = session.people().await?;
    session.output.programs(&SafetyNumberRecord {
        r#type: "safety_number",
        with: person(&people, account),
        number: number.to_string(),
        verified: is_verified,
    })?;
    let mut lines = vec![format!("the safety number of you and {}:", people.name(account))];
    lines.extend(digits(&number));
    lines.push(advice(&people, account, verified, is_verified, spoken));
    Ok(lines)
}

async fn number_with(
    session: &mut Session,
    account: AccountId,
) -> Result<(SafetyNumber, bool), Failure> {
    match session.ask_server(Command::SafetyNumber { account }).await? {
        Outcome::SafetyNumber { number, verified } => Ok((number, verified)),
        _ => Err(tidings_client_native::ClientGone.into()),
    }
}

fn person(people: &People, account: AccountId) -> PersonRecord {
    let profile = people.profile(account);
    PersonRecord::new(
        account.to_string(),
        profile.map(|profile| profile.user_name.clone()),
        profile.map_or_else(String::new, |profile| profile.display_name.clone()),
    )
}

/// The number in lines of equal length, as it is read aloud.
fn digits(number: &SafetyNumber) -> Vec<String> {
    let groups: Vec<String> = number.groups().collect();
    groups.chunks(GROUPS_PER_LINE).map(|line| format!("  {}", line.join(" "))).collect()
}

/// What to do now.
fn advice(
    people: &People,
    account: AccountId,
    said: Option<bool>,
    is_verified: bool,
    spoken: Spoken,
) -> String {
    let name = people.name(account);
    let (confirm, undo) = match spoken {
        Spoken::Command => {
            let command = format!("tidings verify {}", people.user_name(account));
            (format!("{command} --confirm"), format!("{command} --undo"))
        }
        Spoken::Slash => ("/verify confirm".to_owned(), "/verify undo".to_owned()),
    };
    match (said, is_verified) {
        (Some(_), true) => format!("{name} is verified: you are told if this number ever changes"),
        (None, true) => {
            format!("{name} is verified: you have compared it. `{undo}` takes that back")
        }
        (Some(_), false) => format!("{name} is not verified any more"),
        (None, false) => format!(
            "Compare all of it with {name}, on a call or side by side, not in a chat. The same: \
             `{confirm}`. Not the same: somebody reads along, do not go on here"
        ),
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::{DeviceId, Timestamp};
    use tidings_protocol_mls::{DeviceList, SecretKey};

    use super::*;

    fn list(seed: u8) -> DeviceList {
        let key = SecretKey::from_seed(&[seed; 32]);
        let (account, device) =
            (AccountId::from_bytes([seed; 16]), DeviceId::from_bytes([seed; 16]));
        DeviceList::found(account, device, &key, key.public(), Timestamp::from_millis(0))
    }

    #[test]
    fn number_stands_in_four_lines_of_three_groups() {
        let number = SafetyNumber::between(&list(1), &list(2));
        let lines = digits(&number);
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| line.trim().split(' ').count() == 3), "{lines:?}");
        let together: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
        assert_eq!(together.join(" "), number.to_string());
    }
}
