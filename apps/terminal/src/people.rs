//! The people that this device knows, by account: for user names beside the names that they show.

use std::collections::HashMap;

use tidings_client_core::database::Profile;
use tidings_client_core::view::Person;
use tidings_model::AccountId;

use crate::record::PersonRecord;
use crate::visible;

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

    /// How an account is called, on one line; its id where nothing is known.
    pub(crate) fn name(&self, account: AccountId) -> String {
        match self.profile(account) {
            Some(profile) => visible::one_line(shown_name(profile)).into_owned(),
            None => account.to_string(),
        }
    }

    /// The user name of an account, for a command line; its id where nothing is known.
    pub(crate) fn user_name(&self, account: AccountId) -> String {
        match self.profile(account) {
            Some(profile) => profile.user_name.clone(),
            None => account.to_string(),
        }
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

/// How a person is called: the name that they show, else their user name.
pub(crate) fn shown_name(profile: &Profile) -> &str {
    if profile.display_name.is_empty() { &profile.user_name } else { &profile.display_name }
}
