//! The device's account: one row.

use bytes::Bytes;
use rusqlite::{Connection, Result, params};
use tidings_client_core::database::{AccountRow, Standing};
use tidings_protocol_identity::{DeviceToken, ServerAddress, Transport};

use crate::columns::Columns;
use crate::statement;

const SIGNING_UP: u8 = 1;
const SIGNED_IN: u8 = 2;
const MUST_READ_FIRST: u8 = 3;
const SIGNED_OUT: u8 = 4;

pub(crate) fn put(connection: &Connection, row: &AccountRow) -> Result<()> {
    let (tls, certificate_sha256) = match row.server.transport() {
        Transport::Tls { certificate_sha256 } => (true, certificate_sha256),
        Transport::Plain => (false, None),
    };
    let (standing, sign_up) = match &row.standing {
        Standing::SigningUp(request) => (SIGNING_UP, Some(request.as_ref())),
        Standing::SignedIn => (SIGNED_IN, None),
        Standing::MustReadFirst => (MUST_READ_FIRST, None),
        Standing::SignedOut => (SIGNED_OUT, None),
    };
    statement::change(
        connection,
        "INSERT OR REPLACE INTO account
         (id, host, port, tls, certificate_sha256, account, device, token, user_name,
          display_name, administrator, standing, sign_up, resume_counter, receipts_since,
          hidden)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            row.server.host(),
            row.server.port(),
            tls,
            certificate_sha256,
            row.account.as_ref().map(|account| account.as_bytes()),
            row.device.as_bytes(),
            row.token.as_bytes(),
            row.user_name,
            row.display_name,
            row.administrator,
            standing,
            sign_up,
            row.resume_counter.cast_signed(),
            row.receipts_since.as_millis(),
            row.hidden,
        ],
    )?;
    Ok(())
}

pub(crate) fn read(connection: &Connection) -> Result<Option<AccountRow>> {
    statement::first(
        connection,
        "SELECT host, port, tls, certificate_sha256, account, device, token, user_name,
                display_name, administrator, standing, sign_up, resume_counter, receipts_since,
                hidden
         FROM account",
        [],
        |columns| {
            Ok(AccountRow {
                server: server(columns)?,
                account: columns.take()?,
                device: columns.take()?,
                token: DeviceToken::from_entropy(columns.take()?),
                user_name: columns.take()?,
                display_name: columns.take()?,
                administrator: columns.take()?,
                standing: standing(columns)?,
                resume_counter: columns.take()?,
                receipts_since: columns.take()?,
                hidden: columns.take()?,
            })
        },
    )
}

fn server(columns: &mut Columns<'_>) -> Result<ServerAddress> {
    let (host, port): (String, u16) = (columns.take()?, columns.take()?);
    let transport = match (columns.take()?, columns.take()?) {
        (true, certificate_sha256) => Transport::Tls { certificate_sha256 },
        (false, None) => Transport::Plain,
        (false, Some(_)) => return Err(columns.malformed()),
    };
    ServerAddress::new(&host, port, transport).map_err(|_| columns.malformed())
}

fn standing(columns: &mut Columns<'_>) -> Result<Standing> {
    match (columns.take()?, columns.take::<Option<Bytes>>()?) {
        (SIGNING_UP, Some(request)) => Ok(Standing::SigningUp(request)),
        (SIGNED_IN, None) => Ok(Standing::SignedIn),
        (MUST_READ_FIRST, None) => Ok(Standing::MustReadFirst),
        (SIGNED_OUT, None) => Ok(Standing::SignedOut),
        _ => Err(columns.malformed()),
    }
}
