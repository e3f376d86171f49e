//! What is fanned out and never stored: typing, open views, who is online.
//!
//! Presence goes to the partners of direct conversations and to open views only. A hidden session is
//! not shown, and sees nobody.

use std::collections::BTreeSet;

use tidings_model::{AccountId, ConversationId, Now, Refusal};

use super::memory::Part;
use super::{Asker, Core, Effect};
use crate::limits::{PRESENCE_MEMBERS_MAX, RECEIPT_INTERVAL, TYPING_LASTS};
use crate::request::{Event, Reply, SessionId};

impl Core {
    pub(super) fn typing(&mut self, now: Now, asker: Asker, key: ConversationId, typing: bool) {
        let own = self.memory.part(asker.account, key).map(|(part, _)| part.membership.role);
        let Some(conversation) = self.memory.conversations.get_mut(&key) else {
            return self.reply(asker.origin, Err(Refusal::NotFound));
        };
        if !matches!(own, Some(Some(_))) {
            return self.reply(asker.origin, Err(Refusal::NotAMember));
        }
        let before = conversation.typing.get(&asker.account).copied();
        let lasts = before.is_some_and(|at| now.monotonic.since(at) < TYPING_LASTS);
        // A key stroke renews what readers show, but not more often than they need it.
        let fresh = before.is_some_and(|at| now.monotonic.since(at) < RECEIPT_INTERVAL);
        let tell = match typing {
            true => !fresh,
            false => lasts,
        };
        if typing && tell {
            conversation.typing.insert(asker.account, now.monotonic);
        } else if !typing {
            conversation.typing.remove(&asker.account);
        }
        let few = conversation.record.member_count <= PRESENCE_MEMBERS_MAX;
        if tell && few {
            self.tell_typing(asker.account, key, typing);
        }
        self.reply(asker.origin, Ok(Reply::Done));
    }

    fn tell_typing(&mut self, typist: AccountId, key: ConversationId, typing: bool) {
        let others = |reader, part: &Part| reader != typist && part.membership.role.is_some();
        for session in self.memory.sessions(key, others) {
            let event = Event::TypingChanged { conversation: key, account: typist, typing };
            self.effects.push_back(Effect::Event(session, event));
        }
    }

    pub(super) fn view(&mut self, asker: Asker, key: ConversationId, open: bool) {
        let session = asker.origin.session;
        if !self.is_member(asker.account, key) {
            return self.reply(asker.origin, Err(Refusal::NotAMember));
        }
        let Some(conversation) = self.memory.conversations.get_mut(&key) else {
            return self.reply(asker.origin, Err(Refusal::NotFound));
        };
        if open {
            conversation.views.insert(session);
        } else {
            conversation.views.remove(&session);
        }
        let few = conversation.record.member_count <= PRESENCE_MEMBERS_MAX;
        let readers: Vec<AccountId> = conversation.readers.iter().copied().collect();
        let mut hidden = false;
        if let Some(live) = self.sessions.get_mut(&session).and_then(|s| s.live.as_mut()) {
            hidden = live.hidden;
            if open {
                live.views.insert(key);
            } else {
                live.views.remove(&key);
            }
        }
        self.reply(asker.origin, Ok(Reply::Done));
        if open && few && !hidden {
            for reader in readers {
                if reader != asker.account && self.is_member(reader, key) {
                    self.tell_presence(session, reader);
                }
            }
        }
    }

    /// Whoever is no member any more hears nothing of those who are.
    pub(super) fn close_views_of_strangers(&mut self, key: ConversationId) {
        let Some(conversation) = self.memory.conversations.get(&key) else { return };
        let strangers: Vec<SessionId> = conversation
            .views
            .iter()
            .copied()
            .filter(|view| !self.live(*view).is_some_and(|live| self.is_member(live.account, key)))
            .collect();
        for session in strangers {
            if let Some(conversation) = self.memory.conversations.get_mut(&key) {
                conversation.views.remove(&session);
            }
            if let Some(live) = self.sessions.get_mut(&session).and_then(|s| s.live.as_mut()) {
                live.views.remove(&key);
            }
        }
    }

    pub(super) fn set_presence(&mut self, _now: Now, asker: Asker, hidden: bool) {
        let session = asker.origin.session;
        let was_online = self.is_online(asker.account);
        let Some(live) = self.sessions.get_mut(&session).and_then(|s| s.live.as_mut()) else {
            return;
        };
        let was_hidden = std::mem::replace(&mut live.hidden, hidden);
        self.reply(asker.origin, Ok(Reply::Done));
        let online = self.is_online(asker.account);
        if was_online != online {
            self.announce(asker.account, online);
        }
        if was_hidden && !hidden {
            self.tell_partners_presence(session, asker.account);
        }
    }

    /// A session has become live: it hears who of its partners is online, and they hear of it.
    pub(super) fn greet(&mut self, session: SessionId, account: AccountId, was_online: bool) {
        if !was_online {
            self.announce(account, true);
        }
        self.tell_partners_presence(session, account);
    }

    fn tell_partners_presence(&mut self, session: SessionId, account: AccountId) {
        let Some(own) = self.memory.accounts.get(&account) else { return };
        let partners: BTreeSet<AccountId> =
            own.parts.values().filter_map(|part| Some(part.partner.as_ref()?.account)).collect();
        for partner in partners {
            self.tell_presence(session, partner);
        }
    }

    /// Tells a session about somebody who is in memory; who is not has not been here lately.
    fn tell_presence(&mut self, session: SessionId, account: AccountId) {
        let Some(other) = self.memory.accounts.get(&account) else { return };
        let (online, last_seen) = (self.is_online(account), other.last_seen);
        if online || last_seen.is_some() {
            let event = Event::PresenceChanged { account, online, last_seen };
            self.effects.push_back(Effect::Event(session, event));
        }
    }

    /// Whether an account has a session that is not hidden.
    pub(super) fn is_online(&self, account: AccountId) -> bool {
        self.memory.accounts.get(&account).is_some_and(|account| {
            account.sessions.iter().any(|id| self.live(*id).is_some_and(|live| !live.hidden))
        })
    }

    fn is_member(&self, account: AccountId, key: ConversationId) -> bool {
        self.memory.part(account, key).is_some_and(|(part, _)| part.membership.role.is_some())
    }

    /// Tells partners and open views that somebody came or went.
    pub(super) fn announce(&mut self, account: AccountId, online: bool) {
        let Some(own) = self.memory.accounts.get(&account) else { return };
        let mut listeners: BTreeSet<SessionId> = BTreeSet::new();
        for (key, part) in &own.parts {
            if part.membership.role.is_none() {
                continue;
            }
            if let Some(partner) = &part.partner
                && let Some(other) = self.memory.accounts.get(&partner.account)
            {
                listeners.extend(&other.sessions);
            }
            if let Some(conversation) = self.memory.conversations.get(key)
                && conversation.record.member_count <= PRESENCE_MEMBERS_MAX
            {
                listeners.extend(&conversation.views);
            }
        }
        let last_seen = own.last_seen;
        for session in listeners {
            let sees = self.live(session).is_some_and(|l| !l.hidden && l.account != account);
            if sees {
                let event = Event::PresenceChanged { account, online, last_seen };
                self.effects.push_back(Effect::Event(session, event));
            }
        }
    }
}
