//! What will happen, in the order in which it happens: virtual time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

/// Things to come. Of those at one moment the one put in first comes first.
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Reverse<Item<T>>>,
    ever: u64,
}

struct Item<T> {
    at: Duration,
    number: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), ever: 0 }
    }

    pub(crate) fn put(&mut self, at: Duration, what: T) {
        self.ever += 1;
        self.heap.push(Reverse(Item { at, number: self.ever, what }));
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(item)| item.at)
    }

    pub(crate) fn take(&mut self) -> Option<(Duration, T)> {
        self.heap.pop().map(|Reverse(item)| (item.at, item.what))
    }
}

impl<T> Item<T> {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
