//! Signing up, in and out, the account itself, its settings, and invites.

use tidings_client_core::database::Standing;
use tidings_client_core::{Command, Listing, Me, Outcome, SignIn, SignUp, Unsent};
use tidings_protocol_account::{Name, Settings, Value};
use tidings_protocol_identity::{InviteLink, UserName};

use crate::arguments::{self, OnOrOff, PresenceName};
use crate::failure::{Exit, Failure, NOT_LISTED_WORDS, not_signed_in};
use crate::record::{AccountRecord, DONE, InviteRecord};
use crate::secret::{Purpose, password};
use crate::session::Session;
use crate::{server, visible};

pub(super) async fn sign_up(
    session: &mut Session,
    arguments: arguments::SignUp,
) -> Result<Exit, Failure> {
    let link: InviteLink =
        arguments.link.parse().map_err(|error: tidings_protocol_identity::InviteLinkError| {
            Failure::new(Exit::Usage, "INVITE_LINK", error.to_string())
        })?;
    let sign_up = SignUp {
        server: link.server,
        invite: Some(link.token),
        user_name: user_name(&arguments.user_name)?,
        password: password(&arguments.secret, Purpose::SignUp)?,
        display_name: arguments.display_name.unwrap_or_default(),
        device_name: device_name(arguments.device_name),
    };
    let outcome =
        session.ask_server(Command::SignUp(Box::new(sign_up))).await.map_err(|failure| {
            if failure.exit == Exit::NoConnection {
                Failure {
                    message: format!(
                        "{}; run the same command again: it goes on with the same sign-up",
                        failure.message
                    ),
                    ..failure
                }
            } else {
                failure
            }
        })?;
    // Whoever is told of the new account wants to write to it at once.
    session.wait_until_reachable().await?;
    let exit = signed_in(session, outcome).await?;
    session.output.note(
        "write down your recovery key soon: `tidings recovery` shows it. Without it and without a second \
         device, losing this one means beginning anew",
    );
    Ok(exit)
}

pub(super) async fn sign_in(
    session: &mut Session,
    arguments: arguments::SignIn,
) -> Result<Exit, Failure> {
    let former = session.client.read(|database| database.account()).await??;
    let server = match (&arguments.server, &former) {
        (Some(server), _) => server::parse(server)?,
        (None, Some(former)) => former.server.clone(),
        (None, None) => {
            return Err(Failure::usage(
                "no server is known here yet: `tidings sign-in` needs an invite link (a used one \
                 will do) or HOST:PORT",
            ));
        }
    };
    let typed = match (arguments.user_name, &former) {
        (Some(typed), _) => typed,
        (None, Some(former)) => former.user_name.clone(),
        (None, None) => {
            return Err(Failure::usage("--user-name is needed for the first sign-in here"));
        }
    };
    let sign_in = SignIn {
        server,
        user_name: user_name(&typed)?,
        password: password(&arguments.secret, Purpose::SignIn)?,
        device_name: device_name(arguments.device_name),
    };
    let outcome = session.ask_server(Command::SignIn(Box::new(sign_in))).await?;
    let listing = session.known_listing().await.unwrap_or_default();
    let exit = signed_in(session, outcome).await?;
    if listing == Listing::Unlisted {
        session.output.note(NOT_LISTED_WORDS);
    }
    Ok(exit)
}

async fn signed_in(session: &Session, outcome: Outcome) -> Result<Exit, Failure> {
    let Outcome::SignedIn(me) = outcome else { return Err(not_signed_in()) };
    let Me { user_name, administrator, .. } = *me;
    let words = if administrator { " (administrator of the server)" } else { "" };
    let line = format!("signed in as {user_name}{words}");
    session.output.people([line])?;
    session.output.programs(&record(session).await?)?;
    Ok(Exit::Done)
}

pub(super) async fn sign_out(session: &mut Session, discard_unsent: bool) -> Result<Exit, Failure> {
    session.connect().await?;
    let unsent = if discard_unsent { Unsent::Discard } else { Unsent::Keep };
    match session.ask_server(Command::SignOut(unsent)).await {
        Err(failure) if failure.name == "UNSENT" => {
            let count = session.outbox().await?.iter().filter(|row| row.failure.is_none()).count();
            let message = format!(
                "{count} messages are not sent yet: `tidings sync` sends them, `tidings sign-out \
                 --discard-unsent` drops them"
            );
            return Err(Failure { message, ..failure });
        }
        outcome => outcome?,
    };
    session.output.people(["signed out: nothing of the account is left on this device"])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

pub(super) async fn status(session: &mut Session) -> Result<Exit, Failure> {
    let account = session.account().await?;
    let connected = session.catch_up().await?;
    let record = record(session).await?;
    let connection = if connected {
        "connected, and up to date".to_owned()
    } else {
        session.no_connection().await?
    };
    let mut lines = vec![
        format!("{} ({})", record.user_name, visible::one_line(&account.display_name)),
        format!("server      {}", record.server),
        format!("connection  {connection}"),
        format!("presence    {}", record.presence),
        format!("receipts    {}", receipts_words(record.read_receipts)),
        format!("backup      {}", backup_words(record.backup)),
        format!("to be sent  {}", record.waiting),
    ];
    if let Some(reason) = session.mirror.outbox_held.as_ref().filter(|_| connected) {
        lines.push(format!("held        {}", visible::one_line(reason)));
    }
    if record.linked == Some(false) {
        lines
            .push("sealed      not readable here: `tidings link`, or `tidings recover`".to_owned());
    }
    if record.recovery_key_here {
        lines.push("recovery    not written down yet: `tidings recovery`".to_owned());
    }
    if record.refused > 0 {
        lines.push(format!("refused     {} (`tidings unsent` tells why)", record.refused));
    }
    session.output.people(lines)?;
    session.output.programs(&record)?;
    Ok(if account.standing == Standing::SignedOut { Exit::NotSignedIn } else { Exit::Done })
}

async fn record(session: &Session) -> Result<AccountRecord, Failure> {
    let account = session.account().await?;
    let outbox = session.outbox().await?;
    let refused = outbox.iter().filter(|row| row.failure.is_some()).count();
    let (settings, identity) = session
        .client
        .read(|database| {
            let kept = database.account_value(&Name::Settings.to_bytes())?;
            Ok((kept, database.identity()?))
        })
        .await??;
    let settings = match settings.map(|kept| Value::decode(&kept)) {
        Some(Ok(Value::Settings(settings))) => settings,
        _ => Settings::default(),
    };
    Ok(AccountRecord {
        r#type: "account",
        account: account.account.map(|account| account.to_string()),
        user_name: account.user_name,
        display_name: account.display_name,
        administrator: account.administrator,
        device: account.device.to_string(),
        server: account.server.authority(),
        standing: match account.standing {
            Standing::SigningUp(_) => "signing_up",
            Standing::SignedIn | Standing::MustReadFirst => "signed_in",
            Standing::SignedOut => "signed_out",
        },
        presence: if account.hidden { "hidden" } else { "online" },
        read_receipts: !settings.no_read_receipts,
        backup: !settings.no_backup,
        linked: match session.mirror.listing {
            Listing::Unknown => None,
            Listing::Listed => Some(true),
            Listing::Unlisted => Some(false),
        },
        recovery_key_here: identity.is_some_and(|identity| identity.recovery.is_some()),
        waiting: outbox.len() - refused,
        refused,
    })
}

pub(super) async fn display_name(session: &mut Session, name: String) -> Result<Exit, Failure> {
    session.connect().await?;
    session.ask_server(Command::SetDisplayName { display_name: name }).await?;
    session.output.people(["done"])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

/// Keeps whether this device is hidden. The server hears of it when the device is connected.
pub(super) async fn presence(
    session: &mut Session,
    presence: PresenceName,
) -> Result<Exit, Failure> {
    let hidden = presence == PresenceName::Hidden;
    session.ask(Command::SetPresence { hidden }).await?;
    session.output.people([presence_words(hidden)])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

/// What a presence means from now on.
pub(crate) fn presence_words(hidden: bool) -> &'static str {
    if hidden {
        "hidden: nobody sees that you are here, and you do not see who else is"
    } else {
        "online: others see that you are here, and you see them"
    }
}

/// Keeps whether others are told what is read. The account's other devices follow.
pub(super) async fn read_receipts(session: &mut Session, sent: OnOrOff) -> Result<Exit, Failure> {
    let sent = sent == OnOrOff::On;
    session.ask(Command::SetReadReceipts { sent }).await?;
    session.output.people([receipts_words(sent)])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

/// Keeps whether there is a recovery backup. The account's other devices follow.
pub(super) async fn backup(session: &mut Session, kept: OnOrOff) -> Result<Exit, Failure> {
    let kept = kept == OnOrOff::On;
    session.ask(Command::SetBackup { kept }).await?;
    session.output.people([backup_words(kept)])?;
    session.output.programs(&DONE)?;
    Ok(Exit::Done)
}

fn backup_words(kept: bool) -> &'static str {
    if kept {
        "on: the recovery key brings back what was said, too"
    } else {
        "off: what was said is on your devices alone"
    }
}

fn receipts_words(sent: bool) -> &'static str {
    if sent { "on: others see what you have read" } else { "off: nobody sees what you have read" }
}

pub(super) async fn invite(session: &mut Session) -> Result<Exit, Failure> {
    session.connect().await?;
    let Outcome::Invite { link, expires_at } = session.ask_server(Command::Invite).await? else {
        return Ok(Exit::Done);
    };
    let output = &session.output;
    output.people([link.to_string()])?;
    output.note(&format!(
        "for one new account, until {}; send it over a channel that you trust",
        output.clock.day_and_time(expires_at)
    ));
    output.programs(&InviteRecord {
        r#type: "invite",
        link: link.to_string(),
        expires: expires_at.as_millis(),
    })?;
    Ok(Exit::Done)
}

fn user_name(typed: &str) -> Result<UserName, Failure> {
    UserName::parse(typed)
        .map_err(|error| Failure::new(Exit::Usage, "USER_NAME", format!("`{typed}`: {error}")))
}

/// The name of this device in the list of devices.
fn device_name(given: Option<String>) -> String {
    given.unwrap_or_else(|| match gethostname::gethostname().into_string() {
        Ok(host) if !host.is_empty() => format!("terminal on {host}"),
        _ => "terminal".to_owned(),
    })
}
