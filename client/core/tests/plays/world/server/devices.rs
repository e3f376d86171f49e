//! What the model server keeps for an account's devices: device lists, key packages, inboxes and the
//! account log. It verifies lists and nothing else.

use tidings_protocol_mls::DeviceList;

use super::*;

/// What an account's devices share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Entries by identity.
    pub(crate) lists: Vec<Vec<Bytes>>,
    /// By key: place, device and value.
    pub(crate) values: BTreeMap<Bytes, (u64, DeviceId, Bytes)>,
    values_head: u64,
}

/// What belongs to one device.
#[derive(Default)]
pub(crate) struct OfDevice {
    pub(crate) packages: Vec<Bytes>,
    pub(crate) last_resort: Bytes,
    pub(crate) inbox: Vec<wire::inbox_items::Item>,
    inbox_head: u64,
}

impl Server {
    pub(crate) fn shared(&mut self, account: AccountId) -> &mut Shared {
        self.shared.entry(account).or_default()
    }

    pub(crate) fn of_device(&mut self, device: DeviceId) -> &mut OfDevice {
        self.of_devices.entry(device).or_default()
    }

    /// What a resume tells of all this.
    pub(super) fn heads_for(&mut self, account: AccountId, device: DeviceId) -> wire::Resumed {
        let (list_identity, list_entries) = self.shared(account).place();
        let account_log_head = self.shared(account).values_head;
        let of = self.of_device(device);
        wire::Resumed {
            inbox_head: of.inbox_head,
            key_packages: of.packages.len() as u32,
            account_log_head,
            list_identity,
            list_entries,
            ..Default::default()
        }
    }

    pub(super) fn device_request(
        &mut self,
        connection: ConnectionId,
        body: Request,
    ) -> Result<Answer, Refusal> {
        let (account, device) = self.live(connection)?;
        match body {
            Request::PublishDeviceList(publish) => self.publish_list(account, publish),
            Request::FetchDeviceLists(fetch) => self.fetch_lists(fetch),
            Request::PublishKeyPackages(publish) => {
                let of = self.of_device(device);
                if publish.replace {
                    of.packages.clear();
                }
                of.packages.extend(publish.packages);
                if !publish.last_resort.is_empty() {
                    of.last_resort = publish.last_resort;
                }
                let count = of.packages.len() as u32;
                Ok(Answer::KeyPackageStock(wire::KeyPackageStock { count }))
            }
            Request::FetchInbox(fetch) => {
                let of = self.of_device(device);
                let items = of.inbox.iter().filter(|item| item.seq > fetch.after).take(2);
                let items = items.cloned().collect();
                Ok(Answer::InboxItems(wire::InboxItems { items, head: of.inbox_head }))
            }
            Request::AcknowledgeInbox(acknowledge) => {
                self.of_device(device).inbox.retain(|item| item.seq > acknowledge.up_to);
                Ok(Answer::Done(wire::Done {}))
            }
            Request::SendToDevice(send) => self.send_to_device(account, device, send),
            Request::PutAccountValue(put) => Ok(self.put_value(account, device, put)),
            Request::FetchAccountValues(fetch) => Ok(self.fetch_values(account, fetch.after)),
            _ => Err(Refusal::UnknownRequest),
        }
    }

    fn publish_list(
        &mut self,
        account: AccountId,
        publish: wire::PublishDeviceList,
    ) -> Result<Answer, Refusal> {
        let shared = self.shared(account);
        let before = shared.listed(account);
        let (identity, entries) = shared.place();
        let conflict = Refusal::DeviceListConflict { identity, entries };
        if publish.begins_anew {
            if shared.lists.last() != Some(&publish.entries) {
                shared.lists.push(publish.entries);
            }
        } else {
            if shared.lists.is_empty() {
                shared.lists.push(Vec::new());
            }
            let list = shared.lists.last_mut().expect("a list was just put there");
            let from = publish.from as usize;
            let known = list.get(from..).ok_or(conflict.clone())?;
            if known.iter().zip(&publish.entries).any(|(known, offered)| known != offered) {
                return Err(conflict);
            }
            let new = publish.entries.into_iter().skip(known.len());
            list.extend(new.collect::<Vec<_>>());
        }
        let list = shared.lists.last().expect("a list was just put there");
        DeviceList::verify(account, list)
            .map_err(|error| Refusal::DeviceListRefused { reason: error.to_string() })?;
        let listed = shared.listed(account);
        let (identity, entries) = shared.place();
        let gone = before.into_iter().filter(|device| !listed.contains(device));
        for device in gone.filter(|_| !self.faults.keeps_tokens).collect::<Vec<_>>() {
            self.revoke(device);
        }
        let changed =
            wire::DeviceListChanged { account: id_bytes(account.as_bytes()), identity, entries };
        self.tell_devices(|_| true, Answer::DeviceListChanged(changed));
        Ok(Answer::Done(wire::Done {}))
    }

    fn fetch_lists(&mut self, fetch: wire::FetchDeviceLists) -> Result<Answer, Refusal> {
        let mut parts = Vec::new();
        for known in fetch.known {
            let account: AccountId = id("account", &known.account)?;
            let shared = self.shared(account);
            for (identity, entries) in shared.lists.iter().enumerate() {
                let from = match identity as u32 {
                    identity if identity < known.identity => continue,
                    identity if identity == known.identity => known.entries as usize,
                    _ => 0,
                };
                if from < entries.len() {
                    parts.push(wire::device_lists::Part {
                        account: known.account.clone(),
                        identity: identity as u32,
                        from: from as u32,
                        entries: entries[from..].to_vec(),
                    });
                }
            }
        }
        Ok(Answer::DeviceLists(wire::DeviceLists { parts }))
    }

    fn send_to_device(
        &mut self,
        account: AccountId,
        from: DeviceId,
        send: wire::SendToDevice,
    ) -> Result<Answer, Refusal> {
        let device: DeviceId = id("device", &send.device)?;
        if self.devices.get(&device).is_none_or(|known| known.account != account) {
            return Err(Refusal::NotFound);
        }
        let time = self.time;
        let of = self.of_device(device);
        of.inbox_head += 1;
        let head = of.inbox_head;
        let message = wire::DeviceMessage {
            device: id_bytes(from.as_bytes()),
            message_id: send.message_id,
            payload: send.payload,
        };
        let of_item = Some(wire::inbox_items::item::Of::Message(message));
        of.inbox.push(wire::inbox_items::Item { seq: head, time, of: of_item });
        let changed = Answer::InboxChanged(wire::InboxChanged { head });
        self.tell_devices(|live| live == device, changed);
        Ok(Answer::Done(wire::Done {}))
    }

    fn put_value(
        &mut self,
        account: AccountId,
        device: DeviceId,
        put: wire::PutAccountValue,
    ) -> Answer {
        let shared = self.shared(account);
        let same = shared.values.get(&put.key).filter(|(_, _, value)| *value == put.value);
        let seq = match same {
            Some((seq, ..)) => *seq,
            None => {
                shared.values_head += 1;
                let seq = shared.values_head;
                shared.values.insert(put.key, (seq, device, put.value));
                seq
            }
        };
        let head = shared.values_head;
        let changed = Answer::AccountLogChanged(wire::AccountLogChanged { head });
        let devices: Vec<DeviceId> = self
            .devices
            .iter()
            .filter(|(other, of)| of.account == account && **other != device)
            .map(|(other, _)| *other)
            .collect();
        self.tell_devices(|live| devices.contains(&live), changed);
        Answer::AccountValuePut(wire::AccountValuePut { seq })
    }

    fn fetch_values(&mut self, account: AccountId, after: u64) -> Answer {
        let shared = self.shared(account);
        let mut values: Vec<wire::account_values::Value> = shared
            .values
            .iter()
            .filter(|(_, (seq, ..))| *seq > after)
            .map(|(key, (seq, device, value))| wire::account_values::Value {
                seq: *seq,
                device: id_bytes(device.as_bytes()),
                key: key.clone(),
                value: value.clone(),
            })
            .collect();
        values.sort_by_key(|value| value.seq);
        values.truncate(3);
        Answer::AccountValues(wire::AccountValues { values, head: shared.values_head })
    }

    /// Takes packages of a device out of its stock, and tells it when few are left.
    pub(crate) fn hand_out(&mut self, device: DeviceId, count: usize) {
        let of = self.of_device(device);
        of.packages.truncate(of.packages.len() - count);
        let count = of.packages.len() as u32;
        let low = Answer::KeyPackagesLow(wire::KeyPackageStock { count });
        self.tell_devices(|live| live == device, low);
    }

    /// Tells all sessions that a list has grown, or has not.
    pub(crate) fn tell_list(&mut self, account: AccountId, identity: u32, entries: u32) {
        let account = id_bytes(account.as_bytes());
        let changed = wire::DeviceListChanged { account, identity, entries };
        self.tell_devices(|_| true, Answer::DeviceListChanged(changed));
    }

    fn tell_devices(&mut self, to: impl Fn(DeviceId) -> bool, what: Answer) {
        let sessions: Vec<ConnectionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.live.is_some_and(|(_, device)| to(device)))
            .map(|(connection, _)| *connection)
            .collect();
        for connection in sessions {
            self.send(connection, 0, what.clone());
        }
    }
}

impl Shared {
    pub(crate) fn place(&self) -> (u32, u32) {
        let entries = self.lists.last().map_or(0, Vec::len) as u32;
        (self.lists.len().saturating_sub(1) as u32, entries)
    }

    fn listed(&self, account: AccountId) -> Vec<DeviceId> {
        let list = self.lists.last().and_then(|list| DeviceList::verify(account, list).ok());
        list.iter().flat_map(DeviceList::devices).map(|(device, _)| device).collect()
    }
}
