//! The people that this device knows, by account: for user names beside the names that they show.

use std::collections::HashMap;

use tidings_client_core::database::Profile;
use tidings_client_core::view::Person;
use tidings_model::AccountId;

use crate::record::PersonRecord;

/// Who is known.
#[derive(Debug, Default, Clone)]
pub(crate) struct People {
    me: Option<AccountId>,
    known: HashMap<AccountId, Profile>,
}

impl People {
    /// Takes what the database knows.
    pub(crate) fn new(me: Option<AccountId>, profiles: Vec<Profile>) -> Self {
        let known = profiles.into_iter().map(|profile| (profile.account, profile)).collect();
        Self { me, known }
    }

    /// Whether an account is this device's own.
    pub(crate) fn is_me(&self, account: AccountId) -> bool {
        self.me == Some(account)
    }

    /// What is known of an account.
    pub(crate) fn profile(&self, account: AccountId) -> Option<&Profile> {
        self.known.get(&account)
    }

    /// All of them.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.known.values()
    }

    /// A person for programs.
    pub(crate) fn record(&self, person: &Person) -> PersonRecord {
        PersonRecord::new(
            person.account.to_string(),
            self.profile(person.account).map(|profile| profile.user_name.clone()),
            person.name.clone(),
        )
    }
}
