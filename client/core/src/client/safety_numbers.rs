//! Safety numbers: what two people compare to know that nobody stands between them, and that they have.
//!
//! The mark that a number was compared is for one identity: a new one is not verified. The account's
//! devices share it.

use tidings_model::AccountId;
use tidings_protocol_account::{Name, Value};
use tidings_protocol_mls::{DeviceList, SafetyNumber};

use crate::command::CommandId;
use crate::database::DatabaseError;
use crate::event::{Failure, Listing, Outcome};

use super::Client;
use super::step::Step;

impl Client {
    /// The safety number with somebody; it waits for the list if that is not known.
    pub(super) fn safety_number(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        account: AccountId,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let own = self.own_list_known().filter(|_| self.listing() == Listing::Listed);
        let Some(own) = own else { return Ok(Err(Failure::NotListed)) };
        match self.state.identity.list(account) {
            Some(list) => {
                let number = SafetyNumber::between(&own, &list);
                let verified = self.is_verified(step, &list)?;
                step.outcome(id, Outcome::SafetyNumber { number, verified });
            }
            None => {
                self.await_list(step, id, account);
            }
        }
        Ok(Ok(()))
    }

    pub(super) fn answer_safety_numbers(
        &mut self,
        step: &mut Step<'_>,
        fetched: &[AccountId],
    ) -> Result<(), DatabaseError> {
        for (id, account) in self.lists.take_asked(fetched) {
            if self.state.identity.known().list(account).is_none() {
                step.outcome(id, Outcome::Failed(Failure::NoDeviceList));
            } else if let Err(failure) = self.safety_number(step, id, account)? {
                step.outcome(id, Outcome::Failed(failure));
            }
        }
        Ok(())
    }

    /// Whether the person has compared the safety number of this identity.
    fn is_verified(&self, step: &Step<'_>, list: &DeviceList) -> Result<bool, DatabaseError> {
        let name = Name::VerifiedContact(list.account());
        let value = self.truth(step.database, name)?;
        Ok(matches!(
            value,
            Some(Value::VerifiedContact { founding_hash, .. })
                if founding_hash == Some(*list.founding_hash())
        ))
    }

    /// Keeps that the person has compared a safety number, or takes it back.
    pub(super) fn verify(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        account: AccountId,
        verified: bool,
    ) -> Result<(), Failure> {
        let list = self.state.identity.list(account).ok_or(Failure::NoDeviceList)?;
        let founding_hash = verified.then_some(*list.founding_hash());
        self.keep_truth(step, &Value::VerifiedContact { account, founding_hash });
        step.must_sync();
        step.outcome(id, Outcome::Done);
        Ok(())
    }
}
