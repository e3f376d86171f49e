//! The invite of the first account, which becomes the administrator's: made at the first start, printed
//! at each start until it is used.
//!
//! Until then it stands in the data folder as it was made, so that a link that somebody has copied
//! already is still good after a restart.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use tidings_messaging::limits::INVITE_LASTS;
use tidings_messaging::store::{
    AccountOperation, AccountQuery, Answer, InviteHash, Operation, Query, Reader, Writer,
};
use tidings_model::{Now, Timestamp};
use tidings_protocol_identity::{InviteLink, InviteToken, ServerAddress};

use crate::clock::entropy;
use crate::tls::write_secret;

/// The invite, as text, with the end of its life in milliseconds since 1970.
const FILE: &str = "administrator-invite";

/// The invite link to print; `None` once there is an account.
///
/// # Errors
/// The store or the data folder cannot be read or written.
pub(crate) fn invite(
    folder: &Path,
    reader: &mut impl Reader,
    writer: &mut impl Writer,
    now: Now,
    server: &ServerAddress,
) -> Result<Option<InviteLink>> {
    let file = folder.join(FILE);
    match reader.answer(&Query::Account(AccountQuery::AnyAccount))? {
        Answer::AnyAccount(false) => {}
        Answer::AnyAccount(true) => {
            // Whether it is still there does not matter: it is worth nothing.
            let _ = fs::remove_file(&file);
            return Ok(None);
        }
        _ => return Err(anyhow!("the store does not say whether there is an account")),
    }
    let (token, expires_at) = match kept(&file, now.wall) {
        Some(kept) => kept,
        None => draw(folder, &file, now)?,
    };
    let operation = Operation::Account(AccountOperation::CreateInvite {
        invite: InviteHash(*token.hash().as_bytes()),
        by: None,
        administrator: true,
        expires_at,
        open_max: 1,
        now: now.wall,
    });
    for outcome in writer.apply(&[operation])? {
        outcome.context("the administrator's invite was refused")?;
    }
    Ok(Some(InviteLink { server: server.clone(), token }))
}

/// The invite of an earlier start, if it is still good.
fn kept(file: &Path, now: Timestamp) -> Option<(InviteToken, Timestamp)> {
    let text = fs::read_to_string(file).ok()?;
    let (token, expires_at) = text.trim().split_once(' ')?;
    let expires_at = Timestamp::from_millis(expires_at.parse().ok()?);
    let token = token.parse().ok()?;
    (now < expires_at).then_some((token, expires_at))
}

fn draw(folder: &Path, file: &Path, now: Now) -> Result<(InviteToken, Timestamp)> {
    let token = InviteToken::from_entropy(entropy());
    let expires_at = now.wall.plus(INVITE_LASTS);
    let text = format!("{} {expires_at}\n", token.to_text());
    write_secret(folder, file, text.as_bytes())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    Ok((token, expires_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invite_of_an_earlier_start_is_kept_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let now = Now { monotonic: Default::default(), wall: Timestamp::from_millis(1_000) };
        let (token, expires_at) = draw(folder.path(), &file, now).unwrap();
        assert_eq!(kept(&file, now.wall), Some((token, expires_at)));
        assert_eq!(kept(&file, expires_at), None);
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(kept(&file, now.wall), None);
    }
}
