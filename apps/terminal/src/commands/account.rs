//! Signing up, in and out, the account itself, invites and devices.

use tidings_client_core::database::Standing;
use tidings_client_core::{Command, Me, Outcome, SignIn, SignUp, Unsent};
use tidings_protocol_identity::{InviteLink, UserName};

use crate::arguments::{self, DevicesAct, PresenceName};
use crate::failure::{Exit, Failure, not_signed_in};
use crate::naming::{self, Candidate, DEVICE, ID_SHOWN};
use crate::record::{AccountRecord, DONE, DeviceRecord, InviteRecord};
use crate::secret::{Purpose, password};
use crate::session::Session;
use crate::{server, visible, when};

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
    signed_in(session, outcome).await
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
    signed_in(session, outcome).await
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
        format!("to be sent  {}", record.waiting),
    ];
    if let Some(reason) = session.mirror.outbox_held.as_ref().filter(|_| connected) {
        lines.push(format!("held        {}", visible::one_line(reason)));
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

pub(super) async fn devices(
    session: &mut Session,
    act: Option<DevicesAct>,
) -> Result<Exit, Failure> {
    session.connect().await?;
    let Outcome::Devices(devices) = session.ask_server(Command::ListDevices).await? else {
        return Ok(Exit::Done);
    };
    let Some(DevicesAct::Revoke { id }) = act else {
        let clock = &session.output.clock;
        session.output.people(devices.iter().map(|device| {
            let id = device.device.to_string();
            format!(
                "{}  {}  last seen {}{}",
                naming::short(&id, ID_SHOWN),
                visible::pad(&visible::one_line(&device.name), 20),
                clock.short(device.last_seen, when::now()),
                if device.this_device { "  this device" } else { "" },
            )
        }))?;
        for device in &devices {
            session.output.programs(&DeviceRecord::from(device))?;
        }
        return Ok(Exit::Done);
    };
    let candidates = devices
        .into_iter()
        .map(|device| Candidate {
            item: device.device,
            id: device.device.to_string(),
            names: vec![device.name.clone()],
            description: device.name,
        })
        .collect();
    let device = naming::resolve(DEVICE, &id, candidates)?;
    session.ask_server(Command::RevokeDevice { device }).await?;
    session.output.people(["signed out"])?;
    session.output.programs(&DONE)?;
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
