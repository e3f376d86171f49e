//! The recovery key, and the two ways of a device without a sibling into its account: that key, or a
//! new identity.

use std::io::{self, IsTerminal as _, Read as _};

use crossterm::cursor::MoveTo;
use crossterm::terminal::{Clear, ClearType};
use tidings_client_core::{Command, Listing, Outcome};
use tidings_protocol_identity::RecoveryKey;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::question;
use crate::record::{DONE, RecoveryKeyRecord};
use crate::session::Session;

/// Groups of the key on a line: nine make three lines.
const GROUPS_PER_LINE: usize = 3;

pub(super) async fn recovery(session: &mut Session, confirm: bool) -> Result<Exit, Failure> {
    if session.mirror.listing == Listing::Unknown {
        // The key is told once it is the account's: with the first entry of its device list.
        session.connect().await?;
        session.known_listing().await?;
    }
    if confirm {
        let typed = typed_key().await?;
        return confirm_key(session, typed).await;
    }
    let Outcome::RecoveryKey(key) = session.ask(Command::RecoveryKey).await? else {
        return Ok(Exit::Done);
    };
    let text = Zeroizing::new(key.to_text());
    session.output.programs(&RecoveryKeyRecord { r#type: "recovery_key", key: &text })?;
    session.output.people(["your recovery key:"])?;
    session.output.people(lines(&text).iter().map(|line| line.as_str()))?;
    let rehearses = question::can_ask() && io::stdout().is_terminal() && !session.output.json;
    if !rehearses {
        session.output.note(
            "Write it down and keep it where you keep a passport: it brings your account back when all \
             your devices are gone, and whoever has it can do the same. It is forgotten here once you \
             have typed it in: `tidings recovery --confirm`",
        );
        return Ok(Exit::Done);
    }
    rehearse(session).await
}

/// Lets the person write the key down, takes it off the screen and asks for it.
async fn rehearse(session: &mut Session) -> Result<Exit, Failure> {
    session.output.note(
        "Write it down on paper and keep it where you keep a passport: it brings your account back when \
         all your devices are gone, and whoever has it can do the same.",
    );
    let pause = question::line("Enter: it is taken off the screen, and you type it in once. ");
    session.hear_while(pause).await??;
    crossterm::execute!(
        io::stdout(),
        Clear(ClearType::All),
        Clear(ClearType::Purge),
        MoveTo(0, 0)
    )?;
    let typed = typed_key().await?;
    confirm_key(session, typed).await
}

async fn confirm_key(session: &mut Session, key: RecoveryKey) -> Result<Exit, Failure> {
    session.ask(Command::ConfirmRecoveryKey { key }).await?;
    let words = "confirmed: what you have written down is right, and this device has forgotten it";
    session.output.people([words])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

/// The key as a person types it, or as standard input has it. Never an argument: other people on the
/// machine see those.
async fn typed_key() -> Result<RecoveryKey, Failure> {
    let typed = if question::can_ask() {
        question::line("recovery key: ").await?
    } else {
        let mut typed = Zeroizing::new(String::new());
        io::stdin().lock().read_to_string(&mut typed)?;
        typed
    };
    typed.parse().map_err(|error: tidings_protocol_identity::RecoveryKeyError| {
        Failure::new(Exit::Usage, "RECOVERY_KEY", error.to_string())
    })
}

/// The key in lines of equal length, as it is copied by hand.
fn lines(text: &str) -> Vec<Zeroizing<String>> {
    let groups: Vec<&str> = text.split(' ').collect();
    let line = |groups: &[&str]| Zeroizing::new(format!("  {}", groups.join(" ")));
    groups.chunks(GROUPS_PER_LINE).map(line).collect()
}

pub(super) async fn recover(session: &mut Session) -> Result<Exit, Failure> {
    session.connect().await?;
    session.known_listing().await?;
    let asked = typed_key();
    let key = session.hear_while(asked).await??;
    session.ask_server(Command::Recover { key }).await?;
    came_in(session, "this device is one of your account's now").await
}

pub(super) async fn begin_anew(session: &mut Session, yes: bool) -> Result<Exit, Failure> {
    session.connect().await?;
    if session.known_listing().await? == Listing::Listed {
        return Err(tidings_client_core::Failure::AlreadyListed.into());
    }
    let question = "Begin anew? Your other devices are signed out for good, what was sealed before stays \
                    closed, whoever has compared safety numbers with you has to do so again, and \
                    everybody whom you talk to is told. If a device of yours still works: `tidings link` \
                    is better; if you have the recovery key: `tidings recover`.";
    let asked = question::must_confirm(question, yes);
    session.hear_while(asked).await??;
    session.ask_server(Command::BeginAnew).await?;
    came_in(session, "a new identity has begun. Its recovery key is new: `tidings recovery`").await
}

/// The device is listed: it is done when others can reach it.
pub(super) async fn came_in(session: &mut Session, words: &str) -> Result<Exit, Failure> {
    let deadline = session.deadline();
    session.wait_until(deadline, |mirror| mirror.listing == Listing::Listed).await?;
    session.wait_until_reachable().await?;
    session.output.people([words])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_stands_in_three_lines_and_is_read_back_from_them() {
        let key = RecoveryKey::new([7; 32], &[3; 32]);
        let lines = lines(&key.to_text());
        assert_eq!(lines.len(), 3);
        let copied: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
        assert_eq!(copied.join("\n").parse(), Ok(key));
    }
}
