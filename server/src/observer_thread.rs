//! The thread that follows the groups of sealed conversations. What it judges takes milliseconds in a
//! large group, for which nobody's message should wait. One queue, first in first out: so what concerns
//! a conversation, or an account, is judged in the order in which the core asks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tidings_messaging::Ticket;
use tidings_messaging::group::{Judge, Judged, Observer};
use tidings_model::Refusal;

use crate::limits::JUDGEMENTS_MAX;

/// The thread. Dropping it judges what is queued and waits for that.
pub(crate) struct ObserverThread {
    queue: Option<SyncSender<(Ticket, Box<Judge>)>>,
    thread: Option<JoinHandle<()>>,
    /// How many wait, the one that is being judged included.
    waiting: Gauge,
}

impl ObserverThread {
    /// Starts the thread. Each judgement leaves by `judged`, on the thread itself.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn spawn(
        observer: impl Observer + 'static,
        waiting: Gauge,
        judged: impl Fn(Ticket, Result<Judged, Refusal>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, from_core) = sync_channel(JUDGEMENTS_MAX);
        let work = waiting.clone();
        let thread = thread::Builder::new()
            .name("observer".to_owned())
            .spawn(move || judge_until_closed(observer, &from_core, &work, &judged))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), waiting })
    }

    /// Queues something to be judged.
    ///
    /// # Errors
    /// It was not queued, and nothing comes of it.
    pub(crate) fn submit(&self, ticket: Ticket, judge: Box<Judge>) -> Result<(), Refusal> {
        let queue = self.queue.as_ref().ok_or(Refusal::Unavailable)?;
        self.waiting.inc();
        queue.try_send((ticket, judge)).map_err(|error| {
            self.waiting.dec();
            match error {
                TrySendError::Full(_) => {
                    Refusal::Overloaded { retry_after: Duration::from_secs(1) }
                }
                TrySendError::Disconnected(_) => Refusal::Unavailable,
            }
        })
    }
}

impl Drop for ObserverThread {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic on the thread has been reported by the panic's own message.
            let _ = thread.join();
        }
    }
}

fn judge_until_closed(
    mut observer: impl Observer,
    from_core: &Receiver<(Ticket, Box<Judge>)>,
    waiting: &Gauge,
    judged: &impl Fn(Ticket, Result<Judged, Refusal>),
) {
    for (ticket, judge) in from_core {
        // The library below reads what strangers wrote. Should one of them find a panic in it, that is
        // the end of their request and not of everybody's groups; an observer holds nothing that a
        // half-done judgement could have spoilt.
        let judgement = catch_unwind(AssertUnwindSafe(|| observer.judge(&judge)));
        waiting.dec();
        judged(ticket, judgement.unwrap_or(Err(Refusal::Unavailable)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use bytes::Bytes;
    use tidings_model::{AccountId, DeviceId, Timestamp};

    use super::*;

    /// Answers with the request's own packages, once it is let; panics where there are none.
    struct Gated(Receiver<()>);

    impl Observer for Gated {
        fn judge(&mut self, judge: &Judge) -> Result<Judged, Refusal> {
            self.0.recv().expect("the test lets it");
            match judge {
                Judge::KeyPackages { packages, .. } if packages.is_empty() => {
                    panic!("as told: there are no packages")
                }
                Judge::KeyPackages { packages, .. } => Ok(Judged::KeyPackages(packages.clone())),
                _ => Err(Refusal::NotFound),
            }
        }
    }

    type Answers = Receiver<(Ticket, Result<Judged, Refusal>)>;

    fn spawn() -> (ObserverThread, Sender<()>, Answers, Gauge) {
        let (gate, gated) = channel();
        let (answers_out, answers) = channel();
        let waiting = Gauge::default();
        let thread = ObserverThread::spawn(Gated(gated), waiting.clone(), move |ticket, judged| {
            answers_out.send((ticket, judged)).expect("the test listens");
        });
        (thread.expect("a thread"), gate, answers, waiting)
    }

    fn judge(packages: &[u64]) -> Box<Judge> {
        Box::new(Judge::KeyPackages {
            device: (AccountId::from_bytes([1; 16]), DeviceId::from_bytes([1; 16])),
            packages: packages.iter().map(|number| Bytes::from(number.to_string())).collect(),
            last_resort: None,
            now: Timestamp::from_millis(0),
        })
    }

    #[test]
    fn everything_is_judged_in_order_before_the_thread_is_gone() {
        let (thread, gate, answers, waiting) = spawn();
        for number in 0..5 {
            assert_eq!(thread.submit(Ticket(number), judge(&[number])), Ok(()));
        }
        assert_eq!(waiting.get(), 5);
        for _ in 0..5 {
            gate.send(()).expect("it waits");
        }
        drop(thread);
        let expected = (0..5).map(|number| {
            (Ticket(number), Ok(Judged::KeyPackages(vec![Bytes::from(number.to_string())])))
        });
        assert_eq!(answers.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        assert_eq!(waiting.get(), 0);
    }

    #[test]
    fn full_queue_refuses_and_says_when_to_come_back() {
        let (thread, gate, answers, waiting) = spawn();
        // One more than the queue holds may be with the observer already.
        let submitted =
            (0..).take_while(|number| thread.submit(Ticket(*number), judge(&[1])).is_ok());
        let submitted = submitted.count();
        assert!((JUDGEMENTS_MAX..=JUDGEMENTS_MAX + 1).contains(&submitted), "{submitted}");
        assert_eq!(usize::try_from(waiting.get()), Ok(submitted));
        for _ in 0..submitted {
            gate.send(()).expect("it waits");
        }
        drop(thread);
        assert_eq!(answers.iter().count(), submitted);
    }

    #[test]
    fn panic_ends_the_request_that_caused_it_alone() {
        let (thread, gate, answers, _waiting) = spawn();
        for (number, packages) in [(0, &[][..]), (1, &[7][..])] {
            assert_eq!(thread.submit(Ticket(number), judge(packages)), Ok(()));
            gate.send(()).expect("it waits");
        }
        assert_eq!(answers.recv(), Ok((Ticket(0), Err(Refusal::Unavailable))));
        let judged = Ok(Judged::KeyPackages(vec![Bytes::from_static(b"7")]));
        assert_eq!(answers.recv(), Ok((Ticket(1), judged)));
    }
}
