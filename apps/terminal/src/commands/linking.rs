//! Linking a device: the new one shows a code, an old one is given it, and both persons say yes.

use std::time::Duration;

use tidings_client_core::{Command, Device, Listing, Notice, Outcome};
use tidings_model::{DeviceId, Timestamp};
use tidings_protocol_linking::LinkCode;
use tokio::time::{Instant, timeout};

use super::devices;
use super::identity::came_in;
use crate::arguments::Link;
use crate::failure::{Exit, Failure};
use crate::mirror::LinkNews;
use crate::naming::{self, DEVICE};
use crate::question;
use crate::record::{DONE, LinkCodeRecord};
use crate::session::Session;
use crate::{notice, qr, visible, when};

/// Codes that are shown one after the other, a minute each. Past it the person has gone away.
const CODES_SHOWN_MAX: usize = 10;

/// How long the old device waits for the new one's person to say yes as well. Past it the new one is
/// linked as soon as they do.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// How long nothing may be heard of the history before the new device waits for it no longer: more than
/// the client takes to say that the other device does not answer.
const HISTORY_SILENCE: Duration = Duration::from_secs(20);

pub(super) async fn link(session: &mut Session, arguments: Link) -> Result<Exit, Failure> {
    session.connect().await?;
    let listing = session.known_listing().await?;
    match (arguments.code, listing) {
        (None, Listing::Listed) => Err(Failure::usage(
            "this device is linked already. Run `tidings link` on the new device, and here `tidings link \
             CODE` with the code that it shows",
        )),
        (None, _) => show_code(session, arguments.yes).await,
        (Some(_), Listing::Unlisted) => Err(crate::failure::not_listed()),
        (Some(code), _) => {
            let code = read_code(&code)?;
            give_code(session, code, arguments.device.as_deref(), arguments.yes).await
        }
    }
}

/// The new device: shows codes until one is used, and takes what the old device gives.
async fn show_code(session: &mut Session, yes: bool) -> Result<Exit, Failure> {
    if !yes && !question::can_ask() {
        return Err(Failure::usage(
            "this device's person is asked before it is linked, and there is no terminal to ask on: say \
             --yes if you mean it",
        ));
    }
    for _ in 0..CODES_SHOWN_MAX {
        session.mirror.link = None;
        let Outcome::LinkCode { code, expires_at } =
            session.ask_server(Command::ShowLinkCode).await?
        else {
            break;
        };
        show(session, &code, expires_at)?;
        let left = expires_at.since(when::now());
        let deadline = Instant::now() + left;
        session.wait_until(deadline, |mirror| mirror.link.is_some()).await?;
        match session.mirror.link.take() {
            Some(LinkNews::Offered { by }) => {
                if take_offer(session, by, yes).await? {
                    let words = "linked: this device reads what is said from now on";
                    let exit = came_in(session, words).await?;
                    take_history(session).await?;
                    return Ok(exit);
                }
            }
            Some(LinkNews::Failed { reason }) => {
                session.output.note(&format!("tidings: {}", visible::one_line(&reason)));
            }
            Some(LinkNews::Ended { .. }) | None => {}
        }
        if let Some(failure) = session.cannot_connect() {
            return Err(failure);
        }
    }
    Err(Failure::new(
        Exit::NoConnection,
        "TIMED_OUT",
        "nobody has given the code to another device: run `tidings link` again when you have one at hand",
    ))
}

fn show(session: &Session, code: &LinkCode, expires_at: Timestamp) -> Result<(), Failure> {
    let output = &session.output;
    output.programs(&LinkCodeRecord {
        r#type: "link_code",
        code: code.to_string(),
        scan: code.to_scan(),
        expires: expires_at.as_millis(),
    })?;
    if let Some(rows) = output.columns.and_then(|columns| qr::rows(&code.to_scan(), columns)) {
        output.people(rows)?;
    }
    output
        .people([format!("the code of this device: {}", output.style.bold(&code.to_string()))])?;
    let until = output.clock.time(expires_at);
    let words = format!(
        "on a device of yours that is linked: `tidings link {code}` (until {until}, then another code)"
    );
    output.people(output.broken(&words, 0))?;
    Ok(())
}

/// Asks this device's person about the device that links it; `false` when that has gone away.
async fn take_offer(session: &mut Session, by: DeviceId, yes: bool) -> Result<bool, Failure> {
    let name = name_of(session, by).await?;
    let question = format!("“{name}” links this device. Is that a device of yours?");
    match answered(session, &question, yes).await? {
        Answered::Yes => {}
        Answered::No => {
            session.ask_server(Command::AnswerLink { accepted: false }).await?;
            return Err(question::declined());
        }
        Answered::GoneAway => {
            session.output.note("tidings: the other device has gone away");
            return Ok(false);
        }
    }
    session.ask_server(Command::AnswerLink { accepted: true }).await?;
    Ok(true)
}

/// Tells how the history comes from the other device, for as long as that gives it. The rest comes with any
/// later connection.
async fn take_history(session: &mut Session) -> Result<(), Failure> {
    loop {
        while let Some(notice) = session.notices.pop_front() {
            let people = session.people().await?;
            if let Some(words) = notice::words(&notice, &people) {
                session.output.note(&words);
            }
            let is_over = matches!(
                notice,
                Notice::HistoryEnded { .. } | Notice::HistoryComes { waits: true, .. }
            );
            if is_over {
                return Ok(());
            }
        }
        let told = timeout(HISTORY_SILENCE, session.events.next()).await;
        match told {
            Ok(told) => session.absorb(told).await?,
            Err(_) => return Ok(()),
        }
    }
}

async fn name_of(session: &mut Session, device: DeviceId) -> Result<String, Failure> {
    let devices = devices::all(session).await?;
    let name = devices.into_iter().find(|of| of.device == device).map(|of| of.name);
    Ok(visible::one_line(&name.unwrap_or_else(|| device.to_string())).into_owned())
}

/// The old device: is given the code that the new one shows.
async fn give_code(
    session: &mut Session,
    code: LinkCode,
    wanted: Option<&str>,
    yes: bool,
) -> Result<Exit, Failure> {
    if !yes && !question::can_ask() {
        return Err(Failure::usage(
            "the new device would read everything that you can read, and there is no terminal to ask on: \
             say --yes if you mean it",
        ));
    }
    let name = prove(session, code, wanted).await?;
    match answered(session, &format!("{}.", link_words(&name)), yes).await? {
        Answered::Yes => {}
        Answered::No => {
            session.ask_server(Command::AnswerLink { accepted: false }).await?;
            return Err(question::declined());
        }
        Answered::GoneAway => return Err(gone_away(&name)),
    }
    session.ask_server(Command::AnswerLink { accepted: true }).await?;
    session.output.note(&format!("“{name}” asks its person, too …"));
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    session.wait_until(deadline, |mirror| mirror.link.is_some()).await?;
    match session.mirror.link.take() {
        Some(LinkNews::Ended { completed: true }) => {}
        Some(_) => return Err(Failure::new(Exit::Refused, "NOT_LINKED", ended_words(false))),
        None => {
            let words = format!(
                "“{name}” has not answered yet: say yes there as well. `tidings devices` tells whether it \
                 is linked"
            );
            return Err(Failure::new(Exit::NoConnection, "TIMED_OUT", words));
        }
    }
    session.output.people([ended_words(true)])?;
    session.output.note(
        "what was said before comes to it from this device, while this one is connected: leave `tidings \
         chat` or `tidings follow` running for a while",
    );
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

/// Lets the new device prove that it shows a code; gives its name, for the question that follows.
pub(crate) async fn prove(
    session: &mut Session,
    code: LinkCode,
    wanted: Option<&str>,
) -> Result<String, Failure> {
    let waiting = devices::all(session).await?;
    let waiting = waiting.into_iter().filter(|of| !of.is_listed && !of.this_device).collect();
    let device = choose(waiting, wanted)?;
    let name = visible::one_line(&device.name).into_owned();
    session.mirror.link = None;
    let link = Command::Link { device: device.device, code };
    session.ask_server(link).await.map_err(|failure| no_answer(failure, &name))?;
    Ok(name)
}

/// Reads a code as a person has typed or scanned it.
pub(crate) fn read_code(typed: &str) -> Result<LinkCode, Failure> {
    typed.parse().map_err(|error: tidings_protocol_linking::LinkError| {
        Failure::new(Exit::Usage, "LINK_CODE", error.to_string())
    })
}

/// What the old device's person is asked.
pub(crate) fn link_words(name: &str) -> String {
    format!("link “{name}”? It will read everything that you can read")
}

/// What became of a link on the old device.
pub(crate) fn ended_words(completed: bool) -> &'static str {
    match completed {
        true => "linked: the new device reads what is said from now on",
        false => "the new device was not linked: its person said no, or it has gone away",
    }
}

/// The device that is meant, out of those that are signed in and not linked.
fn choose(waiting: Vec<Device>, wanted: Option<&str>) -> Result<Device, Failure> {
    let mut candidates = devices::candidates(waiting);
    if let Some(wanted) = wanted {
        return Ok(naming::resolve(DEVICE, wanted, candidates)?);
    }
    match candidates.len() {
        0 => Err(Failure::new(
            Exit::Usage,
            "UNKNOWN_NAME",
            "no device waits to be linked: sign in on the new one (`tidings sign-in`), then `tidings link` \
             there shows a code",
        )),
        1 => Ok(candidates.remove(0).item),
        _ => {
            let list = naming::list(DEVICE, &candidates);
            let words = format!("several devices wait to be linked, name one with --device:{list}");
            Err(Failure::new(Exit::Usage, "AMBIGUOUS_NAME", words))
        }
    }
}

/// What became of a question while the other device may go away.
enum Answered {
    Yes,
    No,
    GoneAway,
}

/// Asks this device's person, unless the other device gives up meanwhile.
async fn answered(session: &mut Session, question: &str, yes: bool) -> Result<Answered, Failure> {
    if yes {
        return Ok(Answered::Yes);
    }
    let ends = |news: &Option<LinkNews>| {
        matches!(news, Some(LinkNews::Ended { completed: false } | LinkNews::Failed { .. }))
    };
    let mut asked = std::pin::pin!(question::yes(question));
    loop {
        tokio::select! {
            answer = &mut asked => {
                return Ok(if answer? { Answered::Yes } else { Answered::No });
            }
            told = session.events.next() => {
                session.absorb(told).await?;
                if ends(&session.mirror.link) {
                    return Ok(Answered::GoneAway);
                }
            }
        }
    }
}

/// A device that shows no code does not answer.
fn no_answer(failure: Failure, name: &str) -> Failure {
    if failure.name != "TIMED_OUT" {
        return failure;
    }
    let message = format!(
        "“{name}” does not answer: is `tidings link` running there, and does it show this code?"
    );
    Failure { message, ..failure }
}

fn gone_away(name: &str) -> Failure {
    let words = format!("“{name}” has gone away: begin again with a new code");
    Failure::new(Exit::Refused, "NOT_LINKED", words)
}
