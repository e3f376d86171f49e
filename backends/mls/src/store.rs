//! The store while one request is judged: its answers, and the device lists as the rules ask for them.
//!
//! A list is taken up once and kept; a request that needs it asks the store only for what has come
//! since. The rules have no way to hear of a failed read in the midst of a Commit, so it is noted, and
//! looked up when they are through.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidings_messaging::store::{
    AccountQuery, Answer, DeviceQuery, GroupAnswer, ListPart, LogQuery, Query, Reader, RosterRecord,
};
use tidings_model::{AccountId, ConversationId, DeviceId, Refusal};
use tidings_protocol_mls::{
    Coverage, DeviceIdentity, DeviceList, DeviceLists, KnownLists, SignatureKey,
};

use crate::limits::LIST_ENTRIES_KEPT_MAX;

/// The store as an observer reads it.
pub(crate) struct Store(Mutex<State>);

struct State {
    reader: Box<dyn Reader>,
    known: KnownLists,
    /// Number of the present identity of each known list.
    identities: HashMap<AccountId, u32>,
    /// Entries of all known lists together.
    entries: usize,
    /// Accounts whose lists are those of the present request.
    current: HashSet<AccountId>,
    has_failed: bool,
}

/// Why an answer is of no use. It has been logged.
#[derive(Debug)]
struct Unreadable;

impl Store {
    pub(crate) fn new(reader: Box<dyn Reader>) -> Self {
        Self(Mutex::new(State {
            reader,
            known: KnownLists::default(),
            identities: HashMap::new(),
            entries: 0,
            current: HashSet::new(),
            has_failed: false,
        }))
    }

    /// From here on lists are asked for anew.
    pub(crate) fn begin_request(&self) {
        let mut state = self.lock();
        state.current.clear();
        state.has_failed = false;
        if state.entries > LIST_ENTRIES_KEPT_MAX {
            state.known = KnownLists::default();
            state.identities.clear();
            state.entries = 0;
        }
    }

    /// Whether something could not be read since the request began.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    /// The group of a sealed conversation.
    pub(crate) fn group(&self, conversation: ConversationId) -> Result<GroupAnswer, Refusal> {
        match self.ask(&Query::Log(LogQuery::Group(conversation)))? {
            Answer::Group(Some(group)) => Ok(*group),
            Answer::Group(None) => Err(Refusal::NotFound),
            other => Err(self.fail(&other)),
        }
    }

    /// The roster of a conversation.
    pub(crate) fn roster(&self, conversation: ConversationId) -> Result<RosterRecord, Refusal> {
        let query = LogQuery::Roster { conversation, profiles: Vec::new(), message: None };
        match self.ask(&Query::Log(query))? {
            Answer::Roster(Some(roster)) => Ok(*roster),
            Answer::Roster(None) => Err(Refusal::NotFound),
            other => Err(self.fail(&other)),
        }
    }

    /// The account that a device is signed in to.
    pub(crate) fn account_of(&self, device: DeviceId) -> Result<Option<AccountId>, Refusal> {
        match self.ask(&Query::Account(AccountQuery::Device(device)))? {
            Answer::Device(found) => Ok(found.map(|found| found.0.account)),
            other => Err(self.fail(&other)),
        }
    }

    /// An account's present device list and the number of its identity.
    pub(crate) fn list(&self, account: AccountId) -> Result<Option<(DeviceList, u32)>, Refusal> {
        let mut state = self.lock();
        state.refresh(account);
        if state.has_failed {
            return Err(Refusal::Unavailable);
        }
        let identity = state.identities.get(&account).copied().unwrap_or(0);
        Ok(state.known.list(account).map(|list| (list.clone(), identity)))
    }

    fn ask(&self, query: &Query) -> Result<Answer, Refusal> {
        self.lock().ask(query).map_err(|Unreadable| Refusal::Unavailable)
    }

    fn fail(&self, answer: &Answer) -> Refusal {
        self.lock().note_failure(&format!("an answer to another question: {answer:?}"));
        Refusal::Unavailable
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ask(&mut self, query: &Query) -> Result<Answer, Unreadable> {
        self.reader.answer(query).map_err(|failure| self.note_failure(&failure.to_string()))
    }

    fn note_failure(&mut self, reason: &str) -> Unreadable {
        tracing::error!(reason, "the store could not answer the observer of groups");
        self.has_failed = true;
        Unreadable
    }

    /// Asks for what has been added to an account's list, once in a request.
    fn refresh(&mut self, account: AccountId) {
        if !self.current.insert(account) {
            return;
        }
        let identity = self.identities.get(&account).copied().unwrap_or(0);
        // A verified list has at most `LIST_ENTRIES_MAX` entries.
        let entries = self.known.list(account).map_or(0, |list| list.entries().len()) as u32;
        let query = DeviceQuery::DeviceLists(vec![(account, identity, entries)]);
        let Ok(Answer::DeviceLists(parts)) = self.ask(&Query::Device(query)) else { return };
        for part in parts {
            self.entries += part.entries.len();
            if let Err(reason) = self.learn(&part) {
                self.note_failure(&format!("the device list of {account} is damaged: {reason}"));
                return;
            }
        }
    }

    fn learn(&mut self, part: &ListPart) -> Result<(), String> {
        if part.from > 0 {
            let mut list = self.known.list(part.account).ok_or("its beginning is missing")?.clone();
            list.extend(&part.entries).map_err(|error| error.to_string())?;
            self.known.learn(list).map_err(|error| error.to_string())?;
            return Ok(());
        }
        let list = DeviceList::load(part.account, &part.entries);
        let list = list.map_err(|error| error.to_string())?;
        self.known.begin_anew(list);
        self.identities.insert(part.account, part.identity);
        Ok(())
    }
}

impl DeviceLists for Store {
    fn coverage(&self, device: &DeviceIdentity, key: &SignatureKey) -> Coverage {
        let mut state = self.lock();
        state.refresh(device.account);
        state.known.coverage(device, key)
    }

    fn knows(&self, account: AccountId) -> bool {
        let mut state = self.lock();
        state.refresh(account);
        state.known.knows(account)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Store").finish_non_exhaustive()
    }
}
