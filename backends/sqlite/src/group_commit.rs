//! Group commit: a thread that owns a writer and applies, as one batch, all that queued while the last
//! batch was synced.
//!
//! At some hundred syncs a second of an ordinary disk this decides how many entries a second a store
//! takes. It works with any [`Writer`] and knows no async runtime: outcomes leave by a callback, on the
//! thread itself, in the order in which operations were submitted.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tidings_messaging::store::{
    DeviceOperation, GroupRecord, GroupStep, LogOperation, Operation, Outcome, Rejection,
    WriteFailure, Writer,
};
use tidings_model::Refusal;

use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX};
use crate::queue::{Queue, SubmitError};

/// What the thread tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed<T> {
    /// These operations have their outcomes, which are on disk. A full disk refuses each with
    /// `STORAGE_FULL`.
    Outcomes(Vec<(T, Outcome)>),
    /// What is on disk is unknown. The thread has stopped, none of these operations will have an
    /// outcome, and the program must exit.
    Broken {
        /// The operations of the failed batch and those behind it.
        tickets: Vec<T>,
        /// Why.
        failure: WriteFailure,
    },
}

/// The thread. Dropping it applies what is queued and waits for that.
#[derive(Debug)]
pub struct GroupCommit<T> {
    queue: Arc<Queue<(T, Operation)>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> GroupCommit<T> {
    /// Starts the thread. `committed` must not drop the group commit.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn spawn(
        writer: impl Writer + 'static,
        committed: impl FnMut(Committed<T>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new());
        let work = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("group-commit".to_owned())
            .spawn(move || commit_until_closed(&work, writer, committed))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Queues an operation; its outcome comes with its ticket.
    ///
    /// # Errors
    /// The operation was not queued and has no outcome.
    pub fn submit(&self, ticket: T, operation: Operation) -> Result<(), SubmitError> {
        self.queue.push((ticket, operation))
    }
}

impl<T> Drop for GroupCommit<T> {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic on the thread has been reported by the panic's own message.
            let _ = thread.join();
        }
    }
}

fn commit_until_closed<T>(
    queue: &Queue<(T, Operation)>,
    mut writer: impl Writer,
    mut committed: impl FnMut(Committed<T>),
) {
    let _closing = queue.close_on_drop();
    while let Some(taken) =
        queue.take(BATCH_OPERATIONS_MAX, BATCH_BYTES_MAX, |(_, operation)| bytes(operation))
    {
        let (mut tickets, batch): (Vec<T>, Vec<Operation>) = taken.into_iter().unzip();
        match writer.apply(&batch) {
            Ok(outcomes) => {
                committed(Committed::Outcomes(tickets.into_iter().zip(outcomes).collect()));
            }
            Err(WriteFailure::Full) => {
                let full = || Err(Rejection::Refused(Refusal::StorageFull));
                let outcomes = tickets.into_iter().map(|ticket| (ticket, full())).collect();
                committed(Committed::Outcomes(outcomes));
            }
            Err(failure @ WriteFailure::Broken(_)) => {
                tickets.extend(queue.abandon().into_iter().map(|(ticket, _)| ticket));
                committed(Committed::Broken { tickets, failure });
                return;
            }
        }
    }
}

/// Payload bytes of an operation. The rest of it is small, and bounded by the count.
fn bytes(operation: &Operation) -> usize {
    match operation {
        Operation::Log(LogOperation::Append(append)) => {
            append.entry.payload.len() + bytes_of_step(&append.group)
        }
        Operation::Log(LogOperation::Create(create)) => {
            create.first.payload.len() + create.group.as_ref().map_or(0, bytes_of_group)
        }
        Operation::Device(operation) => bytes_of_published(operation),
        Operation::Log(_) | Operation::Account(_) | Operation::Outbox(_) => 0,
    }
}

fn bytes_of_step(step: &GroupStep) -> usize {
    match step {
        GroupStep::Open | GroupStep::Message { .. } => 0,
        GroupStep::Change(change) => {
            let welcome = change.welcome.as_ref().map_or(0, |welcome| welcome.bytes.len());
            bytes_of_group(&change.next) + welcome
        }
    }
}

fn bytes_of_group(group: &GroupRecord) -> usize {
    group.state.len() + group.tree.len() + group.group_info.len()
}

fn bytes_of_published(operation: &DeviceOperation) -> usize {
    match operation {
        DeviceOperation::AppendDeviceList { entries, .. } => entries.iter().map(Bytes::len).sum(),
        DeviceOperation::PublishKeyPackages { packages, .. } => {
            packages.iter().map(|(_, package)| package.len()).sum()
        }
        DeviceOperation::SendToDevice { payload, .. } => payload.len(),
        DeviceOperation::PutAccountValue { value, .. } => value.len(),
        DeviceOperation::PutBackupChunk { sealed, .. } => sealed.len(),
        DeviceOperation::ClaimKeyPackages { .. }
        | DeviceOperation::AcknowledgeInbox { .. }
        | DeviceOperation::DropBackup { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tidings_messaging::store::{AccountOperation, Applied};
    use tidings_model::AccountId;

    use super::*;

    /// Answers batches as it is told, once it is let.
    struct Scripted {
        gate: mpsc::Receiver<Result<(), WriteFailure>>,
        sizes: mpsc::Sender<usize>,
    }

    impl Writer for Scripted {
        fn apply(&mut self, batch: &[Operation]) -> Result<Vec<Outcome>, WriteFailure> {
            self.sizes.send(batch.len()).expect("the test listens");
            self.gate.recv().expect("the test lets it")?;
            Ok(batch.iter().map(|_| Ok(Applied::Done)).collect())
        }
    }

    struct Bench {
        commit: GroupCommit<u32>,
        gate: mpsc::Sender<Result<(), WriteFailure>>,
        sizes: mpsc::Receiver<usize>,
        committed: mpsc::Receiver<Committed<u32>>,
    }

    fn bench() -> Bench {
        let (gate, gate_in) = mpsc::channel();
        let (sizes_out, sizes) = mpsc::channel();
        let (committed_out, committed) = mpsc::channel();
        let commit =
            GroupCommit::spawn(Scripted { gate: gate_in, sizes: sizes_out }, move |answer| {
                committed_out.send(answer).expect("the test listens")
            })
            .expect("a thread");
        Bench { commit, gate, sizes, committed }
    }

    fn operation() -> Operation {
        Operation::Account(AccountOperation::SetDisplayName {
            account: AccountId::from_bytes([1; 16]),
            display_name: "Anna".to_owned(),
        })
    }

    fn tickets(committed: Committed<u32>) -> Vec<u32> {
        match committed {
            Committed::Outcomes(outcomes) => {
                outcomes.into_iter().map(|(ticket, _)| ticket).collect()
            }
            Committed::Broken { tickets, .. } => tickets,
        }
    }

    #[test]
    fn what_queued_during_a_sync_becomes_one_batch() {
        let bench = bench();
        bench.commit.submit(0, operation()).expect("queued");
        assert_eq!(bench.sizes.recv(), Ok(1));
        for ticket in 1..=5 {
            bench.commit.submit(ticket, operation()).expect("queued");
        }
        bench.gate.send(Ok(())).expect("the writer waits");
        assert_eq!(tickets(bench.committed.recv().expect("an answer")), [0]);
        assert_eq!(bench.sizes.recv(), Ok(5));
        bench.gate.send(Ok(())).expect("the writer waits");
        assert_eq!(tickets(bench.committed.recv().expect("an answer")), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn full_disk_refuses_each_operation_and_the_next_batch_goes_on() {
        let bench = bench();
        bench.commit.submit(1, operation()).expect("queued");
        bench.gate.send(Err(WriteFailure::Full)).expect("the writer waits");
        assert_eq!(
            bench.committed.recv(),
            Ok(Committed::Outcomes(vec![(1, Err(Rejection::Refused(Refusal::StorageFull)))]))
        );
        bench.commit.submit(2, operation()).expect("queued");
        bench.gate.send(Ok(())).expect("the writer waits");
        assert_eq!(bench.committed.recv(), Ok(Committed::Outcomes(vec![(2, Ok(Applied::Done))])));
    }

    #[test]
    fn broken_store_answers_nothing_more_and_takes_nothing_in() {
        let bench = bench();
        bench.commit.submit(1, operation()).expect("queued");
        assert_eq!(bench.sizes.recv(), Ok(1));
        bench.commit.submit(2, operation()).expect("queued");
        let failure = WriteFailure::Broken("the disk".to_owned());
        bench.gate.send(Err(failure.clone())).expect("the writer waits");
        assert_eq!(bench.committed.recv(), Ok(Committed::Broken { tickets: vec![1, 2], failure }));
        assert_eq!(bench.commit.submit(3, operation()), Err(SubmitError::Stopped));
    }

    #[test]
    fn dropping_it_applies_what_is_queued() {
        let bench = bench();
        for ticket in 0..3 {
            bench.commit.submit(ticket, operation()).expect("queued");
        }
        for _ in 0..3 {
            bench.gate.send(Ok(())).expect("the writer waits");
        }
        drop(bench.commit);
        let answered: Vec<u32> = bench.committed.iter().flat_map(tickets).collect();
        assert_eq!(answered, [0, 1, 2]);
    }
}
