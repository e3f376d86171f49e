//! Commands that only the server can answer and that leave nothing in the outbox: they wait for a
//! session for a while, are asked again after a lost connection, and fail in words.

use bytes::Bytes;
use tidings_model::{DeviceId, Timestamp};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{FieldError, Refused, id, id_bytes, wire};
use tidings_protocol_identity::{DisplayName, InviteLink, InviteToken};

use crate::command::{Command, CommandId};
use crate::database::Profile;
use crate::event::{Device, Failure, OfflineReason, Outcome};
use crate::limits::{COMMAND_TIMEOUT, COMMANDS_WAITING_MAX};

use super::Client;
use super::people::read_profile;
use super::requests::{Purpose, Wish, WishKind};
use super::step::Step;

impl Client {
    /// What only the server can answer.
    pub(super) fn wish_for(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        command: Command,
    ) -> Result<(), Failure> {
        let (kind, body) = match command {
            Command::LookUp { user_name } => {
                let of = wire::look_up::Of::UserName(user_name.as_str().to_owned());
                (WishKind::LookUp, Request::LookUp(wire::LookUp { of: Some(of) }))
            }
            Command::Invite => {
                let token = InviteToken::from_entropy(step.entropy.bytes());
                let token_hash = Bytes::copy_from_slice(token.hash().as_bytes());
                let body = Request::CreateInvite(wire::CreateInvite { token_hash });
                (WishKind::Invite(token), body)
            }
            Command::ListDevices => {
                (WishKind::ListDevices, Request::ListDevices(wire::ListDevices {}))
            }
            Command::RevokeDevice { device } => {
                let device = id_bytes(device.as_bytes());
                (WishKind::RevokeDevice, Request::RevokeDevice(wire::RevokeDevice { device }))
            }
            Command::SetDisplayName { display_name } => {
                DisplayName::parse(&display_name)
                    .map_err(|error| Failure::Invalid(error.to_string()))?;
                let body = wire::SetDisplayName { display_name: display_name.clone() };
                (WishKind::SetDisplayName(display_name), Request::SetDisplayName(body))
            }
            _ => return Err(Failure::NotSignedIn),
        };
        let deadline = step.now.monotonic.plus(COMMAND_TIMEOUT);
        self.wish(step, Wish { command: id, kind, body, deadline });
        Ok(())
    }

    pub(super) fn wish(&mut self, step: &mut Step<'_>, wish: Wish) {
        if self.wishes.len() >= COMMANDS_WAITING_MAX || self.halts() {
            return step.outcome(wish.command, Outcome::Failed(Failure::NotConnected));
        }
        self.wishes.push_back(wish);
    }

    fn halts(&self) -> bool {
        matches!(
            self.halted,
            Some(OfflineReason::Untrusted(_) | OfflineReason::VersionUnsupported(_))
        )
    }

    /// Sends the commands that waited for a session.
    pub(super) fn pump_wishes(&mut self, step: &mut Step<'_>) {
        for wish in std::mem::take(&mut self.wishes) {
            let body = wish.body.clone();
            self.requests.send(step, Purpose::Wish(Box::new(wish)), body);
        }
    }

    /// Takes the sign-out out of what waits, if there is one.
    pub(super) fn take_sign_out(&mut self) -> Option<Wish> {
        let is_sign_out = |wish: &Wish| matches!(wish.kind, WishKind::SignOut);
        let lost = self.requests.connection_lost();
        for wish in lost.into_iter().rev() {
            self.wishes.push_front(wish);
        }
        let at = self.wishes.iter().position(is_sign_out)?;
        self.wishes.remove(at)
    }

    pub(super) fn wish_refused(&mut self, step: &mut Step<'_>, wish: Wish, refused: Refused) {
        step.outcome(wish.command, Outcome::Refused(refused));
    }

    pub(super) fn wish_answered(
        &mut self,
        step: &mut Step<'_>,
        wish: Wish,
        answer: Answer,
    ) -> Result<(), FieldError> {
        let outcome = match (wish.kind, answer) {
            (WishKind::LookUp, Answer::Profile(profile)) => {
                let profile = read_profile(&profile)?;
                self.state.learn_profile(step, profile.clone());
                Outcome::Profile(profile)
            }
            (WishKind::Invite(token), Answer::InviteCreated(invite)) => {
                read_invite(&token, &invite)?
            }
            (WishKind::ListDevices, Answer::Devices(devices)) => {
                let listed = self.listed_here();
                let read = |device| read_device(device, &listed);
                Outcome::Devices(devices.devices.iter().map(read).collect::<Result<_, _>>()?)
            }
            (WishKind::RevokeDevice, Answer::Done(_)) => Outcome::Done,
            (WishKind::SetDisplayName(display_name), Answer::Done(_)) => {
                self.renamed(step, display_name);
                Outcome::Done
            }
            (WishKind::SignOut, Answer::Done(_)) => {
                self.wipe(step);
                Outcome::Done
            }
            _ => return Err(FieldError { field: "body", problem: "does not fit the request" }),
        };
        step.outcome(wish.command, outcome);
        Ok(())
    }

    fn renamed(&mut self, step: &mut Step<'_>, display_name: String) {
        let Some(row) = &mut self.state.account else { return };
        row.display_name.clone_from(&display_name);
        let (account, user_name) = (row.account, row.user_name.clone());
        self.state.write_account(step);
        if let Some(account) = account {
            self.state.learn_profile(step, Profile { account, user_name, display_name });
        }
    }
}

fn read_device(device: &wire::Device, listed: &[DeviceId]) -> Result<Device, FieldError> {
    let id: DeviceId = id("devices.device", &device.device)?;
    Ok(Device {
        device: id,
        is_listed: listed.contains(&id),
        name: device.name.clone(),
        created_at: Timestamp::from_millis(device.created_at),
        last_seen: Timestamp::from_millis(device.last_seen),
        this_device: device.this_device,
    })
}

fn read_invite(token: &InviteToken, invite: &wire::InviteCreated) -> Result<Outcome, FieldError> {
    let link = format!("{}{}{}", invite.prefix, token.to_text(), invite.suffix);
    let link: InviteLink = link
        .parse()
        .map_err(|_| FieldError { field: "prefix", problem: "makes no invite link" })?;
    Ok(Outcome::Invite {
        link: Box::new(link),
        expires_at: Timestamp::from_millis(invite.expires_at),
    })
}
