//! A bounded queue from many threads to few, which take what has gathered in one go.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::limits::QUEUE_MAX;

/// Why something was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue is at its bound.
    #[error("the store's queue is full")]
    Full,
    /// The thread behind the queue has stopped.
    #[error("the store has stopped")]
    Stopped,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = State { items: VecDeque::new(), closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new() }
    }

    pub(crate) fn push(&self, item: T) -> Result<(), SubmitError> {
        let mut state = self.lock();
        if state.closed {
            return Err(SubmitError::Stopped);
        }
        if state.items.len() >= QUEUE_MAX {
            return Err(SubmitError::Full);
        }
        state.items.push_back(item);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for an item and takes it with those behind it, at most `count_max`, and no more once their
    /// weights have reached `weight_max`. `None`: the queue is closed and empty.
    pub(crate) fn take(
        &self,
        count_max: usize,
        weight_max: usize,
        weight: impl Fn(&T) -> usize,
    ) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.items.is_empty() {
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut taken = Vec::new();
        let mut weights = 0;
        while taken.len() < count_max && weights < weight_max {
            let Some(item) = state.items.pop_front() else { break };
            weights += weight(&item);
            taken.push(item);
        }
        Some(taken)
    }

    /// Takes nothing more in; what is queued is still handed out.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Closes the queue when it is dropped: whatever ends a thread, nobody waits for it in vain.
    pub(crate) fn close_on_drop(&self) -> CloseOnDrop<'_, T> {
        CloseOnDrop(self)
    }

    /// Takes nothing more in and hands out what was queued, to be given up.
    pub(crate) fn abandon(&self) -> Vec<T> {
        let mut state = self.lock();
        state.closed = true;
        let left = state.items.drain(..).collect();
        drop(state);
        self.arrived.notify_all();
        left
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(crate) struct CloseOnDrop<'a, T>(&'a Queue<T>);

impl<T> Drop for CloseOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(items: impl IntoIterator<Item = usize>) -> Queue<usize> {
        let queue = Queue::new();
        for item in items {
            queue.push(item).expect("room");
        }
        queue
    }

    #[test]
    fn batch_is_bounded_by_count_and_by_weight() {
        let queue = queue_of([1, 2, 3, 50, 60, 70]);
        assert_eq!(queue.take(2, 100, |item| *item), Some(vec![1, 2]));
        assert_eq!(queue.take(9, 100, |item| *item), Some(vec![3, 50, 60]));
        assert_eq!(queue.take(9, 1, |item| *item), Some(vec![70]));
    }

    #[test]
    fn closed_queue_hands_out_what_it_has_and_takes_nothing_in() {
        let queue = queue_of([1]);
        queue.close();
        assert_eq!(queue.push(2), Err(SubmitError::Stopped));
        assert_eq!(queue.take(9, 9, |_| 1), Some(vec![1]));
        assert_eq!(queue.take(9, 9, |_| 1), None);
    }

    #[test]
    fn full_queue_says_so() {
        let queue = queue_of(0..QUEUE_MAX);
        assert_eq!(queue.push(0), Err(SubmitError::Full));
    }

    #[test]
    fn abandoned_queue_gives_up_what_it_has() {
        let queue = queue_of([1, 2]);
        assert_eq!(queue.abandon(), [1, 2]);
        assert_eq!(queue.take(9, 9, |_| 1), None);
    }
}
