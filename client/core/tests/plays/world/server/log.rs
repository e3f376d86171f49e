//! The model server's conversations: what is appended to a log, and how it is read.

use super::*;

impl Server {
    pub(super) fn create(
        &mut self,
        connection: ConnectionId,
        create: wire::Create,
    ) -> Result<Answer, Refusal> {
        let (account, device) = self.live(connection)?;
        let key: ConversationId = id("conversation", &create.conversation)?;
        let kind = wire::ConversationKind::required("kind", create.kind)?;
        if let Some(of) = self.conversations.get(&key) {
            if !of.members.contains_key(&account) {
                return Err(Refusal::IdTaken);
            }
            let entry = of.log[0].clone();
            return Ok(accepted(key, of.epoch, &entry, false));
        }
        let others: Vec<AccountId> = tidings_protocol_app::ids("members", &create.members)?;
        let role = |other: AccountId| {
            if other == account || kind == ConversationKind::Direct {
                Role::Owner
            } else {
                Role::Member
            }
        };
        let all: Vec<AccountId> = std::iter::once(account).chain(others).collect();
        let members: BTreeMap<AccountId, Member> = all
            .iter()
            .map(|id| {
                let ranges = vec![(1, None)];
                (*id, Member { role: Some(role(*id)), ranges, delivered: 0, read: 0 })
            })
            .collect();
        let people = all.iter().map(|id| self.person(*id, role(*id))).collect();
        self.conversations.insert(
            key,
            Conversation {
                kind,
                name: create.name.clone(),
                epoch: 1,
                sinces: Vec::new(),
                log: Vec::new(),
                roster_version: 0,
                members,
            },
        );
        let message_id = id("message_id", &create.message_id)?;
        let act = Act::Created { name: create.name, members: people };
        let entry = self.append_event(key, account, device, message_id, act);
        Ok(accepted(key, 1, &entry, false))
    }

    pub(super) fn append(
        &mut self,
        connection: ConnectionId,
        send: wire::Send,
    ) -> Result<Answer, Refusal> {
        let (account, device) = self.live(connection)?;
        let key: ConversationId = id("conversation", &send.conversation)?;
        let message_id: MessageId = id("message_id", &send.message_id)?;
        let of = self.conversations.get(&key).ok_or(Refusal::NotFound)?;
        if let Some(first) = find(of, device, message_id) {
            let differs = first.payload != send.payload && !first.erased;
            self.payload_differs += usize::from(differs);
            return Ok(accepted(key, of.epoch, &first.clone(), differs));
        }
        if !of.members.contains_key(&account) {
            return Err(Refusal::NotFound);
        }
        if !of.is_member(account) {
            return Err(Refusal::NotAMember);
        }
        let entry = self.push(key, account, device, message_id, EntryKind::Message, send.payload);
        let epoch = self.conversations[&key].epoch;
        Ok(accepted(key, epoch, &entry, false))
    }

    pub(super) fn change(
        &mut self,
        connection: ConnectionId,
        change: wire::Change,
    ) -> Result<Answer, Refusal> {
        let (account, device) = self.live(connection)?;
        let key: ConversationId = id("conversation", &change.conversation)?;
        let message_id: MessageId = id("message_id", &change.message_id)?;
        let of = self.conversations.get(&key).ok_or(Refusal::NotFound)?;
        if let Some(first) = find(of, device, message_id) {
            return Ok(accepted(key, of.epoch, &first.clone(), false));
        }
        let role = of.members.get(&account).ok_or(Refusal::NotFound)?.role;
        let role = role.ok_or(Refusal::NotAMember)?;
        let next = of.head() + 1;
        let act = match change.act.ok_or(Refusal::UnknownRequest)? {
            wire::change::Act::Leave(_) => {
                let member = self.person(account, role);
                self.end(key, account, next);
                Act::Left { member, new_owner: None }
            }
            wire::change::Act::Add(add) => {
                if !role.may_moderate() {
                    return Err(Refusal::Forbidden);
                }
                let added: Vec<AccountId> = tidings_protocol_app::ids("accounts", &add.accounts)?;
                if added.iter().all(|id| of.is_member(*id)) {
                    return Err(Refusal::NothingToChange);
                }
                let people = added.iter().map(|id| self.person(*id, Role::Member)).collect();
                for id in added {
                    self.begin(key, id, next);
                }
                Act::Added(people)
            }
            wire::change::Act::Remove(remove) => {
                let removed: AccountId = id("account", &remove.account)?;
                let other = of.members.get(&removed).and_then(|member| member.role);
                let other = other.ok_or(Refusal::NotFound)?;
                if !role.may_remove(other) {
                    return Err(Refusal::Forbidden);
                }
                self.end(key, removed, next);
                Act::Removed(self.person(removed, other))
            }
            wire::change::Act::Rename(rename) => {
                if !role.may_moderate() {
                    return Err(Refusal::Forbidden);
                }
                let name = rename.name;
                if let Some(of) = self.conversations.get_mut(&key) {
                    of.name.clone_from(&name);
                }
                Act::Renamed(name)
            }
            wire::change::Act::SetRole(set) => {
                if !role.may_set_roles() {
                    return Err(Refusal::Forbidden);
                }
                let other: AccountId = id("account", &set.account)?;
                let new = wire::Role::required("role", set.role)?;
                let of = self.conversations.get_mut(&key).ok_or(Refusal::NotFound)?;
                of.members.get_mut(&other).ok_or(Refusal::NotFound)?.role = Some(new);
                Act::RoleChanged(self.person(other, new))
            }
        };
        let entry = self.append_event(key, account, device, message_id, act);
        let epoch = self.conversations[&key].epoch;
        Ok(accepted(key, epoch, &entry, false))
    }

    fn begin(&mut self, key: ConversationId, account: AccountId, from: u64) {
        let Some(of) = self.conversations.get_mut(&key) else { return };
        let member = of.members.entry(account).or_insert_with(|| Member {
            role: None,
            ranges: Vec::new(),
            delivered: 0,
            read: 0,
        });
        if member.role.is_none() {
            member.ranges.push((from, None));
        }
        member.role = Some(Role::Member);
    }

    fn end(&mut self, key: ConversationId, account: AccountId, to: u64) {
        let of = self.conversations.get_mut(&key);
        if let Some(member) = of.and_then(|of| of.members.get_mut(&account)) {
            member.role = None;
            if let Some(range) = member.ranges.last_mut() {
                range.1 = Some(to);
            }
        }
    }

    pub(super) fn erase(
        &mut self,
        connection: ConnectionId,
        erase: &wire::Erase,
    ) -> Result<Answer, Refusal> {
        let (account, _) = self.live(connection)?;
        let key: ConversationId = id("conversation", &erase.conversation)?;
        let of = self.conversations.get_mut(&key).ok_or(Refusal::NotFound)?;
        let role = of.members.get(&account).and_then(|member| member.role);
        let entry = of.log.get_mut(erase.seq as usize - 1).ok_or(Refusal::NotFound)?;
        if entry.account != account && !role.is_some_and(Role::may_moderate) {
            return Err(Refusal::Forbidden);
        }
        entry.erased = true;
        entry.payload = Bytes::new();
        let erased = wire::Erased { conversation: id_bytes(key.as_bytes()), seq: erase.seq };
        self.tell(key, erase.seq, |_| Answer::Erased(erased.clone()));
        Ok(Answer::Done(wire::Done {}))
    }

    pub(super) fn fetch(
        &mut self,
        connection: ConnectionId,
        fetch: &wire::Fetch,
    ) -> Result<Answer, Refusal> {
        let (account, _) = self.live(connection)?;
        let key: ConversationId = id("conversation", &fetch.conversation)?;
        let of = self.conversations.get(&key).ok_or(Refusal::NotFound)?;
        if !of.members.contains_key(&account) {
            return Err(Refusal::NotFound);
        }
        if fetch.log_epoch != 0 && fetch.log_epoch != of.epoch {
            let (epoch, since) = (LogEpoch::new(of.epoch), Seq::new(of.since(fetch.log_epoch)));
            return Err(Refusal::EpochChanged { epoch: epoch.unwrap(), since: since.unwrap() });
        }
        let head = of.head_for(account);
        if fetch.after > head {
            return Err(Refusal::CursorAhead { head: Seq::new(head).unwrap() });
        }
        if let Some(at) = of.log.get((fetch.after as usize).wrapping_sub(1))
            && fetch.checksum != 0
        {
            assert_eq!(at.checksum.0, fetch.checksum, "the cursor is of this life of the log");
        }
        let mut items = Vec::new();
        let mut seq = fetch.after + 1;
        while seq <= head && items.len() < 7 {
            let from = seq;
            while seq <= head && !of.readable(account, seq) {
                seq += 1;
            }
            let item = if seq > from {
                let hidden = Hidden {
                    from: Seq::new(from).unwrap(),
                    to: Seq::new(seq - 1).unwrap(),
                    reason: HiddenReason::NotAMember,
                };
                wire::entries::item::Of::Hidden((&hidden).into())
            } else {
                seq += 1;
                wire::entries::item::Of::Entry((&of.log[from as usize - 1]).into())
            };
            items.push(wire::entries::Item { of: Some(item) });
        }
        Ok(Answer::Entries(wire::Entries {
            conversation: id_bytes(key.as_bytes()),
            log_epoch: of.epoch,
            items,
            head,
        }))
    }

    pub(super) fn acknowledge(
        &mut self,
        connection: ConnectionId,
        acknowledge: &wire::Acknowledge,
    ) -> Result<Answer, Refusal> {
        let (account, _) = self.live(connection)?;
        let key: ConversationId = id("conversation", &acknowledge.conversation)?;
        let of = self.conversations.get_mut(&key).ok_or(Refusal::NotFound)?;
        if of.epoch == acknowledge.log_epoch {
            let head = of.head_for(account);
            let member = of.members.get_mut(&account).ok_or(Refusal::NotFound)?;
            assert!(acknowledge.delivered <= head, "nobody has what the log has not");
            assert!(acknowledge.read <= acknowledge.delivered, "read is at most delivered");
            member.delivered = member.delivered.max(acknowledge.delivered);
            member.read = member.read.max(acknowledge.read);
            let receipt = wire::Receipt {
                account: id_bytes(account.as_bytes()),
                delivered: member.delivered,
                read: member.read,
            };
            let changed = wire::ReceiptsChanged {
                conversation: id_bytes(key.as_bytes()),
                log_epoch: of.epoch,
                receipts: vec![receipt],
            };
            self.tell(key, acknowledge.delivered, |_| Answer::ReceiptsChanged(changed.clone()));
        }
        Ok(Answer::Done(wire::Done {}))
    }

    pub(super) fn typing(
        &mut self,
        connection: ConnectionId,
        typing: wire::Typing,
    ) -> Result<Answer, Refusal> {
        let (account, _) = self.live(connection)?;
        let key: ConversationId = id("conversation", &typing.conversation)?;
        let changed = wire::TypingChanged {
            conversation: typing.conversation,
            account: id_bytes(account.as_bytes()),
            typing: typing.typing,
        };
        let head = self.conversations.get(&key).ok_or(Refusal::NotFound)?.head();
        self.tell(key, head, |_| Answer::TypingChanged(changed.clone()));
        Ok(Answer::Done(wire::Done {}))
    }

    fn append_event(
        &mut self,
        key: ConversationId,
        account: AccountId,
        device: DeviceId,
        message_id: MessageId,
        act: Act,
    ) -> Entry {
        let roster_version = match self.conversations.get_mut(&key) {
            Some(of) => {
                of.roster_version += 1;
                of.roster_version
            }
            None => 0,
        };
        let payload = ConversationEvent { roster_version, act }.encode();
        self.push(key, account, device, message_id, EntryKind::Event, payload)
    }

    /// An entry that no device of ours sent, as a hostile or a later client would.
    pub(crate) fn inject(
        &mut self,
        key: ConversationId,
        from: AccountId,
        id: MessageId,
        payload: Bytes,
    ) {
        let device = DeviceId::of_account(from, [9; 16]);
        self.push(key, from, device, id, EntryKind::Message, payload);
        self.flush_live();
    }

    pub(super) fn push(
        &mut self,
        key: ConversationId,
        account: AccountId,
        device: DeviceId,
        message_id: MessageId,
        kind: EntryKind,
        payload: Bytes,
    ) -> Entry {
        let time = Timestamp::from_millis(self.time);
        let of = self.conversations.get_mut(&key).expect("the conversation is there");
        let seq = Seq::new(of.head() + 1).unwrap();
        let sum = Checksum::of_payload(&payload);
        let checksum = Checksum::of_entry(key, seq, account, device, message_id, time, kind, sum);
        let entry = Entry {
            seq,
            account,
            device,
            message_id,
            time,
            kind,
            payload,
            checksum,
            expires_after_ms: None,
            client_time: None,
            erased: false,
        };
        of.log.push(entry.clone());
        if !self.faults.mute {
            self.pending_live.push((key, entry.clone()));
        }
        entry
    }
}

fn find(of: &Conversation, device: DeviceId, message_id: MessageId) -> Option<&Entry> {
    of.log.iter().find(|entry| entry.device == device && entry.message_id == message_id)
}

fn accepted(key: ConversationId, epoch: u64, entry: &Entry, differs: bool) -> Answer {
    Answer::Accepted(wire::Accepted {
        conversation: id_bytes(key.as_bytes()),
        message_id: id_bytes(entry.message_id.as_bytes()),
        log_epoch: epoch,
        seq: entry.seq.get(),
        time: entry.time.as_millis(),
        payload_differs: differs,
    })
}
