//! The commands: one function each, from what was typed to what is printed and the exit code.

pub(crate) mod account;
pub(crate) mod conversations;
mod devices;
mod follow;
mod identity;
pub(crate) mod linking;
mod messages;
pub(crate) mod reading;
pub(crate) mod verification;

use crate::arguments::{Arguments, Command};
use crate::chat;
use crate::failure::{Exit, Failure};
use crate::session::{Delivery, Pending, Session};
use crate::{naming, record};

/// Carries a command out.
pub(crate) async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let mut session = Session::open(&arguments.shared).await?;
    let outcome = dispatch(&mut session, arguments.command).await;
    session.close().await;
    outcome
}

async fn dispatch(session: &mut Session, command: Command) -> Result<Exit, Failure> {
    if !matches!(command, Command::SignUp(_) | Command::SignIn(_)) {
        session.account().await?;
    }
    match command {
        Command::SignUp(arguments) => account::sign_up(session, arguments).await,
        Command::SignIn(arguments) => account::sign_in(session, arguments).await,
        Command::SignOut { discard_unsent } => account::sign_out(session, discard_unsent).await,
        Command::Status => account::status(session).await,
        Command::DisplayName { name } => account::display_name(session, name).await,
        Command::Presence { presence } => account::presence(session, presence).await,
        Command::Invite => account::invite(session).await,
        Command::ReadReceipts { sent } => account::read_receipts(session, sent).await,
        Command::Backup { kept } => account::backup(session, kept).await,
        Command::Devices { act } => devices::devices(session, act).await,
        Command::Link(arguments) => linking::link(session, arguments).await,
        Command::Verify(arguments) => verification::verify(session, arguments).await,
        Command::Recovery { confirm } => identity::recovery(session, confirm).await,
        Command::Recover => identity::recover(session).await,
        Command::BeginAnew { yes } => identity::begin_anew(session, yes).await,
        Command::Conversations => conversations::list(session).await,
        Command::Create(arguments) => conversations::create(session, arguments).await,
        Command::Add(arguments) => conversations::add(session, arguments).await,
        Command::Remove(arguments) => conversations::remove(session, arguments).await,
        Command::ContinueInOpen { conversation, yes } => {
            conversations::continue_in_open(session, &conversation, yes).await
        }
        Command::Restart { conversation, leave_out } => {
            conversations::restart(session, &conversation, &leave_out).await
        }
        Command::Leave { conversation } => conversations::leave(session, &conversation).await,
        Command::Rename { conversation, name } => {
            conversations::rename(session, &conversation, name).await
        }
        Command::Role { conversation, person, role } => {
            conversations::role(session, &conversation, &person, role).await
        }
        Command::Members { conversation } => conversations::members(session, &conversation).await,
        Command::Send(arguments) => messages::send(session, arguments).await,
        Command::Edit(arguments) => messages::edit(session, arguments).await,
        Command::Delete(arguments) => messages::delete(session, arguments).await,
        Command::React(arguments) => messages::react(session, arguments).await,
        Command::Sync => messages::sync(session).await,
        Command::Unsent { act } => messages::unsent(session, act).await,
        Command::Read(arguments) => reading::read(session, arguments).await,
        Command::Search(arguments) => reading::search(session, arguments).await,
        Command::Follow(arguments) => follow::follow(session, arguments).await,
        Command::Chat { conversation } => chat::chat(session, conversation.as_deref()).await,
    }
}

/// Waits for the answer to what was handed over, tells what became of it, and how the program ends.
async fn deliver(session: &mut Session, pending: Pending) -> Result<Exit, Failure> {
    let deadline = session.deadline();
    let delivery = session.wait_for(pending, deadline).await?;
    report(session, &delivery).await
}

/// As [`deliver`], and waits until nothing of the conversation is left to do: until the people are in it who
/// were meant to be.
async fn carry_out(session: &mut Session, pending: Pending) -> Result<Exit, Failure> {
    let conversation = pending.conversation();
    let exit = deliver(session, pending).await?;
    if exit == Exit::Done && !session.wait_until_carried_out(conversation).await? {
        let words = session.queued_words(conversation).await?;
        session.output.note(&format!("tidings: not everybody is in it yet: {words}"));
        return Ok(Exit::Queued);
    }
    Ok(exit)
}

async fn report(session: &Session, delivery: &Delivery) -> Result<Exit, Failure> {
    let output = &session.output;
    match *delivery {
        Delivery::Accepted { conversation, message_id, seq } => {
            output.programs(&record::DeliveryRecord::accepted(conversation, message_id, seq))?;
            let id = message_id.to_string();
            output.people([format!("✓ {}", naming::short(&id, naming::MESSAGE_ID_SHOWN))])?;
            Ok(Exit::Done)
        }
        Delivery::Queued { conversation, message_id } => {
            let reason = session.waits_because(conversation).await?;
            output.programs(&record::DeliveryRecord::queued(conversation, message_id, &reason))?;
            output.note(&format!("tidings: {}", session.queued_words(conversation).await?));
            Ok(session.exit_of_queued())
        }
    }
}
