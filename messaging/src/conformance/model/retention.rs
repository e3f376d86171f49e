//! Retention in the store in memory.

use tidings_model::Seq;

use super::{Conversation, State};
use crate::store::{Applied, Outcome, Retain};

impl State {
    pub(super) fn retain(&mut self, retain: &Retain) -> Outcome {
        let mut entries_left = retain.entries_max;
        for (index, (id, log)) in self.conversations.range_mut(retain.from..).enumerate() {
            if index == retain.conversations_max || !log.retain(retain, &mut entries_left) {
                return Ok(Applied::Retained { next: Some(*id) });
            }
        }
        Ok(Applied::Retained { next: None })
    }
}

impl Conversation {
    /// Whether nothing is left to do for the moment.
    fn retain(&mut self, retain: &Retain, entries_left: &mut usize) -> bool {
        let is_old = self.entries.first().is_some_and(|of| of.entry.time < retain.entries_before);
        let noted = self.acknowledged;
        if !is_old || noted.is_some_and(|(_, at)| at > retain.acknowledged_before) {
            return true;
        }
        let acknowledged = self.acknowledged_by_all();
        if let Some((noted, _)) = noted {
            let limit = noted.min(acknowledged);
            let old = self.entries.iter().take_while(|stored| {
                stored.entry.seq <= limit && stored.entry.time < retain.entries_before
            });
            let old = old.count();
            let dropped = old.min(*entries_left);
            *entries_left -= dropped;
            if let Some(last) = self.entries.drain(..dropped).last() {
                self.record.floor = last.entry.seq;
            }
            if dropped < old {
                return false;
            }
        }
        if noted.is_none_or(|(noted, _)| noted != acknowledged) {
            self.acknowledged = Some((acknowledged, retain.now));
        }
        true
    }

    fn acknowledged_by_all(&self) -> Seq {
        let present = self.members.iter().filter(|member| member.role.is_some());
        let marks = present.map(|member| {
            let before_joining = member.ranges.first().map(|range| range.from.previous());
            member.marks.delivered.max(before_joining.unwrap_or_default())
        });
        marks.min().unwrap_or(self.record.head).min(self.record.head)
    }
}
