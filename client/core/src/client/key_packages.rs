//! This device's key packages (RFC 9420 §10): a stock at the server from which others add it while it
//! is away, and claims of the packages of others.
//!
//! Private keys are on the disk before their packages leave. The package of last resort, handed out
//! when the stock is empty, is replaced weekly and after it was used. A claim keeps its id until it is
//! answered, so that a repeated one costs its owners nothing. Deliberately not here: what is done with
//! the packages of others.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidings_client_mls::{KeyPackage, KeyPackageKind, Mls};
use tidings_model::{AccountId, ConversationId, Monotonic, Timestamp};
use tidings_protocol_app::limits::ACCOUNTS_PER_REQUEST_MAX;
use tidings_protocol_app::sealed::ClaimedKeyPackage;
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{Refused, code, id_bytes, wire};

use crate::database::{KeyPackageRow, Write};
use crate::limits::{
    CLAIM_RETRY_AFTER, KEY_PACKAGE_KEPT_FOR, KEY_PACKAGES_RETRY_AFTER, LAST_RESORT_LASTS,
};

use super::Client;
use super::account::AccountRequest;
use super::requests::Purpose;
use super::step::{Fault, Step};

/// The stock at the server, and claims under way.
#[derive(Default)]
pub(super) struct KeyPackages {
    /// How many are left, as far as the server has said so on this connection.
    left: Option<usize>,
    in_flight: bool,
    /// Nothing is published before this time.
    held_until: Option<Monotonic>,
    claims: BTreeMap<ConversationId, Claim>,
}

/// Packages that are wanted for a conversation.
struct Claim {
    /// What is still to be claimed, each part under an id of its own.
    parts: Vec<([u8; 16], Vec<AccountId>)>,
    packages: Vec<ClaimedKeyPackage>,
    in_flight: bool,
    held_until: Option<Monotonic>,
}

impl KeyPackages {
    pub(super) fn resumed(&mut self, left: u32) {
        self.left = Some(left as usize);
    }

    pub(super) fn connection_lost(&mut self) {
        self.left = None;
        self.in_flight = false;
        self.held_until = None;
        for claim in self.claims.values_mut() {
            claim.in_flight = false;
            claim.held_until = None;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        let claims = self.claims.values().filter_map(|claim| claim.held_until);
        claims.chain(self.held_until).min()
    }
}

impl Client {
    /// The server has told how many are left.
    pub(super) fn key_packages_low(&mut self, stock: &wire::KeyPackageStock) {
        self.key_packages.left = Some(stock.count as usize);
    }

    /// The server's stock opens nothing any more, or a Welcome came for a package that is not here.
    pub(super) fn key_packages_lost(&mut self, step: &mut Step<'_>) {
        if let Some(row) = &mut self.state.identity.row
            && !std::mem::replace(&mut row.must_replace_key_packages, true)
        {
            self.state.identity.write(step);
        }
    }

    /// A join has used the package of last resort.
    pub(super) fn last_resort_used(&mut self, step: &mut Step<'_>) {
        if let Some(row) = &mut self.state.identity.row
            && row.last_resort.take().is_some()
        {
            self.state.identity.write(step);
        }
    }

    /// Fills the stock when it has fallen to a third, and replaces the last resort when it is due.
    pub(super) fn pump_key_packages(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        if self.key_packages.in_flight
            || self.key_packages.held_until.is_some_and(|until| now < until)
        {
            return;
        }
        let (Some(left), Some(mls)) = (self.key_packages.left, self.mls()) else { return };
        let server_now = self.server_now(step);
        let Some(row) = &self.state.identity.row else { return };
        let replace = row.must_replace_key_packages;
        let last_resort_due = replace
            || row.last_resort.is_none_or(|made| server_now.since(made) >= LAST_RESORT_LASTS);
        let stock = self.config.key_package_stock;
        let missing = match (replace, left) {
            (true, _) => stock,
            (false, left) if left * 3 <= stock => stock.saturating_sub(left),
            (false, _) => 0,
        };
        if missing == 0 && !last_resort_due {
            return;
        }
        self.publish_key_packages(step, &mls, missing, last_resort_due, server_now);
    }

    fn publish_key_packages(
        &mut self,
        step: &mut Step<'_>,
        mls: &Mls,
        count: usize,
        with_last_resort: bool,
        now: Timestamp,
    ) {
        let Some(row) = &self.state.identity.row else { return };
        let replace = row.must_replace_key_packages;
        let last_resorts = usize::from(with_last_resort);
        let made =
            mls.make_key_packages(KeyPackageKind::LastResort, last_resorts, now).and_then(|last| {
                Ok((last, mls.make_key_packages(KeyPackageKind::Single, count, now)?))
            });
        let Ok((last_resort, packages)) = made else {
            // The system has no randomness just now.
            self.hold_key_packages(step, KEY_PACKAGES_RETRY_AFTER);
            return;
        };
        if replace {
            step.write(Write::DeleteAllKeyPackages);
        }
        step.write(Write::DropExpired { now });
        for package in last_resort.iter().chain(&packages) {
            step.write(Write::PutKeyPackage(Box::new(row_of(package))));
        }
        step.must_sync();
        let public = |package: KeyPackage| package.public;
        let body = wire::PublishKeyPackages {
            packages: packages.into_iter().map(public).collect(),
            last_resort: last_resort.into_iter().next().map_or_else(Bytes::new, public),
            replace,
        };
        self.key_packages.in_flight = true;
        let last_resort = with_last_resort.then_some(now);
        let purpose = Purpose::Account(AccountRequest::PublishKeyPackages { last_resort });
        self.requests.send(step, purpose, Request::PublishKeyPackages(body));
    }

    /// The server has the packages.
    pub(super) fn key_packages_published(
        &mut self,
        step: &mut Step<'_>,
        last_resort: Option<Timestamp>,
        stock: &wire::KeyPackageStock,
    ) {
        self.key_packages.in_flight = false;
        self.key_packages.left = Some(stock.count as usize);
        let Some(row) = &mut self.state.identity.row else { return };
        row.must_replace_key_packages = false;
        row.last_resort = last_resort.or(row.last_resort);
        self.state.identity.write(step);
    }

    pub(super) fn key_packages_refused(&mut self, step: &mut Step<'_>, refused: &Refused) {
        self.key_packages.in_flight = false;
        if refused.code == code::DEVICE_NOT_LISTED
            && let Some(me) = self.state.me()
        {
            self.want_lists(step, &[me]);
        }
        if refused.may_retry || refused.code == code::DEVICE_NOT_LISTED {
            self.hold_key_packages(step, refused.retry_after.unwrap_or(KEY_PACKAGES_RETRY_AFTER));
        } else {
            // The next session counts anew.
            self.key_packages.left = None;
        }
    }

    fn hold_key_packages(&mut self, step: &Step<'_>, span: std::time::Duration) {
        self.key_packages.held_until = Some(step.now.monotonic.plus(span));
    }

    /// Wants a key package of each device of some accounts. [`Client::key_packages_claimed`] tells
    /// what came, once it is all there. Another claim for the conversation takes the place of this one.
    pub(super) fn claim_key_packages(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        accounts: Vec<AccountId>,
    ) {
        let parts = accounts.chunks(ACCOUNTS_PER_REQUEST_MAX);
        let parts = parts.map(|part| (step.entropy.bytes(), part.to_vec())).collect();
        let claim = Claim { parts, packages: Vec::new(), in_flight: false, held_until: None };
        self.key_packages.claims.insert(conversation, claim);
    }

    /// Sends the claims that are due.
    pub(super) fn pump_claims(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        for (conversation, claim) in &mut self.key_packages.claims {
            let is_held = claim.held_until.is_some_and(|until| now < until);
            let Some((request_id, accounts)) = claim.parts.last() else { continue };
            if claim.in_flight || is_held {
                continue;
            }
            claim.in_flight = true;
            claim.held_until = None;
            let body = wire::ClaimKeyPackages {
                request_id: Bytes::copy_from_slice(request_id),
                accounts: accounts.iter().map(|account| id_bytes(account.as_bytes())).collect(),
            };
            let purpose = Purpose::Account(AccountRequest::Claim(*conversation, *request_id));
            self.requests.send(step, purpose, Request::ClaimKeyPackages(body));
        }
    }

    /// Takes what a claim was answered with.
    pub(super) fn claimed(
        &mut self,
        conversation: ConversationId,
        request_id: [u8; 16],
        answer: wire::KeyPackages,
    ) -> Result<(), Fault> {
        let packages = answer.claimed()?;
        let Some(claim) = self.claim_of(conversation, request_id) else { return Ok(()) };
        claim.in_flight = false;
        claim.parts.pop();
        claim.packages.extend(packages);
        if claim.parts.is_empty()
            && let Some(claim) = self.key_packages.claims.remove(&conversation)
        {
            self.key_packages_claimed(conversation, claim.packages);
        }
        Ok(())
    }

    /// A claim was refused. What passes is tried again under the same id.
    pub(super) fn claim_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        request_id: [u8; 16],
        refused: Refused,
    ) {
        let Some(claim) = self.claim_of(conversation, request_id) else { return };
        if refused.may_retry {
            let span = refused.retry_after.unwrap_or(CLAIM_RETRY_AFTER);
            claim.in_flight = false;
            claim.held_until = Some(step.now.monotonic.plus(span));
        } else {
            self.key_packages.claims.remove(&conversation);
            self.claim_failed(step, conversation, refused.message);
        }
    }

    /// The claim that a request belongs to, unless another one has taken its place.
    fn claim_of(&mut self, conversation: ConversationId, id: [u8; 16]) -> Option<&mut Claim> {
        let claim = self.key_packages.claims.get_mut(&conversation)?;
        claim.parts.last().is_some_and(|(request, _)| *request == id).then_some(claim)
    }
}

fn row_of(package: &KeyPackage) -> KeyPackageRow {
    KeyPackageRow {
        reference: package.reference.clone(),
        is_last_resort: package.kind == KeyPackageKind::LastResort,
        // A Welcome that was made just before the end may still be on its way.
        expires: package.expires.plus(KEY_PACKAGE_KEPT_FOR),
        secret: package.secret.clone(),
    }
}
