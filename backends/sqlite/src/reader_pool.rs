//! A pool of threads that own a reader each and answer queries from one queue.
//!
//! It works with any [`Reader`] and knows no async runtime: answers leave by a callback, on the thread
//! that found them, in any order.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tidings_messaging::store::{Answer, Query, ReadFailure, Reader};

use crate::queue::{Queue, SubmitError};

/// The threads. Dropping them answers what is queued and waits for that.
#[derive(Debug)]
pub struct ReaderPool<T> {
    queue: Arc<Queue<(T, Query)>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> ReaderPool<T> {
    /// Starts a thread for each reader. `answered` must not drop the pool.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn<R: Reader + 'static>(
        readers: Vec<R>,
        answered: impl Fn(T, Result<Answer, ReadFailure>) + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let mut pool = Self { queue: Arc::new(Queue::new()), threads: Vec::new() };
        let answered = Arc::new(answered);
        for reader in readers {
            let queue = Arc::clone(&pool.queue);
            let answered = Arc::clone(&answered);
            pool.threads.push(
                thread::Builder::new()
                    .name("reader".to_owned())
                    .spawn(move || answer_until_closed(&queue, reader, &*answered))?,
            );
        }
        Ok(pool)
    }

    /// Queues a query; its answer comes with its ticket.
    ///
    /// # Errors
    /// The query was not queued and has no answer.
    pub fn submit(&self, ticket: T, query: Query) -> Result<(), SubmitError> {
        self.queue.push((ticket, query))
    }
}

impl<T> Drop for ReaderPool<T> {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A panic on the thread has been reported by the panic's own message.
            let _ = thread.join();
        }
    }
}

fn answer_until_closed<T>(
    queue: &Queue<(T, Query)>,
    mut reader: impl Reader,
    answered: &impl Fn(T, Result<Answer, ReadFailure>),
) {
    let _closing = queue.close_on_drop();
    // One at a time: a query behind a long one is better off with another thread.
    while let Some(taken) = queue.take(1, usize::MAX, |_| 1) {
        for (ticket, query) in taken {
            answered(ticket, reader.answer(&query));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tidings_messaging::store::AccountQuery;

    use super::*;

    struct Yes;

    impl Reader for Yes {
        fn answer(&mut self, _query: &Query) -> Result<Answer, ReadFailure> {
            Ok(Answer::AnyAccount(true))
        }
    }

    #[test]
    fn every_query_is_answered_once_before_the_pool_is_gone() {
        let (answers_out, answers) = mpsc::channel();
        let pool = ReaderPool::spawn(vec![Yes, Yes, Yes], move |ticket: u32, answer| {
            assert_eq!(answer, Ok(Answer::AnyAccount(true)));
            answers_out.send(ticket).expect("the test listens");
        })
        .expect("threads");
        for ticket in 0..100 {
            pool.submit(ticket, Query::Account(AccountQuery::AnyAccount)).expect("queued");
        }
        drop(pool);
        let mut answered: Vec<u32> = answers.iter().collect();
        answered.sort_unstable();
        assert_eq!(answered, Vec::from_iter(0..100));
    }
}
